// SPDX-License-Identifier: Apache-2.0

// Package enginetest is a work.Engine for tests of everything but arithmetic:
// of the worker, and of the host that talks to it.
//
// Its models hash their question instead of computing, so that thousands of
// units take a moment, also under the race detector. Only what work.SelfTest
// asks is answered as the definition answers it, computed once per process, so
// that a worker accepts the engine. Models count how often they were opened and
// closed, and refuse to run when they are closed.
package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Engine is the test's engine. Its fields are set before it is used.
type Engine struct {
	// Rounds of hashing make a unit slower, by about 0.1 microseconds each.
	Rounds int
	// Build, if set, is called by every build of a model; its error is the build's.
	Build func(ctx context.Context, seed1 seed.Seed) error

	mu   sync.Mutex
	live map[seed.Seed]int
}

// Live returns how many models of a seed are open.
func (e *Engine) Live(seed1 seed.Seed) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.live[seed1]
}

// Open returns how many models are open.
func (e *Engine) Open() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, live := range e.live {
		n += live
	}
	return n
}

func (e *Engine) count(seed1 seed.Seed, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live == nil {
		e.live = map[seed.Seed]int{}
	}
	e.live[seed1] += n
}

func (e *Engine) Name() string { return "test" }

// Offer returns nothing.
func (e *Engine) Offer(context.Context, work.Job) (work.Computer, error) { return nil, nil }

// Transformer opens a model that hashes, or the definition's for the self-test's
// Sprint_Seed_1.
func (e *Engine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	if seed1 == selfTestSeed {
		return known()
	}
	if progress != nil {
		progress(1, 2)
	}
	if e.Build != nil {
		if err := e.Build(ctx, seed1); err != nil {
			return nil, err
		}
	}
	e.count(seed1, 1)
	return &model{e, class, seed1}, ctx.Err()
}

// Matmul answers the self-test.
func (e *Engine) Matmul(_ context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	units []uint64) error {
	for i, unit := range units {
		tiles := make([][32]byte, shape.Tiles())
		if err := knownTiles(tiles, challenge, shape, unit); err != nil {
			return err
		}
		dst[i] = matmul.Root(tiles)
	}
	return nil
}

// Tiles answers the self-test.
func (e *Engine) Tiles(_ context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	return knownTiles(dst, challenge, shape, unit)
}

type model struct {
	engine *Engine
	class  transformer.Class
	seed1  seed.Seed
}

func (m *model) Class() transformer.Class { return m.class }

func (m *model) Close() error { m.engine.count(m.seed1, -1); return nil }

func (m *model) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	if m.engine.Live(m.seed1) <= 0 {
		return errors.New("enginetest: run on a closed model")
	}
	for i := range nonces {
		dst[i] = m.engine.Output(m.seed1, node, segment, nonces[i])
	}
	return nil
}

// Output is what the engine's models say a unit gives.
func (e *Engine) Output(seed1, node, segment seed.Seed, nonce uint64) transformer.Output {
	input := seed.Input(node, segment, nonce)
	h := sha256.Sum256(append(seed1.Bytes(), input[:]...))
	for range e.Rounds {
		h = sha256.Sum256(h[:])
	}
	return transformer.Output{Record: record.Record{Norm: nonce, Digest: h},
		Middle: sha256.Sum256(h[:])}
}

// What follows remembers the definition's answers to the self-test.

var (
	selfTestSeed = seed.Seed(bytes.Repeat([]byte{1}, seed.Size))

	known = sync.OnceValues(func() (transformer.Model, error) {
		m, err := work.Reference().Transformer(context.Background(), transformer.Nano,
			selfTestSeed, nil)
		return knownModel{m}, err
	})
	answers sync.Map // by question
)

type knownModel struct{ transformer.Model }

func (m knownModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	for i := range nonces {
		question := seed.Input(node, segment, nonces[i])
		answer, ok := answers.Load(question)
		if !ok {
			if err := m.Model.Run(dst[i:i+1], node, segment, nonces[i:i+1]); err != nil {
				return err
			}
			answer, _ = answers.LoadOrStore(question, dst[i])
		}
		dst[i] = answer.(transformer.Output)
	}
	return nil
}

type tileQuestion struct {
	challenge seed.Seed
	shape     matmul.Shape
	unit      uint64
}

func knownTiles(dst [][32]byte, challenge seed.Seed, shape matmul.Shape, unit uint64) error {
	question := tileQuestion{challenge, shape, unit}
	answer, ok := answers.Load(question)
	if !ok {
		tiles := make([][32]byte, shape.Tiles())
		if err := work.Reference().Tiles(context.Background(), tiles, challenge,
			shape, unit); err != nil {
			return err
		}
		answer, _ = answers.LoadOrStore(question, tiles)
	}
	copy(dst, answer.([][32]byte))
	return nil
}
