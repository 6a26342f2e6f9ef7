// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"encoding/hex"
	"math"
	"math/big"
	"testing"

	"github.com/assaynet/assay/device/enginetest"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
	"github.com/assaynet/assay/poc/work/transformer"
)

// element is an element of a panel, width rows or columns wide, of words of per.
func element(panel *uint32, width, per, lane, i int) int8 {
	word, at := i/4*width+lane, i%4
	if per == 2 { // elements 0 and 2, then 1 and 3 of four
		word, at = (i/4*2+i%2)*width+lane, i%4/2*2
	}
	return *int8At(offset(panel, 4*word), at)
}

// The panels that a unit's operands are expanded to hold the prf's bytes.
func TestOperandsAreThePRF(t *testing.T) {
	everySet(t, func(t *testing.T, s *set) {
		challenge, unit := seed.Seed{9}, uint64(1)<<40+3
		for _, k := range []int{256, 576, 1024 + 320, 2048 + 64} {
			b := block{row: 128, rows: 64, col: 1<<15 - 64, cols: 64}
			var o operands
			o.reset(s, challenge, unit, k, b, 1)
			w := newWorkspace(s)
			for i := range o.b.panels() {
				o.expandColumns(i, w)
			}
			a := o.strip(newEngine(s), 0, w)
			check := func(name byte, number uint64, get func(i int) int8) {
				key := prf.Key(seed.Matrix(challenge, unit, name))
				want := make([]byte, k)
				prf.Fill(want, &key, number, 0)
				for i, w := range want {
					if got := get(i); got != int8(w) {
						t.Fatalf("%c, depth %d: element %d of %d is %d, want %d", name, k,
							i, number, got, int8(w))
					}
				}
			}
			for row := range b.rows {
				check('A', uint64(b.row+row), func(i int) int8 {
					panel := a.row(row/s.tileRows*s.tileRows, i/s.depth*s.depth)
					return element(panel, s.tileRows, s.per, row%s.tileRows,
						i%s.depth) - s.offsetOfA()
				})
			}
			for col := range b.cols {
				check('B', uint64(b.col+col), func(i int) int8 {
					panel := o.b.panel(col/s.tileCols, i/s.depth*s.depth)
					return element(&panel[s.head], s.tileCols, s.per, col%s.tileCols, i%s.depth)
				})
			}
		}
	})
}

// offsetOfA is 128, as int8, where A is packed unsigned.
func (s *set) offsetOfA() int8 {
	if s.head > 0 {
		return -128
	}
	return 0
}

// The published streams, each as one weight column among others, in which -128
// became 0, and as a column of B.
func TestVectorsOfPRF(t *testing.T) {
	type in struct {
		Key    seed.Seed `json:"key"`
		Nonce  uint64    `json:"nonce,string"`
		Offset uint64    `json:"offset,string"`
		Length int       `json:"length"`
	}
	everySet(t, func(t *testing.T, s *set) {
		for i, v := range enginetest.Cases[in, string](t, "prf.json") {
			skip := int(v.In.Offset % prf.BlockSize)
			blocks := (skip+v.In.Length)/prf.BlockSize + 1
			want, err := hex.DecodeString(v.Out)
			if err != nil {
				t.Fatal(err)
			}
			lane := i % s.lanes
			start := func() []uint32 {
				streams := s.streams(s.lanes)
				first := position{nonce: v.In.Nonce - 3*uint64(lane),
					block: v.In.Offset / prf.BlockSize}
				s.start(streams, (*prf.Key)(&v.In.Key), first, position{nonce: 3})
				return streams
			}
			out := make([]uint32, blocks*prf.BlockSize*s.lanes/s.per)
			s.expandColumns(&out[0], 4*s.lanes, &start()[0], blocks)
			quads := make([]uint32, blocks*prf.BlockSize*s.lanes/4)
			s.expandWeights(&quads[0], 4*s.lanes, &start()[0], blocks)
			for j, b := range want {
				if got := element(&out[0], s.lanes, s.per, lane, skip+j); got != int8(b) {
					t.Fatalf("%s: byte %d is %d, want %d", v.Name, j, got, int8(b))
				}
				if got := element(&quads[0], s.lanes, 4, lane, skip+j); got != max(int8(b), -127) &&
					!(int8(b) == -128 && got == 0) {
					t.Fatalf("%s: weight %d is %d, from %d", v.Name, j, got, int8(b))
				}
			}
		}
	})
}

func TestVectorsOfCondense(t *testing.T) {
	type in struct {
		Elements [64]int32 `json:"elements"`
		Position uint32    `json:"position"`
	}
	everySet(t, func(t *testing.T, s *set) {
		for _, v := range enginetest.Cases[in, uint32](t, "condense.json") {
			var got uint32
			s.condense(&got, &v.In.Elements[0], 1, 0, v.In.Position, 0)
			if got != v.Out {
				t.Errorf("%s: %d, want %d", v.Name, got, v.Out)
			}
		}
	})
}

func TestWeightsAreThePRF(t *testing.T) {
	everySet(t, func(t *testing.T, s *set) {
		seed1 := seed.Seed{7}
		m, err := newEngine(s).buildModel(t.Context(), transformer.Nano, seed1, nil)
		if err != nil {
			t.Fatal(err)
		}
		key := prf.Key(seed.Weights(seed1, "nano"))
		zeros := 0
		for l := range m.layers {
			for id := range m.layers[l] {
				w := &m.layers[l][id]
				want := make([]int8, w.cols*w.k)
				transformer.Weights(want, &key, l, id, 0)
				for i, v := range want {
					row, col := i/w.k, i%w.k
					panel := w.panel(row/s.tileCols, col/s.depth*s.depth)
					got := element(&panel[s.head], s.tileCols, 4, row%s.tileCols, col%s.depth)
					if got != v {
						t.Fatalf("layer %d, matrix %d: weight (%d, %d) is %d, want %d",
							l, id, row, col, got, v)
					}
					if v == 0 {
						zeros++
					}
				}
			}
		}
		if zeros == 0 {
			t.Error("no weight is 0")
		}
	})
}

func TestCondense(t *testing.T) {
	everySet(t, func(t *testing.T, set *set) {
		r := enginetest.Random(t)
		for range 500 {
			n, gap, pos, step := 1+r.IntN(9), 64+r.IntN(100), r.Uint32(), r.Uint32N(1000)
			src := make([]int32, n*gap)
			for i := range src {
				src[i] = int32(r.Uint32())
			}
			got, want := make([]uint32, n), make([]uint32, n)
			set.condense(&got[0], &src[0], n, 4*gap, pos, step)
			for i := range want {
				want[i] = condense.Word((*[64]int32)(src[i*gap:]), pos+uint32(i)*step)
			}
			enginetest.Same(t, "words", got, want)
		}
	})
}

// Each step against the specification's, on panels as multiply gives them.
func TestTransformerSteps(t *testing.T) {
	everySet(t, func(t *testing.T, set *set) {
		r := enginetest.Random(t)
		m := &model{set: set, class: transformer.Nano, exp2: transformer.Exp2()}
		d, rows := m.class.D, transformer.Tokens
		panel := func(acc []int32, width, i int) *int32 {
			p := make([]int32, rows*set.tileCols)
			for row := range rows {
				copy(p[row*set.tileCols:], acc[row*width+i*set.tileCols:][:set.tileCols])
			}
			return &p[0]
		}
		s, n := newBatchSpace(set, m.class), rows*d
		for i := range 2000 {
			acc := enginetest.Words(r, n, 29)
			want := make([]int8, n)
			for _, k := range []int{256, 1024, 8192} {
				transformer.Requant(want, acc, k)
				shift := transformer.Shift(k)
				for j := range d / set.tileCols {
					set.requant(&s.q[set.tileCols*j], d, panel(acc, d, j), rows,
						1<<(shift-1), int(shift))
				}
				enginetest.Same(t, "Requant", s.q[:n], want)
			}

			h := enginetest.Words(r, n, 1+i%23)
			sum := append([]int32(nil), h...)
			transformer.Residual(sum, acc, 1024)
			copy(s.h, h)
			shift := transformer.Shift(1024) - transformer.ResidualScale
			for j := range d / set.tileCols {
				set.residual(&s.h[set.tileCols*j], 4*d, panel(acc, d, j), rows, 1<<(shift-1),
					int(shift), transformer.MaxResidual)
			}
			enginetest.Same(t, "Residual", s.h[:n], sum)

			q, v := enginetest.Fill(r, n, r.IntN(6)), enginetest.Fill(r, n, r.IntN(6))
			for j := range q { // activations are never -128
				q[j], v[j] = max(q[j], -127), max(v[j], -127)
			}
			for _, c := range transformer.Classes() {
				c.Gate(want, q, v)
				shift := c.GateShift()
				set.gate(&s.g[0], &q[0], &v[0], n, 1<<(shift-1), int(shift))
				enginetest.Same(t, "Gate", s.g[:n], want)
			}
		}
	})
}

func TestNormsAndAttention(t *testing.T) {
	everySet(t, func(t *testing.T, set *set) {
		r := enginetest.Random(t)
		for _, c := range transformer.Classes() {
			m, s, n := &model{set: set, class: c, exp2: transformer.Exp2()}, newBatchSpace(set, c),
				transformer.Tokens*c.D
			for range 40 * transformer.Nano.D / c.D {
				enginetest.Norms(t, r, c, batch, func(h []int32) (x []int8, squares []uint64) {
					copy(s.h, h)
					m.norm(s, transformer.Tokens*batch)
					for i := range batch {
						squares = append(squares, set.squares(&h[(i+1)*n-c.D], c.D))
					}
					return s.x[:len(h)], squares
				})
				enginetest.Attention(t, r, c, batch, func(q, k, v []int8) []int8 {
					copy(s.q, q)
					copy(s.k, k)
					copy(s.v, v)
					for i := range batch {
						m.attend(s, i*n)
					}
					return s.o[:len(q)]
				})
			}
		}
	})
}

func TestSquareRoot(t *testing.T) {
	check := func(x uint64) {
		if got, want := uint64(isqrt(x)),
			new(big.Int).Sqrt(new(big.Int).SetUint64(x)).Uint64(); got != want {
			t.Fatalf("isqrt(%d) = %d, want %d", x, got, want)
		}
	}
	for _, r := range []uint64{0, 1, 2, 1 << 16, 1<<26 + 1, 94906267, 1<<31 - 1, 1<<32 - 1} {
		for _, d := range []int64{-1, 0, 1} {
			check(r*r + uint64(d))
		}
	}
	check(math.MaxUint64)
	r := enginetest.Random(t)
	for range 100_000 {
		check(r.Uint64() >> r.IntN(64))
	}
}
