// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"crypto/sha256"
	"errors"
	"unsafe"
)

// errRoom is what the functions of this file panic with: a programming error.
var errRoom = errors.New("cpu: messages and digests do not fit each other")

// Sums writes the SHA-256 of messages of size bytes each, which follow each
// other, to dst: len(msgs) == len(dst)*size. Two messages are hashed at a time
// where the processor has SHA instructions. Other lengths panic.
func Sums(dst [][32]byte, msgs []byte, size int) {
	if len(msgs) != len(dst)*size {
		panic(errRoom)
	}
	sums(dst, msgs, size, nil)
}

// LeafHashes writes RFC 6962's hashes of leaves of size bytes each to dst, as
// commit.LeafHash does: len(leaves) == len(dst)*size. Other lengths panic.
func LeafHashes(dst [][32]byte, leaves []byte, size int) {
	if len(leaves) != len(dst)*size {
		panic(errRoom)
	}
	sums(dst, leaves, size, []byte{0})
}

// NodeHashes writes RFC 6962's hashes of pairs of children to dst, as
// commit.NodeHash does: len(children) == 2*len(dst). dst may be the start of
// children. Other lengths panic.
func NodeHashes(dst, children [][32]byte) {
	if len(children) != 2*len(dst) {
		panic(errRoom)
	}
	if len(dst) > 0 {
		sums(dst, unsafe.Slice(&children[0][0], 32*len(children)), 64, []byte{1})
	}
}

// Root is matmul.Root, a unit's digest from those of its tiles, two hashes at a
// time. No tiles panic.
func Root(tiles [][32]byte) [32]byte {
	level := make([][32]byte, len(tiles))
	LeafHashes(level, unsafe.Slice(&tiles[0][0], 32*len(tiles)), 32)
	for len(level) > 1 {
		// RFC 6962 trees split at powers of two, so an odd one out moves up.
		n := len(level) / 2
		NodeHashes(level[:n], level[:2*n])
		level = append(level[:n], level[2*n:]...)
	}
	return level[0]
}

// plainSums is sums one by one; prefix comes before every message.
func plainSums(dst [][32]byte, msgs []byte, size int, prefix []byte) {
	var room [256]byte
	buf := append(room[:0], prefix...)
	for i := range dst {
		dst[i] = sha256.Sum256(append(buf, msgs[i*size:(i+1)*size]...))
	}
}
