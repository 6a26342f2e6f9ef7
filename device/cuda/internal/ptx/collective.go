// SPDX-License-Identifier: Apache-2.0

package ptx

import "math/bits"

// shuffle moves values between lanes.
func shuffle(b *builder) exec {
	b.need("sync")
	mode := b.need("up", "down", "bfly", "idx")
	t := b.typ("b32")
	if !b.args(5, 5) {
		return nil
	}
	to := b.s.args[0]
	p := -1
	if to.pair != nil {
		if to.pair.kind != '_' {
			p, _ = b.pred(*to.pair, false)
		}
		to.pair = nil
	}
	d := slot{index: -1}
	if to.kind != '_' {
		d = b.dest(to, t, false)
	}
	a, by := b.source(b.s.args[1], t, false), b.source(b.s.args[2], t, false)
	c, members := b.source(b.s.args[3], t, false), b.source(b.s.args[4], t, false)
	return func(w *warp, m uint32) error {
		if _, err := w.members(m, members); err != nil {
			return err
		}
		from := w.r32[a.index]
		var inRange uint32
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest) & 31
			n := int(w.r32[by.index][lane] & 31)
			clamp := int(w.r32[c.index][lane] & 31)
			segment := int(w.r32[c.index][lane] >> 8 & 31)
			most := lane&segment | clamp&^segment
			j, ok := lane, false
			switch mode {
			case "up":
				j = lane - n
				ok = j >= most
			case "down":
				j = lane + n
				ok = j <= most
			case "bfly":
				j = lane ^ n
				ok = j <= most
			case "idx":
				j = lane&segment | n&^segment
				ok = j <= most
			}
			if !ok {
				j = lane
			} else {
				inRange |= 1 << lane
			}
			if m>>j&1 == 0 {
				return w.fault(ErrDiverged, 1<<lane, "a shuffle reads lane %d, which is not here",
					j)
			}
			if d.index >= 0 {
				w.r32[d.index][lane] = from[j]
			}
		}
		if p >= 0 {
			w.p[p] = w.p[p]&^m | inRange
		}
		return nil
	}
}

func vote(b *builder) exec {
	b.need("sync")
	mode := b.need("all", "any", "uni", "ballot")
	of := "pred"
	if mode == "ballot" {
		of = "b32"
	}
	t := b.typ(of)
	if !b.args(3, 3) {
		return nil
	}
	var d int
	if mode == "ballot" {
		d = b.dest(b.s.args[0], t, false).index
	} else {
		d, _ = b.pred(b.s.args[0], false)
	}
	a := b.predSource(b.s.args[1])
	members := b.source(b.s.args[2], typ{'b', 32}, false)
	return func(w *warp, m uint32) error {
		if _, err := w.members(m, members); err != nil {
			return err
		}
		v := a(w) & m
		if mode == "ballot" {
			r := &w.r32[d]
			for i := range r {
				if m>>i&1 != 0 {
					r[i] = v
				}
			}
			return nil
		}
		w.p[d] &^= m
		if mode == "all" && v == m || mode == "any" && v != 0 || mode == "uni" &&
			(v == 0 || v == m) {
			w.p[d] |= m
		}
		return nil
	}
}

// match finds lanes with equal values.
func match(b *builder) exec {
	mode := b.need("any", "all")
	b.need("sync")
	t := b.typ("b32 b64")
	if !b.args(3, 3) {
		return nil
	}
	to := b.s.args[0]
	p := -1
	if to.pair != nil && mode == "all" {
		p, _ = b.pred(*to.pair, false)
		to.pair = nil
	}
	d := b.dest(to, typ{'b', 32}, false)
	a, members := b.source(b.s.args[1], t, false), b.source(b.s.args[2], typ{'b', 32}, false)
	return func(w *warp, m uint32) error {
		if _, err := w.members(m, members); err != nil {
			return err
		}
		var result lanes64
		all := true
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest)
			var same uint32
			for other := range 32 {
				if m>>other&1 != 0 && a.get(w, other) == a.get(w, lane) {
					same |= 1 << other
				}
			}
			result[lane] = uint64(same)
			all = all && same == m
		}
		if mode == "all" && !all {
			result = lanes64{}
		}
		w.put(d, 32, &result, m)
		if p >= 0 {
			w.p[p] &^= m
			if all {
				w.p[p] |= m
			}
		}
		return nil
	}
}

// redux reduces over the lanes.
func redux(b *builder) exec {
	b.need("sync")
	op := b.need("add", "min", "max", "and", "or", "xor")
	of := "u32 s32"
	if op == "and" || op == "or" || op == "xor" {
		of = "b32"
	}
	t := b.typ(of)
	if !b.args(3, 3) {
		return nil
	}
	d, a := b.dest(b.s.args[0], t, false), b.source(b.s.args[1], t, false)
	members := b.source(b.s.args[2], typ{'b', 32}, false)
	f := combine(op)
	return func(w *warp, m uint32) error {
		if _, err := w.members(m, members); err != nil {
			return err
		}
		first := bits.TrailingZeros32(m)
		v := extend(t, a.get(w, first))
		for rest := m & (m - 1); rest != 0; rest &= rest - 1 {
			v = f(t, v, extend(t, a.get(w, bits.TrailingZeros32(rest))))
		}
		var result lanes64
		for i := range result {
			result[i] = v
		}
		w.put(d, 32, &result, m)
		return nil
	}
}

func activemask(b *builder) exec {
	t := b.typ("b32")
	if !b.args(1, 1) {
		return nil
	}
	d := b.dest(b.s.args[0], t, false)
	return func(w *warp, m uint32) error {
		var result lanes64
		for i := range result {
			result[i] = uint64(m)
		}
		w.put(d, 32, &result, m)
		return nil
	}
}

// elect picks a leader: here the lowest lane.
func elect(b *builder) exec {
	b.need("sync")
	if !b.args(2, 2) || b.s.args[0].pair == nil {
		b.fail("elect.sync needs d|p and a member mask")
		return nil
	}
	to := b.s.args[0]
	p, _ := b.pred(*to.pair, false)
	to.pair = nil
	d := slot{index: -1}
	if to.kind != '_' {
		d = b.dest(to, typ{'b', 32}, false)
	}
	members := b.source(b.s.args[1], typ{'b', 32}, false)
	return func(w *warp, m uint32) error {
		if _, err := w.members(m, members); err != nil {
			return err
		}
		leader := bits.TrailingZeros32(m)
		w.p[p] = w.p[p]&^m | 1<<leader
		if d.index >= 0 {
			var result lanes64
			for i := range result {
				result[i] = uint64(leader)
			}
			w.put(d, 32, &result, m)
		}
		return nil
	}
}
