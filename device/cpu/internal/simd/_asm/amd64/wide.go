// SPDX-License-Identifier: Apache-2.0

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// This file is steps.go and condense once more, in registers of 64 bytes.

func zmms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}

func zero(v ...VecVirtual) {
	for _, z := range v {
		VPXORD(z, z, z)
	}
}

// every loads the low half of an argument of 8 bytes into every dword.
func every(name string) VecVirtual {
	z := ZMM()
	VPBROADCASTD(arg(name).As32(), z)
	return z
}

// condenseWide is condense with sixteen lanes; four words are summed up
// together.
func condenseWide() {
	function("CondenseWide", "func(dst *uint32, src *int32, words, stride int, pos, step uint32)",
		"CondenseWide is Condense with AVX-512.")
	d, s, n, stride := arg("dst"), arg("src"), arg("words"), arg("stride")
	g := GP32()
	MOVL(U32(golden), g)
	lanes := GLOBL("condenseWideLanes", RODATA|NOPTR)
	for i := range uint32(16) {
		DATA(int(4*i), U32(i*golden))
	}
	key := func(name string) VecVirtual {
		p, z := Load(Param(name), GP32()).(GPVirtual), ZMM()
		IMULL(g, p)
		VPBROADCASTD(p, z)
		return z
	}
	base, step := key("pos"), key("step")
	VPADDD(lanes, base, base)
	k := GP32()
	every := func(v uint32) VecVirtual {
		z := ZMM()
		MOVL(U32(v), k)
		VPBROADCASTD(k, z)
		return z
	}
	m1, m2, sixteen := every(0x85ebca6b), every(0xc2b2ae35), every(16*golden&0xffffffff)
	word := func() (sum VecVirtual) {
		pos, t := ZMM(), ZMM()
		VMOVDQA32(base, pos)
		for i := range 4 {
			x := ZMM()
			VPADDD(at(s, 64*i), pos, x)
			if i < 3 {
				VPADDD(sixteen, pos, pos)
			}
			for j, by := range []uint64{16, 13, 16} {
				VPSRLD(Imm(by), x, t)
				VPXORD(t, x, x)
				if j < 2 {
					VPMULLD([]VecVirtual{m1, m2}[j], x, x)
				}
			}
			if i == 0 {
				sum = x
			} else {
				VPADDD(x, sum, sum)
			}
		}
		VPADDD(step, base, base)
		ADDQ(stride, s)
		return sum
	}
	// quarter adds up the lanes of 128 bits.
	quarter := func(x VecVirtual) VecVirtual {
		y, z, w := YMM(), XMM(), XMM()
		VEXTRACTI64X4(Imm(1), x, y)
		VPADDD(x.AsY(), y, y)
		VEXTRACTI32X4(Imm(1), y, z)
		VPADDD(y.AsX(), z, w)
		return w
	}
	rest := GP64()
	MOVQ(n, rest)
	ANDQ(Imm(3), rest)
	SHRQ(Imm(2), n)
	JZ(LabelRef("few"))
	loop("four", n, func() {
		a, b, c, e := word(), word(), word(), word()
		// add sums pairs of dwords, or of qwords, of x and y next to each other.
		add := func(low, high func(...Op), x, y VecVirtual) VecVirtual {
			t, u := ZMM(), ZMM()
			low(y, x, t)
			high(y, x, u)
			VPADDD(u, t, t)
			return t
		}
		ab, ce := add(VPUNPCKLDQ, VPUNPCKHDQ, a, b), add(VPUNPCKLDQ, VPUNPCKHDQ, c, e)
		VMOVDQU32(quarter(add(VPUNPCKLQDQ, VPUNPCKHQDQ, ab, ce)), at(d, 0))
		ADDQ(Imm(16), d)
	})
	Label("few")
	TESTQ(rest, rest)
	JZ(LabelRef("done"))
	loop("word", rest, func() {
		x, t := quarter(word()), XMM()
		VPSHUFD(Imm(0x4e), x, t)
		VPADDD(t, x, x)
		VPSHUFD(Imm(0xb1), x, t)
		VPADDD(t, x, x)
		VMOVD(x, at(d, 0))
		ADDQ(Imm(4), d)
	})
	Label("done")
	end()
}

func requantWide() {
	function("RequantWide", "func(dst *int8, stride int, src *int32, rows, round, shift int)",
		"RequantWide is Requant for a panel of [rows][32]int32, with AVX-512.")
	d, stride, s, n := arg("dst"), arg("stride"), arg("src"), arg("rows")
	round, shift, lowest := every("round"), count("shift"), XMM()
	VPBROADCASTD(constant("requantWideLowest", 1, 0x81818181), lowest)
	loop("row", n, func() {
		for half := range 2 {
			x, y := ZMM(), XMM()
			VPADDD(at(s, 64*half), round, x)
			VPSRAD(shift, x, x)
			VPMOVSDB(x, y)
			VPMAXSB(lowest, y, y)
			VMOVDQU8(y, at(d, 16*half))
		}
		SUBQ(I32(-128), s)
		ADDQ(stride, d)
	})
	end()
}

func residualWide() {
	function("ResidualWide",
		"func(h *int32, stride int, src *int32, rows, round, shift, limit int)",
		"ResidualWide is Residual for a panel of [rows][32]int32, with AVX-512.")
	h, stride, s, n := arg("h"), arg("stride"), arg("src"), arg("rows")
	round, shift, high := every("round"), count("shift"), every("limit")
	low := ZMM()
	zero(low)
	VPSUBD(high, low, low)
	loop("row", n, func() {
		for _, disp := range []int{0, 64} {
			a := ZMM()
			VPADDD(at(s, disp), round, a)
			VPSRAD(shift, a, a)
			VPADDD(at(h, disp), a, a)
			VPMINSD(high, a, a)
			VPMAXSD(low, a, a)
			VMOVDQU32(a, at(h, disp))
		}
		SUBQ(I32(-128), s)
		ADDQ(stride, h)
	})
	end()
}

func gateWide() {
	function("GateWide", "func(dst, gates, ups *int8, n, round, shift int)",
		"GateWide is Gate for n a multiple of 32, with AVX-512.")
	z, g, u, n := arg("dst"), arg("gates"), arg("ups"), arg("n")
	round, shift, lowest := every("round"), count("shift"), YMM()
	VPBROADCASTD(constant("gateWideLowest", 1, 0x81818181), lowest)
	SHRQ(Imm(5), n)
	loop("values", n, func() {
		x, y, t, a, b := ZMM(), ZMM(), ZMM(), ZMM(), ZMM()
		VPMOVSXBW(at(g, 0), x)
		VPMOVSXBW(at(u, 0), y)
		VPSLLW(Imm(2), x, t)
		VPMAXSW(t, x, x)
		VPMULHW(y, x, t)
		VPMULLW(y, x, x)
		VPUNPCKLWD(t, x, a)
		VPUNPCKHWD(t, x, b)
		for _, v := range []VecVirtual{a, b} {
			VPADDD(round, v, v)
			VPSRAD(shift, v, v)
		}
		VPACKSSDW(b, a, a)
		w := YMM()
		VPMOVSWB(a, w)
		VPMAXSB(lowest, w, w)
		VMOVDQU8(w, at(z, 0))
		for _, r := range []Register{z, g, u} {
			ADDQ(Imm(32), r)
		}
	})
	end()
}

func squaresWide() {
	function("SquaresWide", "func(src *int32, n int) uint64",
		"SquaresWide is Squares for n a multiple of 32, with AVX-512.")
	s, n := arg("src"), arg("n")
	SHRQ(Imm(5), n)
	acc := zmms(4)
	zero(acc...)
	loop("values", n, func() {
		for half := range 2 {
			x, y := ZMM(), ZMM()
			VMOVDQU32(at(s, 64*half), x)
			VPSRLQ(Imm(32), x, y)
			VPMULDQ(x, x, x)
			VPMULDQ(y, y, y)
			VPADDQ(x, acc[2*half], acc[2*half])
			VPADDQ(y, acc[2*half+1], acc[2*half+1])
		}
		SUBQ(I32(-128), s)
	})
	VPADDQ(acc[1], acc[0], acc[0])
	VPADDQ(acc[3], acc[2], acc[2])
	VPADDQ(acc[2], acc[0], acc[0])
	y, x, w := YMM(), XMM(), XMM()
	VEXTRACTI64X4(Imm(1), acc[0], y)
	VPADDQ(acc[0].AsY(), y, y)
	VEXTRACTI32X4(Imm(1), y, x)
	VPADDQ(y.AsX(), x, x)
	VPSHUFD(Imm(0x4e), x, w)
	VPADDQ(w, x, x)
	r := GP64()
	VMOVQ(x, r)
	Store(r, ReturnIndex(0))
	end()
}

// multiplierWide is multiplier for sixteen values. odd marks every second dword.
type multiplierWide struct {
	inv, round, bias, shift, lowest VecVirtual
	odd                             OpmaskVirtual
}

func loadMultiplierWide(name string) multiplierWide {
	qword := func(name string) VecVirtual {
		z := ZMM()
		VPBROADCASTQ(arg(name), z)
		return z
	}
	m := multiplierWide{qword("inv"), qword("round"), every("bias"), count("shift"), XMM(), K()}
	VPBROADCASTD(constant(name+"Lowest", 1, 0x81818181), m.lowest)
	k := GP32()
	MOVL(U32(0xaaaa), k)
	KMOVW(k, m.odd)
	return m
}

// narrow scales x, limits it to -127..127 and stores it as bytes.
func (m multiplierWide) narrow(x VecVirtual, to Mem) {
	t, y := ZMM(), XMM()
	VPSRLQ(Imm(32), x, t)
	VPMULDQ(m.inv, x, x)
	VPMULDQ(m.inv, t, t)
	VPADDQ(m.round, x, x)
	VPADDQ(m.round, t, t)
	VPSRLQ(m.shift, x, x)
	VPSRLQ(m.shift, t, t)
	VPSLLQ(Imm(32), t, t)
	VMOVDQA32(t, m.odd, x)
	VPSUBD(m.bias, x, x)
	VPMOVSDB(x, y)
	VPMAXSB(m.lowest, y, y)
	VMOVDQU8(y, to)
}

func scaleWide() {
	function("ScaleWide", "func(dst *int8, src *int32, n int, "+multiplierArgs+")",
		"ScaleWide is Scale with AVX-512.")
	d, s, n := arg("dst"), arg("src"), arg("n")
	m := loadMultiplierWide("scaleWide")
	SHRQ(Imm(4), n)
	loop("values", n, func() {
		x := ZMM()
		VMOVDQU32(at(s, 0), x)
		m.narrow(x, at(d, 0))
		ADDQ(Imm(64), s)
		ADDQ(Imm(16), d)
	})
	end()
}

func mixWide() {
	function("MixWide", "func(dst, v *int8, stride int, weights *int32, rows int, "+
		multiplierArgs+")",
		"MixWide is Mix with AVX-512.")
	d, v, stride, w, n := arg("dst"), arg("v"), arg("stride"), arg("weights"), arg("rows")
	m := loadMultiplierWide("mixWide")
	acc := zmms(4)
	zero(acc...)
	loop("row", n, func() {
		x := ZMM()
		VPBROADCASTD(at(w, 0), x)
		for c := range acc {
			t := ZMM()
			VPMOVSXBD(at(v, 16*c), t)
			VPMULLD(x, t, t)
			VPADDD(t, acc[c], acc[c])
		}
		ADDQ(stride, v)
		ADDQ(Imm(4), w)
	})
	for c := range acc {
		m.narrow(acc[c], at(d, 16*c))
	}
	end()
}
