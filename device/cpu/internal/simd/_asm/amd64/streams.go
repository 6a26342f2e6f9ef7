// SPDX-License-Identifier: Apache-2.0

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// expand: ChaCha8, one state word of eight streams per register. Sixteen words
// and no room for temporaries: two of words 8..11 wait in memory. A double
// round changes them twice, as its middle two steps share 10 and 11 and the
// outer two share 8 and 9.
func expand(name string, wide bool) {
	out := "[16*blocks][8][4]int8, entries pitch bytes apart, with -128 made 0."
	if wide {
		out = "[32*blocks][8][2]int16, entries pitch bytes apart, pairs as Widen makes them."
	}
	function(name, "func(dst *uint32, pitch int, state *uint32, blocks int)",
		name+" writes blocks of 64 bytes of eight ChaCha8 streams (package prf) side by side:",
		out,
		"state is [16][8]uint32, words of the streams' states; word 12 moves on and must not wrap.")
	d, pitch, state, n := arg("dst"), arg("pitch"), arg("state"), arg("blocks")
	by16 := constant(name+"16", 8, 0x01000302, 0x05040706, 0x09080b0a, 0x0d0c0f0e)
	by8 := constant(name+"8", 8, 0x02010003, 0x06050407, 0x0a09080b, 0x0e0d0c0f)
	ones := constant(name+"Ones", 8, 1)
	lowest := constant(name+"Lowest", 8, 0x80808080)
	spill := AllocLocal(2 * 32)
	v := make([]VecVirtual, 16)
	for i := range v {
		if i != 10 && i != 11 {
			v[i] = YMM()
		}
	}
	t, u := YMM(), YMM()
	quarter := func(p, q [4]int) {
		pair := [2][4]int{p, q}
		// step adds, xors and rotates left by n.
		step := func(a, b, d int, n uint64) {
			for _, w := range pair {
				VPADDD(v[w[b]], v[w[a]], v[w[a]])
			}
			for _, w := range pair {
				VPXOR(v[w[a]], v[w[d]], v[w[d]])
			}
			switch n {
			case 16, 8:
				by := by16
				if n == 8 {
					by = by8
				}
				for _, w := range pair {
					VPSHUFB(by, v[w[d]], v[w[d]])
				}
			default:
				for i, w := range pair {
					tmp := []VecVirtual{t, u}[i]
					VPSLLD(Imm(n), v[w[d]], tmp)
					VPSRLD(Imm(32-n), v[w[d]], v[w[d]])
					VPOR(tmp, v[w[d]], v[w[d]])
				}
			}
		}
		step(0, 1, 3, 16)
		step(2, 3, 1, 12)
		step(0, 1, 3, 8)
		step(2, 3, 1, 7)
	}
	// swap puts words 8, 9 away and takes 10, 11 in, or back.
	swap := func(from, to int) {
		for i := range 2 {
			VMOVDQU(spill.Offset(32*i), t)
			VMOVDQU(v[from+i], spill.Offset(32*i))
			v[to+i] = v[from+i]
			VMOVDQA(t, v[to+i])
		}
	}
	loop("block", n, func() {
		for w, reg := range v {
			if w == 10 || w == 11 {
				VMOVDQU(at(state, 32*w), t)
				VMOVDQU(t, spill.Offset(32*(w-10)))
				continue
			}
			VMOVDQU(at(state, 32*w), reg)
		}
		for range 4 {
			quarter([4]int{0, 4, 8, 12}, [4]int{1, 5, 9, 13})
			swap(8, 10)
			quarter([4]int{2, 6, 10, 14}, [4]int{3, 7, 11, 15})
			quarter([4]int{0, 5, 10, 15}, [4]int{1, 6, 11, 12})
			swap(10, 8)
			quarter([4]int{2, 7, 8, 13}, [4]int{3, 4, 9, 14})
		}
		for w := range 16 {
			x := v[w]
			if w == 10 || w == 11 {
				x = v[w-2] // written out already
				VMOVDQU(spill.Offset(32*(w-10)), x)
			}
			VPADDD(at(state, 32*w), x, x)
			if wide {
				evenOdd(x, x, t)
				VMOVDQU(x, at(d, 0))
				VMOVDQU(t, Mem{Base: d, Index: pitch, Scale: 1})
				LEAQ(Mem{Base: d, Index: pitch, Scale: 2}, d)
				continue
			}
			VPCMPEQB(lowest, x, t)
			VPANDN(x, t, x)
			VMOVDQU(x, at(d, 0))
			ADDQ(pitch, d)
		}
		VMOVDQU(at(state, 32*12), t)
		VPADDD(ones, t, t)
		VMOVDQU(t, at(state, 32*12))
	})
	end()
}

// golden is package condense's.
const golden = 0x9E3779B9

// fmix is MurmurHash3's finaliser on eight dwords.
func fmix(x, t, m1, m2 VecVirtual) {
	for i, s := range []uint64{16, 13, 16} {
		VPSRLD(Imm(s), x, t)
		VPXOR(t, x, x)
		if i < 2 {
			VPMULLD([]VecVirtual{m1, m2}[i], x, x)
		}
	}
}

func condense() {
	function("Condense", "func(dst *uint32, src *int32, words, stride int, pos, step uint32)",
		"Condense makes words words of 64 elements each (package condense). stride is the",
		"bytes from one 64 to the next, pos the first one's position and step the distance",
		"in positions to the next.")
	d, s, n, stride := arg("dst"), arg("src"), arg("words"), arg("stride")
	g := GP32()
	MOVL(U32(golden), g)
	lanes := GLOBL("condenseLanes", RODATA|NOPTR)
	for i := range uint32(8) {
		DATA(int(4*i), U32(i*golden))
	}
	broadcast := func(r Register) VecVirtual {
		x := XMM()
		y := YMM()
		VMOVD(r, x)
		VPBROADCASTD(x, y)
		return y
	}
	key := func(name string) VecVirtual {
		p := Load(Param(name), GP32()).(GPVirtual)
		IMULL(g, p)
		return broadcast(p)
	}
	base, step := key("pos"), key("step")
	VPADDD(lanes, base, base)
	k := GP32()
	word := func(v uint32) VecVirtual {
		MOVL(U32(v), k)
		return broadcast(k)
	}
	m1, m2, eight := word(0x85ebca6b), word(0xc2b2ae35), word(8*golden&0xffffffff)
	loop("word", n, func() {
		pos, sum, u, w := YMM(), YMM(), YMM(), YMM()
		VMOVDQA(base, pos)
		VPXOR(sum, sum, sum)
		VPXOR(u, u, u)
		for i := range 8 {
			x, t := YMM(), w
			VPADDD(at(s, 32*i), pos, x)
			if i < 7 {
				VPADDD(eight, pos, pos)
			}
			fmix(x, t, m1, m2)
			to := []VecVirtual{sum, u}[i%2]
			VPADDD(x, to, to)
		}
		VPADDD(u, sum, sum)
		VMOVD(sumDwords(sum), at(d, 0))
		VPADDD(step, base, base)
		ADDQ(stride, s)
		ADDQ(Imm(4), d)
	})
	end()
}

// sumDwords adds up the eight dwords of x into the lowest of the result.
func sumDwords(x VecVirtual) VecVirtual {
	a, b := XMM(), XMM()
	VEXTRACTI128(Imm(1), x, a)
	VPADDD(x.AsX(), a, a)
	VPSHUFD(Imm(0x4e), a, b)
	VPADDD(b, a, a)
	VPSHUFD(Imm(0xb1), a, b)
	VPADDD(b, a, a)
	return a
}
