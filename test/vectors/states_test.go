// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"testing"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

type statesOut struct {
	H      hash       `json:"h"` // the embeddings
	Layers []layerOut `json:"layers"`
	Digest hash       `json:"digest"`
}

// layerOut has the values of a layer as W-12 names them; a is what Attend gives.
type layerOut struct {
	X  hash `json:"x"`
	Q  hash `json:"q"`
	K  hash `json:"k"`
	V  hash `json:"v"`
	A  hash `json:"a"`
	H  hash `json:"h"`
	X2 hash `json:"x2"`
	G  hash `json:"g"`
	U  hash `json:"u"`
	Z  hash `json:"z"`
	H2 hash `json:"h2"`
}

// hashed is SHA-256 over values as LE32.
func hashed[T int8 | int32](values []T) hash {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, uint32(int32(v)))
	}
	return sha256.Sum256(out)
}

// A unit step by step, so that an implementation finds where it goes another way: spec W-10, W-11,
// W-12, W-17.
func TestTransformerStates(t *testing.T) {
	in := unitIn{"nano", counted(1), counted(2), counted(3), 0}
	about := "a unit of transformer/1 step by step: SHA-256 over the values of W-12 as LE32, " +
		"position after position; x2 and h2 are the second x and h of a layer"
	check(t, "transformer_states.json", about, []given[unitIn]{{"nonce 0", in}},
		func(t testing.TB, in unitIn) (out statesOut) {
			class, err := transformer.ByName(in.Class)
			if err != nil {
				t.Fatal(err)
			}
			d := class.D
			weights, embed := prf.Key(seed.Weights(in.Seed1, in.Class)),
				prf.Key(seed.Embed(in.Seed1, in.Class))
			h := make([]int32, 4*d)
			transformer.Embed(h, &embed, seed.Input(in.Node, in.Segment, in.Nonce))
			out.H = hashed(h)
			for layer := range class.Layers {
				times := func(matrix, rows int, x []int8) []int32 {
					cols := len(x) / 4
					w, acc := make([]int8, rows*cols), make([]int32, 4*rows)
					transformer.Weights(w, &weights, layer, matrix, 0)
					for i := range acc {
						for c := range cols {
							acc[i] += int32(w[i%rows*cols+c]) * int32(x[i/rows*cols+c])
						}
					}
					return acc
				}
				narrow := func(acc []int32) []int8 {
					x := make([]int8, len(acc))
					transformer.Requant(x, acc, d)
					return x
				}
				var l layerOut
				x := make([]int8, 4*d)
				transformer.Norm(x, h)
				q, k, v := narrow(times(0, d, x)), narrow(times(1, d, x)), narrow(times(2, d, x))
				a := make([]int8, 4*d)
				transformer.Attend(a, q, k, v)
				l.X, l.Q, l.K, l.V, l.A = hashed(x), hashed(q), hashed(k), hashed(v), hashed(a)
				transformer.Residual(h, times(3, d, a), d)
				transformer.Norm(x, h)
				l.H, l.X2 = hashed(h), hashed(x)
				g, u, z := narrow(times(4, 4*d, x)), narrow(times(5, 4*d, x)), make([]int8, 16*d)
				class.Gate(z, g, u)
				transformer.Residual(h, times(6, d, z), 4*d)
				l.G, l.U, l.Z, l.H2 = hashed(g), hashed(u), hashed(z), hashed(h)
				out.Layers = append(out.Layers, l)
			}
			words := make([]uint32, class.Words())
			transformer.Condense(words, h)
			out.Digest = class.Digest(words)
			return out
		})
}

// Units of the larger classes. One of small takes two seconds, one of base twenty and a gigabyte:
// it is computed with ASSAY_LONG=1. Holds spec W-9, W-12.
func TestLargerUnits(t *testing.T) {
	for _, class := range []string{"small", "base"} {
		if class == "base" && os.Getenv("ASSAY_LONG") == "" && !*update {
			t.Log("units of base are computed with ASSAY_LONG=1")
			continue
		}
		check(t, "transformer_"+class+".json", "a unit of class "+class, []given[unitIn]{
			{"nonce 0", unitIn{class, counted(1), counted(2), counted(3), 0}},
		}, computeUnit)
	}
}

func computeUnit(t testing.TB, in unitIn) unitOut {
	class, err := transformer.ByName(in.Class)
	if err != nil {
		t.Fatal(err)
	}
	model, err := transformer.Build(t.Context(), class, in.Seed1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out [1]transformer.Output
	if err := model.Run(out[:], in.Node, in.Segment, []uint64{in.Nonce}); err != nil {
		t.Fatal(err)
	}
	return unitOut{out[0].Norm, out[0].Digest, out[0].Middle}
}
