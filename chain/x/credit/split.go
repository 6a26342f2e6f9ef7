// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	sdkmath "cosmossdk.io/math"
)

// share is a participant's part in a pot: weight of the sum of all weights.
type share struct {
	participant string
	weight      uint64
}

// split (spec E-5) divides a pot in proportion to weights, to the unit: floors, then one unit each
// to the largest remainders, ties by address. The amounts are in the order of the shares and do not
// depend on it. Each weight is positive, and no participant comes twice.
func split(pot sdkmath.Int, shares []share) []sdkmath.Int {
	sum := new(big.Int)
	for _, s := range shares {
		sum.Add(sum, new(big.Int).SetUint64(s.weight))
	}
	amounts, rest := make([]*big.Int, len(shares)), make([]*big.Int, len(shares))
	left := pot.BigInt()
	for i, s := range shares {
		whole := new(big.Int).SetUint64(s.weight)
		whole.Mul(whole, pot.BigIntMut())
		amounts[i], rest[i] = whole.QuoRem(whole, sum, new(big.Int))
		left.Sub(left, amounts[i])
	}
	order := make([]int, len(shares))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(rest[b].Cmp(rest[a]),
			strings.Compare(shares[a].participant, shares[b].participant))
	})
	one := big.NewInt(1)
	for _, i := range order[:left.Int64()] { // fewer than there are shares
		amounts[i].Add(amounts[i], one)
	}
	out := make([]sdkmath.Int, len(amounts))
	for i, a := range amounts {
		out[i] = sdkmath.NewIntFromBigIntMut(a)
	}
	return out
}
