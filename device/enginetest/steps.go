// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/poc/work/transformer"
)

// Words are int32 of all sizes below 2^bits, among them the extremes.
func Words(r *rand.Rand, n, bits int) []int32 {
	v := make([]int32, n)
	for i := range v {
		b := 1 + r.IntN(bits)
		v[i] = int32(r.Int64N(1<<(b+1)) - 1<<b)
		if r.IntN(64) == 0 {
			v[i] = []int32{1<<bits - 1, -1<<bits + 1, 0, -1, 1}[r.IntN(5)]
		}
	}
	return v
}

// Streams makes residual streams of all sizes: nothing, next to nothing, limits
// and what is between.
func Streams(r *rand.Rand, units, d int) []int32 {
	h := make([]int32, units*transformer.Tokens*d)
	for row := range units * transformer.Tokens {
		of := h[row*d:][:d]
		for i := range of {
			switch row % 8 {
			case 0:
			case 1:
				of[i] = transformer.MaxResidual
			case 2:
				of[i] = -transformer.MaxResidual
			default:
				most := int32(transformer.MaxResidual) >> (row % 23)
				of[i] = (r.Int32N(2*most+1) - most) >> r.IntN(4)
			}
		}
		if row%16 == 8 {
			of[r.IntN(d)] = 1 + int32(row/16%2)
		}
	}
	return h
}

// Norms compares the normalised rows of residual streams, four to a unit, and
// each unit's squared norm.
func Norms(t testing.TB, r *rand.Rand, c transformer.Class, units int,
	norm func(h []int32) (x []int8, squares []uint64)) {
	t.Helper()
	h, n := Streams(r, units, c.D), transformer.Tokens*c.D
	want, squares := make([]int8, len(h)), make([]uint64, units)
	for i := range units {
		transformer.Norm(want[i*n:][:n], h[i*n:][:n])
		squares[i] = transformer.SquaredNorm(h[i*n:][:n])
	}
	x, got := norm(h)
	Same(t, c.Name+": normalised rows", x, want)
	Same(t, c.Name+": squared norms", got, squares)
}

// Attention compares the attention of units, whose query, key and value have four
// rows each: of small, of extreme and of any values, and to one position alone.
func Attention(t testing.TB, r *rand.Rand, c transformer.Class, units int,
	attend func(q, k, v []int8) []int8) {
	t.Helper()
	n := transformer.Tokens * c.D
	var parts [3][]int8
	for part := range parts {
		parts[part] = make([]int8, units*n)
		for i := range parts[part] {
			v := r.IntN(255) - 127
			switch i / n % 6 {
			case 0:
				v /= 64
			case 1:
				v = []int{-127, 127}[r.IntN(2)]
			case 2:
				v = 127
			case 3:
				v = [...]int{127, 127, -127}[part]
			case 4:
				v = [...]int{127, -127, -127}[part]
			}
			parts[part][i] = int8(v)
		}
	}
	q, k, v := parts[0], parts[1], parts[2]
	want := make([]int8, units*n)
	for i := 0; i < len(want); i += n {
		transformer.Attend(want[i:][:n], q[i:][:n], k[i:][:n], v[i:][:n])
	}
	Same(t, fmt.Sprintf("%s: attention of %d units", c.Name, units), attend(q, k, v), want)
}
