// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Case is one of the published vectors.
type Case[In, Out any] struct {
	Name string `json:"name"`
	In   In     `json:"in"`
	Out  Out    `json:"out"`
}

// Cases reads a file of published vectors.
func Cases[In, Out any](t testing.TB, name string) []Case[In, Out] {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "test", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []Case[In, Out] `json:"cases"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 3 {
		t.Fatalf("%s has %d cases", name, len(file.Cases))
	}
	return file.Cases
}

// Vectors holds an engine to all published vectors of both kinds of work.
func Vectors(t testing.TB, e work.Engine) {
	t.Helper()
	// test/gpukit adds them up
	t.Logf("%d published vectors", vectorsOfTransformer(t, e)+vectorsOfMatmul(t, e))
}

// vectorsOfTransformer computes the cases of one segment together, and counts them.
func vectorsOfTransformer(t testing.TB, e work.Engine) (n int) {
	t.Helper()
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
	type modelOf struct {
		class transformer.Class
		seed1 seed.Seed
	}
	models, together := map[modelOf]transformer.Model{}, map[segment][]Case[in, out]{}
	for _, v := range Cases[in, out](t, "transformer.json") {
		class, err := transformer.ByName(v.In.Class)
		if err != nil {
			t.Fatal(err)
		}
		s := segment{class, v.In.Seed1, v.In.Node, v.In.Segment}
		together[s] = append(together[s], v)
	}
	for s, cases := range together {
		m := models[modelOf{s.class, s.seed1}]
		if m == nil {
			m = s.model(t, e, nil)
			models[modelOf{s.class, s.seed1}] = m
		}
		nonces := make([]uint64, len(cases))
		for i, v := range cases {
			nonces[i] = v.In.Nonce
		}
		for i, got := range s.run(t, m, nonces) {
			n++
			o := cases[i].Out
			if want := (transformer.Output{Record: record.Record{Norm: o.Norm, Digest: o.Digest},
				Middle: o.Middle}); got != want {
				t.Errorf("%s: transformer.json: %s: %+v, want %+v", e.Name(),
					cases[i].Name, got, want)
			}
		}
	}
	return n
}

// tiler is an engine that computes one tile alone, as an audit asks for it.
type tiler interface {
	Tile(challenge seed.Seed, unit uint64, shape matmul.Shape, ti, tj int) ([32]byte, error)
}

// vectorsOfMatmul asks an engine without Tile for all tiles of a unit where that
// is not too many, and counts the cases that it could ask.
func vectorsOfMatmul(t testing.TB, e work.Engine) (n int) {
	t.Helper()
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
	alone, single := e.(tiler)
	for _, v := range Cases[in, out](t, "matmul.json") {
		shape := matmul.Shape{M: v.In.M, K: v.In.K, Q: v.In.Q}
		var got [32]byte
		var err error
		switch {
		case v.In.Tile == nil:
			var digests [1][32]byte
			err = e.Matmul(t.Context(), digests[:], v.In.Challenge, shape, []uint64{v.In.Unit})
			got = digests[0]
		case single:
			got, err = alone.Tile(v.In.Challenge, v.In.Unit, shape, v.In.Tile[0], v.In.Tile[1])
		case shape.Valid() != nil:
			err = e.Tiles(t.Context(), nil, v.In.Challenge, shape, v.In.Unit)
		case v.Out.Error != "" || shape.Ops() > 1<<33:
			continue
		default:
			tiles := make([][32]byte, shape.Tiles())
			err = e.Tiles(t.Context(), tiles, v.In.Challenge, shape, v.In.Unit)
			got = tiles[v.In.Tile[0]*shape.Columns()+v.In.Tile[1]]
		}
		n++
		if v.Out.Error != "" {
			if want := wrong[v.Out.Error]; want == nil || !errors.Is(err, want) {
				t.Errorf("%s: matmul.json: %s: %v, want %v", e.Name(), v.Name, err, want)
			}
			continue
		}
		if err != nil || got != v.Out.Digest {
			t.Errorf("%s: matmul.json: %s: %x, %v, want %s", e.Name(), v.Name,
				got, err, v.Out.Digest)
		}
	}
	return n
}
