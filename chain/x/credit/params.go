// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"fmt"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/credit"
)

// maxTallyEpochs is how far back votes may ever look.
const maxTallyEpochs = 100

// DefaultParams are the rails of spec P-14.
func DefaultParams() creditv1.Params {
	return creditv1.Params{CapBps: 2_500, LambdaBps: 12_000, MoveBps: 1_000, MaxValidators: 300,
		TallyEpochs: 3}
}

// LocalnetParams let a third of the power move, so that a newcomer's share shows within an epoch or
// two.
func LocalnetParams() creditv1.Params {
	p := DefaultParams()
	p.MoveBps = 3_333
	return p
}

// ValidateParams holds governance within bounds that no vote passes.
func ValidateParams(p creditv1.Params) error {
	switch {
	case p.CapBps < 500 || p.CapBps > 3_300:
		return fmt.Errorf("credit: cap_bps %d is outside 500..3300", p.CapBps)
	case p.LambdaBps < 10_000:
		return fmt.Errorf("credit: lambda_bps %d is below 10000: powers could not add up to the "+
			"whole", p.LambdaBps)
	case p.LambdaBps > 20_000:
		return fmt.Errorf("credit: lambda_bps %d is above 20000: small names would hold over "+
			"twice what they computed", p.LambdaBps)
	case p.MoveBps < 100:
		return fmt.Errorf("credit: move_bps %d is below 100: the set would not follow the compute",
			p.MoveBps)
	case p.MoveBps > 3_333:
		return fmt.Errorf("credit: move_bps %d is above 3333: over a third of the power could "+
			"change hands in one epoch", p.MoveBps)
	case p.MaxValidators < 4 || p.MaxValidators > 300:
		return fmt.Errorf("credit: max_validators %d is outside 4..300", p.MaxValidators)
	case p.TallyEpochs < 1 || p.TallyEpochs > maxTallyEpochs:
		return fmt.Errorf("credit: tally_epochs %d is outside 1..%d", p.TallyEpochs, maxTallyEpochs)
	}
	return nil
}

// Adopt makes pending parameters current. It is called when an epoch begins, so that one epoch has
// one set of rules.
func (k *Keeper) Adopt(ctx context.Context) error {
	if err := table.Adopt(ctx, k.pending, k.params); err != nil {
		return fmt.Errorf("credit: pending params: %w", err)
	}
	return nil
}

// Rules are the rails by which parameters let power follow weight.
func Rules(p creditv1.Params) credit.Rules {
	return credit.Rules{CapBps: p.CapBps, LambdaBps: p.LambdaBps, MoveBps: p.MoveBps,
		TotalPower: TotalPower}
}
