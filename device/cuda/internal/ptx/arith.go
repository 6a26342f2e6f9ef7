// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"math"
	"math/bits"
)

// Integer types as the opcodes list them.
const (
	integers  = "u16 u32 u64 s16 s32 s64"
	words     = "b16 b32 b64"
	allTypes  = "b16 b32 b64 u16 u32 u64 s16 s32 s64 pred"
	bitsPreds = "b16 b32 b64 pred"
)

// extend makes a value of type t from a register's bits.
func extend(t typ, v uint64) uint64 {
	shift := 64 - t.bits
	if t.signed() {
		return uint64(int64(v<<shift) >> shift)
	}
	return v << shift >> shift
}

// Vector forms: whole registers at a time, so that a warp costs one call.
type (
	vector32 func(d, a, b, c *lanes32)
	vector64 func(d, a, b, c *lanes64)
)

func blend[T uint32 | uint64](d, t *[32]T, m uint32) {
	for ; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = t[i]
	}
}

// run32 runs a vector form for the lanes of the mask.
func run32(f vector32, d, a, b, c int) exec {
	return func(w *warp, m uint32) error {
		r := w.r32
		if m == full {
			f(&r[d], &r[a], &r[b], &r[c])
			return nil
		}
		var t lanes32
		f(&t, &r[a], &r[b], &r[c])
		blend(&r[d], &t, m)
		return nil
	}
}

func run64(f vector64, d, a, b, c int) exec {
	return func(w *warp, m uint32) error {
		r := w.r64
		if m == full {
			f(&r[d], &r[a], &r[b], &r[c])
			return nil
		}
		var t lanes64
		f(&t, &r[a], &r[b], &r[c])
		blend(&r[d], &t, m)
		return nil
	}
}

// perLane is the general form, for types and opcodes that are rare. Operands
// come extended to 64 bits by their types, those that an opcode lacks are
// noise; the result is cut to its register.
type perLane func(a, b, c uint64) uint64

func runLanes(f perLane, d slot, bits int, s [3]slot, t [3]typ) exec {
	return func(w *warp, m uint32) error {
		var result lanes64
		for i := range result {
			if m>>i&1 != 0 {
				result[i] = f(extend(t[0], s[0].get(w, i)), extend(t[1], s[1].get(w, i)),
					extend(t[2], s[2].get(w, i)))
			}
		}
		w.put(d, bits, &result, m)
		return nil
	}
}

// put writes lanes, cut to the register's width.
func (w *warp) put(d slot, width int, v *lanes64, m uint32) {
	if d.wide {
		blend(&w.r64[d.index], v, m)
		return
	}
	cut := uint32(1<<width - 1)
	r := &w.r32[d.index]
	for i, x := range v {
		if m>>i&1 != 0 {
			r[i] = uint32(x) & cut
		}
	}
}

// form is all that one opcode and type do: f always, the vector forms where
// the opcode is common enough to be worth one.
type form struct {
	f   perLane
	v32 vector32
	v64 vector64
}

// lanes compiles d = f(a, b, c) with operands of given types, the first being
// the destination's.
func (b *builder) lanes(f form, result typ, operands ...typ) exec {
	if !b.args(1+len(operands), 1+len(operands)) {
		return nil
	}
	d := b.dest(b.s.args[0], result, false)
	var s [3]slot
	t := [3]typ{{'u', 32}, {'u', 32}, {'u', 32}}
	all32, all64 := result.bits == 32, result.bits == 64
	for i, of := range operands {
		s[i], t[i] = b.source(b.s.args[1+i], of, false), of
		all32, all64 = all32 && of.bits == 32, all64 && of.bits == 64
	}
	switch {
	case all32 && f.v32 != nil:
		return run32(f.v32, d.index, s[0].index, s[1].index, s[2].index)
	case all64 && f.v64 != nil:
		// Operands that are not there must be of the same file.
		for i := len(operands); i < 3; i++ {
			s[i] = s[0]
		}
		return run64(f.v64, d.index, s[0].index, s[1].index, s[2].index)
	}
	return runLanes(f.f, d, result.bits, s, t)
}

func addSub(b *builder) exec {
	saturate := b.take("sat") != ""
	withCarry := b.take("cc") != ""
	t := b.typ(integers)
	if saturate {
		if t != (typ{'s', 32}) || withCarry {
			b.fail(".sat is for .s32")
		}
		sub := b.s.op == "sub"
		return b.lanes(form{f: func(x, y, _ uint64) uint64 {
			if sub {
				y = -y
			}
			return uint64(clamp(int64(x)+int64(y), math.MinInt32, math.MaxInt32))
		}}, t, t, t)
	}
	if withCarry {
		return b.carried(t, false, true)
	}
	if b.s.op == "sub" {
		return b.lanes(form{
			f: func(x, y, _ uint64) uint64 { return x - y },
			v32: func(d, x, y, _ *lanes32) {
				for i := range d {
					d[i] = x[i] - y[i]
				}
			},
			v64: func(d, x, y, _ *lanes64) {
				for i := range d {
					d[i] = x[i] - y[i]
				}
			},
		}, t, t, t)
	}
	return b.lanes(form{
		f: func(x, y, _ uint64) uint64 { return x + y },
		v32: func(d, x, y, _ *lanes32) {
			for i := range d {
				d[i] = x[i] + y[i]
			}
		},
		v64: func(d, x, y, _ *lanes64) {
			for i := range d {
				d[i] = x[i] + y[i]
			}
		},
	}, t, t, t)
}

func clamp(v, low, high int64) int64 { return min(max(v, low), high) }

func carry(b *builder) exec {
	out := b.take("cc") != ""
	return b.carried(b.typ("u32 u64 s32 s64"), true, out)
}

// carried is addition or subtraction with the carry flag read, written or both.
// For subtraction the flag is the borrow.
func (b *builder) carried(t typ, in, out bool) exec {
	if t.bits < 32 {
		b.fail("the carry flag is for 32 and 64 bits")
	}
	if !b.args(3, 3) {
		return nil
	}
	d := b.dest(b.s.args[0], t, false)
	x, y := b.source(b.s.args[1], t, false), b.source(b.s.args[2], t, false)
	sub := b.s.op[0] == 's'
	return func(w *warp, m uint32) error {
		var result lanes64
		flags := w.carry
		for i := range result {
			var c uint64
			if in {
				c = uint64(w.carry >> i & 1)
			}
			p, q := x.get(w, i), y.get(w, i)
			switch {
			case t.bits == 64 && sub:
				result[i], c = bits.Sub64(p, q, c)
			case t.bits == 64:
				result[i], c = bits.Add64(p, q, c)
			case sub:
				result[i] = p - q - c
				c = result[i] >> 63
			default:
				result[i] = p + q + c
				c = result[i] >> 32
			}
			flags = flags&^(1<<i) | uint32(c)<<i
		}
		if out {
			w.carry = w.carry&^m | flags&m
		}
		w.put(d, t.bits, &result, m)
		return nil
	}
}

// high is the upper half of a product of type t.
func high(t typ) perLane {
	if t.bits < 64 {
		shift := t.bits
		return func(x, y, _ uint64) uint64 { return uint64(int64(x*y) >> shift) }
	}
	if t.signed() {
		return func(x, y, _ uint64) uint64 {
			h, _ := bits.Mul64(x, y)
			return h - uint64(int64(x)>>63)&y - uint64(int64(y)>>63)&x
		}
	}
	return func(x, y, _ uint64) uint64 {
		h, _ := bits.Mul64(x, y)
		return h
	}
}

func mul(b *builder) exec {
	part := b.need("lo", "hi", "wide")
	t := b.typ(integers)
	switch part {
	case "hi":
		f := form{f: high(t)}
		if t == (typ{'u', 32}) {
			f.v32 = func(d, x, y, _ *lanes32) {
				for i := range d {
					d[i] = uint32(uint64(x[i]) * uint64(y[i]) >> 32)
				}
			}
		}
		return b.lanes(f, t, t, t)
	case "wide":
		if t.bits == 64 {
			b.fail(".wide is for 16 and 32 bits")
		}
		return b.lanes(form{f: func(x, y,
			_ uint64) uint64 {
			return x * y
		}}, typ{t.kind, 2 * t.bits}, t, t)
	}
	return b.lanes(form{
		f: func(x, y, _ uint64) uint64 { return x * y },
		v32: func(d, x, y, _ *lanes32) {
			for i := range d {
				d[i] = x[i] * y[i]
			}
		},
		v64: func(d, x, y, _ *lanes64) {
			for i := range d {
				d[i] = x[i] * y[i]
			}
		},
	}, t, t, t)
}

func mad(b *builder) exec {
	part := b.need("lo", "hi", "wide")
	out := b.take("cc") != ""
	t := b.typ(integers)
	if out || b.s.op == "madc" {
		return b.carriedMad(t, part, b.s.op == "madc", out)
	}
	switch part {
	case "hi":
		h := high(t)
		return b.lanes(form{f: func(x, y, z uint64) uint64 { return h(x, y, 0) + z }}, t, t, t, t)
	case "wide":
		if t.bits == 64 {
			b.fail(".wide is for 16 and 32 bits")
		}
		double := typ{t.kind, 2 * t.bits}
		return b.lanes(form{f: func(x, y,
			z uint64) uint64 {
			return x*y + z
		}}, double, t, t, double)
	}
	return b.lanes(form{
		f: func(x, y, z uint64) uint64 { return x*y + z },
		v32: func(d, x, y, z *lanes32) {
			for i := range d {
				d[i] = x[i]*y[i] + z[i]
			}
		},
		v64: func(d, x, y, z *lanes64) {
			for i := range d {
				d[i] = x[i]*y[i] + z[i]
			}
		},
	}, t, t, t, t)
}

// carriedMad adds a half of a product, with the carry flag.
func (b *builder) carriedMad(t typ, part string, in, out bool) exec {
	if t.bits < 32 || part == "wide" {
		b.fail("the carry flag is for .lo and .hi of 32 and 64 bits")
	}
	if !b.args(4, 4) {
		return nil
	}
	d := b.dest(b.s.args[0], t, false)
	var s [3]slot
	for i := range s {
		s[i] = b.source(b.s.args[1+i], t, false)
	}
	half := high(t)
	if part == "lo" {
		half = func(x, y, _ uint64) uint64 { return x * y }
	}
	unsigned := typ{'u', t.bits}
	return func(w *warp, m uint32) error {
		var result lanes64
		flags := w.carry
		for i := range result {
			var c uint64
			if in {
				c = uint64(w.carry >> i & 1)
			}
			product := extend(unsigned,
				half(extend(t, s[0].get(w, i)), extend(t, s[1].get(w, i)), 0))
			if t.bits == 64 {
				result[i], c = bits.Add64(product, s[2].get(w, i), c)
			} else {
				result[i] = product + s[2].get(w, i) + c
				c = result[i] >> 32
			}
			flags = flags&^(1<<i) | uint32(c)<<i
		}
		if out {
			w.carry = w.carry&^m | flags&m
		}
		w.put(d, t.bits, &result, m)
		return nil
	}
}

func mul24(b *builder) exec {
	part := b.need("lo", "hi")
	t := b.typ("u32 s32")
	short := typ{t.kind, 24}
	shift := 0
	if part == "hi" {
		shift = 16
	}
	product := func(x, y uint64) uint64 {
		return uint64(int64(extend(short, x)*extend(short, y)) >> shift)
	}
	if b.s.op == "mad24" {
		return b.lanes(form{f: func(x, y,
			z uint64) uint64 {
			return product(x, y) + z
		}}, t, t, t, t)
	}
	return b.lanes(form{f: func(x, y, _ uint64) uint64 { return product(x, y) }}, t, t, t)
}

func sad(b *builder) exec {
	t := b.typ(integers)
	return b.lanes(form{f: func(x, y, z uint64) uint64 {
		if t.signed() && int64(x) < int64(y) || !t.signed() && x < y {
			x, y = y, x
		}
		return x - y + z
	}}, t, t, t, t)
}

// divRem finds division by zero, whose result no device promises.
func divRem(b *builder) exec {
	t := b.typ(integers)
	var f perLane
	switch {
	case b.s.op == "div" && t.signed():
		f = func(x, y, _ uint64) uint64 { return uint64(int64(x) / int64(y)) }
	case b.s.op == "div":
		f = func(x, y, _ uint64) uint64 { return x / y }
	case t.signed():
		f = func(x, y, _ uint64) uint64 { return uint64(int64(x) % int64(y)) }
	default:
		f = func(x, y, _ uint64) uint64 { return x % y }
	}
	run := b.lanes(form{f: f}, t, t, t)
	if run == nil {
		return nil
	}
	y := b.source(b.s.args[2], t, false)
	return func(w *warp, m uint32) error {
		for rest := m; rest != 0; rest &= rest - 1 {
			if y.get(w, bits.TrailingZeros32(rest)) == 0 {
				return w.fault(ErrDivision, rest, "division by zero")
			}
		}
		return run(w, m)
	}
}

func minMax(b *builder) exec {
	t := b.typ(integers)
	one := combine(b.s.op)
	f := form{f: func(x, y, _ uint64) uint64 { return one(t, x, y) }}
	switch {
	case t == (typ{'s', 32}) && b.s.op == "min":
		f.v32 = func(d, x, y, _ *lanes32) {
			for i := range d {
				d[i] = uint32(min(int32(x[i]), int32(y[i])))
			}
		}
	case t == (typ{'s', 32}):
		f.v32 = func(d, x, y, _ *lanes32) {
			for i := range d {
				d[i] = uint32(max(int32(x[i]), int32(y[i])))
			}
		}
	}
	return b.lanes(f, t, t, t)
}

func absNeg(b *builder) exec {
	t := b.typ("s16 s32 s64")
	if b.s.op == "neg" {
		return b.lanes(form{f: func(x, _, _ uint64) uint64 { return -x }}, t, t)
	}
	return b.lanes(form{f: func(x, _, _ uint64) uint64 {
		if int64(x) < 0 {
			return -x
		}
		return x
	}}, t, t)
}

// dot is dp4a and dp2a.
func dot(b *builder) exec {
	half := 0
	if b.s.op == "dp2a" && b.need("lo", "hi") == "hi" {
		half = 16
	}
	at, bt := b.typ("u32 s32"), b.typ("u32 s32")
	result := typ{'s', 32}
	if !at.signed() && !bt.signed() {
		result.kind = 'u'
	}
	byteA, byteB, short := typ{at.kind, 8}, typ{bt.kind, 8}, typ{at.kind, 16}
	f := form{f: func(x, y, z uint64) uint64 {
		for i := 0; i < 32; i += 8 {
			z += extend(byteA, x>>i) * extend(byteB, y>>i)
		}
		return z
	}}
	if b.s.op == "dp2a" {
		f.f = func(x, y, z uint64) uint64 {
			y >>= half
			return z + extend(short, x)*extend(byteB, y) + extend(short, x>>16)*extend(byteB, y>>8)
		}
	} else if at.signed() && bt.signed() {
		f.v32 = func(d, x, y, z *lanes32) {
			for i := range d {
				p, q := x[i], y[i]
				d[i] = z[i] + uint32(int32(int8(p))*int32(int8(q))+
					int32(int8(p>>8))*int32(int8(q>>8))+
					int32(int8(p>>16))*int32(int8(q>>16))+int32(int8(p>>24))*int32(int8(q>>24)))
			}
		}
	}
	return b.lanes(f, result, at, bt, result)
}
