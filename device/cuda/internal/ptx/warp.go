// SPDX-License-Identifier: Apache-2.0

package ptx

import "math/bits"

// frame is a set of lanes that run together and the place where they meet the
// lanes of the frame below.
type frame struct {
	mask     uint32
	pc, join int
}

type warpState uint8

const (
	ready warpState = iota
	waiting
	done
)

// warp is 32 threads in lockstep. Lanes that part at a branch run one side
// after the other and meet at the branch's immediate post-dominator, as the
// driver's compiler has them do.
type warp struct {
	block *block
	index int
	r32   []lanes32
	r64   []lanes64
	p     []uint32
	carry uint32

	stack []frame
	born  uint32 // the lanes that exist
	alive uint32 // those that have not left
	state warpState
	bar   int // that it waits at

	private private // local memory of the lanes

	copies copies   // cp.async in flight
	clock  []uint32 // of the race detector: what this warp knows of the others
}

// run executes at most budget instructions.
func (w *warp) run(budget int) error {
	code := w.block.kernel.code
	machine := w.block.machine
	for ; budget > 0 && w.state == ready; budget-- {
		top := &w.stack[len(w.stack)-1]
		for top.pc == top.join || top.mask == 0 {
			w.stack = w.stack[:len(w.stack)-1]
			if len(w.stack) == 0 {
				w.state = done
				return nil
			}
			top = &w.stack[len(w.stack)-1]
		}
		if top.pc == len(code) {
			return w.fault(ErrDiverged, top.mask, "control runs past the kernel's end")
		}
		in := &code[top.pc]
		m := top.mask
		if in.guard >= 0 {
			if in.not {
				m &^= w.p[in.guard]
			} else {
				m &= w.p[in.guard]
			}
		}
		machine.steps++
		machine.laneSteps += uint64(bits.OnesCount32(m))
		if m != 0 && in.exec != nil {
			if err := in.exec(w, m); err != nil {
				return err
			}
		}
		switch in.flow {
		case onward:
			top.pc++
		case branch:
			if err := w.branch(in, top, m); err != nil {
				return err
			}
		case exit:
			top.pc++
			if m != 0 {
				w.leave(m)
			}
		case barrier:
			if m != 0 {
				if err := w.barrier(in, top.mask, m); err != nil {
					return err
				}
			}
			top.pc++
		}
	}
	return nil
}

// branch sends the lanes of m to the targets and the others on.
func (w *warp) branch(in *instr, top *frame, m uint32) error {
	if m == 0 {
		top.pc++
		return nil
	}
	if m == top.mask && len(in.targets) == 1 {
		top.pc = in.targets[0]
		return nil
	}
	if in.uniform {
		return w.fault(ErrDiverged, m, "a uniform branch is taken by some lanes only")
	}
	lanes, next := top.mask, top.pc+1
	// The lanes that wait for each other at the join keep a frame, unless the
	// frame below already stands there.
	if top.join == in.join {
		w.stack = w.stack[:len(w.stack)-1]
	} else {
		top.pc = in.join
	}
	part := func(mask uint32, pc int) {
		if mask != 0 && pc != in.join {
			w.stack = append(w.stack, frame{mask, pc, in.join})
		}
	}
	part(lanes&^m, next)
	if len(in.targets) == 1 {
		part(m, in.targets[0])
		return nil
	}
	for i, target := range in.targets {
		var mask uint32
		for rest := m; rest != 0; rest &= rest - 1 {
			lane := bits.TrailingZeros32(rest)
			if in.choose.get(w, lane) == uint64(i) {
				mask |= 1 << lane
			}
		}
		part(mask, target)
	}
	return nil
}

// leave ends lanes.
func (w *warp) leave(m uint32) {
	w.alive &^= m
	for i := range w.stack {
		w.stack[i].mask &^= m
	}
	if w.alive == 0 {
		w.state = done
	}
}

// converged is for instructions that all lanes must run together.
func (w *warp) converged(m uint32) error {
	if m != full {
		return w.fault(ErrDiverged, m, "all 32 lanes must run this together, the mask is %08x", m)
	}
	return nil
}

func bra(b *builder) exec {
	b.instr.flow = branch
	b.instr.uniform = b.take("uni") != ""
	if !b.args(1, 1) {
		return nil
	}
	b.instr.targets = []int{b.label(b.s.args[0])}
	return nil
}

func (b *builder) label(o operand) int {
	if o.kind != 'n' {
		b.fail("a label was expected")
		return 0
	}
	at, ok := o.scope.findLabel(o.name)
	if !ok {
		b.fail("label %q is not declared", o.name)
	}
	return at
}

// brx is a jump through a table.
func brx(b *builder) exec {
	b.need("idx")
	b.instr.flow = branch
	b.instr.uniform = b.take("uni") != ""
	if !b.args(2, 2) {
		return nil
	}
	b.instr.choose = b.source(b.s.args[0], typ{'u', 32}, false)
	table := b.s.args[1]
	if table.kind != 'n' || table.scope.findTable(table.name) == nil {
		b.fail("a .branchtargets label was expected")
		return nil
	}
	for _, o := range table.scope.findTable(table.name) {
		b.instr.targets = append(b.instr.targets, b.label(o))
	}
	choose, n := b.instr.choose, uint64(len(b.instr.targets))
	return func(w *warp, m uint32) error {
		for rest := m; rest != 0; rest &= rest - 1 {
			if v := choose.get(w, bits.TrailingZeros32(rest)); v >= n {
				return w.fault(ErrBounds, rest, "index %d of a table of %d targets", v, n)
			}
		}
		return nil
	}
}

func leave(b *builder) exec {
	b.instr.flow = exit
	if b.s.op == "ret" {
		b.take("uni")
	}
	b.args(0, 0)
	return nil
}

func trap(b *builder) exec {
	b.args(0, 0)
	return func(w *warp, m uint32) error { return w.fault(ErrTrap, m, "the kernel gave up") }
}

// joins finds where the sides of each branch meet: the immediate post-dominator
// of its instruction. A kernel that loops for ever has none; the end stands in.
func joins(code []instr) {
	n := len(code)
	// Blocks begin at targets and after branches and exits.
	starts := make([]bool, n+1)
	starts[0], starts[n] = true, true
	for i := range code {
		if code[i].flow == branch || code[i].flow == exit {
			starts[i+1] = true
		}
		for _, t := range code[i].targets {
			starts[t] = true
		}
	}
	blockOf := make([]int, n+1)
	var first []int
	for i := range n + 1 {
		if starts[i] {
			first = append(first, i)
		}
		blockOf[i] = len(first) - 1
	}
	end := blockOf[n]
	last := func(block int) int { return first[block+1] - 1 }
	successors := func(block int) []int {
		in := &code[last(block)]
		var s []int
		switch in.flow {
		case exit:
			s = append(s, end)
		case branch:
			for _, t := range in.targets {
				s = append(s, blockOf[t])
			}
		}
		if in.flow == onward || in.flow == barrier || in.guard >= 0 {
			s = append(s, block+1)
		}
		return s
	}
	// Post-dominators by the iteration of Cooper, Harvey and Kennedy over the
	// reversed graph.
	before := make([][]int, end+1)
	for b := range end {
		for _, s := range successors(b) {
			before[s] = append(before[s], b)
		}
	}
	order, number := reversePostorder(before, end)
	dom := make([]int, end+1)
	for i := range dom {
		dom[i] = -1
	}
	dom[end] = end
	meet := func(a, b int) int {
		for a != b {
			for number[a] > number[b] {
				a = dom[a]
			}
			for number[b] > number[a] {
				b = dom[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for _, b := range order[1:] {
			found := -1
			for _, s := range successors(b) {
				switch {
				case dom[s] < 0:
				case found < 0:
					found = s
				default:
					found = meet(found, s)
				}
			}
			if found != dom[b] {
				dom[b], changed = found, true
			}
		}
	}
	for b := range end {
		if in := &code[last(b)]; in.flow == branch {
			in.join = n
			if dom[b] >= 0 {
				in.join = first[dom[b]]
			}
		}
	}
}

// reversePostorder walks from root; blocks that are not reached have no place.
func reversePostorder(next [][]int, root int) (order, number []int) {
	type visit struct{ block, done int }
	seen := make([]bool, len(next))
	number = make([]int, len(next))
	stack := []visit{{root, 0}}
	seen[root] = true
	var post []int
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.done == len(next[top.block]) {
			post = append(post, top.block)
			stack = stack[:len(stack)-1]
			continue
		}
		s := next[top.block][top.done]
		top.done++
		if !seen[s] {
			seen[s] = true
			stack = append(stack, visit{s, 0})
		}
	}
	for i := len(post) - 1; i >= 0; i-- {
		number[post[i]] = len(order)
		order = append(order, post[i])
	}
	return order, number
}
