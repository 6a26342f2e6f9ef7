// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// bareProduct is a (m x k) by b (n columns of k) on a device. Depth is padded
// with zeros; what lies beyond the last row and column is not written at all.
func bareProduct(t *testing.T, e *engine, a, b []int8, m, k, n int) []int32 {
	t.Helper()
	deep := roundUp(max(k, 1), 64)
	var l layout
	atA, atB, atC := l.take(roundUp(m, ctaRows)*deep), l.take(roundUp(n, ctaCols)*deep), l.take(4*m*n)
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
		to.product(to.bare, m, n, at+address(atA), at+address(atB), uint32(deep), uint32(m), uint32(n), at+address(atC))
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

// checkProduct compares with the definition.
func checkProduct(t *testing.T, e *engine, a, b []int8, m, k, n int) {
	t.Helper()
	got := bareProduct(t, e, a, b, m, k, n)
	for row := range m {
		for col := range n {
			var want int32
			x, y := a[row*k:][:k], b[col*k:][:k]
			for i := range x {
				want += int32(x[i]) * int32(y[i])
			}
			if got[row*n+col] != want {
				t.Fatalf("%d x %d x %d: (%d, %d) is %d, want %d", m, k, n, row, col, got[row*n+col], want)
			}
		}
	}
}

// filler gives elements of one kind; there are four.
func filler(r *rand.Rand, kind int) func() int8 {
	switch kind {
	case 0:
		return func() int8 { return -128 }
	case 1:
		return func() int8 { return 127 }
	case 2: // nothing but extremes
		return func() int8 { return [...]int8{-128, -127, -1, 0, 1, 127}[r.IntN(6)] }
	default:
		return func() int8 { return int8(r.Uint32()) }
	}
}

func fill(n int, next func() int8) []int8 {
	s := make([]int8, n)
	for i := range s {
		s[i] = next()
	}
	return s
}

// Random shapes and elements through the product that all else is made of.
func TestBareProducts(t *testing.T) {
	cases := 150
	if long {
		cases = 2000
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		s := uint64(time.Now().UnixNano())
		t.Logf("seed of the products: %d", s)
		r := rand.New(rand.NewPCG(s, 1))
		e := engineOn(t, g, open())
		edges := []int{1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129}
		length := func(most int) int {
			if r.IntN(2) == 0 {
				return edges[r.IntN(len(edges))]
			}
			return 1 + r.IntN(most)
		}
		for range cases {
			m, k, n := length(140), length(300), length(270)
			switch r.IntN(12) {
			case 0:
				m = 1000 + r.IntN(400) // more rows of CTAs than are walked together
				k = 1 + r.IntN(64)
				n = 1 + r.IntN(16)
			case 1:
				k = length(1500)
			}
			checkProduct(t, e, fill(m*k, filler(r, r.IntN(6))), fill(n*k, filler(r, r.IntN(6))), m, k, n)
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
		e := engineOn(t, g, open())
		r := rand.New(rand.NewPCG(uint64(depths[0]), 2))
		for _, k := range depths {
			// A row and a column of each kind: all their products at once.
			var a, b []int8
			for kind := range 4 {
				a = append(a, fill(k, filler(r, kind))...)
				b = append(b, fill(k, filler(r, kind))...)
			}
			checkProduct(t, e, a, b, 4, k, 4)
		}
	})
}

// No instruction of the kernels may saturate, and none may be a float's.
func TestInstructions(t *testing.T) {
	for name, source := range map[string]string{"matmul75": matmul75, "matmul80": matmul80, "transformer75": transformer75, "transformer80": transformer80} {
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
