// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"fmt"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

const side = matmul.TileSide

// units are some of one shape of matmul/1 that are computed together: more than
// one where one alone would leave most of the device idle.
type units struct {
	*engine
	challenge seed.Seed
	shape     matmul.Shape
	numbers   []uint64
}

// enough is how many CTAs of a product keep the largest device busy, a few for each
// of its multiprocessors.
const enough = 512

// together is how many units of a shape are.
func (e *engine) together(s matmul.Shape) int {
	rows, cols := roundUp(s.M, ctaRows), roundUp(s.Q, ctaCols)
	wanted := (enough*ctaRows*ctaCols + rows*cols - 1) / (rows * cols)
	return max(1, min(wanted, e.limits.operand/(max(rows, cols)*s.K)))
}

// block is a part of a unit's result. Its sides are multiples of 64.
type block struct{ row, rows, col, cols int }

// blockSides is the size of the blocks that the whole of a unit is cut into: what
// fits the bound on factors, in whole CTAs.
func (u *units) blockSides() (rows, cols int) {
	most := u.limits.operand / u.shape.K
	return min(u.shape.M, max(most/ctaRows, 1)*ctaRows),
		min(u.shape.Q, max(most/ctaCols, 1)*ctaCols)
}

// space is a slot's memory as units use it.
type space struct{ aKeys, bKeys, a, b, words, digests, nodes, roots address }

// reserve makes room for each unit's blocks of a size and the digests of some of its
// tiles. The product reads whole CTAs' worth of its factors.
func (u *units) reserve(s *slot, rows, cols, tiles int) (space, error) {
	var l layout
	n := len(u.numbers)
	aKeys, bKeys := l.take(n*seed.Size), l.take(n*seed.Size)
	a, b := l.take(n*roundUp(rows, ctaRows)*u.shape.K), l.take(n*roundUp(cols, ctaCols)*u.shape.K)
	words := l.take(n * (rows / side) * (cols / side) * side * 4)
	digests, nodes, roots := l.take(32*n*tiles), l.take(32*n*tiles),
		l.take(32*n*(roundUp(tiles, foldWidth)/foldWidth))
	at, err := s.room(l.size, fmt.Sprintf("matmul/1 of shape %v", u.shape))
	if err != nil {
		return space{}, err
	}
	on := func(offset uint64) address { return at + address(offset) }
	return space{on(aKeys), on(bKeys), on(a), on(b), on(words), on(digests), on(nodes), on(roots)},
		nil
}

// list begins one with the units' keys.
func (u *units) list(s *slot, m space) (*list, error) {
	n := len(u.numbers) * seed.Size
	// What comes back later takes the keys' place in the pinned memory.
	host, err := s.host(max(2*n, seed.Size*u.shape.Tiles()))
	if err != nil {
		return nil, err
	}
	for i, number := range u.numbers {
		a, b := seed.Matrix(u.challenge, number, 'A'), seed.Matrix(u.challenge, number, 'B')
		copy(host[i*seed.Size:], a[:])
		copy(host[n+i*seed.Size:], b[:])
	}
	l := &list{kernels: u.kernels, slot: s}
	l.upload(m.aKeys, host[:n])
	l.upload(m.bKeys, host[n:2*n])
	return l, l.err
}

// expand makes n rows of each unit's A, or columns of its B, from first on; room is
// a multiple of what a CTA takes of them.
func (u *units) expand(l *list, to, keys address, first, n, room int) {
	blocks := u.shape.K / prf.BlockSize
	count := len(u.numbers) * n * blocks
	l.items(l.kernels.expand, count, to, keys, uint32(first), uint32(n), uint32(roundUp(n, room)),
		uint32(blocks), uint32(count))
}

func (u *units) expandA(l *list, m space, b block) {
	u.expand(l, m.a, m.aKeys, b.row, b.rows, ctaRows)
}

func (u *units) expandB(l *list, m space, b block) {
	u.expand(l, m.b, m.bKeys, b.col, b.cols, ctaCols)
}

// multiply makes the words of a block's tiles; kernel is condensed or summed.
func (u *units) multiply(l *list, m space, kernel handle, b block) {
	l.products(kernel, len(u.numbers), b.rows, b.cols, m.a, m.b, uint32(u.shape.K),
		uint32(b.rows/side), uint32(b.cols/side), m.words)
}

// hash makes the digests of a block's tiles, among those of a result that has
// across tiles side by side. Of several units the block is the whole.
func (u *units) hash(l *list, m space, b block, across int) {
	n := len(u.numbers) * (b.rows / side) * (b.cols / side)
	to := m.digests + address(32*(b.row/side*across+b.col/side))
	l.items(l.tileDigests, n, to, m.words, uint32(b.cols/side), uint32(across), uint32(n))
}

// all computes the digests of all tiles, block by block.
func (u *units) all(s *slot) (*list, space, error) {
	rows, cols := u.blockSides()
	m, err := u.reserve(s, rows, cols, u.shape.Tiles())
	if err != nil {
		return nil, m, err
	}
	l, err := u.list(s, m)
	if err != nil {
		return nil, m, err
	}
	for row := 0; row < u.shape.M; row += rows {
		b := block{row: row, rows: min(rows, u.shape.M-row)}
		u.expandA(l, m, b)
		for b.col = 0; b.col < u.shape.Q; b.col += cols {
			b.cols = min(cols, u.shape.Q-b.col)
			u.expandB(l, m, b)
			u.multiply(l, m, l.condensed, b)
			u.hash(l, m, b, u.shape.Columns())
		}
	}
	return l, m, l.err
}

// tiles starts the digests of all of a unit's tiles, for digestsTo.
func (u *units) tiles(s *slot) error {
	l, m, err := u.all(s)
	if err != nil {
		return err
	}
	return download(l, m.digests, 32*u.shape.Tiles())
}

// tile starts the digest of one of a unit's tiles, for digestsTo.
func (u *units) tile(s *slot, ti, tj int) error {
	m, err := u.reserve(s, side, side, 1)
	if err != nil {
		return err
	}
	l, err := u.list(s, m)
	if err != nil {
		return err
	}
	b := block{row: ti * side, rows: side, col: tj * side, cols: side}
	u.expandA(l, m, b)
	u.expandB(l, m, b)
	b.row, b.col = 0, 0 // its digest is the only one
	u.multiply(l, m, l.condensed, b)
	u.hash(l, m, b, 1)
	return download(l, m.digests, 32)
}

// roots starts the units' digests, for digestsTo.
func (u *units) roots(s *slot) error {
	l, m, err := u.all(s)
	if err != nil {
		return err
	}
	return download(l, u.fold(l, m), 32*len(u.numbers))
}

// foldWidth is how many nodes of a tree the kernel fold makes one of.
const foldWidth = 256

// fold makes the root over all tiles of each unit and returns where they are.
func (u *units) fold(l *list, m space) address {
	n := u.shape.Tiles()
	l.items(l.leaves, len(u.numbers)*n, m.nodes, m.digests, uint32(len(u.numbers)*n))
	from, to := m.nodes, m.roots
	for {
		ctas := (n + foldWidth - 1) / foldWidth
		l.launch(l.kernels.fold, launch{ctas: uint32(len(u.numbers) * ctas), threads: foldWidth / 2,
			parameters: parameters(to, from, uint32(n))})
		if n = ctas; n == 1 {
			return to
		}
		from, to = to, from
	}
}

// digestsTo copies what came to pinned memory.
func digestsTo(dst [][32]byte) func(*slot) error {
	return func(s *slot) error {
		for i := range dst {
			dst[i] = [32]byte(s.pinned[32*i:])
		}
		return nil
	}
}

// download brings the end of a list to the slot's pinned memory, which may not move
// while uploads from it are under way: list asked for enough.
func download(l *list, from address, bytes int) error {
	l.download(l.slot.pinned[:bytes], from)
	return l.err
}
