// SPDX-License-Identifier: Apache-2.0

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// broadcast loads an argument of 8 bytes into every qword, or its low half
// into every dword.
func broadcast(name string, dwords bool) VecVirtual {
	x, y := XMM(), YMM()
	VMOVQ(arg(name), x)
	if dwords {
		VPBROADCASTD(x, y)
	} else {
		VPBROADCASTQ(x, y)
	}
	return y
}

// count loads a shift count.
func count(name string) VecVirtual {
	x := XMM()
	VMOVQ(arg(name), x)
	return x
}

// lowestByte is -127 in sixteen bytes, which packing with saturation misses.
func lowestByte(name string) VecVirtual {
	x := XMM()
	VMOVDQU(constant(name, 4, 0x81818181), x)
	return x
}

// narrow limits sixteen int32 to -127..127 and stores them as bytes. It spoils a.
func narrow(a, b VecVirtual, lowest VecVirtual, to Mem) {
	VPACKSSDW(b, a, a)
	VPERMQ(Imm(0xd8), a, a)
	x := XMM()
	VEXTRACTI128(Imm(1), a, x)
	VPACKSSWB(x, a.AsX(), x)
	VPMAXSB(lowest, x, x)
	VMOVDQU(x, to)
}

func requant() {
	function("Requant", "func(dst *int8, stride int, src *int32, rows, round, shift int)",
		"Requant narrows a panel of [rows][16]int32: (x+round)>>shift, limited to -127..127.",
		"Rows of dst are stride bytes apart.")
	d, stride, s, n := arg("dst"), arg("stride"), arg("src"), arg("rows")
	round, shift, lowest := broadcast("round", true), count("shift"), lowestByte("requantLowest")
	loop("row", n, func() {
		a, b := YMM(), YMM()
		VPADDD(at(s, 0), round, a)
		VPADDD(at(s, 32), round, b)
		VPSRAD(shift, a, a)
		VPSRAD(shift, b, b)
		narrow(a, b, lowest, at(d, 0))
		ADDQ(Imm(64), s)
		ADDQ(stride, d)
	})
	end()
}

func residual() {
	function("Residual", "func(h *int32, stride int, src *int32, rows, round, shift, limit int)",
		"Residual adds (x+round)>>shift of a panel of [rows][16]int32 to rows of h, stride",
		"bytes apart, and limits the sums to -limit..limit.")
	h, stride, s, n := arg("h"), arg("stride"), arg("src"), arg("rows")
	round, shift, high := broadcast("round", true), count("shift"), broadcast("limit", true)
	low := YMM()
	VPXOR(low, low, low)
	VPSUBD(high, low, low)
	loop("row", n, func() {
		for _, disp := range []int{0, 32} {
			a := YMM()
			VPADDD(at(s, disp), round, a)
			VPSRAD(shift, a, a)
			VPADDD(at(h, disp), a, a)
			VPMINSD(high, a, a)
			VPMAXSD(low, a, a)
			VMOVDQU(a, at(h, disp))
		}
		ADDQ(Imm(64), s)
		ADDQ(stride, h)
	})
	end()
}

func gate() {
	function("Gate", "func(dst, gates, ups *int8, n, round, shift int)",
		"Gate writes (max(g,4g)*u + round)>>shift of gates g and ups u, limited to -127..127;",
		"n is a multiple of 16 and dst may be gates.")
	z, g, u, n := arg("dst"), arg("gates"), arg("ups"), arg("n")
	round, shift, lowest := broadcast("round", true), count("shift"), lowestByte("gateLowest")
	SHRQ(Imm(4), n)
	loop("sixteen", n, func() {
		x, y, t := YMM(), YMM(), YMM()
		VPMOVSXBW(at(g, 0), x)
		VPMOVSXBW(at(u, 0), y)
		VPSLLW(Imm(2), x, t)
		VPMAXSW(t, x, x)
		VPMULHW(y, x, t)
		VPMULLW(y, x, x)
		a, b := YMM(), YMM()
		VPUNPCKLWD(t, x, a) // 0..3, 8..11
		VPUNPCKHWD(t, x, b) // 4..7, 12..15
		for _, v := range []VecVirtual{a, b} {
			VPADDD(round, v, v)
			VPSRAD(shift, v, v)
		}
		VPACKSSDW(b, a, a)
		w := XMM()
		VEXTRACTI128(Imm(1), a, w)
		VPACKSSWB(w, a.AsX(), w)
		VPMAXSB(lowest, w, w)
		VMOVDQU(w, at(z, 0))
		for _, r := range []Register{z, g, u} {
			ADDQ(Imm(16), r)
		}
	})
	end()
}

func squares() {
	function("Squares", "func(src *int32, n int) uint64",
		"Squares is the sum of squares of n values, n a multiple of 8.")
	s, n := arg("src"), arg("n")
	SHRQ(Imm(3), n)
	a, b := YMM(), YMM()
	VPXOR(a, a, a)
	VPXOR(b, b, b)
	loop("eight", n, func() {
		x, y := YMM(), YMM()
		VMOVDQU(at(s, 0), x)
		VPSRLQ(Imm(32), x, y)
		VPMULDQ(x, x, x)
		VPMULDQ(y, y, y)
		VPADDQ(x, a, a)
		VPADDQ(y, b, b)
		ADDQ(Imm(32), s)
	})
	VPADDQ(b, a, a)
	x, y := XMM(), XMM()
	VEXTRACTI128(Imm(1), a, x)
	VPADDQ(a.AsX(), x, x)
	VPSHUFD(Imm(0x4e), x, y)
	VPADDQ(y, x, x)
	r := GP64()
	VMOVQ(x, r)
	Store(r, ReturnIndex(0))
	end()
}

// multiplier scales eight int32 by inv/2^shift in 64 bits. There is no
// arithmetic shift of qwords: round holds 2^62 too, which keeps sums positive,
// and bias is the low half of 2^62>>shift, taken off again.
type multiplier struct{ inv, round, bias, shift VecVirtual }

func loadMultiplier() multiplier {
	return multiplier{broadcast("inv", false), broadcast("round", false), broadcast("bias", true),
		count("shift")}
}

func (m multiplier) apply(x, t VecVirtual) {
	VPSRLQ(Imm(32), x, t)
	VPMULDQ(m.inv, x, x)
	VPMULDQ(m.inv, t, t)
	VPADDQ(m.round, x, x)
	VPADDQ(m.round, t, t)
	VPSRLQ(m.shift, x, x)
	VPSRLQ(m.shift, t, t)
	VPSLLQ(Imm(32), t, t)
	VPBLENDD(Imm(0xaa), t, x, x)
	VPSUBD(m.bias, x, x)
}

const multiplierArgs = "inv, round, bias, shift uint64"

func scale() {
	function("Scale", "func(dst *int8, src *int32, n int, "+multiplierArgs+")",
		"Scale narrows n values, a multiple of 16: x*inv/2^shift, rounded and limited to",
		"-127..127. round is 2^62 + 2^(shift-1), bias the low 32 bits of 2^62>>shift, and",
		"quotients before the limit fit int32.")
	d, s, n := arg("dst"), arg("src"), arg("n")
	m, lowest := loadMultiplier(), lowestByte("scaleLowest")
	SHRQ(Imm(4), n)
	loop("sixteen", n, func() {
		a, b, t := YMM(), YMM(), YMM()
		VMOVDQU(at(s, 0), a)
		VMOVDQU(at(s, 32), b)
		m.apply(a, t)
		m.apply(b, t)
		narrow(a, b, lowest, at(d, 0))
		ADDQ(Imm(64), s)
		ADDQ(Imm(16), d)
	})
	end()
}

func scores() {
	function("Scores", "func(dst *[4][4]int32, q, k *int8, stride int)",
		"Scores writes the dot products of the rows i of q with the rows j <= i of k to",
		"dst[i][j]: four rows of 64, stride bytes apart.")
	d, q, k, stride := arg("dst"), arg("q"), arg("k"), arg("stride")
	for i := range 4 {
		row := GP64()
		MOVQ(k, row)
		v := ymms(4)
		for c := range v {
			VPMOVSXBW(at(q, 16*c), v[c])
		}
		for j := range i + 1 {
			sum, t := YMM(), YMM()
			for c := range v {
				to := t
				if c == 0 {
					to = sum
				}
				VPMOVSXBW(at(row, 16*c), to)
				VPMADDWD(v[c], to, to)
				if c > 0 {
					VPADDD(t, sum, sum)
				}
			}
			VMOVD(sumDwords(sum), at(d, 16*i+4*j))
			if j < i {
				ADDQ(stride, row)
			}
		}
		if i < 3 {
			ADDQ(stride, q)
		}
	}
	end()
}

func mix() {
	function("Mix", "func(dst, v *int8, stride int, weights *int32, rows int, "+multiplierArgs+")",
		"Mix writes sum_j weights[j]*v[j] over the first rows rows of v, 64 wide and stride",
		"bytes apart, to dst, scaled and limited as by Scale.")
	d, v, stride, w, n := arg("dst"), arg("v"), arg("stride"), arg("weights"), arg("rows")
	m, lowest := loadMultiplier(), lowestByte("mixLowest")
	acc := ymms(8)
	for _, a := range acc {
		VPXOR(a, a, a)
	}
	loop("row", n, func() {
		x, t := YMM(), YMM()
		VPBROADCASTD(at(w, 0), x)
		for c := range acc {
			VPMOVSXBD(at(v, 8*c), t)
			VPMULLD(x, t, t)
			VPADDD(t, acc[c], acc[c])
		}
		ADDQ(stride, v)
		ADDQ(Imm(4), w)
	})
	t := YMM()
	for c := 0; c < 8; c += 2 {
		m.apply(acc[c], t)
		m.apply(acc[c+1], t)
		narrow(acc[c], acc[c+1], lowest, at(d, 8*c))
	}
	end()
}
