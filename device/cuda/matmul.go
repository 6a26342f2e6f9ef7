// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"fmt"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

const side = matmul.TileSide

// unit is one of matmul/1.
type unit struct {
	*engine
	challenge seed.Seed
	shape     matmul.Shape
	number    uint64
}

// block is a part of a unit's result. Its sides are multiples of 64.
type block struct{ row, rows, col, cols int }

// blockSides is the size of the blocks that the whole of a unit is cut into: what
// fits the bound on factors, in whole CTAs.
func (u *unit) blockSides() (rows, cols int) {
	most := u.limits.operand / u.shape.K
	return min(u.shape.M, max(most/ctaRows, 1)*ctaRows), min(u.shape.Q, max(most/ctaCols, 1)*ctaCols)
}

// space is a slot's memory as a unit uses it.
type space struct{ a, b, words, digests, nodes, roots address }

// reserve makes room for blocks of a size and the digests of some tiles. The
// product reads whole CTAs' worth of its factors.
func (u *unit) reserve(s *slot, rows, cols, tiles int) (space, error) {
	var l layout
	a, b := l.take(roundUp(rows, ctaRows)*u.shape.K), l.take(roundUp(cols, ctaCols)*u.shape.K)
	words := l.take(rows / side * (cols / side) * side * 4)
	digests, nodes, roots := l.take(32*tiles), l.take(32*tiles), l.take(32*roundUp(tiles, foldWidth)/foldWidth)
	at, err := s.room(l.size, fmt.Sprintf("matmul/1 of shape %v", u.shape))
	if err != nil {
		return space{}, err
	}
	on := func(offset uint64) address { return at + address(offset) }
	return space{on(a), on(b), on(words), on(digests), on(nodes), on(roots)}, nil
}

// expand makes n rows of A, or columns of B, from first on.
func (u *unit) expand(l *list, to address, matrix byte, first, n int) {
	blocks := u.shape.K / prf.BlockSize
	key := prf.Key(seed.Matrix(u.challenge, u.number, matrix))
	l.items(l.expand, n*blocks, to, words(key), uint64(first), uint32(blocks), uint32(n*blocks))
}

// multiply makes the words of a block's tiles; kernel is condensed or summed.
func (u *unit) multiply(l *list, m space, kernel handle, b block) {
	l.product(kernel, b.rows, b.cols, m.a, m.b, uint32(u.shape.K), uint32(b.rows/side), uint32(b.cols/side), m.words)
}

// hash makes the digests of a block's tiles, among those of a result that has
// across tiles side by side.
func (u *unit) hash(l *list, m space, b block, across int) {
	n := b.rows / side * (b.cols / side)
	to := m.digests + address(32*(b.row/side*across+b.col/side))
	l.items(l.tileDigests, n, to, m.words, uint32(b.cols/side), uint32(across), uint32(n))
}

// all computes the digests of all tiles, block by block.
func (u *unit) all(s *slot) (*list, space, error) {
	rows, cols := u.blockSides()
	m, err := u.reserve(s, rows, cols, u.shape.Tiles())
	if err != nil {
		return nil, m, err
	}
	l := &list{kernels: u.kernels, slot: s}
	for row := 0; row < u.shape.M; row += rows {
		b := block{row: row, rows: min(rows, u.shape.M-row)}
		u.expand(l, m.a, 'A', b.row, b.rows)
		for b.col = 0; b.col < u.shape.Q; b.col += cols {
			b.cols = min(cols, u.shape.Q-b.col)
			u.expand(l, m.b, 'B', b.col, b.cols)
			u.multiply(l, m, l.condensed, b)
			u.hash(l, m, b, u.shape.Columns())
		}
	}
	return l, m, l.err
}

// tiles starts the digests of all tiles, for digestsTo.
func (u *unit) tiles(s *slot) error {
	l, m, err := u.all(s)
	if err != nil {
		return err
	}
	return download(l, m.digests, 32*u.shape.Tiles())
}

// tile starts the digest of one tile, for digestsTo.
func (u *unit) tile(s *slot, ti, tj int) error {
	m, err := u.reserve(s, side, side, 1)
	if err != nil {
		return err
	}
	l := &list{kernels: u.kernels, slot: s}
	u.expand(l, m.a, 'A', ti*side, side)
	u.expand(l, m.b, 'B', tj*side, side)
	b := block{rows: side, cols: side}
	u.multiply(l, m, l.condensed, b)
	u.hash(l, m, b, 1)
	return download(l, m.digests, 32)
}

// root starts the unit's digest, which will be in the slot's pinned memory.
func (u *unit) root(s *slot) error {
	l, m, err := u.all(s)
	if err != nil {
		return err
	}
	return download(l, u.fold(l, m), 32)
}

// foldWidth is how many nodes of a tree the kernel fold makes one of.
const foldWidth = 256

// fold makes the root over all tiles and returns where it is.
func (u *unit) fold(l *list, m space) address {
	n := u.shape.Tiles()
	l.items(l.leaves, n, m.nodes, m.digests, uint32(n))
	from, to := m.nodes, m.roots
	for {
		ctas := (n + foldWidth - 1) / foldWidth
		l.launch(l.kernels.fold, launch{ctas: uint32(ctas), threads: foldWidth / 2, parameters: parameters(to, from, uint32(n))})
		if n = ctas; n == 1 {
			return to
		}
		from, to = to, from
	}
}

// digestsTo copies what came to pinned memory.
func (u *unit) digestsTo(dst [][32]byte) func(*slot) error {
	return func(s *slot) error {
		for i := range dst {
			dst[i] = [32]byte(s.pinned[32*i:])
		}
		return nil
	}
}

// download brings the end of a list to the slot's pinned memory.
func download(l *list, from address, bytes int) error {
	host, err := l.slot.host(bytes)
	if err != nil {
		return err
	}
	l.download(host, from)
	return l.err
}
