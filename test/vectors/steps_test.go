// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/work/transformer"
)

// stepIn is one step of transformer/1 by itself, on the four positions one after another; each step
// reads its own.
type stepIn struct {
	Step  string  `json:"step"`
	Class string  `json:"class,omitempty"` // of a gate
	K     int     `json:"k,omitempty"`     // inputs of the product whose results are a
	H     []int32 `json:"h,omitempty"`
	A     []int32 `json:"a,omitempty"`
	Q     []int8  `json:"q,omitempty"`
	Key   []int8  `json:"key,omitempty"`
	V     []int8  `json:"v,omitempty"`
	G     []int8  `json:"g,omitempty"`
	U     []int8  `json:"u,omitempty"`
}

// limits are rows whose root mean square is at the edges: nothing, less than 1, the power of two at
// which the reciprocal is cut off (with odd elements, which then lie half way between two results),
// and the largest.
func limits() []int32 {
	h := make([]int32, 4*64)
	h[64] = 7
	for i := range 64 {
		h[128+i] = []int32{65, -63}[i%2]
		h[192+i] = []int32{1<<23 - 1, -(1<<23 - 1)}[i/32]
	}
	h[128], h[129] = 64, 64
	return h
}

// extremes are one head of 64 columns whose logits are far below the sink, far above it, small, and
// near each other with the sink beyond the table; the values are such that an exponent without its
// limit shows in a result.
func extremes() (q, k, v []int8) {
	q, k, v = make([]int8, 256), make([]int8, 256), make([]int8, 256)
	transformer.Weights(v, &prf.Key{8}, 0, 0, 0)
	for i := range 64 {
		q[i], k[i] = 127, -127
		q[64+i], k[64+i] = 127, 127
		q[128+i], k[128+i] = []int8{1, -1}[i%2], []int8{20, -20}[i%2]
		q[192+i], k[192+i] = []int8{60, -60}[i%2], []int8{21, -20}[i%2]
	}
	return q, k, v
}

// Each step at its limits, which units of chance inputs do not reach, and the gate of every class,
// whose units take too long. Holds spec W-9, W-13, W-14, W-15, W-16.
func TestTransformerSteps(t *testing.T) {
	const edge = 1<<23 - 1
	inputs := []given[stepIn]{
		{"norm, at the edges", stepIn{Step: "norm", H: limits()}},
		{"requant, d = 256", stepIn{Step: "requant", K: 256,
			A: []int32{0, 511, 512, -512, -513, 1 << 17, -1 << 17, 127<<10 + 511, 127<<10 + 512,
				-127<<10 - 513}}},
		{"requant, 4d = 16384", stepIn{Step: "requant", K: 16384,
			A: []int32{4095, 4096, -4096, -4097, 1 << 28, -1 << 28}}},
		{"residual", stepIn{Step: "residual", K: 1024,
			H: []int32{0, edge, -edge, edge - 1, -edge + 1, 5},
			A: []int32{2, 2, -3, 1 << 20, -1 << 20, -2}}},
	}
	q, k, v := extremes()
	inputs = append(inputs, given[stepIn]{"attend, far from the sink and beyond the table",
		stepIn{Step: "attend", Q: q, Key: k, V: v}})
	for _, c := range transformer.Classes() {
		inputs = append(inputs, given[stepIn]{"gate, " + c.Name, stepIn{Step: "gate", Class: c.Name,
			G: []int8{0, 1, -1, 16, 127, 127, -127, -127, 31, 33, 8, -64},
			U: []int8{127, 32, 64, -2, 127, -127, 127, -127, 32, 1, 3, 97}}})
	}
	check(t, "transformer_steps.json", "steps of transformer/1 at their limits; elements of all "+
		"positions, one after another", inputs, func(t testing.TB, in stepIn) []int32 {
		wide := func(x []int8) (out []int32) {
			for _, v := range x {
				out = append(out, int32(v))
			}
			return out
		}
		switch in.Step {
		case "norm":
			x := make([]int8, len(in.H))
			transformer.Norm(x, in.H)
			return wide(x)
		case "requant":
			x := make([]int8, len(in.A))
			transformer.Requant(x, in.A, in.K)
			return wide(x)
		case "residual":
			h := slices.Clone(in.H)
			transformer.Residual(h, in.A, in.K)
			return h
		case "attend":
			o := make([]int8, len(in.Q))
			transformer.Attend(o, in.Q, in.Key, in.V)
			return wide(o)
		case "gate":
			class, err := transformer.ByName(in.Class)
			if err != nil {
				t.Fatal(err)
			}
			z := make([]int8, len(in.G))
			class.Gate(z, in.G, in.U)
			return wide(z)
		}
		t.Fatalf("no step %q", in.Step)
		return nil
	})
}
