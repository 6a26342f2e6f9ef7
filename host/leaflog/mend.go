// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// read is parse that also reads a frame of which one bit has changed:
// the checksum says which. mended reports that it was so. size is the frame's.
//
// CRC32C tells all errors of one bit in a frame from each other and from any of
// two or three. What has more bits wrong passes for one of a single bit with a
// probability of 1 in 13,000; then one leaf is wrong, which the audit of a log
// counts as a fault of hardware.
func (f frames) read(b []byte, first uint64) (packed []byte, sig Signature,
	size int, mended, ok bool) {
	packed, sig, ok = f.parse(b, first)
	if !ok {
		if b, mended = f.mend(b, first); !mended {
			return nil, sig, 0, false, false
		}
		packed, sig, ok = f.parse(b, first)
	}
	return packed, sig, f.len(f.count(packed)), mended, ok
}

// mend returns the frame at the start of b, whose first leaf is `first`, with the
// one bit as it was that has changed.
func (f frames) mend(b []byte, first uint64) (frame []byte, ok bool) {
	if len(b) < f.len(1) {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	for bit := range 33 { // n itself, and with each of its bits changed
		n := n
		if bit < 32 {
			n ^= 1 << bit
		}
		if n < 1 || n > MaxBatch || len(b) < f.len(int(n)) {
			continue
		}
		head := appendFrameHead(nil, first, int(n))
		wrong := distance(head, b)
		if wrong > 1 {
			continue
		}
		frame := append(head, b[frameHead:f.len(int(n))]...)
		end := len(frame) - 4
		diff := crc32.Update(f.sum, castagnoli,
			frame[:end]) ^ binary.LittleEndian.Uint32(frame[end:])
		switch at, bit, found := flipped(diff, end-frameHead); {
		case diff == 0 && wrong == 1:
			return frame, true
		case wrong == 1: // its head is not all
		case bits.OnesCount32(diff) == 1:
			frame[end+bits.TrailingZeros32(diff)/8] ^= 1 << (bits.TrailingZeros32(diff) % 8)
			return frame, true
		case found:
			frame[end-1-at] ^= 1 << bit
			return frame, true
		}
	}
	return nil, false
}

// flipped finds the bit whose change makes a checksum differ by diff: how many
// bytes before the end of what is summed, of so many.
func flipped(diff uint32, within int) (at, bit int, found bool) {
	var d [8]uint32 // what a change of each bit of the byte adds to the checksum
	for i := range d {
		d[i] = castagnoli[1<<i]
	}
	for at := range within {
		for i := range d {
			if d[i] == diff {
				return at, i, true
			}
			d[i] = castagnoli[byte(d[i])] ^ d[i]>>8
		}
	}
	return 0, 0, false
}

// distance counts the bits in which b begins otherwise than head.
func distance(head, b []byte) (n int) {
	for i := range head {
		n += bits.OnesCount8(head[i] ^ b[i])
	}
	return n
}

// mendHeader reports whether a file header is the wanted one but for one bit.
func mendHeader(b, want []byte) bool {
	return len(b) == len(want) && !bytes.Equal(b, want) && distance(want, b) == 1
}
