// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// rat is q as an exact fraction.
func rat(q Q64) *big.Rat {
	if q == One {
		return big.NewRat(1, 1)
	}
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(uint64(q)),
		new(big.Int).Lsh(big.NewInt(1), 64))
}

func float(q Q64) float64 {
	f, _ := rat(q).Float64()
	return f
}

func ratPow(r *big.Rat, n uint64) *big.Rat {
	out := big.NewRat(1, 1)
	for range n {
		out.Mul(out, r)
	}
	return out
}

// atMost is P[Bin(n, p) <= x] by the textbook's sum.
func atMost(n, x uint64, p *big.Rat) *big.Rat {
	q := new(big.Rat).Sub(big.NewRat(1, 1), p)
	sum := new(big.Rat)
	for i := uint64(0); i <= x && i <= n; i++ {
		term := new(big.Rat).SetInt(new(big.Int).Binomial(int64(n), int64(i)))
		term.Mul(term, ratPow(p, i))
		term.Mul(term, ratPow(q, n-i))
		sum.Add(sum, term)
	}
	return sum
}

var unit = new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 64))

// exactUp demands that got is want rounded up to 2^-64.
func exactUp(t interface{ Fatalf(string, ...any) }, what string, got Q64, want *big.Rat) {
	g := rat(got)
	if g.Cmp(want) < 0 || new(big.Rat).Sub(g, unit).Cmp(want) >= 0 && got != One {
		t.Fatalf("%s: %v is not %s rounded up", what, got, want.FloatString(24))
	}
}

// Holds spec A-8.
func TestPropertyTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 40).Draw(t, "n")
		x := rapid.Uint64Range(1, n).Draw(t, "x")
		den := rapid.Uint64Range(2, 1000).Draw(t, "den")
		num := rapid.Uint64Range(0, den-1).Draw(t, "num")
		p := new(big.Rat).SetFrac(new(big.Int).SetUint64(num), new(big.Int).SetUint64(den))
		want := new(big.Rat).Sub(big.NewRat(1, 1), atMost(n, x-1, p))
		exactUp(t, "tail", Tail(n, x, Rate{num, den}), want)
	})
}

// N = 200, computed with rational numbers in another language.
func TestTailTable(t *testing.T) {
	for _, c := range []struct {
		x    uint64
		p0   Rate
		want float64
	}{
		{1, Rate{1, 10_000}, 0.01980230695677932}, {2, Rate{1, 10_000}, 0.00019639250446967503},
		{3, Rate{1, 10_000}, 1.2941458333304434e-06}, {4, Rate{1, 10_000}, 6.367888536089583e-09},
		{1, Rate{5, 10_000}, 0.09518521015968395}, {2, Rate{5, 10_000}, 0.004658467804474737},
		{3, Rate{5, 10_000}, 0.00015250939309739006}, {4, Rate{5, 10_000}, 3.7383800153966085e-06},
	} {
		if got := float(Tail(200, c.x, c.p0)); math.Abs(got/c.want-1) > 1e-9 {
			t.Errorf("x = %d, p0 = %v: %g, want %g", c.x, c.p0, got, c.want)
		}
	}
	for name, pair := range map[string][2]Q64{
		"nothing is certain":        {Tail(200, 0, Rate{1, 10_000}), One},
		"nothing at all is certain": {Tail(0, 0, Rate{1, 2}), One},
		"more than all":             {Tail(200, 201, Rate{1, 2}), 0},
		"never":                     {Tail(200, 1, Rate{0, 1}), 0},
		"always":                    {Tail(200, 200, Rate{1, 1}), One},
		"not a rate":                {Tail(200, 200, Rate{1, 0}), One},
		"beyond the largest sample": {Tail(MaxSample+1, 5, Rate{1, 10_000}), One},
		"all, exactly a half":       {Tail(1, 1, Rate{1, 2}), 1 << 63},
		"rounded up from 2^-100":    {Tail(100, 100, Rate{1, 2}), 1},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", name, pair[0], pair[1])
		}
	}
}

// Holds spec A-8.
func TestThreshold(t *testing.T) {
	bound := Rate{1, 100_000}
	if got := Threshold(200, Rate{1, 10_000}, bound); got != 3 { // the design's N
		t.Errorf("N = 200: %d", got)
	}
	for name, pair := range map[string][2]uint64{
		"one sample":                {Threshold(1, Rate{1, 10_000}, bound), 2},
		"no faults are tolerated":   {Threshold(200, Rate{0, 1}, bound), 1},
		"a bound above one":         {Threshold(200, Rate{1, 2}, Rate{3, 2}), 201},
		"one is not below one":      {Threshold(200, Rate{1, 2}, Rate{1, 1}), 1},
		"nothing is below nothing":  {Threshold(200, Rate{1, 2}, Rate{0, 1}), 201},
		"not a rate":                {Threshold(200, Rate{1, 0}, bound), 201},
		"not a bound":               {Threshold(200, Rate{1, 2}, Rate{1, 0}), 201},
		"beyond the largest sample": {Threshold(MaxSample+1, Rate{1, 2}, bound), MaxSample + 2},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", name, pair[0], pair[1])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 60).Draw(t, "n")
		p0 := Rate{rapid.Uint64Range(1, 50).Draw(t, "p0"), 100}
		bound := Rate{1, rapid.Uint64Range(2, 1_000_000).Draw(t, "bound")}
		x := Threshold(n, p0, bound)
		limit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).SetUint64(bound.Den))
		p := big.NewRat(int64(p0.Num), 100)
		over := func(x uint64) *big.Rat { // P[Bin >= x]
			if x == 0 {
				return big.NewRat(1, 1)
			}
			return new(big.Rat).Sub(big.NewRat(1, 1), atMost(n, x-1, p))
		}
		if over(x).Cmp(limit) >= 0 || over(x-1).Cmp(limit) < 0 {
			t.Fatalf("threshold %d is not the least", x)
		}
	})
}

// Upper against closed forms and tables.
func TestUpperTable(t *testing.T) {
	for _, c := range []struct {
		x, n uint64
		eps  Rate
		want float64
	}{
		// No bad one: 1 - eps^(1/n).
		{0, 200, Rate{5, 100}, 1 - math.Pow(0.05, 1.0/200)}, // 0.014867
		{0, 200, Rate{1, 100}, 1 - math.Pow(0.01, 1.0/200)},
		{0, 200, Rate{1, 1000}, 1 - math.Pow(0.001, 1.0/200)},
		{0, 300, Rate{1, 1_000_000}, 1 - math.Pow(1e-6, 1.0/300)},
		{0, 1, Rate{5, 100}, 0.95},
		// All but one bad: (1-eps)^(1/n).
		{9, 10, Rate{5, 100}, math.Pow(0.95, 0.1)},
		// Computed with rational numbers in another language.
		{0, 200, Rate{5, 100}, 0.014867039231272059},
		{1, 10, Rate{5, 100}, 0.39416330243650477},
		{2, 20, Rate{5, 100}, 0.2826185248858609},
		{5, 50, Rate{5, 100}, 0.1988330025164185},
		{3, 200, Rate{5, 100}, 0.03830970849856935},
	} {
		if got := float(Upper(c.x, c.n, c.eps)); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("x = %d of %d, eps = %v: %.12f, want %.12f", c.x, c.n, c.eps, got, c.want)
		}
	}
	if got := Upper(0, 200, Rate{5, 100}); got.String() != "0.014867" {
		t.Errorf("the design's bound prints as %s", got)
	}
	for name, q := range map[string]Q64{
		"all bad": Upper(5, 5, Rate{1, 20}), "no sample": Upper(0, 0, Rate{1, 20}),
		"more than all": Upper(6, 5, Rate{1, 20}),
		"eps 0":         Upper(0, 200, Rate{0, 1}), "eps 1": Upper(0, 200, Rate{1, 1}),
		"not a rate":                Upper(0, 200, Rate{1, 0}),
		"beyond the largest sample": Upper(0, MaxSample+1, Rate{1, 20}),
	} {
		if q != One {
			t.Errorf("%s: %v, want 1", name, q)
		}
	}
}

// The definition itself: at the bound the probability is at most eps, one step
// of 2^-64 below it is more.
// Holds spec A-10.
func TestPropertyUpper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 12).Draw(t, "n")
		x := rapid.Uint64Range(0, n-1).Draw(t, "x")
		eps := Rate{rapid.Uint64Range(1, 99).Draw(t, "eps"), 100}
		limit := big.NewRat(int64(eps.Num), 100)
		q := Upper(x, n, eps)
		if atMost(n, x, rat(q)).Cmp(limit) > 0 {
			t.Fatalf("%v is too low", q)
		}
		if atMost(n, x, rat(q-1)).Cmp(limit) <= 0 {
			t.Fatalf("%v is not the least", q)
		}
		if Upper(x+1, n+1, eps) < Upper(x, n+1, eps) {
			t.Fatal("falls with x")
		}
	})
}

// Holds spec A-12.
func TestPropertyDetection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64Range(1, 60).Draw(t, "total")
		forged := rapid.Uint64Range(0, total).Draw(t, "forged")
		n := rapid.IntRange(1, 60).Draw(t, "n")
		threshold := rapid.IntRange(1, 6).Draw(t, "threshold")
		draws := min(int64(n), int64(total))
		want := new(big.Rat)
		for i := int64(threshold); i <= draws; i++ {
			term := new(big.Int).Binomial(int64(forged), i)
			if draws-i > int64(total-forged) {
				continue
			}
			term.Mul(term, new(big.Int).Binomial(int64(total-forged), draws-i))
			want.Add(want, new(big.Rat).SetFrac(term, new(big.Int).Binomial(int64(total), draws)))
		}
		got := Detection(total, forged, n, threshold)
		g := rat(got)
		if got == One {
			g = new(big.Rat).Sub(g, unit) // stands for 1 and for what rounds down to it
		}
		if g.Cmp(want) > 0 || new(big.Rat).Add(g, unit).Cmp(want) < 0 {
			t.Fatalf("%v is not %s rounded down", got, want.FloatString(24))
		}
	})
}

func TestDetectionTable(t *testing.T) {
	// An example by hand: 1 of 10 forged, 3 looked at; 7 of 10.
	if got := float(Detection(10, 1, 3, 1)); math.Abs(got-0.3) > 1e-12 {
		t.Errorf("1 of 10, 3 drawn: %g", got)
	}
	if got := float(Detection(10, 7, 3, 1)); math.Abs(got-119.0/120) > 1e-12 {
		t.Errorf("7 of 10, 3 drawn: %g", got)
	}
	// The chain's: N = 200, three and more, of a large log.
	for forged, want := range map[uint64]float64{10_000: 0.32332103250179406,
		20_000: 0.7648810241651842, 50_000: 0.997665306327205} {
		if got := float(Detection(1_000_000, forged, 200, 3)); math.Abs(got-want) > 1e-12 {
			t.Errorf("%d of a million: %.5f, want %.5f", forged, got, want)
		}
	}
	for name, pair := range map[string][2]Q64{
		"nothing asked for":          {Detection(10, 0, 3, 0), One},
		"nothing forged":             {Detection(10, 0, 3, 1), 0},
		"all forged":                 {Detection(10, 10, 3, 3), One},
		"more forged than there are": {Detection(10, 11, 3, 3), One},
		"all drawn":                  {Detection(10, 3, 99, 3), One},
		"fewer drawn than asked for": {Detection(10, 10, 2, 3), 0},
		"an empty log":               {Detection(0, 0, 200, 1), 0},
		"no sample":                  {Detection(10, 10, 0, 1), 0},
		"beyond the largest sample":  {Detection(1<<40, 1<<39, MaxSample+1, 1), 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}

// Holds spec A-7.
func TestQ64String(t *testing.T) {
	for q, want := range map[Q64]string{
		0: "0", One: "1", 1 << 63: "0.5", 1 << 62: "0.25", 1: "5.42101e-20", 1 << 54: "0.000976563",
		Tail(200, 3, Rate{1, 10_000}): "1.29415e-06",
		One - 1:                       "1",
		6148914691236517205:           "0.333333",
		12297829382473034411:          "0.666667",
		1844674407370956:              "0.0001", // just below it, but rounds up
		184467440737095:               "1e-05",
	} {
		if got := q.String(); got != want {
			t.Errorf("%d: %s, want %s", uint64(q), got, want)
		}
	}
	if b, err := json.Marshal(Q64(1 << 63)); err != nil || string(b) != `"0.5"` {
		t.Errorf("as JSON: %s, %v", b, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		q := Q64(rapid.Uint64Range(1, math.MaxUint64-1).Draw(t, "q") >> rapid.IntRange(0,
			60).Draw(t, "shift"))
		text := q.String()
		back, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%s is not a number", text)
		}
		if q == 0 {
			return
		}
		f, _ := back.Float64()
		if exact := float(q); math.Abs(f/exact-1) > 5.1e-6 {
			t.Fatalf("%d prints as %s, is %g", uint64(q), text, exact)
		}
	})
}

func TestVerdictString(t *testing.T) {
	for v, want := range map[Verdict]string{Unspecified: "unspecified", Pass: "pass", Fail: "fail",
		Abstain: "abstain", 9: "verdict(9)"} {
		if v.String() != want {
			t.Errorf("%d: %s", uint8(v), v)
		}
	}
	if Unspecified != 0 || Pass != 1 || Fail != 2 || Abstain != 3 {
		t.Error("verdicts have other numbers than on the wire")
	}
}

func BenchmarkUpper200(b *testing.B) {
	for b.Loop() {
		Upper(2, 200, Rate{1, 20})
	}
}

func BenchmarkUpperMaxSample(b *testing.B) {
	for b.Loop() {
		Upper(5, MaxSample, Rate{1, 20})
	}
}
