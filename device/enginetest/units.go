// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Units has an engine compute n units of a shape in one call, all tiles of the
// first, and one tile alone if it can.
func Units(t testing.TB, e work.Engine, shape matmul.Shape, n int) {
	t.Helper()
	challenge := seed.Seed{byte(shape.M / 64), byte(shape.K / 64), byte(shape.Q / 64)}
	numbers, got, want := make([]uint64, n), make([][32]byte, n), make([][32]byte, n)
	for i := range numbers {
		numbers[i] = uint64(i) << (i % 64)
		if i > 0 && i == n-1 {
			numbers[i] = 1<<63 + 1
		}
		want[i] = matmul.Root(unit{challenge, numbers[i], shape}.tiles(t))
	}
	if err := e.Matmul(t.Context(), got, challenge, shape, numbers); err != nil {
		t.Fatal(err)
	}
	Same(t, fmt.Sprintf("%s: %d units of %v", e.Name(), n, shape), got, want)

	first := unit{challenge, numbers[0], shape}
	first.check(t, e)
	if alone, ok := e.(tiler); ok {
		ti, tj := shape.Rows()-1, shape.Columns()-1
		tile, err := alone.Tile(challenge, first.number, shape, ti, tj)
		if all := first.tiles(t); err != nil || tile != all[len(all)-1] {
			t.Errorf("%s: the last tile of %v alone: %x, %v, want %x", e.Name(), shape,
				tile, err, all[len(all)-1])
		}
	}
}

// check has an engine compute all tiles of a unit.
func (u unit) check(t testing.TB, e work.Engine) {
	t.Helper()
	got := make([][32]byte, u.shape.Tiles())
	if err := e.Tiles(t.Context(), got, u.challenge, u.shape, u.number); err != nil {
		t.Fatal(err)
	}
	Same(t, fmt.Sprintf("%s: tiles of unit %d of %v, %v", e.Name(), u.number, u.challenge, u.shape),
		got, u.tiles(t))
}

// RandomUnits has engines compute all tiles of n random units of random shapes.
func RandomUnits[E work.Engine](t testing.TB, r *rand.Rand, n int, engines ...E) {
	t.Helper()
	for range n {
		shape := matmul.Shape{M: 64 * (8 + r.IntN(5)), K: 64 * (4 + r.IntN(16)),
			Q: 64 * (8 + r.IntN(5))}
		u := unit{Digest(r), r.Uint64(), shape}
		for _, e := range engines {
			u.check(t, e)
		}
	}
}

// Models has an engine build a model and run it in calls of several sizes: the
// last of the given number of units.
func Models(t testing.TB, e work.Engine, class transformer.Class, units int, sizes ...int) {
	t.Helper()
	s := segment{class, seed.Seed{21}, seed.Seed{22}, seed.Seed{23}}
	total := uint64(0)
	m := s.model(t, e, func(done, of uint64) {
		if done <= total || of != class.WeightBytes() {
			t.Errorf("%s: progress %d of %d after %d", class.Name, done, of, total)
		}
		total = done
	})
	if total != class.WeightBytes() || m.Class() != class {
		t.Fatalf("%s: %d bytes of %d, class %v", class.Name, total, class.WeightBytes(), m.Class())
	}
	nonces := make([]uint64, units)
	for i := range nonces {
		nonces[i] = uint64(i) << (i % 40)
	}
	want := s.outputs(t, nonces)
	for _, n := range sizes {
		got := s.run(t, m, nonces[units-n:])
		Same(t, fmt.Sprintf("%s: %d units of class %s", e.Name(), n, class.Name),
			got, want[units-n:])
	}
}

// RandomModels has engines run n random models of the smallest class, each with a
// random number of random units.
func RandomModels[E work.Engine](t testing.TB, r *rand.Rand, n int, engines ...E) {
	t.Helper()
	for range n {
		s := segment{transformer.Nano, Digest(r), Digest(r), Digest(r)}
		nonces := make([]uint64, 1+r.IntN(64))
		for i := range nonces {
			nonces[i] = r.Uint64()
		}
		want := s.outputs(t, nonces)
		for _, e := range engines {
			got := s.run(t, s.model(t, e, nil), nonces)
			Same(t, fmt.Sprintf("%s: %d units of model %v", e.Name(), len(nonces), s.seed1),
				got, want)
		}
	}
}
