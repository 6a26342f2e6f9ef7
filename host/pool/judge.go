// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Fast recomputes whole units with an engine. Single tiles are the definition's: no
// engine computes one without all the others of its unit.
func Fast(engine work.Engine) mpoc.Recompute { return fast{engine, mpoc.Reference()} }

type fast struct {
	engine work.Engine
	mpoc.Recompute
}

func (f fast) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64) ([32]byte, error) {
	var digest [1][32]byte
	err := f.engine.Matmul(ctx, digest[:], challenge, shape, []uint64{unit})
	return digest[0], err
}

// judge recomputes what one proof opens, as work.Judge does: what the engine
// gives as it was opened is right, and what it disputes the definition decides.
// So a broken engine convicts nobody.
type judge struct {
	engine, definition mpoc.Recompute
	units              map[uint64]mpoc.Hash
	tiles              map[mpoc.Pick]mpoc.Hash
}

func judgeOf(engine mpoc.Recompute, p mpoc.Proof) mpoc.Recompute {
	j := judge{engine, mpoc.Reference(), map[uint64]mpoc.Hash{}, map[mpoc.Pick]mpoc.Hash{}}
	if engine == j.definition {
		return engine
	}
	for _, s := range p.Samples {
		j.units[s.Index] = s.Digest
	}
	for _, o := range p.Tiles {
		j.tiles[o.Pick()] = o.TileDigest
	}
	return j
}

func (j judge) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64) ([32]byte, error) {
	got, err := j.engine.Unit(ctx, challenge, shape, unit)
	if err != nil || got == j.units[unit] {
		return got, err
	}
	return j.definition.Unit(ctx, challenge, shape, unit)
}

func (j judge) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64, tile uint32) ([32]byte, error) {
	got, err := j.engine.Tile(ctx, challenge, shape, unit, tile)
	if err != nil || got == j.tiles[mpoc.Pick{Index: unit, Tile: tile}] {
		return got, err
	}
	return j.definition.Tile(ctx, challenge, shape, unit, tile)
}
