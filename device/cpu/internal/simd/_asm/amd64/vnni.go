// SPDX-License-Identifier: Apache-2.0

package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A register tile of the product in bytes: 16 accumulators hide the four cycles
// that VPDPBUSD takes, and 8 rows are half of what is expanded at a time.
const (
	byteRows = 8
	byteCols = 32
)

// dot adds four products of signed and unsigned bytes to each dword of acc. Avo
// does not know the instruction.
func dot(signed Op, unsigned, acc VecVirtual) {
	Instruction(&ir.Instruction{
		Opcode:   "VPDPBUSD",
		Operands: []Op{signed, unsigned, acc},
		Inputs:   []Op{signed, unsigned, acc},
		Outputs:  []Op{acc},
		ISA:      []string{"AVX512VNNI"},
	})
}

// productBytes: one VPDPBUSD a cycle is all there is; loads have room to spare.
// As in product, the panel of B behind this one is asked for meanwhile.
func productBytes() {
	function("ProductBytes", "func(tiles, n int, a, b *uint32, c *int32, stride, add int)",
		"ProductBytes multiplies panels of A by one panel of B into tiles of 8 x 32 sums, one",
		"below the other in c: C = A*B, or C += A*B if add is not 0. n is the depth, a",
		"multiple of 16; a is tiles panels of [n/4][8][4]uint8, values with 128 added, one",
		"after the other; b is the [32]int32 that CorrectBytes made and [n/4][32][4]int8;",
		"stride is the bytes from a row of c to the next. It needs AVX512VNNI.")
	tiles, steps := arg("tiles"), arg("n")
	a, panel, c, stride := arg("a"), arg("b"), arg("c"), arg("stride")
	b, n, below, stride3, next := GP64(), GP64(), GP64(), GP64(), GP64()
	acc := zmms(2 * byteRows)
	b0, b1 := ZMM(), ZMM()
	MOVQ(steps, next)
	SHLQ(Imm(5), next)
	LEAQ(Mem{Base: panel, Index: next, Scale: 1, Disp: 128}, next)
	SHRQ(Imm(4), steps)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)

	Label("tile")
	LEAQ(Mem{Base: c, Index: stride, Scale: 4}, below)
	row := func(r, disp int) Mem {
		m := at([]Register{c, below}[r/4], disp)
		switch r % 4 {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(r%4)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		return m
	}
	for r := range byteRows {
		PREFETCHT0(row(r, 0))
		PREFETCHT0(row(r, 64))
	}
	MOVQ(panel, b)
	MOVQ(steps, n)
	VMOVDQU32(at(b, 0), acc[0])
	VMOVDQU32(at(b, 64), acc[1])
	for r := 1; r < byteRows; r++ {
		VMOVDQA32(acc[0], acc[2*r])
		VMOVDQA32(acc[1], acc[2*r+1])
	}
	SUBQ(I32(-128), b)
	loop("depth", n, func() {
		for u := range 4 {
			VMOVDQU32(at(b, 128*u), b0)
			VMOVDQU32(at(b, 128*u+64), b1)
			for r := range byteRows {
				x := ZMM()
				VPBROADCASTD(at(a, 4*(byteRows*u+r)), x)
				dot(b0, x, acc[2*r])
				dot(b1, x, acc[2*r+1])
			}
		}
		PREFETCHT1(at(next, 0))
		ADDQ(Imm(24), next)
		SUBQ(I32(-4*4*byteRows), a)
		ADDQ(I32(4*128), b)
	})
	MOVQ(NewParamAddr("add", 48), n)
	TESTQ(n, n)
	JZ(LabelRef("store"))
	for r := range byteRows {
		VPADDD(row(r, 0), acc[2*r], acc[2*r])
		VPADDD(row(r, 64), acc[2*r+1], acc[2*r+1])
	}
	Label("store")
	for r := range byteRows {
		VMOVDQU32(acc[2*r], row(r, 0))
		VMOVDQU32(acc[2*r+1], row(r, 64))
	}
	LEAQ(Mem{Base: below, Index: stride, Scale: 4}, c)
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	end()
}

func peakBytes() {
	function("PeakBytes", "func(rounds int)",
		"PeakBytes issues 16 independent VPDPBUSD per round and touches no memory: what the",
		"product could reach at best. One is 64 multiplications.")
	n := arg("rounds")
	acc := zmms(2 * byteRows)
	b, x := ZMM(), ZMM()
	zero(append(acc, b, x)...)
	SHRQ(Imm(2), n)
	loop("round", n, func() {
		for range 4 {
			for _, v := range acc {
				dot(b, x, v)
			}
		}
	})
	end()
}

// correctBytes: A comes with 128 added, which adds 128 times a column's sum to
// each of the column's results.
func correctBytes() {
	function("CorrectBytes", "func(panel *uint32, n int)",
		"CorrectBytes writes -128 times the sums of the columns of [n/4][32][4]int8, which",
		"follow, to the first [32]int32 of a panel. n is a multiple of 16.")
	p, n := arg("panel"), arg("n")
	s, one := GP64(), ZMM()
	acc := zmms(8)
	zero(acc...)
	VPBROADCASTD(constant("correctOnes", 1, 0x01010101), one)
	LEAQ(at(p, 128), s)
	SHRQ(Imm(4), n)
	loop("quads", n, func() {
		for u := range 8 {
			dot(at(s, 64*u), one, acc[u])
		}
		ADDQ(I32(512), s)
	})
	z := ZMM()
	zero(z)
	for half := range 2 {
		for u := 2; u < 8; u += 2 {
			VPADDD(acc[half+u], acc[half], acc[half])
		}
		VPSLLD(Imm(7), acc[half], acc[half])
		VPSUBD(acc[half], z, acc[half])
		VMOVDQU32(acc[half], at(p, 64*half))
	}
	end()
}

// expandBytes: ChaCha8, one state word of sixteen streams per register, which
// leaves sixteen registers; and there is a rotation.
func expandBytes(name string, ahead func(word int), store func(x VecVirtual, word int)) {
	v := zmms(16)
	state, n := arg("state"), arg("blocks")
	one := ZMM()
	VPBROADCASTD(constant(name+"One", 1, 1), one)
	round := func(quarters [4][4]int) {
		step := func(a, b, d int, by uint64) {
			for _, q := range quarters {
				VPADDD(v[q[b]], v[q[a]], v[q[a]])
			}
			for _, q := range quarters {
				VPXORD(v[q[a]], v[q[d]], v[q[d]])
			}
			for _, q := range quarters {
				VPROLD(Imm(by), v[q[d]], v[q[d]])
			}
		}
		step(0, 1, 3, 16)
		step(2, 3, 1, 12)
		step(0, 1, 3, 8)
		step(2, 3, 1, 7)
	}
	loop("block", n, func() {
		for w, reg := range v {
			VMOVDQU32(at(state, 64*w), reg)
			ahead(w)
		}
		for range 4 {
			round([4][4]int{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}})
			round([4][4]int{{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}})
		}
		for w, reg := range v {
			VPADDD(at(state, 64*w), reg, reg)
			store(reg, w)
		}
		counter := ZMM()
		VPADDD(at(state, 64*12), one, counter)
		VMOVDQU32(counter, at(state, 64*12))
	})
	end()
}

// entries asks for the lines that a block's entries will be stored to.
func entries(d, pitch Register) func(int) {
	p := GP64()
	return func(word int) {
		if word == 0 {
			MOVQ(d, p)
		}
		PREFETCHT0(at(p, 0))
		ADDQ(pitch, p)
	}
}

const byteStates = "state is [16][16]uint32, words of the streams' states; word 12 moves on and " +
	"must not wrap."

func expandColumnBytes() {
	function("ExpandColumnBytes", "func(dst *uint32, pitch int, state *uint32, blocks int)",
		"ExpandColumnBytes writes blocks of 64 bytes of sixteen ChaCha8 streams (package prf)",
		"side by side: [16*blocks][16][4]int8, entries pitch bytes apart.", byteStates)
	d, pitch := arg("dst"), arg("pitch")
	expandBytes("columnBytes", entries(d, pitch), func(x VecVirtual, _ int) {
		VMOVDQU32(x, at(d, 0))
		ADDQ(pitch, d)
	})
}

func expandWeightBytes() {
	function("ExpandWeightBytes", "func(dst *uint32, pitch int, state *uint32, blocks int)",
		"ExpandWeightBytes is ExpandColumnBytes with -128 made 0.")
	d, pitch := arg("dst"), arg("pitch")
	lowest := ZMM()
	VPBROADCASTD(constant("weightBytesLowest", 1, 0x80808080), lowest)
	expandBytes("weightBytes", entries(d, pitch), func(x VecVirtual, _ int) {
		const notEqual = 4
		k := K()
		VPCMPB(Imm(notEqual), lowest, x, k)
		VMOVDQU8_Z(x, k, x)
		VMOVDQU32(x, at(d, 0))
		ADDQ(pitch, d)
	})
}

func expandRowBytes() {
	function("ExpandRowBytes", "func(dst *uint32, panel int, state *uint32, blocks int)",
		"ExpandRowBytes writes blocks of 64 bytes of sixteen ChaCha8 streams with 128 added to",
		"every byte: two of [16*blocks][8][4]uint8, panel bytes apart.", byteStates)
	d, panel := arg("dst"), arg("panel")
	high := ZMM()
	VPBROADCASTD(constant("rowBytesHigh", 1, 0x80808080), high)
	expandBytes("rowBytes", func(word int) {
		if word%2 == 0 {
			PREFETCHT0(at(d, 32*word))
			PREFETCHT0(Mem{Base: d, Index: panel, Scale: 1, Disp: 32 * word})
		}
	}, func(x VecVirtual, word int) {
		VPXORD(high, x, x)
		VMOVDQU64(x.AsY(), at(d, 32*word))
		VEXTRACTI64X4(Imm(1), x, Mem{Base: d, Index: panel, Scale: 1, Disp: 32 * word})
		if word == 15 {
			ADDQ(I32(16*32), d)
		}
	})
}

// packBytes: a transposition of dwords, 8 x 16.
func packBytes() {
	function("PackBytes", "func(dst *uint32, src *int8, stride, n int)",
		"PackBytes makes one panel of [n/4][8][4]uint8, values with 128 added, of 8 rows of n",
		"int8, a multiple of 64, that are stride bytes apart.")
	d, s, stride, n := arg("dst"), arg("src"), arg("stride"), arg("n")
	s4, stride3 := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	SHRQ(Imm(6), n)
	high, low128, high128 := ZMM(), ZMM(), ZMM()
	VPBROADCASTD(constant("packBytesHigh", 1, 0x80808080), high)
	// Lanes 0 and 1, or 2 and 3, of two registers, in turns.
	VMOVDQU64(qwords("packBytesLow", 0, 1, 8, 9, 2, 3, 10, 11), low128)
	VMOVDQU64(qwords("packBytesUpper", 4, 5, 12, 13, 6, 7, 14, 15), high128)
	loop("quads", n, func() {
		LEAQ(Mem{Base: s, Index: stride, Scale: 4}, s4)
		v, w := zmms(8), zmms(8)
		for r := range 8 {
			m := Mem{Base: []Register{s, s4}[r/4]}
			switch r % 4 {
			case 1, 2:
				m.Index, m.Scale = stride, uint8(r%4)
			case 3:
				m.Index, m.Scale = stride3, 1
			}
			VPXORD(m, high, v[r])
		}
		for i := range 4 {
			VPUNPCKLDQ(v[2*i+1], v[2*i], w[2*i])
			VPUNPCKHDQ(v[2*i+1], v[2*i], w[2*i+1])
		}
		for i := range 2 { // rows 4i..4i+3; in lane l dword 4l+j
			VPUNPCKLQDQ(w[4*i+2], w[4*i], v[4*i])
			VPUNPCKHQDQ(w[4*i+2], w[4*i], v[4*i+1])
			VPUNPCKLQDQ(w[4*i+3], w[4*i+1], v[4*i+2])
			VPUNPCKHQDQ(w[4*i+3], w[4*i+1], v[4*i+3])
		}
		for j := range 4 {
			for half, order := range []VecVirtual{low128, high128} {
				x := ZMM()
				VMOVDQA64(order, x)
				VPERMI2Q(v[4+j], v[j], x)
				VMOVDQU64(x.AsY(), at(d, 32*(8*half+j)))
				VEXTRACTI64X4(Imm(1), x, at(d, 32*(8*half+4+j)))
			}
		}
		ADDQ(Imm(64), s)
		ADDQ(I32(512), d)
	})
	end()
}

func qwords(name string, v ...uint64) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, q := range v {
		DATA(8*i, U64(q))
	}
	return m
}
