// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// namesPerNode is how many mismatches a verdict may name per node, and how many proven ones of one node are
// fraud: one flipped bit on an honest machine is not.
const namesPerNode = 4

// heartbeatBlocks is how old, in blocks, the beacon value under a heartbeat may be.
const heartbeatBlocks = 20

// recordEpochs is how many epochs' records and outcomes stay in state for those who look back.
const recordEpochs = 100

// DefaultParams are those of a real network with blocks of about five seconds: a five-minute window.
func DefaultParams() sprintv1.Params {
	return sprintv1.Params{
		Class: transformer.Small.Name, Samples: 200,
		Segments: 5, SegmentBlocks: 12, PrepareBlocks: 60, CommitBlocks: 3,
		ProofBlocks: 24, OpeningBytesPerBlock: 1 << 20,
		ValidateBlocks: 120, RevealBlocks: 24, DisputeBlocks: 60,
		Slots: 64, Replicas: 16, FullCommittee: 16,
		FaultRatePpm: 100, FailPInverse: 100_000, CreditEpsPpm: 50_000,
		MinVoters: 4, MinLiveBps: 6667, ReadyBps: 9000,
		JailEpochs: 4, SilenceEpochs: 3,
		JudgeUnitsPerBlock: 8, DisputesPerEpoch: 8, KeepEpochs: 2,
	}
}

// LocalnetParams are those of a network on one machine with blocks of about a second and the smallest model.
func LocalnetParams() sprintv1.Params {
	p := DefaultParams()
	p.Class = transformer.Nano.Name
	p.Segments, p.SegmentBlocks, p.PrepareBlocks = 3, 10, 8
	p.ProofBlocks, p.ValidateBlocks, p.RevealBlocks, p.DisputeBlocks = 8, 40, 8, 4
	p.MinVoters, p.MinLiveBps = 2, 5000
	p.JudgeUnitsPerBlock = 32
	return p
}

// ValidateParams holds governance within bounds that no vote passes: audit floors, windows, budgets.
func ValidateParams(p sprintv1.Params) error {
	class, err := transformer.ByName(p.Class)
	if err != nil {
		return fmt.Errorf("sprint: class: %w", err)
	}
	if !judgeable(class) {
		return fmt.Errorf("sprint: class %s is beyond what the chain can judge by recomputing a unit; choose nano or small", class.Name)
	}
	bounds := []struct {
		name           string
		value, lo, hi  uint64
		consequenceLow string
	}{
		{"samples", uint64(p.Samples), 16, 1000, "fewer catch too little"},
		{"segments", uint64(p.Segments), 1, 64, "one at least"},
		{"segment_blocks", uint64(p.SegmentBlocks), 2, 10_000, "a segment needs a block to start and one to work"},
		{"prepare_blocks", uint64(p.PrepareBlocks), 2, 10_000, "models must load"},
		{"commit_blocks", uint64(p.CommitBlocks), 2, 100, "a commit must survive one censoring proposer"},
		{"proof_blocks", uint64(p.ProofBlocks), 3, 10_000, "an opening must survive censoring proposers"},
		{"opening_bytes_per_block", uint64(p.OpeningBytesPerBlock), 128 << 10, 16 << 20, "one opening must fit"},
		{"validate_blocks", uint64(p.ValidateBlocks), 3, 100_000, "members must re-run the leaves"},
		{"reveal_blocks", uint64(p.RevealBlocks), 3, 10_000, "a reveal must survive censoring proposers"},
		{"dispute_blocks", uint64(p.DisputeBlocks), 2, 100_000, "disputes need time"},
		{"slots", uint64(p.Slots), 16, 1024, "small committees are captured"},
		{"replicas", uint64(p.Replicas), 4, uint64(p.Slots), "each leaf needs an honest checker"},
		{"full_committee", uint64(p.FullCommittee), 4, 64, "below it all re-run everything"},
		{"fault_rate_ppm", uint64(p.FaultRatePpm), 1, 1000, "hardware is not perfect"},
		{"fail_p_inverse", p.FailPInverse, 1000, 1_000_000_000, "an honest flip would fail"},
		{"credit_eps_ppm", uint64(p.CreditEpsPpm), 1, 50_000, "above 0.05 forging pays"},
		{"min_voters", uint64(p.MinVoters), 2, 64, "one judge is none"},
		{"min_live_bps", uint64(p.MinLiveBps), 5000, 10_000, "half must be live"},
		{"ready_bps", uint64(p.ReadyBps), 5000, 10_000, "half must be ready"},
		{"jail_epochs", uint64(p.JailEpochs), 1, 10_000, "a lie must cost"},
		{"silence_epochs", uint64(p.SilenceEpochs), 2, 1000, "one outage is not a habit"},
		{"judge_units_per_block", uint64(p.JudgeUnitsPerBlock), 1, 256, "quarrels must end"},
		{"disputes_per_epoch", uint64(p.DisputesPerEpoch), 1, 64, "anyone may dispute"},
		{"keep_epochs", uint64(p.KeepEpochs), 1, 20, "evidence must be fetched"},
	}
	for _, b := range bounds {
		if b.value < b.lo || b.value > b.hi {
			return fmt.Errorf("sprint: %s %d is outside %d..%d: %s", b.name, b.value, b.lo, b.hi, b.consequenceLow)
		}
	}
	if need := uint64(p.Samples) * maxOpenedLeafBytes; uint64(p.OpeningBytesPerBlock) < need {
		return fmt.Errorf("sprint: opening_bytes_per_block %d is below %d, what samples %d may take: one opening must fit", p.OpeningBytesPerBlock, need, p.Samples)
	}
	if t := audit.Threshold(uint64(p.Samples), faultRate(p), failBound(p)); t > namesPerNode {
		return fmt.Errorf("sprint: with samples %d, fault_rate_ppm %d and fail_p_inverse %d a claim fails only at %d mismatches, but a verdict names %d per node; lower one of them",
			p.Samples, p.FaultRatePpm, p.FailPInverse, t, namesPerNode)
	}
	return nil
}

// judgeable: the chain recomputes a unit of this class itself; larger ones need the dispute game of DESIGN 4.5.
func judgeable(c transformer.Class) bool {
	return c.ID == transformer.Nano.ID || c.ID == transformer.Small.ID
}

func faultRate(p sprintv1.Params) audit.Rate {
	return audit.Rate{Num: uint64(p.FaultRatePpm), Den: 1_000_000}
}
func failBound(p sprintv1.Params) audit.Rate { return audit.Rate{Num: 1, Den: p.FailPInverse} }
func creditEps(p sprintv1.Params) audit.Rate {
	return audit.Rate{Num: uint64(p.CreditEpsPpm), Den: 1_000_000}
}

// beyondFaults: x mismatches of n are more than faulty hardware explains.
func beyondFaults(p sprintv1.Params, n, x uint64) bool {
	return x > 0 && x >= audit.Threshold(n, faultRate(p), failBound(p))
}
