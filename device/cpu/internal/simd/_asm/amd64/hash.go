// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/big"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// roundConstants are FIPS 180-4's: the first 32 bits of the fractional parts of
// the cube roots of the first 64 primes.
func roundConstants() (k []uint32) {
	for n := int64(2); len(k) < 64; n++ {
		if !big.NewInt(n).ProbablyPrime(20) {
			continue
		}
		// floor(cbrt(n) * 2^32) by Newton's steps on n * 2^96.
		target := new(big.Int).Lsh(big.NewInt(n), 96)
		x := new(big.Int).Lsh(big.NewInt(int64(math.Cbrt(float64(n)))+1), 32)
		for {
			y := new(big.Int).Div(target, new(big.Int).Mul(x, x))
			y.Add(y, new(big.Int).Lsh(x, 1)).Div(y, big.NewInt(3))
			if y.Cmp(x) >= 0 {
				break
			}
			x = y
		}
		k = append(k, uint32(x.Uint64()))
	}
	return k
}

// initial is the state before the first block, FIPS 180-4 section 5.3.3.
var initial = []uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
	0x1f83d9ab, 0x5be0cd19}

// lane is one of the two messages in flight: its state in the order that the
// SHA instructions want (words ABEF and CDGH) and four message words each.
type lane struct {
	dst, src   GPVirtual
	abef, cdgh VecVirtual
	m          [4]VecVirtual
	saved0     Mem
	saved1     Mem
}

// sha256: the SHA instructions of one message wait for each other four cycles
// at a time; a second message fills the gaps.
func sha256() {
	function("Hash2", "func(dst0, dst1 *[32]byte, src0, src1 *byte, blocks int)",
		"Hash2 writes the SHA-256 of two messages, padded already to blocks of 64 bytes. It",
		"needs the SHA extensions.")
	k := constant("hashRounds", 64, roundConstants()...)
	start := constant("hashStart", 8, initial...)
	swap := XMM()
	MOVOU(constant("hashSwap", 4, 0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f), swap)
	lanes := [2]*lane{}
	t := XMM()
	for i, suffix := range []string{"0", "1"} {
		l := &lane{dst: arg("dst" + suffix), src: arg("src" + suffix), abef: XMM(), cdgh: XMM()}
		for j := range l.m {
			l.m[j] = XMM()
		}
		save := AllocLocal(32)
		l.saved0, l.saved1 = save, save.Offset(16)
		lanes[i] = l
		MOVOU(start, t)
		MOVOU(start.Offset(16), l.cdgh)
		PSHUFD(Imm(0xb1), t, t)
		PSHUFD(Imm(0x1b), l.cdgh, l.cdgh)
		MOVOA(t, l.abef)
		PALIGNR(Imm(8), l.cdgh, l.abef)
		PBLENDW(Imm(0xf0), t, l.cdgh)
	}
	n := arg("blocks")
	loop("block", n, func() {
		for _, l := range lanes {
			MOVOU(l.abef, l.saved0)
			MOVOU(l.cdgh, l.saved1)
		}
		for i := range 16 {
			cur, before, next := i%4, (i+3)%4, (i+1)%4
			for _, l := range lanes {
				if i < 4 {
					MOVOU(at(l.src, 16*i), l.m[i])
					PSHUFB(swap, l.m[i])
				}
				MOVOU(k.Offset(16*i), X0)
				PADDD(l.m[cur], X0)
				SHA256RNDS2(X0, l.abef, l.cdgh)
				if i >= 3 && i < 15 {
					MOVOA(l.m[cur], t)
					PALIGNR(Imm(4), l.m[before], t)
					PADDD(t, l.m[next])
					SHA256MSG2(l.m[cur], l.m[next])
				}
				PSHUFD(Imm(0x0e), X0, X0)
				SHA256RNDS2(X0, l.cdgh, l.abef)
				if i >= 1 && i < 13 {
					SHA256MSG1(l.m[cur], l.m[before])
				}
			}
		}
		for _, l := range lanes {
			MOVOU(l.saved0, t)
			PADDD(t, l.abef)
			MOVOU(l.saved1, t)
			PADDD(t, l.cdgh)
			ADDQ(Imm(64), l.src)
		}
	})
	for _, l := range lanes {
		PSHUFD(Imm(0x1b), l.abef, t)      // FEBA
		PSHUFD(Imm(0xb1), l.cdgh, l.cdgh) // DCHG
		MOVOA(t, l.m[0])
		PBLENDW(Imm(0xf0), l.cdgh, l.m[0]) // DCBA
		PALIGNR(Imm(8), t, l.cdgh)         // HGFE
		PSHUFB(swap, l.m[0])
		PSHUFB(swap, l.cdgh)
		MOVOU(l.m[0], at(l.dst, 0))
		MOVOU(l.cdgh, at(l.dst, 16))
	}
	RET()
}
