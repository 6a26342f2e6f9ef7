// SPDX-License-Identifier: Apache-2.0

package ptx

import "strconv"

// operand is what an instruction names, before it is known what it needs.
type operand struct {
	// 'r' register, 'i' immediate, 'n' name, 's' special register, 'v' vector, 'a' address, '_'
	// sink
	kind   byte
	reg    reg
	not    bool // !p
	imm    uint64
	name   string
	scope  *scope
	offset int64     // of an address, or added to a name
	elems  []operand // of a vector; of an address its base
	pair   *operand  // q of p|q
}

// statement is one instruction as written.
type statement struct {
	line  int
	guard *operand
	op    string   // opcode without modifiers
	mods  []string // modifiers in order
	args  []operand
}

// scope holds what a pair of braces declares.
type scope struct {
	outer  *scope
	regs   map[string]reg
	ranges map[string]regRange // by the name before the number
	vars   map[string]*variable
	labels map[string]int
	tables map[string][]operand // .branchtargets by label
}

type regRange struct {
	bits, first, count int
}

func newScope(outer *scope) *scope {
	return &scope{outer, map[string]reg{}, map[string]regRange{}, map[string]*variable{},
		map[string]int{}, map[string][]operand{}}
}

func (s *scope) findReg(name string) (reg, bool) {
	digits := len(name)
	for digits > 0 && digit(name[digits-1]) {
		digits--
	}
	number, err := strconv.Atoi(name[digits:])
	numbered := err == nil && strconv.Itoa(number) == name[digits:]
	for ; s != nil; s = s.outer {
		if r, ok := s.regs[name]; ok {
			return r, true
		}
		if r, ok := s.ranges[name[:digits]]; ok && numbered && number < r.count {
			return reg{r.bits, r.first + number}, true
		}
	}
	return reg{}, false
}

func (s *scope) findVar(name string) *variable {
	for ; s != nil; s = s.outer {
		if v := s.vars[name]; v != nil {
			return v
		}
	}
	return nil
}

func (s *scope) findLabel(name string) (int, bool) {
	for ; s != nil; s = s.outer {
		if at, ok := s.labels[name]; ok {
			return at, true
		}
	}
	return 0, false
}

func (s *scope) findTable(name string) []operand {
	for ; s != nil; s = s.outer {
		if t := s.tables[name]; t != nil {
			return t
		}
	}
	return nil
}
