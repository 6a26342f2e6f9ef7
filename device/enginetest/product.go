// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Multiply is an engine's bare product of any shape: a is m x k by rows, b k x n
// by columns, and the result m x n by rows.
type Multiply func(a, b []int8, m, n, k int) []int32

// Product compares a product with the obvious loop. Sums wrap, as the
// definition's would: within its shapes they never do.
func Product(t testing.TB, multiply Multiply, a, b []int8, m, n, k int) {
	t.Helper()
	got := multiply(a, b, m, n, k)
	for row := range m {
		x := a[row*k:][:k]
		for col := range n {
			want, y := int32(0), b[col*k:][:k]
			for i, v := range x {
				want += int32(v) * int32(y[i])
			}
			if got[row*n+col] != want {
				t.Fatalf("%d x %d x %d: element (%d, %d) is %d, want %d", m, k, n, row,
					col, got[row*n+col], want)
			}
		}
	}
}

// Sizes are what random products are made of.
type Sizes struct {
	M, N, K int   // at the most
	Edges   []int // sides and depths that are likelier than others
}

// Products compares n random products. The first ones go through all pairs of
// kinds of elements, see Fill.
func Products(t testing.TB, r *rand.Rand, multiply Multiply, n int, s Sizes) {
	t.Helper()
	length := func(most int) int {
		if len(s.Edges) > 0 && r.IntN(3) == 0 {
			return s.Edges[r.IntN(len(s.Edges))]
		}
		return 1 + r.IntN(most)
	}
	t.Logf("%d random products", n) // test/gpukit adds them up
	for i := range n {
		m, n, k := length(s.M), length(s.N), length(s.K)
		left, right := i%Kinds, i/Kinds
		if i >= Kinds*Kinds {
			left, right = r.IntN(6), r.IntN(6)
		}
		Product(t, multiply, Fill(r, m*k, left), Fill(r, n*k, right), m, n, k)
	}
}

// Limits compares products in which every sum is at its limit: at the deepest,
// 65536, that is 2^30 either way.
func Limits(t testing.TB, multiply Multiply, m, n, k int) {
	t.Helper()
	for _, pair := range [][2]int8{{-128, -128}, {-128, 127}, {127, -128}, {127, 127}} {
		Product(t, multiply, slices.Repeat(pair[:1], m*k), slices.Repeat(pair[1:], n*k), m, n, k)
	}
}

// Kinds is how many kinds of elements there are.
const Kinds = 4

// Fill makes elements of a kind: 0 is -128 alone, 1 is 127 alone, 2 extremes, and
// from 3 on all that there are.
func Fill(r *rand.Rand, n, kind int) []int8 {
	v := make([]int8, n)
	for i := range v {
		switch kind {
		case 0:
			v[i] = -128
		case 1:
			v[i] = 127
		case 2:
			v[i] = [...]int8{-128, -127, -1, 0, 1, 127}[r.IntN(6)]
		default:
			v[i] = int8(r.Uint32())
		}
	}
	return v
}
