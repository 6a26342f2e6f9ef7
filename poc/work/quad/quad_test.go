// SPDX-License-Identifier: Apache-2.0

package quad

import (
	"math/rand/v2"
	"testing"
)

func naive(w, x []int8) (s int32) {
	for i := range w {
		s += int32(w[i]) * int32(x[i])
	}
	return s
}

// Holds spec W-8.
func TestDotIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	fills := map[string]func() int8{
		"random":       func() int8 { return int8(rng.Uint32()) },
		"lowest":       func() int8 { return -128 },
		"highest":      func() int8 { return 127 },
		"signs":        func() int8 { return int8(rng.IntN(2)*255 - 128) },
		"mostly zeros": func() int8 { return int8(rng.IntN(9)/8) * int8(rng.Uint32()) },
	}
	for name, fill := range fills {
		for other, fill2 := range fills {
			for _, k := range []int{8, 64, 256, 1 << 16} {
				w := make([]int8, k)
				x := [4][]int8{make([]int8, k), make([]int8, k), make([]int8, k), make([]int8, k)}
				for i := range k {
					w[i] = fill()
					x[0][i], x[1][i], x[2][i], x[3][i] = fill2(), fill(), fill2(), fill2()
				}
				packed := make([]int64, 2*k)
				Pack(packed, x[0], x[1], x[2], x[3])
				d0, d1, d2, d3 := Dot(w, packed)
				for i, got := range [...]int32{d0, d1, d2, d3} {
					if want := naive(w, x[i]); got != want {
						t.Errorf("%s x %s, k = %d, vector %d: %d, want %d", name,
							other, k, i, got, want)
					}
				}
			}
		}
	}
}
