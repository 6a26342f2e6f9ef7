// SPDX-License-Identifier: Apache-2.0

package poc

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// ErrAnchor reports a document that is sound by itself, and not about the epoch that the reader
// knows.
var ErrAnchor = errors.New("poc: not what the chain holds")

// ErrNothing reports a document that proves nothing: its host's word, without evidence.
var ErrNothing = errors.New("leaves: the file holds no evidence")

// Document is a file that proves something to anyone who has it. The concrete types of this package
// have its fields.
type Document interface {
	// Kind says what it is about.
	Kind() Kind
	// Cost says what Verify is going to compute. A document says itself how much that is, and comes
	// from anybody: compare it with what you are willing to spend first (spec F-20).
	Cost() Cost
	// Verify checks every signature, path and draw, and recomputes what the document calls right or
	// wrong. A nil engine is the plain definition. An error says why the claim is not shown; the
	// report is of use beside it only where it names who cheated. Errors that wrap ErrAnchor come
	// from Options, those of ctx and of the engine say nothing of the document.
	Verify(ctx context.Context, engine work.Engine, o Options) (Report, error)
}

// Anchor is what a chain keeps of an epoch for ever.
type Anchor = evidence.Anchor

// Options are what the reader knows beside the document. The zero value is nothing.
type Options struct {
	// Anchor is of the document's epoch and segment, from a source that the reader trusts: a node,
	// or a proof under a block hash as package verify/state reads it. Evidence is held against all
	// of it, leaves between a machine and its host against the chain, the class and the seeds. A
	// chain knows nothing of loops, so with their documents it is refused.
	Anchor *Anchor
	// Kinds are the kinds of work that documents on the leaves of a machine may be about; nil is
	// the network's, work.Kinds(). Add what is yours to that. Evidence is of transformer/1, loops
	// are of matmul/1.
	Kinds work.Table
}

// Report is what a document shows.
type Report struct {
	Kind  Kind
	Claim string // the document's own word: "forged", "received", "rejected", "two-draws", ...
	// Proven is false where the claim is about somebody whose key, or about an epoch whose seeds,
	// are the document's word. Then it holds by itself and convicts nobody until what Assumed lists
	// is known from elsewhere. Claims about the keys in a document are proven without that: whose
	// keys they are is for the reader to know.
	Proven bool
	Proves string // one sentence
	// Assumed lists what was taken from the document and nothing in it shows.
	Assumed []string
	// Unbound is set for evidence of version 1: no signature binds its seeds, so nothing can make
	// it proven.
	Unbound bool

	Accused string // key of who is shown to have cheated, as the document spells it
	Host    bool   // it is the host; else a device

	// Of a document that calls work wrong: the number that was checked, of those that were shown to
	// be wrong; the first of these, as signed and as the work gives it.
	Checked, Wrong int
	Leaf           uint64
	Got, Want      string

	Cost Cost // what was computed
}

// Cost is what checking a document computes.
type Cost struct {
	Work  string // kind of work, as "transformer/1"; "" where nothing is recomputed
	Spec  string // its class or shape
	Units int    // whole units
	Tiles int    // and single tiles of others
	// Plain is set where the definition computes, whatever the engine: all that accuses is decided
	// by it.
	Plain  bool
	Ops    uint64 // integer operations of that
	Memory uint64 // bytes that the work takes at once, apart from the program's own
}

// unitsOf is the cost of units of a class. An unknown one costs nothing: it is refused.
func unitsOf(kinds work.Table, class string, n int, plain bool) Cost {
	kind, spec, err := kinds.Find(class)
	if err != nil {
		return Cost{}
	}
	price := kind.Price(spec)
	return Cost{Work: kind.Name(), Spec: class, Units: n, Plain: plain, Ops: price.Ops * uint64(n),
		Memory: price.Memory}
}

// productsOf is the cost of tiles and whole products.
func productsOf(shape matmul.Shape, tiles, whole int) Cost {
	if shape.Valid() != nil || tiles+whole == 0 {
		return Cost{}
	}
	return Cost{Work: work.Matmul.Name(), Spec: shape.String(), Units: whole,
		Tiles: tiles, Plain: true,
		Ops: shape.Ops()*uint64(whole) + shape.Ops()/uint64(shape.Tiles())*uint64(tiles)}
}

// at holds what a document says of its epoch against what the reader knows.
func (o Options) at(says Anchor) error {
	if o.Anchor == nil {
		return nil
	}
	if what := says.Difference(*o.Anchor); what != "" {
		return fmt.Errorf("%w: %s", ErrAnchor, what)
	}
	return nil
}

// noChain refuses an anchor with a document that no chain knows.
func (o Options) noChain() error {
	if o.Anchor != nil {
		return fmt.Errorf("%w: a chain does not know challenges between a host and its machines",
			ErrAnchor)
	}
	return nil
}

// or is the engine, or the definition.
func or(engine work.Engine) work.Engine {
	if engine == nil {
		return work.Reference()
	}
	return engine
}
