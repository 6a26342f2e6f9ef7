// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"fmt"
)

// Collateral is what credit needs of x/collateral: how much of a weight is covered, by the rules
// and the locks of now.
type Collateral interface {
	Backing(ctx context.Context) (func(participant string, weight uint64) (uint64, error), error)
}

// SetCollateral wires what covers weights. Without it all of a weight counts.
func (k *Keeper) SetCollateral(c Collateral) { k.deposits = c }

// backing returns what counts of a weight for power, votes and pay (spec K-2). Duties, the least
// that has to be live and all that is compared with earlier weights count the weight itself: they
// ask what somebody can compute, not what it stands for.
func (k *Keeper) backing(ctx context.Context) (func(participant string, weight uint64) (uint64,
	error), error) {
	if k.deposits == nil {
		return func(_ string, weight uint64) (uint64, error) { return weight, nil }, nil
	}
	backed, err := k.deposits.Backing(ctx)
	if err != nil {
		return nil, fmt.Errorf("credit: collateral: %w", err)
	}
	return func(participant string, weight uint64) (uint64, error) {
		covered, err := backed(participant, weight)
		if err != nil {
			return 0, fmt.Errorf("credit: collateral of %s: %w", participant, err)
		}
		return min(covered, weight), nil
	}, nil
}

// Backed is what counts of one participant's weight.
func (k *Keeper) Backed(ctx context.Context, participant string, weight uint64) (uint64, error) {
	backed, err := k.backing(ctx)
	if err != nil {
		return 0, err
	}
	return backed(participant, weight)
}
