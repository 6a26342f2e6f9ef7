// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// header begins every module of these tests.
const header = ".version 7.8\n.target sm_80\n.address_size 64\n"

// one is a kernel for one warp: registers %h0-%h2, %r0-%r2, %d0-%d2 and %p0-%p2
// hold a lane's operands a, b and c (predicates: whether they are odd), and what
// the body leaves in %d9 is the lane's result. %p6 holds in odd lanes.
func one(body string) string {
	return header + `.entry one(.param .u64 in, .param .u64 out)
{
	.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<8>; .reg .b64 %d<16>;
	ld.param.u64 %d10, [in];
	ld.param.u64 %d11, [out];
	mov.u32 %r7, %tid.x;
	mad.wide.u32 %d10, %r7, 32, %d10;
	mad.wide.u32 %d11, %r7, 8, %d11;
	ld.global.u64 %d0, [%d10];
	ld.global.v2.u64 {%d1, %d2}, [%d10+16];
	cvt.u32.u64 %r0, %d0; cvt.u32.u64 %r1, %d1; cvt.u32.u64 %r2, %d2;
	cvt.u16.u64 %h0, %d0; cvt.u16.u64 %h1, %d1; cvt.u16.u64 %h2, %d2;
	and.b64 %d9, %d0, 1; setp.ne.s64 %p0, %d9, 0;
	and.b64 %d9, %d1, 1; setp.ne.s64 %p1, %d9, 0;
	and.b64 %d9, %d2, 1; setp.ne.s64 %p2, %d9, 0;
	and.b32 %r6, %r7, 1; setp.eq.u32 %p6, %r6, 1;
	` + strings.ReplaceAll(body, "; ", ";\n") + `
	st.global.u64 [%d11], %d9;
	ret;
}
`
}

type abc [32][3]uint64

// edges are values at which integer arithmetic goes wrong, and random ones.
func edges(r *rand.Rand) (v abc) {
	for i := range v {
		for j := range v[i] {
			x := r.Uint64()
			switch r.IntN(8) {
			case 0:
				x = uint64(r.IntN(70))
			case 1:
				x = -uint64(r.IntN(3))
			case 2:
				x = 1<<r.IntN(64) - uint64(r.IntN(2))
			case 3:
				x = 0x8000_8000_8000_8080
			case 4:
				x >>= r.IntN(64)
			case 5:
				x |= 0xffff_ffff_0000_0000
			}
			v[i][j] = x
		}
	}
	return v
}

func runOne(t *testing.T, k *Kernel, v abc) []uint64 {
	t.Helper()
	m := New(Options{Seed: 1})
	var in []uint64
	for _, x := range v {
		in = append(in, x[0], 0, x[1], x[2])
	}
	from, to := put(t, m, in), put(t, m, make([]uint64, 32))
	if err := m.Launch(k, [3]int{1, 1, 1}, [3]int{32, 1, 1}, 0, from, to); err != nil {
		t.Fatal(err)
	}
	return get[uint64](t, m, to, 32)
}

// operation is one form: its text with the operands' widths (r32, a64 and so on
// are the registers), and what it means.
type operation struct {
	text string // opcode
	to   int    // width of the result, 1 for a predicate
	from []int
	tail string // further operands
	want func(a, b, c uint64) uint64
}

func (o operation) body(guard string) string {
	class := map[int]string{1: "%p", 16: "%h", 32: "%r", 64: "%d"}
	var list []string
	for i, w := range o.from {
		list = append(list, fmt.Sprint(class[w], i))
	}
	text := fmt.Sprintf("%s%s %s3, %s%s; ", guard, o.text, class[o.to],
		strings.Join(list, ", "), o.tail)
	switch o.to {
	case 1:
		return "mov.pred %p3, -1; " + text + "selp.u64 %d9, 1, 0, %p3;"
	case 64:
		return "mov.b64 %d3, 4369; " + text + "mov.b64 %d9, %d3;"
	}
	return fmt.Sprintf("mov.b%d %s3, 4369; %scvt.u64.u%d %%d9, %s3;", o.to, class[o.to],
		text, o.to, class[o.to])
}

func signed(v int64) *big.Int { return big.NewInt(v) }

var w16, w32, w64 = []int{16, 16}, []int{32, 32}, []int{64, 64}

var operations = []operation{
	{"add.s16", 16, w16, "", func(a, b, _ uint64) uint64 { return uint64(uint16(a) + uint16(b)) }},
	{"add.u32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a) + uint32(b)) }},
	{"add.s64", 64, w64, "", func(a, b, _ uint64) uint64 { return a + b }},
	{"add.sat.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(sat(int64(int32(a))+int64(int32(b)), -1<<31, 1<<31-1)))
	}},
	{"sub.u16", 16, w16, "", func(a, b, _ uint64) uint64 { return uint64(uint16(a) - uint16(b)) }},
	{"sub.s32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a) - uint32(b)) }},
	{"sub.u64", 64, w64, "", func(a, b, _ uint64) uint64 { return a - b }},
	{"sub.sat.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(sat(int64(int32(a))-int64(int32(b)), -1<<31, 1<<31-1)))
	}},
	{"mul.lo.s16", 16, w16, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint16(a) * uint16(b))
	}},
	{"mul.lo.s32", 32, w32, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(a) * uint32(b))
	}},
	{"mul.lo.u64", 64, w64, "", func(a, b, _ uint64) uint64 { return a * b }},
	{"mul.hi.u16", 16, w16, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint16(uint32(uint16(a)) * uint32(uint16(b)) >> 16))
	}},
	{"mul.hi.s16", 16, w16, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint16(int32(int16(a)) * int32(int16(b)) >> 16))
	}},
	{"mul.hi.u32", 32, w32, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(a)) * uint64(uint32(b)) >> 32
	}},
	{"mul.hi.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(wideProduct(signed(int64(int32(a))), signed(int64(int32(b))), 32)))
	}},
	{"mul.hi.u64", 64, w64, "", func(a, b,
		_ uint64) uint64 {
		return wideProduct(unsigned(a), unsigned(b), 64)
	}},
	{"mul.hi.s64", 64, w64, "", func(a, b,
		_ uint64) uint64 {
		return wideProduct(signed(int64(a)), signed(int64(b)), 64)
	}},
	{"mul.wide.u16", 32, w16, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(uint16(a)) * uint32(uint16(b)))
	}},
	{"mul.wide.s16", 32, w16, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(int32(int16(a)) * int32(int16(b))))
	}},
	{"mul.wide.u32", 64, w32, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(a)) * uint64(uint32(b))
	}},
	{"mul.wide.s32", 64, w32, "", func(a, b,
		_ uint64) uint64 {
		return uint64(int64(int32(a)) * int64(int32(b)))
	}},
	{"mul24.lo.u32", 32, w32, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(a) & 0xffffff * (uint32(b) & 0xffffff))
	}},
	{"mul24.hi.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(int64(int32(a<<8)>>8) * int64(int32(b<<8)>>8) >> 16))
	}},
	{"mad24.lo.s32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint32(int32(a<<8)>>8*(int32(b<<8)>>8)) + uint32(c)&0xffffffff)
	}},
	{"mad.lo.s16", 16, []int{16, 16, 16}, "", func(a, b,
		c uint64) uint64 {
		return uint64(uint16(a)*uint16(b) + uint16(c))
	}},
	{"mad.lo.s32", 32, []int{32, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return uint64(uint32(a)*uint32(b) + uint32(c))
	}},
	{"mad.lo.s64", 64, []int{64, 64, 64}, "", func(a, b, c uint64) uint64 { return a*b + c }},
	{"mad.hi.u32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint32(uint64(uint32(a))*uint64(uint32(b))>>32) + uint32(c))
	}},
	{"mad.hi.s64", 64, []int{64, 64, 64}, "", func(a, b, c uint64) uint64 {
		return wideProduct(signed(int64(a)), signed(int64(b)), 64) + c
	}},
	{"mad.wide.u32", 64, []int{32, 32, 64}, "", func(a, b,
		c uint64) uint64 {
		return uint64(uint32(a))*uint64(uint32(b)) + c
	}},
	{"mad.wide.s32", 64, []int{32, 32, 64}, "", func(a, b, c uint64) uint64 {
		return uint64(int64(int32(a))*int64(int32(b))) + c
	}},
	{"mad.wide.s16", 32, []int{16, 16, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint32(int32(int16(a))*int32(int16(b))) + uint32(c))
	}},
	{"sad.s32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		d := int64(int32(a)) - int64(int32(b))
		if d < 0 {
			d = -d
		}
		return uint64(uint32(d) + uint32(c))
	}},
	{"sad.u64", 64, []int{64, 64, 64}, "", func(a, b,
		c uint64) uint64 {
		return max(a, b) - min(a, b) + c
	}},
	{"min.s16", 16, w16, "", func(a, b, _ uint64) uint64 {
		return uint64(uint16(min(int16(a), int16(b))))
	}},
	{"min.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(min(int32(a), int32(b))))
	}},
	{"max.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(max(int32(a), int32(b))))
	}},
	{"min.u32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(min(uint32(a), uint32(b)))
	}},
	{"max.u32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(max(uint32(a), uint32(b)))
	}},
	{"max.u16", 16, w16, "", func(a, b, _ uint64) uint64 {
		return uint64(max(uint16(a), uint16(b)))
	}},
	{"max.s64", 64, w64, "", func(a, b, _ uint64) uint64 {
		return uint64(max(int64(a), int64(b)))
	}},
	{"min.u64", 64, w64, "", func(a, b, _ uint64) uint64 { return min(a, b) }},
	{"abs.s16", 16, []int{16}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint16(max(int16(a), -int16(a))))
	}},
	{"abs.s32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(max(int32(a), -int32(a))))
	}},
	{"neg.s32", 32, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(-uint32(a)) }},
	{"neg.s64", 64, []int{64}, "", func(a, _, _ uint64) uint64 { return -a }},
	{"and.b16", 16, w16, "", func(a, b, _ uint64) uint64 { return uint64(uint16(a & b)) }},
	{"and.b32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a & b)) }},
	{"and.b64", 64, w64, "", func(a, b, _ uint64) uint64 { return a & b }},
	{"or.b32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a | b)) }},
	{"or.b64", 64, w64, "", func(a, b, _ uint64) uint64 { return a | b }},
	{"xor.b16", 16, w16, "", func(a, b, _ uint64) uint64 { return uint64(uint16(a ^ b)) }},
	{"xor.b32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a ^ b)) }},
	{"xor.b64", 64, w64, "", func(a, b, _ uint64) uint64 { return a ^ b }},
	{"not.b16", 16, []int{16}, "", func(a, _, _ uint64) uint64 { return uint64(^uint16(a)) }},
	{"not.b64", 64, []int{64}, "", func(a, _, _ uint64) uint64 { return ^a }},
	{"cnot.b32", 32, []int{32}, "", func(a, _, _ uint64) uint64 { return b2u(uint32(a) == 0) }},
	{"and.pred", 1, []int{1, 1}, "", func(a, b, _ uint64) uint64 { return a & b & 1 }},
	{"or.pred", 1, []int{1, 1}, "", func(a, b, _ uint64) uint64 { return (a | b) & 1 }},
	{"xor.pred", 1, []int{1, 1}, "", func(a, b, _ uint64) uint64 { return (a ^ b) & 1 }},
	{"not.pred", 1, []int{1}, "", func(a, _, _ uint64) uint64 { return ^a & 1 }},
	{"mov.pred", 1, []int{1}, "", func(a, _, _ uint64) uint64 { return a & 1 }},
	{"shl.b16", 16, []int{16, 32}, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint16(a) << uint32(b))
	}},
	{"shl.b32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a) << uint32(b)) }},
	{"shl.b64", 64, []int{64, 32}, "", func(a, b, _ uint64) uint64 { return a << uint32(b) }},
	{"shr.u16", 16, []int{16, 32}, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint16(a) >> uint32(b))
	}},
	{"shr.s16", 16, []int{16, 32}, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint16(int16(a) >> uint32(b)))
	}},
	{"shr.u32", 32, w32, "", func(a, b, _ uint64) uint64 { return uint64(uint32(a) >> uint32(b)) }},
	{"shr.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return uint64(uint32(int32(a) >> uint32(b)))
	}},
	{"shr.s64", 64, []int{64, 32}, "", func(a, b,
		_ uint64) uint64 {
		return uint64(int64(a) >> uint32(b))
	}},
	{"shr.b64", 64, []int{64, 32}, "", func(a, b, _ uint64) uint64 { return a >> uint32(b) }},
	{"shf.l.wrap.b32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		n := uint32(c) % 32
		return uint64(uint32(b)<<n | uint32(a)>>(32-n))
	}},
	{"shf.r.wrap.b32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		n := uint32(c) % 32
		return uint64(uint32(a)>>n | uint32(b)<<(32-n))
	}},
	{"shf.l.clamp.b32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		n := min(uint32(c), 32)
		return uint64(uint32(b)<<n | uint32(a)>>(32-n))
	}},
	{"shf.r.clamp.b32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		n := min(uint32(c), 32)
		return uint64(uint32(a)>>n | uint32(b)<<(32-n))
	}},
	{"lop3.b32", 32, []int{32, 32, 32}, ", 150", func(a, b,
		c uint64) uint64 {
		return uint64(uint32(a ^ b ^ c))
	}},
	{"lop3.b32", 32, []int{32, 32, 32}, ", 0xca", func(a, b,
		c uint64) uint64 {
		return uint64(slow3(0xca, uint32(a), uint32(b), uint32(c)))
	}},
	{"lop3.b32", 32, []int{32, 32, 32}, ", 0x1b", func(a, b,
		c uint64) uint64 {
		return uint64(slow3(0x1b, uint32(a), uint32(b), uint32(c)))
	}},
	{"prmt.b32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		x, y := bytesOf(a), bytesOf(b)
		all := append(append([]byte{}, x[:4]...), y[:4]...)
		var d [8]byte
		for i := range 4 {
			nibble := byte(c>>(4*i)) & 15
			d[i] = all[nibble&7]
			if nibble&8 != 0 {
				d[i] = byte(int8(d[i]) >> 7)
			}
		}
		return binary.LittleEndian.Uint64(d[:])
	}},
	{"prmt.b32.f4e", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint32((b<<32 | a&0xffffffff) >> (8 * (c & 3))))
	}},
	{"prmt.b32.rc8", 32, []int{32, 32, 32}, "", func(a, _, c uint64) uint64 {
		return uint64(bytesOf(a)[c&3]) * 0x01010101
	}},
	{"bfe.u32", 32, []int{32, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowField(a, 32, false, b, c)
	}},
	{"bfe.s32", 32, []int{32, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowField(a, 32, true, b, c)
	}},
	{"bfe.u64", 64, []int{64, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowField(a, 64, false, b, c)
	}},
	{"bfe.s64", 64, []int{64, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowField(a, 64, true, b, c)
	}},
	{"bfi.b32", 32, []int{32, 32, 32}, ", 5", func(a, b,
		c uint64) uint64 {
		return slowInsert(a, b, 32, c&255, 5)
	}},
	{"bfi.b64", 64, []int{64, 64, 32}, ", 13", func(a, b,
		c uint64) uint64 {
		return slowInsert(a, b, 64, c&255, 13)
	}},
	{"brev.b32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(bits.Reverse32(uint32(a)))
	}},
	{"brev.b64", 64, []int{64}, "", func(a, _, _ uint64) uint64 { return bits.Reverse64(a) }},
	{"clz.b32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(bits.LeadingZeros32(uint32(a)))
	}},
	{"clz.b64", 32, []int{64}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(bits.LeadingZeros64(a))
	}},
	{"popc.b32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(bits.OnesCount32(uint32(a)))
	}},
	{"popc.b64", 32, []int{64}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(bits.OnesCount64(a))
	}},
	{"bfind.u32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return slowFind(a, 32, false, false)
	}},
	{"bfind.s32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return slowFind(a, 32, true, false)
	}},
	{"bfind.shiftamt.u64", 32, []int{64}, "", func(a, _,
		_ uint64) uint64 {
		return slowFind(a, 64, false, true)
	}},
	{"dp4a.s32.s32", 32, []int{32, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowDot(a, b, c, true, true)
	}},
	{"dp4a.u32.s32", 32, []int{32, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowDot(a, b, c, false, true)
	}},
	{"dp4a.u32.u32", 32, []int{32, 32, 32}, "", func(a, b,
		c uint64) uint64 {
		return slowDot(a, b, c, false, false)
	}},
	{"dp2a.lo.s32.u32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint32(int32(int16(a))*int32(uint8(b)) +
			int32(int16(a>>16))*int32(uint8(b>>8)) + int32(c)))
	}},
	{"dp2a.hi.s32.s32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint32(int32(int16(a))*int32(int8(b>>16)) +
			int32(int16(a>>16))*int32(int8(b>>24)) + int32(c)))
	}},
	{"selp.b32", 32, []int{32, 32, 1}, "", func(a, b, c uint64) uint64 {
		if c&1 != 0 {
			return uint64(uint32(a))
		}
		return uint64(uint32(b))
	}},
	{"selp.s64", 64, []int{64, 64, 1}, "", func(a, b, c uint64) uint64 { return b ^ (a^b)*(c&1) }},
	{"selp.u16", 16, []int{16, 16, 1}, "", func(a, b,
		c uint64) uint64 {
		return uint64(uint16(b ^ (a^b)*(c&1)))
	}},
	{"slct.u32.s32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		if int32(c) < 0 {
			return uint64(uint32(b))
		}
		return uint64(uint32(a))
	}},
	{"set.lt.u32.s32", 32, w32, "", func(a, b,
		_ uint64) uint64 {
		return uint64(uint32(-b2u(int32(a) < int32(b))))
	}},
	{"set.eq.and.u32.u64", 32, []int{64, 64, 1}, "", func(a, b,
		c uint64) uint64 {
		return uint64(uint32(-(b2u(a == b) & c & 1)))
	}},
	{"cvt.u16.u8", 16, []int{16}, "", func(a, _, _ uint64) uint64 { return uint64(uint8(a)) }},
	{"cvt.s16.s8", 16, []int{16}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint16(int8(a)))
	}},
	{"cvt.s32.s8", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(int8(a)))
	}},
	{"cvt.s32.s8", 32, []int{64}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(int8(a)))
	}},
	{"cvt.u32.u16", 32, []int{16}, "", func(a, _, _ uint64) uint64 { return uint64(uint16(a)) }},
	{"cvt.s32.s16", 32, []int{16}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(int16(a)))
	}},
	{"cvt.s64.s32", 64, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(int32(a)) }},
	{"cvt.u64.u32", 64, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(uint32(a)) }},
	{"cvt.s64.s8", 64, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(int8(a)) }},
	{"cvt.u32.u64", 32, []int{64}, "", func(a, _, _ uint64) uint64 { return uint64(uint32(a)) }},
	{"cvt.s8.s32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(int8(a)))
	}},
	{"cvt.u8.u32", 32, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(uint8(a)) }},
	{"cvt.s64.u32", 64, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(uint32(a)) }},
	{"cvt.u64.s32", 64, []int{32}, "", func(a, _, _ uint64) uint64 { return uint64(int32(a)) }},
	{"cvt.sat.s8.s32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(sat(int64(int32(a)), -128, 127)))
	}},
	{"cvt.sat.u8.s32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return sat(int64(int32(a)), 0, 255)
	}},
	{"cvt.sat.s16.u32", 32, []int{32}, "", func(a, _,
		_ uint64) uint64 {
		return sat(int64(uint32(a)), 0, 32767)
	}},
	{"cvt.sat.s32.s64", 32, []int{64}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(uint32(sat(int64(a), -1<<31, 1<<31-1)))
	}},
	{"cvt.sat.u32.u64", 32, []int{64}, "", func(a, _, _ uint64) uint64 { return min(a, 1<<32-1) }},
	{"cvt.sat.s64.u64", 64, []int{64}, "", func(a, _, _ uint64) uint64 { return min(a, 1<<63-1) }},
	{"cvt.sat.u64.s64", 64, []int{64}, "", func(a, _,
		_ uint64) uint64 {
		return uint64(max(int64(a), 0))
	}},
	{"cvt.pack.sat.s8.s32.b32", 32, []int{32, 32, 32}, "", func(a, b, c uint64) uint64 {
		return uint64(uint8(sat(int64(int32(b)), -128, 127))) | uint64(uint8(sat(int64(int32(a)),
			-128, 127)))<<8 | c<<16&0xffff0000
	}},
	{"cvt.pack.sat.u16.s32", 32, w32, "", func(a, b, _ uint64) uint64 {
		return sat(int64(int32(b)), 0, 65535) | sat(int64(int32(a)), 0, 65535)<<16
	}},
	{"setp.lt.and.s32", 1, []int{32, 32, 1}, "", func(a, b,
		c uint64) uint64 {
		return b2u(int32(a) < int32(b)) & c & 1
	}},
	{"setp.ge.or.u64", 1, []int{64, 64, 1}, "", func(a, b,
		c uint64) uint64 {
		return b2u(a >= b) | c&1
	}},
	{"setp.ne.xor.b16", 1, []int{16, 16, 1}, "", func(a, b,
		c uint64) uint64 {
		return b2u(uint16(a) != uint16(b)) ^ c&1
	}},
	{"mov.b64", 64, []int{64}, "", func(a, _, _ uint64) uint64 { return a }},
	{"mov.u16", 16, []int{16}, "", func(a, _, _ uint64) uint64 { return uint64(uint16(a)) }},
}

// comparisons of every relation and type.
func comparisons() (list []operation) {
	sides := func(width int, isSigned bool, a, b uint64) int {
		shift := 64 - width
		if isSigned {
			x, y := int64(a<<shift), int64(b<<shift)
			return int(b2u(x > y)) - int(b2u(x < y))
		}
		x, y := a<<shift, b<<shift
		return int(b2u(x > y)) - int(b2u(x < y))
	}
	holds := map[string]func(int) bool{
		"eq": func(c int) bool { return c == 0 }, "ne": func(c int) bool { return c != 0 },
		"lt": func(c int) bool { return c < 0 }, "le": func(c int) bool { return c <= 0 },
		"gt": func(c int) bool { return c > 0 }, "ge": func(c int) bool { return c >= 0 },
		"lo": func(c int) bool { return c < 0 }, "ls": func(c int) bool { return c <= 0 },
		"hi": func(c int) bool { return c > 0 }, "hs": func(c int) bool { return c >= 0 },
	}
	for relation, f := range holds {
		for _, kind := range []string{"s", "u", "b"} {
			if kind == "b" && relation != "eq" && relation != "ne" || kind == "s" &&
				(relation[1] == 'o' || relation[1] == 's' || relation[0] == 'h') {
				continue
			}
			for _, width := range []int{16, 32, 64} {
				list = append(list, operation{fmt.Sprintf("setp.%s.%s%d", relation, kind, width), 1,
					[]int{width, width}, "",
					func(a, b, _ uint64) uint64 { return b2u(f(sides(width, kind == "s", a, b))) }})
			}
		}
	}
	return list
}

// TestOperations runs each form over values at which arithmetic goes wrong, by
// whole warps and under a guard that holds in odd lanes.
func TestOperations(t *testing.T) {
	for _, o := range append(operations, comparisons()...) {
		t.Run(o.text+o.tail, func(t *testing.T) {
			all, odd := kernel(t, one(o.body("")), "one"), kernel(t, one(o.body("@%p6 ")), "one")
			r := rand.New(rand.NewPCG(7, uint64(len(o.text))))
			for range 30 {
				v := edges(r)
				if r.IntN(2) == 0 { // equal operands are rare otherwise
					for i := range v {
						v[i][1] = v[i][0] + uint64(r.IntN(2))<<(8*r.IntN(8))
					}
				}
				want, guarded := make([]uint64, 32), make([]uint64, 32)
				for i, x := range v {
					want[i] = o.want(x[0], x[1], x[2])
					guarded[i] = want[i]
					if i%2 == 0 {
						guarded[i] = 4369
						if o.to == 1 {
							guarded[i] = 1
						}
					}
				}
				if diff := cmp.Diff(want, runOne(t, all, v)); diff != "" {
					t.Fatalf("operands %x\n%s", v, diff)
				}
				if diff := cmp.Diff(guarded, runOne(t, odd, v)); diff != "" {
					t.Fatalf("guarded, operands %x\n%s", v, diff)
				}
			}
		})
	}
}
