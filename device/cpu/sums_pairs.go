// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package cpu

import (
	"encoding/binary"

	"github.com/assaynet/assay/device/cpu/internal/simd"
)

var hasSHA = simd.SHA()

// longest is the longest message, prefix included, that is hashed in pairs.
const longest = 512 - 9

// sums hashes two messages at a time. Each is copied behind the prefix into a
// buffer whose padding, the same for all, stands there already; and the next
// two before these are hashed, as what was just stored in small pieces cannot be
// loaded in large ones until it has reached the cache.
func sums(dst [][32]byte, msgs []byte, size int, prefix []byte) {
	n := len(prefix) + size
	if !hasSHA || n > longest || len(dst) < 2 {
		plainSums(dst, msgs, size, prefix)
		return
	}
	blocks := (n + 9 + 63) / 64
	var buf [2][2][longest + 9]byte
	for i := range 4 {
		b := &buf[i/2][i%2]
		copy(b[:], prefix)
		b[n] = 0x80
		binary.BigEndian.PutUint64(b[64*blocks-8:], 8*uint64(n))
	}
	load := func(i int) {
		for j := range 2 {
			copy(buf[i/2%2][j][len(prefix):n], msgs[(i+j)*size:])
		}
	}
	load(0)
	pairs := len(dst) &^ 1
	for i := 0; i < pairs; i += 2 {
		if i+2 < pairs {
			load(i + 2)
		}
		b := &buf[i/2%2]
		simd.Hash2(&dst[i], &dst[i+1], &b[0][0], &b[1][0], blocks)
	}
	plainSums(dst[pairs:], msgs[pairs*size:], size, prefix)
}
