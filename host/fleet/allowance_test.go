// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whatever machines do, the grants never exceed the bound, or what logs held
// before; nobody that wants leaves starves while some are left; and machines that
// go on get all of it.
// Holds spec H-3.
func TestPropertyGrantsSumUpToTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most, unit := rapid.Uint64Range(1, 1<<20).Draw(t, "most"),
			rapid.SampledFrom([]uint64{32, 1024, 1 << 19}).Draw(t, "unit")
		a := newAllowance(most, unit)
		logs := map[string]uint64{} // what is on disk
		node := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprint("n", rapid.IntRange(0, 4).Draw(t, "node"))
		})
		ceiling := most
		check := func() {
			t.Helper()
			sum, here := uint64(0), uint64(0)
			for name, g := range a.nodes {
				if g.stored != logs[name] || g.stop < g.stored || !g.here && g.stop != g.stored {
					t.Fatalf("%s has stored %d of %+v", name, logs[name], *g)
				}
				if sum += g.stop; g.here {
					here++
				}
			}
			if sum != a.given || sum > ceiling || here != a.here {
				t.Fatalf("%d granted, %d counted, of %d, to %d nodes, of which %d are counted", sum,
					a.given, ceiling, here, a.here)
			}
			for name, g := range a.nodes { // nobody starves
				if g.here && g.stop == g.stored && a.given < most &&
					a.grow(name, g.stored) == g.stored {
					t.Fatalf("%s gets nothing of the %d that are left", name, most-a.given)
				}
			}
		}
		if rapid.Bool().Draw(t, "another bound before") { // and logs beyond this one
			for i := range 3 {
				name := fmt.Sprint("n", i)
				logs[name] = rapid.Uint64Range(0, most).Draw(t, "stored")
				a.know(name, logs[name])
			}
			ceiling = max(ceiling, a.given)
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			name := node.Draw(t, "of")
			g := a.nodes[name]
			switch rapid.SampledFrom([]string{"come", "store", "store", "store", "go",
				"restart"}).Draw(t, "step") {
			case "come":
				a.arrive(name, logs[name])
			case "store":
				if g != nil && g.here {
					logs[name] += rapid.Uint64Range(0, g.stop-g.stored).Draw(t, "leaves")
					a.grow(name, logs[name])
				}
			case "go":
				a.leave(name)
			case "restart":
				a = newAllowance(most, unit)
				for name, stored := range logs {
					a.know(name, stored)
				}
			}
			check()
		}
		// Those that are here go on, at speeds of their own, and one that is here
		// does not: it keeps no more than it has stored, or as much as one starts with.
		idle := node.Draw(t, "idle")
		working := node.Filter(func(s string) bool { return s != idle }).Draw(t, "working")
		a.arrive(idle, logs[idle])
		a.arrive(working, logs[working])
		for moved := true; moved; {
			moved = false
			for name, g := range a.nodes {
				if !g.here || name == idle || g.stop == g.stored {
					continue
				}
				logs[name] += rapid.Uint64Range(1, g.stop-g.stored).Draw(t, "leaves")
				a.grow(name, logs[name])
				moved = true
			}
			check()
		}
		if a.given < most {
			t.Fatalf("%d of %d are granted", a.given, most)
		}
		if g := a.nodes[idle]; g.stop-g.stored > max(a.least, a.first, g.stored) {
			t.Errorf("one that stands still with %d keeps %d", g.stored, g.stop-g.stored)
		}
		a.leave(idle) // and it comes back to the others
		a.grow(working, logs[working])
		check()
	})
}

// What a machine may be ahead by grows with what it has stored: a free bound of
// 2^32 nano leaves is not granted to one that has shown nothing.
func TestGrantsGrow(t *testing.T) {
	a := newAllowance(1<<32, 32)
	if stop := a.arrive("a", 0); stop != 1<<18 {
		t.Errorf("begins with %d", stop)
	}
	if stop := a.grow("a", 1<<17-1); stop != 1<<18 {
		t.Errorf("with more than half left: %d", stop)
	}
	if stop := a.grow("a", 1<<17); stop != 1<<17+1<<18 {
		t.Errorf("with half left: %d", stop)
	}
	if stop := a.grow("a", 1<<17+1<<18); stop != 2*(1<<17+1<<18) {
		t.Errorf("with nothing left: %d", stop)
	}
	if stop := a.arrive("b", 0); stop != 1<<18 {
		t.Errorf("the next begins with %d", stop)
	}
}
