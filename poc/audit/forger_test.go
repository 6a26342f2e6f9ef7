// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"math"
	"testing"

	"github.com/assaynet/assay/poc/audit"
)

// fraction is a Q0.64 as a number.
func fraction(q audit.Q64) float64 { return float64(q) / math.Exp2(64) }

// A forger of a share of its leaves computes the others only. Of 200 drawn ones x are forged;
// three or more reject the claim, fewer cost the bound. What it is credited for each leaf that it
// computed, against an honest claim: never more with one draw, however large the share; and with
// the better of two draws, which a proposer has that drops its slot, at most 0.2 % more.
// Holds spec.
func TestNoForgedSharePays(t *testing.T) {
	const n = 200
	eps := audit.Rate{Num: 50_000, Den: 1_000_000}
	rule := audit.NewRule(100, 100_000)
	reject := int(audit.Threshold(n, rule.Fault, rule.Fail))
	credit := make([]float64, reject) // by x
	for x := range credit {
		credit[x] = 1 - fraction(audit.Upper(uint64(x), n, eps))
	}
	if reject != 3 {
		t.Fatalf("%d forged leaves of %d reject", reject, n)
	}
	worst := [2]float64{math.Inf(-1), math.Inf(-1)}
	for step := 1; step <= 4_000; step++ { // from 10^-6 to 0.999
		f := math.Exp(math.Log(1e-6) + float64(step)/4_000*(math.Log(0.999)-math.Log(1e-6)))
		p := make([]float64, reject)
		term := math.Pow(1-f, n) // P[x = 0]
		for x := range p {
			p[x] = term
			term *= float64(n-x) / float64(x+1) * f / (1 - f)
		}
		one, two, above := 0.0, 0.0, 1.0 // above: P[more than x forged]
		for x := range p {
			one += p[x] * credit[x]
			// the better of two has x forged: both have x at least, not both more
			two += (above*above - (above-p[x])*(above-p[x])) * credit[x]
			above -= p[x]
		}
		for i, got := range []float64{one, two} {
			worst[i] = max(worst[i], got/(1-f)/credit[0]-1)
		}
	}
	t.Logf("best gain: %.5f %% with one draw, %.5f %% with two", 100*worst[0], 100*worst[1])
	if worst[0] > 0 || worst[1] > 0.002 {
		t.Errorf("a forger gains %.4f %% with one draw, %.4f %% with two", 100*worst[0],
			100*worst[1])
	}
}
