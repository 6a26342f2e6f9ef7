// SPDX-License-Identifier: Apache-2.0

package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Judge recomputes units to hold them against what somebody claims.
//
// It asks the fast engine first. Where that gives the claim, the claim is right:
// an engine's error does not end in somebody else's digest. What it disputes,
// the definition decides. So judgements are as fast as the processor for
// everything honest, and nobody is convicted by an engine: neither by one with a
// bug, which on a chain would divide the nodes that have it from those that have
// not, nor by one that shares its fault with the worker that made the claim.
//
// Nor does an engine that fails keep anything from being judged: the definition
// computes instead, and the engine is not asked again before the next seed, so
// that it costs one attempt and not one for each unit. Time is all that changes.
//
// It keeps the models of two seeds, the latest that were asked for: an epoch's work may still be
// judged while the next one's is. It is for one goroutine at a time.
type Judge struct {
	// Failed is told why the fast engine is not asked any longer for this seed.
	// Optional.
	Failed func(error)
	// Kinds are those that Bodies judges; NewJudge takes the network's.
	Kinds Table

	fast, definition Engine

	latest, earlier *models
}

// models are those of a class and seed, by engine.
type models struct {
	class transformer.Class
	seed1 seed.Seed
	built map[Engine]transformer.Model
	down  bool // the fast engine failed at this seed
}

// NewJudge returns a judge. A nil engine, or the reference, is none: then the
// definition computes everything.
func NewJudge(fast Engine) *Judge {
	j := &Judge{Kinds: Kinds(), fast: fast, definition: Reference()}
	if fast == j.definition {
		j.fast = nil
	}
	return j
}

// Unit returns what a unit gives. Errors are the context's or the definition's.
func (j *Judge) Unit(ctx context.Context, class transformer.Class, seed1, node, segment seed.Seed,
	nonce uint64, claimed record.Record) (transformer.Output, error) {
	out, err := j.Units(ctx, class, seed1, node, segment, []uint64{nonce}, []record.Record{claimed})
	if err != nil {
		return transformer.Output{}, err
	}
	return out[0], nil
}

// Units is Unit for many nonces of one node and segment: the fast engine computes
// them together, at its full speed.
func (j *Judge) Units(ctx context.Context, class transformer.Class, seed1, node, segment seed.Seed,
	nonces []uint64, claimed []record.Record) ([]transformer.Output, error) {
	if len(nonces) != len(claimed) {
		return nil, fmt.Errorf("%w: %d claims for %d nonces", ErrCall, len(claimed), len(nonces))
	}
	m := j.of(class, seed1)
	out := make([]transformer.Output, len(nonces))
	fast := j.fast != nil && !m.down
	if fast {
		err := m.run(ctx, j.fast, out, node, segment, nonces)
		if ended := ctx.Err(); err != nil && ended != nil {
			return nil, ended
		}
		if err != nil {
			fast, m.down = false, true
			delete(m.built, j.fast)
			if j.Failed != nil {
				j.Failed(err)
			}
		}
	}
	for i := range out {
		if fast && out[i].Record == claimed[i] {
			continue
		}
		if err := m.run(ctx, j.definition, out[i:i+1], node, segment, nonces[i:i+1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Bodies is Units for work of any kind: it returns the bodies that units of a job
// have, beside those that are claimed. Errors are the context's or the definition's.
func (j *Judge) Bodies(ctx context.Context, job Job, units []uint64,
	claimed [][]byte) ([][]byte, error) {
	if len(units) != len(claimed) {
		return nil, fmt.Errorf("%w: %d claims for %d units", ErrCall, len(claimed), len(units))
	}
	if job.Kind == Transformer { // whose models are kept
		return j.records(ctx, job, units, claimed)
	}
	size := job.Spec.Body
	fast := make([]byte, len(units)*size)
	known := j.fast != nil && j.offered(ctx, job, fast, units)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([][]byte, len(units))
	var definition Computer
	for i, claim := range claimed {
		if out[i] = fast[i*size:][:size]; known && bytes.Equal(out[i], claim) {
			continue
		}
		if len(claim) != size { // it is none, and wrong
			claim = make([]byte, size)
		}
		if definition == nil {
			var err error
			if definition, err = job.Kind.Reference(ctx, job); err != nil {
				return nil, fmt.Errorf("work: judging: %s: %w", job.Spec.Text, err)
			}
			defer release(definition)
		}
		var err error
		if out[i], err = job.Kind.Check(ctx, definition, units[i], claim); err != nil {
			return nil, fmt.Errorf("work: judging unit %d of %s: %w", units[i], job.Spec.Text, err)
		}
	}
	return out, nil
}

// offered computes units on the fast engine, and reports whether it did.
func (j *Judge) offered(ctx context.Context, job Job, dst []byte, units []uint64) bool {
	c, err := On(ctx, j.fast, job)
	if err == nil {
		err = errors.Join(c.Units(ctx, dst, units), release(c))
	}
	if err != nil && ctx.Err() == nil && j.Failed != nil {
		j.Failed(err)
	}
	return err == nil
}

// records is Bodies for transformer/1.
func (j *Judge) records(ctx context.Context, job Job, units []uint64,
	claimed [][]byte) ([][]byte, error) {
	class, err := transformer.ByName(job.Spec.Text)
	if err = errors.Join(err, job.Fits()); err != nil {
		return nil, err
	}
	claims := make([]record.Record, len(claimed))
	for i, body := range claimed {
		if len(body) == record.Size { // another length is none, and wrong
			claims[i] = record.At(body, 0)
		}
	}
	out, err := j.Units(ctx, class, job.Seeds[0], job.Seeds[1], job.Seeds[2], units, claims)
	if err != nil {
		return nil, err
	}
	bodies := make([][]byte, len(out))
	for i, o := range out {
		bodies[i] = o.Record.Append(nil)
	}
	return bodies, nil
}

// of returns the models of a class and seed, and forgets those asked for before the last two.
func (j *Judge) of(class transformer.Class, seed1 seed.Seed) *models {
	is := func(m *models) bool { return m != nil && m.class == class && m.seed1 == seed1 }
	switch {
	case is(j.latest):
	case is(j.earlier):
		j.latest, j.earlier = j.earlier, j.latest
	default:
		j.latest, j.earlier = &models{class: class, seed1: seed1,
			built: map[Engine]transformer.Model{}}, j.latest
	}
	return j.latest
}

func (m *models) run(ctx context.Context, e Engine, out []transformer.Output, node,
	segment seed.Seed, nonces []uint64) error {
	model := m.built[e]
	if model == nil {
		var err error
		if model, err = e.Transformer(ctx, m.class, m.seed1, nil); err != nil {
			return fmt.Errorf("work: judging: model of class %s on %s: %w",
				m.class.Name, e.Name(), err)
		}
		m.built[e] = model
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return model.Run(out, node, segment, nonces)
}
