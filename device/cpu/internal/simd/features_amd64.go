// SPDX-License-Identifier: Apache-2.0

package simd

import (
	"encoding/binary"
	"strings"
)

// AVX2 reports whether the processor has AVX2 and the operating system saves its
// registers.
func AVX2() bool {
	highest, _, _, _ := cpuid(0, 0)
	_, _, c, _ := cpuid(1, 0)
	const osxsave, avx = 1 << 27, 1 << 28
	if highest < 7 || c&osxsave == 0 || c&avx == 0 {
		return false
	}
	const saved = 1<<1 | 1<<2 // XMM and the upper halves of YMM
	if xgetbv()&saved != saved {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&(1<<5) != 0
}

// VNNI reports whether the processor has AVX-512 with products of bytes (F, BW, VL
// and VNNI), and AVX2, and the operating system saves their registers.
func VNNI() bool {
	if !AVX2() {
		return false
	}
	const saved = 1<<5 | 1<<6 | 1<<7 // masks, upper halves of ZMM, ZMM16 to 31
	if xgetbv()&saved != saved {
		return false
	}
	_, b, c, _ := cpuid(7, 0)
	const f, bw, vl = 1 << 16, 1 << 30, 1 << 31
	return b&f != 0 && b&bw != 0 && b&vl != 0 && c&(1<<11) != 0
}

// SHA reports whether the processor has the SHA extensions, and SSSE3 and SSE4.1,
// which Hash2 uses too.
func SHA() bool {
	highest, _, _, _ := cpuid(0, 0)
	if highest < 7 {
		return false
	}
	_, _, c, _ := cpuid(1, 0)
	_, b, _, _ := cpuid(7, 0)
	return b&(1<<29) != 0 && c&(1<<9) != 0 && c&(1<<19) != 0
}

// Brand is what the processor calls itself, "" if it does not say.
func Brand() string {
	const leaf = 0x80000002
	if highest, _, _, _ := cpuid(0x80000000, 0); highest < leaf+2 {
		return ""
	}
	var text []byte
	for i := range uint32(3) {
		a, b, c, d := cpuid(leaf+i, 0)
		for _, word := range []uint32{a, b, c, d} {
			text = binary.LittleEndian.AppendUint32(text, word)
		}
	}
	return strings.Join(strings.Fields(strings.TrimRight(string(text), "\x00")), " ")
}
