// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
	"github.com/assaynet/assay/poc/work/transformer"
)

// batch is the number of nonces whose positions fill a strip.
const batch = strip / transformer.Tokens

// perLayer is the number of matrices of a layer.
const perLayer = transformer.Down + 1

// model is an epoch's weights, packed for the product as bytes. An instruction
// set that wants them wider widens them panel by panel when they are used: that
// costs a hundredth of the product over a full strip, and half the memory.
type model struct {
	set    *set
	class  transformer.Class
	embed  prf.Key
	layers [][perLayer]rightPanels
	exp2   [256]uint16
	spaces sync.Pool // of *batchSpace
}

// buildModel expands the weights on all cores.
func (e *engine) buildModel(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (*model, error) {
	if err := class.Valid(); err != nil {
		return nil, err
	}
	m := &model{
		set:    e.set,
		class:  class,
		embed:  prf.Key(seed.Embed(seed1, class.Name)),
		layers: make([][perLayer]rightPanels, class.Layers),
		exp2:   transformer.Exp2(),
	}
	m.spaces.New = func() any { return newBatchSpace(e.set, class) }
	key := prf.Key(seed.Weights(seed1, class.Name))
	done := uint64(0)
	for l := range m.layers {
		for id := range m.layers[l] {
			w := &m.layers[l][id]
			n, k := class.Matrix(id)
			w.reset(e.set, n, k, 4)
			err := parallel(ctx, w.panels(), func(i int) {
				// Rows of the matrix, columns of B, follow each other in one stream.
				s := e.workspaces.Get().(*workspace)
				streams, row := s.streams[:16*e.set.tileCols], uint64(k/prf.BlockSize)
				first := position{nonce: uint64(l)*8 + uint64(id),
					block: uint64(i*e.set.tileCols) * row}
				e.set.start(streams, &key, first, position{block: row})
				w.expand(i, streams, e.set.expandWeights)
				e.workspaces.Put(s)
			})
			if err != nil {
				return nil, fmt.Errorf("cpu: building %s: %w", class.Name, err)
			}
			done += uint64(n) * uint64(k)
			if progress != nil {
				progress(done, class.WeightBytes())
			}
		}
	}
	return m, nil
}

func (m *model) Class() transformer.Class { return m.class }

// Run computes units on the caller's goroutine, up to 48 at a time: full
// batches are what makes it fast.
func (m *model) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	if len(dst) != len(nonces) {
		return fmt.Errorf("%w: %d outputs for %d nonces", transformer.ErrRun, len(dst), len(nonces))
	}
	s := m.spaces.Get().(*batchSpace)
	defer m.spaces.Put(s)
	for at := 0; at < len(nonces); at += batch {
		n := min(batch, len(nonces)-at)
		for i, nonce := range nonces[at : at+n] {
			transformer.Embed(s.h[i*transformer.Tokens*m.class.D:][:transformer.Tokens*m.class.D],
				&m.embed, seed.Input(node, segment, nonce))
		}
		m.batch(s, dst[at:at+n])
	}
	return nil
}

// batchSpace is the working memory of one batch. Rows are positions, four to a
// nonce. Activations have room for a whole strip: what lies above the batch is
// multiplied at most to the end of a register tile, and never read.
type batchSpace struct {
	h             []int32 // rows x d, the residual stream
	x, q, k, v, o []int8  // rows x d
	g, u          []int8  // rows x 4d
	logits        [transformer.Tokens][transformer.Tokens]int32
	a             leftPanels
	room          []uint32 // for packing a
	b             []uint32 // a widened panel of weights
	c             []int32  // results: panels of tileCols outputs, in them rows
	words         []uint32
}

func newBatchSpace(set *set, class transformer.Class) *batchSpace {
	narrow := func(n int) []int8 { return make([]int8, strip*n) }
	return &batchSpace{
		h: make([]int32, strip*class.D),
		x: narrow(class.D), q: narrow(class.D), k: narrow(class.D), v: narrow(class.D),
		o: narrow(class.D),
		g: narrow(class.FF), u: narrow(class.FF),
		room:  set.room(),
		b:     make([]uint32, set.depth*set.tileCols/set.per),
		c:     make([]int32, strip*class.FF),
		words: make([]uint32, class.Words()),
	}
}

// batch is the specification's main loop for the inputs whose embeddings are in
// h; compare ReferenceModel.
func (m *model) batch(s *batchSpace, dst []transformer.Output) {
	c, rows := m.class, transformer.Tokens*len(dst)
	for l := range m.layers {
		w := &m.layers[l]
		if l == c.Layers-1 {
			for i := range dst {
				m.condense(s, i)
				dst[i].Middle = c.MiddleDigest(s.words)
			}
		}
		m.norm(s, rows)
		m.pack(s, s.x, rows, c.D)
		m.narrow(s, s.q, &w[transformer.Query], rows)
		m.narrow(s, s.k, &w[transformer.Key], rows)
		m.narrow(s, s.v, &w[transformer.Value], rows)
		for i := range dst {
			m.attend(s, i*transformer.Tokens*c.D)
		}
		m.pack(s, s.o, rows, c.D)
		m.residual(s, &w[transformer.Out], rows)

		m.norm(s, rows)
		m.pack(s, s.x, rows, c.D)
		m.narrow(s, s.g, &w[transformer.Gating], rows)
		m.narrow(s, s.u, &w[transformer.Up], rows)
		shift := c.GateShift()
		m.set.gate(&s.g[0], &s.g[0], &s.u[0], rows*c.FF, 1<<(shift-1), int(shift))
		m.pack(s, s.g, rows, c.FF)
		m.residual(s, &w[transformer.Down], rows)
	}
	for i := range dst {
		m.condense(s, i)
		dst[i].Digest = c.Digest(s.words)
		last := s.h[(transformer.Tokens*(i+1)-1)*c.D:]
		dst[i].Norm = m.set.squares(&last[0], c.D)
	}
}

// pack prepares rows of activations, k wide, as the left factor.
func (m *model) pack(s *batchSpace, x []int8, rows, k int) {
	s.a.reset(m.set, rows, k)
	s.a.pack(x, s.room)
}

// multiply computes the product of what was packed with a matrix and gives each
// panel of results, [rows][tileCols], to use.
func (m *model) multiply(s *batchSpace, w *rightPanels, rows int, use func(panel int, c *int32)) {
	set := m.set
	room := roundUp(rows, set.tileRows) * set.tileCols
	for from := 0; from < w.k; from += set.depth {
		for i := range w.panels() {
			b := &w.panel(i, from)[0]
			if set.widen != nil {
				set.widen(&s.b[0], b, w.deep(from))
				b = &s.b[0]
			}
			c := s.c[i*room:][:room]
			s.a.product(c, set.tileCols, 0, rows, from, b)
			if from+set.depth >= w.k {
				use(i, &c[0])
			}
		}
	}
}

// narrow multiplies into int8.
func (m *model) narrow(s *batchSpace, dst []int8, w *rightPanels, rows int) {
	shift := transformer.Shift(w.k)
	m.multiply(s, w, rows, func(panel int, c *int32) {
		m.set.requant(&dst[m.set.tileCols*panel], w.cols, c, rows, 1<<(shift-1), int(shift))
	})
}

// residual multiplies onto the residual stream.
func (m *model) residual(s *batchSpace, w *rightPanels, rows int) {
	shift := transformer.Shift(w.k) - transformer.ResidualScale
	m.multiply(s, w, rows, func(panel int, c *int32) {
		m.set.residual(&s.h[m.set.tileCols*panel], 4*w.cols, c, rows, 1<<(shift-1), int(shift),
			transformer.MaxResidual)
	})
}

// condense makes the words of a nonce's four vectors.
func (m *model) condense(s *batchSpace, i int) {
	h := &s.h[i*transformer.Tokens*m.class.D]
	m.set.condense(&s.words[0], h, len(s.words), 4*condense.Width, 0, condense.Width)
}

// norm writes 32*h/rms(h) of each row to x.
func (m *model) norm(s *batchSpace, rows int) {
	d := m.class.D
	for row := range rows {
		h := &s.h[row*d]
		ss := m.set.squares(h, d)
		inv, e := recip(max(1, isqrt(ss>>bits.TrailingZeros(uint(d))<<16)))
		round, bias, shift := scaling(17 + e)
		m.set.scale(&s.x[row*d], h, d, inv, round, bias, shift)
	}
}

// attend computes the attention of one nonce, whose rows start at element at.
func (m *model) attend(s *batchSpace, at int) {
	d := m.class.D
	for head := at; head < at+d; head += transformer.HeadDim {
		m.set.scores(&s.logits, &s.q[head], &s.k[head], d)
		for i := range s.logits {
			e := s.logits[i][:i+1]
			highest := int32(0) // the sink
			for _, y := range e {
				highest = max(highest, y)
			}
			sum := m.expWeight(highest)
			for j, y := range e {
				w := m.expWeight(highest - y)
				e[j] = int32(w)
				sum += w
			}
			inv, b := recip(sum)
			round, bias, shift := scaling(30 + b)
			m.set.mix(&s.o[head+i*d], &s.v[head], d, &e[0], i+1, inv, round, bias, shift)
		}
	}
}

// expWeight is 65535 * 2^(-below/4096) from the table, for below >= 0.
func (m *model) expWeight(below int32) uint32 {
	n := min(below>>4, 4095)
	return uint32(m.exp2[n&255] >> (n >> 8))
}

// recip is the specification's reciprocal: inv / 2^(30+e), for r >= 1.
func recip(r uint32) (inv, e uint64) {
	e = uint64(bits.Len32(r))
	return min(1<<(30+e)/uint64(r), 1<<31-1), e
}

// isqrt is the floor of the square root. A float's is off by one at most.
func isqrt(x uint64) uint32 {
	r := min(uint64(math.Sqrt(float64(x))), 1<<32-1)
	for r*r > x {
		r--
	}
	for r < 1<<32-1 && (r+1)*(r+1) <= x {
		r++
	}
	return uint32(r)
}

// scaling is what scale and mix want to divide by 2^shift; shift is
// 18..49.
func scaling(shift uint64) (round, bias, _ uint64) {
	return 1<<62 + 1<<(shift-1), uint64(1) << 62 >> shift & math.MaxUint32, shift
}
