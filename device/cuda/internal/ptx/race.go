// SPDX-License-Identifier: Apache-2.0

package ptx

// Races in shared memory are found by happens-before, not by luck of the
// schedule. Each warp has a clock that barriers advance and exchange; each cell
// of memory remembers who wrote it last and when each warp read it last. An
// access that the last one by another warp does not happen before, one of the
// two being a write, is a race, whatever was executed first this time.
//
// A cell is four bytes, or one in kernels that access shared memory in smaller
// pieces.

// Marks in a cell's last write: the clock is above the warp and the bit that
// says that it was atomic.
const (
	warpBits   = 6
	atomicMark = 1 << 5
	inFlight   = ^uint32(0) // a cp.async that has not been waited for
	maxClock   = 1<<(32-warpBits) - 2
)

// detector is the race detector of one block. It is used by one block after
// the other without being cleared: a new block's clocks begin above the old.
type detector struct {
	grain int
	warps int
	base  uint32 // where this block's clocks began
	wrote []uint32
	read  []uint32 // by cell and warp
}

func newDetector(grain, warps, bytes int) *detector {
	cells := (bytes + grain - 1) / grain
	return &detector{grain: grain, warps: warps, wrote: make([]uint32, cells),
		read: make([]uint32, cells*warps)}
}

// begin resets the clocks for a new block.
func (d *detector) begin(warps []*warp) {
	for _, w := range warps {
		for _, c := range w.clock {
			d.base = max(d.base, c)
		}
	}
	if d.base > maxClock/2 {
		d.base = 0
		clear(d.wrote)
		clear(d.read)
	}
	for i, x := range d.wrote {
		if x == inFlight {
			d.wrote[i] = 0
		}
	}
	for i, w := range warps {
		if w.clock == nil {
			w.clock = make([]uint32, d.warps)
		}
		for j := range w.clock {
			w.clock[j] = d.base
		}
		w.clock[i] = d.base + 1
	}
}

// access is how memory is touched.
type access uint8

const (
	reading access = iota
	writing
	atomically
)

// touch records an access and tells what it races with, or "".
func (d *detector) touch(w *warp, at, n int, how access) string {
	first, last := at/d.grain, (at+n-1)/d.grain
	self := uint32(w.index)
	now := w.clock[self]
	for c := first; c <= last; c++ {
		if x := d.wrote[c]; x == inFlight {
			return "a cp.async that was not waited for"
		} else if by := x & (atomicMark - 1); by != self && x>>warpBits > w.clock[by] &&
			!(how == atomically && x&atomicMark != 0) {
			return "a write"
		}
		readers := d.read[c*d.warps : (c+1)*d.warps]
		if how == reading {
			readers[self] = now
			continue
		}
		for by, when := range readers {
			if when > w.clock[by] && by != int(self) {
				return "a read"
			}
		}
		x := now<<warpBits | self
		if how == atomically {
			x |= atomicMark
		}
		d.wrote[c] = x
	}
	return ""
}

// launch marks bytes as being written by a cp.async.
func (d *detector) launch(w *warp, at, n int) string {
	if with := d.touch(w, at, n, writing); with != "" {
		return with
	}
	for c := at / d.grain; c <= (at+n-1)/d.grain; c++ {
		d.wrote[c] = inFlight
	}
	return ""
}

// land turns the mark into an ordinary write of the warp that waited.
func (d *detector) land(w *warp, at, n int) {
	for c := at / d.grain; c <= (at+n-1)/d.grain; c++ {
		d.wrote[c] = w.clock[w.index]<<warpBits | uint32(w.index)
	}
}

// meet makes all that these warps did before happen before what those that
// waited do next; those that only arrived learn nothing.
func meet(waiting, arrivers []*warp) {
	if len(waiting) == 0 || waiting[0].clock == nil {
		return
	}
	know := make([]uint32, len(waiting[0].clock))
	for _, list := range [][]*warp{waiting, arrivers} {
		for _, w := range list {
			for i, c := range w.clock {
				know[i] = max(know[i], c)
			}
		}
	}
	for _, w := range waiting {
		copy(w.clock, know)
		w.clock[w.index]++
	}
	for _, w := range arrivers {
		w.clock[w.index]++
	}
}
