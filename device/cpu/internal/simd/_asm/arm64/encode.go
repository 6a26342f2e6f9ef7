// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// vec is a vector register, 0 to 31.
type vec uint32

// arrangement is how a vector register is cut into elements, in Go's words.
type arrangement string

const (
	b8  arrangement = "B8"
	b16 arrangement = "B16"
	h4  arrangement = "H4"
	h8  arrangement = "H8"
	s2  arrangement = "S2"
	s4  arrangement = "S4"
	d2  arrangement = "D2"
)

// manual is the arrangement in the words of Arm's manual.
func (a arrangement) manual() string {
	return map[arrangement]string{b8: "8b", b16: "16b", h4: "4h", h8: "8h", s2: "2s",
		s4: "4s", d2: "2d"}[a]
}

// full reports whether all 16 bytes are used: the manual's Q.
func (a arrangement) full() uint32 {
	if a == b8 || a == h4 || a == s2 {
		return 0
	}
	return 1
}

// size is the logarithm of an element's bytes, the manual's size.
func (a arrangement) size() uint32 {
	return map[byte]uint32{'B': 0, 'H': 1, 'S': 2, 'D': 3}[a[0]]
}

// wider is the arrangement of twice as wide elements that fills a register.
func (a arrangement) wider() arrangement {
	return map[byte]arrangement{'B': h8, 'H': s4, 'S': d2}[a[0]]
}

// inst is an instruction, encoded and in the manual's notation. Encodings are
// those of the Arm Architecture Reference Manual, section C4.1, "Data
// processing: scalar floating-point and Advanced SIMD".
type inst struct {
	word uint32
	text string
}

// Bases, with Q, size and registers zero.
const (
	baseSSHL   = 0x0e204400
	baseSMAX   = 0x0e206400
	baseSMIN   = 0x0e206c00
	baseMUL    = 0x0e209c00
	baseBIC    = 0x0e601c00 // its size is part of the operation
	baseSMLAL  = 0x0e208000
	baseSMULL  = 0x0e20c000
	baseSSHLL  = 0x0f00a400
	baseSRSHL  = 0x0e205400
	baseSQXTN  = 0x0e214800
	baseSDOT   = 0x0e809400 // "three registers, extension"; its size is 2
	baseSDOTBy = 0x0f80e000 // by element
	baseMLABy  = 0x2f800000 // by element of four bytes
)

// same is an instruction whose three operands are arranged alike.
func same(name string, base uint32, a arrangement, d, n, m vec) inst {
	return inst{
		base | a.full()<<30 | a.size()<<22 | uint32(m<<16|n<<5|d),
		fmt.Sprintf("%s v%d.%s, v%d.%s, v%d.%s", name, d, a.manual(), n, a.manual(), m, a.manual()),
	}
}

// sshl shifts left by signed counts, right where they are negative.
func sshl(a arrangement, d, n, m vec) inst { return same("sshl", baseSSHL, a, d, n, m) }

// srshl is sshl with rounding to the nearest, halves up.
func srshl(a arrangement, d, n, m vec) inst { return same("srshl", baseSRSHL, a, d, n, m) }

func smax(a arrangement, d, n, m vec) inst { return same("smax", baseSMAX, a, d, n, m) }
func smin(a arrangement, d, n, m vec) inst { return same("smin", baseSMIN, a, d, n, m) }
func mul(a arrangement, d, n, m vec) inst  { return same("mul", baseMUL, a, d, n, m) }

// bic keeps the bits of n that m has not.
func bic(d, n, m vec) inst { return same("bic", baseBIC, b16, d, n, m) }

// longer is an instruction on a half of its operands, arranged as a, whose
// result is twice as wide: the upper half where a is a full register.
func longer(name string, base uint32, a arrangement, d, n, m vec) inst {
	return inst{
		base | a.full()<<30 | a.size()<<22 | uint32(m<<16|n<<5|d),
		fmt.Sprintf("%s%s v%d.%s, v%d.%s, v%d.%s", name, second(a), d, a.wider().manual(), n,
			a.manual(), m, a.manual()),
	}
}

func smull(a arrangement, d, n, m vec) inst { return longer("smull", baseSMULL, a, d, n, m) }
func smlal(a arrangement, d, n, m vec) inst { return longer("smlal", baseSMLAL, a, d, n, m) }

// second is the manual's mark of instructions on upper halves.
func second(a arrangement) string {
	if a.full() == 1 {
		return "2"
	}
	return ""
}

// sshll widens a half of n, arranged as a, by its sign.
func sshll(a arrangement, d, n vec) inst {
	return inst{
		baseSSHLL | a.full()<<30 | 8<<a.size()<<16 | uint32(n<<5|d),
		fmt.Sprintf("sshll%s v%d.%s, v%d.%s, #0", second(a), d, a.wider().manual(), n, a.manual()),
	}
}

// sqxtn narrows n with saturation into a half of d, arranged as a.
func sqxtn(a arrangement, d, n vec) inst {
	return inst{
		baseSQXTN | a.full()<<30 | a.size()<<22 | uint32(n<<5|d),
		fmt.Sprintf("sqxtn%s v%d.%s, v%d.%s", second(a), d, a.manual(), n, a.wider().manual()),
	}
}

// sdot adds to each of four sums the product of four bytes of n and four of m.
func sdot(d, n, m vec) inst {
	return inst{
		baseSDOT | 1<<30 | uint32(m<<16|n<<5|d),
		fmt.Sprintf("sdot v%d.4s, v%d.16b, v%d.16b", d, n, m),
	}
}

// element places the index of an element of four bytes, the manual's H and L.
func element(i int) uint32 { return uint32(i)>>1<<11 | uint32(i)&1<<21 }

// sdotBy is sdot with the same four bytes of m, number i, for all four sums.
func sdotBy(d, n, m vec, i int) inst {
	return inst{
		baseSDOTBy | 1<<30 | element(i) | uint32(m<<16|n<<5|d),
		fmt.Sprintf("sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, i),
	}
}

// mlaBy adds to four elements of d those of n times element i of m.
func mlaBy(d, n, m vec, i int) inst {
	return inst{
		baseMLABy | 1<<30 | element(i) | uint32(m<<16|n<<5|d),
		fmt.Sprintf("mla v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, i),
	}
}
