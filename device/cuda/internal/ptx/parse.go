// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits on what a source may declare, far above what a kernel needs, so that
// no source makes the parser exhaust memory.
const (
	maxRegisters = 1 << 16
	maxVariable  = 1 << 28
	maxShared    = 227 << 10 // what a block can have on the largest device
)

// parser reads a module. The first failure sticks: all reading after it sees
// the end of the source.
type parser struct {
	tokens []token
	at     int
	lines  []string
	err    error
	module *Module
	top    *scope

	// Of the kernel being read.
	kernel     *Kernel
	n32, n64   int
	nPred      int
	statements []statement
	open       *scope
}

// Parse reads a module and compiles its kernels. What it does not know it
// refuses, with the line: nothing in a source is skipped but comments and
// "nounroll".
func Parse(source string) (*Module, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, lines: strings.Split(source, "\n"), top: newScope(nil)}
	p.module = &Module{kernels: map[string]*Kernel{}}
	for p.err == nil && p.peek().kind != 0 {
		p.topLevel()
	}
	if p.err == nil && p.module.Target == "" {
		p.fail("a module needs .version, .target and .address_size 64")
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.module, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

func (p *parser) fail(format string, args ...any) {
	at := p.at
	if at > 0 {
		at-- // the token that was just read
	}
	p.failAt(p.tokens[at].line, format, args...)
}

func (p *parser) failAt(line int, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: line %d: %s: %q", ErrSyntax, line, fmt.Sprintf(format, args...),
			strings.TrimSpace(p.lines[line-1]))
		p.at = len(p.tokens) - 1
	}
}

func (p *parser) accept(kind byte) bool {
	if p.peek().kind == kind {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(kind byte) token {
	t := p.next()
	if t.kind != kind {
		p.fail("%q where %q was expected", t.text, kind)
	}
	return t
}

// number reads an integer literal, with its sign.
func (p *parser) number() uint64 {
	minus := p.accept('-')
	t := p.expect('n')
	v, ok := parseNumber(t.text)
	if !ok {
		p.fail("%q is no integer (there are no floats here)", t.text)
	}
	if minus {
		return -v
	}
	return v
}

func parseNumber(s string) (uint64, bool) {
	s = strings.TrimSuffix(s, "U")
	if strings.ContainsRune(s, '_') {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 0, 64)
	return v, err == nil
}

// count reads a number from 0 to most.
func (p *parser) count(most int) int {
	v := p.number()
	if v > uint64(most) {
		p.fail("%d is more than %d", v, most)
		return 0
	}
	return int(v)
}

func (p *parser) topLevel() {
	t := p.expect('w')
	switch t.text {
	case ".version":
		// A version is major.minor: a number and a word.
		p.expect('n')
		if w := p.expect('w'); len(w.text) < 2 || w.text[0] != '.' {
			p.fail("%q is no version", w.text)
		}
	case ".target":
		p.module.Target = p.expect('w').text
		if !strings.HasPrefix(p.module.Target, "sm_") {
			p.fail("target %q", p.module.Target)
		}
	case ".address_size":
		if p.number() != 64 {
			p.fail("addresses must have 64 bits")
		}
	case ".visible", ".weak", ".extern", ".common":
		// Linking is of no concern here: what is named is what is in the module,
		// and an extern array can only be dynamic shared memory.
	case ".entry":
		p.entry()
	case ".func":
		p.fail("device functions are not known; kernels must be inlined")
	case ".global", ".const", ".shared":
		v := p.variable(spaces[t.text[1:]])
		if p.err != nil {
			return
		}
		if p.top.vars[v.name] != nil {
			p.fail("%q is declared twice", v.name)
		}
		p.top.vars[v.name] = v
		if v.space != shared {
			p.module.data = append(p.module.data, v)
		} else if v.size > 0 {
			p.fail("static shared memory outside a kernel")
		}
	case ".pragma":
		p.pragma()
	default:
		p.fail("directive %q is not known", t.text)
	}
}

func (p *parser) pragma() {
	if t := p.expect('s'); t.text != "nounroll" {
		p.fail("pragma %q is not known", t.text)
	}
	p.expect(';')
}

// variable reads what follows a state space: alignment, type, name, size,
// initialiser.
func (p *parser) variable(in space) *variable {
	v := &variable{space: in}
	t := p.expect('w')
	if t.text == ".align" {
		v.align = p.count(1 << 16)
		if v.align&(v.align-1) != 0 || v.align == 0 {
			p.fail("alignment %d", v.align)
		}
		t = p.expect('w')
	}
	of, ok := parseType(strings.TrimPrefix(t.text, "."))
	if !ok || of.kind == 'p' {
		p.fail("type %q is not known (there are no floats here)", t.text)
		return v
	}
	v.align = max(v.align, of.bytes())
	if in == param && p.accept('w') {
		// .ptr and what it tells of a pointer: .ptr .global .align 16.
		p.at--
		for p.peek().kind == 'w' && strings.HasPrefix(p.peek().text, ".") {
			switch w := p.next().text; w {
			case ".ptr", ".global", ".const", ".shared", ".local":
			case ".align":
				p.count(1 << 16)
			default:
				p.fail("attribute %q of a parameter is not known", w)
			}
		}
	}
	v.name = p.expect('w').text
	v.size = of.bytes()
	array := false
	for p.accept('[') {
		if p.accept(']') {
			if in != shared || array {
				p.fail("only shared memory may have an open size")
			}
			v.size, array = 0, true
			continue
		}
		n := p.count(maxVariable)
		p.expect(']')
		array = true
		if n == 0 || v.size > maxVariable/n {
			p.fail("size of %q", v.name)
			return v
		}
		v.size *= n
	}
	if p.accept('=') {
		if in != global && in != constBank {
			p.fail("only global and constant memory can be initialised")
		}
		v.init = p.initialiser(of, v.size, array)
	}
	if in != param {
		p.expect(';')
	}
	return v
}

func (p *parser) initialiser(of typ, size int, array bool) []byte {
	var b []byte
	one := func() {
		v := p.number()
		var le [8]byte
		binary.LittleEndian.PutUint64(le[:], v)
		b = append(b, le[:of.bytes()]...)
		if len(b) > size {
			p.fail("an initialiser is longer than its array")
		}
	}
	if !array {
		one()
		return b
	}
	p.expect('{')
	for depth := 1; depth > 0 && p.err == nil; {
		switch {
		case p.accept('{'):
			p.fail("nested initialisers are not known")
		case p.accept('}'):
			depth--
		default:
			one()
			if p.peek().kind != '}' {
				p.expect(',')
			}
		}
	}
	return b
}

func alignUp(n, to int) int { return (n + to - 1) &^ (to - 1) }

func (p *parser) entry() {
	k := &Kernel{Name: p.expect('w').text, module: p.module, source: p.lines}
	p.kernel, p.n32, p.n64, p.nPred, p.statements = k, 0, 0, 0, nil
	outer := newScope(p.top)
	if p.module.kernels[k.Name] != nil {
		p.fail("kernel %q is declared twice", k.Name)
	}
	if p.accept('(') && !p.accept(')') {
		for p.err == nil {
			if w := p.expect('w'); w.text != ".param" {
				p.fail("%q where a parameter was expected", w.text)
			}
			v := p.variable(param)
			if p.err != nil {
				return
			}
			k.paramBytes = alignUp(k.paramBytes, v.align)
			v.offset = k.paramBytes
			k.paramBytes += v.size
			if k.paramBytes > 32764 {
				p.fail("parameters take more than 32764 bytes")
			}
			outer.vars[v.name] = v
			k.Params = append(k.Params, Param{v.name, v.offset, v.size, v.align})
			if p.accept(')') {
				break
			}
			p.expect(',')
		}
	}
	for p.err == nil && p.peek().kind == 'w' {
		switch w := p.next().text; w {
		case ".maxntid":
			k.MaxThreads = p.dims()
		case ".reqntid":
			k.ReqThreads = p.dims()
		case ".minnctapersm", ".maxnreg":
			p.number() // how the driver shares registers out
		default:
			p.fail("directive %q of a kernel is not known", w)
		}
	}
	p.expect('{')
	p.open = newScope(outer)
	for depth := 1; depth > 0 && p.err == nil; {
		switch t := p.peek(); {
		case t.kind == 0:
			p.fail("kernel %q does not end", k.Name)
		case p.accept('{'):
			p.open = newScope(p.open)
			depth++
		case p.accept('}'):
			p.open = p.open.outer
			depth--
		default:
			p.line()
		}
	}
	if p.err != nil {
		return
	}
	// Dynamic shared memory follows the static, as its alignment asks.
	align := 16
	for _, v := range p.top.vars {
		if v.space == shared {
			align = max(align, v.align)
		}
	}
	k.dynamic = alignUp(k.StaticShared, align)
	p.module.kernels[k.Name] = k
	p.compile()
}

func (p *parser) dims() [3]int {
	d := [3]int{1, 1, 1}
	d[0] = p.count(1024)
	for i := 1; i < 3 && p.accept(','); i++ {
		d[i] = p.count(1024)
	}
	return d
}

// line reads a declaration, a label or an instruction.
func (p *parser) line() {
	t := p.peek()
	if t.kind == 'w' && t.text[0] == '.' {
		p.next()
		switch t.text {
		case ".reg":
			p.registers()
		case ".shared", ".local":
			p.place(p.variable(spaces[t.text[1:]]))
		case ".pragma":
			p.pragma()
		default:
			p.fail("directive %q in a kernel is not known", t.text)
		}
		return
	}
	if t.kind == 'w' && p.tokens[p.at+1].kind == ':' {
		p.next()
		p.next()
		if _, twice := p.open.labels[t.text]; twice {
			p.fail("label %q is declared twice", t.text)
		}
		p.open.labels[t.text] = len(p.statements)
		if p.peek().text == ".branchtargets" {
			p.next()
			var table []operand
			for p.err == nil {
				table = append(table, operand{kind: 'n', name: p.expect('w').text, scope: p.open})
				if !p.accept(',') {
					break
				}
			}
			p.expect(';')
			p.open.tables[t.text] = table
		}
		return
	}
	p.instruction()
}

// place gives a variable of a kernel its offset.
func (p *parser) place(v *variable) {
	if p.err != nil {
		return
	}
	if p.open.vars[v.name] != nil {
		p.fail("%q is declared twice", v.name)
	}
	p.open.vars[v.name] = v
	size := &p.kernel.StaticShared
	if v.space == local {
		size = &p.kernel.localBytes
	}
	v.offset = alignUp(*size, v.align)
	*size = v.offset + v.size
	if *size > maxShared {
		p.fail("more than %d bytes of memory in a kernel", maxShared)
	}
}

func (p *parser) registers() {
	t := p.expect('w')
	of, ok := parseType(strings.TrimPrefix(t.text, "."))
	if !ok || of.bits == 8 {
		p.fail("registers of type %q are not known (there are no floats here)", t.text)
		return
	}
	file := &p.n32
	switch of.bits {
	case 1:
		file = &p.nPred
	case 64:
		file = &p.n64
	}
	for p.err == nil {
		name := p.expect('w').text
		count := 1
		if p.accept('<') {
			count = p.count(maxRegisters)
			p.expect('>')
			p.open.ranges[name] = regRange{of.bits, *file, count}
		} else {
			p.open.regs[name] = reg{of.bits, *file}
		}
		*file += count
		if *file > maxRegisters {
			p.fail("more than %d registers", maxRegisters)
		}
		if !p.accept(',') {
			break
		}
	}
	p.expect(';')
}

func (p *parser) instruction() {
	s := statement{line: p.peek().line}
	if p.accept('@') {
		not := p.accept('!')
		o := p.word()
		if o.kind != 'r' || o.reg.bits != 1 {
			p.fail("a guard must be a predicate")
		}
		o.not = not
		s.guard = &o
	}
	parts := strings.Split(p.expect('w').text, ".")
	s.op, s.mods = parts[0], parts[1:]
	if p.err != nil {
		return
	}
	for !p.accept(';') && p.err == nil {
		s.args = append(s.args, p.operand())
		if p.peek().kind != ';' {
			p.expect(',')
		}
	}
	p.statements = append(p.statements, s)
}

func (p *parser) operand() operand {
	switch p.peek().kind {
	case '{':
		p.next()
		v := operand{kind: 'v'}
		for p.err == nil {
			v.elems = append(v.elems, p.simple())
			if !p.accept(',') {
				break
			}
		}
		p.expect('}')
		return v
	case '[':
		p.next()
		a := operand{kind: 'a'}
		base := p.simple()
		a.offset, base.offset = base.offset, 0
		if p.accept('+') {
			a.offset = int64(p.number())
		}
		a.elems = []operand{base}
		p.expect(']')
		return a
	}
	return p.simple()
}

// simple is an operand that is no vector and no address.
func (p *parser) simple() operand {
	switch p.peek().kind {
	case 'n', '-':
		return operand{kind: 'i', imm: p.number()}
	case '!':
		p.next()
		o := p.word()
		o.not = true
		return o
	}
	o := p.word()
	if p.accept('|') {
		q := p.word()
		o.pair = &q
	}
	if o.kind == 'n' && p.accept('+') {
		o.offset = int64(p.number() & math.MaxUint32)
	}
	return o
}

// word is a register, a special register or a name.
func (p *parser) word() operand {
	name := p.expect('w').text
	if p.err != nil {
		return operand{}
	}
	if name == "_" {
		return operand{kind: '_'}
	}
	if r, ok := p.open.findReg(name); ok {
		return operand{kind: 'r', reg: r, name: name}
	}
	if name[0] == '%' {
		if !specials[name] {
			p.fail("register %q is not declared", name)
		}
		return operand{kind: 's', name: name}
	}
	return operand{kind: 'n', name: name, scope: p.open}
}
