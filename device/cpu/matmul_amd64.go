// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"unsafe"

	"github.com/assaynet/assay/device/cpu/internal/simd"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

const (
	// operandBytes bounds each packed operand of a block. At 4096 x 4096 both
	// fit whole; the deepest product is cut to blocks of 960 x 1024.
	operandBytes = 128 << 20
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
	side := operandBytes / 2 / s.K
	return min(s.M, side/strip*strip), min(s.Q, side/itemCols*itemCols)
}

// operands are the factors of one block, expanded and packed: A by leftPanels,
// B in blocks of depth and in them panels of 16 columns.
type operands struct {
	block          block
	aKey, bKey     streams // without nonces
	a              leftPanels
	b              []int16
	groups, panels int // how many expandRows and expandColumns there are to do
}

func (o *operands) reset(challenge seed.Seed, unit uint64, k int, b block) {
	aKey, bKey := prf.Key(seed.Matrix(challenge, unit, 'A')), prf.Key(seed.Matrix(challenge, unit, 'B'))
	o.block = b
	o.aKey.setKey(&aKey)
	o.bKey.setKey(&bKey)
	o.a.reset(b.rows, k)
	o.b = grow(o.b, b.cols*k)
	o.groups, o.panels = o.a.rows/groupRows, b.cols/tileCols
}

// stageDepth is how deep A is expanded before it is cut into panels: 6 KiB.
const stageDepth = 128

// expandRows makes 24 rows of A.
func (o *operands) expandRows(group int) {
	var s [groupRows / 8]streams
	for i := range s {
		s[i] = o.aKey
		for lane := range 8 {
			s[i].seek(lane, uint64(o.block.row+groupRows*group+8*i+lane), 0)
		}
	}
	var stage [stageDepth * groupRows]int16
	for from := 0; from < o.a.k; from += depth {
		n := min(depth, o.a.k-from)
		panels := unsafe.Slice(o.a.at(groupRows/tileRows*group, from), groupRows*n)
		for at := 0; at < n; at += stageDepth {
			part := min(stageDepth, n-at)
			for i := range s {
				simd.ExpandWide(&stage[16*i], 4*groupRows, (*[16][8]uint32)(&s[i]), part/prf.BlockSize)
			}
			simd.Pack(&panels[tileRows*at], 2*tileRows*n, &stage[0], part/2)
		}
	}
}

// bPanel is where in b a panel of the block at depth from starts.
func (o *operands) bPanel(i, from int) int {
	return o.block.cols*from + i*tileCols*min(depth, o.a.k-from)
}

// expandColumns makes one panel of 16 columns of B over the whole depth. The
// halves of eight columns share cache lines and so take turns.
func (o *operands) expandColumns(panel int) {
	s := [tileCols / 8]streams{o.bKey, o.bKey}
	for col := range tileCols {
		s[col/8].seek(col%8, uint64(o.block.col+tileCols*panel+col), 0)
	}
	for from := 0; from < o.a.k; from += depth {
		first := o.bPanel(panel, from)
		for half := range s {
			simd.ExpandWide(&o.b[first+16*half], 4*tileCols, (*[16][8]uint32)(&s[half]), min(depth, o.a.k-from)/prf.BlockSize)
		}
	}
}

// tileSpace is one core's results: strip rows of cStride.
type tileSpace struct {
	c     [strip * cStride]int32
	words [(strip / matmul.TileSide) * (itemCols / matmul.TileSide)][matmul.TileSide]uint32
	sums  [(strip / matmul.TileSide) * (itemCols / matmul.TileSide)][32]byte
}

// multiply computes rows (at most strip, from a multiple of it on) by columns
// (at most itemCols) of a block.
func (w *tileSpace) multiply(o *operands, row, rows, col, cols int) {
	for from := 0; from < o.a.k; from += depth {
		for j := 0; j < cols; j += tileCols {
			o.a.product(w.c[j:], cStride, row/tileRows, rows, from, &o.b[o.bPanel((col+j)/tileCols, from)])
		}
	}
}

// digests condenses and hashes the tiles of what multiply computed; dst is
// where the digest of the tile in a row and column of tiles belongs.
func (w *tileSpace) digests(rows, cols int, dst func(ti, tj int) *[32]byte) {
	const side = matmul.TileSide
	n := 0
	for ti := range rows / side {
		for tj := range cols / side {
			simd.Condense(&w.words[n][0], &w.c[ti*side*cStride+tj*side], side, 4*cStride, 0, 0)
			n++
		}
	}
	// The words are hashed as little-endian bytes, which is how they lie here.
	Sums(w.sums[:n], unsafe.Slice((*byte)(unsafe.Pointer(&w.words)), n*4*side), 4*side)
	n = 0
	for ti := range rows / side {
		for tj := range cols / side {
			*dst(ti, tj) = w.sums[n]
			n++
		}
	}
}

// multiplyBlock writes the digests of a block's tiles to where they belong among
// the unit's. All cores expand, then all multiply.
func (e *engine) multiplyBlock(ctx context.Context, dst [][32]byte, o *operands, challenge seed.Seed, unit uint64, shape matmul.Shape, b block) error {
	o.reset(challenge, unit, shape.K, b)
	err := parallel(ctx, o.panels+o.groups, func(i int) {
		if i < o.panels {
			o.expandColumns(i)
		} else {
			o.expandRows(i - o.panels)
		}
	})
	if err != nil {
		return err
	}
	across := (b.cols + itemCols - 1) / itemCols
	down := (b.rows + strip - 1) / strip
	return parallel(ctx, across*down, func(i int) {
		row, col := i/across*strip, i%across*itemCols
		rows, cols := min(strip, b.rows-row), min(itemCols, b.cols-col)
		w := e.workspaces.Get().(*tileSpace)
		w.multiply(o, row, rows, col, cols)
		const side = matmul.TileSide
		w.digests(rows, cols, func(ti, tj int) *[32]byte {
			return &dst[((b.row+row)/side+ti)*shape.Columns()+(b.col+col)/side+tj]
		})
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
