// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"math/bits"
	"slices"
)

func mov(b *builder) exec {
	t := b.typ(allTypes)
	if !b.args(2, 2) {
		return nil
	}
	to, from := b.s.args[0], b.s.args[1]
	switch {
	case t.kind == 'p':
		d, _ := b.pred(to, false)
		x := b.predSource(from)
		return func(w *warp, m uint32) error {
			w.p[d] = w.p[d]&^m | x(w)&m
			return nil
		}
	case to.kind == 'v':
		return b.unpack(t, to.elems, from)
	case from.kind == 'v':
		return b.pack(t, to, from.elems)
	case from.kind == 's' && (from.name == "%clock" || from.name == "%clock64"):
		d := b.dest(to, t, false)
		if specialWide[from.name] != d.wide {
			b.fail("%s does not have the width of .%v", from.name, t)
		}
		return func(w *warp, m uint32) error {
			var v lanes64
			for i := range v {
				v[i] = w.block.machine.steps
			}
			w.put(d, t.bits, &v, m)
			return nil
		}
	}
	d, s := b.dest(to, t, false), b.source(from, t, false)
	if d.wide {
		return run64(func(d, x, _, _ *lanes64) { *d = *x }, d.index, s.index, s.index, s.index)
	}
	return run32(func(d, x, _, _ *lanes32) { *d = *x }, d.index, s.index, s.index, s.index)
}

// unpack splits a register; parts may be dropped with _.
func (b *builder) unpack(t typ, to []operand, from operand) exec {
	s := b.source(from, t, false)
	n := len(to)
	if n != 2 && n != 4 || t.bits/n < 16 {
		b.fail("%d parts of %d bits", n, t.bits)
		return nil
	}
	part := typ{'b', t.bits / n}
	d := make([]slot, n)
	for i, o := range to {
		d[i].index = -1
		if o.kind != '_' {
			d[i] = b.dest(o, part, false)
		}
	}
	return func(w *warp, m uint32) error {
		var whole lanes64
		for i := range whole {
			whole[i] = s.get(w, i)
		}
		for i := range d {
			if d[i].index >= 0 {
				w.put(d[i], part.bits, &whole, m)
			}
			for j := range whole {
				whole[j] >>= part.bits
			}
		}
		return nil
	}
}

func (b *builder) pack(t typ, to operand, from []operand) exec {
	d := b.dest(to, t, false)
	n := len(from)
	if n != 2 && n != 4 || t.bits/n < 16 {
		b.fail("%d parts of %d bits", n, t.bits)
		return nil
	}
	part := typ{'b', t.bits / n}
	s := make([]slot, n)
	for i, o := range from {
		s[i] = b.source(o, part, false)
	}
	return func(w *warp, m uint32) error {
		var whole lanes64
		for j := range s {
			for i := range whole {
				whole[i] |= s[j].get(w, i) << (j * part.bits)
			}
		}
		w.put(d, t.bits, &whole, m)
		return nil
	}
}

const cvtTypes = "u8 u16 u32 u64 s8 s16 s32 s64"

// cvt cuts or extends; registers may be wider than their types.
func cvt(b *builder) exec {
	if b.take("pack") != "" {
		return b.cvtPack()
	}
	saturate := b.take("sat") != ""
	to, from := b.typ(cvtTypes), b.typ(cvtTypes)
	if !b.args(2, 2) {
		return nil
	}
	s := b.source(b.s.args[1], from, true)
	d := b.dest(b.s.args[0], to, true)
	width := b.s.args[0].reg.bits
	return func(w *warp, m uint32) error {
		var v lanes64
		if s.wide {
			v = w.r64[s.index]
		} else {
			for i, x := range &w.r32[s.index] {
				v[i] = uint64(x)
			}
		}
		for i, x := range v {
			x = extend(from, x)
			if saturate {
				x = saturateTo(to, from, x)
			}
			v[i] = extend(to, x)
		}
		w.put(d, width, &v, m)
		return nil
	}
}

// saturateTo clamps x of type from to the range of type to.
func saturateTo(to, from typ, x uint64) uint64 {
	low, high := int64(0), uint64(1)<<(to.bits-1)<<1-1
	if to.signed() {
		low, high = -1<<(to.bits-1), 1<<(to.bits-1)-1
	}
	if from.signed() && int64(x) < 0 {
		return uint64(max(int64(x), low))
	}
	return min(x, high)
}

// cvtPack saturates two words into the low part of one, above it the low part
// of a third.
func (b *builder) cvtPack() exec {
	b.need("sat")
	to, from := b.typ("u16 s16 u8 s8"), b.typ("s32")
	n := 3
	if to.bits == 8 {
		b.typ("b32")
		n = 4
	}
	if !b.args(n, n) {
		return nil
	}
	d := b.dest(b.s.args[0], typ{'b', 32}, false)
	x, y := b.source(b.s.args[1], from, false), b.source(b.s.args[2], from, false)
	var z slot
	if n == 4 {
		z = b.source(b.s.args[3], typ{'b', 32}, false)
	}
	cut := typ{'u', to.bits}
	one := func(v uint32) uint64 {
		return extend(cut, saturateTo(to, from, uint64(int64(int32(v)))))
	}
	return func(w *warp, m uint32) error {
		var v lanes64
		for i := range v {
			v[i] = one(w.r32[x.index][i])<<to.bits | one(w.r32[y.index][i])
			if n == 4 {
				v[i] |= uint64(w.r32[z.index][i]) << 16
			}
		}
		w.put(d, 32, &v, m)
		return nil
	}
}

// cvta moves addresses between a space and the generic one.
func cvta(b *builder) exec {
	to := b.take("to") != ""
	name := b.need("global", "shared", "shared::cta", "local", "const", "param")
	t := b.typ("u64")
	if !b.args(2, 2) {
		return nil
	}
	d, s := b.dest(b.s.args[0], t, false), b.source(b.s.args[1], t, false)
	base := windows[spaces[name]]
	if to {
		base = -base
	}
	return run64(func(d, x, _, _ *lanes64) {
		for i := range d {
			d[i] = x[i] + base
		}
	}, d.index, s.index, s.index, s.index)
}

// isspacep asks which space a generic address is in.
func isspacep(b *builder) exec {
	in := spaces[b.need("global", "shared", "shared::cta", "local", "const")]
	if !b.args(2, 2) {
		return nil
	}
	d, _ := b.pred(b.s.args[0], false)
	s := b.source(b.s.args[1], typ{'u', 64}, false)
	return func(w *warp, m uint32) error {
		var v uint32
		for rest := m; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			if of, _ := narrow(w.r64[s.index][i]); of == in {
				v |= 1 << i
			}
		}
		w.p[d] = w.p[d]&^m | v
		return nil
	}
}

// comparison is a compare opcode's relation on extended values.
func (b *builder) comparison() (name string) {
	return b.need("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs")
}

// compare gives the lanes in which the relation holds.
func compare(relation string, t typ, x, y slot) func(w *warp) uint32 {
	switch relation {
	case "lo":
		relation = "lt"
	case "ls":
		relation = "le"
	case "hi":
		relation = "gt"
	case "hs":
		relation = "ge"
	}
	// gt and le are lt and ge with sides changed; the rest is negation.
	not := relation == "ne" || relation == "ge" || relation == "le"
	if relation == "gt" || relation == "le" {
		x, y = y, x
	}
	equal := relation == "eq" || relation == "ne"
	var flip uint32
	if not {
		flip = full
	}
	if t.bits == 32 && equal {
		return func(w *warp) uint32 {
			var v uint32
			p, q := &w.r32[x.index], &w.r32[y.index]
			for i := range p {
				if p[i] == q[i] {
					v |= 1 << i
				}
			}
			return v ^ flip
		}
	}
	if t.bits == 32 {
		var bias uint32 // turns signed order into unsigned
		if t.signed() {
			bias = 1 << 31
		}
		return func(w *warp) uint32 {
			var v uint32
			p, q := &w.r32[x.index], &w.r32[y.index]
			for i := range p {
				if p[i]^bias < q[i]^bias {
					v |= 1 << i
				}
			}
			return v ^ flip
		}
	}
	var bias uint64
	if t.signed() {
		bias = 1 << 63
	}
	return func(w *warp) uint32 {
		var v uint32
		for i := range 32 {
			p, q := extend(t, x.get(w, i)), extend(t, y.get(w, i))
			if equal && p == q || !equal && p^bias < q^bias {
				v |= 1 << i
			}
		}
		return v ^ flip
	}
}

const compared = integers + " " + words

// condition is what setp and set share: a comparison, joined to a predicate by
// a boolean operation where there is one. first is the index of the operand a.
func (b *builder) condition(relation, join string, t typ, first int) (yes,
	no func(w *warp) uint32) {
	if t.kind == 'b' && relation != "eq" && relation != "ne" {
		b.fail(".%v knows only eq and ne", t)
	}
	if slices.Contains([]string{"lo", "ls", "hi", "hs"}, relation) && t.kind != 'u' {
		b.fail(".%s is for unsigned types", relation)
	}
	n := first + 2
	if join != "" {
		n++
	}
	if !b.args(n, n) {
		return nil, nil
	}
	yes = compare(relation, t, b.source(b.s.args[first], t, false),
		b.source(b.s.args[first+1], t, false))
	plain := yes
	no = func(w *warp) uint32 { return ^plain(w) }
	if join == "" {
		return yes, no
	}
	c := b.predSource(b.s.args[first+2])
	with := func(f func(w *warp) uint32) func(w *warp) uint32 {
		switch join {
		case "and":
			return func(w *warp) uint32 { return f(w) & c(w) }
		case "or":
			return func(w *warp) uint32 { return f(w) | c(w) }
		}
		return func(w *warp) uint32 { return f(w) ^ c(w) }
	}
	return with(yes), with(no)
}

func setp(b *builder) exec {
	relation, join := b.comparison(), b.take("and", "or", "xor")
	t := b.typ(compared)
	yes, no := b.condition(relation, join, t, 1)
	if yes == nil {
		return nil
	}
	to := b.s.args[0]
	d := -1
	if to.kind != '_' {
		d, _ = b.pred(to, false)
	}
	q := -1
	if to.pair != nil && to.pair.kind != '_' {
		q, _ = b.pred(*to.pair, false)
	}
	if q < 0 && d >= 0 {
		return func(w *warp, m uint32) error {
			w.p[d] = w.p[d]&^m | yes(w)&m
			return nil
		}
	}
	return func(w *warp, m uint32) error {
		// Both before either is written: the operation may read them.
		v, u := yes(w), no(w)
		if d >= 0 {
			w.p[d] = w.p[d]&^m | v&m
		}
		if q >= 0 {
			w.p[q] = w.p[q]&^m | u&m
		}
		return nil
	}
}

func set(b *builder) exec {
	relation, join := b.comparison(), b.take("and", "or", "xor")
	to, t := b.typ("u32 s32"), b.typ(compared)
	yes, _ := b.condition(relation, join, t, 1)
	if yes == nil {
		return nil
	}
	d := b.dest(b.s.args[0], to, false)
	return func(w *warp, m uint32) error {
		v := yes(w)
		var result lanes64
		for i := range result {
			result[i] = -uint64(v >> i & 1)
		}
		w.put(d, 32, &result, m)
		return nil
	}
}

func selp(b *builder) exec {
	t := b.typ(compared)
	if !b.args(4, 4) {
		return nil
	}
	d := b.dest(b.s.args[0], t, false)
	x, y := b.source(b.s.args[1], t, false), b.source(b.s.args[2], t, false)
	p := b.predSource(b.s.args[3])
	if t.bits == 64 {
		return func(w *warp, m uint32) error {
			v := p(w)
			t := w.r64[y.index]
			blend(&t, &w.r64[x.index], v)
			blend(&w.r64[d.index], &t, m)
			return nil
		}
	}
	return func(w *warp, m uint32) error {
		v := p(w)
		t := w.r32[y.index]
		blend(&t, &w.r32[x.index], v)
		blend(&w.r32[d.index], &t, m)
		return nil
	}
}

// slct picks by the sign of its third operand.
func slct(b *builder) exec {
	t := b.typ(compared)
	s := b.typ("s32")
	return b.lanes(form{f: func(x, y, c uint64) uint64 {
		if int64(c) >= 0 {
			return x
		}
		return y
	}}, t, t, t, s)
}
