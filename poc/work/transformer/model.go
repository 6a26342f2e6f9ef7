// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/quad"
)

// ErrRun reports a call of Run whose slices do not fit each other.
var ErrRun = errors.New("transformer: malformed run")

// Output is the result of one unit: its record, and what its record does not show.
type Output struct {
	record.Record
	Middle [32]byte // the digest rule over the state before the last layer
}

// OutputSize is the length in bytes of an output's canonical form: the record and the middle
// digest.
const OutputSize = record.Size + 32

// Append appends the output's OutputSize bytes.
func (o Output) Append(dst []byte) []byte { return append(o.Record.Append(dst), o.Middle[:]...) }

// OutputAt reads the i-th of outputs that follow each other. There must be so many.
func OutputAt(packed []byte, i int) Output {
	b := packed[i*OutputSize:][:OutputSize]
	return Output{Record: record.At(b, 0), Middle: [32]byte(b[record.Size:])}
}

// Model computes units with the weights of one epoch. Run is safe for
// concurrent use. A model that holds a device's memory is also an io.Closer.
type Model interface {
	Class() Class
	// Run computes the units of a node in a segment; dst[i] belongs to
	// nonces[i] and len(dst) == len(nonces). On an error dst is undefined.
	Run(dst []Output, node, segment seed.Seed, nonces []uint64) error
}

// ReferenceModel is the definition of transformer/1: plain Go, integers only.
type ReferenceModel struct {
	class  Class
	embed  prf.Key
	layers []layer
}

// layer holds the expanded matrices by id, rows are outputs.
type layer [matrices][]int8

// Build expands the weights of a class from Sprint_Seed_1. It runs on the
// caller's goroutine at the speed of the prf, holds WeightBytes of memory (8
// GiB for large) and can be cancelled. progress, if not nil, is called after
// every matrix with bytes. Errors wrap ErrClass or are the context's.
func Build(ctx context.Context, class Class, seed1 seed.Seed,
	progress func(done, total uint64)) (*ReferenceModel, error) {
	if err := class.Valid(); err != nil {
		return nil, err
	}
	m := &ReferenceModel{
		class:  class,
		embed:  prf.Key(seed.Embed(seed1, class.Name)),
		layers: make([]layer, class.Layers),
	}
	key := prf.Key(seed.Weights(seed1, class.Name))
	done := uint64(0)
	for l := range m.layers {
		for id := range matrices {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("transformer: building %s: %w", class.Name, err)
			}
			rows, cols := class.Matrix(id)
			w := make([]int8, rows*cols)
			Weights(w, &key, l, id, 0)
			m.layers[l][id] = w
			done += uint64(len(w))
			if progress != nil {
				progress(done, class.WeightBytes())
			}
		}
	}
	return m, nil
}

// Class returns the model's class.
func (m *ReferenceModel) Class() Class { return m.class }

// Run computes units one after the other on the caller's goroutine; see Model.
// Errors wrap ErrRun.
func (m *ReferenceModel) Run(dst []Output, node, segment seed.Seed, nonces []uint64) error {
	if len(dst) != len(nonces) {
		return fmt.Errorf("%w: %d outputs for %d nonces", ErrRun, len(dst), len(nonces))
	}
	if len(nonces) == 0 {
		return nil
	}
	s := newScratch(m.class)
	for i, nonce := range nonces {
		m.unit(&dst[i], s, seed.Input(node, segment, nonce))
	}
	return nil
}

// scratch is the working memory of one Run: activations of four positions.
type scratch struct {
	h             []int32 // 4 x d, the residual stream
	x, q, k, v, o []int8  // 4 x d
	g, u          []int8  // 4 x 4d
	acc           []int32 // 4 x 4d, results of a product
	packed        []int64 // 2 x 4d, inputs of a product, two positions in each
	words         []uint32
}

func newScratch(c Class) *scratch {
	narrow := make([]int8, 5*Tokens*c.D)
	wide := make([]int8, 2*Tokens*c.FF)
	cut := func(from *[]int8, n int) []int8 {
		s := (*from)[:n:n]
		*from = (*from)[n:]
		return s
	}
	n, w := Tokens*c.D, Tokens*c.FF
	return &scratch{
		h: make([]int32, n),
		x: cut(&narrow, n), q: cut(&narrow, n), k: cut(&narrow, n), v: cut(&narrow, n),
		o: cut(&narrow, n),
		g: cut(&wide, w), u: cut(&wide, w),
		acc:    make([]int32, w),
		packed: make([]int64, 2*c.FF),
		words:  make([]uint32, c.Words()),
	}
}

// unit is the specification's main loop for one input.
func (m *ReferenceModel) unit(out *Output, s *scratch, input seed.Seed) {
	c := m.class
	narrow, wide := s.acc[:Tokens*c.D], s.acc[:Tokens*c.FF]
	Embed(s.h, &m.embed, input)
	for l := range m.layers {
		w := &m.layers[l]
		if l == c.Layers-1 {
			Condense(s.words, s.h)
			out.Middle = c.MiddleDigest(s.words)
		}
		Norm(s.x, s.h)
		pack(s.packed, s.x, c.D)
		for id, dst := range [...][]int8{Query: s.q, Key: s.k, Value: s.v} {
			product(narrow, w[id], s.packed, c.D, c.D)
			Requant(dst, narrow, c.D)
		}
		Attend(s.o, s.q, s.k, s.v)
		pack(s.packed, s.o, c.D)
		product(narrow, w[Out], s.packed, c.D, c.D)
		Residual(s.h, narrow, c.D)

		Norm(s.x, s.h)
		pack(s.packed, s.x, c.D)
		product(wide, w[Gating], s.packed, c.FF, c.D)
		Requant(s.g, wide, c.D)
		product(wide, w[Up], s.packed, c.FF, c.D)
		Requant(s.u, wide, c.D)
		c.Gate(s.g, s.g, s.u)
		pack(s.packed, s.g, c.FF)
		product(narrow, w[Down], s.packed, c.D, c.FF)
		Residual(s.h, narrow, c.FF)
	}
	Condense(s.words, s.h)
	out.Digest = c.Digest(s.words)
	out.Norm = SquaredNorm(s.h)
}

// pack prepares the four positions of x (4 x k) for product.
func pack(dst []int64, x []int8, k int) {
	quad.Pack(dst, x[:k], x[k:2*k], x[2*k:3*k], x[3*k:4*k])
}

// product computes acc[t][n] = sum_i w[n][i]*x[t][i] for the four packed
// positions: w is n x k, acc is 4 x n. |sum| <= 127^2 * k < 2^29.
func product(acc []int32, w []int8, packed []int64, n, k int) {
	a0, a1, a2, a3 := acc[:n], acc[n:][:n], acc[2*n:][:n], acc[3*n:][:n]
	for row := range n {
		a0[row], a1[row], a2[row], a3[row] = quad.Dot(w[row*k:][:k], packed[:2*k])
	}
}
