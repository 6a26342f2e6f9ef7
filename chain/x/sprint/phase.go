// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// The four questions of an epoch's stage (spec S-1), pure over a height and an epoch's record. A
// boundary that is not fixed yet is 0 in the record and answers false.

// IsStartOfPoCStage: the compute window opens with this block.
func IsStartOfPoCStage(height int64, e sprintv1.Epoch) bool {
	return height > 0 && height == e.ComputeStart
}

// IsEndOfPoCStage: this block is the last of the compute window; commits of its last segment
// follow.
func IsEndOfPoCStage(height int64, e sprintv1.Epoch) bool {
	return height > 0 && height == e.ComputeEnd
}

// IsStartOfPoCValidationStage: with this block it is known which leaves are opened.
func IsStartOfPoCValidationStage(height int64, e sprintv1.Epoch) bool {
	return height > 0 && height == e.ChallengeHeight
}

// IsEndOfPoCValidationStage: with this block the epoch's weights are final.
func IsEndOfPoCValidationStage(height int64, e sprintv1.Epoch) bool {
	return height > 0 && height == e.FinalisedHeight
}

// SegmentAt returns the segment whose leaves are computed at a height.
func SegmentAt(height int64, e sprintv1.Epoch) (sprintv1.Segment, bool) {
	for _, s := range e.Segments {
		if height >= s.Start && height <= s.End {
			return s, true
		}
	}
	return sprintv1.Segment{}, false
}

// Reason says why an epoch is in its phase and what ends it; until is the block that ends it at the
// latest, 0 when only the beacon decides.
func Reason(e sprintv1.Epoch, height int64) (reason string, until int64) {
	round := e.Round
	switch e.Phase {
	case sprintv1.PhasePrepare:
		switch {
		case len(e.Seed1) == 0:
			return "waiting for the beacon of Seed_1: two blocks, and proposers with more than a " +
				"third of the power", 0
		case e.ReadyHeight == 0:
			return fmt.Sprintf("workers build the model; the window opens when all that were "+
				"live last epoch are ready, or after block %d when %d.%02d %% of the weight is",
				e.Seed1Height+int64(e.Params.PrepareBlocks)/2, e.Params.ReadyBps/100,
				e.Params.ReadyBps%100), e.PrepareUntil
		default:
			return "waiting for the beacon of Seed_2, which opens the compute window", 0
		}
	case sprintv1.PhaseCompute:
		if s, ok := SegmentAt(height, e); ok {
			return fmt.Sprintf("computing segment %d of %d", s.Index, len(e.Segments)), s.End
		}
		return "the compute window opens with the next block", e.ComputeStart
	case sprintv1.PhaseWrapUp:
		return "the window is over; commits of the last segment are still accepted", e.WrapupUntil
	case sprintv1.PhaseChallenge:
		return "waiting for the beacon that draws the leaves to open", 0
	case sprintv1.PhaseProof:
		return fmt.Sprintf("hosts open up to %d drawn leaves each", e.Samples), e.ProofUntil
	case sprintv1.PhaseDraw:
		return "waiting for the beacon that draws the committees", 0
	case sprintv1.PhaseValidate:
		return "members re-run the drawn leaves and commit to verdicts", round.ValidateUntil
	case sprintv1.PhaseReveal:
		return "members reveal their verdicts", round.RevealUntil
	case sprintv1.PhaseCheck:
		if len(round.CheckMix) == 0 {
			return "waiting for the beacon that draws the middle digests to open", 0
		}
		return fmt.Sprintf("members open up to %d drawn middle digests each; disputes are taken",
			middleChecks), round.CheckUntil
	case sprintv1.PhaseDispute:
		if height >= round.DisputeUntil {
			return "the chain judges the last claims, and those whom nobody judged",
				round.DisputeStart + disputeStretch*int64(e.Params.DisputeBlocks)
		}
		return "anyone may dispute; the chain judges every named leaf", round.DisputeUntil
	case sprintv1.PhaseFinalised:
		if e.Void {
			return "void: " + e.VoidReason + "; weight that was shown stays, the rest is halved",
				e.NextStart()
		}
		return fmt.Sprintf("weights are final; the next epoch begins with block %d", e.NextStart()),
			e.NextStart()
	case sprintv1.PhaseServe:
		if e.Void {
			return fmt.Sprintf("void: %s; the next epoch begins with block %d", e.VoidReason,
				e.NextStart()), e.NextStart()
		}
		return fmt.Sprintf("machines serve; the next epoch begins with block %d", e.NextStart()),
			e.NextStart()
	default:
		return "no epoch has begun", 0
	}
}
