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

// DefaultParams are the rails of spec P-14 and the money of spec E-11. With blocks of five seconds
// the emission halves what is left in four years.
func DefaultParams() creditv1.Params {
	return creditv1.Params{CapBps: 2_500, LambdaBps: 12_000, MoveBps: 1_000, MaxValidators: 300,
		TallyEpochs: 3, EmissionPpt: 27_488, TaskShareBps: 0, FeeBurnBps: 5_000, LockEpochs: 12,
		OfflineBlocks: 120}
}

// LocalnetParams let a third of the power move, so that a newcomer's share shows within an epoch or
// two, pay as early as is allowed, and take the power of a key that stopped signing before the
// short epoch is over.
func LocalnetParams() creditv1.Params {
	p := DefaultParams()
	p.MoveBps, p.LockEpochs, p.OfflineBlocks = 3_333, 3, 20
	return p
}

// ValidateParams holds governance within bounds that no vote passes.
func ValidateParams(p creditv1.Params) error {
	for _, b := range []struct {
		name          string
		value, lo, hi uint64
		low, high     string // what is wrong with less, and with more
	}{
		{"cap_bps", p.CapBps, 500, 3_300, "too few names could hold all power",
			"one name could stop the chain"},
		{"lambda_bps", p.LambdaBps, 10_000, 20_000, "powers could not add up to the whole",
			"small names would hold over twice what they computed"},
		{"move_bps", p.MoveBps, 100, 3_333, "the set would not follow the compute",
			"over a third of the power could change hands in one epoch"},
		{"max_validators", p.MaxValidators, 4, 300, "fewer cannot do without one of them",
			"every block carries a signature of each"},
		{"tally_epochs", p.TallyEpochs, 1, maxTallyEpochs, "rented compute would vote at once",
			"new compute would never vote"},
		{"emission_ppt", p.EmissionPpt, 0, 200_000, "",
			"half of all coins left would be minted in half a year"},
		{"task_share_bps", p.TaskShareBps, 0, 2_000, "", "four fifths at least pay compute"},
		{"fee_burn_bps", p.FeeBurnBps, 0, bpsWhole, "", "more than all fees cannot be burned"},
		{"lock_epochs", p.LockEpochs, 3, 1_000, "pay would leave before fraud is proven",
			"pay must arrive"},
		{"offline_blocks", p.OfflineBlocks, 20, 10_000, "a restart would cost power",
			"the chain would wait too long for keys that are gone"},
	} {
		why := b.low
		if b.value > b.hi {
			why = b.high
		}
		if b.value < b.lo || b.value > b.hi {
			return fmt.Errorf("credit: %s %d is outside %d..%d: %s", b.name, b.value, b.lo, b.hi,
				why)
		}
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
