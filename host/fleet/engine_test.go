// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// quick is an engine for tests of everything but the arithmetic: its model of
// the test epoch hashes instead of computing, so that thousands of units take a
// moment, also under the race detector. What the self-test asks it answers as
// the definition does, computed once per process.
var quick work.Engine = &quickEngine{Engine: work.Reference()}

type quickEngine struct {
	work.Engine
	known  sync.Map // by question
	models sync.Mutex
	model  transformer.Model
}

func (e *quickEngine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed, progress func(done, total uint64)) (transformer.Model, error) {
	if seed1 == epochSeed {
		if progress != nil {
			progress(1, 2)
		}
		return hashModel{class}, ctx.Err()
	}
	e.models.Lock()
	defer e.models.Unlock()
	if e.model == nil {
		m, err := e.Engine.Transformer(ctx, class, seed1, progress)
		if err != nil {
			return nil, err
		}
		e.model = m
	}
	return knownModel{e.model, e}, nil
}

func (e *quickEngine) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, units []uint64) error {
	if v, ok := e.known.Load(shape); ok {
		dst[0] = v.([32]byte)
		return nil
	}
	err := e.Engine.Matmul(ctx, dst, challenge, shape, units)
	if err == nil {
		e.known.Store(shape, dst[0])
	}
	return err
}

func (e *quickEngine) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, unit uint64) error {
	if v, ok := e.known.Load(unit); ok {
		copy(dst, v.([][32]byte))
		return nil
	}
	err := e.Engine.Tiles(ctx, dst, challenge, shape, unit)
	if err == nil {
		e.known.Store(unit, append([][32]byte(nil), dst...))
	}
	return err
}

// knownModel remembers the definition's answers.
type knownModel struct {
	transformer.Model
	engine *quickEngine
}

func (m knownModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	for i := range nonces {
		question := seed.Input(node, segment, nonces[i])
		v, ok := m.engine.known.Load(question)
		if !ok {
			if err := m.Model.Run(dst[i:i+1], node, segment, nonces[i:i+1]); err != nil {
				return err
			}
			v, _ = m.engine.known.LoadOrStore(question, dst[i])
		}
		dst[i] = v.(transformer.Output)
	}
	return nil
}

type hashModel struct{ class transformer.Class }

func (m hashModel) Class() transformer.Class { return m.class }

func (m hashModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	for i := range nonces {
		h := [32]byte(seed.Input(node, segment, nonces[i]))
		for range 500 { // slow enough for tests to see a segment begin and end
			h = sha256.Sum256(h[:])
		}
		dst[i] = transformer.Output{Norm: uint64(h[0]), Digest: h, Middle: sha256.Sum256(h[:])}
	}
	return nil
}
