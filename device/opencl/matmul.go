// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// operand is a factor of matmul/1 and what it was expanded to.
type operand struct {
	buffer
	holds stretch
}

// stretch is rows of A, or columns of B, over the whole depth.
type stretch struct {
	key         [8]uint32
	first, rows int
	k           int
}

// block is a part of a unit's result. Sides are multiples of 64.
type block struct{ row, rows, col, cols int }

// blocks cuts a unit so that factors stay within the limit, row by row.
func (e *engine) blocks(s matmul.Shape) []block {
	g := e.program.variant.geometry
	side := func(all, step int) int {
		fit := int(e.limits.operand/uint64(s.K)) / step * step
		return min(all, max(step, fit))
	}
	rows, cols := side(s.M, g.down()), side(s.Q, g.right())
	var all []block
	for row := 0; row < s.M; row += rows {
		for col := 0; col < s.Q; col += cols {
			all = append(all, block{row: row, rows: min(rows, s.M-row), col: col,
				cols: min(cols, s.Q-col)})
		}
	}
	return all
}

// units computes units one after the other, block by block, with the next block
// queued before the last one is waited for. A unit's digests are written to
// tiles(i); then done(i) is called.
func (e *engine) units(ctx context.Context, challenge seed.Seed, shape matmul.Shape, units []uint64,
	tiles func(i int) [][32]byte, done func(i int)) error {
	type pending struct {
		i       int
		block   block
		last    bool // of its unit
		digests [][32]byte
		moved   *transfer
	}
	finish := func(p *pending) error {
		if p == nil {
			return nil
		}
		if err := p.moved.wait(); err != nil {
			return e.explain(fmt.Errorf("opencl: %s: matmul/1 unit %d of %v: %w", e.device.Name,
				units[p.i], shape, err))
		}
		const side = matmul.TileSide
		dst, across := tiles(p.i), p.block.cols/side
		for i := range p.block.rows / side {
			at := (p.block.row/side+i)*shape.Columns() + p.block.col/side
			copy(dst[at:at+across], p.digests[i*across:])
		}
		if p.last {
			done(p.i)
		}
		return nil
	}
	blocks := e.blocks(shape)
	var before *pending
	for i, unit := range units {
		for n, b := range blocks {
			err := ctx.Err()
			p := &pending{i: i, block: b, last: n == len(blocks)-1}
			if err == nil {
				p.digests = make([][32]byte, b.rows/matmul.TileSide*(b.cols/matmul.TileSide))
				p.moved, err = e.startBlock(p.digests, challenge, unit, shape, b)
			}
			if err != nil {
				if before != nil {
					// its memory is being written to; the first error is the one to tell
					before.moved.wait()
				}
				return fmt.Errorf("opencl: %s: matmul/1 unit %d of %v: %w",
					e.device.Name, unit, shape, err)
			}
			if err := finish(before); err != nil {
				p.moved.wait()
				return err
			}
			before = p
		}
	}
	return finish(before)
}

// startBlock queues a block and the reading of its digests.
func (e *engine) startBlock(dst [][32]byte, challenge seed.Seed, unit uint64, shape matmul.Shape,
	b block) (*transfer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	t := &transfer{queue: e.queue}
	err := e.queueBlock(challenge, unit, shape, b)
	if err == nil {
		err = read(t, dst, e.digests)
	}
	if err != nil {
		t.abandon()
		return nil, e.explain(err)
	}
	return t, nil
}

// queueBlock leaves a block's digests in e.digests. e.mu is held.
func (e *engine) queueBlock(challenge seed.Seed, unit uint64, shape matmul.Shape, b block) error {
	const side = matmul.TileSide
	g := e.program.variant.geometry
	a, err := e.fill(&e.a, stretch{keyOf(seed.Matrix(challenge, unit, 'A')), b.row,
		roundUp(b.rows, g.down()), shape.K})
	if err != nil {
		return err
	}
	cols, err := e.fill(&e.b, stretch{keyOf(seed.Matrix(challenge, unit, 'B')), b.col,
		roundUp(b.cols, g.right()), shape.K})
	if err != nil {
		return err
	}
	tiles := b.rows / side * (b.cols / side)
	if err := e.grow(&e.words, uint64(tiles)*side*4); err != nil {
		return err
	}
	if err := e.grow(&e.digests, uint64(tiles)*32); err != nil {
		return err
	}
	p := e.program
	if err := e.product(p.condense, a, cols, shape.K, a.pitch/g.down(), cols.pitch/g.right(),
		e.words, uint32(b.rows), uint32(b.cols/side)); err != nil {
		return err
	}
	return e.queue.run(p.hashTiles, [2]int{roundUp(tiles, sumGroup), 1}, sumGroup, e.words,
		e.digests, uint32(tiles))
}

// fill expands an operand, if it does not hold the stretch already.
func (e *engine) fill(o *operand, s stretch) (factor, error) {
	f := factor{pitch: s.rows}
	if o.holds != s {
		o.holds = stretch{} // until it does
		if err := e.grow(&o.buffer, uint64(s.rows)*uint64(s.k)); err != nil {
			return factor{}, err
		}
		if err := e.queue.run(e.program.expand, [2]int{s.rows, s.k / 64}, 0, o.buffer,
			uint32(s.rows), s.key, uint64(s.first)); err != nil {
			return factor{}, err
		}
		o.holds = s
	}
	f.buffer = o.buffer
	return f, nil
}
