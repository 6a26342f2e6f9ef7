// SPDX-License-Identifier: Apache-2.0

package ptx

import "math/bits"

func logic(b *builder) exec {
	of := bitsPreds
	if b.s.op == "cnot" {
		of = words
	}
	t := b.typ(of)
	if t.kind == 'p' {
		return b.logicPred()
	}
	switch b.s.op {
	case "not":
		return b.lanes(form{f: func(x, _, _ uint64) uint64 { return ^x }}, t, t)
	case "cnot":
		return b.lanes(form{f: func(x, _, _ uint64) uint64 {
			if x == 0 {
				return 1
			}
			return 0
		}}, t, t)
	case "and":
		return b.lanes(form{
			f: func(x, y, _ uint64) uint64 { return x & y },
			v32: func(d, x, y, _ *lanes32) {
				for i := range d {
					d[i] = x[i] & y[i]
				}
			},
			v64: func(d, x, y, _ *lanes64) {
				for i := range d {
					d[i] = x[i] & y[i]
				}
			},
		}, t, t, t)
	case "or":
		return b.lanes(form{
			f: func(x, y, _ uint64) uint64 { return x | y },
			v32: func(d, x, y, _ *lanes32) {
				for i := range d {
					d[i] = x[i] | y[i]
				}
			},
			v64: func(d, x, y, _ *lanes64) {
				for i := range d {
					d[i] = x[i] | y[i]
				}
			},
		}, t, t, t)
	}
	return b.lanes(form{
		f: func(x, y, _ uint64) uint64 { return x ^ y },
		v32: func(d, x, y, _ *lanes32) {
			for i := range d {
				d[i] = x[i] ^ y[i]
			}
		},
		v64: func(d, x, y, _ *lanes64) {
			for i := range d {
				d[i] = x[i] ^ y[i]
			}
		},
	}, t, t, t)
}

func (b *builder) logicPred() exec {
	n := 3
	if b.s.op == "not" {
		n = 2
	}
	if !b.args(n, n) {
		return nil
	}
	d, _ := b.pred(b.s.args[0], false)
	x := b.predSource(b.s.args[1])
	y := x
	if n == 3 {
		y = b.predSource(b.s.args[2])
	}
	op := b.s.op
	return func(w *warp, m uint32) error {
		var v uint32
		switch op {
		case "and":
			v = x(w) & y(w)
		case "or":
			v = x(w) | y(w)
		case "xor":
			v = x(w) ^ y(w)
		case "not":
			v = ^x(w)
		}
		w.p[d] = w.p[d]&^m | v&m
		return nil
	}
}

// predSource reads a predicate, its negation, or an immediate.
func (b *builder) predSource(o operand) func(w *warp) uint32 {
	if o.kind == 'i' {
		var v uint32
		if o.imm != 0 {
			v = full
		}
		return func(*warp) uint32 { return v }
	}
	i, not := b.pred(o, true)
	if not {
		return func(w *warp) uint32 { return ^w.p[i] }
	}
	return func(w *warp) uint32 { return w.p[i] }
}

// shift clamps its amount to the type's width.
func shift(b *builder) exec {
	amount := typ{'u', 32}
	if b.s.op == "shl" {
		t := b.typ(words)
		return b.lanes(form{
			f: func(x, n, _ uint64) uint64 { return x << n },
			v32: func(d, x, n, _ *lanes32) {
				for i := range d {
					d[i] = x[i] << n[i]
				}
			},
		}, t, t, amount)
	}
	t := b.typ(words + " " + integers)
	if t.signed() {
		return b.lanes(form{
			f: func(x, n, _ uint64) uint64 { return uint64(int64(x) >> n) },
			v32: func(d, x, n, _ *lanes32) {
				for i := range d {
					d[i] = uint32(int32(x[i]) >> n[i])
				}
			},
		}, t, t, amount)
	}
	return b.lanes(form{
		f: func(x, n, _ uint64) uint64 { return x >> n },
		v32: func(d, x, n, _ *lanes32) {
			for i := range d {
				d[i] = x[i] >> n[i]
			}
		},
	}, t, t, amount)
}

// funnel shifts the 64 bits b:a and keeps the upper half (left) or the lower.
func funnel(b *builder) exec {
	left := b.need("l", "r") == "l"
	wrap := b.need("wrap", "clamp") == "wrap"
	t := b.typ("b32")
	amount := func(n uint32) uint32 {
		if wrap {
			return n & 31
		}
		return min(n, 32)
	}
	f := form{v32: func(d, low, hi, n *lanes32) {
		for i := range d {
			d[i] = uint32((uint64(hi[i])<<32 | uint64(low[i])) >> amount(n[i]))
		}
	}}
	if left {
		f.v32 = func(d, low, hi, n *lanes32) {
			for i := range d {
				d[i] = uint32((uint64(hi[i])<<32 | uint64(low[i])) << amount(n[i]) >> 32)
			}
		}
	}
	return b.lanes(f, t, t, t, typ{'u', 32})
}

// lop3 looks each bit up in a table of eight.
func lop3(b *builder) exec {
	t := b.typ("b32")
	if !b.args(5, 5) {
		return nil
	}
	table := b.immediate(b.s.args[4], 255)
	var s [3]int
	for i := range s {
		s[i] = b.source(b.s.args[1+i], t, false).index
	}
	d := b.dest(b.s.args[0], t, false)
	var on [8]uint32 // all ones where the table has one
	for i := range on {
		on[i] = -(table >> i & 1)
	}
	return run32(func(d, x, y, z *lanes32) {
		for i := range d {
			p, q, r := x[i], y[i], z[i]
			// Halve the table by r, then by q, then by p.
			v00 := on[0]&^r | on[1]&r
			v01 := on[2]&^r | on[3]&r
			v10 := on[4]&^r | on[5]&r
			v11 := on[6]&^r | on[7]&r
			v0 := v00&^q | v01&q
			v1 := v10&^q | v11&q
			d[i] = v0&^p | v1&p
		}
	}, d.index, s[0], s[1], s[2])
}

// immediate is an operand that must be a literal from 0 to most.
func (b *builder) immediate(o operand, most uint64) uint32 {
	if o.kind != 'i' || o.imm > most {
		b.fail("an immediate of at most %d was expected", most)
		return 0
	}
	return uint32(o.imm)
}

// prmt picks four bytes out of eight.
func prmt(b *builder) exec {
	t := b.typ("b32")
	mode := b.take("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
	u := typ{'u', 32}
	return b.lanes(form{v32: func(d, x, y, c *lanes32) {
		for i := range d {
			bytes := uint64(y[i])<<32 | uint64(x[i])
			control := c[i]
			if mode != "" {
				control = prmtControl(mode, control&3)
			}
			var r uint32
			for j := 0; j < 4; j++ {
				pick := control >> (4 * j)
				v := uint32(bytes>>(8*(pick&7))) & 255
				if pick&8 != 0 { // the sign, eight times
					v = -(v >> 7) & 255
				}
				r |= v << (8 * j)
			}
			d[i] = r
		}
	}}, t, t, t, u)
}

// prmtControl is the default mode's selector for one of the others, by the
// tables of the PTX ISA.
func prmtControl(mode string, n uint32) uint32 {
	return map[string][4]uint32{
		"f4e":  {0x3210, 0x4321, 0x5432, 0x6543},
		"b4e":  {0x5670, 0x6701, 0x7012, 0x0123},
		"rc8":  {0x0000, 0x1111, 0x2222, 0x3333},
		"ecl":  {0x3210, 0x3211, 0x3222, 0x3333},
		"ecr":  {0x0000, 0x1110, 0x2210, 0x3210},
		"rc16": {0x1010, 0x3232, 0x1010, 0x3232},
	}[mode][n]
}

// bitfield is bfe and bfi; position and length are the low bytes of operands.
func bitfield(b *builder) exec {
	u := typ{'u', 32}
	if b.s.op == "bfi" {
		t := b.typ("b32 b64")
		if !b.args(5, 5) {
			return nil
		}
		field, into := b.source(b.s.args[1], t, false), b.source(b.s.args[2], t, false)
		pos, length := b.source(b.s.args[3], u, false), b.source(b.s.args[4], u, false)
		d := b.dest(b.s.args[0], t, false)
		return func(w *warp, m uint32) error {
			var result lanes64
			for i := range result {
				p, n := pos.get(w, i)&255, length.get(w, i)&255
				mask := (uint64(1)<<n - 1) << p // a shift by 64 and more gives zero
				result[i] = into.get(w, i)&^mask | field.get(w, i)<<p&mask
			}
			w.put(d, t.bits, &result, m)
			return nil
		}
	}
	t := b.typ("u32 s32 u64 s64")
	return b.lanes(form{f: func(x, pos, n uint64) uint64 {
		pos, n = pos&255, n&255
		if n == 0 {
			return 0
		}
		if !t.signed() {
			if n >= 64 {
				return x >> pos
			}
			return x >> pos & (1<<n - 1)
		}
		// Above the type's top bit a signed field continues its sign, which is
		// how x was extended; a field reaching past it ends there.
		if pos+n >= uint64(t.bits) {
			return uint64(int64(x) >> min(pos, 63))
		}
		return uint64(int64(x<<(64-pos-n)) >> (64 - n))
	}}, t, t, u, u)
}

// bitwise is brev, clz, popc and bfind.
func bitwise(b *builder) exec {
	amount := false
	if b.s.op == "bfind" {
		amount = b.take("shiftamt") != ""
		t := b.typ("u32 s32 u64 s64")
		return b.lanes(form{f: func(x, _, _ uint64) uint64 {
			if t.signed() && int64(x) < 0 {
				x = ^x
			}
			at := bits.Len64(x) - 1
			if amount && at >= 0 {
				at = t.bits - 1 - at
			}
			return uint64(uint32(at))
		}}, typ{'u', 32}, t)
	}
	t := b.typ("b32 b64")
	switch b.s.op {
	case "brev":
		return b.lanes(form{f: func(x, _,
			_ uint64) uint64 {
			return bits.Reverse64(x) >> (64 - t.bits)
		}}, t, t)
	case "clz":
		return b.lanes(form{f: func(x, _, _ uint64) uint64 {
			return uint64(bits.LeadingZeros64(x) - 64 + t.bits)
		}}, typ{'u', 32}, t)
	}
	return b.lanes(form{f: func(x, _, _ uint64) uint64 {
		return uint64(bits.OnesCount64(x))
	}}, typ{'u', 32}, t)
}
