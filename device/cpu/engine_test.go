// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/assaynet/assay/device/enginetest"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// everyEngine runs a test for each engine of this processor.
func everyEngine(t *testing.T, test func(t *testing.T, e *engine)) {
	everySet(t, func(t *testing.T, s *set) { test(t, newEngine(s)) })
}

func TestNew(t *testing.T) {
	ctx := t.Context()
	e, err := New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := "reference"
	if all := Engines(); len(all) > 0 {
		want = all[0].Name()
	}
	if e.Name() != want {
		t.Errorf("New gives %s, want %s", e.Name(), want)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	right, wrong := sound{work.Reference()}, rotten{work.Reference()}
	for _, c := range []struct {
		name    string
		ctx     context.Context
		engines []work.Engine
		want    string
		err     error
	}{
		{"none", ctx, nil, "reference", nil},
		{"a wrong one", ctx, []work.Engine{wrong}, "reference", work.ErrSelfTest},
		{"a wrong one and a right one", ctx, []work.Engine{wrong, right},
			"sound", work.ErrSelfTest},
		{"a right one first", ctx, []work.Engine{right, wrong}, "sound", nil},
		{"an ended context", cancelled, []work.Engine{right}, "reference", context.Canceled},
	} {
		if e, err := choose(c.ctx, c.engines); e.Name() != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %s, %v; want %s, %v", c.name, e.Name(), err, c.want, c.err)
		}
	}
}

func TestEveryEngineTestsItself(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		if err := work.SelfTest(t.Context(), e); err != nil {
			t.Error(err)
		}
	})
}

// sound is right.
type sound struct{ work.Engine }

func (sound) Name() string { return "sound" }

// rotten answers with a wrong bit.
type rotten struct{ work.Engine }

func (rotten) Name() string { return "rotten" }

func (r rotten) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	units []uint64) error {
	err := r.Engine.Matmul(ctx, dst, challenge, shape, units)
	dst[0][31] ^= 1
	return err
}

func TestVectors(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) { enginetest.Vectors(t, e) })
}

// Whole units: shapes that end within a strip, a block of columns and a block
// of depth.
func TestUnitsOfMatmul(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		for _, shape := range []matmul.Shape{
			{M: 512, K: 256, Q: 512}, {M: 1024, K: 320, Q: 256}, {M: 256, K: 576, Q: 1024},
			{M: 448, K: 1088, Q: 640}, {M: 832, K: 512, Q: 320},
		} {
			enginetest.Units(t, e, shape, 2)
		}
	})
}

func TestRandomUnits(t *testing.T) {
	needSets(t)
	r := enginetest.Random(t)
	enginetest.RandomUnits(t, r, 25, Engines()...)
	enginetest.RandomModels(t, r, 8, Engines()...)
}

// Products larger than what is expanded at a time are cut into blocks; the
// reference computes some of their tiles.
func TestBlocksOfMatmul(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		shape := matmul.Shape{M: 1024, K: 65536, Q: 1088}
		tiles := make([][32]byte, shape.Tiles())
		if err := e.Tiles(t.Context(), tiles, seed.Seed{3}, shape, 4); err != nil {
			t.Fatal(err)
		}
		for _, at := range [][2]int{{0, 0}, {14, 15}, {15, 15}, {14, 16}, {15, 16}} {
			want, err := matmul.Tile(seed.Seed{3}, 4, shape, at[0], at[1])
			if err != nil {
				t.Fatal(err)
			}
			if got := tiles[at[0]*shape.Columns()+at[1]]; got != want {
				t.Errorf("tile %v: %x, want %x", at, got, want)
			}
			if got, err := e.Tile(seed.Seed{3}, 4, shape, at[0], at[1]); err != nil || got != want {
				t.Errorf("tile %v alone: %x, %v, want %x", at, got, err, want)
			}
		}
	})
}

// Batches of every size around the boundaries: register tiles, groups, strips.
func TestUnitsOfTransformer(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		enginetest.Models(t, e, transformer.Nano, 480, 1, 2, 3, 5, 6, 7, 12, 24,
			47, 48, 49, 97, 480, 0)
		enginetest.Models(t, e, transformer.Small, 5, 5, 1)
	})
}

func TestConcurrentUse(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) { enginetest.Concurrent(t, e, 4, 3) })
}

// More cores than strips: many wait for the same one, and for the last of them.
func TestManyCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(24))
	everyEngine(t, func(t *testing.T, e *engine) {
		shape := matmul.Shape{M: 256, K: 256, Q: 8192}
		want, err := matmul.Unit(seed.Seed{6}, 7, shape)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			var got [1][32]byte
			if err := e.Matmul(t.Context(), got[:], seed.Seed{6}, shape, []uint64{7}); err != nil ||
				got[0] != want {
				t.Fatalf("%x, %v, want %x", got[0], err, want)
			}
		}
	})
}

func TestRefuses(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) { enginetest.Refuses(t, e) })
}
