// SPDX-License-Identifier: Apache-2.0

package court

import (
	"fmt"

	"cosmossdk.io/math"

	courtv1 "github.com/assaynet/assay/api/court/v1"
)

// acpc is 10^n base units of the coin.
func acpc(n int) math.Int { return math.NewIntWithDecimal(1, n) }

// DefaultParams are those of a real network: 8 x 2^30 operations a block take some seconds of plain
// Go at most.
func DefaultParams() courtv1.Params {
	return courtv1.Params{JudgeMiopsPerBlock: 8 << 10, JailEpochs: 4, ClaimBond: acpc(19).String(),
		SlashFraudBps: 2_000, SlashDoubleSignBps: 500, SlashFalseBps: 100, BountyBps: 1_000,
		MassBps: 1_000, HoldEpochs: 36}
}

// LocalnetParams are those of a network on one machine.
func LocalnetParams() courtv1.Params {
	p := DefaultParams()
	p.JudgeMiopsPerBlock, p.ClaimBond, p.HoldEpochs = 2<<10, acpc(18).String(), 2
	return p
}

// ValidateParams holds governance within bounds that no vote passes.
func ValidateParams(p courtv1.Params) error {
	if p.JudgeMiopsPerBlock < 1<<10 || p.JudgeMiopsPerBlock > 32<<10 {
		return fmt.Errorf("court: judge_miops_per_block %d is outside %d..%d: less does not "+
			"judge a unit of class small in a block, more takes plain Go longer than a block "+
			"should",
			p.JudgeMiopsPerBlock, 1<<10, 32<<10)
	}
	if p.JailEpochs < 1 || p.JailEpochs > 10_000 {
		return fmt.Errorf("court: jail_epochs %d is outside 1..10,000: a lie must cost, and a "+
			"term must end", p.JailEpochs)
	}
	bond, ok := math.NewIntFromString(p.ClaimBond)
	if !ok || bond.String() != p.ClaimBond || bond.LT(acpc(17)) || bond.GT(acpc(23)) {
		return fmt.Errorf("court: claim_bond %q is outside 10^17..10^23 acpc (0.1..100,000 CPC): "+
			"a claim without one is free to repeat, one that is too dear silences", p.ClaimBond)
	}
	for _, b := range []struct {
		name            string
		value, low, top uint64
		why             string
	}{
		{"slash_fraud_bps", p.SlashFraudBps, 100, 10_000, "fraud must cost, and no more than all"},
		{"slash_double_sign_bps", p.SlashDoubleSignBps, 100, 10_000,
			"a double signature must cost, and no more than all"},
		{"slash_false_bps", p.SlashFalseBps, 0, 1_000,
			"a verdict is judged by hardware that may err"},
		{"bounty_bps", p.BountyBps, 0, 5_000, "nobody may gain by losing to himself"},
		{"mass_bps", p.MassBps, 500, 3_333,
			"less holds every slash, more takes a fault of the program for an offence"},
		{"hold_epochs", p.HoldEpochs, 1, 1_000, "a vote needs time, and a hold must end"},
	} {
		if b.value < b.low || b.value > b.top {
			return fmt.Errorf("court: %s %d is outside %d..%d: %s", b.name, b.value, b.low, b.top,
				b.why)
		}
	}
	return nil
}

// bondOf reads a validated amount.
func bondOf(text string) math.Int {
	bond, ok := math.NewIntFromString(text)
	if !ok {
		return math.ZeroInt()
	}
	return bond
}
