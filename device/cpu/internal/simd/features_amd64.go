// SPDX-License-Identifier: Apache-2.0

package simd

// AVX2 tells whether the processor has AVX2 and the operating system saves its
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

// SHA tells whether the processor has the SHA extensions, and SSSE3 and SSE4.1,
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
