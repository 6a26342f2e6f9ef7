// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// unit is a question of matmul/1.
type unit struct {
	challenge seed.Seed
	number    uint64
	shape     matmul.Shape
}

// segment is what units of transformer/1 have in common that one call computes.
type segment struct {
	class                transformer.Class
	seed1, node, segment seed.Seed
}

// said is what the definition has answered.
var said = struct {
	sync.Mutex
	tiles   map[unit][][32]byte
	outputs map[segment]map[uint64]transformer.Output // by nonce
}{tiles: map[unit][][32]byte{}, outputs: map[segment]map[uint64]transformer.Output{}}

// tiles are the digests of a unit's tiles, as defined.
func (u unit) tiles(t testing.TB) [][32]byte {
	t.Helper()
	said.Lock()
	defer said.Unlock()
	all, known := said.tiles[u]
	if !known {
		var err error
		if all, err = matmul.AppendTiles(nil, u.challenge, u.number, u.shape); err != nil {
			t.Fatal(err)
		}
		said.tiles[u] = all
	}
	return all
}

// outputs are what the units of some nonces give, as defined.
func (s segment) outputs(t testing.TB, nonces []uint64) []transformer.Output {
	t.Helper()
	said.Lock()
	defer said.Unlock()
	known := said.outputs[s]
	if known == nil {
		known = map[uint64]transformer.Output{}
		said.outputs[s] = known
	}
	var asked []uint64
	for _, n := range nonces {
		if _, ok := known[n]; !ok {
			asked = append(asked, n)
		}
	}
	if len(asked) > 0 {
		m, err := transformer.Build(t.Context(), s.class, s.seed1, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range s.run(t, m, asked) {
			known[asked[i]] = o
		}
	}
	all := make([]transformer.Output, len(nonces))
	for i, n := range nonces {
		all[i] = known[n]
	}
	return all
}

// run has a model compute units in one call.
func (s segment) run(t testing.TB, m transformer.Model, nonces []uint64) []transformer.Output {
	t.Helper()
	out := make([]transformer.Output, len(nonces))
	if err := m.Run(out, s.node, s.segment, nonces); err != nil {
		t.Fatal(err)
	}
	return out
}

// model has an engine build the model, and gives its memory back when the test ends.
func (s segment) model(t testing.TB, e work.Engine,
	progress func(done, total uint64)) transformer.Model {
	t.Helper()
	m, err := e.Transformer(t.Context(), s.class, s.seed1, progress)
	if err != nil {
		t.Fatalf("%s: model of class %s: %v", e.Name(), s.class.Name, err)
	}
	if c, ok := m.(io.Closer); ok {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Errorf("%s: closing a model of class %s: %v", e.Name(), s.class.Name, err)
			}
		})
	}
	return m
}

// Same ends a test whose results are not what they should be.
func Same[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) { // cmp alone is slow
		t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

// Random makes a generator and says its seed in case of failure. In tests with
// -short it is always the same.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	if !testing.Short() {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Digest is any digest, or seed.
func Digest(r *rand.Rand) (d [32]byte) {
	for i := range d {
		d[i] = byte(r.Uint32())
	}
	return d
}
