// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/audit"
)

func TestCredited(t *testing.T) {
	for _, c := range []struct {
		count uint64
		fu    audit.Q64
		want  uint64
	}{
		{1000, 0, 1000}, {1000, audit.One, 0}, {0, 5, 0}, {1000, 1 << 63, 500}, {3, 1 << 63, 1},
		{1000, 1, 999}, // less than all is not all
		{math.MaxUint64, 1 << 62, 13835058055282163711}, // floor(3 * (2^64-1) / 4)
		{1, math.MaxUint64 - 1, 0},
	} {
		if got := Credited(c.count, c.fu); got != c.want {
			t.Errorf("%d less %v: %d, want %d", c.count, c.fu, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Uint64().Draw(t, "count")
		fu := audit.Q64(rapid.Uint64Max(math.MaxUint64-1).Draw(t, "fu"))
		got := Credited(count, fu)
		rest := new(big.Int).Lsh(big.NewInt(1), 64)
		rest.Sub(rest, new(big.Int).SetUint64(uint64(fu)))
		rest.Mul(rest, new(big.Int).SetUint64(count)).Rsh(rest, 64)
		if got > count || got != rest.Uint64() {
			t.Fatalf("%d, want %v", got, rest)
		}
	})
}

func powers(in []Share) map[string]uint64 {
	out := map[string]uint64{}
	for _, s := range in {
		out[s.ID] += s.Weight
	}
	return out
}

func TestPowersTable(t *testing.T) {
	loose := DefaultRules()
	loose.MoveDen = 0
	uncapped := DefaultRules()
	uncapped.CapBps = 10_000
	many := func(n int, w uint64) (out []Share) {
		for i := range n {
			out = append(out, Share{fmt.Sprintf("v%02d", i), w})
		}
		return out
	}
	for _, c := range []struct {
		name        string
		old, target []Share
		rules       Rules
		want        map[string]uint64
	}{
		{
			name: "one takes all", target: []Share{{"a", 5}}, rules: DefaultRules(),
			want: map[string]uint64{"a": 1_000_000},
		},
		{
			name: "thirds round to the total, the first by name gets the unit", target: []Share{{"c", 7}, {"a", 7}, {"b", 7}},
			rules: DefaultRules(), want: map[string]uint64{"a": 333_334, "b": 333_333, "c": 333_333},
		},
		{
			name: "two: cap 55 %", target: []Share{{"a", 99}, {"b", 1}}, rules: DefaultRules(),
			want: map[string]uint64{"a": 550_000, "b": 450_000},
		},
		{
			name: "ten: cap 25 %, the rest by weight", rules: DefaultRules(),
			target: append(many(9, 10), Share{"whale", 910}),
			want: map[string]uint64{
				"whale": 250_000, "v00": 83_334, "v01": 83_334, "v02": 83_334, "v03": 83_333, "v04": 83_333,
				"v05": 83_333, "v06": 83_333, "v07": 83_333, "v08": 83_333,
			},
		},
		{
			name: "the cap spills over to the next", rules: DefaultRules(),
			// 60, 30, 2, 2, 2, 2, 2: the first at 25 %; the second would get 30*75/40 = 56 %.
			target: []Share{{"a", 60}, {"b", 30}, {"c", 2}, {"d", 2}, {"e", 2}, {"f", 2}, {"g", 2}},
			want:   map[string]uint64{"a": 250_000, "b": 250_000, "c": 100_000, "d": 100_000, "e": 100_000, "f": 100_000, "g": 100_000},
		},
		{
			name: "a third moves", rules: DefaultRules(),
			old:    []Share{{"a", 500_000}, {"b", 500_000}},
			target: []Share{{"c", 1}, {"d", 1}},
			want:   map[string]uint64{"a": 333_333, "b": 333_333, "c": 166_667, "d": 166_667},
		},
		{
			name: "less than a third moves at once", rules: DefaultRules(),
			old:    []Share{{"a", 500_000}, {"b", 500_000}},
			target: []Share{{"a", 3}, {"b", 4}, {"c", 3}},
			want:   map[string]uint64{"a": 308_334, "b": 383_333, "c": 308_333}, // b capped at 1/3 + 5 points
		},
		{
			name: "without a move limit", rules: loose,
			old: []Share{{"a", 1_000_000}}, target: []Share{{"b", 1}},
			want: map[string]uint64{"b": 1_000_000},
		},
		{
			name: "old powers of another total", rules: DefaultRules(),
			old: []Share{{"a", 1}, {"b", 1}}, target: []Share{{"a", 9}, {"b", 9}},
			want: map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "an identity in two entries is one", rules: DefaultRules(),
			target: []Share{{"a", 5}, {"b", 10}, {"a", 5}},
			want:   map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "weights that do not fit a sum", rules: DefaultRules(),
			target: []Share{{"a", math.MaxUint64}, {"b", math.MaxUint64}, {"a", math.MaxUint64}},
			want:   map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "a dust weight has no power where no cap bites", rules: uncapped,
			target: []Share{{"a", 1 << 40}, {"b", 1 << 40}, {"c", 1}},
			want:   map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "what the cap cuts goes to whoever is left", rules: DefaultRules(),
			target: []Share{{"a", 1 << 40}, {"b", 1 << 40}, {"c", 1}},
			want:   map[string]uint64{"a": 383_334, "b": 383_333, "c": 233_333},
		},
		{
			name: "no target: as before", rules: DefaultRules(),
			old: []Share{{"b", 2}, {"a", 1}}, target: []Share{{"a", 0}},
			want: map[string]uint64{"a": 1, "b": 2},
		},
	} {
		got := Powers(c.old, c.target, c.rules)
		if diff := cmp.Diff(c.want, powers(got)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
	if got := Powers([]Share{{"b", 2}, {"a", 1}}, nil, DefaultRules()); !slices.Equal(got, []Share{{"b", 2}, {"a", 1}}) {
		t.Errorf("without a target old is not returned as it is: %v", got)
	}
}

func drawShares(t *rapid.T, label string, most int) []Share {
	var out []Share
	n := rapid.IntRange(0, most).Draw(t, label)
	for i := range n {
		w := rapid.OneOf(rapid.Uint64Max(20), rapid.Uint64Max(1<<50)).Draw(t, label+" weight")
		out = append(out, Share{fmt.Sprintf("p%02d", rapid.IntRange(0, 30).Draw(t, fmt.Sprint(label, i))), w})
	}
	return out
}

func sum(in []Share) (n uint64) {
	for _, s := range in {
		n += s.Weight
	}
	return n
}

func TestPropertyPowers(t *testing.T) {
	rules := DefaultRules()
	rapid.Check(t, func(t *rapid.T) {
		target := drawShares(t, "target", 20)
		var old []Share
		if rapid.Bool().Draw(t, "has old") {
			old = Powers(nil, drawShares(t, "old", 20), rules)
		}
		got := Powers(old, target, rules)
		goal := merge(target)
		if len(goal) == 0 {
			if !slices.Equal(got, old) {
				t.Fatal("no target, but powers changed")
			}
			return
		}
		if s := sum(got); s != rules.TotalPower {
			t.Fatalf("sum %d", s)
		}
		before, now, weights := powers(old), powers(got), powers(goal)
		most := max(2500.0/10_000, 1/float64(len(goal))+0.05) * 1e6
		moved := 0.0
		for i, s := range got {
			if s.Weight == 0 || (i > 0 && strings.Compare(got[i-1].ID, s.ID) >= 0) {
				t.Fatalf("%v: not sorted, or an entry of 0", got)
			}
			// Rounding adds less than one unit to each.
			if float64(s.Weight) > max(most, float64(before[s.ID]))+1 {
				t.Fatalf("%s has %d, cap %.1f, had %d", s.ID, s.Weight, most, before[s.ID])
			}
			if _, known := before[s.ID]; !known && weights[s.ID] == 0 {
				t.Fatalf("%s came from nowhere", s.ID)
			}
		}
		for i := range 31 {
			id := fmt.Sprintf("p%02d", i)
			moved += math.Abs(float64(now[id])-float64(before[id])) / 2
		}
		if len(old) > 0 && moved > 1e6/3+float64(len(now)+len(before)) {
			t.Fatalf("%.0f moved", moved)
		}
		// Order of entries means nothing.
		shuffled := slices.Clone(target)
		slices.Reverse(shuffled)
		if !slices.Equal(Powers(old, shuffled, rules), got) {
			t.Fatal("the order of the target matters")
		}
		// Who has more weight has not less power, unless it had less before.
		for _, a := range goal {
			for _, b := range goal {
				if a.Weight > b.Weight && before[a.ID] >= before[b.ID] && now[a.ID]+1 < now[b.ID] {
					t.Fatalf("%s has more weight than %s and less power", a.ID, b.ID)
				}
			}
		}
	})
}

// Repeated with the same target, powers arrive at it and stay.
func TestPowersConverge(t *testing.T) {
	rules := DefaultRules()
	target := []Share{{"a", 10}, {"b", 20}, {"c", 30}, {"d", 40}, {"e", 15}}
	want := Powers(nil, target, rules)
	at := []Share{{"x", 1_000_000}}
	epochs := 0
	for ; epochs < 10 && !slices.Equal(at, want); epochs++ {
		at = Powers(at, target, rules)
	}
	if epochs != 3 && epochs != 4 { // a third an epoch, and perhaps a rounding
		t.Errorf("%d epochs to %v, want %v", epochs, at, want)
	}
}
