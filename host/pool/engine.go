// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"time"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// On makes an engine recompute for a pool. One that computes single tiles is
// asked for them, otherwise for the whole unit.
func On(e work.Engine) mpoc.Recompute { return recomputer{e} }

type recomputer struct{ engine work.Engine }

func (r recomputer) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	if t, ok := r.engine.(interface {
		Tile(challenge seed.Seed, unit uint64, shape matmul.Shape, ti, tj int) ([32]byte, error)
	}); ok {
		columns := uint32(max(shape.Columns(), 1))
		return t.Tile(challenge, unit, shape, int(tile/columns), int(tile%columns))
	}
	tiles := make([][32]byte, shape.Tiles())
	if err := r.engine.Tiles(ctx, tiles, challenge, shape, unit); err != nil {
		return [32]byte{}, err
	}
	return tiles[tile], nil
}

func (r recomputer) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	var out [1][32]byte
	err := r.engine.Matmul(ctx, out[:], challenge, shape, []uint64{unit})
	return out[0], err
}

// look recomputes on the pool's engine, and what that finds wrong by the
// definition too: nobody is convicted by an engine, and nobody goes unpaid because
// one fails. before counts the tiles found wrong in earlier rounds.
func (p *Pool) look(ctx context.Context, q mpoc.Questions, proof mpoc.Proof,
	before int) (mpoc.Wrong, error) {
	half, cancel := ctx, context.CancelFunc(func() {})
	if end, ok := ctx.Deadline(); ok { // the rest is the definition's
		half, cancel = context.WithTimeout(ctx, time.Until(end)/2)
	}
	wrong, err := q.Recompute(half, p.c.Engine, proof, before)
	cancel()
	if err != nil && ctx.Err() == nil {
		p.log.Error("the engine cannot audit, plain Go does; run: assay-worker doctor", "err", err)
		return q.Recompute(ctx, mpoc.Reference(), proof, before)
	}
	if err != nil || len(wrong.Samples)+len(wrong.Tiles) == 0 {
		return wrong, err
	}
	again := mpoc.Proof{Round: proof.Round, Tiles: wrong.Tiles}
	if len(wrong.Samples) > 0 {
		again.Samples = proof.Samples
	}
	sure, err := q.Recompute(ctx, mpoc.Reference(), again, before)
	if err != nil || len(sure.Tiles) == len(wrong.Tiles) &&
		len(sure.Samples) == len(wrong.Samples) {
		return sure, err
	}
	// The engine is broken, and what it did not look at any longer is unknown.
	p.log.Error("the engine computes wrong results; run: assay-worker doctor", "wrong",
		len(wrong.Samples)+len(wrong.Tiles), "confirmed", len(sure.Samples)+len(sure.Tiles))
	return q.Recompute(ctx, mpoc.Reference(), proof, before)
}
