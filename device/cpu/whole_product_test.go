// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"errors"
	"slices"
	"testing"

	"github.com/assaynet/assay/device/enginetest"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Elements everywhere in a product are those of the obvious loop: where rows end
// within a group, and where blocks meet.
func TestWholeProduct(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		r := enginetest.Random(t)
		for _, s := range []matmul.Shape{
			{M: 512, K: 256, Q: 512}, {M: 512, K: 320, Q: 576}, {M: 832, K: 1088, Q: 320},
			{M: 256, K: 512, Q: 1024},
			{M: 1280, K: 65536, Q: 256}, {M: 256, K: 65536, Q: 1280}, // two blocks
		} {
			a, b := bytesOf(r, s.M*s.K), bytesOf(r, s.K*s.Q)
			for i := range s.K { // and -128 times -128 to the very limit
				a[i], b[i] = -128, -128
			}
			c := slices.Repeat([]int32{-1}, s.M*s.Q)
			if err := e.Product(t.Context(), c, a, b, s); err != nil {
				t.Fatal(err)
			}
			for i := range 2000 {
				row, col := r.IntN(s.M), r.IntN(s.Q)
				if i < 4 { // the corners
					row, col = i/2*(s.M-1), i%2*(s.Q-1)
				}
				want := int32(0)
				for k, x := range a[row*s.K:][:s.K] {
					want += int32(x) * int32(b[col*s.K+k])
				}
				if got := c[row*s.Q+col]; got != want {
					t.Fatalf("%v: element (%d, %d) is %d, want %d", s, row, col, got, want)
				}
			}
		}
	})
}

func TestWholeProductRefuses(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		s := matmul.Shape{M: 512, K: 256, Q: 512}
		a, b, c := make([]int8, s.M*s.K), make([]int8, s.K*s.Q), make([]int32, s.M*s.Q)
		for name, err := range map[string]error{
			"a short": e.Product(t.Context(), c, a[1:], b, s),
			"b short": e.Product(t.Context(), c, a, b[1:], s),
			"c short": e.Product(t.Context(), c[1:], a, b, s),
		} {
			if !errors.Is(err, work.ErrCall) {
				t.Errorf("%s: %v, want ErrCall", name, err)
			}
		}
		if err := e.Product(t.Context(), c, a, b,
			matmul.Shape{M: 500, K: 256, Q: 512}); !errors.Is(err, matmul.ErrShape) {
			t.Errorf("a shape that matmul/1 does not have: %v, want ErrShape", err)
		}
	})
}
