// SPDX-License-Identifier: Apache-2.0

package cpu

import "github.com/assaynet/assay/poc/prf"

// strip is how many rows of A pass over a panel of B: three tiles of matmul/1,
// 48 nonces of transformer/1. A block of their panels stays in the second-level
// cache.
const strip = 192

// grow returns s with length n, with its memory if that suffices. What it holds
// is undefined.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// roundUp rounds n up to a multiple of m.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// leftPanels is A packed for the product: blocks of depth, in them panels of
// tileRows. Rows are rounded up to whole groups; what the rows above are is
// nobody's concern, their results are not read.
type leftPanels struct {
	set  *set
	data []uint32
	rows int // in whole groups
	k    int
}

func (p *leftPanels) reset(s *set, rows, k int) {
	p.set, p.rows, p.k = s, roundUp(rows, s.groupRows), k
	p.data = grow(p.data, p.rows*k/s.per)
}

// groups is how many groups there are.
func (p *leftPanels) groups() int { return p.rows / p.set.groupRows }

// deep is the depth of the block at from.
func (p *leftPanels) deep(from int) int { return min(p.set.depth, p.k-from) }

// row is where the panel that starts with a row is in the block at from.
func (p *leftPanels) row(row, from int) *uint32 {
	return &p.data[(p.rows*from+row*p.deep(from))/p.set.per]
}

// panelBytes is the size of one panel in the block at from.
func (p *leftPanels) panelBytes(from int) int {
	return 4 * p.set.tileRows * p.deep(from) / p.set.per
}

// expand fills one group from its streams.
func (p *leftPanels) expand(group int, streams, room []uint32) {
	s := p.set
	for from := 0; from < p.k; from += s.depth {
		s.expandRows(p.row(group*s.groupRows, from), p.panelBytes(from), &streams[0],
			p.deep(from)/prf.BlockSize, room)
	}
}

// pack fills the panels from a matrix of int8, whose rows are k long, a multiple
// of 64. x holds whole groups of rows.
func (p *leftPanels) pack(x []int8, room []uint32) {
	s := p.set
	for row := 0; row < p.rows; row += s.groupRows {
		for from := 0; from < p.k; from += s.depth {
			s.packRows(p.row(row, from), p.panelBytes(from), &x[row*p.k+from],
				p.k, p.deep(from), room)
		}
	}
}

// product computes rows (at most strip) of A, from row first on, which starts a
// panel, times one panel of B's block at depth from: into c, whose rows are
// stride elements apart, or onto what is there already. c has room for whole
// tiles.
func (p *leftPanels) product(c []int32, stride, first, rows, from int, b *uint32) {
	add := 0
	if from > 0 {
		add = 1
	}
	s := p.set
	s.product((rows+s.tileRows-1)/s.tileRows, p.deep(from), p.row(first, from),
		b, &c[0], 4*stride, add)
}

// rightPanels is B packed for the product, or weights: blocks of depth, in them
// panels of tileCols, which follow their heads.
type rightPanels struct {
	set  *set
	data []uint32
	cols int // a multiple of tileCols
	k    int
	per  int // elements of a word: the set's, or 4 for weights
}

func (p *rightPanels) reset(s *set, cols, k, per int) {
	p.set, p.cols, p.k, p.per = s, cols, k, per
	blocks := (k + s.depth - 1) / s.depth
	p.data = grow(p.data, p.panels()*(blocks*s.head+s.tileCols*k/per))
}

// panels is how many panels a block has.
func (p *rightPanels) panels() int { return p.cols / p.set.tileCols }

// deep is the depth of the block at from.
func (p *rightPanels) deep(from int) int { return min(p.set.depth, p.k-from) }

// panel is number i of the block at from, with its head.
func (p *rightPanels) panel(i, from int) []uint32 {
	s := p.set
	size := s.head + s.tileCols*p.deep(from)/p.per
	start := p.panels()*(from/s.depth*s.head+s.tileCols*from/p.per) + i*size
	return p.data[start:][:size]
}

// expand fills one panel of every block from the streams of its columns with
// expandColumns or expandWeights. Columns that are not side by side share cache
// lines, and so take turns within a block.
func (p *rightPanels) expand(i int, streams []uint32,
	fill func(dst *uint32, pitch int, state *uint32, blocks int)) {
	s := p.set
	for from := 0; from < p.k; from += s.depth {
		panel := p.panel(i, from)
		for col := 0; col < s.tileCols; col += s.lanes {
			fill(&panel[s.head+col], 4*s.tileCols, &streams[16*col], p.deep(from)/prf.BlockSize)
		}
		if s.correct != nil {
			s.correct(&panel[0], p.deep(from))
		}
	}
}
