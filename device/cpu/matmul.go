// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

const (
	// operandElements bounds B of a block. 8192 x 8192 fits whole; the deepest
	// product is cut to blocks of 1024 columns.
	operandElements = 64 << 20
	// itemCols is the width of what one core computes at a time.
	itemCols = 256
	// cStride is the distance between rows of results, a cache line more than
	// itemCols: at a power of two they would all compete for the same few sets.
	cStride = itemCols + 16
)

// block is a part of a unit's result. Sides are multiples of 64.
type block struct{ row, rows, col, cols int }

// blockCols is the width of the blocks, all rows high, that a shape is cut into.
func blockCols(s matmul.Shape) int { return min(s.Q, operandElements/s.K/itemCols*itemCols) }

// operands are the factors of one block, expanded and packed: B whole, A by
// strips.
type operands struct {
	block      block
	k          int
	aKey, bKey prf.Key
	b          rightPanels
	strips     []stripOfA
}

// stripOfA is a strip of A while somebody needs it. It is made just before it is
// used, by all cores that want it at the same time, in memory that the last strip
// may have left in the second-level cache.
type stripOfA struct {
	begin  sync.Once
	a      *leftPanels
	next   atomic.Int32 // group that nobody has begun
	groups atomic.Int32 // to finish
	ready  chan struct{}
	users  atomic.Int32 // that have not released it
}

// reset prepares for a block. Every strip is asked for, and released, users
// times.
func (o *operands) reset(s *set, challenge seed.Seed, unit uint64, k int, b block, users int) {
	o.block, o.k = b, k
	o.aKey, o.bKey = prf.Key(seed.Matrix(challenge, unit, 'A')),
		prf.Key(seed.Matrix(challenge, unit, 'B'))
	o.b.reset(s, b.cols, k, s.per)
	o.strips = make([]stripOfA, (b.rows+strip-1)/strip)
	for i := range o.strips {
		o.strips[i].ready = make(chan struct{})
		o.strips[i].users.Store(int32(users))
	}
}

// rows is the height of a strip.
func (o *operands) rows(i int) int { return min(strip, o.block.rows-i*strip) }

// strip returns a strip of A when it is whole.
func (o *operands) strip(e *engine, i int, w *workspace) *leftPanels {
	s := &o.strips[i]
	s.begin.Do(func() {
		s.a = e.strips.Get().(*leftPanels)
		s.a.reset(e.set, o.rows(i), o.k)
		s.groups.Store(int32(s.a.groups()))
	})
	for {
		group := int(s.next.Add(1)) - 1
		if group >= s.a.groups() {
			break
		}
		first := o.block.row + strip*i + e.set.groupRows*group
		s.a.expand(group, w.open(e.set, &o.aKey, first, e.set.groupRows), w.room)
		if s.groups.Add(-1) == 0 {
			close(s.ready)
		}
	}
	<-s.ready
	return s.a
}

// release says that a strip is needed once less.
func (o *operands) release(e *engine, i int) {
	if s := &o.strips[i]; s.users.Add(-1) == 0 {
		e.strips.Put(s.a)
	}
}

// expandColumns makes one panel of columns of B over the whole depth.
func (o *operands) expandColumns(panel int, w *workspace) {
	s := o.b.set
	o.b.expand(panel, w.open(s, &o.bKey, o.block.col+panel*s.tileCols, s.tileCols), s.expandColumns)
}

// workspace is one core's memory: results are strip rows of cStride.
type workspace struct {
	c       [strip * cStride]int32
	words   [itemTiles][matmul.TileSide]uint32
	sums    [itemTiles][32]byte
	streams []uint32
	room    []uint32
}

const itemTiles = (strip / matmul.TileSide) * (itemCols / matmul.TileSide)

func newWorkspace(s *set) *workspace {
	return &workspace{streams: s.streams(max(s.groupRows, s.tileCols)), room: s.room()}
}

// open starts the streams of n rows or columns.
func (w *workspace) open(s *set, key *prf.Key, first, n int) []uint32 {
	streams := w.streams[:16*n]
	s.start(streams, key, position{nonce: uint64(first)}, position{nonce: 1})
	return streams
}

// multiply computes rows (at most strip) of A by cols (at most itemCols) columns
// of B from col on.
func (w *workspace) multiply(a *leftPanels, b *rightPanels, rows, col, cols int) {
	s := a.set
	for from := 0; from < a.k; from += s.depth {
		for j := 0; j < cols; j += s.tileCols {
			a.product(w.c[j:], cStride, 0, rows, from, &b.panel((col+j)/s.tileCols, from)[0])
		}
	}
}

// condense makes the words of the tiles of what multiply computed, tile by tile
// in row-major order, and returns how many tiles those are.
func (w *workspace) condense(s *set, rows, cols int) (tiles int) {
	const side = matmul.TileSide
	for i := 0; i < rows; i += side {
		for j := 0; j < cols; j += side {
			s.condense(&w.words[tiles][0], &w.c[i*cStride+j], side, 4*cStride, 0, 0)
			tiles++
		}
	}
	return tiles
}

// digests hashes the words of tiles. They are hashed as little-endian bytes,
// which is how they lie here.
func (w *workspace) digests(tiles int) [][32]byte {
	const size = 4 * matmul.TileSide
	Sums(w.sums[:tiles], unsafe.Slice((*byte)(unsafe.Pointer(&w.words)), tiles*size), size)
	return w.sums[:tiles]
}

// multiplyBlock writes the digests of a block's tiles to where they belong among
// the unit's. All cores expand B, then all multiply, and expand A as they go.
func (e *engine) multiplyBlock(ctx context.Context, dst [][32]byte, o *operands,
	challenge seed.Seed, unit uint64, shape matmul.Shape, b block, m *meter) error {
	across := (b.cols + itemCols - 1) / itemCols
	o.reset(e.set, challenge, unit, shape.K, b, across)
	err := parallel(ctx, o.b.panels(), func(i int) {
		w := e.workspaces.Get().(*workspace)
		lap := m.start()
		o.expandColumns(i, w)
		m.add(expanding, &lap)
		e.workspaces.Put(w)
	})
	if err != nil {
		return err
	}
	return parallel(ctx, across*len(o.strips), func(i int) {
		number, col := i/across, i%across*itemCols
		rows, cols := o.rows(number), min(itemCols, b.cols-col)
		w := e.workspaces.Get().(*workspace)
		lap := m.start()
		a := o.strip(e, number, w)
		m.add(expanding, &lap)
		w.multiply(a, &o.b, rows, col, cols)
		o.release(e, number)
		m.add(multiplying, &lap)
		tiles := w.condense(e.set, rows, cols)
		m.add(condensing, &lap)
		digests := w.digests(tiles)
		m.add(hashing, &lap)
		const side = matmul.TileSide
		for ti := range rows / side {
			at := ((b.row+number*strip)/side+ti)*shape.Columns() + (b.col+col)/side
			copy(dst[at:], digests[ti*(cols/side):][:cols/side])
		}
		e.workspaces.Put(w)
	})
}
