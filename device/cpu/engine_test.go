// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		{"a wrong one and a right one", ctx, []work.Engine{wrong, right}, "sound", work.ErrSelfTest},
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

func (r rotten) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, units []uint64) error {
	err := r.Engine.Matmul(ctx, dst, challenge, shape, units)
	dst[0][31] ^= 1
	return err
}

// vectors reads the published cases of a file.
func vectors[In, Out any](t *testing.T, name string) (cases []struct {
	Name string `json:"name"`
	In   In     `json:"in"`
	Out  Out    `json:"out"`
}) {
	t.Helper()
	raw, err := os.ReadFile("../../test/vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	file := struct {
		Cases any `json:"cases"`
	}{&cases}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 3 {
		t.Fatalf("%s has %d cases", name, len(cases))
	}
	return cases
}

func TestVectorsOfTransformer(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		type in struct {
			Class   string    `json:"class"`
			Seed1   seed.Seed `json:"seed1"`
			Node    seed.Seed `json:"node_seed"`
			Segment seed.Seed `json:"segment_seed"`
			Nonce   uint64    `json:"nonce,string"`
		}
		type out struct {
			Norm   uint64    `json:"norm,string"`
			Digest seed.Seed `json:"digest"`
			Middle seed.Seed `json:"middle"`
		}
		for _, v := range vectors[in, out](t, "transformer.json") {
			c, err := transformer.ByName(v.In.Class)
			if err != nil {
				t.Fatal(err)
			}
			m, err := e.Transformer(t.Context(), c, v.In.Seed1, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got [1]transformer.Output
			if err := m.Run(got[:], v.In.Node, v.In.Segment, []uint64{v.In.Nonce}); err != nil {
				t.Fatal(err)
			}
			if want := (transformer.Output{Norm: v.Out.Norm, Digest: v.Out.Digest, Middle: v.Out.Middle}); got[0] != want {
				t.Errorf("%s: %+v, want %+v", v.Name, got[0], want)
			}
		}
	})
}

func TestVectorsOfMatmul(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		type in struct {
			Challenge seed.Seed `json:"challenge"`
			Unit      uint64    `json:"unit,string"`
			M         int       `json:"m"`
			K         int       `json:"k"`
			Q         int       `json:"q"`
			Tile      []int     `json:"tile"`
		}
		type out struct {
			Digest seed.Seed `json:"digest"`
			Error  string    `json:"error"`
		}
		wrong := map[string]error{"shape": matmul.ErrShape, "tile": matmul.ErrTile}
		for _, v := range vectors[in, out](t, "matmul.json") {
			shape := matmul.Shape{M: v.In.M, K: v.In.K, Q: v.In.Q}
			unit := make([][32]byte, 1)
			err := e.Matmul(t.Context(), unit, v.In.Challenge, shape, []uint64{v.In.Unit})
			if v.In.Tile != nil {
				unit[0], err = e.Tile(v.In.Challenge, v.In.Unit, shape, v.In.Tile[0], v.In.Tile[1])
			}
			if v.Out.Error != "" {
				if want := wrong[v.Out.Error]; want == nil || !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", v.Name, err, want)
				}
				continue
			}
			if err != nil || unit[0] != v.Out.Digest {
				t.Errorf("%s: %x, %v, want %s", v.Name, unit[0], err, v.Out.Digest)
			}
		}
	})
}

// Whole units: shapes that end within a strip, a block of columns and a block
// of depth.
func TestUnitsOfMatmul(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		ctx := t.Context()
		for i, shape := range []matmul.Shape{
			{M: 512, K: 256, Q: 512}, {M: 1024, K: 320, Q: 256}, {M: 256, K: 576, Q: 1024}, {M: 448, K: 1088, Q: 640}, {M: 832, K: 512, Q: 320},
		} {
			challenge := seed.Seed{byte(i), 5}
			units := []uint64{uint64(i), 1<<63 + 1}
			got, want := make([][32]byte, 2), make([][32]byte, 2)
			if err := e.Matmul(ctx, got, challenge, shape, units); err != nil {
				t.Fatal(err)
			}
			if err := work.Reference().Matmul(ctx, want, challenge, shape, units); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%v: %s", shape, d)
			}
		}
	})
}

// Random units of random shapes, every tile of them. The reference computes
// them once for all engines.
func TestRandomUnitsOfMatmul(t *testing.T) {
	needSets(t)
	r, ctx := random(t), t.Context()
	for range 25 {
		shape := matmul.Shape{M: 64 * (8 + r.IntN(5)), K: 64 * (4 + r.IntN(16)), Q: 64 * (8 + r.IntN(5))}
		challenge, unit := seed.Seed(digestOf(r)), r.Uint64()
		want, err := matmul.AppendTiles(nil, challenge, unit, shape)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sets() {
			got := make([][32]byte, shape.Tiles())
			if err := newEngine(s).Tiles(ctx, got, challenge, shape, unit); err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("%s: tiles of unit %d of %v, %v", s.name, unit, challenge, shape), got, want)
		}
	}
}

// Random units of random models, in batches of random sizes.
func TestRandomUnitsOfTransformer(t *testing.T) {
	needSets(t)
	r, ctx := random(t), t.Context()
	for range 8 {
		seed1, node, segment := seed.Seed(digestOf(r)), seed.Seed(digestOf(r)), seed.Seed(digestOf(r))
		reference, err := transformer.Build(ctx, transformer.Nano, seed1, nil)
		if err != nil {
			t.Fatal(err)
		}
		nonces := make([]uint64, 1+r.IntN(64))
		for i := range nonces {
			nonces[i] = r.Uint64()
		}
		want := make([]transformer.Output, len(nonces))
		if err := reference.Run(want, node, segment, nonces); err != nil {
			t.Fatal(err)
		}
		for _, s := range sets() {
			m, err := newEngine(s).Transformer(ctx, transformer.Nano, seed1, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]transformer.Output, len(nonces))
			if err := m.Run(got, node, segment, nonces); err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("%s: %d units of model %v", s.name, len(nonces), seed1), got, want)
		}
	}
}

func digestOf(r *rand.Rand) (d [32]byte) {
	for i := range d {
		d[i] = byte(r.Uint32())
	}
	return d
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
		for _, c := range []struct {
			class transformer.Class
			units int
			sizes []int
		}{
			{transformer.Nano, 480, []int{1, 2, 3, 5, 6, 7, 12, 24, 47, 48, 49, 97, 480, 0}},
			{transformer.Small, 5, []int{5, 1}},
		} {
			ctx := t.Context()
			seed1, node, segment := seed.Seed{21}, seed.Seed{22}, seed.Seed{23}
			reference, err := transformer.Build(ctx, c.class, seed1, nil)
			if err != nil {
				t.Fatal(err)
			}
			total := uint64(0)
			m, err := e.Transformer(ctx, c.class, seed1, func(done, of uint64) {
				if done <= total || of != c.class.WeightBytes() {
					t.Errorf("%s: progress %d of %d after %d", c.class.Name, done, of, total)
				}
				total = done
			})
			if err != nil || total != c.class.WeightBytes() || m.Class() != c.class {
				t.Fatalf("%s: %v, %d bytes, class %v", c.class.Name, err, total, m.Class())
			}
			nonces := make([]uint64, c.units)
			for i := range nonces {
				nonces[i] = uint64(i) << (i % 40)
			}
			want := make([]transformer.Output, c.units)
			if err := reference.Run(want, node, segment, nonces); err != nil {
				t.Fatal(err)
			}
			for _, n := range c.sizes {
				got := make([]transformer.Output, n)
				if err := m.Run(got, node, segment, nonces[c.units-n:]); err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if got[i] != want[c.units-n+i] {
						t.Fatalf("%s, batch of %d, unit %d: %+v, want %+v", c.class.Name, n, i, got[i], want[c.units-n+i])
					}
				}
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		ctx := t.Context()
		m, err := e.Transformer(ctx, transformer.Nano, seed.Seed{1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		shape := matmul.Shape{M: 512, K: 256, Q: 512}
		results := make(chan string)
		const callers = 4
		for range callers {
			go func() {
				var out [3]transformer.Output
				var unit [1][32]byte
				err := m.Run(out[:], seed.Seed{2}, seed.Seed{3}, []uint64{1, 2, 3})
				err = errors.Join(err, e.Matmul(ctx, unit[:], seed.Seed{4}, shape, []uint64{5}))
				results <- fmt.Sprint(out, unit, err)
			}()
		}
		var all []string
		for range callers {
			all = append(all, <-results)
		}
		if len(slices.Compact(all)) != 1 {
			t.Errorf("concurrent calls disagree: %v", all)
		}
	})
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
			if err := e.Matmul(t.Context(), got[:], seed.Seed{6}, shape, []uint64{7}); err != nil || got[0] != want {
				t.Fatalf("%x, %v, want %x", got[0], err, want)
			}
		}
	})
}

// The same mistakes give the same errors as with the reference.
func TestRefuses(t *testing.T) {
	everyEngine(t, func(t *testing.T, e *engine) {
		ctx := t.Context()
		done, cancel := context.WithCancel(ctx)
		cancel()
		shape := matmul.Shape{M: 512, K: 256, Q: 512}
		odd := transformer.Nano
		odd.D = 100
		m, err := e.Transformer(ctx, odd, seed.Seed{}, nil)
		if !errors.Is(err, transformer.ErrClass) || m != nil {
			t.Errorf("an unpublished class: %v, %v", m, err)
		}
		m, err = e.Transformer(done, transformer.Nano, seed.Seed{}, nil)
		if !errors.Is(err, context.Canceled) || m != nil {
			t.Errorf("cancelled: %v, %v", m, err)
		}
		if m, err = e.Transformer(ctx, transformer.Nano, seed.Seed{}, nil); err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string][2]error{
			"run":              {m.Run(nil, seed.Seed{}, seed.Seed{}, []uint64{1}), transformer.ErrRun},
			"units":            {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, shape, nil), work.ErrCall},
			"shape":            {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, matmul.Shape{}, []uint64{1}), matmul.ErrShape},
			"cancelled":        {e.Matmul(done, make([][32]byte, 1), seed.Seed{}, shape, []uint64{1}), context.Canceled},
			"tiles":            {e.Tiles(ctx, make([][32]byte, 63), seed.Seed{}, shape, 1), work.ErrCall},
			"tiles' shape":     {e.Tiles(ctx, nil, seed.Seed{}, matmul.Shape{}, 1), matmul.ErrShape},
			"tiles, cancelled": {e.Tiles(done, make([][32]byte, 64), seed.Seed{}, shape, 1), context.Canceled},
		} {
			if !errors.Is(pair[0], pair[1]) {
				t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
			}
		}
	})
}
