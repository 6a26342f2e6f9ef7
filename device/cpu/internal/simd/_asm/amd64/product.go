// SPDX-License-Identifier: Apache-2.0

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rows of a register tile. With 16 columns it has 12 accumulators; two halves
// of a B row, one A value and one product fill the 16 registers.
const rows = 6

// product: all registers are in use, so the order of the inner instructions is
// all there is to tune. VPMADDWD has two ports, VPADDD shares them with two
// others; B's halves and A's values come by the load ports. The panel of B behind
// this one, mostly the next to come, is asked for into the second-level cache a
// little in every step: 32 tiles of A make it just whole.
func product() {
	function("Product", "func(tiles, n int, a, b *uint32, c *int32, stride, add int)",
		"Product multiplies panels of A by one panel of B into tiles of 6 x 16 sums, one",
		"below the other in c: C = A*B, or C += A*B if add is not 0. n is the depth, a",
		"multiple of 8; a is tiles panels of [n/2][6][2]int16 one after the other, b one of",
		"[n/2][16][2]int16, stride the bytes from a row of c to the next. Products of values",
		"in -128..127 are exact at any depth up to 2*65536.")
	tiles, steps := arg("tiles"), arg("n")
	a, panel, c, stride := arg("a"), arg("b"), arg("c"), arg("stride")
	b, n, below, next := GP64(), GP64(), GP64(), GP64()
	acc := ymms(2 * rows)
	b0, b1, x, y := YMM(), YMM(), YMM(), YMM()
	MOVQ(steps, next)
	SHLQ(Imm(5), next)
	ADDQ(panel, next)
	SHRQ(Imm(3), steps)

	Label("tile")
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, below)
	ADDQ(c, below) // the fourth row
	row := func(r, disp int) Mem {
		m := at(c, disp)
		if r >= 3 {
			m.Base, r = below, r-3
		}
		if r > 0 {
			m.Index, m.Scale = stride, uint8(r)
		}
		return m
	}
	for r := range rows {
		PREFETCHT0(row(r, 0))
	}
	MOVQ(panel, b)
	MOVQ(steps, n)
	for _, v := range acc {
		VPXOR(v, v, v)
	}
	loop("depth", n, func() {
		for u := range 4 {
			VMOVDQU(at(b, 64*u), b0)
			VMOVDQU(at(b, 64*u+32), b1)
			for r := range rows {
				VPBROADCASTD(at(a, 4*(rows*u+r)), x)
				VPMADDWD(b0, x, y)
				VPADDD(y, acc[2*r], acc[2*r])
				VPMADDWD(b1, x, x)
				VPADDD(x, acc[2*r+1], acc[2*r+1])
			}
		}
		PREFETCHT1(at(next, 0))
		ADDQ(Imm(8), next)
		ADDQ(I32(4*4*rows), a)
		ADDQ(I32(4*64), b)
	})
	MOVQ(NewParamAddr("add", 48), n)
	TESTQ(n, n)
	JZ(LabelRef("store"))
	for r := range rows {
		VPADDD(row(r, 0), acc[2*r], acc[2*r])
		VPADDD(row(r, 32), acc[2*r+1], acc[2*r+1])
	}
	Label("store")
	for r := range rows {
		VMOVDQU(acc[2*r], row(r, 0))
		VMOVDQU(acc[2*r+1], row(r, 32))
	}
	LEAQ(Mem{Base: below, Index: stride, Scale: 2}, c)
	ADDQ(stride, c)
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	end()
}

func peak() {
	function("Peak", "func(rounds int)",
		"Peak issues 12 independent pairs of VPMADDWD and VPADDD per round and touches no",
		"memory: what the product could reach at best. One pair is 16 multiplications.")
	n := arg("rounds")
	acc := ymms(2 * rows)
	b, x, y, z := YMM(), YMM(), YMM(), YMM()
	for _, v := range append(acc, b, x) {
		VPXOR(v, v, v)
	}
	SHRQ(Imm(2), n)
	loop("round", n, func() {
		for range 4 {
			for r := range rows {
				VPMADDWD(b, x, y)
				VPADDD(y, acc[2*r], acc[2*r])
				VPMADDWD(b, x, z)
				VPADDD(z, acc[2*r+1], acc[2*r+1])
			}
		}
	})
	end()
}

// evenOdd widens four bytes per dword into two pairs of int16: bytes 0 and 2,
// then 1 and 3. Both factors of a product are paired so, which costs two shifts
// less than neighbours would. even may be x.
func evenOdd(x, even, odd VecVirtual) {
	VPSRAW(Imm(8), x, odd)
	VPSLLW(Imm(8), x, even)
	VPSRAW(Imm(8), even, even)
}

func widen() {
	function("Widen", "func(dst, src *uint32, n int)",
		"Widen turns a panel of [n/4][16][4]int8 into one of [n/2][16][2]int16.")
	d, s, n := arg("dst"), arg("src"), arg("n")
	SHRQ(Imm(2), n)
	x, y, t, u := YMM(), YMM(), YMM(), YMM()
	loop("quad", n, func() {
		VMOVDQU(at(s, 0), x)
		VMOVDQU(at(s, 32), y)
		evenOdd(x, x, t)
		evenOdd(y, y, u)
		VMOVDQU(x, at(d, 0))
		VMOVDQU(y, at(d, 32))
		VMOVDQU(t, at(d, 64))
		VMOVDQU(u, at(d, 96))
		ADDQ(Imm(64), s)
		SUBQ(I32(-128), d)
	})
	end()
}

// transpose: an 8 x 8 transposition of dwords, in three stages of shuffles.
func transpose() {
	function("Transpose", "func(dst *uint32, pitch int, src *int8, stride, octets int)",
		"Transpose widens 8 rows of int8, stride bytes apart and 32*octets long, into",
		"[16*octets][8][2]int16 whose entries are pitch bytes apart.")
	d, pitch, s, stride, n := arg("dst"), arg("pitch"), arg("src"), arg("stride"), arg("octets")
	s4 := GP64()
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	v, w := ymms(8), ymms(8)
	loop("octet", n, func() {
		LEAQ(Mem{Base: s, Index: stride, Scale: 4}, s4)
		for r := range 8 {
			m := Mem{Base: s}
			if r >= 4 {
				m.Base = s4
			}
			switch r % 4 {
			case 1, 2:
				m.Index, m.Scale = stride, uint8(r%4)
			case 3:
				m.Index, m.Scale = stride3, 1
			}
			VMOVDQU(m, v[r])
		}
		for i := range 4 {
			VPUNPCKLDQ(v[2*i+1], v[2*i], w[2*i])
			VPUNPCKHDQ(v[2*i+1], v[2*i], w[2*i+1])
		}
		for i := range 2 { // rows 4i..4i+3, dwords j and j+4
			VPUNPCKLQDQ(w[4*i+2], w[4*i], v[4*i])
			VPUNPCKHQDQ(w[4*i+2], w[4*i], v[4*i+1])
			VPUNPCKLQDQ(w[4*i+3], w[4*i+1], v[4*i+2])
			VPUNPCKHQDQ(w[4*i+3], w[4*i+1], v[4*i+3])
		}
		for j := range 4 {
			VPERM2I128(Imm(0x20), v[4+j], v[j], w[j])
			VPERM2I128(Imm(0x31), v[4+j], v[j], w[4+j])
		}
		for j := range 8 {
			evenOdd(w[j], w[j], v[0])
			VMOVDQU(w[j], at(d, 0))
			VMOVDQU(v[0], Mem{Base: d, Index: pitch, Scale: 1})
			LEAQ(Mem{Base: d, Index: pitch, Scale: 2}, d)
		}
		ADDQ(Imm(32), s)
	})
	end()
}

// pack: two entries of a panel are 48 bytes, three stores that never cross a
// line.
func pack() {
	function("Pack", "func(dst *uint32, panel int, src *uint32, pairs int)",
		"Pack cuts [pairs][24][2]int16, an even number of pairs, into four panels of",
		"[pairs][6][2]int16, panel bytes apart.")
	d, panel, s, n := arg("dst"), arg("panel"), arg("src"), arg("pairs")
	d2, d3 := GP64(), GP64()
	LEAQ(Mem{Base: d, Index: panel, Scale: 2}, d2)
	LEAQ(Mem{Base: d2, Index: panel, Scale: 1}, d3)
	heads := []Mem{{Base: d}, {Base: d, Index: panel, Scale: 1}, {Base: d2}, {Base: d3}}
	SHRQ(Imm(1), n)
	loop("pairs", n, func() {
		for p, m := range heads {
			x, y, z := XMM(), XMM(), XMM()
			first, second := 24*p, 96+24*p
			VMOVDQU(at(s, first), x)
			VMOVQ(at(s, first+16), y)
			VMOVHPD(at(s, second), y, y)
			VMOVDQU(at(s, second+8), z)
			for _, v := range []VecVirtual{x, y, z} {
				VMOVDQU(v, m)
				m.Disp += 16
			}
		}
		ADDQ(I32(2*96), s)
		for _, r := range []Register{d, d2, d3} {
			ADDQ(Imm(48), r)
		}
	})
	end()
}
