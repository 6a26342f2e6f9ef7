// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ErrSyntax is wrapped by what Parse refuses, with the line and its text.
var ErrSyntax = errors.New("ptx: refused")

// Module is a parsed source. It is not changed by running it, so that several
// machines can share one.
type Module struct {
	Target  string // like sm_80
	kernels map[string]*Kernel
	data    []*variable // .global and .const, in the source's order
}

// Kernel finds an entry by name.
func (m *Module) Kernel(name string) (*Kernel, error) {
	if k := m.kernels[name]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("ptx: no kernel %q in the module; it has %q", name, m.Kernels())
}

// Kernels lists the entries' names, sorted.
func (m *Module) Kernels() []string { return slices.Sorted(maps.Keys(m.kernels)) }

// Param is one parameter of a kernel and its place in the parameter block.
type Param struct {
	Name                string
	Offset, Size, Align int
}

// Kernel is an entry, compiled to closures over whole warps.
type Kernel struct {
	Name   string
	Params []Param
	// StaticShared is what the kernel declares itself, in bytes; a launch adds
	// the dynamic part.
	StaticShared int
	// MaxThreads and ReqThreads are .maxntid and .reqntid, zero where not given.
	MaxThreads, ReqThreads [3]int

	module     *Module
	source     []string // the module's lines, for faults
	paramBytes int
	dynamic    int // offset of extern shared arrays
	localBytes int // per thread
	grain      int // bytes that one cell of the race detector covers: 1 or 4

	code             []instr
	n32, n64, nPred  int // registers, constants included
	const32, const64 []constant
}

// constant is a register that no instruction writes: an immediate, a special
// register or the address of a variable. It is filled when a warp starts.
type constant struct {
	index   int
	value   uint64    // immediate, or added to what the others give
	special string    // like %tid.x
	data    *variable // in global memory
}

// variable is a named piece of memory.
type variable struct {
	name   string
	space  space
	align  int
	size   int
	init   []byte // zeroes follow; nil with size 0 is an extern array
	offset int    // of shared, local and param variables
}

// space is a state space.
type space uint8

const (
	generic space = iota
	global
	constBank
	shared
	local
	param
)

var spaces = map[string]space{"global": global, "const": constBank, "shared": shared,
	"shared::cta": shared, "local": local, "param": param, "param::entry": param}

// typ is a fundamental type: u, s, b and a width, or a predicate.
type typ struct {
	kind byte // 'u', 's', 'b', 'p'
	bits int  // 8, 16, 32, 64, and 1 for a predicate
}

func (t typ) String() string {
	if t.kind == 'p' {
		return "pred"
	}
	return string(t.kind) + strconv.Itoa(t.bits)
}

func (t typ) signed() bool { return t.kind == 's' }
func (t typ) bytes() int   { return t.bits / 8 }

// parseType reads a type without its dot.
func parseType(s string) (typ, bool) {
	if s == "pred" {
		return typ{'p', 1}, true
	}
	if len(s) < 2 || s[0] != 'u' && s[0] != 's' && s[0] != 'b' {
		return typ{}, false
	}
	switch s[1:] {
	case "8", "16", "32", "64":
		n, _ := strconv.Atoi(s[1:])
		return typ{s[0], n}, true
	}
	return typ{}, false
}

// reg is a register: 16- and 32-bit ones share a file of 32-bit lanes (the
// upper half of a 16-bit one stays zero), predicates are one bit a lane.
type reg struct {
	bits  int // 1, 16, 32, 64
	index int
}

// wide tells which file a register lies in.
func (r reg) wide() bool { return r.bits == 64 }
