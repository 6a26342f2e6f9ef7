// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func byID(in []Share) map[string]uint64 {
	out := map[string]uint64{}
	for _, s := range in {
		out[s.ID] += s.Weight
	}
	return out
}

func sum(in []Share) (n uint64) {
	for _, s := range in {
		n += s.Weight
	}
	return n
}

// list makes shares named a, b, c, ...
func list(weights ...uint64) (out []Share) {
	for i, w := range weights {
		out = append(out, Share{string(rune('a' + i)), w})
	}
	return out
}

// The table of the package's documentation.
// Holds spec P-3.
func TestLevelOfTheTable(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []uint64
		want    []uint64
	}{
		{"ten equal", []uint64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7},
			[]uint64{1e5, 1e5, 1e5, 1e5, 1e5, 1e5, 1e5, 1e5, 1e5, 1e5}},
		{"24/22/20/18/16", []uint64{24, 22, 20, 18, 16},
			[]uint64{240_000, 220_000, 200_000, 180_000, 160_000}},
		{"60/40", []uint64{60, 40}, []uint64{520_000, 480_000}},
		{"60/20/20", []uint64{60, 20, 20}, []uint64{520_000, 240_000, 240_000}},
		{"one large, four dust", []uint64{1_000_000, 1, 1, 1, 1}, []uint64{999_996, 1, 1, 1, 1}},
		{"alone", []uint64{5}, []uint64{1_000_000}},
		{"four equal are at the cap", []uint64{9, 9, 9, 9},
			[]uint64{250_000, 250_000, 250_000, 250_000}},
		{"the cap where the others are lifted by less than lambda", []uint64{28, 18, 18, 18, 18},
			[]uint64{250_000, 187_500, 187_500, 187_500, 187_500}},
		{"s is lambda exactly", []uint64{375, 125, 125, 125, 125, 125},
			[]uint64{250_000, 150_000, 150_000, 150_000, 150_000, 150_000}},
		{"and a little above", []uint64{400, 120, 120, 120, 120, 120},
			[]uint64{280_000, 144_000, 144_000, 144_000, 144_000, 144_000}},
		{"the cap spills over to the next", []uint64{30, 24, 16, 15, 15},
			[]uint64{250_000, 250_000, 173_913, 163_044, 163_043}},
		{"two share the level", []uint64{45, 45, 10}, []uint64{440_000, 440_000, 120_000}},
		{"weights that do not fit a sum", []uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64,
			math.MaxUint64}, []uint64{250_000, 250_000, 250_000, 250_000}},
		{"no weight", []uint64{0, 5, 0}, []uint64{0, 1_000_000, 0}},
		{"nothing", []uint64{0, 0}, []uint64{0, 0}},
	} {
		if diff := cmp.Diff(list(c.want...),
			Capped(list(c.weights...), DefaultRules())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// C6: four names with 27.4 % of the compute beside two honest holders had half of the power, as
// with a lambda of 2, and four dust names beside one large holder three quarters.
// Holds spec P-3.
func TestTheCapFeedsNeitherDustNorCoalitions(t *testing.T) {
	weights := append(list(91_560, 53_740), Share{"w", 13_675}, Share{"x", 13_675},
		Share{"y", 13_675}, Share{"z", 13_675})
	for _, c := range []struct {
		lambda             uint64
		coalition, largest string
	}{{11_000, "30.1", "40.4"}, {12_000, "32.8", "34.9"}, {12_500, "34.2", "32.9"},
		{20_000, "50.0", "25.0"}} {
		rules := DefaultRules()
		rules.LambdaBps = c.lambda
		got := Capped(weights, rules)
		coalition := fmt.Sprintf("%.1f", float64(sum(got[2:]))/1e4)
		if largest := fmt.Sprintf("%.1f", float64(got[0].Weight)/1e4); coalition != c.coalition ||
			largest != c.largest {
			t.Errorf("lambda %d: coalition %s, largest %s; want %s and %s", c.lambda, coalition,
				largest, c.coalition, c.largest)
		}
	}
	dust := append(list(1<<40), Share{"w", 1}, Share{"x", 1}, Share{"y", 1}, Share{"z", 1})
	if got := sum(Capped(dust, DefaultRules())[1:]); got > 4 {
		t.Errorf("four dust names have %d millionths of the power", got)
	}
}

// Holds spec P-5.
func TestPowersTable(t *testing.T) {
	third := DefaultRules()
	third.MoveBps = 3_333
	free := DefaultRules()
	free.MoveBps = bps
	outage := DefaultRules()
	outage.Live, outage.Base = 30, 60
	for _, c := range []struct {
		name        string
		old, target []Share
		rules       Rules
		want        map[string]uint64
	}{
		{
			name:   "thirds round to the total, the first by name gets the unit",
			target: []Share{{"c", 7}, {"a", 7}, {"b", 7}},
			rules:  third, want: map[string]uint64{"a": 333_334, "b": 333_333, "c": 333_333},
		},
		{
			name: "a third moves", rules: third, old: list(500_000, 500_000),
			target: []Share{{"c", 1}, {"d", 1}},
			want:   map[string]uint64{"a": 333_350, "b": 333_350, "c": 166_650, "d": 166_650},
		},
		{
			name: "a tenth moves", rules: DefaultRules(), old: list(500_000, 500_000),
			target: []Share{{"c", 1}, {"d", 1}},
			want:   map[string]uint64{"a": 450_000, "b": 450_000, "c": 50_000, "d": 50_000},
		},
		{
			name: "half of it with half of the weight away", rules: outage,
			old: list(500_000, 500_000), target: []Share{{"c", 1}, {"d", 1}},
			want: map[string]uint64{"a": 475_000, "b": 475_000, "c": 25_000, "d": 25_000},
		},
		{
			name: "less than that moves at once", rules: DefaultRules(),
			old:    list(240_000, 220_000, 200_000, 180_000, 160_000),
			target: list(22, 24, 20, 16, 18),
			want: map[string]uint64{"a": 220_000, "b": 240_000, "c": 200_000,
				"d": 160_000, "e": 180_000},
		},
		{
			name: "without a move limit", rules: free, old: list(1_000_000),
			target: []Share{{"b", 1}},
			want:   map[string]uint64{"b": 1_000_000},
		},
		{
			name: "old powers of another total", rules: DefaultRules(), old: list(1, 1),
			target: list(9, 9),
			want:   map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "an identity in two entries is one", rules: DefaultRules(),
			target: []Share{{"a", 5}, {"b", 10}, {"a", 5}},
			want:   map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "a dust weight has no power", rules: DefaultRules(),
			target: list(1<<40, 1<<40, 1),
			want:   map[string]uint64{"a": 500_000, "b": 500_000},
		},
		{
			name: "no target: as before", rules: DefaultRules(), old: []Share{{"b", 2}, {"a", 1}},
			target: list(0),
			want:   map[string]uint64{"a": 1, "b": 2},
		},
	} {
		if diff := cmp.Diff(c.want, byID(Powers(c.old, c.target, c.rules))); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
	if got := Powers([]Share{{"b", 2}, {"a", 1}}, nil, DefaultRules()); !slices.Equal(got,
		[]Share{{"b", 2}, {"a", 1}}) {
		t.Errorf("without a target old is not returned as it is: %v", got)
	}
}

func drawRules(t *rapid.T) Rules {
	rules := DefaultRules()
	rules.LambdaBps = rapid.SampledFrom([]uint64{10_000, 11_000, 12_000, 20_000}).Draw(t, "lambda")
	rules.CapBps = rapid.SampledFrom([]uint64{500, 2_500, 3_300}).Draw(t, "cap")
	rules.MoveBps = rapid.SampledFrom([]uint64{100, 1_000, 3_333}).Draw(t, "move")
	if rapid.Bool().Draw(t, "outage") {
		rules.Base = rapid.Uint64Range(1, math.MaxUint64).Draw(t, "base")
		rules.Live = rapid.Uint64Max(rules.Base).Draw(t, "live")
	}
	return rules
}

func drawShares(t *rapid.T, label string, most int) []Share {
	var out []Share
	for i := range rapid.IntRange(0, most).Draw(t, label) {
		w := rapid.OneOf(rapid.Uint64Max(20), rapid.Uint64Max(1<<50), rapid.Uint64()).Draw(t,
			label+" weight")
		out = append(out, Share{fmt.Sprintf("p%02d",
			rapid.IntRange(0, 30).Draw(t, fmt.Sprint(label, i))), w})
	}
	return out
}

// Holds spec P-4.
func TestPropertyPowers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
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
		before, now, weights := byID(old), byID(got), byID(goal)
		whole := 0.0
		for _, s := range goal {
			whole += float64(s.Weight)
		}
		for i, s := range got {
			if s.Weight == 0 || (i > 0 && strings.Compare(got[i-1].ID, s.ID) >= 0) {
				t.Fatalf("%v: not sorted, or an entry of 0", got)
			}
			lift := float64(weights[s.ID]) / whole * float64(rules.LambdaBps) * 100
			// rounding adds less than one unit to each
			if float64(s.Weight) > max(lift, float64(before[s.ID]))*(1+1e-9)+1 {
				t.Fatalf("%s has %d, had %d, and lambda times its own is %.1f", s.ID,
					s.Weight, before[s.ID], lift)
			}
		}
		moved, limit := 0.0, float64(rules.MoveBps)*100
		if rules.Base > 0 {
			limit *= float64(rules.Live) / float64(rules.Base)
		}
		for i := range 31 {
			id := fmt.Sprintf("p%02d", i)
			moved += math.Abs(float64(now[id])-float64(before[id])) / 2
		}
		if len(old) > 0 && moved > limit*(1+1e-9)+float64(len(now)+len(before)) {
			t.Fatalf("%.0f moved, the limit is %.0f", moved, limit)
		}
		shuffled := slices.Clone(target)
		slices.Reverse(shuffled)
		if !slices.Equal(Powers(old, shuffled, rules), got) {
			t.Fatal("the order of the target matters")
		}
		for _, a := range goal { // more weight is not less power, unless it was less before
			for _, b := range goal {
				if a.Weight > b.Weight && before[a.ID] >= before[b.ID] && now[a.ID]+1 < now[b.ID] {
					t.Fatalf("%s has more weight than %s and less power", a.ID, b.ID)
				}
			}
		}
	})
}

// The level against its own definition: shares are min(L, s*own), s is 1 or more and at most
// lambda, and L is the cap unless s is lambda.
func TestPropertyLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		goal := merge(drawShares(t, "weights", 20))
		if len(goal) == 0 {
			return
		}
		whole := 0.0
		for _, s := range goal {
			whole += float64(s.Weight)
		}
		p := level(goal, rules)
		share := func(i int) float64 {
			f, _ := product(p.of[i], 1_000_000_000_000).Float64()
			w, _ := p.whole.Float64()
			return f / w / 1e12
		}
		total, s, top := 0.0, 0.0, 0.0
		for i := range goal {
			total += share(i)
			top = max(top, share(i))
		}
		for i := range goal {
			if share(i) < top*(1-1e-9) {
				s = max(s, share(i)*whole/float64(goal[i].Weight))
			}
		}
		near := func(a, b float64) bool {
			return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b))
		}
		lambda, most := float64(rules.LambdaBps)/bps, float64(rules.CapBps)/bps
		if s == 0 { // all at the level
			for i := range goal {
				s = max(s, top*whole/float64(goal[i].Weight))
			}
		}
		for i := range goal {
			if want := min(top, s*float64(goal[i].Weight)/whole); !near(share(i), want) {
				t.Fatalf("%v: share %d is %g, min(L, s*own) is %g", goal, i, share(i), want)
			}
			if share(i) > lambda*float64(goal[i].Weight)/whole*(1+1e-9) {
				t.Fatalf("%v: share %d is %g, above lambda times its own", goal, i, share(i))
			}
		}
		if !near(total, 1) || s < 1-1e-9 {
			t.Fatalf("shares sum to %g, s is %g", total, s)
		}
		under := 0.0 // what cap and lambda together leave room for
		for _, g := range goal {
			under += min(most, lambda*float64(g.Weight)/whole)
		}
		if top > most*(1+1e-9) && under > 1+1e-9 {
			t.Fatalf("%v: level %g is above the cap %g, which lambda %g would have allowed",
				goal, top, most, lambda)
		}
	})
}

// Anyone who splits into many names has at most lambda times its share of the compute, as before
// the split.
func TestPropertySplittingGainsNoMoreThanLambda(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := DefaultRules()
		honest := drawShares(t, "honest", 12)
		mine := rapid.Uint64Range(1, 1<<50).Draw(t, "mine")
		k := rapid.IntRange(1, 200).Draw(t, "names")
		all := slices.Clone(honest)
		var coalition []Share
		left := mine
		for i := range k {
			w := left / uint64(k-i)
			if rapid.Bool().Draw(t, "unequal") {
				w = rapid.Uint64Max(left).Draw(t, "part")
			}
			if i == k-1 {
				w = left
			}
			left -= w
			coalition = append(coalition, Share{fmt.Sprintf("x%03d", i), w})
		}
		all = append(all, coalition...)
		whole := 0.0
		for _, s := range all {
			whole += float64(s.Weight)
		}
		got := uint64(0)
		for _, s := range Capped(merge(all), rules) {
			if strings.HasPrefix(s.ID, "x") {
				got += s.Weight
			}
		}
		if most := float64(mine) / whole * 1.2e6; float64(got) > most+float64(k) {
			t.Fatalf("%d names have %d millionths; 6/5 of their compute is %.1f", k, got, most)
		}
	})
}

// Repeated with the same target, powers arrive at it and stay.
func TestPowersConverge(t *testing.T) {
	rules := DefaultRules()
	target := list(10, 20, 30, 40, 15)
	want := Powers(nil, target, rules)
	at := []Share{{"x", 1_000_000}}
	epochs := 0
	for ; epochs < 20 && !slices.Equal(at, want); epochs++ {
		at = Powers(at, target, rules)
	}
	if epochs < 10 || epochs > 11 { // a tenth an epoch, and perhaps a rounding
		t.Errorf("%d epochs to %v, want %v", epochs, at, want)
	}
}

// The security budget: a coalition with less than (1/3 - move/4) / lambda of the compute present
// stays below a third of the power in every set, a quarter of the move included.
// Holds spec P-12.
func TestSecurityBudgetHolds(t *testing.T) {
	budget := (1.0/3 - 0.1/4) / 1.2
	away := func(honest float64) float64 { return budget * (1 - honest) / (1 - honest*budget) }
	for _, c := range []struct {
		name string
		got  float64
		want string
	}{
		{"budget", budget, "25.7"},
		{"a third of the honest absent", away(1.0 / 3), "18.7"},
		{"one name over 1/3", 1 - (1-1.0/3)/1.2, "44.4"},
		{"split, over 2/3", 2.0 / 3 / 1.2, "55.6"},
	} {
		if got := fmt.Sprintf("%.1f", 100*c.got); got != c.want {
			t.Errorf("%s: %s %%, want %s", c.name, got, c.want)
		}
	}
	// and by the code: names of the coalition beside honest ones in numbers and sizes of all kinds
	r := rand.New(rand.NewPCG(6, 6))
	for range 2_000 {
		const whole = 1 << 40
		mine := uint64(budget * whole)
		var all []Share
		split := func(prefix string, n int, weight uint64) {
			for i := range n {
				w := weight / uint64(n-i)
				if r.IntN(2) == 0 && i < n-1 {
					w = r.Uint64N(weight + 1)
				}
				weight -= w
				all = append(all, Share{fmt.Sprintf("%s%03d", prefix, i), w})
			}
		}
		split("c", 1+r.IntN(200), mine)
		split("h", 1+r.IntN(50), whole-mine)
		got := uint64(0)
		for _, s := range Capped(all, DefaultRules()) {
			if strings.HasPrefix(s.ID, "c") {
				got += s.Weight
			}
		}
		if got > 1_000_000/3-25_000+200 {
			t.Fatalf("the coalition has %d millionths; with a quarter of the move that is over a "+
				"third", got)
		}
	}
	for weight, over := range map[uint64]bool{4_444: false, 4_446: true} { // of 10,000
		rest := 10_000 - weight
		got := Capped(list(weight, rest/4, rest/4, rest/4, rest/4), DefaultRules())
		if (got[0].Weight > 333_333) != over {
			t.Errorf("one name with %d of 10,000 of the compute has %d millionths of the power",
				weight, got[0].Weight)
		}
	}
}

func BenchmarkPowers(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{300, 10_000} {
		weights := func() (out []Share) {
			for i := range n {
				out = append(out,
					Share{fmt.Sprintf("cpc1participant%05d", i), 1 + r.Uint64N(1<<40)})
			}
			return out
		}
		old, target := Powers(nil, weights(), DefaultRules()), weights()
		rules := DefaultRules()
		rules.Live, rules.Base = 1<<50, 1<<51
		b.Run(fmt.Sprintf("Powers/%d", n), func(b *testing.B) {
			for b.Loop() {
				Powers(old, target, rules)
			}
		})
		b.Run(fmt.Sprintf("Capped/%d", n), func(b *testing.B) {
			for b.Loop() {
				Capped(target, rules)
			}
		})
	}
}
