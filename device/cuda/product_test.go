// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/assaynet/assay/device/enginetest"
)

// bareOf is the device's product. Depth is padded with zeros; what lies beyond
// the last row and column is not written at all.
func bareOf(t *testing.T, e *engine) enginetest.Multiply {
	return func(a, b []int8, m, n, k int) []int32 { return bare(t, e, a, b, m, n, k) }
}

func bare(t *testing.T, e *engine, a, b []int8, m, n, k int) []int32 {
	t.Helper()
	deep := roundUp(max(k, 1), 64)
	var l layout
	atA, atB, atC := l.take(roundUp(m, ctaRows)*deep), l.take(roundUp(n, ctaCols)*deep),
		l.take(4*m*n)
	c := make([]int32, m*n)
	err := <-e.begin(func(s *slot) error {
		at, err := s.room(l.size, "a test")
		if err != nil {
			return err
		}
		host, err := s.host((m+n)*deep + 4*m*n)
		if err != nil {
			return err
		}
		clear(host)
		for row := range m {
			for i, v := range a[row*k:][:k] {
				host[row*deep+i] = byte(v)
			}
		}
		for col := range n {
			for i, v := range b[col*k:][:k] {
				host[(m+col)*deep+i] = byte(v)
			}
		}
		to := &list{kernels: e.kernels, slot: s}
		to.upload(at+address(atA), host[:m*deep])
		to.upload(at+address(atB), host[m*deep:(m+n)*deep])
		to.product(to.bare, m, n, at+address(atA), at+address(atB), uint32(deep), uint32(m),
			uint32(n), at+address(atC))
		to.download(host[(m+n)*deep:(m+n)*deep+4*m*n], at+address(atC))
		return to.err
	}, func(s *slot) error {
		for i := range c {
			c[i] = int32(binary.LittleEndian.Uint32(s.pinned[(m+n)*deep+4*i:]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Random shapes and elements through the product that all else is made of.
func TestBareProducts(t *testing.T) {
	cases := 150
	if long {
		cases = 2400
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		r, multiply := enginetest.Random(t), bareOf(t, engineOn(t, g, open()))
		edges := []int{1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129}
		enginetest.Products(t, r, multiply, cases*10/12,
			enginetest.Sizes{M: 140, N: 270, K: 300, Edges: edges})
		enginetest.Products(t, r, multiply, cases/12,
			enginetest.Sizes{M: 140, N: 270, K: 1500, Edges: edges})
		for range cases / 12 { // more rows of CTAs than are walked together
			m, n, k := 1000+r.IntN(400), 1+r.IntN(16), 1+r.IntN(64)
			enginetest.Product(t, multiply, enginetest.Fill(r, m*k, r.IntN(6)),
				enginetest.Fill(r, n*k, r.IntN(6)), m, n, k)
		}
	})
}

// The greatest sums: 65,536 products of -128 by -128 are 2^30; of twice as many
// the sum wraps, as the definition's would.
func TestDeepProducts(t *testing.T) {
	depths := []int{65536}
	if long {
		depths = append(depths, 65535, 131072, 262144+64)
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		if g.name == turing.name && !long {
			t.Skip("two seconds more, for what sm_80 shows too")
		}
		r, multiply := enginetest.Random(t), bareOf(t, engineOn(t, g, open()))
		for _, k := range depths {
			// A row and a column of each kind: all their products at once.
			var a, b []int8
			for kind := range enginetest.Kinds {
				a = append(a, enginetest.Fill(r, k, kind)...)
				b = append(b, enginetest.Fill(r, k, kind)...)
			}
			enginetest.Product(t, multiply, a, b, enginetest.Kinds, enginetest.Kinds, k)
		}
	})
}

// No instruction of the kernels may saturate, and none may be a float's.
func TestInstructions(t *testing.T) {
	for name, source := range map[string]string{"matmul75": matmul75, "matmul80": matmul80,
		"transformer75": transformer75, "transformer80": transformer80} {
		for _, word := range []string{".sat", ".f16", ".f32", ".f64", ".local", "call"} {
			if strings.Contains(source, word) {
				t.Errorf("%s has %s", name, word)
			}
		}
		if !strings.Contains(source, "mma.sync") {
			t.Errorf("%s has no matrix instruction", name)
		}
	}
}
