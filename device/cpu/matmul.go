// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"unsafe"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

const (
	// operandElements bounds each packed operand of a block. At 4096 x 4096 both
	// fit whole; the deepest product is cut to blocks of 960 x 1024.
	operandElements = 64 << 20
	// itemCols is the width of what one core computes at a time.
	itemCols = 256
	// cStride is the distance between rows of results, a cache line more than
	// itemCols: at a power of two they would all compete for the same few sets.
	cStride = itemCols + 16
)

// block is a part of a unit's result. Sides are multiples of 64.
type block struct{ row, rows, col, cols int }

// blockSides is the size of the blocks that a shape is cut into.
func blockSides(s matmul.Shape) (rows, cols int) {
	side := operandElements / s.K
	return min(s.M, side/strip*strip), min(s.Q, side/itemCols*itemCols)
}

// operands are the factors of one block, expanded and packed.
type operands struct {
	block      block
	aKey, bKey prf.Key
	a          leftPanels
	b          rightPanels
}

func (o *operands) reset(s *set, challenge seed.Seed, unit uint64, k int, b block) {
	o.block = b
	o.aKey, o.bKey = prf.Key(seed.Matrix(challenge, unit, 'A')), prf.Key(seed.Matrix(challenge, unit, 'B'))
	o.a.reset(s, b.rows, k)
	o.b.reset(s, b.cols, k, s.per)
}

// pieces is how many calls of expand fill the operands.
func (o *operands) pieces() int { return o.b.panels() + o.a.groups() }

// expand makes one panel of columns of B or one group of rows of A over the
// whole depth.
func (o *operands) expand(piece int, w *workspace) {
	s := o.a.set
	key, side, first, number := &o.bKey, s.tileCols, o.block.col, piece
	if piece >= o.b.panels() {
		key, side, first, number = &o.aKey, s.groupRows, o.block.row, piece-o.b.panels()
	}
	streams := w.streams[:16*side]
	s.start(streams, key, position{nonce: uint64(first + side*number)}, position{nonce: 1})
	if key == &o.aKey {
		o.a.expand(number, streams, w.room)
	} else {
		o.b.expand(number, streams, s.expandColumns)
	}
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

// multiply computes rows (at most strip, from a multiple of it on) by columns
// (at most itemCols) of a block.
func (w *workspace) multiply(o *operands, row, rows, col, cols int) {
	s := o.a.set
	for from := 0; from < o.a.k; from += s.depth {
		for j := 0; j < cols; j += s.tileCols {
			o.a.product(w.c[j:], cStride, row, rows, from, &o.b.panel((col+j)/s.tileCols, from)[0])
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
// the unit's. All cores expand, then all multiply.
func (e *engine) multiplyBlock(ctx context.Context, dst [][32]byte, o *operands, challenge seed.Seed, unit uint64, shape matmul.Shape, b block, m *meter) error {
	o.reset(e.set, challenge, unit, shape.K, b)
	err := parallel(ctx, o.pieces(), func(i int) {
		w := e.workspaces.Get().(*workspace)
		lap := m.start()
		o.expand(i, w)
		m.add(expanding, &lap)
		e.workspaces.Put(w)
	})
	if err != nil {
		return err
	}
	across := (b.cols + itemCols - 1) / itemCols
	down := (b.rows + strip - 1) / strip
	return parallel(ctx, across*down, func(i int) {
		row, col := i/across*strip, i%across*itemCols
		rows, cols := min(strip, b.rows-row), min(itemCols, b.cols-col)
		w := e.workspaces.Get().(*workspace)
		lap := m.start()
		w.multiply(o, row, rows, col, cols)
		m.add(multiplying, &lap)
		tiles := w.condense(e.set, rows, cols)
		m.add(condensing, &lap)
		digests := w.digests(tiles)
		m.add(hashing, &lap)
		const side = matmul.TileSide
		for ti := range rows / side {
			at := ((b.row+row)/side+ti)*shape.Columns() + (b.col+col)/side
			copy(dst[at:], digests[ti*(cols/side):][:cols/side])
		}
		e.workspaces.Put(w)
	})
}

// root is matmul.Root, two hashes at a time.
func root(tiles [][32]byte) [32]byte {
	level := make([][32]byte, len(tiles))
	LeafHashes(level, unsafe.Slice(&tiles[0][0], 32*len(tiles)), 32)
	for len(level) > 1 {
		// RFC 6962 trees split at powers of two, so an odd one out moves up.
		n := len(level) / 2
		next := make([][32]byte, n, n+1)
		NodeHashes(next, level[:2*n])
		if len(level)%2 == 1 {
			next = append(next, level[2*n])
		}
		level = next
	}
	return level[0]
}
