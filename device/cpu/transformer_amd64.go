// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/assaynet/assay/device/cpu/internal/simd"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
	"github.com/assaynet/assay/poc/work/transformer"
)

// batch is the number of nonces whose positions fill a strip.
const batch = strip / transformer.Tokens

// perLayer is the number of matrices of a layer.
const perLayer = transformer.Down + 1

// model is an epoch's weights, packed for the product as bytes and widened
// panel by panel when they are used: that costs a hundredth of the product
// over a full strip, and half the memory.
type model struct {
	class  transformer.Class
	embed  prf.Key
	layers [][perLayer]weights
	exp2   [256]uint16
	spaces sync.Pool // of *batchSpace
}

// weights is a matrix of n outputs over k inputs: in blocks of depth, in them
// panels of 16 outputs as simd.Widen reads them.
type weights struct {
	data []int8
	n, k int
}

func (w *weights) panel(i, from int) *int8 {
	return &w.data[w.n*from+i*tileCols*min(depth, w.k-from)]
}

// buildModel expands the weights on all cores.
func buildModel(ctx context.Context, class transformer.Class, seed1 seed.Seed, progress func(done, total uint64)) (*model, error) {
	if err := class.Valid(); err != nil {
		return nil, err
	}
	m := &model{
		class:  class,
		embed:  prf.Key(seed.Embed(seed1, class.Name)),
		layers: make([][perLayer]weights, class.Layers),
		exp2:   transformer.Exp2(),
	}
	m.spaces.New = func() any { return newBatchSpace(class) }
	key := prf.Key(seed.Weights(seed1, class.Name))
	var fresh streams
	fresh.setKey(&key)
	done := uint64(0)
	for l := range m.layers {
		for id := range m.layers[l] {
			w := &m.layers[l][id]
			w.n, w.k = class.Matrix(id)
			w.data = make([]int8, w.n*w.k)
			err := parallel(ctx, w.n/tileCols, func(panel int) { w.expand(fresh, panel, uint64(l)*8+uint64(id)) })
			if err != nil {
				return nil, fmt.Errorf("cpu: building %s: %w", class.Name, err)
			}
			done += uint64(len(w.data))
			if progress != nil {
				progress(done, class.WeightBytes())
			}
		}
	}
	return m, nil
}

// expand makes one panel: rows of the matrix follow each other in one stream.
func (w *weights) expand(s streams, panel int, nonce uint64) {
	for half := range tileCols / 8 {
		for lane := range 8 {
			row := uint64(tileCols*panel + 8*half + lane)
			s.seek(lane, nonce, row*uint64(w.k)/prf.BlockSize)
		}
		for from := 0; from < w.k; from += depth {
			n := min(depth, w.k-from)
			dst := w.data[w.n*from+panel*tileCols*n:][32*half:]
			simd.ExpandWeights(&dst[0], 4*tileCols, (*[16][8]uint32)(&s), n/prf.BlockSize)
		}
	}
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
			transformer.Embed(s.h[i*transformer.Tokens*m.class.D:][:transformer.Tokens*m.class.D], &m.embed, seed.Input(node, segment, nonce))
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
	a             leftPanels
	b             []int16 // a widened panel of weights
	c             []int32 // results: panels of 16 outputs, in them rows
	words         []uint32
}

func newBatchSpace(class transformer.Class) *batchSpace {
	narrow := func(n int) []int8 { return make([]int8, strip*n) }
	return &batchSpace{
		h: make([]int32, strip*class.D),
		x: narrow(class.D), q: narrow(class.D), k: narrow(class.D), v: narrow(class.D), o: narrow(class.D),
		g: narrow(class.FF), u: narrow(class.FF),
		b:     make([]int16, depth*tileCols),
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
		s.pack(s.x, rows, c.D)
		s.narrow(s.q, &w[transformer.Query], rows)
		s.narrow(s.k, &w[transformer.Key], rows)
		s.narrow(s.v, &w[transformer.Value], rows)
		for i := range dst {
			m.attend(s, i*transformer.Tokens*c.D)
		}
		s.pack(s.o, rows, c.D)
		s.residual(&w[transformer.Out], rows)

		m.norm(s, rows)
		s.pack(s.x, rows, c.D)
		s.narrow(s.g, &w[transformer.Gating], rows)
		s.narrow(s.u, &w[transformer.Up], rows)
		shift := c.GateShift()
		simd.Gate(&s.g[0], &s.g[0], &s.u[0], rows*c.FF, 1<<(shift-1), int(shift))
		s.pack(s.g, rows, c.FF)
		s.residual(&w[transformer.Down], rows)
	}
	for i := range dst {
		m.condense(s, i)
		dst[i].Digest = c.Digest(s.words)
		last := s.h[(transformer.Tokens*(i+1)-1)*c.D:]
		dst[i].Norm = simd.Squares(&last[0], c.D)
	}
}

// pack prepares rows of activations, k wide, as the left factor.
func (s *batchSpace) pack(x []int8, rows, k int) {
	s.a.reset(rows, k)
	s.a.packRows(x)
}

// multiply computes the product of what was packed with a matrix and gives each
// panel of results, [rows][16], to use.
func (s *batchSpace) multiply(w *weights, rows int, use func(panel int, c *int32)) {
	room := roundUp(rows, tileRows) * tileCols
	for from := 0; from < w.k; from += depth {
		n := min(depth, w.k-from)
		for i := range w.n / tileCols {
			simd.Widen(&s.b[0], w.panel(i, from), n/4)
			c := s.c[i*room:][:room]
			s.a.product(c, tileCols, 0, rows, from, &s.b[0])
			if from+n == w.k {
				use(i, &c[0])
			}
		}
	}
}

// narrow multiplies into int8.
func (s *batchSpace) narrow(dst []int8, w *weights, rows int) {
	shift := transformer.Shift(w.k)
	s.multiply(w, rows, func(panel int, c *int32) {
		simd.Requant(&dst[tileCols*panel], w.n, c, rows, 1<<(shift-1), int(shift))
	})
}

// residual multiplies onto the residual stream.
func (s *batchSpace) residual(w *weights, rows int) {
	shift := transformer.Shift(w.k) - transformer.ResidualScale
	s.multiply(w, rows, func(panel int, c *int32) {
		simd.Residual(&s.h[tileCols*panel], 4*w.n, c, rows, 1<<(shift-1), int(shift), transformer.MaxResidual)
	})
}

// condense makes the words of a nonce's four vectors.
func (m *model) condense(s *batchSpace, i int) {
	h := &s.h[i*transformer.Tokens*m.class.D]
	simd.Condense(&s.words[0], h, len(s.words), 4*condense.Width, 0, condense.Width)
}

// norm writes 32*h/rms(h) of each row to x.
func (m *model) norm(s *batchSpace, rows int) {
	d := m.class.D
	for row := range rows {
		h := &s.h[row*d]
		ss := simd.Squares(h, d)
		inv, e := recip(max(1, isqrt(ss>>bits.TrailingZeros(uint(d))<<16)))
		round, bias, shift := scaling(17 + e)
		simd.Scale(&s.x[row*d], h, d, inv, round, bias, shift)
	}
}

// attend computes the attention of one nonce, whose rows start at element at.
func (m *model) attend(s *batchSpace, at int) {
	d := m.class.D
	for head := at; head < at+d; head += transformer.HeadDim {
		var logits [transformer.Tokens][transformer.Tokens]int32
		simd.Scores(&logits, &s.q[head], &s.k[head], d)
		for i := range logits {
			e := logits[i][:i+1]
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
			simd.Mix(&s.o[head+i*d], &s.v[head], d, &e[0], i+1, inv, round, bias, shift)
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

// scaling is what simd.Scale and simd.Mix want to divide by 2^shift; shift is
// 18..49.
func scaling(shift uint64) (round, bias, _ uint64) {
	return 1<<62 + 1<<(shift-1), uint64(1) << 62 >> shift & math.MaxUint32, shift
}
