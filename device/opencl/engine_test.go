// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

func TestSelfTest(t *testing.T) {
	everyVariant(t, func(t *testing.T, e *engine) {
		if err := work.SelfTest(t.Context(), e); err != nil {
			t.Error(err)
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
	e := openWide(t)
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
}

func TestVectorsOfMatmul(t *testing.T) {
	e := openWide(t)
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
	for _, v := range vectors[in, out](t, "matmul.json") {
		shape := matmul.Shape{M: v.In.M, K: v.In.K, Q: v.In.Q}
		if v.Out.Error == "tile" || v.Out.Error == "" && v.In.Tile != nil && shape.Ops() > 1<<33 {
			continue // of one tile alone, for which an engine is not asked
		}
		var got [32]byte
		var err error
		if v.In.Tile == nil {
			unit := make([][32]byte, 1)
			err = e.Matmul(t.Context(), unit, v.In.Challenge, shape, []uint64{v.In.Unit})
			got = unit[0]
		} else if err = shape.Valid(); err == nil {
			tiles := make([][32]byte, shape.Tiles())
			err = e.Tiles(t.Context(), tiles, v.In.Challenge, shape, v.In.Unit)
			got = tiles[v.In.Tile[0]*shape.Columns()+v.In.Tile[1]]
		}
		if v.Out.Error == "shape" {
			if !errors.Is(err, matmul.ErrShape) {
				t.Errorf("%s: %v, want ErrShape", v.Name, err)
			}
			continue
		}
		if err != nil || got != v.Out.Digest {
			t.Errorf("%s: %x, %v, want %s", v.Name, got, err, v.Out.Digest)
		}
	}
}

// Whole units, of shapes that end within a block, whole and cut into blocks.
func TestUnitsOfMatmul(t *testing.T) {
	for _, g := range []geometry{wide, narrow} {
		e, ctx := openAs(t, variant{geometry: g}), t.Context()
		for i, shape := range []matmul.Shape{
			{M: 512, K: 256, Q: 512}, {M: 1024, K: 320, Q: 256}, {M: 256, K: 576, Q: 1024}, {M: 448, K: 384, Q: 640}, {M: 832, K: 256, Q: 320},
		} {
			challenge := seed.Seed{byte(i), 5}
			units := []uint64{uint64(i), 1<<63 + 1}
			want := make([][32]byte, len(units))
			if err := work.Reference().Matmul(ctx, want, challenge, shape, units); err != nil {
				t.Fatal(err)
			}
			for limit, blocks := range map[uint64]int{1 << 30: 1, uint64(256 * shape.K): (shape.M + 255) / 256 * ((shape.Q + 255) / 256)} {
				e.limits.operand = limit
				if n := len(e.blocks(shape)); n != blocks {
					t.Errorf("%v: %d blocks, want %d", shape, n, blocks)
				}
				got := make([][32]byte, len(units))
				if err := e.Matmul(ctx, got, challenge, shape, units); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%v in %d blocks: %s", shape, blocks, d)
				}
			}
		}
	}
}

// The deepest and widest units have factors beyond any limit.
func TestBlocksBoundMemory(t *testing.T) {
	e := openWide(t)
	for _, operand := range []uint64{1, 8 << 20, 100 << 20, 512 << 20} {
		e.limits.operand = operand
		for _, shape := range append(matmul.Published(), matmul.Shape{M: 32768, K: 65536, Q: 32768}, matmul.Shape{M: 256, K: 65536, Q: 1024}) {
			covered, most := 0, max(operand, uint64(128*shape.K))
			for _, b := range e.blocks(shape) {
				covered += b.rows * b.cols
				if uint64(b.rows*shape.K) > most || uint64(b.cols*shape.K) > most {
					t.Errorf("%v at %d: block %+v", shape, operand, b)
				}
			}
			if covered != shape.M*shape.Q {
				t.Errorf("%v at %d: %d results of %d", shape, operand, covered, shape.M*shape.Q)
			}
		}
	}
}

// Batches of every size around the boundaries: blocks, and what the engine
// takes at a time.
func TestUnitsOfTransformer(t *testing.T) {
	for _, c := range []struct {
		geometry geometry
		sizes    []int
	}{
		{wide, []int{1, 31, 32, 33, 37, 0}},
		{narrow, []int{2, 15, 16, 17, 35, 36, 73}},
	} {
		e := openAs(t, variant{geometry: c.geometry})
		e.limits.batch = 36
		compareModels(t, e, transformer.Nano, 73, c.sizes)
	}
}

func TestUnitOfSmall(t *testing.T) {
	compareModels(t, openAs(t, variant{geometry: narrow}), transformer.Small, 1, []int{1})
}

func compareModels(t *testing.T, e *engine, class transformer.Class, units int, sizes []int) {
	t.Helper()
	ctx := t.Context()
	seed1, node, segment := seed.Seed{21}, seed.Seed{22}, seed.Seed{23}
	reference, err := transformer.Build(ctx, class, seed1, nil)
	if err != nil {
		t.Fatal(err)
	}
	total := uint64(0)
	m, err := e.Transformer(ctx, class, seed1, func(done, of uint64) {
		if done <= total || of != class.WeightBytes() {
			t.Errorf("progress %d of %d after %d", done, of, total)
		}
		total = done
	})
	if err != nil || total != class.WeightBytes() || m.Class() != class {
		t.Fatalf("%v, %d bytes, class %v", err, total, m.Class())
	}
	nonces := make([]uint64, units)
	for i := range nonces {
		nonces[i] = uint64(i) << (i % 40)
	}
	want := make([]transformer.Output, units)
	if err := reference.Run(want, node, segment, nonces); err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes {
		got := make([]transformer.Output, n)
		if err := m.Run(got, node, segment, nonces[units-n:]); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != want[units-n+i] {
				t.Fatalf("batch of %d, unit %d: %+v, want %+v", n, i, got[i], want[units-n+i])
			}
		}
	}
}

// Callers share a model and the memory of blocks; each has answers of its own.
func TestConcurrentUse(t *testing.T) {
	e, ctx := openAs(t, variant{geometry: narrow}), t.Context()
	e.limits.batch, e.limits.operand = 5, 256*256
	m, err := e.Transformer(ctx, transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := transformer.Build(ctx, transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	compute := func(e work.Engine, m transformer.Model, caller byte) string {
		out, unit := make([]transformer.Output, 7), make([][32]byte, 2)
		err := m.Run(out, seed.Seed{caller}, seed.Seed{3}, []uint64{1, 2, 3, 4, 5, 6, uint64(caller)})
		err = errors.Join(err, e.Matmul(ctx, unit, seed.Seed{caller}, shape, []uint64{5, 6}))
		return fmt.Sprint(out, unit, err)
	}
	const callers = 4
	var got [callers]chan string
	for i := range got {
		got[i] = make(chan string, 3)
		go func() {
			for range cap(got[i]) {
				got[i] <- compute(e, m, byte(i))
			}
		}()
	}
	for i := range got {
		want := compute(work.Reference(), reference, byte(i))
		for range cap(got[i]) {
			if s := <-got[i]; s != want {
				t.Errorf("caller %d: %s, want %s", i, s, want)
			}
		}
	}
}

// Whoever computes while the engine closes gets a right answer or ErrClosed.
func TestCloseWhileComputing(t *testing.T) {
	e, ctx := openAs(t, variant{geometry: narrow}), t.Context()
	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	want, err := matmul.Unit(seed.Seed{}, 1, shape)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Transformer(ctx, transformer.Nano, seed.Seed{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 3
	started, ended := make(chan struct{}, callers), make(chan error, callers)
	for i := range callers {
		go func() {
			first := true
			for {
				var unit [1][32]byte
				var err error
				if i == 0 {
					err = m.Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{}, []uint64{1})
					unit[0] = want
				} else {
					err = e.Matmul(ctx, unit[:], seed.Seed{}, shape, []uint64{1})
				}
				if err == nil && unit[0] != want {
					err = fmt.Errorf("digest %x, want %x", unit[0], want)
				}
				if first {
					started <- struct{}{}
					first = false
				}
				if err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range callers {
		<-started
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for range callers {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

// The same mistakes give the same errors as with the reference.
func TestRefuses(t *testing.T) {
	e, ctx := openAs(t, variant{geometry: narrow}), t.Context()
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
	_, parts := e.Parts(ctx, seed.Seed{}, matmul.Shape{}, 1)
	_, partsDone := e.Parts(done, seed.Seed{}, shape, 1)
	_, peakDone := e.Peak(done)
	for name, pair := range map[string][2]error{
		"run":              {m.Run(nil, seed.Seed{}, seed.Seed{}, []uint64{1}), transformer.ErrRun},
		"units":            {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, shape, nil), work.ErrCall},
		"shape":            {e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, matmul.Shape{}, []uint64{1}), matmul.ErrShape},
		"cancelled":        {e.Matmul(done, make([][32]byte, 1), seed.Seed{}, shape, []uint64{1}), context.Canceled},
		"tiles":            {e.Tiles(ctx, make([][32]byte, 63), seed.Seed{}, shape, 1), work.ErrCall},
		"tiles' shape":     {e.Tiles(ctx, nil, seed.Seed{}, matmul.Shape{}, 1), matmul.ErrShape},
		"tiles, cancelled": {e.Tiles(done, make([][32]byte, 64), seed.Seed{}, shape, 1), context.Canceled},
		"parts":            {parts, matmul.ErrShape},
		"parts, cancelled": {partsDone, context.Canceled},
		"peak, cancelled":  {peakDone, context.Canceled},
	} {
		if !errors.Is(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}

// What does not fit is named, with what it needs and what there is.
func TestMemoryThatDoesNotSuffice(t *testing.T) {
	e, ctx := openAs(t, variant{geometry: narrow}), t.Context()
	device := *e.device
	e.device = &device
	refused := func(why string, err error, says ...string) {
		t.Helper()
		if !errors.Is(err, ErrMemory) {
			t.Errorf("%s: %v, want ErrMemory", why, err)
			return
		}
		for _, s := range says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v does not contain %q", why, err, s)
			}
		}
	}
	build := func(c transformer.Class) error {
		m, err := e.Transformer(ctx, c, seed.Seed{}, nil)
		if m != nil {
			t.Error("there is a model")
		}
		return err
	}
	device.Memory = 100 << 20
	refused("more than the device has", build(transformer.Small), "class small needs 128 MiB", "has 100 MiB")
	device.Memory, device.maxAlloc = 1<<40, 700<<10
	refused("more than a buffer holds", build(transformer.Small), "class small", "at most 700 KiB", "3072 KiB are needed")
	device.maxAlloc = 1 << 62
	_, err := e.alloc(1 << 55)
	refused("more than the driver gives", err, "CL_", device.Name)
	if e.held != 0 {
		t.Errorf("%d bytes are held after failures", e.held)
	}
}

func TestPartsAndPeak(t *testing.T) {
	e, ctx := openAs(t, variant{geometry: narrow}), t.Context()
	shape := matmul.Shape{M: 512, K: 512, Q: 512}
	e.limits.operand = 256 * 512
	parts, err := e.Parts(ctx, seed.Seed{1}, shape, 2)
	if err != nil {
		t.Fatal(err)
	}
	if parts.Expand <= 0 || parts.Product <= 0 || parts.Condense < 0 || parts.Hash <= 0 {
		t.Errorf("a unit's parts are %+v", parts)
	}
	// What it left in the operands is not taken for something else.
	got, want := make([][32]byte, 1), make([][32]byte, 1)
	if err := errors.Join(e.Matmul(ctx, got, seed.Seed{1}, shape, []uint64{2}), work.Reference().Matmul(ctx, want, seed.Seed{1}, shape, []uint64{2})); err != nil || got[0] != want[0] {
		t.Errorf("afterwards: %x, %v, want %x", got, err, want)
	}
	peak, err := e.Peak(ctx)
	if err != nil || peak.Ops < 1e8 || !strings.Contains(peak.How, e.device.Name) {
		t.Errorf("peak %+v, %v", peak, err)
	}
}
