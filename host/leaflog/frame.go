// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/assaynet/assay/poc/commit"
)

// File header, little-endian, 64 bytes:
//
//	magic 8 | epoch u64 | segment u32 | spec u8 | len(node) u8 | node 32, zero-padded | kind u8 | body u8 | 4 zero | CRC32C u32
//
// Kind and body are zero for transformer/1, which was alone when there were no other kinds.
//
// Frame:
//
//	magic u32 | bodies u32 | first u64 | bodies of one length | signature 64 | CRC32C u32 of file header and frame so far
const (
	fileMagic   = "ASAYLVS2"
	frameMagic  = 0x4653564c // "LVSF"
	headerSize  = 64
	frameHead   = 16
	MaxBatch    = 1000 // bodies in one Append
	frameTail   = 64 + 4
	headerNodes = 22 // offset of the node's name
	headerForm  = 54 // offset of kind and body
)

// Form is what all leaves of a log have in common.
type Form struct {
	Kind, Spec uint8 // as commit.Leaf has them
	Body       int   // bytes of a body, 1 to commit.MaxBody
}

// Transformer is the form of logs of transformer/1, by its class.
func Transformer(class uint8) Form { return Form{Kind: 1, Spec: class, Body: transformerBody} }

const transformerBody = 40

func (f Form) valid() error {
	l := commit.Leaf{Kind: f.Kind, Spec: f.Spec, Node: "n", Body: make([]byte, max(f.Body, 0))}
	if err := l.Valid(); err != nil {
		return fmt.Errorf("leaflog: kind %d, spec %d, bodies of %d bytes: %w",
			f.Kind, f.Spec, f.Body, err)
	}
	return nil
}

// leaf is a leaf of a log of this form.
func (f Form) leaf(node string, index uint64, body []byte) commit.Leaf {
	return commit.Leaf{Kind: f.Kind, Spec: f.Spec, Node: node, Index: index, Body: body}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHeader writes the file header of a log.
func appendHeader(dst []byte, key Key, form Form) []byte {
	start := len(dst)
	dst = append(dst, fileMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, key.Epoch)
	dst = binary.LittleEndian.AppendUint32(dst, key.Segment)
	dst = append(dst, form.Spec, byte(len(key.Node)))
	dst = append(dst, key.Node...)
	if form != Transformer(form.Spec) {
		dst = append(dst, make([]byte, headerForm-(len(dst)-start))...)
		dst = append(dst, form.Kind, byte(form.Body))
	}
	dst = append(dst, make([]byte, headerSize-4-(len(dst)-start))...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseHeader reads what appendHeader wrote, and nothing else.
func parseHeader(b []byte) (key Key, form Form, err error) {
	if len(b) < headerSize || string(b[:8]) != fileMagic {
		return Key{}, Form{}, fmt.Errorf("%w: not a leaf log", ErrDamaged)
	}
	n := int(b[21])
	if headerNodes+n > headerForm {
		return Key{}, Form{}, fmt.Errorf("%w: header", ErrDamaged)
	}
	key = Key{
		Epoch:   binary.LittleEndian.Uint64(b[8:]),
		Segment: binary.LittleEndian.Uint32(b[16:]),
		Node:    string(b[headerNodes : headerNodes+n]),
	}
	form = formOf(b)
	if commit.ValidNode(key.Node) != nil || form.valid() != nil ||
		!bytes.Equal(appendHeader(nil, key, form), b[:headerSize]) {
		return Key{}, Form{}, fmt.Errorf("%w: header", ErrDamaged)
	}
	return key, form, nil
}

// formOf reads the form out of a header, of which nothing else is known.
func formOf(header []byte) Form {
	if header[headerForm] == 0 && header[headerForm+1] == 0 {
		return Transformer(header[20])
	}
	return Form{Kind: header[headerForm], Spec: header[20], Body: int(header[headerForm+1])}
}

// frames is what the frames of one file have in common: their checksums start
// from that of the file header, and their bodies have one length.
type frames struct {
	sum  uint32
	body int
}

func framesOf(header []byte) frames {
	return frames{crc32.Checksum(header[:headerSize-4], castagnoli), formOf(header).Body}
}

// len is the length of a frame of so many bodies, max that of the longest one.
func (f frames) len(bodies int) int { return frameHead + bodies*f.body + frameTail }
func (f frames) max() int           { return f.len(MaxBatch) }

// count is how many bodies lie in packed ones.
func (f frames) count(packed []byte) int { return len(packed) / f.body }

// append writes one frame.
func (f frames) append(dst []byte, first uint64, packed []byte, sig *Signature) []byte {
	start := len(dst)
	dst = appendFrameHead(dst, first, f.count(packed))
	dst = append(dst, packed...)
	dst = append(dst, sig[:]...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Update(f.sum, castagnoli, dst[start:]))
}

func appendFrameHead(dst []byte, first uint64, records int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(records))
	return binary.LittleEndian.AppendUint64(dst, first)
}

// parseFrameHead returns the number of records a frame announces; ok is false
// where b does not begin a frame whose first leaf is `first`.
func parseFrameHead(b []byte, first uint64) (records int, ok bool) {
	if len(b) < frameHead || binary.LittleEndian.Uint32(b) != frameMagic ||
		binary.LittleEndian.Uint64(b[8:]) != first {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	return int(n), n >= 1 && n <= MaxBatch
}

// parse returns the packed bodies and the signature of the intact frame at the
// start of b whose first leaf is `first`.
func (f frames) parse(b []byte, first uint64) (packed []byte, sig Signature, ok bool) {
	n, ok := parseFrameHead(b, first)
	if !ok || len(b) < f.len(n) {
		return nil, sig, false
	}
	end := f.len(n) - 4
	if crc32.Update(f.sum, castagnoli, b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, sig, false
	}
	packed, tail := b[frameHead:f.len(n)-frameTail], b[f.len(n)-frameTail:end]
	return packed, Signature(tail), true
}
