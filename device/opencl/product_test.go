// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"testing"

	"github.com/assaynet/assay/device/enginetest"
)

// bareOf is the device's product, of any shape, padded with zeros.
func bareOf(t testing.TB, e *engine) enginetest.Multiply {
	return func(a, b []int8, m, n, k int) []int32 { return bare(t, e, a, b, m, n, k) }
}

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
	check(e.product(e.program.bare, left, right, deep, down/g.down(), across/g.right(),
		out, uint32(m), uint32(n)))
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

func TestProductRandomShapes(t *testing.T) {
	cases := 240
	if long {
		cases = 2000
	}
	everyVariant(t, func(t *testing.T, e *engine) {
		enginetest.Products(t, enginetest.Random(t), bareOf(t, e), cases,
			enginetest.Sizes{M: 150, N: 150, K: 300,
				Edges: []int{1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 129, 200}})
	})
}

func TestProductAtItsLimits(t *testing.T) {
	everyVariant(t, func(t *testing.T, e *engine) {
		enginetest.Limits(t, bareOf(t, e), 7, 17, 65536)
	})
}

// Products in several launches and more than a band of eight rows of blocks.
func TestProductInPieces(t *testing.T) {
	e, r := openAs(t, variant{geometry: narrow}), enginetest.Random(t)
	const m, n, k = 21*64 + 5, 130, 64
	a, b := enginetest.Fill(r, m*k, enginetest.Kinds), enginetest.Fill(r, n*k, enginetest.Kinds)
	for _, launch := range []uint64{1, 64 * 192 * k * 3, 64 * 192 * k * 9, 1 << 40} {
		e.limits.launch = launch
		enginetest.Product(t, bareOf(t, e), a, b, m, n, k)
	}
}
