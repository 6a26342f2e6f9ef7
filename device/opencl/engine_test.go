// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/assaynet/assay/device/enginetest"
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

func TestVectors(t *testing.T) {
	e := openWide(t)
	t.Logf("device: %s (%s)", e.device.Name, e.device.Driver) // test/gpukit reads it
	enginetest.Vectors(t, e)
}

// Whole units, of shapes that end within a block, whole and cut into blocks.
func TestUnitsOfMatmul(t *testing.T) {
	for _, g := range []geometry{wide, narrow} {
		e := openAs(t, variant{geometry: g})
		for _, shape := range []matmul.Shape{
			{M: 512, K: 256, Q: 512}, {M: 1024, K: 320, Q: 256}, {M: 256, K: 576, Q: 1024},
			{M: 448, K: 384, Q: 640}, {M: 832, K: 256, Q: 320},
		} {
			for limit, blocks := range map[uint64]int{1 << 30: 1,
				uint64(256 * shape.K): (shape.M + 255) / 256 * ((shape.Q + 255) / 256)} {
				e.limits.operand = limit
				if n := len(e.blocks(shape)); n != blocks {
					t.Errorf("%v: %d blocks, want %d", shape, n, blocks)
				}
				enginetest.Units(t, e, shape, 2)
			}
		}
	}
}

// The deepest and widest units have factors beyond any limit.
func TestBlocksBoundMemory(t *testing.T) {
	e := openWide(t)
	for _, operand := range []uint64{1, 8 << 20, 100 << 20, 512 << 20} {
		e.limits.operand = operand
		for _, shape := range append(matmul.Published(), matmul.Shape{M: 32768, K: 65536, Q: 32768},
			matmul.Shape{M: 256, K: 65536, Q: 1024}) {
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
		enginetest.Models(t, e, transformer.Nano, 73, c.sizes...)
	}
}

func TestUnitOfSmall(t *testing.T) {
	enginetest.Models(t, openAs(t, variant{geometry: narrow}), transformer.Small, 1, 1)
}

// Callers share a model and the memory of blocks; each has answers of its own.
func TestConcurrentUse(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	e.limits.batch, e.limits.operand = 5, 256*256
	enginetest.Concurrent(t, e, 4, 3)
}

// Anyone who computes while the engine closes gets a right answer or ErrClosed.
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
					err = m.Run(make([]transformer.Output, 1), seed.Seed{},
						seed.Seed{}, []uint64{1})
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

func TestRefuses(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	enginetest.Refuses(t, e)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Peak(done); !errors.Is(err, context.Canceled) {
		t.Errorf("peak, cancelled: %v", err)
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
	refused("more than the device has", build(transformer.Small), "class small needs 128 MiB",
		"has 100 MiB")
	device.Memory, device.maxAlloc = 1<<40, 700<<10
	refused("more than a buffer holds", build(transformer.Small), "class small", "at most 700 KiB",
		"3072 KiB are needed")
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
	if err := errors.Join(e.Matmul(ctx, got, seed.Seed{1}, shape, []uint64{2}),
		work.Reference().Matmul(ctx, want, seed.Seed{1}, shape, []uint64{2})); err != nil ||
		got[0] != want[0] {
		t.Errorf("afterwards: %x, %v, want %x", got, err, want)
	}
	peak, err := e.Peak(ctx)
	if err != nil || peak.Ops < 1e8 || !strings.Contains(peak.How, e.device.Name) {
		t.Errorf("peak %+v, %v", peak, err)
	}
}
