// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/seed"
)

// These tests show, on class nano, that the model neither collapses nor saturates,
// and that no shortcut that would save work keeps a digest.

// scaled is a number of nonces, or few of them under the race detector.
func scaled(n int) int {
	if underRace {
		return max(2, n/20)
	}
	return n
}

// TestTensorStatistics: sigma of every int8 tensor in 12..40, less than 3 % at
// the limits, no saturated residual.
func TestTensorStatistics(t *testing.T) {
	type stat struct{ n, sum, squares, clipped float64 }
	stats := map[string]*stat{}
	largest := int32(0)
	n := &naive{
		m: nanoModel(),
		observe: func(tensor string, l int, v []int8) {
			key := fmt.Sprintf("%s, layer %d", tensor, l)
			s := stats[key]
			if s == nil {
				s = new(stat)
				stats[key] = s
			}
			for _, x := range v {
				f := float64(x)
				s.n++
				s.sum += f
				s.squares += f * f
				if x == 127 || x == -127 {
					s.clipped++
				}
			}
		},
		stream: func(_ int, h []int32) {
			for _, v := range h {
				largest = max(largest, v, -v)
			}
		},
	}
	for nonce := range uint64(scaled(40)) {
		n.run(seed.Input(testNode, testSegment, nonce))
	}
	if want := 8 * Nano.Layers; len(stats) != want {
		t.Errorf("%d tensors seen, want %d", len(stats), want)
	}
	for key, s := range stats {
		mean := s.sum / s.n
		sigma := math.Sqrt(s.squares/s.n - mean*mean)
		if sigma < 12 || sigma > 40 {
			t.Errorf("%s: sigma %.1f outside 12..40", key, sigma)
		}
		if clip := s.clipped / s.n; clip >= 0.03 {
			t.Errorf("%s: %.2f %% at the limits", key, 100*clip)
		}
	}
	if largest >= MaxResidual {
		t.Errorf("the residual stream saturated")
	}
	if largest > 1<<20 {
		t.Errorf("largest residual %d, expected below 2^20", largest)
	}
}

// TestNoncesDoNotCollapse: the final vectors of different nonces are as good as
// orthogonal.
func TestNoncesDoNotCollapse(t *testing.T) {
	n := &naive{m: nanoModel()}
	var vectors [][]int32
	norms := map[uint64]bool{}
	for nonce := range uint64(scaled(60)) {
		r := n.run(seed.Input(testNode, testSegment, nonce))
		vectors = append(vectors, r.last)
		norms[r.Norm] = true
	}
	sum, squares, pairs := 0.0, 0.0, 0.0
	for i := range vectors {
		for j := range i {
			c := cosine(vectors[i], vectors[j])
			sum, squares, pairs = sum+c, squares+c*c, pairs+1
		}
	}
	if mean := sum / pairs; math.Abs(mean) >= 0.05 {
		t.Errorf("mean cosine between nonces %.3f", mean)
	}
	if rms := math.Sqrt(squares / pairs); rms > 0.09 { // independent: 1/16
		t.Errorf("rms cosine between nonces %.3f", rms)
	}
	if len(norms) != len(vectors) {
		t.Errorf("%d norms among %d nonces", len(norms), len(vectors))
	}
}

func cosine(a, b []int32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// altered returns a copy of the model in which one matrix is what change makes
// of a copy of it.
func altered(m *ReferenceModel, l, id int, change func(w []int8)) *ReferenceModel {
	c := *m
	c.layers = slices.Clone(m.layers)
	w := slices.Clone(m.layers[l][id])
	change(w)
	c.layers[l][id] = w
	return &c
}

// changes counts for how many nonces a change leaves the digest as it was.
type changes struct{ runs, same int }

func (c *changes) compare(want, got []Output) {
	for i := range want {
		c.runs++
		if want[i].Digest == got[i].Digest {
			c.same++
		}
	}
}

// check demands that at least 99.9 % of the digests changed, of enough runs
// for that to mean something.
func (c *changes) check(t *testing.T, what string) {
	t.Helper()
	if c.runs < 1000 && !underRace {
		t.Errorf("%s: only %d runs", what, c.runs)
	}
	if c.same*1000 > c.runs {
		t.Errorf("%s: %d of %d digests unchanged", what, c.same, c.runs)
	}
}

func TestAnyMatrixMatters(t *testing.T) {
	m := nanoModel()
	ns := nonces(scaled(36))
	base := run(t, m, ns)
	var all changes
	for l := range Nano.Layers {
		for id := range matrices {
			got := run(t, altered(m, l, id, func(w []int8) { slices.Reverse(w) }), ns)
			all.compare(base, got)
			for i := range got {
				// The middle state is before the last layer, and after all others.
				if same := got[i].Middle == base[i].Middle; same != (l == Nano.Layers-1) {
					t.Errorf("layer %d, matrix %d, nonce %d: middle digest unchanged: %v",
						l, id, i, same)
				}
			}
		}
	}
	all.check(t, "another matrix")
}

func TestAnyHeadMatters(t *testing.T) {
	m := nanoModel()
	ns := nonces(scaled(21))
	base := run(t, m, ns)
	var all changes
	for l := range Nano.Layers {
		for _, id := range []int{Query, Key, Value} {
			for head := range Nano.Heads {
				rows := HeadDim * Nano.D
				got := run(t, altered(m, l, id, func(w []int8) { clear(w[head*rows:][:rows]) }), ns)
				all.compare(base, got)
			}
		}
	}
	all.check(t, "a head left out")
}

func TestAnyPositionMatters(t *testing.T) {
	m := nanoModel()
	s := newScratch(Nano)
	var all changes
	for nonce := range uint64(scaled(126)) {
		input := seed.Input(testNode, testSegment, nonce)
		var want, got Output
		m.unit(&want, s, input)
		for position := range Tokens {
			at, next := 8*position, 8*((position+1)%Tokens)
			other := input
			other[at] ^= 1
			m.unit(&got, s, other)
			all.compare([]Output{want}, []Output{got})

			swapped := input
			copy(swapped[at:at+8], input[next:next+8])
			copy(swapped[next:next+8], input[at:at+8])
			m.unit(&got, s, swapped)
			all.compare([]Output{want}, []Output{got})
		}
	}
	all.check(t, "another token, or two swapped")
}

// TestSkippedProductsShow leaves out whole products, by zero weights.
func TestSkippedProductsShow(t *testing.T) {
	m := nanoModel()
	ns := nonces(scaled(40))
	base := run(t, m, ns)
	zero := func(w []int8) { clear(w) }
	last := Nano.Layers - 1
	for _, row := range []struct {
		name string
		m    *ReferenceModel
	}{
		{"first layer", altered(altered(m, 0, Out, zero), 0, Down, zero)},
		{"middle layer", altered(altered(m, 2, Out, zero), 2, Down, zero)},
		{"last layer", altered(altered(m, last, Out, zero), last, Down, zero)},
		{"last attention", altered(m, last, Out, zero)},
		{"last hidden layer", altered(m, last, Down, zero)},
	} {
		for i, got := range run(t, row.m, ns) {
			if got.Digest == base[i].Digest || got.Norm == base[i].Norm {
				t.Errorf("%s left out: nonce %d has the same digest or norm", row.name, i)
			}
		}
	}
}

// zeroSmallest sets the given share of a vector, smallest magnitudes first, to 0.
func zeroSmallest(v []int8, share float64) {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return max(int(v[a]), -int(v[a])) - max(int(v[b]), -int(v[b]))
	})
	for _, i := range order[:int(share*float64(len(v)))] {
		v[i] = 0
	}
}

// sevenBits drops the lowest bit.
func sevenBits(v []int8) []int8 {
	out := make([]int8, len(v))
	for i, x := range v {
		out[i] = x &^ 1
	}
	return out
}

func TestShortcutsShow(t *testing.T) {
	m := nanoModel()
	last := Nano.Layers - 1
	rows := []struct {
		name     string
		cheat    naive
		sameNorm bool // the last position's vector is untouched: only the digest shows it
	}{
		{name: "low bit of one embedding byte, token 0",
			cheat: naive{embed: func(h *[Tokens][]int32) { h[0][9] ^= 1 << 8 }}},
		{name: "low bit of one embedding byte, token 3",
			cheat: naive{embed: func(h *[Tokens][]int32) { h[3][9] ^= 1 << 8 }}},
		{name: "token 0 hidden from the others", cheat: naive{see: func(_, i,
			j int) bool {
			return j != 0 || i == 0
		}}},
		{name: "token 3 alone", cheat: naive{see: func(_, i,
			j int) bool {
			return i != 3 || j == 3
		}}},
		{name: "uniform attention, last layer", cheat: naive{logits: func(l, _ int, lg []int32) {
			if l == last {
				clear(lg)
			}
		}}},
		{name: "uniform attention", cheat: naive{logits: func(_, _ int, lg []int32) { clear(lg) }}},
		{name: "q of token 0 not computed", cheat: naive{query: func(_ int,
			q *[Tokens][]int8) {
			clear(q[0])
		}}},
		{name: "last layer skipped for tokens 0 to 2", sameNorm: true,
			cheat: naive{frozen: func(l, t int) bool { return l == last && t < 3 }}},
		{name: "10 % of z dropped", cheat: naive{hidden: func(_ int,
			z []int8) {
			zeroSmallest(z, 0.1)
		}}},
		{name: "30 % of z dropped", cheat: naive{hidden: func(_ int,
			z []int8) {
			zeroSmallest(z, 0.3)
		}}},
		{name: "50 % of z dropped", cheat: naive{hidden: func(_ int,
			z []int8) {
			zeroSmallest(z, 0.5)
		}}},
		{name: "10 % of z dropped, last layer", cheat: naive{hidden: func(l int, z []int8) {
			if l == last {
				zeroSmallest(z, 0.1)
			}
		}}},
		{name: "z at 7 bits, last layer", cheat: naive{hidden: func(l int, z []int8) {
			if l == last {
				copy(z, sevenBits(z))
			}
		}}},
		{name: "8 smallest inputs of Wq dropped, last layer",
			cheat: naive{input: func(l, id, _ int, x []int8) []int8 {
				if l == last && id == Query {
					x = slices.Clone(x)
					zeroSmallest(x, 8.0/256)
				}
				return x
			}}},
		{name: "Wq input at 7 bits, last layer",
			cheat: naive{input: func(l, id, _ int, x []int8) []int8 {
				if l == last && id == Query {
					x = sevenBits(x)
				}
				return x
			}}},
	}
	n := scaled(24)
	base := run(t, m, nonces(n))
	for _, row := range rows {
		row.cheat.m = m
		for nonce := range uint64(n) {
			got := row.cheat.run(seed.Input(testNode, testSegment, nonce))
			if got.Digest == base[nonce].Digest {
				t.Errorf("%s: nonce %d keeps its digest", row.name, nonce)
			}
			if row.sameNorm && got.Norm != base[nonce].Norm {
				t.Errorf("%s: nonce %d: the norm shows it, which was not expected", row.name, nonce)
			}
		}
	}
}
