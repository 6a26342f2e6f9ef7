// SPDX-License-Identifier: Apache-2.0

package enginetest_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/device/enginetest"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// listener is told what a check finds.
type listener struct {
	testing.TB
	failed bool
}

func (l *listener) Helper()               {}
func (l *listener) Errorf(string, ...any) { l.failed = true }
func (l *listener) Fatalf(string, ...any) { l.failed = true; runtime.Goexit() }
func (l *listener) Fatal(...any)          { l.failed = true; runtime.Goexit() }

// finds reports whether a check finds something.
func finds(t *testing.T, check func(testing.TB)) bool {
	l, ended := &listener{TB: t}, make(chan struct{})
	go func() { // which Fatal ends
		defer close(ended)
		check(l)
	}()
	<-ended
	return l.failed
}

// faulty is an engine with a fault of the kinds that one makes.
type faulty struct {
	profile.Engine
	fault string

	mu    sync.Mutex
	first seed.Seed // that it was asked for
}

func (f *faulty) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	if progress != nil && f.fault == "progress" {
		progress(0, 0)
	}
	if f.fault == "class" && class.Valid() != nil {
		class = transformer.Nano
	}
	if f.fault == "deaf" {
		ctx = context.WithoutCancel(ctx)
	}
	m, err := f.Engine.Transformer(ctx, class, seed1, progress)
	if err != nil && f.fault != "nil" {
		return nil, err
	}
	return &faultyModel{m, f}, err
}

// mistake spoils what a call with many answers gives last.
func (f *faulty) mistake(fault string, n int) bool { return f.fault == fault && n > 0 }

func (f *faulty) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed,
	shape matmul.Shape, units []uint64) error {
	if f.fault == "mixed up" {
		challenge = f.only(challenge)
	}
	if f.fault == "deaf" {
		ctx = context.WithoutCancel(ctx)
	}
	if f.fault == "sizes" && len(dst) != len(units) {
		return nil
	}
	err := f.Engine.Matmul(ctx, dst, challenge, shape, units)
	if f.mistake("unit", len(dst)) {
		dst[len(dst)-1][31] ^= 1
	}
	return err
}

// only is the first seed for whoever asks.
func (f *faulty) only(s seed.Seed) seed.Seed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == (seed.Seed{}) {
		f.first = s
	}
	return f.first
}

func (f *faulty) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	err := f.Engine.Tiles(ctx, dst, challenge, shape, unit)
	if f.mistake("tile", len(dst)) {
		dst[len(dst)-1][0] ^= 0x80
	}
	return err
}

type faultyModel struct {
	transformer.Model
	of *faulty
}

func (m *faultyModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	if m.of.fault == "sizes" && len(dst) != len(nonces) {
		return nil
	}
	err := m.Model.Run(dst, node, segment, nonces)
	if last := len(dst) - 1; m.of.mistake("norm", len(dst)) {
		dst[last].Norm++
	} else if m.of.mistake("batch of 3", len(dst)) && len(dst) == 3 {
		dst[last].Middle[5] ^= 4
	}
	return err
}

func (f *faulty) Parts(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) (profile.Parts, error) {
	if f.fault == "parts" {
		shape = matmul.Shape{M: 512, K: 256, Q: 512}
	}
	return f.Engine.Parts(ctx, challenge, shape, unit)
}

// alone has Tile too.
type alone struct{ *faulty }

func (a alone) Tile(challenge seed.Seed, unit uint64, shape matmul.Shape, ti,
	tj int) ([32]byte, error) {
	digest, err := a.Engine.(interface {
		Tile(seed.Seed, uint64, matmul.Shape, int, int) ([32]byte, error)
	}).Tile(challenge, unit, shape, ti, tj)
	switch {
	case a.fault == "tile alone":
		digest[1] ^= 1
	case a.fault == "edges":
		err = nil
	}
	return digest, err
}

var shape = matmul.Shape{M: 512, K: 320, Q: 576}

// checks are by name; each is to find some faults.
var checks = map[string]struct {
	check  func(t testing.TB, e work.Engine)
	faults []string
}{
	"vectors": {enginetest.Vectors, []string{"unit", "tile", "norm"}},
	"units": {func(t testing.TB, e work.Engine) {
		enginetest.Units(t, e, shape, 3)
	}, []string{"unit", "tile"}},
	"models": {func(t testing.TB, e work.Engine) {
		enginetest.Models(t, e, transformer.Nano, 5, 0, 1, 3, 5)
	}, []string{"norm", "batch of 3", "progress"}},
	"random units": {func(t testing.TB, e work.Engine) {
		enginetest.RandomUnits(t, enginetest.Random(t), 1, e)
	}, []string{"tile"}},
	"random models": {func(t testing.TB, e work.Engine) {
		enginetest.RandomModels(t, enginetest.Random(t), 1, e)
	}, []string{"norm"}},
	"concurrent": {func(t testing.TB, e work.Engine) {
		enginetest.Concurrent(t, e, 3, 2)
	}, []string{"mixed up", "unit", "norm"}},
	"refuses": {enginetest.Refuses, []string{"sizes", "class", "nil", "deaf", "parts"}},
}

// Each check is silent about an engine that is right, and finds each fault that
// is planted for it.
func TestPlantedFaults(t *testing.T) {
	engines := cpu.Engines()
	if len(engines) == 0 {
		t.Skip("this processor has the reference only")
	}
	for name, c := range checks {
		for _, fault := range append(c.faults, "none") {
			if found := finds(t, func(t testing.TB) {
				c.check(t, &faulty{Engine: engines[0], fault: fault})
			}); found != (fault != "none") {
				t.Errorf("%s finds something: %t, where the fault is: %s", name, found, fault)
			}
		}
	}
	for fault, check := range map[string]string{"tile alone": "units", "edges": "vectors",
		"none": "vectors"} {
		if found := finds(t, func(t testing.TB) {
			checks[check].check(t, alone{&faulty{Engine: engines[0], fault: fault}})
		}); found != (fault != "none") {
			t.Errorf("%s, of single tiles too, finds something: %t, where the fault is: %s",
				check, found, fault)
		}
	}
}

// product is right but for what spoil does to an element of the factors.
func product(spoil func(x, y int8) int32) enginetest.Multiply {
	return func(a, b []int8, m, n, k int) []int32 {
		c := make([]int32, 0, m*n)
		for row := range m {
			for col := range n {
				sum := int32(0)
				for i := range k {
					sum += spoil(a[row*k+i], b[col*k+i])
				}
				c = append(c, sum)
			}
		}
		return c
	}
}

func TestPlantedFaultsOfProducts(t *testing.T) {
	right := func(x, y int8) int32 { return int32(x) * int32(y) }
	for name, c := range map[string]struct {
		multiply enginetest.Multiply
		found    bool
	}{
		"none": {product(right), false},
		"signs mistaken": {product(func(x,
			y int8) int32 {
			return int32(uint8(x)) * int32(y)
		}), true},
		"the rarest pair": {product(func(x, y int8) int32 {
			if x == -128 && y == -128 {
				return 1<<14 - 1
			}
			return right(x, y)
		}), true},
		"the last column": {func(a, b []int8, m, n, k int) []int32 {
			c := product(right)(a, b, m, n, k)
			c[n-1]++
			return c
		}, true},
	} {
		for _, check := range []func(testing.TB){
			func(t testing.TB) {
				enginetest.Products(t, enginetest.Random(t), c.multiply, 40,
					enginetest.Sizes{M: 9, N: 9, K: 40, Edges: []int{1, 8}})
			},
			func(t testing.TB) { enginetest.Limits(t, c.multiply, 2, 3, 100) },
		} {
			if found := finds(t, check); found != c.found {
				t.Errorf("%s: %t", name, found)
			}
		}
	}
}

// The definition's own steps agree with themselves; with one wrong value in the
// last unit they do not.
func TestPlantedFaultsOfSteps(t *testing.T) {
	c, r := transformer.Nano, enginetest.Random(t)
	const units = 12
	n := transformer.Tokens * c.D
	norm := func(h []int32) (x []int8, squares []uint64) {
		x = make([]int8, len(h))
		for i := range units {
			transformer.Norm(x[i*n:][:n], h[i*n:][:n])
			squares = append(squares, transformer.SquaredNorm(h[i*n:][:n]))
		}
		return x, squares
	}
	attend := func(q, k, v []int8) []int8 {
		o := make([]int8, len(q))
		for i := 0; i < len(q); i += n {
			transformer.Attend(o[i:][:n], q[i:][:n], k[i:][:n], v[i:][:n])
		}
		return o
	}
	for name, f := range map[string]func(x []int8, squares []uint64, o []int8){
		"none":    func([]int8, []uint64, []int8) {},
		"row":     func(x []int8, _ []uint64, _ []int8) { x[len(x)-1]++ },
		"squares": func(_ []int8, squares []uint64, _ []int8) { squares[units-1]++ },
		"values":  func(_ []int8, _ []uint64, o []int8) { o[len(o)-1]-- },
	} {
		ofNorms := finds(t, func(t testing.TB) {
			enginetest.Norms(t, r, c, units, func(h []int32) ([]int8, []uint64) {
				x, squares := norm(h)
				f(x, squares, make([]int8, 1))
				return x, squares
			})
		})
		ofAttention := finds(t, func(t testing.TB) {
			enginetest.Attention(t, r, c, units, func(q, k, v []int8) []int8 {
				o := attend(q, k, v)
				f(make([]int8, 1), make([]uint64, units), o)
				return o
			})
		})
		if ofNorms != slices.Contains([]string{"row", "squares"}, name) ||
			ofAttention != (name == "values") {
			t.Errorf("%s: norms %t, attention %t", name, ofNorms, ofAttention)
		}
	}
}
