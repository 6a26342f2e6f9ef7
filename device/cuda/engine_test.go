// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/device/enginetest"
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
				t.Logf("device: %s", f.Name) // test/gpukit reads it
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

func TestVectors(t *testing.T) {
	everywhere(t, func(t *testing.T, g target,
		open func() driver) {
		enginetest.Vectors(t, engineOn(t, g, open()))
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
		for _, c := range cases {
			e.limits.operand = c.operand
			enginetest.Units(t, e, c.shape, c.units)
		}
	})
}

// Trees of every kind: whole and ragged, of one level of fold, two and three.
func TestRoots(t *testing.T) {
	sides := [][2]int{{1, 1}, {1, 2}, {1, 3}, {5, 5}, {15, 17}, {16, 16},
		{1, 257}, {3, 256}, {27, 53}}
	if long {
		sides = append(sides, [2]int{256, 256}, [2]int{257, 256}, [2]int{1, 65537})
	}
	everywhere(t, func(t *testing.T, g target, open func() driver) {
		e := engineOn(t, g, open())
		for _, side := range sides {
			u := units{engine: e, shape: matmul.Shape{M: 64 * side[0], K: 64, Q: 64 * side[1]},
				numbers: make([]uint64, 2)}
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
			enginetest.Models(t, e, c.class, slices.Max(c.sizes), c.sizes...)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	enginetest.Concurrent(t, engineOn(t, ampere, interpret(5)), 2, 1)
}

func TestRefuses(t *testing.T) {
	enginetest.Refuses(t, engineOn(t, ampere, interpret(1)))
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
	if _, err := e.Tile(seed.Seed{}, 0, matmul.Shape{M: 512, K: 256, Q: 512}, 0,
		0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed engine computes: %v", err)
	}
}

func TestTooLittleMemory(t *testing.T) {
	d := interpret(3)
	d.total = 24 << 20
	e := engineOn(t, ampere, d)
	_, err := e.Transformer(t.Context(), transformer.Small, seed.Seed{}, nil)
	if !errors.Is(err, ErrMemory) ||
		!strings.Contains(err.Error(), "class small needs 128 MiB, 23 of 24 MiB are free") {
		t.Errorf("the weights of small: %v", err)
	}
	shape := matmul.Shape{M: 4096, K: 4096, Q: 4096}
	err = e.Tiles(t.Context(), make([][32]byte, shape.Tiles()), seed.Seed{}, shape, 0)
	if !errors.Is(err, ErrMemory) ||
		!strings.Contains(err.Error(), "shape 4096x4096x4096 needs 33 MiB") {
		t.Errorf("a large unit: %v", err)
	}
	// What fits still runs, and batches are cut to an eighth of the memory.
	m, err := e.buildModel(t.Context(), transformer.Nano, seed.Seed{}, nil)
	if err != nil || m.units != 128 {
		t.Fatalf("nano: %v, batches of %d", err, m.units)
	}
	if err := m.Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{},
		[]uint64{1}); err != nil {
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
		if err != nil || parts.Expand <= 0 || parts.Product <= 0 || parts.Hash <= 0 ||
			parts.Condense < 0 {
			t.Errorf("%+v, %v", parts, err)
		}
	})
}
