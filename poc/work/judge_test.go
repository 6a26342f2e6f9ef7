// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// counted is the reference under another name; it counts its units.
type counted struct {
	broken
	units, models int
}

func (c *counted) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	c.models++
	m, err := c.broken.Transformer(ctx, class, seed1, progress)
	return &countedModel{m, c}, err
}

type countedModel struct {
	transformer.Model
	c *counted
}

func (m *countedModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	m.c.units += len(nonces)
	return m.Model.Run(dst, node, segment, nonces)
}

// Whatever the fast engine does, the judgement is the definition's; and what is
// honest needs the definition only where the fast engine is wrong.
// Holds spec W-2.
func TestJudge(t *testing.T) {
	ctx, node, segment := t.Context(), seed.Seed{2}, seed.Seed{3}
	want, err := NewJudge(nil).Unit(ctx, transformer.Nano, seed.Seed{1}, node,
		segment, 7, record.Record{})
	if err != nil {
		t.Fatal(err)
	}
	honest := want.Record
	forged := honest
	forged.Digest[9] ^= 1
	for _, fault := range []string{"", "norm", "digest"} {
		fast, slow := &counted{broken: broken{Engine: Reference(), fault: fault}},
			&counted{broken: broken{Engine: Reference()}}
		j := NewJudge(fast)
		j.definition = slow
		for _, claim := range []record.Record{honest, forged} {
			got, err := j.Unit(ctx, transformer.Nano, seed.Seed{1}, node, segment, 7, claim)
			if err != nil || got != want {
				t.Errorf("fault %q, claim %x: %+v, %v", fault, claim.Digest[:2], got, err)
			}
		}
		definition := 1 // of the forged one
		if fault != "" {
			definition = 2
		}
		if fast.units != 2 || slow.units != definition {
			t.Errorf("fault %q: %d units on the fast engine, %d on the definition", fault,
				fast.units, slow.units)
		}
	}
	many, err := NewJudge(&counted{broken: broken{Engine: Reference(), fault: "digest"}}).Units(ctx,
		transformer.Nano, seed.Seed{1}, node, segment, []uint64{6, 7, 8},
		[]record.Record{{}, honest, {}})
	if err != nil || many[1] != want || many[0] == want || many[0] == many[2] {
		t.Errorf("many: %v, %v", many, err)
	}
	if _, err := NewJudge(nil).Units(ctx, transformer.Nano, seed.Seed{1}, node, segment,
		[]uint64{1}, nil); !errors.Is(err, ErrCall) {
		t.Errorf("claims that are missing: %v", err)
	}
	if NewJudge(Reference()).fast != nil {
		t.Error("the reference is asked twice")
	}
}

// An engine that fails changes no judgement, and is asked once for each seed.
func TestJudgeWithoutItsEngine(t *testing.T) {
	node, segment := seed.Seed{2}, seed.Seed{3}
	judge := func(ctx context.Context, j *Judge, seed1 byte) ([]transformer.Output, error) {
		return j.Units(ctx, transformer.Nano, seed.Seed{seed1}, node, segment, []uint64{6, 7},
			[]record.Record{{}, {}})
	}
	want, err := judge(t.Context(), NewJudge(nil), 1)
	if err != nil {
		t.Fatal(err)
	}
	fast := &counted{broken: broken{Engine: Reference(), fault: "run"}}
	j, failed := NewJudge(fast), 0
	j.Failed = func(err error) {
		if failed++; !errors.Is(err, errFault) {
			t.Errorf("why it failed: %v", err)
		}
	}
	for range 3 {
		if got, err := judge(t.Context(), j, 1); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if failed != 1 || fast.units != 2 {
		t.Errorf("told %d times, %d units on the engine", failed, fast.units)
	}
	if _, err := judge(t.Context(), j, 2); err != nil || failed != 2 {
		t.Errorf("the next seed: %v, told %d times", err, failed)
	}
	fast.fault = ""
	if _, err := judge(t.Context(), j, 4); err != nil || failed != 2 || fast.units != 6 {
		t.Errorf("the engine is sound again: %v, told %d times, %d units on it",
			err, failed, fast.units)
	}
	// Who ends the work gets no answer, and the engine is not to blame.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := judge(ctx, j, 3); !errors.Is(err, context.Canceled) || failed != 2 {
		t.Errorf("ended: %v, told %d times", err, failed)
	}
}

// While one epoch's work is still judged the next one's begins: both models are kept, and the one
// before them is not.
func TestAJudgeKeepsTheModelsOfTwoSeeds(t *testing.T) {
	engine := &counted{broken: broken{Engine: Reference()}}
	j := NewJudge(nil)
	j.definition = engine
	for _, step := range []struct {
		seed1  byte
		models int
	}{{1, 1}, {2, 2}, {1, 2}, {2, 2}, {2, 2}, {3, 3}, {2, 3}, {1, 4}} {
		if _, err := j.Unit(t.Context(), transformer.Nano, seed.Seed{step.seed1}, seed.Seed{2},
			seed.Seed{3}, 7, record.Record{}); err != nil || engine.models != step.models {
			t.Errorf("seed %d: %v, %d models were built, want %d", step.seed1, err, engine.models,
				step.models)
		}
	}
}
