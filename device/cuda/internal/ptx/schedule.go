// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// launch is one launch that runs.
type launch struct {
	machine    *Machine
	kernel     *Kernel
	grid, size [3]int
	shared     int
	params     []byte

	waiting []int // blocks that did not start, in the order to come
	running []*block
	ready   []*warp
	idle    []*block // whose memory the next ones take over
}

// run starts blocks in random order, a few at a time, and lets a random warp
// that can go on run for a random while.
func (l *launch) run() error {
	m := l.machine
	l.waiting = m.random.Perm(l.grid[0] * l.grid[1] * l.grid[2])
	began := m.steps
	for {
		for len(l.running) < m.options.Resident && len(l.waiting) > 0 {
			l.start(l.waiting[0])
			l.waiting = l.waiting[1:]
		}
		if len(l.running) == 0 {
			return nil
		}
		if len(l.ready) == 0 {
			return l.running[0].deadlock()
		}
		i := m.random.IntN(len(l.ready))
		w := l.ready[i]
		if err := w.run(1 + m.random.IntN(64)); err != nil {
			return err
		}
		if m.options.Budget > 0 && m.steps-began > m.options.Budget {
			return w.fault(ErrBudget, w.alive, "more than %d", m.options.Budget)
		}
		l.ready = append(l.ready, w.block.woken...)
		w.block.woken = w.block.woken[:0]
		if w.state == ready {
			continue
		}
		l.ready[i] = l.ready[len(l.ready)-1]
		l.ready = l.ready[:len(l.ready)-1]
		if w.state == done {
			if w.block.live--; w.block.live == 0 {
				l.idle = append(l.idle, w.block)
				l.running = slices.DeleteFunc(l.running,
					func(b *block) bool { return b == w.block })
			}
		}
	}
}

// start makes a block ready to run.
func (l *launch) start(index int) {
	warps := (l.size[0]*l.size[1]*l.size[2] + 31) / 32
	var b *block
	if n := len(l.idle); n > 0 {
		b, l.idle = l.idle[n-1], l.idle[:n-1]
		b.shared.forget()
	} else {
		b = &block{machine: l.machine, kernel: l.kernel, grid: l.grid, size: l.size,
			params: l.params, shared: newArea(l.shared)}
		for i := range warps {
			b.warps = append(b.warps, newWarp(b, i))
		}
		if !l.machine.options.AllowRaces && l.shared > 0 {
			b.races = newDetector(l.kernel.grain, warps, l.shared)
		}
	}
	b.index = [3]int{index % l.grid[0], index / l.grid[0] % l.grid[1],
		index / (l.grid[0] * l.grid[1])}
	b.bars = [16]gathering{}
	b.live = warps
	if b.races != nil {
		b.races.begin(b.warps)
	}
	for _, w := range b.warps {
		w.begin()
	}
	l.running = append(l.running, b)
	l.ready = append(l.ready, b.warps...)
}

func newWarp(b *block, index int) *warp {
	k := b.kernel
	w := &warp{block: b, index: index, r32: make([]lanes32, k.n32), r64: make([]lanes64, k.n64),
		p: make([]uint32, k.nPred)}
	// What registers hold before they are written is noise.
	for i := range w.r32 {
		for j := range w.r32[i] {
			w.r32[i][j] = 0x5a5a5a5a
		}
	}
	for i := range w.r64 {
		for j := range w.r64[i] {
			w.r64[i][j] = 0x5a5a5a5a_5a5a5a5a
		}
	}
	for i := range w.p {
		w.p[i] = 0x5a5a5a5a
	}
	w.private = private{newArea(32 * k.localBytes), k.localBytes}
	return w
}

// begin puts a warp at the start of its block.
func (w *warp) begin() {
	b, k := w.block, w.block.kernel
	w.born = full
	if rest := b.size[0]*b.size[1]*b.size[2] - w.index*32; rest < 32 {
		w.born = 1<<rest - 1
	}
	w.alive, w.state = w.born, ready
	w.stack = append(w.stack[:0], frame{w.born, 0, -1})
	w.copies = copies{}
	w.private.forget()
	for _, c := range k.const32 {
		for lane := range w.r32[c.index] {
			w.r32[c.index][lane] = uint32(w.constant(c, lane))
		}
	}
	for _, c := range k.const64 {
		for lane := range w.r64[c.index] {
			w.r64[c.index][lane] = w.constant(c, lane)
		}
	}
}

// specials are the special registers; specialWide those of 64 bits.
var (
	specials = map[string]bool{
		"%tid.x": true, "%tid.y": true, "%tid.z": true, "%ntid.x": true, "%ntid.y": true,
		"%ntid.z":  true,
		"%ctaid.x": true, "%ctaid.y": true, "%ctaid.z": true, "%nctaid.x": true, "%nctaid.y": true,
		"%nctaid.z": true,
		"%laneid":   true, "%warpid": true, "%nwarpid": true, "%lanemask_eq": true,
		"%lanemask_le": true, "%lanemask_lt": true,
		"%lanemask_ge": true, "%lanemask_gt": true, "%dynamic_smem_size": true,
		"%total_smem_size": true,
		"%clock":           true, "%clock64": true,
	}
	specialWide = map[string]bool{"%clock64": true}
)

// constant is the value of a constant in one lane.
func (w *warp) constant(c constant, lane int) uint64 {
	if c.data != nil {
		for i, v := range w.block.kernel.module.data {
			if v == c.data {
				return w.block.machine.placed[w.block.kernel.module][i].base + c.value
			}
		}
	}
	b := w.block
	axis := func(v [3]int) uint64 { return uint64(v[c.special[len(c.special)-1]-'x']) }
	bit := uint64(1) << lane
	switch c.special {
	case "":
		return c.value
	case "%tid.x", "%tid.y", "%tid.z":
		return axis(b.thread(w.index*32 + lane))
	case "%ntid.x", "%ntid.y", "%ntid.z":
		return axis(b.size)
	case "%ctaid.x", "%ctaid.y", "%ctaid.z":
		return axis(b.index)
	case "%nctaid.x", "%nctaid.y", "%nctaid.z":
		return axis(b.grid)
	case "%laneid":
		return uint64(lane)
	case "%warpid":
		return uint64(w.index)
	case "%nwarpid":
		return uint64(len(b.warps))
	case "%lanemask_eq":
		return bit
	case "%lanemask_le":
		return bit<<1 - 1
	case "%lanemask_lt":
		return bit - 1
	case "%lanemask_ge":
		return -bit
	case "%lanemask_gt":
		return -bit << 1
	case "%dynamic_smem_size":
		return uint64(len(b.shared.data) - b.kernel.dynamic)
	case "%total_smem_size":
		return uint64(len(b.shared.data))
	}
	// %clock is read by mov alone.
	return 0
}

// gathering is a barrier that warps arrive at.
type gathering struct {
	threads  int // expected
	arrived  int
	waiting  []*warp
	arrivers []*warp // that did not wait
}

func bar(b *builder) exec {
	b.take("cta")
	kind := b.need("sync", "arrive", "warp")
	if kind == "warp" {
		b.need("sync")
		if !b.args(1, 1) {
			return nil
		}
		members := b.source(b.s.args[0], typ{'b', 32}, false)
		return func(w *warp, m uint32) error {
			_, err := w.members(m, members)
			return err
		}
	}
	b.take("aligned")
	if !b.args(1, 2) {
		return nil
	}
	in := b.instr
	in.flow, in.arrive = barrier, kind == "arrive"
	in.number = b.source(b.s.args[0], typ{'u', 32}, false)
	in.threads = slot{index: -1}
	if len(b.s.args) == 2 {
		in.threads = b.source(b.s.args[1], typ{'u', 32}, false)
	} else if in.arrive {
		b.fail("bar.arrive needs a number of threads")
	}
	return nil
}

// members checks a membermask: all of its lanes must be running together.
func (w *warp) members(m uint32, s slot) (uint32, error) {
	v, err := s.uniform(w, m)
	if err != nil {
		return 0, err
	}
	if mask := uint32(v); mask&w.born != m {
		return 0, w.fault(ErrDiverged, m, "the member mask is %08x, the lanes here are %08x",
			mask, m)
	}
	return uint32(v), nil
}

// barrier lets a warp arrive at one.
func (w *warp) barrier(in *instr, together, m uint32) error {
	if m != w.born {
		return w.fault(ErrDiverged, m, "a barrier is reached by lanes %08x of %08x", m, w.born)
	}
	number, err := in.number.uniform(w, m)
	if err != nil {
		return err
	}
	if number >= 16 {
		return w.fault(ErrBounds, m, "barrier %d", number)
	}
	threads := uint64(32 * len(w.block.warps))
	if in.threads.index >= 0 {
		if threads, err = in.threads.uniform(w, m); err != nil {
			return err
		}
	}
	if threads == 0 || threads%32 != 0 || threads > uint64(32*len(w.block.warps)) {
		return w.fault(ErrBounds, m, "a barrier of %d threads", threads)
	}
	g := &w.block.bars[number]
	if g.arrived == 0 {
		g.threads = int(threads)
	} else if g.threads != int(threads) {
		return w.fault(ErrDeadlock, m, "barrier %d is for %d threads here and for %d elsewhere",
			number, threads, g.threads)
	}
	g.arrived += 32
	if in.arrive {
		g.arrivers = append(g.arrivers, w)
	} else {
		g.waiting = append(g.waiting, w)
		w.state, w.bar = waiting, int(number)
	}
	if g.arrived < g.threads {
		return nil
	}
	meet(g.waiting, g.arrivers)
	for _, x := range g.waiting {
		x.state = ready
		if x != w {
			w.block.woken = append(w.block.woken, x)
		}
	}
	*g = gathering{}
	return nil
}

// deadlock tells what a block's warps wait for.
func (b *block) deadlock() error {
	var first *warp
	var words []string
	left := 0
	for _, w := range b.warps {
		if w.state == done {
			left++
			continue
		}
		if first == nil {
			first = w
			g := b.bars[w.bar]
			words = append(words, fmt.Sprintf("%d of %d threads arrived at barrier %d",
				g.arrived, g.threads, w.bar))
		}
	}
	first.stack[len(first.stack)-1].pc-- // back to the barrier, for the fault's place
	words = append(words, fmt.Sprintf("%d of %d warps have left", left, len(b.warps)))
	return first.fault(ErrDeadlock, first.alive, "%s", strings.Join(words, ", "))
}

// fence is for orderings between threads; lanes here see each other's writes at
// once, so that there is nothing to do.
func fence(b *builder) exec {
	b.take("sc", "acq_rel", "acquire", "release", "proxy")
	b.take("async", "alias")
	b.take("global", "shared::cta", "shared")
	b.take("cta", "gl", "sys", "gpu", "cluster")
	b.args(0, 0)
	return func(*warp, uint32) error { return nil }
}

func nanosleep(b *builder) exec {
	b.typ("u32")
	if b.args(1, 1) {
		b.source(b.s.args[0], typ{'u', 32}, false)
	}
	return func(*warp, uint32) error { return nil }
}
