// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/record"
)

// ErrLeaf reports bytes that are not a canonical leaf, or a node id that is
// not one.
var ErrLeaf = errors.New("commit: malformed leaf")

const (
	leafVersion     = 1
	kindTransformer = 1
	maxNode         = 32
	// MaxLeafSize is the length in bytes of the longest canonical leaf.
	MaxLeafSize = 3 + 1 + maxNode + 8 + record.Size
)

// Leaf is one artefact of transformer/1: that a node, for the unit numbered
// Index, ended with this norm and digest. In a log, leaf i has Index i.
//
// Canonical form, little-endian:
//
//	0x01 version | 0x01 kind | class | len(node) | node | index u64 | record 40 bytes
type Leaf struct {
	Class uint8  // transformer.Class.ID, never 0
	Node  string // see ValidNode
	Index uint64 // nonce, at most MaxSize-1
	record.Record
}

// ValidNode tells whether id may name a node: 1 to 32 characters of a-z, 0-9
// and '-'. Errors wrap ErrLeaf.
func ValidNode(id string) error {
	if len(id) == 0 || len(id) > maxNode {
		return fmt.Errorf("%w: node id of %d characters, want 1 to %d", ErrLeaf, len(id), maxNode)
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%w: node id has a character other than a-z, 0-9 and '-'", ErrLeaf)
		}
	}
	return nil
}

// Valid tells whether the leaf has a canonical form. Errors wrap ErrLeaf.
func (l Leaf) Valid() error {
	if l.Class == 0 {
		return fmt.Errorf("%w: class 0", ErrLeaf)
	}
	if l.Index >= MaxSize {
		return fmt.Errorf("%w: index %d", ErrLeaf, l.Index)
	}
	return ValidNode(l.Node)
}

// Append appends the canonical form to dst. It is defined for valid leaves
// only: of a node id that is too long, ParseLeaf refuses what Append writes.
func (l Leaf) Append(dst []byte) []byte {
	dst = append(dst, leafVersion, kindTransformer, l.Class, byte(min(len(l.Node), 255)))
	dst = append(dst, l.Node...)
	dst = binary.LittleEndian.AppendUint64(dst, l.Index)
	return l.Record.Append(dst)
}

// Hash returns the leaf's hash in its log. It allocates nothing.
func (l Leaf) Hash() Hash {
	var buf [MaxLeafSize]byte
	return LeafHash(l.Append(buf[:0]))
}

// ParseLeaf reads exactly one canonical leaf: for every b it accepts,
// appending the result gives b again. Errors wrap ErrLeaf.
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) < 4 {
		return Leaf{}, fmt.Errorf("%w: %d bytes", ErrLeaf, len(b))
	}
	if b[0] != leafVersion || b[1] != kindTransformer {
		return Leaf{}, fmt.Errorf("%w: version %d, kind %d", ErrLeaf, b[0], b[1])
	}
	n := int(b[3])
	if want := 4 + n + 8 + record.Size; len(b) != want {
		return Leaf{}, fmt.Errorf("%w: %d bytes, want %d", ErrLeaf, len(b), want)
	}
	l := Leaf{
		Class:  b[2],
		Node:   string(b[4 : 4+n]),
		Index:  binary.LittleEndian.Uint64(b[4+n:]),
		Record: record.At(b[12+n:], 0),
	}
	if err := l.Valid(); err != nil {
		return Leaf{}, err
	}
	return l, nil
}
