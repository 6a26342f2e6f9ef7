// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"embed"
	"errors"
	"fmt"
	"strings"
)

//go:embed kernels/*.cl
var sources embed.FS

// source is the whole program, in the order of what needs what.
func source() string {
	var s strings.Builder
	for _, name := range []string{"common", "prf", "sha256", "product", "transformer", "peak"} {
		text, err := sources.ReadFile("kernels/" + name + ".cl")
		if err != nil {
			panic(err) // it is part of the program
		}
		s.Write(text)
	}
	return s.String()
}

// geometry is how a product is cut: see common.cl.
type geometry struct{ wx, wy, mg, ng, kw int }

// The two geometries: 256 work-items with eight by eight results each, or,
// where a device has no groups of that size, 64 with eight by eight.
var (
	wide   = geometry{16, 16, 2, 2, 8}
	narrow = geometry{8, 8, 2, 2, 8}
)

func (g geometry) items() int { return g.wx * g.wy }
func (g geometry) down() int  { return 4 * g.wy * g.mg } // rows of a block
func (g geometry) right() int { return 4 * g.wx * g.ng } // columns of a block
func (g geometry) pair() int  { return 4 * g.wx }        // columns of g, then of u

// results is how many a work-item has.
func (g geometry) results() int { return 4 * g.mg * 4 * g.ng }

// local is the local memory of a group, in bytes.
func (g geometry) local() uint64 { return uint64(4 * 2 * g.kw * (g.down() + g.right())) }

// arithmetic is the instructions of a product, by rising preference.
type arithmetic int

const (
	plain  arithmetic = iota // multiply-adds of widened bytes
	packed                   // dot products of four bytes
)

func (a arithmetic) String() string { return [...]string{"plain", "dot"}[a] }

// variant is one way to compile the program.
type variant struct {
	geometry
	arithmetic
	define string // what a test defines beside, as an option
}

func (v variant) options() string {
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return fmt.Sprintf("-cl-std=CL1.2 -DWX=%d -DWY=%d -DMG=%d -DNG=%d -DKW=%d -DDOT=%d "+
		"-DUNROLL=2 %s",
		v.wx, v.wy, v.mg, v.ng, v.kw, flag(v.arithmetic == packed), v.define)
}

// variants are what to try on a device, best first.
func (d *device) variants() []variant {
	var all []variant
	for _, g := range []geometry{wide, narrow} {
		if d.maxGroup < g.items() || d.localMemory < g.local() {
			continue
		}
		if d.has("cl_khr_integer_dot_product") {
			all = append(all, variant{g, packed, ""})
		}
		all = append(all, variant{g, plain, ""})
	}
	return all
}

// program is a compiled variant.
type program struct {
	api     *api
	variant variant
	handle  handle
	all     []*kernel

	expand, expandWeights, embed                  *kernel
	hashTiles, hashStates                         *kernel
	bare, idle, condense, requant, gate, residual *kernel
	norm, lastNorm, attend, condenseStates, peak  *kernel
}

// errGroup reports kernels that need more registers than groups of a variant's
// size have.
var errGroup = errors.New("opencl: groups are too large for the kernels")

// build compiles a variant for a device. Errors wrap ErrBuild, with what the
// compiler says, or errGroup.
func build(a *api, context handle, d *device, v variant) (*program, error) {
	text := cstring(source())
	var c code
	p := &program{api: a, variant: v}
	p.handle = a.createProgram(context, 1, &text, nil, &c)
	if c != 0 {
		return nil, failed("loading kernels", c)
	}
	if c := a.buildProgram(p.handle, 1, &d.id, cstring(v.options()), 0, 0); c != 0 {
		log, _ := info(func(size uintptr, value *byte, needs *uintptr) code {
			return a.getBuildInfo(p.handle, d.id, programBuildLog, size, value, needs)
		})
		p.close()
		said, _, _ := strings.Cut(string(log), "\x00")
		return nil, fmt.Errorf("%w on %s (%s), options %s: %w\n%s", ErrBuild, d.Name, d.Driver,
			v.options(), c, strings.TrimSpace(said))
	}
	for name, to := range map[string]**kernel{
		"expand": &p.expand, "expandWeights": &p.expandWeights, "embed": &p.embed,
		"hashTiles": &p.hashTiles, "hashStates": &p.hashStates,
		"bare": &p.bare, "idle": &p.idle, "condense": &p.condense, "requant": &p.requant,
		"gate": &p.gate, "residual": &p.residual,
		"norm": &p.norm, "lastNorm": &p.lastNorm, "attend": &p.attend,
		"condenseStates": &p.condenseStates, "peak": &p.peak,
	} {
		k := &kernel{name: name, handle: a.createKernel(p.handle, cstring(name), &c)}
		if c != 0 {
			p.close()
			return nil, fmt.Errorf("%w on %s (%s): kernel %s: %w", ErrBuild,
				d.Name, d.Driver, name, c)
		}
		*to = k
		p.all = append(p.all, k)
	}
	for _, k := range []*kernel{p.bare, p.idle, p.condense, p.requant, p.gate, p.residual, p.norm,
		p.lastNorm, p.peak} {
		most, err := info(func(size uintptr, value *byte, needs *uintptr) code {
			return a.getWorkGroupInfo(k.handle, d.id, kernelMaxGroup, size, value, needs)
		})
		if err == nil && number(most) < uint64(v.items()) {
			p.close()
			return nil, fmt.Errorf("%w: %s on %s allows %d work-items of %d", errGroup, k.name,
				d.Name, number(most), v.items())
		}
	}
	return p, nil
}

func (p *program) close() {
	for _, k := range p.all {
		p.api.releaseKernel(k.handle)
	}
	p.api.releaseProgram(p.handle)
	p.all = nil
}
