// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// long is the whole suite; otherwise what takes a minute is cut.
var long = os.Getenv("ASSAY_LONG") != ""

// everywhere runs a test on each target, in the interpreter and on each device
// there is that can. Of the two drivers it can see only how fast they are.
func everywhere(t *testing.T, test func(t *testing.T, g target, open func() driver)) {
	for _, g := range []target{turing, ampere} {
		t.Run("interpreted/"+g.name, func(t *testing.T) {
			schedule := uint64(time.Now().UnixNano())
			t.Logf("schedule of the interpreter: %d", schedule)
			test(t, g, func() driver { return interpret(schedule) })
		})
	}
	l, err := load()
	if err != nil {
		return
	}
	all, err := l.devices()
	if err != nil {
		t.Error(err)
	}
	for i, f := range all {
		for _, g := range []target{turing, ampere} {
			if own, err := targetFor(f.major, f.minor); err != nil || own.name < g.name {
				continue
			}
			t.Run(fmt.Sprintf("device %d/%s", i, g.name), func(t *testing.T) {
				test(t, g, func() driver {
					c, err := l.open(i)
					if err != nil {
						t.Fatal(err)
					}
					return c
				})
			})
		}
	}
}

func engineOn(t *testing.T, g target, d driver) *engine {
	e, err := newEngine("cuda/test", g, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestSelfTest(t *testing.T) {
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		if err := work.SelfTest(t.Context(), e); err != nil {
			t.Error(err)
		}
		if want := "cuda/test/" + g.name; e.Name() != want {
			t.Errorf("name %s, want %s", e.Name(), want)
		}
	})
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
	type batch struct {
		class                string
		seed1, node, segment seed.Seed
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		cases := vectors[in, out](t, "transformer.json")
		batches := map[batch][]int{} // cases that can be computed together
		for i, v := range cases {
			b := batch{v.In.Class, v.In.Seed1, v.In.Node, v.In.Segment}
			batches[b] = append(batches[b], i)
		}
		models := map[seed.Seed]transformer.Model{}
		for b, which := range batches {
			c, err := transformer.ByName(b.class)
			if err != nil {
				t.Fatal(err)
			}
			m := models[b.seed1]
			if m == nil || m.Class() != c {
				if m, err = e.Transformer(t.Context(), c, b.seed1, nil); err != nil {
					t.Fatal(err)
				}
				models[b.seed1] = m
			}
			got, nonces := make([]transformer.Output, len(which)), make([]uint64, len(which))
			for j, i := range which {
				nonces[j] = cases[i].In.Nonce
			}
			if err := m.Run(got, b.node, b.segment, nonces); err != nil {
				t.Fatal(err)
			}
			for j, i := range which {
				o := cases[i].Out
				if want := (transformer.Output{Norm: o.Norm, Digest: o.Digest, Middle: o.Middle}); got[j] != want {
					t.Errorf("%s: %+v, want %+v", cases[i].Name, got[j], want)
				}
			}
		}
	})
}

func TestVectorsOfMatmul(t *testing.T) {
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
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		for _, v := range vectors[in, out](t, "matmul.json") {
			shape := matmul.Shape{M: v.In.M, K: v.In.K, Q: v.In.Q}
			unit := make([][32]byte, 1)
			var err error
			if v.In.Tile == nil {
				err = e.Matmul(t.Context(), unit, v.In.Challenge, shape, []uint64{v.In.Unit})
			} else {
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

// Whole units: shapes that end within a CTA, several units together, units cut into
// blocks that end within a CTA.
func TestUnitsOfMatmul(t *testing.T) {
	type sized struct {
		shape   matmul.Shape
		operand int // bytes
		units   int
	}
	cases := []sized{
		{matmul.Shape{M: 448, K: 320, Q: 640}, 2 * 320 * 768, 3}, // two at a time
		{matmul.Shape{M: 576, K: 256, Q: 576}, 256 * 256, 1},     // blocks of 256 x 256
	}
	if long {
		cases = append(cases,
			sized{matmul.Shape{M: 512, K: 256, Q: 512}, 256 << 20, 70},
			sized{matmul.Shape{M: 1152, K: 256, Q: 1088}, 384 * 256, 2})
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		for i, c := range cases {
			e.limits.operand = c.operand
			challenge := seed.Seed{byte(i), 5}
			numbers, got, want := make([]uint64, c.units), make([][32]byte, c.units), make([][32]byte, c.units)
			for j := range numbers {
				numbers[j] = uint64(j) << (j % 64)
				tiles, err := matmul.AppendTiles(nil, challenge, numbers[j], c.shape)
				if err != nil {
					t.Fatal(err)
				}
				want[j] = matmul.Root(tiles)
				if j > 0 {
					continue
				}
				dst := make([][32]byte, len(tiles))
				if err := e.Tiles(t.Context(), dst, challenge, c.shape, numbers[j]); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(tiles, dst); d != "" {
					t.Errorf("%v, tiles: %s", c.shape, d)
				}
			}
			if err := e.Matmul(t.Context(), got, challenge, c.shape, numbers); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%v: %s", c.shape, d)
			}
		}
	})
}

// Trees of every kind: whole and ragged, of one level of fold, two and three.
func TestRoots(t *testing.T) {
	sides := [][2]int{{1, 1}, {1, 2}, {1, 3}, {5, 5}, {15, 17}, {16, 16}, {1, 257}, {3, 256}, {27, 53}}
	if long {
		sides = append(sides, [2]int{256, 256}, [2]int{257, 256}, [2]int{1, 65537})
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		for _, side := range sides {
			u := units{engine: e, shape: matmul.Shape{M: 64 * side[0], K: 64, Q: 64 * side[1]}, numbers: make([]uint64, 2)}
			n := u.shape.Tiles()
			tiles := make([][32]byte, 2*n)
			raw := make([]byte, 0, 32*len(tiles))
			for i := range tiles {
				tiles[i] = seed.Input(seed.Seed{byte(side[0])}, seed.Seed{byte(side[1])}, uint64(i))
				raw = append(raw, tiles[i][:]...)
			}
			got := make([][32]byte, 2)
			err := <-e.begin(func(s *slot) error {
				m, err := u.reserve(s, 64, 64, n)
				if err != nil {
					return err
				}
				host, err := s.host(len(raw))
				if err != nil {
					return err
				}
				copy(host, raw)
				l := &list{kernels: e.kernels, slot: s}
				l.upload(m.digests, host)
				return download(l, u.fold(l, m), 64)
			}, digestsTo(got))
			want := [][32]byte{matmul.Root(tiles[:n]), matmul.Root(tiles[n:])}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("twice %d tiles: %x, %v, want %x", n, got, err, want)
			}
		}
	})
}

// Batches that end within a CTA and at its end, and calls of several batches.
func TestUnitsOfTransformer(t *testing.T) {
	cases := []struct {
		class transformer.Class
		batch int // units
		sizes []int
	}{
		{transformer.Nano, 32, []int{0, 33}},
	}
	if long {
		cases[0].sizes = []int{0, 1, 2, 3, 31, 32, 33, 64, 65, 100}
		cases = append(cases, cases[0], cases[0])
		cases[1].batch, cases[1].sizes = 64, []int{33, 64, 90}
		cases[2].class, cases[2].batch, cases[2].sizes = transformer.Small, 2, []int{3}
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		for _, c := range cases {
			e := engineOn(t, g, open())
			e.limits.units = c.batch
			seed1, node, segment := seed.Seed{21}, seed.Seed{22}, seed.Seed{23}
			reference, err := transformer.Build(t.Context(), c.class, seed1, nil)
			if err != nil {
				t.Fatal(err)
			}
			total := uint64(0)
			m, err := e.Transformer(t.Context(), c.class, seed1, func(done, of uint64) {
				if done <= total || of != c.class.WeightBytes() {
					t.Errorf("%s: progress %d of %d after %d", c.class.Name, done, of, total)
				}
				total = done
			})
			if err != nil || total != c.class.WeightBytes() || m.Class() != c.class {
				t.Fatalf("%s: %v, %d bytes, class %v", c.class.Name, err, total, m.Class())
			}
			nonces := make([]uint64, slices.Max(c.sizes))
			for i := range nonces {
				nonces[i] = uint64(i) << (i % 40)
			}
			want := make([]transformer.Output, len(nonces))
			if err := reference.Run(want, node, segment, nonces); err != nil {
				t.Fatal(err)
			}
			for _, n := range c.sizes {
				got := make([]transformer.Output, n)
				if err := m.Run(got, node, segment, nonces[len(nonces)-n:]); err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if got[i] != want[len(nonces)-n+i] {
						t.Fatalf("%s, %d units, unit %d: %+v, want %+v", c.class.Name, n, i, got[i], want[len(nonces)-n+i])
					}
				}
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	e, ctx := engineOn(t, ampere, interpret(5)), t.Context()
	m, err := e.Transformer(ctx, transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	results := make([]string, 2)
	var callers sync.WaitGroup
	for i := range results {
		callers.Go(func() {
			var out [3]transformer.Output
			var units [2][32]byte
			err := m.Run(out[:], seed.Seed{2}, seed.Seed{3}, []uint64{1, 2, 3})
			err = errors.Join(err, e.Matmul(ctx, units[:], seed.Seed{4}, shape, []uint64{5, 6}))
			results[i] = fmt.Sprint(out, units, err)
		})
	}
	callers.Wait()
	if len(slices.Compact(results)) != 1 {
		t.Errorf("concurrent calls disagree: %v", results)
	}
}

// The same mistakes give the same errors as with the reference.
func TestRefuses(t *testing.T) {
	e, ctx := engineOn(t, ampere, interpret(1)), t.Context()
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
	halfway, stop := context.WithCancel(ctx)
	m, err = e.Transformer(halfway, transformer.Nano, seed.Seed{}, func(done, _ uint64) { stop() })
	if !errors.Is(err, context.Canceled) || m != nil {
		t.Errorf("cancelled halfway: %v, %v", m, err)
	}
	if m, err = e.Transformer(ctx, transformer.Nano, seed.Seed{}, nil); err != nil {
		t.Fatal(err)
	}
	_, partsShape := e.Parts(ctx, seed.Seed{}, matmul.Shape{}, 1)
	_, partsDone := e.Parts(done, seed.Seed{}, shape, 1)
	for name, pair := range map[string][2]error{
		"run":              {m.Run(nil, seed.Seed{}, seed.Seed{}, []uint64{1}), transformer.ErrRun},
		"units":            {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, shape, nil), work.ErrCall},
		"shape":            {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, matmul.Shape{}, []uint64{1}), matmul.ErrShape},
		"cancelled":        {e.Matmul(done, make([][32]byte, 4), seed.Seed{}, shape, []uint64{1, 2, 3, 4}), context.Canceled},
		"tiles":            {e.Tiles(ctx, make([][32]byte, 63), seed.Seed{}, shape, 1), work.ErrCall},
		"tiles' shape":     {e.Tiles(ctx, nil, seed.Seed{}, matmul.Shape{}, 1), matmul.ErrShape},
		"tiles, cancelled": {e.Tiles(done, make([][32]byte, 64), seed.Seed{}, shape, 1), context.Canceled},
		"parts' shape":     {partsShape, matmul.ErrShape},
		"parts, cancelled": {partsDone, context.Canceled},
	} {
		if !errors.Is(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestClose(t *testing.T) {
	d := interpret(2)
	e := engineOn(t, ampere, d)
	before := d.left()
	m, err := e.buildModel(t.Context(), transformer.Nano, seed.Seed{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if taken := before - d.left(); taken != transformer.Nano.WeightBytes() {
		t.Errorf("a model takes %d bytes, not %d", taken, transformer.Nano.WeightBytes())
	}
	for range 2 { // the second one does nothing
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if d.left() != before {
		t.Errorf("%d bytes are left after a model's Close, %d before it", d.left(), before)
	}
	run := func(m *model) error {
		return m.Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{}, []uint64{1})
	}
	if err := run(m); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed model runs: %v", err)
	}
	if m, err = e.buildModel(t.Context(), transformer.Nano, seed.Seed{}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := run(m); !errors.Is(err, ErrClosed) {
		t.Errorf("a model of a closed engine runs: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("a model is closed after its engine: %v", err)
	}
	if !d.closed {
		t.Error("the driver was not closed")
	}
	if _, err := e.Tile(seed.Seed{}, 0, matmul.Shape{M: 512, K: 256, Q: 512}, 0, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed engine computes: %v", err)
	}
}

func TestTooLittleMemory(t *testing.T) {
	d := interpret(3)
	d.total = 24 << 20
	e := engineOn(t, ampere, d)
	_, err := e.Transformer(t.Context(), transformer.Small, seed.Seed{}, nil)
	if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "class small needs 128 MiB, 23 of 24 MiB are free") {
		t.Errorf("the weights of small: %v", err)
	}
	shape := matmul.Shape{M: 4096, K: 4096, Q: 4096}
	err = e.Tiles(t.Context(), make([][32]byte, shape.Tiles()), seed.Seed{}, shape, 0)
	if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "shape 4096x4096x4096 needs 33 MiB") {
		t.Errorf("a large unit: %v", err)
	}
	// What fits still runs, and batches are cut to an eighth of the memory.
	m, err := e.buildModel(t.Context(), transformer.Nano, seed.Seed{}, nil)
	if err != nil || m.units != 128 {
		t.Fatalf("nano: %v, batches of %d", err, m.units)
	}
	if err := m.Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{}, []uint64{1}); err != nil {
		t.Error(err)
	}
}

// Whichever call of the driver fails, its error comes out, nothing hangs, and
// closing still works.
func TestFailingDriver(t *testing.T) {
	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	use := func(d *interpreted) (err error) {
		e, err := newEngine("cuda/test", ampere, d)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		if _, err := e.Tile(seed.Seed{}, 0, shape, 0, 0); err != nil {
			return err
		}
		return e.do(func(s *slot) error { // grows what there is
			if _, err := s.room(1<<20, "a test"); err != nil {
				return err
			}
			_, err := s.host(1 << 20)
			return err
		})
	}
	whole := interpret(4)
	if err := use(whole); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= whole.made; n++ {
		d := interpret(4)
		d.failAt = n
		// A lucky slot may be spared what the other would have had to grow.
		if err := use(d); !errors.Is(err, errFault) && d.made >= n {
			t.Errorf("call %d of %d fails: %v", n, whole.made, err)
		}
		if !d.closed {
			t.Errorf("call %d of %d fails, and the driver is left open", n, whole.made)
		}
	}
}

func TestParts(t *testing.T) {
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		e.limits.operand = 256 * 256 // several blocks
		parts, err := e.Parts(t.Context(), seed.Seed{1}, matmul.Shape{M: 512, K: 256, Q: 512}, 1)
		if err != nil || parts.Expand <= 0 || parts.Product <= 0 || parts.Hash <= 0 || parts.Condense < 0 {
			t.Errorf("%+v, %v", parts, err)
		}
	})
}
