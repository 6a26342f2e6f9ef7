// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/assaynet/assay/device/cpu/internal/simd"
)

// bare is a product of any shape, padded with zeros to what the panels want:
// a is m x k by rows, b k x n by columns. It packs once and multiplies often,
// which is what the benchmarks compare whole loops with.
type bare struct {
	m, n, k int
	a       leftPanels
	b       []int16
	c       []int32 // padded to strips and panels, rows of stride
	stride  int
}

func newBare(a, b []int8, m, n, k int) *bare {
	deep, high, wide := roundUp(k, 64), roundUp(m, groupRows), roundUp(n, tileCols)
	p := &bare{m: m, n: n, k: deep, b: make([]int16, wide*deep), stride: wide + 16}
	p.c = make([]int32, (roundUp(m, tileRows))*p.stride)
	x := make([]int8, high*deep)
	for i := range m {
		copy(x[i*deep:], a[i*k:(i+1)*k])
	}
	p.a.reset(m, deep)
	p.a.packRows(x)
	quads := make([]int8, depth*tileCols)
	for from := 0; from < deep; from += depth {
		d := min(depth, deep-from)
		for col := 0; col < wide; col += tileCols {
			clear(quads)
			for j := col; j < min(n, col+tileCols); j++ {
				for i := from; i < min(k, from+d); i++ {
					quads[(i-from)/4*64+(j-col)*4+i%4] = b[j*k+i]
				}
			}
			simd.Widen(p.panel(col, from), &quads[0], d/4)
		}
	}
	return p
}

func (p *bare) panel(col, from int) *int16 {
	return &p.b[roundUp(p.n, tileCols)*from+col*min(depth, p.k-from)]
}

func (p *bare) multiply() {
	for row := 0; row < p.m; row += strip {
		for from := 0; from < p.k; from += depth {
			for col := 0; col < p.n; col += tileCols {
				p.a.product(p.c[row*p.stride+col:], p.stride, row/tileRows, min(strip, p.m-row), from, p.panel(col, from))
			}
		}
	}
}

// checkBare compares with the obvious loop. Sums are taken in int64, so that
// they also show where int32 would not hold them.
func checkBare(t testing.TB, a, b []int8, m, n, k int) {
	t.Helper()
	p := newBare(a, b, m, n, k)
	p.multiply()
	for i := range m {
		for j := range n {
			want := int64(0)
			col := b[j*k:][:k]
			for l, v := range a[i*k:][:k] {
				want += int64(v) * int64(col[l])
			}
			if got := int64(p.c[i*p.stride+j]); got != want {
				t.Fatalf("%d x %d x %d: element (%d, %d) is %d, want %d", m, k, n, i, j, got, want)
			}
		}
	}
}

// random makes a seeded generator and says which in case of failure.
func random(t testing.TB) *rand.Rand {
	seed := uint64(1)
	if !testing.Short() {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func bytesOf(r *rand.Rand, n int) []int8 {
	v := make([]int8, n)
	for i := range v {
		v[i] = int8(r.Uint32())
	}
	return v
}

func TestProductRandomShapes(t *testing.T) {
	needAVX2(t)
	r := random(t)
	sides := []int{1, 2, 5, 6, 7, 15, 16, 17, 63, 64, 65}
	for i := range 10_000 {
		m, n, k := 1+r.IntN(40), 1+r.IntN(40), 1+r.IntN(150)
		if i%8 == 0 {
			m, n, k = sides[r.IntN(len(sides))], sides[r.IntN(len(sides))], sides[r.IntN(len(sides))]
		}
		a, b := bytesOf(r, m*k), bytesOf(r, n*k)
		switch i % 16 { // extremes alone, and among others
		case 1:
			for j := range a {
				a[j] = -128
			}
			for j := range b {
				b[j] = int8(-128 + 255*(i/16%2))
			}
		case 2:
			for j := range a {
				a[j] = []int8{-128, 127}[r.IntN(2)]
			}
		}
		checkBare(t, a, b, m, n, k)
	}
}

func TestProductAcrossBlocks(t *testing.T) {
	needAVX2(t)
	r := random(t)
	for _, s := range [][3]int{{strip - 1, 17, depth}, {strip, 16, depth + 1}, {strip + 1, 65, 2*depth - 3}, {2*strip + 63, 33, 1000}, {64, 64, 4096}} {
		checkBare(t, bytesOf(r, s[0]*s[2]), bytesOf(r, s[1]*s[2]), s[0], s[1], s[2])
	}
}

// At the deepest product every sum is at its limit, 2^30 either way.
func TestProductAtItsLimits(t *testing.T) {
	needAVX2(t)
	const k = 65536
	for _, pair := range [][2]int8{{-128, -128}, {-128, 127}, {127, 127}} {
		checkBare(t, slices.Repeat([]int8{pair[0]}, 7*k), slices.Repeat([]int8{pair[1]}, 17*k), 7, 17, k)
	}
}

func FuzzProduct(f *testing.F) {
	needAVX2(f)
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
		checkBare(t, a, b, m, n, k)
	})
}
