// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/assaynet/assay/device/enginetest"
)

// bytesOf are any elements.
func bytesOf(r *rand.Rand, n int) []int8 { return enginetest.Fill(r, n, enginetest.Kinds) }

// bare is a product of any shape, padded with zeros to what the panels want:
// a is m x k by rows, b k x n by columns. It packs once and multiplies often,
// which is what the benchmarks compare whole loops with.
type bare struct {
	set    *set
	m      int
	a      leftPanels
	b      rightPanels
	c      []int32 // padded to strips and panels, rows of stride
	stride int
}

func newBare(s *set, a, b []int8, m, n, k int) *bare {
	deep, high, wide := roundUp(k, 64), roundUp(m, s.groupRows), roundUp(n, s.tileCols)
	p := &bare{set: s, m: m, stride: wide + 16}
	p.c = make([]int32, (roundUp(m, s.tileRows))*p.stride)
	x := make([]int8, high*deep)
	for i := range m {
		copy(x[i*deep:], a[i*k:(i+1)*k])
	}
	p.a.reset(s, m, deep)
	p.a.pack(x, s.room())
	var quads rightPanels
	quads.reset(s, wide, deep, 4)
	p.b.reset(s, wide, deep, s.per)
	for from := 0; from < deep; from += s.depth {
		for i := range quads.panels() {
			panel := quads.panel(i, from)
			for row := from; row < min(k, from+s.depth); row++ {
				for col := range min(n-i*s.tileCols, s.tileCols) {
					*int8At(&panel[s.head+(row-from)/4*s.tileCols+col],
						row%4) = b[(i*s.tileCols+col)*k+row]
				}
			}
			if s.correct != nil {
				s.correct(&panel[0], quads.deep(from))
			}
			if s.widen == nil {
				copy(p.b.panel(i, from), panel)
			} else {
				s.widen(&p.b.panel(i, from)[0], &panel[0], p.b.deep(from))
			}
		}
	}
	return p
}

// int8At is a byte of a word.
func int8At(word *uint32, i int) *int8 { return (*int8)(unsafe.Add(unsafe.Pointer(word), i)) }

func (p *bare) multiply() {
	for row := 0; row < p.m; row += strip {
		for from := 0; from < p.b.k; from += p.set.depth {
			for i := range p.b.panels() {
				p.a.product(p.c[row*p.stride+i*p.set.tileCols:], p.stride, row, min(strip, p.m-row),
					from, &p.b.panel(i, from)[0])
			}
		}
	}
}

// multiply packs and multiplies once.
func (s *set) multiply(a, b []int8, m, n, k int) []int32 {
	p := newBare(s, a, b, m, n, k)
	p.multiply()
	c := make([]int32, 0, m*n)
	for row := range m {
		c = append(c, p.c[row*p.stride:][:n]...)
	}
	return c
}

// needSets skips where there is nothing beside the reference.
func needSets(t *testing.T) {
	if len(sets()) == 0 {
		t.Skip("this processor has the reference only")
	}
}

// everySet runs a test for each instruction set of this processor.
func everySet(t *testing.T, test func(t *testing.T, s *set)) {
	needSets(t)
	for _, s := range sets() {
		t.Run(s.name, func(t *testing.T) { test(t, s) })
	}
}

func TestProductRandomShapes(t *testing.T) {
	everySet(t, func(t *testing.T, s *set) {
		enginetest.Products(t, enginetest.Random(t), s.multiply, 10_000,
			enginetest.Sizes{M: 40, N: 40, K: 150,
				Edges: []int{1, 2, 5, 6, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65}})
	})
}

func TestProductAcrossBlocks(t *testing.T) {
	everySet(t, func(t *testing.T, s *set) {
		r := enginetest.Random(t)
		for _, c := range [][3]int{
			{strip - 1, 17, s.depth}, {strip, 16, s.depth + 1}, {strip + 1, 65, 2*s.depth - 3},
			{2*strip + 63, 33, 1000}, {64, 64, 4096},
		} {
			m, n, k := c[0], c[1], c[2]
			enginetest.Product(t, s.multiply, bytesOf(r, m*k), bytesOf(r, n*k), m, n, k)
		}
	})
}

func TestProductAtItsLimits(t *testing.T) {
	everySet(t, func(t *testing.T, s *set) { enginetest.Limits(t, s.multiply, 7, 17, 65536) })
}

func FuzzProduct(f *testing.F) {
	f.Add(uint8(1), uint8(1), []byte{0x80})
	f.Add(uint8(65), uint8(17), []byte{0x80, 0x7f, 0, 0x80, 0x80, 1, 0xff})
	f.Fuzz(func(t *testing.T, rows, cols uint8, data []byte) {
		if len(data) == 0 || len(data) > 3000 {
			return
		}
		// The factors are rotations of the data.
		m, n, k := 1+int(rows), 1+int(cols)%80, len(data)
		a, b := make([]int8, m*k), make([]int8, n*k)
		for i := range a {
			a[i] = int8(data[(i+i/k)%k])
		}
		for i := range b {
			b[i] = int8(data[(i+3*(i/k))%k])
		}
		for _, s := range sets() {
			enginetest.Product(t, s.multiply, a, b, m, n, k)
		}
	})
}
