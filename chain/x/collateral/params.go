// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"
	"fmt"

	"cosmossdk.io/math"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/table"
)

// RiseEpochs is how long a voted rise of the price waits.
const RiseEpochs = 36

// maxPrice is the most that a unit of weight may ever need, in acpc: one coin.
func maxPrice() math.Int { return math.NewIntWithDecimal(1, 18) }

// DefaultParams are those of a real network: collateral is off, and a withdrawal takes eight days
// of five-second blocks.
func DefaultParams() collateralv1.Params {
	return collateralv1.Params{UnbondingBlocks: 140_000, CollateralPerUnit: math.ZeroInt(),
		FreeShareBps: 2_000}
}

// LocalnetParams are those of a network on one machine.
func LocalnetParams() collateralv1.Params {
	p := DefaultParams()
	p.UnbondingBlocks = 400
	return p
}

// ValidateParams holds governance within bounds that no vote passes. Errors wrap ErrParams.
func ValidateParams(p collateralv1.Params) error {
	switch price := p.CollateralPerUnit; {
	case p.UnbondingBlocks < 100 || p.UnbondingBlocks > 1_000_000:
		return ErrParams.Wrapf("unbonding_blocks %d is outside 100..1000000: in less no offence "+
			"is proven, and coins must come back", p.UnbondingBlocks)
	case price.IsNil() || price.IsNegative() || price.GT(maxPrice()):
		return ErrParams.Wrapf("collateral_per_unit %s is outside 0..%s acpc: 0 is off, and more "+
			"than a coin for 2^20 operations keeps everybody out", price, maxPrice())
	case p.FreeShareBps > 10_000:
		return ErrParams.Wrapf("free_share_bps %d is outside 0..10000: it is a part of a weight",
			p.FreeShareBps)
	}
	return nil
}

// Params are the parameters in force.
func (k *Keeper) Params(ctx context.Context) (collateralv1.Params, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return p, fmt.Errorf("collateral: parameters: %w", err)
	}
	return p, nil
}

// AdoptAt puts voted parameters in force; x/sprint calls it at each epoch's begin. A higher price
// acts RiseEpochs later, a lower one at once, also on rises that still wait: what was announced as
// dearer is never sooner than announced, and what is voted cheaper is cheaper everywhere.
func (k *Keeper) AdoptAt(ctx context.Context, epoch uint64) error {
	voted, err := table.Optional(ctx, k.pending)
	if err != nil {
		return fmt.Errorf("collateral: pending parameters: %w", err)
	}
	now, err := k.Params(ctx)
	if err != nil {
		return err
	}
	rises, err := table.Values(ctx, k.rises, nil)
	if err != nil {
		return fmt.Errorf("collateral: rises of the price: %w", err)
	}
	if voted != nil {
		now, rises = revalue(now.CollateralPerUnit, rises, *voted, epoch)
		if err := k.pending.Remove(ctx); err != nil {
			return err
		}
	}
	for len(rises) > 0 && rises[0].Epoch <= epoch {
		now.CollateralPerUnit, rises = rises[0].CollateralPerUnit, rises[1:]
	}
	if err := k.rises.Clear(ctx, nil); err != nil {
		return err
	}
	for _, r := range rises {
		if err := k.rises.Set(ctx, r.Epoch, r); err != nil {
			return err
		}
	}
	return k.params.Set(ctx, now)
}

// revalue applies voted parameters to the prices in force and to come.
func revalue(price math.Int, rises []collateralv1.Rise, voted collateralv1.Params,
	epoch uint64) (collateralv1.Params, []collateralv1.Rise) {
	wish := voted.CollateralPerUnit
	voted.CollateralPerUnit = math.MinInt(price, wish)
	last, path := voted.CollateralPerUnit, rises[:0:0]
	for _, r := range rises {
		r.CollateralPerUnit = math.MinInt(r.CollateralPerUnit, wish)
		if r.CollateralPerUnit.GT(last) {
			last, path = r.CollateralPerUnit, append(path, r)
		}
	}
	if wish.GT(last) {
		path = append(path, collateralv1.Rise{Epoch: epoch + RiseEpochs, CollateralPerUnit: wish})
	}
	return voted, path
}

// validRises checks prices to come: each later and dearer than the one before.
func validRises(p collateralv1.Params, rises []collateralv1.Rise) error {
	last, epoch := p.CollateralPerUnit, uint64(0)
	for i, r := range rises {
		if r.CollateralPerUnit.IsNil() || !r.CollateralPerUnit.GT(last) ||
			r.CollateralPerUnit.GT(maxPrice()) || i > 0 && r.Epoch <= epoch {
			return ErrInvariant.Wrapf("genesis: the price of epoch %d is %s after %s; want rising "+
				"epochs and prices, at most %s", r.Epoch, r.CollateralPerUnit, last, maxPrice())
		}
		last, epoch = r.CollateralPerUnit, r.Epoch
	}
	return nil
}
