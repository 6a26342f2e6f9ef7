// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// bare is the device's product of a, m x k by rows, and b, k x n by columns, of
// any shape, padded with zeros.
func bare(t testing.TB, e *engine, a, b []int8, m, n, k int) []int32 {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.program.variant.geometry
	down, across, deep := roundUp(m, g.down()), roundUp(n, g.right()), roundUp(k, 64)
	moved := &transfer{queue: e.queue}
	check := func(err error) {
		t.Helper()
		if err != nil {
			moved.abandon()
			t.Fatal(err)
		}
	}
	quads := func(x []int8, rows, pitch int) factor {
		words := make([]uint32, deep/4*pitch)
		for row := range rows {
			for i := range k {
				words[i/4*pitch+row] |= uint32(uint8(x[row*k+i])) << (8 * (i % 4))
			}
		}
		buf, err := e.alloc(4 * uint64(len(words)))
		check(err)
		check(write(moved, buf, words))
		return factor{buf, pitch}
	}
	left, right := quads(a, m, down), quads(b, n, across)
	out, err := e.alloc(4 * uint64(m*n))
	check(err)
	check(e.product(e.program.bare, left, right, deep, down/g.down(), across/g.right(), out, uint32(m), uint32(n)))
	c := make([]int32, m*n)
	check(read(moved, c, out))
	if err := moved.wait(); err != nil {
		t.Fatal(err)
	}
	for _, buf := range []*buffer{&left.buffer, &right.buffer, &out} {
		e.release(buf)
	}
	return c
}

// checkBare compares with the obvious loop. Sums are taken in int64, so that
// they also show where int32 would not hold them.
func checkBare(t testing.TB, e *engine, a, b []int8, m, n, k int) {
	t.Helper()
	c := bare(t, e, a, b, m, n, k)
	for i := range m {
		for j := range n {
			want := int64(0)
			col := b[j*k:][:k]
			for l, v := range a[i*k:][:k] {
				want += int64(v) * int64(col[l])
			}
			if got := int64(c[i*n+j]); got != want {
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
	everyVariant(t, func(t *testing.T, e *engine) {
		r := random(t)
		sides := []int{1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 129, 200}
		for i := range 240 {
			m, n, k := 1+r.IntN(150), 1+r.IntN(150), 1+r.IntN(300)
			if i%4 == 0 {
				m, n, k = sides[r.IntN(len(sides))], sides[r.IntN(len(sides))], sides[r.IntN(len(sides))]
			}
			a, b := bytesOf(r, m*k), bytesOf(r, n*k)
			switch i % 8 { // extremes alone, and among others
			case 1:
				for j := range a {
					a[j] = -128
				}
				for j := range b {
					b[j] = int8(-128 + 255*(i/8%2))
				}
			case 2:
				for j := range a {
					a[j] = []int8{-128, 127}[r.IntN(2)]
				}
			}
			checkBare(t, e, a, b, m, n, k)
		}
	})
}

// At the deepest product every sum is at its limit, 2^30 either way.
func TestProductAtItsLimits(t *testing.T) {
	everyVariant(t, func(t *testing.T, e *engine) {
		const k = 65536
		for _, pair := range [][2]int8{{-128, -128}, {-128, 127}, {127, 127}} {
			checkBare(t, e, slices.Repeat([]int8{pair[0]}, 7*k), slices.Repeat([]int8{pair[1]}, 17*k), 7, 17, k)
		}
	})
}

// Products in several launches and more than a band of eight rows of blocks.
func TestProductInPieces(t *testing.T) {
	e, r := openAs(t, variant{geometry: narrow}), random(t)
	const m, n, k = 21*64 + 5, 130, 64
	a, b := bytesOf(r, m*k), bytesOf(r, n*k)
	for _, launch := range []uint64{1, 64 * 192 * k * 3, 64 * 192 * k * 9, 1 << 40} {
		e.limits.launch = launch
		checkBare(t, e, a, b, m, n, k)
	}
}
