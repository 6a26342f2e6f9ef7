// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// sector is the unit in which a disk keeps or loses a write, in bytes.
const sector = 512

// scan reads the frames that follow the header of a file of the given size and
// hands each to found, with its offset; mended says that one of its bits had
// changed. It returns the offset behind the last frame that can be read: less than
// size where a crash interrupted a write. Damage that no crash explains is an
// ErrDamaged, with the offset where it begins.
func (f frames) scan(file io.ReaderAt, size int64,
	found func(off int64, packed []byte, mended bool)) (end int64, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(file, headerSize, size-headerSize), 2*f.max())
	first := uint64(0)
	for end = headerSize; end < size; {
		b, err := in.Peek(frameHead)
		if n, ok := parseFrameHead(b, first); ok {
			b, err = in.Peek(f.len(n))
		}
		if err != nil && err != io.EOF {
			return end, fmt.Errorf("leaflog: read at offset %d: %w", end, err)
		}
		packed, _, ok := f.parse(b, first)
		length, mended := len(b), false
		if !ok {
			rest, err := in.Peek(int(min(size-end, int64(f.max()+1))))
			if err != nil {
				return end, fmt.Errorf("leaflog: read at offset %d: %w", end, err)
			}
			if f.torn(rest, end, first) {
				return end, nil
			}
			if packed, _, length, mended, ok = f.read(rest, first); !ok {
				return end, fmt.Errorf("%w: at offset %d (leaf %d)", ErrDamaged, end, first)
			}
		}
		found(end, packed, mended)
		first += uint64(f.count(packed))
		end += int64(length)
		if _, err := in.Discard(length); err != nil {
			return end, fmt.Errorf("leaflog: read at offset %d: %w", end, err)
		}
	}
	return end, nil
}

// torn tells an interrupted write from damage to something acknowledged. rest
// is the end of a file from offset off, where an intact frame with the leaf
// `first` should begin and does not.
//
// An interrupted write is the last frame of the file, and it is short, or some
// sectors of it never reached the disk and read as zeros. All else is damage:
// bits that changed later leave neither a short file nor a zero sector, and
// whatever has a frame behind it was once durable.
func (f frames) torn(rest []byte, off int64, first uint64) bool {
	if len(rest) > f.max() || f.inside(rest, first) {
		return false
	}
	if len(rest) < frameHead {
		return true
	}
	n, ok := parseFrameHead(rest, first)
	if ok && len(rest) < f.len(n) {
		return !f.whole(rest, first)
	}
	if ok && len(rest) > f.len(n) {
		return false
	}
	return lostSector(rest, off) && !f.whole(rest, first)
}

// whole reports whether rest is a complete frame in which only the head changed.
func (f frames) whole(rest []byte, first uint64) bool {
	n := (len(rest) - f.len(0)) / f.body
	if n < 1 || n > MaxBatch || len(rest) != f.len(n) {
		return false
	}
	end := len(rest) - 4
	crc := crc32.Update(f.sum, castagnoli, appendFrameHead(nil, first, n))
	return crc32.Update(crc, castagnoli,
		rest[frameHead:end]) == binary.LittleEndian.Uint32(rest[end:])
}

// inside reports whether an intact frame lies somewhere behind the start.
func (f frames) inside(rest []byte, first uint64) bool {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	for at := 1; ; at++ {
		i := bytes.Index(rest[min(at, len(rest)):], magic)
		if i < 0 {
			return false
		}
		at += i
		if len(rest)-at < frameHead {
			return false
		}
		begins := binary.LittleEndian.Uint64(rest[at+8:])
		if _, _, ok := f.parse(rest[at:], begins); ok && begins > first {
			return true
		}
	}
}

// lostSector reports whether rest, which lies at offset off of its file, has a
// sector, or its part of one, that is all zeros.
func lostSector(rest []byte, off int64) bool {
	for len(rest) > 0 {
		n := min(len(rest), sector-int(off%sector))
		if len(bytes.Trim(rest[:n], "\x00")) == 0 {
			return true
		}
		rest, off = rest[n:], off+int64(n)
	}
	return false
}
