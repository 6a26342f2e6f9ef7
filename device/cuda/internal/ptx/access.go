// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// at finds n bytes of memory for one lane, checks them and records the access.
func (w *warp) at(in space, address uint64, n, lane int, how access) (area, int, error) {
	if in == generic {
		in, address = narrow(address)
	}
	if address&uint64(n-1) != 0 {
		return area{}, 0, w.fault(ErrAlignment, 1<<lane, "%d bytes at %#x", n, address)
	}
	machine := w.block.machine
	switch in {
	case global, constBank:
		a := machine.find(address, n)
		if a == nil {
			return area{}, 0, w.fault(ErrBounds, 1<<lane, "%d bytes at %#x: %s", n, address,
				machine.near(address))
		}
		if how != reading && a.readOnly {
			return area{}, 0, w.fault(ErrReadOnly, 1<<lane, "%s+%d", a.name, address-a.base)
		}
		return a.area, int(address - a.base), nil
	case shared:
		s := w.block.shared
		if n > len(s.data) || address > uint64(len(s.data)-n) {
			return area{}, 0, w.fault(ErrBounds, 1<<lane, "%d bytes at %#x of %d bytes of shared "+
				"memory", n, address, len(s.data))
		}
		if d := w.block.races; d != nil {
			if with := d.touch(w, int(address), n, how); with != "" {
				return area{}, 0, w.race(lane, int(address), n, how, with)
			}
		}
		return s, int(address), nil
	}
	if n > w.private.each || address > uint64(w.private.each-n) {
		return area{}, 0, w.fault(ErrBounds, 1<<lane, "%d bytes at %#x of %d bytes of local memory",
			n, address, w.private.each)
	}
	return w.private.area, lane*w.private.each + int(address), nil
}

func (w *warp) race(lane, at, n int, how access, with string) error {
	what := map[access]string{reading: "a read", writing: "a write", atomically: "an atomic"}[how]
	return w.fault(ErrRace, 1<<lane, "%s of %d bytes at %#x of shared memory is not ordered by a "+
		"barrier after %s by another warp or by the copy engine", what, n, at, with)
}

// readAt is at for reading, with the check that the bytes were written.
func (w *warp) readAt(in space, address uint64, n, lane int, how access) ([]byte, error) {
	a, i, err := w.at(in, address, n, lane, how)
	if err != nil {
		return nil, err
	}
	if !a.defined(i, n) && !(a.device && w.block.machine.options.AllowUndefined) {
		return nil, w.fault(ErrUndefined, 1<<lane, "%d bytes at %#x", n, address)
	}
	return a.data[i : i+n], nil
}

func (w *warp) writeAt(in space, address uint64, n, lane int) ([]byte, error) {
	a, i, err := w.at(in, address, n, lane, writing)
	if err != nil {
		return nil, err
	}
	clear(a.undefined[i : i+n])
	return a.data[i : i+n], nil
}

// place is an address operand: a base, an offset and a space.
type place struct {
	base   slot
	offset uint64
	space  space
	mask   uint64 // of addresses given by 32-bit registers
}

func (p place) address(w *warp, lane int) uint64 {
	return (p.base.get(w, lane) + p.offset) & p.mask
}

// address reads an operand in brackets.
func (b *builder) address(o operand, in space) place {
	if o.kind != 'a' {
		b.fail("an address was expected")
		return place{}
	}
	p := place{offset: uint64(o.offset), space: in, mask: ^uint64(0)}
	base := o.elems[0]
	t := typ{'u', 64}
	if base.kind == 'r' && base.reg.bits == 32 {
		if in != shared && in != local && in != param {
			b.fail("an address in this space has 64 bits")
		}
		t.bits, p.mask = 32, 1<<32-1
	}
	if base.kind == 'n' {
		v := base.scope.findVar(base.name)
		if v != nil && v.space != in && in != generic {
			b.fail("%q is not in this space", base.name)
		}
		if v != nil && in == generic {
			p.space = v.space
		}
	}
	p.base = b.source(base, t, false)
	return p
}

// access reads the modifiers between ld or st and its type. Caching hints
// change nothing here; neither do orderings, as lanes run one after the other.
func (b *builder) access() space {
	if b.take("volatile", "weak", "relaxed", "acquire", "release") != "" {
		b.take("cta", "gpu", "sys", "cluster")
	}
	in := spaces[b.take("global", "shared", "shared::cta", "local", "param",
		"param::entry", "const")]
	b.take("ca", "cg", "cs", "lu", "cv", "wb", "wt")
	if b.take("nc") != "" && in != global {
		b.fail(".nc is for global memory")
	}
	for b.take("L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
		"L1::no_allocate",
		"L2::evict_normal", "L2::evict_first", "L2::evict_last", "L2::64B", "L2::128B",
		"L2::256B") != "" {
	}
	return in
}

// small notes that shared memory may be accessed in pieces of n bytes.
func (b *builder) small(in space, n int) {
	if n < 4 && (in == shared || in == generic) {
		b.k.grain = 1
	}
}

func (b *builder) count() int {
	return map[string]int{"": 1, "v2": 2, "v4": 4, "v8": 8}[b.take("v2", "v4", "v8")]
}

const stored = "b8 u8 s8 " + integers + " " + words

// moved is what load and store move: from or to where, how many, and of which type.
func (b *builder) moved() (in space, n int, t typ, ok bool) {
	in, n, t = b.access(), b.count(), b.typ(stored)
	if !b.args(2, 2) {
		return in, n, t, false
	}
	if n*t.bytes() > 16 {
		b.fail("more than 16 bytes")
	}
	return in, n, t, true
}

func load(b *builder) exec {
	in, n, t, ok := b.moved()
	if !ok {
		return nil
	}
	from := b.address(b.s.args[1], in)
	var d []slot
	var width []int
	for _, o := range b.vector(b.s.args[0], n) {
		if o.kind == '_' {
			d, width = append(d, slot{index: -1}), append(width, 0)
			continue
		}
		d, width = append(d, b.dest(o, t, true)), append(width, o.reg.bits)
	}
	size := t.bytes()
	b.small(from.space, size)
	if from.space == param {
		return loadParam(from, t, d, width)
	}
	return func(w *warp, m uint32) error {
		var v [8]lanes64
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest) & 31
			b, err := w.readAt(from.space, from.address(w, lane), n*size, lane, reading)
			if err != nil {
				return err
			}
			for i := range d {
				v[i][lane] = decode(b[i*size:], t)
			}
		}
		for i, d := range d {
			if d.index >= 0 {
				w.put(d, width[i], &v[i], m)
			}
		}
		return nil
	}
}

// decode reads one element, extended by its type.
func decode(b []byte, t typ) uint64 {
	switch t.bits {
	case 8:
		return extend(t, uint64(b[0]))
	case 16:
		return extend(t, uint64(binary.LittleEndian.Uint16(b)))
	case 32:
		return extend(t, uint64(binary.LittleEndian.Uint32(b)))
	}
	return binary.LittleEndian.Uint64(b)
}

func encode(b []byte, t typ, v uint64) {
	switch t.bits {
	case 8:
		b[0] = byte(v)
	case 16:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 32:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}

func loadParam(from place, t typ, d []slot, width []int) exec {
	return func(w *warp, m uint32) error {
		block := w.block.params
		size := t.bytes()
		var v [8]lanes64
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest)
			address := from.address(w, lane)
			n := len(d) * size
			if n > len(block) || address > uint64(len(block)-n) {
				return w.fault(ErrBounds, 1<<lane, "%d bytes at %#x of %d bytes of parameters",
					n, address, len(block))
			}
			if address%uint64(n) != 0 {
				return w.fault(ErrAlignment, 1<<lane, "%d bytes at %#x of the parameters",
					n, address)
			}
			for i := range d {
				v[i][lane] = decode(block[int(address)+i*size:], t)
			}
		}
		for i, d := range d {
			if d.index >= 0 {
				w.put(d, width[i], &v[i], m)
			}
		}
		return nil
	}
}

func store(b *builder) exec {
	in, n, t, ok := b.moved()
	if !ok {
		return nil
	}
	if in == param || in == constBank {
		b.fail("this space cannot be written")
	}
	to := b.address(b.s.args[0], in)
	var s []slot
	for _, o := range b.vector(b.s.args[1], n) {
		s = append(s, b.source(o, t, true))
	}
	size := t.bytes()
	b.small(to.space, size)
	return func(w *warp, m uint32) error {
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest) & 31
			b, err := w.writeAt(to.space, to.address(w, lane), n*size, lane)
			if err != nil {
				return err
			}
			for i, s := range s {
				encode(b[i*size:], t, s.get(w, lane))
			}
		}
		return nil
	}
}

// atomic is atom and red. Lanes go one after the other.
func atomic(b *builder) exec {
	if b.take("relaxed", "acquire", "release", "acq_rel") != "" {
		b.take("cta", "cluster", "gpu", "sys")
	} else {
		b.take("cta", "cluster", "gpu", "sys")
	}
	in := spaces[b.take("global", "shared", "shared::cta")]
	op := b.need("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
	of := map[string]string{"add": "u32 s32 u64", "min": "u32 s32 u64 s64",
		"max": "u32 s32 u64 s64",
		"and": "b32 b64", "or": "b32 b64", "xor": "b32 b64", "exch": "b32 b64",
		"cas": "b16 b32 b64", "inc": "u32", "dec": "u32"}[op]
	t := b.typ(of)
	red := b.s.op == "red"
	n := 3
	if op == "cas" {
		n = 4
	}
	args := b.s.args
	if red {
		if op == "cas" || op == "exch" {
			b.fail("red has no .%s", op)
		}
		n = 2
	}
	if !b.args(n, n) {
		return nil
	}
	d := slot{index: -1}
	if !red {
		if args[0].kind != '_' {
			d = b.dest(args[0], t, false)
		}
		args = args[1:]
	}
	at := b.address(args[0], in)
	x := b.source(args[1], t, false)
	y := x
	if op == "cas" {
		y = b.source(args[2], t, false)
	}
	b.small(at.space, t.bytes())
	f := combine(op)
	return func(w *warp, m uint32) error {
		var old lanes64
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest)
			b, err := w.readAt(at.space, at.address(w, lane), t.bytes(), lane, atomically)
			if err != nil {
				return err
			}
			old[lane] = decode(b, t)
			v := extend(t, x.get(w, lane))
			if op == "cas" {
				if old[lane] != v {
					continue
				}
				v = y.get(w, lane)
			} else {
				v = f(t, old[lane], v)
			}
			encode(b, t, v)
		}
		if d.index >= 0 {
			w.put(d, t.bits, &old, m)
		}
		return nil
	}
}

// combine is what atom, redux, min and max do with two values that are extended by t.
func combine(op string) func(t typ, x, y uint64) uint64 {
	switch op {
	case "add":
		return func(_ typ, x, y uint64) uint64 { return x + y }
	case "and":
		return func(_ typ, x, y uint64) uint64 { return x & y }
	case "or":
		return func(_ typ, x, y uint64) uint64 { return x | y }
	case "xor":
		return func(_ typ, x, y uint64) uint64 { return x ^ y }
	case "min", "max":
		least := op == "min"
		return func(t typ, x, y uint64) uint64 {
			less := x < y
			if t.signed() {
				less = int64(x) < int64(y)
			}
			if less == least {
				return x
			}
			return y
		}
	case "inc":
		return func(_ typ, x, y uint64) uint64 {
			if x >= y {
				return 0
			}
			return x + 1
		}
	case "dec":
		return func(_ typ, x, y uint64) uint64 {
			if x == 0 || x > y {
				return y
			}
			return x - 1
		}
	}
	return func(_ typ, _, y uint64) uint64 { return y } // exch
}

// prefetch touches nothing, but its address must be right.
func prefetch(b *builder) exec {
	in := spaces[b.take("global", "local")]
	level := []string{"L1", "L2", "L2::evict_last", "L2::evict_normal"}
	if b.s.op == "prefetchu" {
		level = level[:1]
	}
	b.need(slices.Clone(level)...)
	if !b.args(1, 1) {
		return nil
	}
	from := b.address(b.s.args[0], in)
	return func(w *warp, m uint32) error {
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest)
			if _, _, err := w.at(from.space, from.address(w, lane), 1, lane, reading); err != nil {
				return err
			}
		}
		return nil
	}
}
