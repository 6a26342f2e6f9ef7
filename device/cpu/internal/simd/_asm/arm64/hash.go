// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/big"
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

// lane is one of the two messages in flight: words ABCD and EFGH of its state,
// what they were before the block, and sixteen message words.
type lane struct {
	dst, src           gp
	abcd, efgh         vec
	abcdWas, efghWas   vec
	m                  [4]vec
	scheduled, earlier vec
}

// sha256: each pair of rounds waits for the one before; a second message fills
// the gaps.
func sha256(w *writer) {
	k := w.function("Hash2", "dst0, dst1 *[32]byte, src0, src1 *byte, blocks int", "",
		"Hash2 writes the SHA-256 of two messages, padded already to blocks of 64 bytes. It",
		"needs the SHA2 instructions.")
	w.words("hashRounds", roundConstants())
	w.words("hashStart", initial)
	const constants = vec(24) // sixteen rounds' at a time
	var lanes [2]*lane
	start := k.free()
	k.op("MOVD", "$hashStart<>(SB), %s", start)
	for i, name := range []string{"0", "1"} {
		v := vec(10 * i)
		l := &lane{
			dst: k.arg("dst" + name), src: k.arg("src" + name),
			abcd: v, efgh: v + 1, abcdWas: v + 2, efghWas: v + 3,
			m: [4]vec{v + 4, v + 5, v + 6, v + 7}, scheduled: v + 8, earlier: v + 9,
		}
		lanes[i] = l
		k.load2(l.abcd, l.efgh, start, 0)
	}
	n, rounds := k.arg("blocks"), k.free()
	k.loop("block", n, func() {
		k.op("MOVD", "$hashRounds<>(SB), %s", rounds)
		for _, l := range lanes {
			k.move(l.abcdWas, l.abcd)
			k.move(l.efghWas, l.efgh)
			k.op("VLD1.P", "64(%s), [V%d.B16, V%d.B16, V%d.B16, V%d.B16]", l.src, l.m[0],
				l.m[1], l.m[2], l.m[3])
			for _, m := range l.m {
				k.op("VREV32", "V%d.B16, V%d.B16", m, m)
			}
		}
		for i := range 16 {
			if i%4 == 0 {
				k.op("VLD1.P", "64(%s), [V%d.S4, V%d.S4, V%d.S4, V%d.S4]", rounds, constants,
					constants+1, constants+2, constants+3)
			}
			for _, l := range lanes {
				m := func(j int) vec { return l.m[(i+j)%4] }
				k.add(s4, l.scheduled, m(0), constants+vec(i%4))
				if i < 12 {
					k.op("SHA256SU0", "V%d.S4, V%d.S4", m(1), m(0))
				}
				k.move(l.earlier, l.abcd)
				k.op("SHA256H", "V%d.S4, V%d, V%d", l.scheduled, l.efgh, l.abcd)
				k.op("SHA256H2", "V%d.S4, V%d, V%d", l.scheduled, l.earlier, l.efgh)
				if i < 12 {
					k.op("SHA256SU1", "V%d.S4, V%d.S4, V%d.S4", m(3), m(2), m(0))
				}
			}
		}
		for _, l := range lanes {
			k.add(s4, l.abcd, l.abcd, l.abcdWas)
			k.add(s4, l.efgh, l.efgh, l.efghWas)
		}
	})
	for _, l := range lanes {
		k.op("VREV32", "V%d.B16, V%d.B16", l.abcd, l.abcd)
		k.op("VREV32", "V%d.B16, V%d.B16", l.efgh, l.efgh)
		k.store2(l.abcd, l.efgh, l.dst, 0)
	}
	k.end()
}
