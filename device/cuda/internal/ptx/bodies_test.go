// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBodies covers what has more than one result or spans instructions.
func TestBodies(t *testing.T) {
	sub128 := func(a, b, c uint64) uint64 { _, h := bits.Sub64(a, b, 0); return c - h }
	for name, c := range map[string]struct {
		body string
		want func(a, b, c uint64) uint64
	}{
		"division": {"or.b32 %r1, %r1, 1; div.s32 %r3, %r0, %r1; rem.s32 %r4, %r0, %r1; mov.b64 " +
			"%d9, {%r3, %r4};",
			func(a, b, _ uint64) uint64 {
				x, y := int32(a), int32(b)|1
				return uint64(uint32(x/y)) | uint64(uint32(x%y))<<32
			}},
		"division unsigned": {"or.b64 %d1, %d1, 1; div.u64 %d3, %d0, %d1; rem.u64 %d4, %d0, %d1; " +
			"xor.b64 %d9, %d3, %d4;",
			func(a, b, _ uint64) uint64 { return a/(b|1) ^ a%(b|1) }},
		"add with carry": {"cvt.u32.u64 %r3, %d0; shr.u64 %d3, %d0, 32; cvt.u32.u64 %r4, %d3; " +
			"shr.u64 %d3, %d1, 32; cvt.u32.u64 %r5, %d3; " +
			"add.cc.u32 %r3, %r3, %r1; addc.u32 %r4, %r4, %r5; mov.b64 %d9, {%r3, %r4};",
			func(a, b, _ uint64) uint64 { return a + b }},
		"sub with borrow": {"sub.cc.u64 %d3, %d0, %d1; subc.u64 %d9, %d2, 0;", sub128},
		"sub with borrow 32": {"cvt.u32.u64 %r3, %d0; shr.u64 %d3, %d0, 32; cvt.u32.u64 %r4, " +
			"%d3; shr.u64 %d3, %d1, 32; cvt.u32.u64 %r5, %d3; " +
			"sub.cc.u32 %r3, %r3, %r1; subc.cc.u32 %r4, %r4, %r5; mov.b64 %d9, {%r3, %r4};",
			func(a, b, _ uint64) uint64 { return a - b }},
		"mad with carry": {"mad.lo.cc.u64 %d3, %d0, %d1, %d2; madc.hi.u64 %d9, %d0, %d1, 0;",
			func(a, b, c uint64) uint64 {
				h, l := bits.Mul64(a, b)
				_, carry := bits.Add64(l, c, 0)
				return h + carry
			}},
		"mad with carry 32": {"mad.lo.cc.u32 %r3, %r0, %r1, %r2; madc.hi.cc.u32 %r4, %r0, %r1, " +
			"%r2; addc.u32 %r5, 0, 0; add.u32 %r4, %r4, %r5; mov.b64 %d9, {%r3, %r4};",
			func(a, b, c uint64) uint64 {
				low := uint64(uint32(a)) * uint64(uint32(b))
				l := low&0xffffffff + uint64(uint32(c))
				h := low>>32 + uint64(uint32(c)) + l>>32
				return l&0xffffffff | (h+h>>32)<<32
			}},
		"unpack": {"mov.b64 {%h3, %h4, _, %h5}, %d0; mov.b64 %d9, {%h5, %h4, %h3, %h1};",
			func(a, b, _ uint64) uint64 { return a>>48 | a&0xffff0000 | a&0xffff<<32 | b<<48 }},
		"unpack 32": {"mov.b32 {%h3, %h4}, %r0; mov.b32 %r3, {%h4, %h3}; cvt.u64.u32 %d9, %r3;",
			func(a, _, _ uint64) uint64 { return uint64(bits.RotateLeft32(uint32(a), 16)) }},
		"both predicates": {"setp.lt.and.s32 %p3|%p4, %r0, %r1, %p2; selp.u64 %d3, 1, 0, %p3; " +
			"selp.u64 %d4, 2, 0, %p4; or.b64 %d9, %d3, %d4;",
			func(a, b, c uint64) uint64 {
				less := int32(a) < int32(b)
				return b2u(less)&c&1 | b2u(!less)&c&1<<1
			}},
		"negated predicates": {"and.pred %p3, %p0, !%p1; setp.eq.or.u32 %p4, %r0, %r0, !%p3; " +
			"selp.u64 %d9, 5, 6, %p3; @!%p4 mov.u64 %d9, 9;",
			func(a, b, _ uint64) uint64 { return 6 - a&1&^b }},
		"immediates": {"add.s32 %r3, %r0, -5; and.b32 %r3, %r3, 0xFFFF0FFF; mov.u32 %r4, 0b101; " +
			"xor.b32 %r3, %r3, %r4; cvt.u64.u32 %d9, %r3;",
			func(a, _, _ uint64) uint64 { return uint64(uint32(a-5)&0xffff0fff ^ 5) }},
		"guarded move": {"mov.u64 %d9, 1; @%p0 mov.u64 %d9, 2; @!%p1 add.u64 %d9, %d9, 4;",
			func(a, b, _ uint64) uint64 { return 1 + a&1 + 4*(^b&1) }},
		"aliases": {"xor.b32 %r0, %r0, %r1; xor.b32 %r1, %r0, %r1; xor.b32 %r0, %r0, %r1; " +
			"mov.b64 %d9, {%r0, %r1};",
			func(a, b, _ uint64) uint64 { return b&0xffffffff | a<<32 }},
		"scopes": {"mov.u64 %d9, 3; { .reg .b64 %d9; mov.u64 %d9, 4; { .reg .pred q; setp.ne.u64 " +
			"q, %d9, 4; @q trap; } }", func(_, _, _ uint64) uint64 { return 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			k := kernel(t, one(c.body), "one")
			r := rand.New(rand.NewPCG(9, 9))
			for range 30 {
				v := edges(r)
				want := make([]uint64, 32)
				for i, x := range v {
					want[i] = c.want(x[0], x[1], x[2])
				}
				if diff := cmp.Diff(want, runOne(t, k, v)); diff != "" {
					t.Fatalf("operands %x\n%s", v, diff)
				}
			}
		})
	}
}

// TestCollectives covers instructions in which lanes see each other.
func TestCollectives(t *testing.T) {
	each := func(f func(v abc, lane int) uint64) func(v abc) []uint64 {
		return func(v abc) []uint64 {
			r := make([]uint64, 32)
			for i := range r {
				r[i] = f(v, i)
			}
			return r
		}
	}
	low := func(x uint64) uint64 { return x & 0xffffffff }
	fold := func(v abc, f func(x, y uint64) uint64) uint64 {
		x := v[0][0]
		for _, y := range v[1:] {
			x = f(x, y[0])
		}
		return x
	}
	ballot := func(v abc) (m uint64) {
		for i, x := range v {
			m |= x[0] & 1 << i
		}
		return m
	}
	for name, c := range map[string]struct {
		body string
		want func(v abc) []uint64
	}{
		"bfly": {"shfl.sync.bfly.b32 %r3, %r0, 5, 31, -1; cvt.u64.u32 %d9, %r3;",
			each(func(v abc, i int) uint64 { return low(v[i^5][0]) })},
		"down in segments of eight": {"shfl.sync.down.b32 %r3|%p3, %r0, 3, 0x1807, 0xffffffff; " +
			"selp.u64 %d3, 0x100000000, 0, %p3; cvt.u64.u32 %d9, %r3; or.b64 %d9, %d9, %d3;",
			each(func(v abc, i int) uint64 {
				if i%8+3 < 8 {
					return low(v[i+3][0]) | 1<<32
				}
				return low(v[i][0])
			})},
		"up": {"shfl.sync.up.b32 %r3|%p3, %r0, 1, 0, 0xffffffff; @!%p3 mov.u32 %r3, 77; " +
			"cvt.u64.u32 %d9, %r3;",
			each(func(v abc, i int) uint64 {
				if i == 0 {
					return 77
				}
				return low(v[i-1][0])
			})},
		"idx by value": {"and.b32 %r1, %r1, 31; shfl.sync.idx.b32 %r3, %r0, %r1, 31, -1; " +
			"cvt.u64.u32 %d9, %r3;",
			each(func(v abc, i int) uint64 { return low(v[v[i][1]&31][0]) })},
		"idx in half warps": {"shfl.sync.idx.b32 %r0, %r0, 2, 0x101f, -1; cvt.u64.u32 %d9, %r0;",
			each(func(v abc, i int) uint64 { return low(v[i/16*16+2][0]) })},
		"ballot": {"vote.sync.ballot.b32 %r3, %p0, -1; cvt.u64.u32 %d9, %r3;",
			each(func(v abc, _ int) uint64 { return ballot(v) })},
		"all and any": {"or.pred %p3, %p0, !%p0; vote.sync.all.pred %p4, %p3, -1; " +
			"vote.sync.any.pred %p5, !%p3, -1; vote.sync.uni.pred %p3, %p0, -1; " +
			"selp.u64 %d9, 1, 0, %p4; @%p5 add.u64 %d9, %d9, 2; @%p3 add.u64 %d9, %d9, 4;",
			each(func(v abc, _ int) uint64 {
				return 1 + 4*b2u(ballot(v) == 0 || ballot(v) == 0xffffffff)
			})},
		"odd lanes": {"mov.u64 %d9, 0; @%p6 activemask.b32 %r3; @%p6 vote.sync.ballot.b32 %r4, " +
			"%p0, 0xaaaaaaaa; @%p6 mov.b64 %d9, {%r3, %r4};",
			each(func(v abc, i int) uint64 {
				return uint64(i&1) * (0xaaaaaaaa | ballot(v)&0xaaaaaaaa<<32)
			})},
		"redux add": {"redux.sync.add.s32 %r3, %r0, -1; cvt.u64.u32 %d9, %r3;",
			each(func(v abc, _ int) uint64 {
				return low(fold(v, func(x, y uint64) uint64 { return x + y }))
			})},
		"redux min": {"redux.sync.min.s32 %r3, %r0, -1; cvt.u64.u32 %d9, %r3;",
			each(func(v abc, _ int) uint64 {
				return low(fold(v, func(x,
					y uint64) uint64 {
					return uint64(min(int32(x), int32(y)))
				}))
			})},
		"redux xor": {"redux.sync.xor.b32 %r3, %r0, -1; cvt.u64.u32 %d9, %r3;",
			each(func(v abc, _ int) uint64 {
				return low(fold(v, func(x, y uint64) uint64 { return x ^ y }))
			})},
		"redux max unsigned": {"redux.sync.max.u32 %r3, %r0, -1; cvt.u64.u32 %d9, %r3;",
			each(func(v abc, _ int) uint64 {
				return low(fold(v, func(x,
					y uint64) uint64 {
					return uint64(max(uint32(x), uint32(y)))
				}))
			})},
		"match": {"and.b32 %r0, %r0, 3; match.any.sync.b32 %r3, %r0, -1; match.all.sync.b32 " +
			"%r4|%p3, %r0, -1; match.all.sync.b32 %r5, %r6, -1; @%p3 mov.u32 %r4, 9; mov.b64 " +
			"%d9, {%r3, %r4};",
			each(func(v abc, i int) (m uint64) {
				for j := range v {
					m |= b2u(v[i][0]&3 == v[j][0]&3) << j
				}
				if m == 0xffffffff {
					m |= 9 << 32
				}
				return m
			})},
		"elect": {"elect.sync %r3|%p3, -1; selp.u64 %d9, 1, 0, %p3; mad.wide.u32 %d9, %r3, 2, %d9;",
			each(func(_ abc, i int) uint64 { return b2u(i == 0) })},
		"special registers": {"mov.u32 %r3, %laneid; mov.u32 %r4, %lanemask_lt; mov.b64 %d9, " +
			"{%r3, %r4}; mov.u32 %r3, %ntid.x; mov.u32 %r4, %nctaid.y; mad.lo.u32 %r3, %r3, 256, " +
			"%r4; cvt.u64.u32 %d3, %r3; shl.b64 %d3, %d3, 48; add.u64 %d9, %d9, %d3;",
			each(func(_ abc, i int) uint64 { return uint64(i) | (1<<i-1)<<32 + 0x2001<<48 })},
	} {
		t.Run(name, func(t *testing.T) {
			k := kernel(t, one(c.body), "one")
			r := rand.New(rand.NewPCG(3, 3))
			for range 30 {
				v := edges(r)
				if diff := cmp.Diff(c.want(v), runOne(t, k, v)); diff != "" {
					t.Fatalf("operands %x\n%s", v, diff)
				}
			}
		})
	}
}
