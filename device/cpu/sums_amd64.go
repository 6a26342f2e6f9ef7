// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"encoding/binary"

	"github.com/assaynet/assay/device/cpu/internal/simd"
)

var hasSHA = simd.SHA()

// initial is SHA-256's initial state, FIPS 180-4 section 5.3.3.
var initial = [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}

// longest is the longest message, prefix included, that is hashed in pairs.
const longest = 512 - 9

// sums hashes two messages at a time. Each is copied behind the prefix into a
// buffer whose padding, the same for all, stands there already.
func sums(dst [][32]byte, msgs []byte, size int, prefix []byte) {
	n := len(prefix) + size
	if !hasSHA || n > longest || len(dst) < 2 {
		plainSums(dst, msgs, size, prefix)
		return
	}
	blocks := (n + 9 + 63) / 64
	var buf [2][longest + 9]byte
	for i := range buf {
		copy(buf[i][:], prefix)
		buf[i][n] = 0x80
		binary.BigEndian.PutUint64(buf[i][64*blocks-8:], 8*uint64(n))
	}
	at := len(prefix)
	for len(dst) >= 2 {
		copy(buf[0][at:], msgs[:size])
		copy(buf[1][at:], msgs[size:2*size])
		state := [2][8]uint32{initial, initial}
		simd.Hash2(&state[0], &state[1], &buf[0][0], &buf[1][0], blocks)
		for i := range state {
			for j, w := range state[i] {
				binary.BigEndian.PutUint32(dst[i][4*j:], w)
			}
		}
		dst, msgs = dst[2:], msgs[2*size:]
	}
	plainSums(dst, msgs, size, prefix)
}
