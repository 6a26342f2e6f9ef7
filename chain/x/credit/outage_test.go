// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/chain/x/credit"
)

// minLive is main's least part of the previous weight that has to be live.
const minLive = 6_666

// epoch settles an epoch in which these names compute their weights, or makes it void as x/sprint
// does. watch sees every validator set.
func (c *chain) epoch(t testing.TB, weights map[string]uint64, present []string,
	watch func(powers map[string]uint64)) (void bool) {
	t.Helper()
	whole, err := c.TotalWeight(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	live := uint64(0)
	for _, name := range present {
		live += c.holding(t, name).Weight
	}
	if live*10_000 < whole*minLive {
		c.void(t, present, nil)
		return true
	}
	c.settle(t, live, weights, present...)
	for len(c.block(t)) > 0 {
		watch(c.powers(t))
	}
	return false
}

// coalition is the part of the power in names that begin with c, in millionths.
func coalition(powers map[string]uint64) (sum uint64) {
	for name, p := range powers {
		if strings.HasPrefix(name, "c") {
			sum += p
		}
	}
	return sum
}

// With 60 % of the honest away for five epochs a coalition of 1 % has at most 2 % of the power at
// any time and one of 27 % at most 40 %, and both fall back to what they compute.
func TestAnOutageOfFiveEpochs(t *testing.T) {
	for _, x := range []struct{ percent, most, after uint64 }{{1, 20_000, 12_000},
		{27, 400_000, 324_000}} {
		weights := map[string]uint64{}
		var all, stay []string
		for i := range 4 {
			name := fmt.Sprintf("c%d", i)
			weights[name] = x.percent * 1_000_000 / 4
			all, stay = append(all, name), append(stay, name)
		}
		for i := range 20 {
			name := fmt.Sprintf("h%02d", i)
			weights[name] = (100 - x.percent) * 1_000_000 / 20
			if all = append(all, name); i >= 12 {
				stay = append(stay, name)
			}
		}
		c := begin(t, credit.DefaultParams(), weights, all...)
		peak, voids := uint64(0), 0
		watch := func(powers map[string]uint64) { peak = max(peak, coalition(powers)) }
		for epoch := range 60 {
			present := all
			if epoch >= 2 && epoch < 7 {
				present = stay
			}
			if c.epoch(t, weights, present, watch) {
				voids++
			}
		}
		if peak > x.most {
			t.Errorf("a coalition of %d %% had %d millionths of the power", x.percent, peak)
		}
		if now := coalition(c.powers(t)); now > x.after || voids == 0 {
			t.Errorf("a coalition of %d %% has %d millionths long after %d void epochs",
				x.percent, now, voids)
		}
		t.Logf("coalition of %d %%: peak %d millionths, %d epochs void", x.percent, peak, voids)
	}
}

// However often somebody comes and goes, an absent epoch leaves it at most half of its weight and
// no vote.
func TestPropertyNoPatternOfPresenceKeepsWeight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := map[string]uint64{"h": 1_000,
			"rented": rapid.Uint64Range(1, 20_000).Draw(rt, "rented")}
		c := begin(t, credit.DefaultParams(), weights, "h")
		for range 20 {
			present := []string{"h"}
			if rapid.Bool().Draw(rt, "present") {
				present = append(present, "rented")
			}
			before := c.holding(t, "rented").Weight
			c.epoch(t, weights, present, func(map[string]uint64) {})
			if slices.Contains(present, "rented") {
				continue
			}
			if now := c.holding(t, "rented").Weight; now > before/2 {
				rt.Fatalf("absent, weighed %d and weighs %d", before, now)
			}
			if vote, _ := c.vote(t, "rented"); vote > 0 {
				rt.Fatalf("absent and votes with %d", vote)
			}
		}
	})
}
