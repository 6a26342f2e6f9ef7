// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/chain/x/credit"
)

// covers is how much weight of each name collateral covers.
type covers map[string]uint64

func (c covers) Backing(context.Context) (func(string, uint64) (uint64, error), error) {
	return func(name string, weight uint64) (uint64, error) {
		if most, some := c[name]; some {
			return min(weight, most), nil
		}
		return weight, nil
	}, nil
}

// Power follows what is covered of a weight; the weight itself stays.
// Holds spec K-2.
func TestPowerFollowsBackedWeight(t *testing.T) {
	weights := map[string]uint64{"a": 500, "b": 500, "c": 500, "d": 500, "e": 500}
	names := []string{"a", "b", "c", "d", "e"}
	c := begin(t, credit.DefaultParams(), weights, names...)
	c.SetCollateral(covers{"d": 250, "e": 0})
	for range 40 { // a tenth of the power moves in an epoch
		c.finalise(t, 2_500, weights, names...)
	}
	// d has six fifths of its share of what is covered, 1/7
	if diff := cmp.Diff(map[string]uint64{"a": 276_191, "b": 276_190, "c": 276_190,
		"d": 171_429},
		c.powers(t)); diff != "" {
		t.Error(diff)
	}
	for _, name := range names {
		if h := c.holding(t, name); h.Weight != 500 {
			t.Errorf("%s weighs %d", name, h.Weight)
		}
	}
}

// A vote weighs what is covered when it is counted, of the voter as of the whole: coins that back
// nothing any longer vote no longer.
// Holds spec P-11, K-2.
func TestAVoteWeighsWhatIsCoveredWhenItIsCounted(t *testing.T) {
	weights := map[string]uint64{"a": 600, "b": 400}
	c := begin(t, credit.DefaultParams(), weights, "a", "b")
	for range 3 {
		c.finalise(t, 1_000, weights, "a", "b")
	}
	cover := covers{"a": 120}
	c.SetCollateral(cover)
	if w, whole := c.vote(t, "a"); w != 120 || whole != 520 {
		t.Errorf("%d of %d, want 120 of 520", w, whole)
	}
	cover["a"], cover["b"] = 600, 80
	if w, whole := c.vote(t, "b"); w != 80 || whole != 680 {
		t.Errorf("%d of %d, want 80 of 680", w, whole)
	}
	// what was heavier in the last epochs counts in the whole, as far as it is covered
	c.finalise(t, 1_000, map[string]uint64{"a": 100, "b": 400}, "a", "b")
	if w, whole := c.vote(t, "a"); w != 100 || whole != 680 {
		t.Errorf("%d of %d, want 100 of 680", w, whole)
	}
}

// Where nothing at all is covered there is no new set to move to: the one that is there stays, and
// goes on deciding.
// Holds spec P-8.
func TestWithNothingCoveredTheSetStays(t *testing.T) {
	weights := map[string]uint64{"a": 500, "b": 500}
	c := begin(t, credit.DefaultParams(), weights, "a", "b")
	c.SetCollateral(covers{"a": 0, "b": 0})
	for range 20 {
		c.finalise(t, 1_000, weights, "a", "b")
	}
	if diff := cmp.Diff(map[string]uint64{"a": 500_000, "b": 500_000}, c.powers(t)); diff != "" {
		t.Error(diff)
	}
	// a name that covers anything gets power as fast as the limit lets it
	c.SetCollateral(covers{"a": 1, "b": 0})
	c.finalise(t, 1_000, weights, "a", "b")
	if got := c.powers(t)["a"]; got != 600_000 {
		t.Errorf("a has %d", got)
	}
}
