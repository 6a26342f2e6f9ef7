// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrLeaf reports bytes that are not a canonical leaf, or a node id that is
// not one.
var ErrLeaf = errors.New("commit: malformed leaf")

const (
	maxNode = 32
	// MaxBody is the length in bytes of the longest body of a leaf.
	MaxBody = 64
	// MaxLeafSize is the length in bytes of the longest canonical leaf.
	MaxLeafSize = 3 + 1 + maxNode + 8 + MaxBody
)

// The first kinds of work have forms of their own, from before bodies were opaque.
const (
	kindFirst = 1  // transformer/1: version 1 of the leaf, whose body is firstBody bytes (spec C-8)
	kindLoop  = 2  // matmul/1: the leaf of a loop, which package mpoc writes (spec C-9)
	firstBody = 40 // package record reads them
)

// Leaf says that a node, for the unit numbered Index of a kind of work, got this
// body. In a log, leaf i has Index i. What a body means is its kind's: a log
// keeps it, and nothing here looks into it.
//
// Canonical form, little-endian:
//
//	version | kind | spec | len(node) | node | index u64 | body
//
// The version is 1 for kind 1, whose bodies have 40 bytes, and 2 for kinds from 3
// on (spec C-17). Kind 2 has another form (package mpoc).
type Leaf struct {
	Kind  uint8  // work.Spec.Kind, never 0 or 2
	Spec  uint8  // work.Spec.ID, never 0
	Node  string // see ValidNode
	Index uint64 // at most MaxSize-1
	Body  []byte // 1 to MaxBody bytes; the leaf does not own them
}

// ValidNode reports whether id may name a node: 1 to 32 characters of a-z, 0-9
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

func (l Leaf) version() byte {
	if l.Kind == kindFirst {
		return 1
	}
	return 2
}

// Valid reports whether the leaf has a canonical form. Errors wrap ErrLeaf.
func (l Leaf) Valid() error {
	switch {
	case l.Kind == 0 || l.Kind == kindLoop:
		return fmt.Errorf("%w: kind %d", ErrLeaf, l.Kind)
	case l.Spec == 0:
		return fmt.Errorf("%w: class 0", ErrLeaf)
	case l.Index >= MaxSize:
		return fmt.Errorf("%w: index %d", ErrLeaf, l.Index)
	case l.Kind == kindFirst && len(l.Body) != firstBody, len(l.Body) == 0, len(l.Body) > MaxBody:
		return fmt.Errorf("%w: body of %d bytes", ErrLeaf, len(l.Body))
	}
	return ValidNode(l.Node)
}

// Append appends the canonical form to dst. It is defined for valid leaves
// only: of a node id that is too long, ParseLeaf refuses what Append writes.
func (l Leaf) Append(dst []byte) []byte {
	dst = append(dst, l.version(), l.Kind, l.Spec, byte(min(len(l.Node), 255)))
	dst = append(dst, l.Node...)
	dst = binary.LittleEndian.AppendUint64(dst, l.Index)
	return append(dst, l.Body...)
}

// Hash returns the leaf's hash in its log. It allocates nothing.
func (l Leaf) Hash() Hash {
	var buf [MaxLeafSize]byte
	return LeafHash(l.Append(buf[:0]))
}

// ParseLeaf reads exactly one canonical leaf: for every b it accepts,
// appending the result gives b again. Its body is part of b. Errors wrap ErrLeaf.
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) < 4 {
		return Leaf{}, fmt.Errorf("%w: %d bytes", ErrLeaf, len(b))
	}
	n := int(b[3])
	if len(b) < 4+n+8 {
		return Leaf{}, fmt.Errorf("%w: %d bytes", ErrLeaf, len(b))
	}
	l := Leaf{
		Kind:  b[1],
		Spec:  b[2],
		Node:  string(b[4 : 4+n]),
		Index: binary.LittleEndian.Uint64(b[4+n:]),
		Body:  b[4+n+8:],
	}
	if b[0] != l.version() {
		return Leaf{}, fmt.Errorf("%w: version %d, kind %d", ErrLeaf, b[0], b[1])
	}
	if err := l.Valid(); err != nil {
		return Leaf{}, err
	}
	return l, nil
}
