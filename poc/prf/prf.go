// SPDX-License-Identifier: Apache-2.0

// Package prf turns a 32-byte key into data that every device can make for
// itself: matrices, weights, embeddings and audit samples.
//
// It is the ChaCha permutation of Bernstein with 8 rounds, on the state layout
// of RFC 8439 (section 2.3) with the last four words split as in the original
// cipher: words 12 and 13 are a 64-bit block counter, words 14 and 15 a 64-bit
// nonce, low word first. Words leave in little-endian order. With 20 rounds,
// and the counter's high word taken as RFC 8439's first nonce word, it IS the
// RFC's block function; the tests check just that.
//
// A stream is named by (key, nonce) and holds 2^64 blocks of 64 bytes. Any
// byte can be had without the ones before it, which is what lets an auditor
// expand one row of a matrix and a GPU give one block to each thread.
//
// It is spec W-6. Eight rounds are the fastest variant without a known attack that is better
// than search. Nothing here is secret: what is needed is that no structure
// survives that would make a product cheaper than its multiplications.
package prf

import (
	"encoding/binary"
	"math/bits"
)

// BlockSize is the length in bytes of one block of a stream.
const BlockSize = 64

const rounds = 8

// Key names a family of 2^64 streams. A seed.Seed converts to it directly.
type Key [32]byte

// Block writes block number counter of the stream (key, nonce) to dst.
func Block(dst *[BlockSize]byte, key *Key, nonce, counter uint64) {
	in := state(key, nonce)
	block(dst, &in, counter, rounds)
}

// Fill writes the bytes [offset, offset+len(dst)) of the stream (key, nonce)
// to dst. It allocates nothing. A stream ends at byte 2^64; the offset wraps
// there, which no caller reaches.
func Fill(dst []byte, key *Key, nonce, offset uint64) {
	in := state(key, nonce)
	counter := offset / BlockSize
	if skip := offset % BlockSize; skip != 0 {
		var b [BlockSize]byte
		block(&b, &in, counter, rounds)
		dst = dst[copy(dst, b[skip:]):]
		counter++
	}
	for len(dst) >= BlockSize {
		block((*[BlockSize]byte)(dst), &in, counter, rounds)
		dst = dst[BlockSize:]
		counter++
	}
	if len(dst) > 0 {
		var b [BlockSize]byte
		block(&b, &in, counter, rounds)
		copy(dst, b[:])
	}
}

// state lays out everything but the counter.
func state(key *Key, nonce uint64) (s [16]uint32) {
	s[0], s[1], s[2], s[3] = 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 // "expand 32-byte k"
	for i := range 8 {
		s[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	s[14], s[15] = uint32(nonce), uint32(nonce>>32)
	return s
}

// quarter is the quarter round of RFC 8439, section 2.1.
func quarter(a, b, c, d uint32) (uint32, uint32, uint32, uint32) {
	a += b
	d = bits.RotateLeft32(d^a, 16)
	c += d
	b = bits.RotateLeft32(b^c, 12)
	a += b
	d = bits.RotateLeft32(d^a, 8)
	c += d
	b = bits.RotateLeft32(b^c, 7)
	return a, b, c, d
}

// block runs n rounds (even) over the state with the given counter. The number
// of rounds is a parameter only so that the tests can hold it against RFC 8439.
func block(dst *[BlockSize]byte, in *[16]uint32, counter uint64, n int) {
	c0, c1 := uint32(counter), uint32(counter>>32)
	x0, x1, x2, x3 := in[0], in[1], in[2], in[3]
	x4, x5, x6, x7 := in[4], in[5], in[6], in[7]
	x8, x9, x10, x11 := in[8], in[9], in[10], in[11]
	x12, x13, x14, x15 := c0, c1, in[14], in[15]
	for range n / 2 {
		x0, x4, x8, x12 = quarter(x0, x4, x8, x12)
		x1, x5, x9, x13 = quarter(x1, x5, x9, x13)
		x2, x6, x10, x14 = quarter(x2, x6, x10, x14)
		x3, x7, x11, x15 = quarter(x3, x7, x11, x15)
		x0, x5, x10, x15 = quarter(x0, x5, x10, x15)
		x1, x6, x11, x12 = quarter(x1, x6, x11, x12)
		x2, x7, x8, x13 = quarter(x2, x7, x8, x13)
		x3, x4, x9, x14 = quarter(x3, x4, x9, x14)
	}
	le := binary.LittleEndian
	le.PutUint32(dst[0:], x0+in[0])
	le.PutUint32(dst[4:], x1+in[1])
	le.PutUint32(dst[8:], x2+in[2])
	le.PutUint32(dst[12:], x3+in[3])
	le.PutUint32(dst[16:], x4+in[4])
	le.PutUint32(dst[20:], x5+in[5])
	le.PutUint32(dst[24:], x6+in[6])
	le.PutUint32(dst[28:], x7+in[7])
	le.PutUint32(dst[32:], x8+in[8])
	le.PutUint32(dst[36:], x9+in[9])
	le.PutUint32(dst[40:], x10+in[10])
	le.PutUint32(dst[44:], x11+in[11])
	le.PutUint32(dst[48:], x12+c0)
	le.PutUint32(dst[52:], x13+c1)
	le.PutUint32(dst[56:], x14+in[14])
	le.PutUint32(dst[60:], x15+in[15])
}
