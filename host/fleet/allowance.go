// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"math"
	"sync"
)

const (
	// leastMiOps is what a grant is worth at least, in units of 2^20 operations:
	// about one batch of the smallest class.
	leastMiOps = 1 << 15
	// firstMiOps is how far a node may be ahead of what it has stored before it has
	// stored as much: 2^43 operations, some seconds of the fastest machine.
	firstMiOps = 1 << 23
)

// allowance is how many leaves of one segment the nodes of a goal may have, all
// together, and how many of them each has been granted. A node has the nonces
// below its stop; the sum of all stops never exceeds the bound.
//
// It is granted bit by bit, so that machines share it as fast as they are: a node
// may be ahead of what it has stored by a quarter of an equal share of what is
// left, and by no more than it has stored already, so that one which stands still
// keeps little from the others. Half of that is there whenever a machine asks for
// more, so a fast one goes on without a break until nothing is left.
type allowance struct {
	least, first uint64 // leaves

	mu    sync.Mutex
	most  uint64 // the bound
	each  *Bounds
	given uint64 // sum of all stops; above most only where logs were
	here  uint64 // nodes that are here
	nodes map[string]*grant
}

// grant is a node's part: stored <= stop.
type grant struct {
	node         string
	stored, stop uint64
	here         bool // connected, and told to compute
}

// newAllowance is of leaves of so many MiOps each, at least 1.
func newAllowance(most, unitMiOps uint64) *allowance {
	return &allowance{
		most: most, least: max(1, leastMiOps/unitMiOps), first: max(1, firstMiOps/unitMiOps),
		nodes: map[string]*grant{},
	}
}

// know counts what a node's log holds, whether the node is here or not.
func (a *allowance) know(node string, stored uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count(node, stored)
}

// arrive has a node take part with what its log holds, and returns its stop.
func (a *allowance) arrive(node string, stored uint64) (stop uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.count(node, stored)
	if !g.here {
		g.here = true
		a.here++
	}
	return a.extend(g)
}

// grow notes what a node that is here has stored, and returns its stop.
func (a *allowance) grow(node string, stored uint64) (stop uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.extend(a.count(node, stored))
}

// leave takes back what a node was granted and has not stored. It reports whether
// nothing was left before, and now something is: others may have to be told.
func (a *allowance) leave(node string) (wanted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.nodes[node]
	if g == nil || !g.here {
		return false
	}
	wanted = a.given >= a.most
	a.given -= g.stop - g.stored
	g.stop, g.here = g.stored, false
	a.here--
	return wanted && a.given < a.most
}

// bound changes how many leaves there may be. What was granted stays so.
func (a *allowance) bound(most uint64, each *Bounds) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.most, a.each = most, each
}

// count brings a node's grant up to date. The caller holds mu.
func (a *allowance) count(node string, stored uint64) *grant {
	g := a.nodes[node]
	if g == nil {
		g = &grant{node: node}
		a.nodes[node] = g
	}
	g.stored = max(g.stored, stored)
	if g.stop < g.stored {
		a.given += g.stored - g.stop
		g.stop = g.stored
	}
	return g
}

// extend grants more once half of what a node may be ahead is used up. The caller
// holds mu.
func (a *allowance) extend(g *grant) (stop uint64) {
	left := a.most - min(a.given, a.most)
	if own := a.each.of(g.node); own < math.MaxUint64 {
		left = min(left, own-min(own, g.stop))
	}
	ahead := max(a.least, min(left/(4*max(1, a.here)), max(a.first, g.stored)))
	if now := g.stop - g.stored; now <= ahead/2 {
		more := min(ahead-now, left)
		g.stop += more
		a.given += more
	}
	return g.stop
}
