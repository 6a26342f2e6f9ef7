// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/assaynet/assay/poc/record"
)

// sector is the unit in which a disk keeps or loses a write, in bytes.
const sector = 512

// scan reads the frames that follow the header of a file of the given size and
// hands each to found, with its offset; mended says that one of its bits had
// changed. It returns the offset behind the last frame that can be read: less than
// size where a crash interrupted a write. Damage that no crash explains is an
// ErrDamaged, with the offset where it begins.
func scan(file io.ReaderAt, size int64, sum uint32, found func(off int64, first uint64, records []byte, mended bool)) (end int64, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(file, headerSize, size-headerSize), 2*maxFrame)
	first := uint64(0)
	for end = headerSize; end < size; {
		b, err := in.Peek(frameHead)
		if n, ok := parseFrameHead(b, first); ok {
			b, err = in.Peek(frameLen(n))
		}
		if err != nil && err != io.EOF {
			return end, fmt.Errorf("leaflog: read at offset %d: %w", end, err)
		}
		records, _, ok := parseFrame(b, sum, first)
		length, mended := len(b), false
		if !ok {
			rest, err := in.Peek(int(min(size-end, maxFrame+1)))
			if err != nil {
				return end, fmt.Errorf("leaflog: read at offset %d: %w", end, err)
			}
			if torn(rest, end, sum, first) {
				return end, nil
			}
			if records, _, length, mended, ok = readFrame(rest, sum, first); !ok {
				return end, fmt.Errorf("%w: at offset %d (leaf %d)", ErrDamaged, end, first)
			}
		}
		found(end, first, records, mended)
		first += uint64(len(records) / record.Size)
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
func torn(rest []byte, off int64, sum uint32, first uint64) bool {
	if len(rest) > maxFrame || frameInside(rest, sum, first) {
		return false
	}
	if len(rest) < frameHead {
		return true
	}
	n, ok := parseFrameHead(rest, first)
	if ok && len(rest) < frameLen(n) {
		return !whole(rest, sum, first)
	}
	if ok && len(rest) > frameLen(n) {
		return false
	}
	return lostSector(rest, off) && !whole(rest, sum, first)
}

// whole reports whether rest is a complete frame in which only the head changed.
func whole(rest []byte, sum uint32, first uint64) bool {
	n := (len(rest) - frameLen(0)) / record.Size
	if n < 1 || n > MaxBatch || len(rest) != frameLen(n) {
		return false
	}
	end := len(rest) - 4
	crc := crc32.Update(sum, castagnoli, appendFrameHead(nil, first, n))
	return crc32.Update(crc, castagnoli, rest[frameHead:end]) == binary.LittleEndian.Uint32(rest[end:])
}

// frameInside reports whether an intact frame lies somewhere behind the start.
func frameInside(rest []byte, sum uint32, first uint64) bool {
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
		if _, _, ok := parseFrame(rest[at:], sum, begins); ok && begins > first {
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
