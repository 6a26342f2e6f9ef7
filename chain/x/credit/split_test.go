// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"maps"
	"math/big"
	"slices"
	"testing"

	sdkmath "cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/chain/x/credit"
)

// A pot is shared out to the unit, whatever the weights are and in whatever order they come: no
// part is a unit away from its proportion, and equal weights differ by one at most.
// Holds spec E-5.
func TestPropertyThePotIsSharedOutToTheUnit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.MapOfN(rapid.StringMatching("[a-z]{1,6}"),
			rapid.OneOf(rapid.Uint64Range(1, 5), rapid.Uint64Range(1, credit.MaxWeight)), 1, 40).
			Draw(rt, "weights")
		pot := sdkmath.NewIntFromUint64(rapid.Uint64().Draw(rt, "pot")).
			Mul(sdkmath.NewIntFromUint64(rapid.Uint64Max(1<<30).Draw(rt, "times")))
		all := slices.Sorted(maps.Keys(weights))
		parts := credit.Split(pot, weights, all)
		sum, total := sdkmath.ZeroInt(), new(big.Int)
		for _, w := range weights {
			total.Add(total, new(big.Int).SetUint64(w))
		}
		for _, name := range all {
			sum = sum.Add(parts[name])
			// |part * total - pot * weight| < total
			off := new(big.Int).Mul(parts[name].BigInt(), total)
			off.Sub(off, new(big.Int).Mul(pot.BigInt(), new(big.Int).SetUint64(weights[name])))
			if off.CmpAbs(total) >= 0 {
				rt.Fatalf("%s gets %s of %s for %d of %s", name, parts[name], pot, weights[name],
					total)
			}
		}
		if !sum.Equal(pot) {
			rt.Fatalf("parts add up to %s of %s", sum, pot)
		}
		for i, a := range all {
			for _, b := range all[i+1:] {
				if weights[a] == weights[b] && parts[a].LT(parts[b]) {
					rt.Fatalf("%s and %s weigh the same, and the later name gets more", a, b)
				}
			}
		}
		mixed := rapid.Permutation(all).Draw(rt, "order")
		if again := credit.Split(pot, weights, mixed); !maps.EqualFunc(parts, again,
			func(a, b sdkmath.Int) bool { return a.Equal(b) }) {
			rt.Fatalf("in another order: %v, not %v", again, parts)
		}
	})
}

// Holds spec E-5.
func TestTheLargestRemaindersGetTheUnitsLeft(t *testing.T) {
	got := credit.Split(sdkmath.NewInt(10), map[string]uint64{"d": 1, "c": 1, "b": 1, "a": 3},
		[]string{"d", "c", "b", "a"})
	text := map[string]int64{}
	for name, n := range got {
		text[name] = n.Int64()
	}
	// exact: 5, 1 2/3 each: two units for the three remainders, by address
	if diff := cmp.Diff(map[string]int64{"a": 5, "b": 2, "c": 2, "d": 1}, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
