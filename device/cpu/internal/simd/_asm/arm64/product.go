// SPDX-License-Identifier: Apache-2.0

package main

// A register tile is 12 rows by 8 columns: 24 registers of sums. Per quad of
// the depth three registers hold four bytes of each row and two those of each
// column, five loads for 24 dot products.
const (
	rows    = 12
	halves  = 2  // four columns each
	aReg    = 24 // three
	bReg    = 27 // two
	quadA   = 4 * rows
	quadB   = 4 * 4 * halves
	unrolls = 4
)

func sums(row, half int) vec { return vec(halves*row + half) }

func product(w *writer) {
	k := w.function("Product", "tiles, n int, a, b *uint32, c *int32, stride, add int", "",
		"Product multiplies panels of A by one panel of B into tiles of 12 x 8 sums, one",
		"below the other in c: C = A*B, or C += A*B if add is not 0. n is the depth, a",
		"multiple of 16; a is tiles panels of [n/4][12][4]int8 one after the other, b one of",
		"[n/4][8][4]int8, stride the bytes from a row of c to the next. Products are exact at",
		"any depth up to 2*65536.")
	tiles, depth := k.arg("tiles"), k.arg("n")
	a, panel, c, stride, add := k.arg("a"), k.arg("b"), k.arg("c"), k.arg("stride"), k.arg("add")
	b, n, p := k.free(), k.free(), k.free()
	k.op("LSR", "$4, %s, %s", depth, depth)

	k.label("tile")
	k.op("CBZ", "%s, fresh", add)
	k.op("MOVD", "%s, %s", c, p)
	for r := range rows {
		k.load2(sums(r, 0), sums(r, 1), p, 0)
		if r < rows-1 {
			k.step(p, stride)
		}
	}
	k.op("JMP", "begin")
	k.label("fresh")
	for r := range rows {
		k.zero(sums(r, 0))
		k.zero(sums(r, 1))
	}
	k.label("begin")
	k.op("MOVD", "%s, %s", panel, b)
	k.op("MOVD", "%s, %s", depth, n)
	k.loop("depth", n, func() {
		for u := range unrolls {
			k.load2(bReg, bReg+1, b, quadB*u)
			k.load2(aReg, aReg+1, a, quadA*u)
			k.load(aReg+2, a, quadA*u+32)
			for r := range rows {
				for h := range halves {
					k.raw(sdotBy(sums(r, h), vec(bReg+h), vec(aReg+r/4), r%4))
				}
			}
		}
		k.step(a, unrolls*quadA)
		k.step(b, unrolls*quadB)
	})
	for r := range rows {
		k.store2(sums(r, 0), sums(r, 1), c, 0)
		k.step(c, stride)
	}
	k.op("SUBS", "$1, %s, %s", tiles, tiles)
	k.op("BNE", "tile")
	k.end()
}

func peak(w *writer) {
	k := w.function("Peak", "rounds int", "",
		"Peak issues 24 independent dot products per round and touches no memory: what the",
		"product could reach at best. Each is 16 multiplications.")
	n := k.arg("rounds")
	for v := range vec(bReg + halves) {
		k.zero(v)
	}
	k.loop("round", n, func() {
		for r := range rows {
			for h := range halves {
				k.raw(sdotBy(sums(r, h), vec(bReg+h), vec(aReg+r/4), r%4))
			}
		}
	})
	k.end()
}

// transpose: dwords of four rows, first two by two, then pairs of them.
func transpose(w *writer) {
	k := w.function("Transpose", "dst *uint32, pitch int, src *int8, stride, n int", "",
		"Transpose writes 4 rows of n int8, stride bytes apart, n a multiple of 16, to",
		"[n/4][4][4]int8, whose entries are pitch bytes apart.")
	d, pitch, s, stride, n := k.arg("dst"), k.arg("pitch"), k.arg("src"),
		k.arg("stride"), k.arg("n")
	s1, s2, s3 := k.free(), k.free(), k.free()
	k.op("ADD", "%s, %s, %s", stride, s, s1)
	k.op("ADD", "%s, %s, %s", stride, s1, s2)
	k.op("ADD", "%s, %s, %s", stride, s2, s3)
	k.op("LSR", "$4, %s, %s", n, n)
	k.loop("sixteen", n, func() {
		for i, row := range []gp{s, s1, s2, s3} {
			k.op("FMOVQ.P", "16(%s), F%d", row, i)
		}
		for i := range vec(2) {
			k.three("VTRN1", s4, 4+i, 2*i, 2*i+1) // dwords 0 and 2 of rows 2i, 2i+1
			k.three("VTRN2", s4, 6+i, 2*i, 2*i+1) // 1 and 3
		}
		k.three("VTRN1", d2, 0, 4, 5)
		k.three("VTRN1", d2, 1, 6, 7)
		k.three("VTRN2", d2, 2, 4, 5)
		k.three("VTRN2", d2, 3, 6, 7)
		for i := range vec(4) {
			k.store(i, d, 0)
			k.step(d, pitch)
		}
	})
	k.end()
}
