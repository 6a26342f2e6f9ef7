// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/work/transformer"
)

const (
	// falseMiddles is how many wrong middle digests of a voter jail it; honest hardware gives one
	// now and then.
	falseMiddles = 3
	// heartbeatBlocks is how old, in blocks, the beacon value under a heartbeat may be.
	heartbeatBlocks = 20
	// recordEpochs is how many epochs' records and outcomes stay in state for those who look back.
	recordEpochs = 100
	// unopenedEpochs is how many epochs apart two verdicts without checked digests jail.
	unopenedEpochs = 4
	// judgesOfLarge is how many voters a class needs whose units the chain does not recompute by
	// itself.
	judgesOfLarge = 4
)

// DefaultParams are those of a real network with blocks of about five seconds: a five-minute
// window.
func DefaultParams() sprintv1.Params {
	return sprintv1.Params{
		Class: transformer.Small.Name, Samples: 200,
		Segments: 5, SegmentBlocks: 12, PrepareBlocks: 60, CommitBlocks: 3,
		ProofBlocks: 24, OpeningBytesPerBlock: 1 << 20,
		ValidateBlocks: 120, RevealBlocks: 24, DisputeBlocks: 60,
		Slots: 64, Replicas: 16, FullCommittee: 16,
		FaultRatePpm: 100, FailPInverse: 100_000, CreditEpsPpm: 50_000,
		MinLiveBps: 6666, ReadyBps: 9000, SilenceEpochs: 3, KeepEpochs: 2,
		MinClaimLeaves: 1280, WholeUnitMiops: 1024, EpochBlocks: 1320,
	}
}

// LocalnetParams are those of a network on one machine with blocks of about a second and the
// smallest model.
func LocalnetParams() sprintv1.Params {
	p := DefaultParams()
	p.Class = transformer.Nano.Name
	p.Segments, p.SegmentBlocks, p.PrepareBlocks = 3, 10, 8
	p.ProofBlocks, p.ValidateBlocks, p.RevealBlocks, p.DisputeBlocks = 8, 40, 8, 4
	p.MinLiveBps, p.MinClaimLeaves, p.EpochBlocks = 5000, 64, 80
	return p
}

// ValidateParams holds governance within bounds that no vote passes: audit floors, windows,
// budgets.
func ValidateParams(p sprintv1.Params) error {
	class, err := transformer.ByName(p.Class)
	if err != nil {
		return fmt.Errorf("sprint: class: %w", err)
	}
	if !judgeable(class) {
		return fmt.Errorf("sprint: class %s is beyond what the chain can judge by recomputing a "+
			"unit; choose nano or small", class.Name)
	}
	bounds := []struct {
		name          string
		value, lo, hi uint64
		low, high     string // what is wrong with less, and with more
	}{
		{"samples", uint64(p.Samples), 16, sprintv1.MaxSamples, "fewer catch too little",
			"more do not fit into openings"},
		{"segments", uint64(p.Segments), 1, 64, "one at least", "each is a commit of every node"},
		{"segment_blocks", uint64(p.SegmentBlocks), 2, 10_000, "a segment needs a block to start " +
			"and one to work", "an epoch must end"},
		{"prepare_blocks", uint64(p.PrepareBlocks), 2, 10_000, "models must load",
			"an epoch must begin"},
		{"commit_blocks", uint64(p.CommitBlocks), 2, 100, "a commit must survive one censoring " +
			"proposer", "a late commit hides what was computed late"},
		{"proof_blocks", uint64(p.ProofBlocks), 3, 10_000, "an opening must survive censoring " +
			"proposers", "an epoch must end"},
		{"opening_bytes_per_block", uint64(p.OpeningBytesPerBlock), 128 << 10, 16 << 20,
			"one opening must fit", "a block must hold more than openings"},
		{"validate_blocks", uint64(p.ValidateBlocks), 3, 100_000, "members must re-run the leaves",
			"an epoch must end"},
		{"reveal_blocks", uint64(p.RevealBlocks), 3, 10_000, "a reveal must survive censoring " +
			"proposers", "an epoch must end"},
		{"dispute_blocks", uint64(p.DisputeBlocks), 2, 100_000, "disputes need time",
			"an epoch must end"},
		{"slots", uint64(p.Slots), 16, 1024, "small committees are captured",
			"each slot is a draw for every participant"},
		{"replicas", uint64(p.Replicas), 4, uint64(p.Slots), "each leaf needs an honest checker",
			"a leaf cannot fall to more slots than there are"},
		{"full_committee", uint64(p.FullCommittee), 4, 64, "small committees are captured",
			"below it everybody re-runs everything"},
		{"fault_rate_ppm", uint64(p.FaultRatePpm), 1, 1000, "hardware is not perfect",
			"forging would pass for bad hardware"},
		{"fail_p_inverse", p.FailPInverse, 1000, 1_000_000_000, "an honest flip would fail",
			"nobody could ever fail"},
		{"credit_eps_ppm", uint64(p.CreditEpsPpm), 1, 50_000, "the bound would take all credit",
			"above 0.05 forging pays"},
		{"min_live_bps", uint64(p.MinLiveBps), 5000, 10_000, "half must be live",
			"nobody is more than all"},
		{"ready_bps", uint64(p.ReadyBps), 5000, 10_000, "half must be ready",
			"nobody is more than all"},
		{"silence_epochs", uint64(p.SilenceEpochs), 2, 1000, "one outage is not a habit",
			"silence must end"},
		{"keep_epochs", uint64(p.KeepEpochs), 1, 20, "evidence must be fetched",
			"state would grow without use"},
		{"min_claim_leaves", p.MinClaimLeaves, 16, 100_000, "a claim must be worth judging",
			"small machines would be shut out"},
		{"whole_unit_miops", p.WholeUnitMiops, 0, 1024, "",
			"larger units are not recomputed whole"},
		{"epoch_blocks", uint64(p.EpochBlocks), 0, 17_280, "", "weight must be shown once a day"},
	}
	for _, b := range bounds {
		why := b.low
		if b.value > b.hi {
			why = b.high
		}
		if b.value < b.lo || b.value > b.hi {
			return fmt.Errorf("sprint: %s %d is outside %d..%d: %s", b.name, b.value, b.lo,
				b.hi, why)
		}
	}
	return consistent(p)
}

// consistent holds parameters against each other.
func consistent(p sprintv1.Params) error {
	if need := uint64(p.Samples) * sprintv1.MaxLeafBytes; uint64(p.OpeningBytesPerBlock) < need {
		return fmt.Errorf("sprint: opening_bytes_per_block %d is below %d, what samples %d may "+
			"take: one opening must fit", p.OpeningBytesPerBlock, need, p.Samples)
	}
	rule := ruleOf(p)
	if t := audit.Threshold(uint64(p.Samples), rule.Fault, rule.Fail); t > sprintv1.NamesPerNode {
		return fmt.Errorf("sprint: with samples %d, fault_rate_ppm %d and fail_p_inverse %d a "+
			"claim fails only at %d mismatches, but a verdict names %d per node; lower one of them",
			p.Samples, p.FaultRatePpm, p.FailPInverse, t, sprintv1.NamesPerNode)
	}
	return nil
}

// judgeable: the chain recomputes a unit of this class itself; larger ones need a dispute that ends
// in one operator.
func judgeable(c transformer.Class) bool {
	return c.ID == transformer.Nano.ID || c.ID == transformer.Small.ID
}

func creditEps(p sprintv1.Params) audit.Rate {
	return audit.Rate{Num: uint64(p.CreditEpsPpm), Den: 1_000_000}
}

// ruleOf is how many mismatches the parameters tolerate.
func ruleOf(p sprintv1.Params) audit.Rule {
	return audit.NewRule(p.FaultRatePpm, p.FailPInverse)
}
