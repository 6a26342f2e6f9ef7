// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The host of these simulations keeps the published rule: a full audit of 90 tiles with the
// adaptive probability, a light one of 3 otherwise, the sequential test in rounds of 90, pay
// unlocked after 20 clean submissions, faults taken off everything locked, no answer costs the
// submission. A submission pays 1,000 and costs 900 to compute, so honest work earns 100 each and
// forging all of it saves 900.
const (
	simPay    = 1000.0
	simCost   = 900.0
	simPicks  = 90
	simLight  = 3
	simUnlock = 20
	simLength = 300 // submissions of one life
)

// rules can be bent, to see that the simulation notices.
type rules struct {
	adaptive  Adaptive
	unlock    int  // clean submissions until pay is unlocked
	light     int  // tiles of a light audit
	foundOnly bool // faults cost what was found, not what they leave possible
}

func published() rules {
	return rules{adaptive: DefaultAdaptive(), unlock: simUnlock, light: simLight}
}

// life is one forger's (or honest machine's) time with a host.
type life struct {
	rules   rules
	rng     *rand.Rand
	memo    map[[2]uint64]verdict
	locked  []float64 // pay by submission, oldest first
	ages    []int     // clean submissions since
	paid    float64
	cost    float64
	clean   int // in a row
	strikes int
	flagged int  // submissions for which a fault raises the probability
	silent  bool // it does not answer where the answer would show a forged tile
	done    int
}

type verdict struct {
	decision Decision
	share    float64
}

// decide is the sequential test and the bound, remembered.
func (l *life) decide(n, x uint64) verdict {
	v, known := l.memo[[2]uint64{n, x}]
	if !known {
		v.decision = Flaky().Decide(n, x)
		if n+simPicks > MaxSample && v.decision == Continue {
			v.decision = Faulty
		}
		if v.decision == Faulty {
			v.share = math.Ldexp(float64(Upper(x, n, Rate{1, 1000})), -64)
		}
		l.memo[[2]uint64{n, x}] = v
	}
	return v
}

func (l *life) stake() (sum float64) {
	for _, v := range l.locked {
		sum += v
	}
	return sum
}

// probability is how likely the next submission is audited in full: public.
func (l *life) probability() float64 {
	if l.rules.unlock == 0 { // without pay that is locked the rule would audit always
		return 1.0 / 20
	}
	flags := 0
	if l.flagged > 0 {
		flags = 1
	}
	a := l.rules.adaptive.Probability(big.NewInt(simPay), big.NewInt(int64(l.stake())), flags)
	return math.Ldexp(float64(a), -32)
}

// hits draws how many of n tiles are wrong when a share is.
func (l *life) hits(n int, share float64) (x uint64) {
	for range n {
		if l.rng.Float64() < share {
			x++
		}
	}
	return x
}

// newKey leaves everything behind: what was locked is lost.
func (l *life) newKey() {
	l.locked, l.ages, l.clean, l.strikes, l.flagged = nil, nil, 0, 0, 0
}

// rest waits until all pay is unlocked by time.
func (l *life) rest() {
	l.paid += l.stake()
	l.locked, l.ages = nil, nil
}

// submit is one submission of which the share chosen is forged.
func (l *life) submit(choose func(l *life, full bool) float64) {
	full := l.rng.Float64() < l.probability()
	share := choose(l, full)
	l.cost += (1 - share) * simCost
	l.done++
	l.flagged--
	n := l.rules.light
	if full {
		n = simPicks
	}
	x := l.hits(n, share)
	if x == 0 {
		l.locked, l.ages = append(l.locked, simPay), append(l.ages, -1)
		l.clean++
		for i := range l.ages {
			l.ages[i]++
		}
		for len(l.ages) > 0 && l.ages[0] >= l.rules.unlock {
			l.paid += l.locked[0]
			l.locked, l.ages = l.locked[1:], l.ages[1:]
		}
		return
	}
	l.clean = 0
	if l.silent { // costs this submission, and what is locked waits again
		for i := range l.ages {
			l.ages[i] = 0
		}
		return
	}
	v := l.decide(uint64(n), x)
	for v.decision == Continue {
		n += simPicks
		x += l.hits(simPicks, share)
		v = l.decide(uint64(n), x)
	}
	if v.decision == Fraud {
		l.locked, l.ages = nil, nil
		if l.strikes++; l.strikes == 3 {
			l.newKey()
		}
		return
	}
	l.flagged = simUnlock
	if l.rules.foundOnly { // of a log of 10,000 tiles
		l.locked, l.ages = append(l.locked, simPay*(1-float64(x)/10_000)), append(l.ages, 0)
		return
	}
	l.locked, l.ages = append(l.locked, simPay), append(l.ages, 0)
	for i := range l.locked {
		l.locked[i] *= 1 - v.share
		l.ages[i] = 0
	}
}

// gains lives many lives and returns what they earn above an honest one's, a
// submission, in parts of its pay, and the deviation of that mean.
func gains(r rules, runs int, stream uint64, choose func(l *life, full bool) float64) (mean,
	dev float64) {
	memo := map[[2]uint64]verdict{}
	var sum, squares float64
	for run := range runs {
		l := &life{rules: r, rng: rand.New(rand.NewPCG(stream, uint64(run))), memo: memo}
		for range simLength {
			l.submit(choose)
		}
		l.rest() // it leaves, and waits for the rest
		g := (l.paid - l.cost - simLength*(simPay-simCost)) / simLength / simPay
		sum += g
		squares += g * g
	}
	mean = sum / float64(runs)
	return mean, math.Sqrt(max(squares/float64(runs)-mean*mean, 0) / float64(runs))
}

// strategies are the ways to forge that could pay under some rule.
func strategies() map[string]func(l *life, full bool) float64 {
	out := map[string]func(*life, bool) float64{
		"always":               func(*life, bool) float64 { return 1 },
		"always under new key": func(l *life, _ bool) float64 { l.newKey(); return 1 },
		"whitewash when struck": func(l *life, _ bool) float64 {
			if l.strikes > 0 {
				l.newKey()
			}
			return 0.5
		},
		"when an audit is least likely": func(l *life, _ bool) float64 {
			if l.probability() < 0.1 {
				return 1
			}
			return 0
		},
		"a little when an audit is least likely": func(l *life, _ bool) float64 {
			if l.probability() < 0.1 {
				return 0.02
			}
			return 0
		},
		"hit and run at the unlock": func(l *life, _ bool) float64 {
			if l.clean > 0 && l.clean%(simUnlock+1) == 0 {
				return 1
			}
			return 0
		},
		"rest until unlocked, then forge": func(l *life, _ bool) float64 {
			if l.done%30 == 29 {
				l.rest()
				return 1
			}
			return 0
		},
		"the last ones": func(l *life, _ bool) float64 {
			if l.done >= simLength-5 {
				return 1
			}
			return 0
		},
		"mixed": func(l *life, _ bool) float64 {
			return []float64{0, 0, 0.001, 0.01, 0.05, 0.3, 1}[l.rng.IntN(7)]
		},
		// A leak of the host's nonce: the light audit and what is locked still hold.
		"foresees the draw": func(_ *life, full bool) float64 {
			if full {
				return 0
			}
			return 0.02
		},
		"one of a hundred, whole": func(l *life, _ bool) float64 {
			if l.rng.IntN(100) == 0 {
				return 1
			}
			return 0
		},
	}
	for _, n := range []int{10, 20, 50, 100} {
		out[fmt.Sprintf("after %d clean, then all", n)] = func(l *life, _ bool) float64 {
			if l.clean >= n {
				return 1
			}
			return 0
		}
	}
	for _, share := range []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3} {
		out[fmt.Sprintf("always a share of %g", share)] = func(*life, bool) float64 { return share }
	}
	return out
}

// No strategy earns as much as honest work, by 4 deviations of what was measured.
func TestNoStrategyGains(t *testing.T) {
	const stream, runs = 20261129, 150
	t.Logf("seed %d, %d lives of %d submissions each", stream, runs, simLength)
	if mean, dev := gains(published(), 10, stream, func(*life,
		bool) float64 {
		return 0
	}); math.Abs(mean) > 1e-9 || dev > 1e-9 {
		t.Errorf("honest work earns %g more than itself", mean)
	}
	for name, choose := range strategies() {
		// Each in two ways: it answers, or sees what is asked and rather says
		// nothing where the answer would show a forged tile.
		for _, silent := range []bool{false, true} {
			mean, dev := gains(published(), runs, stream, func(l *life,
				full bool) float64 {
				l.silent = silent
				return choose(l, full)
			})
			t.Logf("%-40s silent %-5v %+.4f of a submission's pay +- %.4f", name, silent, mean, dev)
			if mean+4*dev >= 0 {
				t.Errorf("%s, silent %v: %+.5f +- %.5f above honest work", name, silent, mean, dev)
			}
		}
	}
}

// A machine that errs as often as the test tolerates keeps nearly all it earns
// and is never struck.
func TestFaultyMachineIsNotRuined(t *testing.T) {
	struck := 0
	mean, dev := gains(published(), 150, 20261130, func(l *life, _ bool) float64 {
		struck += l.strikes
		return 0.0001
	})
	t.Logf("a fault in 10,000 tiles costs %.5f of a submission's pay +- %.5f", -mean, dev)
	if struck > 0 || mean < -0.005 {
		t.Errorf("%d strikes, loss %g", struck, -mean)
	}
}

// The simulation finds what is wrong with worse rules.
func TestWorseRulesAreGamed(t *testing.T) {
	const runs = 150
	for name, c := range map[string]struct {
		bend   func(*rules)
		share  float64
		rarely bool // it forges where an audit is rare, and is silent when caught
	}{
		"pay at once, an audit in twenty, else nothing": {func(r *rules) {
			r.unlock, r.light = 0, 0
		}, 1, false},
		"faults cost only what was found": {func(r *rules) { r.foundOnly = true }, 0.0005, false},
		"silence costs the submission, light audits look at nothing": {func(r *rules) {
			r.light = 0
		}, 1, true},
	} {
		r := published()
		c.bend(&r)
		forge := func(l *life, _ bool) float64 {
			if l.silent = c.rarely; c.rarely && l.probability() > 0.15 {
				return 0
			}
			return c.share
		}
		mean, dev := gains(r, runs, 20261201, forge)
		t.Logf("%-60s %+.5f +- %.5f", name, mean, dev)
		if mean-4*dev <= 0 {
			t.Errorf("%s: %+.5f +- %.5f, want a gain", name, mean, dev)
		}
		if mean, dev = gains(published(), runs, 20261201, forge); mean+4*dev >= 0 {
			t.Errorf("the published rule, share %g: %+.5f +- %.5f", c.share, mean, dev)
		}
	}
}

// Who would be caught can always say nothing. That is why every submission is
// looked at lightly: three picks take q(d) = 1-(1-d)^3 of its pay, which is more
// than the d that it saves, whatever is locked and however seldom a full audit is.
// Holds spec M-19.
func TestSilenceLosesForEveryShare(t *testing.T) {
	for d := uint64(1); d < 1000; d++ {
		if light := Caught(Rate{d, 1000}, simLight); light <= quotient(new(big.Int).SetUint64(d),
			big.NewInt(1000), true) {
			t.Errorf("d = %d/1000: a light audit takes %v", d, light)
		}
	}
}

// Exact, without a simulation: in expectation a forged share d of a submission
// loses more than Kappa*d of everything at stake per audit, so that by the rule
// a*(S+g) >= Kappa*g it loses more than it saves, whatever d is. For a key with
// nothing locked, a = 1 and the factor 1 is enough.
func TestForgingLosesForEveryShare(t *testing.T) {
	l := &life{memo: map[[2]uint64]verdict{}}
	worst, at := math.Inf(1), 0.0
	for d := 1e-5; d < 1; d *= 1.05 {
		if ratio := l.expectedLoss(d) / d; ratio < worst {
			worst, at = ratio, d
		}
	}
	t.Logf("worst: a full audit takes %.3f times the forged share, at d = %.4f", worst, at)
	if worst < 1 {
		t.Errorf("at d = %g an audit takes %.3f of what is forged", at, worst)
	}
}

// expectedLoss is the expected share of what is at stake that a full audit of a
// log with a forged share d takes: all for fraud, the bound for faults.
func (l *life) expectedLoss(d float64) float64 {
	row := make([]float64, simPicks+1) // P[Bin(90, d) = x]
	for x := range row {
		lg := func(v int) float64 { g, _ := math.Lgamma(float64(v + 1)); return g }
		row[x] = math.Exp(lg(simPicks) - lg(x) - lg(simPicks-x) + float64(x)*math.Log(d) +
			float64(simPicks-x)*math.Log1p(-d))
	}
	open := map[uint64]float64{}
	loss := 0.0
	take := func(n, x uint64, p float64, next map[uint64]float64) {
		switch v := l.decide(n, x); v.decision {
		case Fraud:
			loss += p
		case Faulty:
			loss += p * v.share
		default:
			next[x] += p
		}
	}
	for x := uint64(1); x <= simPicks; x++ {
		take(simPicks, x, row[x], open)
	}
	for n := uint64(2 * simPicks); len(open) > 0; n += simPicks {
		next := map[uint64]float64{}
		for x, p := range open {
			for more := range row {
				if q := p * row[more]; q > 1e-18 {
					take(n, x+uint64(more), q, next)
				}
			}
		}
		open = next
	}
	return loss
}
