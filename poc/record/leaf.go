// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"

	"github.com/assaynet/assay/poc/commit"
)

// Kind is the number of transformer/1 in leaves.
const Kind = 1

// Leaf is a leaf of transformer/1, with its body read: that a node, for the unit
// numbered Index, ended with this norm and digest.
type Leaf struct {
	Class uint8  // transformer.Class.ID, never 0
	Node  string // see commit.ValidNode
	Index uint64 // nonce, at most commit.MaxSize-1
	Record
}

// in is the leaf as a log has it, with its body in buf.
func (l Leaf) in(buf *[Size]byte) commit.Leaf {
	return commit.Leaf{Kind: Kind, Spec: l.Class, Node: l.Node, Index: l.Index,
		Body: l.Record.Append(buf[:0])}
}

// Valid reports whether the leaf has a canonical form. Errors wrap commit.ErrLeaf.
func (l Leaf) Valid() error { return l.in(new([Size]byte)).Valid() }

// Append appends the canonical form to dst, as commit.Leaf has it.
func (l Leaf) Append(dst []byte) []byte { return l.in(new([Size]byte)).Append(dst) }

// Hash returns the leaf's hash in its log. It allocates nothing.
func (l Leaf) Hash() commit.Hash { return l.in(new([Size]byte)).Hash() }

// ParseLeaf reads exactly one canonical leaf of transformer/1. Errors wrap
// commit.ErrLeaf.
func ParseLeaf(b []byte) (Leaf, error) {
	l, err := commit.ParseLeaf(b)
	if err == nil && l.Kind != Kind {
		err = fmt.Errorf("%w: kind %d", commit.ErrLeaf, l.Kind)
	}
	if err != nil {
		return Leaf{}, err
	}
	return Leaf{Class: l.Spec, Node: l.Node, Index: l.Index, Record: At(l.Body, 0)}, nil
}
