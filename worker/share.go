// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"slices"

	"github.com/assaynet/assay/poc/work/transformer"
)

// share hands a run of units out to devices, a slice at a time, and gives their
// results back in order, whichever device was faster. What a device could not do
// goes to the next that asks. Its zero value begins at unit 0.
type share struct {
	end  uint64   // results before it have been given back
	next uint64   // first unit that nobody had yet
	out  []*slice // handed out or waiting for an earlier one, by first unit
}

// slice is some units in a row. It belongs to its share.
type slice struct {
	first, n uint64
	free     bool                 // the device that had it failed
	results  []transformer.Output // nil until they are there
}

// take hands out at most n units, none at or beyond limit, or
// nil when there is nothing to do.
func (s *share) take(n, limit uint64) *slice {
	for i, x := range s.out {
		if x.free && x.first < limit {
			n := min(n, limit-x.first)
			if n < x.n {
				s.out = slices.Insert(s.out, i+1,
					&slice{first: x.first + n, n: x.n - n, free: true})
				x.n = n
			}
			x.free = false
			return x
		}
	}
	if s.next >= limit || n == 0 {
		return nil
	}
	x := &slice{first: s.next, n: min(n, limit-s.next)}
	s.next += x.n
	s.out = append(s.out, x)
	return x
}

// giveBack frees a slice for others. One of an earlier run is ignored.
func (s *share) giveBack(x *slice) {
	if slices.Contains(s.out, x) {
		x.free = true
	}
}

// put takes the results of a slice, and returns all that are in order now. A
// slice of an earlier run is ignored.
func (s *share) put(x *slice, results []transformer.Output) (ready []transformer.Output) {
	if !slices.Contains(s.out, x) {
		return nil
	}
	x.results = results
	for len(s.out) > 0 && s.out[0].results != nil {
		ready = append(ready, s.out[0].results...)
		s.end += s.out[0].n
		s.out[0] = nil
		s.out = s.out[1:]
	}
	return ready
}
