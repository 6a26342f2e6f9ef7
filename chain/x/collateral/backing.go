// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"

	"cosmossdk.io/math"
)

// Backing returns what collateral covers of a weight, by the rules and the locks of now (spec K-2):
// min(w, floor(w * free_share_bps / 10000) + floor(locked for weight / collateral_per_unit)), and
// all of it while the price is 0. It reads the parameters once, so that a settlement of many asks
// once.
func (k *Keeper) Backing(ctx context.Context) (func(participant string, weight uint64) (uint64,
	error), error) {
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	return func(participant string, weight uint64) (uint64, error) {
		if p.CollateralPerUnit.IsZero() || weight == 0 {
			return weight, nil
		}
		locked, err := k.Locked(ctx, participant, Weight)
		if err != nil {
			return 0, err
		}
		return backed(weight, p.FreeShareBps, locked, p.CollateralPerUnit), nil
	}, nil
}

// backed is the formula of spec K-2 for a price above 0.
func backed(weight, freeBps uint64, locked, price math.Int) uint64 {
	whole := math.NewIntFromUint64(weight)
	covered := whole.Mul(math.NewIntFromUint64(freeBps)).QuoRaw(10_000).Add(locked.Quo(price))
	return math.MinInt(whole, covered).Uint64()
}
