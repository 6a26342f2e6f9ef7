// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
)

// Hash is a SHA-256 value: a leaf hash, an inner node or a root.
type Hash = [32]byte

// MaxSize is the largest number of leaves a log may have: counts are below 2^48.
const MaxSize = 1<<48 - 1

// maxDepth is the depth of a tree of MaxSize leaves.
const maxDepth = 48

var (
	// ErrSize reports a tree size, an index or a subtree out of range.
	ErrSize = errors.New("commit: out of range")
	// ErrProof reports a proof of the wrong shape or one that leads to another root.
	ErrProof = errors.New("commit: proof does not hold")
)

// EmptyRoot is the root of the log without leaves, SHA-256 of nothing.
var EmptyRoot = Hash(sha256.Sum256(nil))

// LeafHash is RFC 6962's leaf hash: SHA-256(0x00 || data).
func LeafHash(data []byte) Hash {
	var buf [128]byte
	return sha256.Sum256(append(append(buf[:0], 0), data...))
}

// NodeHash is RFC 6962's inner hash: SHA-256(0x01 || l || r).
func NodeHash(l, r Hash) Hash {
	var buf [65]byte
	buf[0] = 1
	copy(buf[1:], l[:])
	copy(buf[33:], r[:])
	return sha256.Sum256(buf[:])
}

// Subtrees is all that is needed to prove something about a log: the roots of
// complete subtrees. An implementation may keep them all, as Log does, or keep
// some and rehash the leaves between.
type Subtrees interface {
	// Subtree returns the root of the COMPLETE subtree over the leaves
	// [index<<level, (index+1)<<level).
	Subtree(level uint, index uint64) (Hash, error)
}

// Root returns the root of the first size leaves.
func Root(s Subtrees, size uint64) (Hash, error) {
	if size == 0 {
		return EmptyRoot, nil
	}
	if size > MaxSize {
		return Hash{}, fmt.Errorf("%w: size %d", ErrSize, size)
	}
	return span(s, 0, size)
}

// split is RFC 6962's k: the largest power of two below n, for n >= 2.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// span returns the hash of the tree node over the leaves [lo, hi). The range
// is a node of the tree, so lo is a multiple of the power of two at or above
// hi-lo, and the complete subtrees in it are the bits of hi-lo.
func span(s Subtrees, lo, hi uint64) (Hash, error) {
	var parts [maxDepth]Hash
	n := 0
	for at := lo; at < hi; n++ {
		level := uint(bits.Len64(hi-at)) - 1
		h, err := s.Subtree(level, at>>level)
		if err != nil {
			return Hash{}, fmt.Errorf("commit: subtree at level %d of leaf %d: %w", level, at, err)
		}
		parts[n] = h
		at += 1 << level
	}
	root := parts[n-1]
	for i := n - 2; i >= 0; i-- {
		root = NodeHash(parts[i], root)
	}
	return root, nil
}

// Log keeps every complete subtree of an append-only log in memory: 64 bytes a
// leaf. The zero Log is empty and ready. It is not safe for concurrent use
// while it grows.
type Log struct {
	levels [][]Hash // levels[l][i] is the complete subtree (l, i)
}

// Append adds one leaf by its hash.
func (l *Log) Append(leafHash Hash) {
	h := leafHash
	for level := 0; ; level++ {
		if level == len(l.levels) {
			l.levels = append(l.levels, nil)
		}
		l.levels[level] = append(l.levels[level], h)
		n := len(l.levels[level])
		if n%2 == 1 {
			return
		}
		h = NodeHash(l.levels[level][n-2], h)
	}
}

// Size returns the number of leaves.
func (l *Log) Size() uint64 {
	if len(l.levels) == 0 {
		return 0
	}
	return uint64(len(l.levels[0]))
}

// Subtree returns the root of a complete subtree; see Subtrees.
func (l *Log) Subtree(level uint, index uint64) (Hash, error) {
	if level >= uint(len(l.levels)) || index >= uint64(len(l.levels[level])) {
		return Hash{}, fmt.Errorf("%w: no complete subtree (%d, %d)", ErrSize, level, index)
	}
	return l.levels[level][index], nil
}

// Root returns the root over all leaves.
func (l *Log) Root() Hash {
	root, err := Root(l, l.Size())
	if err != nil { // a Log has every subtree of its own size
		panic(err)
	}
	return root
}

// Frontier computes the root of a stream of leaves in O(log n) memory. It
// cannot prove anything. The zero Frontier is empty and ready; a copy of one
// is independent of it.
type Frontier struct {
	size  uint64
	nodes [maxDepth + 1]Hash // nodes[l] is meaningful where bit l of size is set
}

// Append adds one leaf by its hash. A frontier holds at most MaxSize leaves.
func (f *Frontier) Append(leafHash Hash) {
	h, level := leafHash, 0
	for ; f.size>>level&1 == 1; level++ {
		h = NodeHash(f.nodes[level], h)
	}
	f.nodes[level] = h
	f.size++
}

// Size returns the number of leaves appended.
func (f *Frontier) Size() uint64 { return f.size }

// Root returns the root over the leaves appended so far.
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		return EmptyRoot
	}
	level := bits.TrailingZeros64(f.size)
	root := f.nodes[level]
	for level++; f.size>>level != 0; level++ {
		if f.size>>level&1 == 1 {
			root = NodeHash(f.nodes[level], root)
		}
	}
	return root
}
