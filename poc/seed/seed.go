// SPDX-License-Identifier: Apache-2.0

// Package seed names every random seed of the network.
//
// Whatever two machines must agree on by chance (which weights a model has,
// what a node has to compute, which leaves are opened, who checks them) starts
// from a 256-bit Seed, and every Seed is made here, by one function with one
// name and one tag. A reader who wants to know whether two uses of randomness
// can collide has one file to read.
//
// There is one derivation rule (spec W-3, and W-4 for the list):
//
//	SHA-256( LE32(len(tag)) tag  LE32(len(p0)) p0  LE32(len(p1)) p1 ... )
//
// The tag is "assay/1/" and the function's short name. Every part carries its
// length, so no two different part lists have the same encoding: "ab","c" and
// "a","bc" differ. Integers of any width are parts of 8 bytes, little-endian;
// strings are their raw bytes; seeds are their 32 bytes.
//
// Names: participant is the bech32 address string of an account, chain the
// chain id, node a node id (see commit.ValidNode), class a model class's name.
// Seeds that come from the beacon are as unpredictable as the mix they are
// given, and LeafNonce is its host's secret; all others are public and hide
// nothing.
package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Size is the length of a Seed in bytes.
const Size = 32

// ErrSeed reports bytes or text that do not spell a Seed.
var ErrSeed = errors.New("seed: not a seed")

// Seed is 256 bits of derived or agreed randomness. Where it keys a prf stream
// its 32 bytes are the key.
type Seed [Size]byte

// From is the seed in a message's bytes, which were checked to be 32; of fewer the rest is zero.
func From(b []byte) (s Seed) {
	copy(s[:], b)
	return s
}

// String returns the seed as 64 lower-case hexadecimal digits.
func (s Seed) String() string { return hex.EncodeToString(s[:]) }

// Bytes returns a fresh copy of the seed's 32 bytes.
func (s Seed) Bytes() []byte { return append([]byte(nil), s[:]...) }

// MarshalText writes what String returns.
func (s Seed) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what Parse accepts.
func (s *Seed) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// Parse reads 64 lower-case hexadecimal digits. Upper case is refused, so that
// a seed has one spelling. Errors wrap ErrSeed.
func Parse(text string) (Seed, error) {
	var s Seed
	if len(text) != 2*Size {
		return Seed{}, fmt.Errorf("%w: %d characters, want %d", ErrSeed, len(text), 2*Size)
	}
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Seed{}, fmt.Errorf("%w: character %d is not a lower-case hex digit", ErrSeed, i)
		}
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return Seed{}, fmt.Errorf("%w: %w", ErrSeed, err)
	}
	return s, nil
}

// FromBytes copies exactly 32 bytes into a Seed. Errors wrap ErrSeed.
func FromBytes(b []byte) (Seed, error) {
	if len(b) != Size {
		return Seed{}, fmt.Errorf("%w: %d bytes, want %d", ErrSeed, len(b), Size)
	}
	return Seed(b), nil
}

// derive is the one derivation rule; see the package comment.
func derive(name string, parts ...[]byte) Seed {
	const prefix = "assay/1/"
	h := sha256.New()
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(prefix)+len(name)))
	h.Write(n[:])
	h.Write([]byte(prefix))
	h.Write([]byte(name))
	for _, p := range parts {
		binary.LittleEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	var s Seed
	h.Sum(s[:0])
	return s
}

// u64 is the part that carries an integer of any width.
func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
