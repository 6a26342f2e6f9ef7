// SPDX-License-Identifier: Apache-2.0

// Package condense shrinks exact int32 results before they are hashed.
//
// Hashing raw products would cost a GPU as much as the products themselves:
// SHA-256 is one chain, a matrix unit is not. So 64 neighbouring elements
// become one 32-bit word first, the wrapping sum of fmix32(c + p*0x9E3779B9)
// over the elements c and their positions p. A sum has no order, so any thread
// layout may compute it. fmix32 (the finaliser of MurmurHash3) is a non-linear
// bijection, so no projection A*(B*v) gives the sum without all of C.
//
// A word is not collision-resistant and need not be: a verifier condenses the
// honest result itself and compares digests over all words. Leaving out one
// element means guessing it.
package condense

// Width is the number of elements that become one word.
const Width = 64

// Golden spreads positions over 32 bits (2^32 divided by the golden ratio).
const Golden = 0x9E3779B9

// Fmix32 is the finaliser of MurmurHash3, a bijection on 32 bits.
func Fmix32(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return h
}

// Word condenses 64 elements; pos is the position of the first one, the others
// follow. Four independent sums keep the multiplier busy.
func Word(c *[Width]int32, pos uint32) uint32 {
	var s0, s1, s2, s3 uint32
	k := pos * Golden
	for i := 0; i < Width; i += 4 {
		s0 += Fmix32(uint32(c[i]) + k)
		s1 += Fmix32(uint32(c[i+1]) + k + Golden)
		s2 += Fmix32(uint32(c[i+2]) + k + (2 * Golden & 0xffffffff))
		s3 += Fmix32(uint32(c[i+3]) + k + (3 * Golden & 0xffffffff))
		k += 4 * Golden & 0xffffffff
	}
	return s0 + s1 + s2 + s3
}
