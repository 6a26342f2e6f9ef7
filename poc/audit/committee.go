// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"math/bits"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

// Picks returns n uniform numbers below total, each independent of the others, read as Draw reads
// them. It is nil for total 0 and n below 1.
func Picks(s seed.Seed, total uint64, n int) []uint64 {
	if n <= 0 || total == 0 {
		return nil
	}
	w := words{key: prf.Key(s)}
	out := make([]uint64, n)
	for i := range out {
		out[i] = w.below(total)
	}
	return out
}

// Shuffle returns the numbers below n in an order drawn from s, each order with the same
// probability (Fisher, Yates; from the last place down). It is nil for n below 1.
func Shuffle(s seed.Seed, n int) []int {
	if n <= 0 {
		return nil
	}
	w := words{key: prf.Key(s)}
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := int(w.below(uint64(i + 1)))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// Lottery draws n of the tickets without replacement, each time in proportion to what the remaining
// ones hold, and returns their positions in the order of the draw. Tickets that hold nothing are
// never drawn, so that there may be fewer than n; a sum beyond 64 bits draws nothing. Time is
// O(tickets + n log tickets).
func Lottery(s seed.Seed, held []uint64, n int) []int {
	// tree[i] is the sum of the lowbit(i) tickets that end with ticket i (Fenwick).
	tree := make([]uint64, len(held)+1)
	var total uint64
	for i, h := range held {
		sum, carry := bits.Add64(total, h, 0)
		if carry != 0 {
			return nil
		}
		total = sum
		tree[i+1] += h
		if up := (i + 1) + (i+1)&-(i+1); up < len(tree) {
			tree[up] += tree[i+1]
		}
	}
	top := 1
	for top*2 <= len(held) {
		top *= 2
	}
	w := words{key: prf.Key(s)}
	var out []int
	for len(out) < n && total > 0 {
		left := w.below(total)
		at := 0 // tickets before the one that holds number left
		for step := top; step > 0; step /= 2 {
			if next := at + step; next < len(tree) && tree[next] <= left {
				at, left = next, left-tree[next]
			}
		}
		out = append(out, at)
		total -= held[at]
		for i := at + 1; i < len(tree); i += i & -i {
			tree[i] -= held[at]
		}
	}
	return out
}

// Works reports whether a slot of a committee re-runs the sample at index: sample j falls to the r
// slots from j*r on, around the circle. Who owns a slot is drawn, so which slots share a sample
// need not be.
func Works(slots, r, slot, index int) bool {
	if slots <= 0 || slot < 0 || slot >= slots || index < 0 {
		return false
	}
	first := int(uint64(index) % uint64(slots) * uint64(r%slots) % uint64(slots))
	return r >= slots || (slot-first+slots)%slots < r
}
