// SPDX-License-Identifier: Apache-2.0

package ptx

import "math/bits"

// copies are the cp.async of a warp that are in flight. Each lane counts its
// own groups. A copy's bytes are noise from its issue until its lane waits for
// its group, and whoever checks them in between is told so.
type copies struct {
	flying []flying
	groups [32]uint32 // committed
}

type flying struct {
	to     int
	from   uint64
	size   int
	filled int // bytes copied; zeroes follow
	lane   int
	group  uint32
}

func copyAsync(b *builder) exec {
	b.need("async")
	switch b.take("commit_group", "wait_group", "wait_all") {
	case "commit_group":
		b.args(0, 0)
		return func(w *warp, m uint32) error {
			for i := range w.copies.groups {
				w.copies.groups[i] += m >> i & 1
			}
			return nil
		}
	case "wait_group":
		if !b.args(1, 1) {
			return nil
		}
		n := b.immediate(b.s.args[0], 1<<16)
		return func(w *warp, m uint32) error {
			return w.land(func(f flying) bool {
				return m>>f.lane&1 != 0 && f.group+n < w.copies.groups[f.lane]
			})
		}
	case "wait_all":
		b.args(0, 0)
		return func(w *warp, m uint32) error {
			return w.land(func(f flying) bool { return m>>f.lane&1 != 0 })
		}
	}
	cache := b.need("ca", "cg")
	b.need("shared", "shared::cta")
	b.need("global")
	b.take("L2::64B", "L2::128B", "L2::256B")
	if !b.args(3, 4) {
		return nil
	}
	to, from := b.address(b.s.args[0], shared), b.address(b.s.args[1], global)
	size := int(b.immediate(b.s.args[2], 16))
	if size != 16 && (cache == "cg" || size != 4 && size != 8) {
		b.fail("cp.async.%s of %d bytes", cache, size)
	}
	filled := func(*warp, int) uint32 { return uint32(size) }
	if len(b.s.args) == 4 {
		if o := b.s.args[3]; o.kind == 'r' && o.reg.bits == 1 {
			ignore := b.predSource(o)
			filled = func(w *warp, lane int) uint32 {
				return (^ignore(w) >> lane & 1) * uint32(size)
			}
		} else {
			s := b.source(o, typ{'u', 32}, false)
			filled = func(w *warp, lane int) uint32 { return w.r32[s.index][lane] }
		}
	}
	return func(w *warp, m uint32) error {
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest)
			f := flying{size: size, from: from.address(w, lane), lane: lane,
				group: w.copies.groups[lane]}
			n := filled(w, lane)
			if n > uint32(size) {
				return w.fault(ErrBounds, 1<<lane, "%d source bytes of %d", n, size)
			}
			f.filled = int(n)
			if f.from&uint64(size-1) != 0 {
				return w.fault(ErrAlignment, 1<<lane, "source of %d bytes at %#x", size, f.from)
			}
			if f.filled > 0 {
				if _, err := w.source(f); err != nil {
					return err
				}
			}
			if err := w.issue(&f, to.address(w, lane)); err != nil {
				return err
			}
			w.copies.flying = append(w.copies.flying, f)
		}
		return nil
	}
}

// source is the allocation that a copy reads.
func (w *warp) source(f flying) (*allocation, error) {
	machine := w.block.machine
	a := machine.find(f.from, f.filled)
	if a == nil {
		return nil, w.fault(ErrBounds, 1<<f.lane, "%d bytes at %#x: %s", f.filled, f.from,
			machine.near(f.from))
	}
	return a, nil
}

// issue makes the bytes that a copy will write noise.
func (w *warp) issue(f *flying, to uint64) error {
	s := w.block.shared
	switch {
	case to&uint64(f.size-1) != 0:
		return w.fault(ErrAlignment, 1<<f.lane, "%d bytes at %#x of shared memory", f.size, to)
	case f.size > len(s.data) || to > uint64(len(s.data)-f.size):
		return w.fault(ErrBounds, 1<<f.lane, "%d bytes at %#x of %d bytes of shared memory",
			f.size, to, len(s.data))
	}
	f.to = int(to)
	if d := w.block.races; d != nil {
		if with := d.launch(w, f.to, f.size); with != "" {
			return w.race(f.lane, f.to, f.size, writing, with)
		}
	}
	fill(s.data[f.to:f.to+f.size], fresh)
	fill(s.undefined[f.to:f.to+f.size], 1)
	return nil
}

// land lets the chosen copies arrive.
func (w *warp) land(chosen func(flying) bool) error {
	s := w.block.shared
	kept := w.copies.flying[:0]
	for _, f := range w.copies.flying {
		if !chosen(f) {
			kept = append(kept, f)
			continue
		}
		if f.filled > 0 {
			a, err := w.source(f)
			if err != nil {
				return err
			}
			at := int(f.from - a.base)
			copy(s.data[f.to:f.to+f.filled], a.data[at:])
			if w.block.machine.options.AllowUndefined {
				clear(s.undefined[f.to : f.to+f.filled])
			} else {
				copy(s.undefined[f.to:f.to+f.filled], a.undefined[at:])
			}
		}
		clear(s.data[f.to+f.filled : f.to+f.size])
		clear(s.undefined[f.to+f.filled : f.to+f.size])
		if d := w.block.races; d != nil {
			d.land(w, f.to, f.size)
		}
	}
	w.copies.flying = kept
	return nil
}
