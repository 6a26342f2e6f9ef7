// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// units computes one unit; hosts and the chain of a network share it.
type units interface {
	Unit(ctx context.Context, class transformer.Class, seed1, node, segment seed.Seed, nonce uint64,
		_ record.Record) (transformer.Output, error)
}

// standIn gives a hash for a unit. It counts what the chain asks for.
type standIn struct{ asked int }

func (s *standIn) Unit(_ context.Context, class transformer.Class, seed1, node, segment seed.Seed,
	nonce uint64, _ record.Record) (transformer.Output, error) {
	s.asked++
	return hashed(class, seed1, node, segment, nonce), nil
}

func hashed(class transformer.Class, seed1, node, segment seed.Seed,
	nonce uint64) (out transformer.Output) {
	b := append(append(append([]byte{class.ID}, seed1[:]...), node[:]...), segment[:]...)
	b = binary.LittleEndian.AppendUint64(b, nonce)
	out.Digest = sha256.Sum256(b)
	out.Middle = sha256.Sum256(out.Digest[:])
	out.Norm = binary.LittleEndian.Uint64(out.Middle[:])
	return out
}

// remembered is an engine that computes each unit once in the whole test run.
type remembered struct {
	engine work.Engine

	mu     sync.Mutex
	models map[seed.Seed]transformer.Model
	known  map[[4]seed.Seed]transformer.Output
}

// reference is the one memory of real units: networks that start alike share their first epoch.
var reference = &remembered{engine: work.Reference(), models: map[seed.Seed]transformer.Model{},
	known: map[[4]seed.Seed]transformer.Output{}}

func (r *remembered) model(ctx context.Context, class transformer.Class,
	seed1 seed.Seed) (transformer.Model, error) {
	if m, ok := r.models[seed1]; ok {
		return m, nil
	}
	m, err := r.engine.Transformer(ctx, class, seed1, nil)
	if err == nil {
		r.models[seed1] = m
	}
	return m, err
}

func (r *remembered) Unit(ctx context.Context, class transformer.Class, seed1, node,
	segment seed.Seed, nonce uint64, _ record.Record) (transformer.Output, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [4]seed.Seed{seed1, node, segment}
	binary.LittleEndian.PutUint64(key[3][:], nonce)
	if out, ok := r.known[key]; ok {
		return out, nil
	}
	m, err := r.model(ctx, class, seed1)
	if err != nil {
		return transformer.Output{}, err
	}
	var out [1]transformer.Output
	if err := m.Run(out[:], node, segment, []uint64{nonce}); err != nil {
		return transformer.Output{}, err
	}
	r.known[key] = out[0]
	return out[0], nil
}
