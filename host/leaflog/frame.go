// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
)

// File header, little-endian, 64 bytes:
//
//	magic 8 | epoch u64 | segment u32 | class u8 | len(node) u8 | node 32, zero-padded | 6 zero | CRC32C u32
//
// Frame:
//
//	magic u32 | records u32 | first u64 | records of 40 bytes | signature 64 | CRC32C u32 of file header and frame so far
const (
	fileMagic   = "ASAYLVS2"
	frameMagic  = 0x4653564c // "LVSF"
	headerSize  = 64
	frameHead   = 16
	MaxBatch    = 1000 // records in one Append
	frameTail   = 64 + 4
	maxFrame    = frameHead + MaxBatch*record.Size + frameTail
	headerNodes = 22 // offset of the node's name
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHeader writes the file header of a log.
func appendHeader(dst []byte, key Key, class uint8) []byte {
	start := len(dst)
	dst = append(dst, fileMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, key.Epoch)
	dst = binary.LittleEndian.AppendUint32(dst, key.Segment)
	dst = append(dst, class, byte(len(key.Node)))
	dst = append(dst, key.Node...)
	dst = append(dst, make([]byte, headerSize-4-(len(dst)-start))...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseHeader reads what appendHeader wrote, and nothing else.
func parseHeader(b []byte) (key Key, class uint8, err error) {
	if len(b) < headerSize || string(b[:8]) != fileMagic {
		return Key{}, 0, fmt.Errorf("%w: not a leaf log", ErrDamaged)
	}
	n := int(b[21])
	if headerNodes+n > headerSize-4 {
		return Key{}, 0, fmt.Errorf("%w: header", ErrDamaged)
	}
	key = Key{
		Epoch:   binary.LittleEndian.Uint64(b[8:]),
		Segment: binary.LittleEndian.Uint32(b[16:]),
		Node:    string(b[headerNodes : headerNodes+n]),
	}
	class = b[20]
	if commit.ValidNode(key.Node) != nil || class == 0 || !bytes.Equal(appendHeader(nil, key, class), b[:headerSize]) {
		return Key{}, 0, fmt.Errorf("%w: header", ErrDamaged)
	}
	return key, class, nil
}

// frameSum starts every frame's checksum: that of the file header.
func frameSum(header []byte) uint32 { return crc32.Checksum(header[:headerSize-4], castagnoli) }

func frameLen(records int) int { return frameHead + records*record.Size + frameTail }

// appendFrame writes one frame.
func appendFrame(dst []byte, sum uint32, first uint64, recs []record.Record, sig *Signature) []byte {
	start := len(dst)
	dst = appendFrameHead(dst, first, len(recs))
	for i := range recs {
		dst = recs[i].Append(dst)
	}
	dst = append(dst, sig[:]...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Update(sum, castagnoli, dst[start:]))
}

func appendFrameHead(dst []byte, first uint64, records int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(records))
	return binary.LittleEndian.AppendUint64(dst, first)
}

// parseFrameHead returns the number of records a frame announces; ok is false
// where b does not begin a frame whose first leaf is `first`.
func parseFrameHead(b []byte, first uint64) (records int, ok bool) {
	if len(b) < frameHead || binary.LittleEndian.Uint32(b) != frameMagic || binary.LittleEndian.Uint64(b[8:]) != first {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	return int(n), n >= 1 && n <= MaxBatch
}

// parseFrame returns the packed records and the signature of the intact frame at
// the start of b whose first leaf is `first`.
func parseFrame(b []byte, sum uint32, first uint64) (records []byte, sig Signature, ok bool) {
	n, ok := parseFrameHead(b, first)
	if !ok || len(b) < frameLen(n) {
		return nil, sig, false
	}
	end := frameLen(n) - 4
	if crc32.Update(sum, castagnoli, b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, sig, false
	}
	records, tail := b[frameHead:frameLen(n)-frameTail], b[frameLen(n)-frameTail:end]
	return records, Signature(tail), true
}
