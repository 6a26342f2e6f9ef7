// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// lanes32 and lanes64 are one register of a warp.
type (
	lanes32 = [32]uint32
	lanes64 = [32]uint64
)

// full is the mask of a whole warp.
const full = ^uint32(0)

// exec runs an instruction for the lanes of a mask, which is never zero.
type exec func(w *warp, m uint32) error

// The ways in which an instruction ends.
type flow uint8

const (
	onward  flow = iota // to the next instruction
	branch              // to targets
	exit                // the lanes leave
	barrier             // the warp may wait
)

// instr is a compiled instruction.
type instr struct {
	exec    exec
	flow    flow
	guard   int  // predicate, -1 for none
	not     bool // the guard is negated
	uniform bool // a branch that promises not to diverge
	line    int
	targets []int // of a branch
	choose  slot  // of a branch with several targets, which one
	join    int   // of a branch, where its sides meet again; len(code) for the end

	// Of a barrier.
	number, threads slot
	arrive          bool // does not wait
}

// slot is a place in a warp's register files.
type slot struct {
	index int
	wide  bool
}

func (s slot) get(w *warp, lane int) uint64 {
	if s.wide {
		return w.r64[s.index][lane]
	}
	return uint64(w.r32[s.index][lane])
}

// uniform reads a value that all lanes of the mask must share.
func (s slot) uniform(w *warp, m uint32) (uint64, error) {
	first := s.get(w, bits.TrailingZeros32(m))
	for rest := m; rest != 0; rest &= rest - 1 {
		if s.get(w, bits.TrailingZeros32(rest)) != first {
			return 0, w.fault(ErrDiverged, m, "lanes differ in an operand that must be the same "+
				"for all")
		}
	}
	return first, nil
}

// builder compiles one statement.
type builder struct {
	k     *Kernel
	s     *statement
	at    int // index of the statement
	mods  []string
	cache map[constant]int
	err   error
	instr *instr
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// take removes the next modifier if it is one of these.
func (b *builder) take(choices ...string) string {
	if len(b.mods) > 0 && slices.Contains(choices, b.mods[0]) {
		m := b.mods[0]
		b.mods = b.mods[1:]
		return m
	}
	return ""
}

// need is take that fails.
func (b *builder) need(choices ...string) string {
	m := b.take(choices...)
	if m == "" {
		b.fail("one of .%s was expected", strings.Join(choices, ", ."))
		return choices[0]
	}
	return m
}

// typ removes the next modifier, a type.
func (b *builder) typ(of string) typ {
	if len(b.mods) > 0 {
		if t, ok := parseType(b.mods[0]); ok && strings.Contains(of, t.String()) {
			b.mods = b.mods[1:]
			return t
		}
		if m := b.mods[0]; m == "f16" || m == "f32" || m == "f64" || m == "bf16" || m == "f16x2" {
			b.fail("floats are not known: these kernels work in integers")
		}
	}
	b.fail("a type of %s was expected", of)
	return typ{'u', 32}
}

// args checks the number of operands.
func (b *builder) args(least, most int) bool {
	if n := len(b.s.args); n < least || n > most {
		b.fail("%d operands, not %d to %d", n, least, most)
	}
	if b.err == nil && len(b.mods) > 0 {
		b.fail("modifier .%s is not known here", b.mods[0])
	}
	return b.err == nil
}

// constant gives a register that holds a value.
func (b *builder) constant(c constant, wide bool) slot {
	key := c
	key.index = 0
	if wide {
		key.index = 1
	}
	if i, ok := b.cache[key]; ok {
		return slot{i, wide}
	}
	if wide {
		c.index = b.k.n64
		b.k.n64++
		b.k.const64 = append(b.k.const64, c)
	} else {
		c.index = b.k.n32
		b.k.n32++
		b.k.const32 = append(b.k.const32, c)
	}
	b.cache[key] = c.index
	return slot{c.index, wide}
}

// source is where an operand of a type is read; registers must have the type's
// width, or at least that where wider is allowed.
func (b *builder) source(o operand, t typ, wider bool) slot {
	if o.pair != nil || o.not {
		b.fail("an operand with | or ! does not belong here")
	}
	wide := t.bits == 64
	switch o.kind {
	case 'r':
		if o.reg.bits == 1 || o.reg.bits != t.bits && !(wider && o.reg.bits > t.bits) {
			b.fail("register %s has %d bits, .%v was expected", o.name, o.reg.bits, t)
		}
		return slot{o.reg.index, o.reg.wide()}
	case 'i':
		v := o.imm
		if t.bits < 64 {
			if high := int64(v) >> t.bits; high != 0 && high != -1 {
				b.fail("%d does not fit in .%v", v, t)
			}
			v &= 1<<t.bits - 1
		}
		return b.constant(constant{value: v}, wide)
	case 's':
		if wideSpecial := specialWide[o.name]; wideSpecial != wide || t.bits < 32 {
			b.fail("%s does not have the width of .%v", o.name, t)
		}
		return b.constant(constant{special: o.name}, wide)
	case 'n':
		return b.symbol(o, t)
	}
	b.fail("a register or an immediate was expected")
	return slot{}
}

// symbol is a variable's address in its own space.
func (b *builder) symbol(o operand, t typ) slot {
	v := o.scope.findVar(o.name)
	switch {
	case v == nil:
		b.fail("%q is not declared", o.name)
		return slot{}
	case v.space == shared && v.size == 0:
		return b.constant(constant{value: uint64(b.k.dynamic) + uint64(o.offset)}, t.bits == 64)
	case v.space == global || v.space == constBank:
		if t.bits != 64 {
			b.fail("the address of %q has 64 bits", o.name)
		}
		return b.constant(constant{value: uint64(o.offset), data: v}, true)
	}
	return b.constant(constant{value: uint64(v.offset) + uint64(o.offset)}, t.bits == 64)
}

// dest is a register to write.
func (b *builder) dest(o operand, t typ, wider bool) slot {
	if o.kind != 'r' || o.pair != nil || o.not {
		b.fail("a register was expected as destination")
		return slot{}
	}
	if o.reg.bits == 1 || o.reg.bits != t.bits && !(wider && o.reg.bits > t.bits) {
		b.fail("register %s has %d bits, .%v was expected", o.name, o.reg.bits, t)
	}
	return slot{o.reg.index, o.reg.wide()}
}

// pred is a predicate operand; its index and whether it is negated.
func (b *builder) pred(o operand, mayNegate bool) (int, bool) {
	if o.kind != 'r' || o.reg.bits != 1 || o.not && !mayNegate {
		b.fail("a predicate was expected")
	}
	return o.reg.index, o.not
}

// vector is the operands of a vector of n, or a single one.
func (b *builder) vector(o operand, n int) []operand {
	if o.kind == 'v' && len(o.elems) == n {
		return o.elems
	}
	if n == 1 && o.kind != 'v' {
		return []operand{o}
	}
	b.fail("a vector of %d was expected", n)
	return make([]operand, n)
}

// dests32 are n 32-bit registers.
func (b *builder) dests32(o operand, n int) []int {
	r := make([]int, n)
	for i, e := range b.vector(o, n) {
		r[i] = b.dest(e, typ{'b', 32}, false).index
	}
	return r
}

// sources32 are n 32-bit operands.
func (b *builder) sources32(o operand, n int) []int {
	r := make([]int, n)
	for i, e := range b.vector(o, n) {
		r[i] = b.source(e, typ{'b', 32}, false).index
	}
	return r
}

// compile turns the statements of the kernel just read into instructions.
func (p *parser) compile() {
	k := p.kernel
	k.n32, k.n64, k.nPred = p.n32+1, p.n64+1, p.nPred+1
	k.grain = 4
	cache := map[constant]int{}
	k.code = make([]instr, len(p.statements))
	for i := range p.statements {
		s := &p.statements[i]
		in := &k.code[i]
		in.line, in.guard = s.line, -1
		if s.guard != nil {
			in.guard, in.not = s.guard.reg.index, s.guard.not
		}
		b := &builder{k: k, s: s, at: i, mods: s.mods, cache: cache, instr: in}
		family, known := families[s.op]
		if !known {
			p.failAt(s.line, "opcode %q is not known", s.op)
			return
		}
		in.exec = family(b)
		if b.err == nil && len(b.mods) > 0 {
			b.fail("modifier .%s is not known here", b.mods[0])
		}
		if b.err == nil && in.exec == nil && in.flow == onward {
			b.fail("this form is not known")
		}
		if b.err != nil {
			p.failAt(s.line, "%v", b.err)
			return
		}
	}
	joins(k.code)
}

// families compile an opcode by its name before the first dot.
var families = map[string]func(*builder) exec{
	"mov": mov, "cvt": cvt, "cvta": cvta, "isspacep": isspacep,
	"add": addSub, "sub": addSub, "addc": carry, "subc": carry,
	"mul": mul, "mad": mad, "madc": mad, "mul24": mul24, "mad24": mul24, "sad": sad,
	"div": divRem, "rem": divRem, "min": minMax, "max": minMax, "abs": absNeg, "neg": absNeg,
	"and": logic, "or": logic, "xor": logic, "not": logic, "cnot": logic,
	"shl": shift, "shr": shift, "shf": funnel, "lop3": lop3, "prmt": prmt,
	"bfe": bitfield, "bfi": bitfield, "brev": bitwise, "clz": bitwise, "popc": bitwise,
	"bfind": bitwise,
	"dp4a":  dot, "dp2a": dot,
	"setp": setp, "set": set, "selp": selp, "slct": slct,
	"ld": load, "ldu": load, "st": store, "atom": atomic, "red": atomic, "prefetch": prefetch,
	"prefetchu": prefetch,
	"shfl":      shuffle, "vote": vote, "match": match, "redux": redux, "activemask": activemask,
	"elect": elect,
	"bra":   bra, "brx": brx, "ret": leave, "exit": leave, "trap": trap,
	"bar": bar, "barrier": bar, "membar": fence, "fence": fence, "nanosleep": nanosleep,
	"ldmatrix": ldmatrix, "stmatrix": stmatrix, "mma": mma, "cp": copyAsync,
}
