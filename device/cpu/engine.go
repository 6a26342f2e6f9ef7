// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// engine computes with one instruction set. Building a model, Matmul and Tiles
// use every core that GOMAXPROCS allows. A model's Run stays on its caller's
// goroutine, so that who has many units decides how many cores they get.
type engine struct {
	set        *set
	operands   sync.Pool // of *operands
	strips     sync.Pool // of *leftPanels
	factors    sync.Pool // of *factors
	workspaces sync.Pool // of *workspace
}

func newEngine(s *set) *engine {
	return &engine{
		set:        s,
		operands:   sync.Pool{New: func() any { return new(operands) }},
		strips:     sync.Pool{New: func() any { return new(leftPanels) }},
		factors:    sync.Pool{New: func() any { return new(factors) }},
		workspaces: sync.Pool{New: func() any { return newWorkspace(s) }},
	}
}

func (e *engine) Name() string { return e.set.name }

// Offer returns nothing: it has the two kinds that every engine has.
func (e *engine) Offer(context.Context, work.Job) (work.Computer, error) { return nil, nil }

func (e *engine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.buildModel(ctx, class, seed1, progress)
	if err != nil { // a nil *model must not become a Model
		return nil, err
	}
	return m, nil
}

func (e *engine) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed,
	shape matmul.Shape, units []uint64) error {
	if len(dst) != len(units) {
		return fmt.Errorf("%w: %d digests for %d units", work.ErrCall, len(dst), len(units))
	}
	if err := shape.Valid(); err != nil {
		return err
	}
	tiles := make([][32]byte, shape.Tiles())
	for i, unit := range units {
		if err := e.Tiles(ctx, tiles, challenge, shape, unit); err != nil {
			return fmt.Errorf("cpu: unit %d of %d: %w", i, len(units), err)
		}
		dst[i] = Root(tiles)
	}
	return nil
}

func (e *engine) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	if err := shape.Valid(); err != nil {
		return err
	}
	if len(dst) != shape.Tiles() {
		return fmt.Errorf("%w: %d digests for %d tiles", work.ErrCall, len(dst), shape.Tiles())
	}
	return e.tiles(ctx, dst, challenge, shape, unit, nil)
}

func (e *engine) tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64, m *meter) error {
	o := e.operands.Get().(*operands)
	defer e.operands.Put(o)
	cols := blockCols(shape)
	for col := 0; col < shape.Q; col += cols {
		b := block{rows: shape.M, col: col, cols: min(cols, shape.Q-col)}
		if err := e.multiplyBlock(ctx, dst, o, challenge, unit, shape, b, m); err != nil {
			return fmt.Errorf("cpu: tiles of unit %d: %w", unit, err)
		}
	}
	return nil
}

// Tile computes one tile of a unit on the caller's goroutine, like matmul.Tile:
// what an audit does. Who holds a work.Engine asks it for the method.
func (e *engine) Tile(challenge seed.Seed, unit uint64, shape matmul.Shape, ti,
	tj int) ([32]byte, error) {
	if err := shape.Valid(); err != nil {
		return [32]byte{}, err
	}
	if ti < 0 || ti >= shape.Rows() || tj < 0 || tj >= shape.Columns() {
		return [32]byte{}, fmt.Errorf("%w: (%d, %d) of %v", matmul.ErrTile, ti, tj, shape)
	}
	const side = matmul.TileSide
	o := e.operands.Get().(*operands)
	defer e.operands.Put(o)
	w := e.workspaces.Get().(*workspace)
	defer e.workspaces.Put(w)
	o.reset(e.set, challenge, unit, shape.K,
		block{row: ti * side, rows: side, col: tj * side, cols: side}, 1)
	for i := range o.b.panels() {
		o.expandColumns(i, w)
	}
	w.multiply(o.strip(e, 0, w), &o.b, side, 0, side)
	o.release(e, 0)
	return w.digests(w.condense(e.set, side, side))[0], nil
}

// parallel calls f for 0..n-1 on every core and returns when all calls have. It
// stops early, with the context's error, when ctx ends.
func parallel(ctx context.Context, n int, f func(i int)) error {
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(i)
		}
	}
	var running sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0), runtime.NumCPU()) - 1 {
		running.Go(work)
	}
	work()
	running.Wait()
	return ctx.Err()
}
