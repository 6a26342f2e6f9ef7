// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/seed"
)

// Holds spec A-13.
func TestSequentialNumbers(t *testing.T) {
	s := Flaky()
	for x, clean := range []uint64{270, 393, 515} { // the least n that decides for the machine
		for _, c := range []struct {
			n    uint64
			want Decision
		}{{clean - 1, Continue}, {clean, Faulty}} {
			if got := s.Decide(c.n, uint64(x)); got != c.want {
				t.Errorf("%d of %d: %v, want %v", x, c.n, got, c.want)
			}
		}
	}
	for _, c := range []struct {
		n, x uint64
		want Decision
	}{{0, 0, Continue}, {1, 1, Continue}, {2, 2, Continue}, {3, 3, Fraud}, {90, 2, Continue},
		{90, 3, Fraud}, {100, 3, Continue}, {4096, 4096, Fraud}, {4096, 0, Faulty}} {
		if got := s.Decide(c.n, c.x); got != c.want {
			t.Errorf("%d of %d: %v, want %v", c.x, c.n, got, c.want)
		}
	}
	// What makes no test convicts nobody.
	for name, bad := range map[string]Sequential{
		"none": {}, "equal": {Rate{1, 9}, Rate{1, 9}, s.Alpha, s.Beta},
		"swapped": {s.P1, s.P0, s.Alpha, s.Beta},
		"certain": {s.P0, Rate{1, 1}, s.Alpha, s.Beta},
		"alpha":   {s.P0, s.P1, Rate{1, 2}, Rate{1, 2}},
	} {
		if got := bad.Decide(100, 100); got != Continue {
			t.Errorf("%s: %v", name, got)
		}
	}
	if s.Decide(2, 3) != Continue || s.Decide(MaxSample+1, MaxSample) != Continue {
		t.Error("decided beyond its sample")
	}
}

// The exact comparison and the logarithms agree wherever these are clear.
func TestSequentialAgainstLogarithms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 1000).Draw(t, "n")
		x := rapid.Uint64Range(0, min(n, 20)).Draw(t, "x")
		llr := float64(x)*math.Log(0.05/0.0001) + float64(n-x)*math.Log(0.95/0.9999)
		bound := math.Log((1 - 1e-6) / 1e-6)
		want := Continue
		switch {
		case llr >= bound:
			want = Fraud
		case llr <= -bound:
			want = Faulty
		}
		if got := Flaky().Decide(n, x); got != want && math.Abs(math.Abs(llr)-bound) > 1e-9 {
			t.Fatalf("%d of %d: %v, want %v (%g against %g)", x, n, got, want, llr, bound)
		}
	})
}

// With weaker bounds, which a simulation can see: mistakes are as rare as they
// are said to be, looking at the ends of rounds only.
func TestSequentialErrors(t *testing.T) {
	const runs = 4000
	t.Log("seed 20261128")
	rng := rand.New(rand.NewPCG(20261128, 1))
	s := Sequential{P0: Rate{1, 100}, P1: Rate{1, 10}, Alpha: Rate{1, 50}, Beta: Rate{1, 20}}
	for _, c := range []struct {
		rate  float64
		wrong Decision
		most  float64 // Wald: alpha/(1-beta) and beta/(1-alpha)
	}{{0.01, Fraud, 0.02 / 0.95}, {0.1, Faulty, 0.05 / 0.98}} {
		mistakes := 0
		for range runs {
			n, x := uint64(0), uint64(0)
			for s.Decide(n, x) == Continue {
				for range 10 {
					n++
					if rng.Float64() < c.rate {
						x++
					}
				}
			}
			if s.Decide(n, x) == c.wrong {
				mistakes++
			}
		}
		limit := runs*c.most + 4.5*math.Sqrt(runs*c.most)
		t.Logf("rate %g: %d of %d called %v, at most %.0f", c.rate, mistakes, runs, c.wrong, limit)
		if float64(mistakes) > limit || mistakes == 0 {
			t.Errorf("rate %g: %d of %d called %v, at most %.0f and not none", c.rate, mistakes,
				runs, c.wrong, limit)
		}
	}
}

// Holds spec A-15.
func TestKFor(t *testing.T) {
	for f, want := range map[Rate]uint64{{1, 100}: 459, {5, 100}: 90, {1, 10}: 44, {1, 5}: 21,
		{1, 2}: 7, {1, 1}: 1} {
		k, ok := KFor(Rate{99, 100}, f)
		if !ok || k != want {
			t.Errorf("f = %v: k = %d, %v; want %d", f, k, ok, want)
		}
	}
	for name, c := range map[string][2]Rate{"beyond the sample": {{99, 100}, {1, 10_000}},
		"certainty": {{1, 1}, {1, 2}}, "no share": {{1, 2}, {2, 1}}, "no target": {{2, 1}, {1, 2}},
		"none forged": {{1, 2}, {0, 1}}, "nothing": {}} {
		if k, ok := KFor(c[0], c[1]); ok {
			t.Errorf("%s: k = %d", name, k)
		}
	}
	if k, ok := KFor(Rate{0, 1}, Rate{1, 2}); !ok || k != 0 {
		t.Errorf("no target: %d, %v", k, ok)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := Rate{rapid.Uint64Range(1, 100).Draw(t, "f"), 100}
		target := Rate{rapid.Uint64Range(1, 99).Draw(t, "target"), 100}
		k, ok := KFor(target, f)
		if !ok {
			t.Fatal("not found")
		}
		reach := quotient(new(big.Int).SetUint64(target.Num),
			new(big.Int).SetUint64(target.Den), false)
		if Caught(f, k) < reach || k > 0 && Caught(f, k-1) >= reach+1 {
			t.Fatalf("k = %d is not the least: %v and %v for %v", k, Caught(f, k),
				Caught(f, k-1), target)
		}
		// Without replacement is never worse.
		if d := Detection(100_000, 1000*f.Num, int(k), 1); d < Caught(f, k) && d != One {
			t.Fatalf("without replacement %v, with %v", d, Caught(f, k))
		}
	})
	if Caught(Rate{1, 0}, 3) != 0 || Caught(Rate{2, 1}, 3) != 0 ||
		Caught(Rate{1, 2}, MaxSample+1) != 0 || Caught(Rate{1, 2}, 0) != 0 ||
		Caught(Rate{1, 1}, 1) != One {
		t.Error("limits of Caught")
	}
}

// The formula of samples alone, with true numbers: X of s = 10 samples forged,
// m = 3 of them looked at.
func TestSamplesFormula(t *testing.T) {
	for x, want := range map[uint64]string{0: "0", 1: "0.3", 2: "0.533333", 3: "0.708333",
		4: "0.833333", 5: "0.916667", 6: "0.966667", 7: "0.991667", 8: "1", 10: "1"} {
		if got := Detection(10, x, 3, 1).String(); got != want {
			t.Errorf("X = %d: %s, want %s", x, got, want)
		}
	}
}

// Holds spec A-3.
func TestStratified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64Range(0, 1<<48).Draw(t, "total") >> rapid.IntRange(0,
			47).Draw(t, "shift")
		n := rapid.IntRange(-1, 300).Draw(t, "n")
		got := Stratified(seed.Seed{byte(n)}, total, n)
		count := min(uint64(max(n, 0)), total)
		if uint64(len(got)) != count {
			t.Fatalf("%d numbers, want %d", len(got), count)
		}
		for j, v := range got {
			bound := func(j int) uint64 {
				b := new(big.Int).Mul(big.NewInt(int64(j)), new(big.Int).SetUint64(total))
				return b.Div(b, new(big.Int).SetUint64(count)).Uint64()
			}
			if v < bound(j) || v >= bound(j+1) {
				t.Fatalf("number %d is %d, not in [%d, %d)", j, v, bound(j), bound(j+1))
			}
		}
	})
	// Every place of a stratum is as likely.
	counts := make([]int, 40)
	for i := range 8000 {
		for _, v := range Stratified(seed.Seed{byte(i), byte(i >> 8)}, 40, 10) {
			counts[v]++
		}
	}
	for v, c := range counts {
		if c < 2000-200 || c > 2000+200 { // 5 deviations of 39
			t.Errorf("%d was drawn %d times of 2,000", v, c)
		}
	}
}

// Holds spec A-4.
func TestDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64Range(0, 500).Draw(t, "total")
		n := rapid.IntRange(-1, 600).Draw(t, "n")
		got := Distinct(seed.Seed{1}, total, n)
		if uint64(len(got)) != min(uint64(max(n, 0)), total) {
			t.Fatalf("%d numbers", len(got))
		}
		if m := min(len(got), 20); !slices.Equal(got[:m], Distinct(seed.Seed{1}, total, m)) {
			t.Fatal("a shorter sample is not the beginning of a longer one")
		}
		sorted := slices.Clone(got)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(got) || len(got) > 0 &&
			sorted[len(sorted)-1] >= total {
			t.Fatal("repeated or out of range")
		}
	})
	if got := len(Distinct(seed.Seed{}, 1<<40, MaxSample+1)); got != MaxSample {
		t.Errorf("%d numbers", got)
	}
}

// Holds spec A-14.
func TestAdaptive(t *testing.T) {
	rule := DefaultAdaptive()
	i := func(v int64) *big.Int { return big.NewInt(v) }
	for name, c := range map[string]struct {
		gain, locked *big.Int
		flags        int
		want         uint64
	}{
		"a new key":        {i(10), i(0), 0, Q32One},
		"as much locked":   {i(10), i(10), 0, Q32One},
		"three times":      {i(10), i(30), 0, Q32One / 2},
		"twenty times":     {i(10), i(200), 0, 409044505}, // 2/21 rounded up
		"flagged":          {i(10), i(200), 1, 1636178018},
		"flagged twice":    {i(10), i(200), 2, Q32One},
		"the floor":        {i(1), i(1 << 40), 0, 214748365}, // 1/20 rounded up
		"nothing to gain":  {i(0), i(5), 0, 214748365},
		"flags below none": {i(10), i(30), -5, Q32One / 2},
		"a debt":           {i(10), i(-1), 0, Q32One},
		"below nothing":    {i(-1), i(10), 0, Q32One},
		"amounts above 64 bits": {new(big.Int).Lsh(i(10), 100), new(big.Int).Lsh(i(30), 100),
			0, Q32One / 2},
		"flags without end":      {i(1), i(1 << 60), 1 << 30, 8}, // 2^32 times, no more
		"more flags than counts": {i(1), i(1 << 20), 100, Q32One},
	} {
		if name == "flags without end" {
			c.want = max(c.want, 214748365)
		}
		if got := rule.Probability(c.gain, c.locked, c.flags); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for name, bad := range map[string]Adaptive{"kappa": {Rate{1, 0}, rule.Floor},
		"no kappa": {Rate{0, 1}, rule.Floor}, "floor": {rule.Kappa, Rate{1, 0}}} {
		if got := bad.Probability(i(1), i(1000), 0); got != Q32One {
			t.Errorf("%s: %d", name, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		gain, locked := rapid.Int64Range(0, 1<<40).Draw(t, "gain"),
			rapid.Int64Range(0, 1<<40).Draw(t, "locked")
		flags := rapid.IntRange(0, 3).Draw(t, "flags")
		a := rule.Probability(i(gain), i(locked), flags)
		if a > Q32One || a < Q32One/20 {
			t.Fatalf("%d is no probability above the floor", a)
		}
		if rule.Probability(i(gain), i(locked), flags+1) < a ||
			rule.Probability(i(gain+1), i(locked), flags) < a ||
			rule.Probability(i(gain), i(locked+1), flags) > a {
			t.Fatal("a flag or more to gain lowers the probability, or more to lose raises it")
		}
		// The condition: a*(S+g) >= Kappa*g, or certainty.
		left := new(big.Int).Mul(new(big.Int).SetUint64(a), i(gain+locked))
		right := new(big.Int).Lsh(i(2*gain), 32)
		if a != Q32One && left.Cmp(right) < 0 {
			t.Fatalf("a = %d lets a forger of %d against %d gain", a, gain, locked)
		}
	})
}
