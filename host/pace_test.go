// SPDX-License-Identifier: Apache-2.0

package host

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// The time of a block is that of the latest; a chain that stands still has none, and another
// chain's blocks do not count.
func TestPace(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	p := pace{clock: func() time.Time { return now }}
	if p.progress() != nil {
		t.Error("progress before a block")
	}
	block := func(height int64, after time.Duration) *Progress {
		now = now.Add(after)
		p.see(sprintv1.QueryCurrentResponse{Height: height,
			Epoch: sprintv1.Epoch{Phase: sprintv1.PhaseCompute, ComputeStart: 101,
				ComputeEnd: 190}})
		return p.progress()
	}
	check := func(what string, got *Progress, ms int64) {
		t.Helper()
		if d := cmp.Diff(&Progress{From: 100, To: 190, BlockMS: ms}, got); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	check("one block says nothing of time", block(120, 0), 0)
	check("two", block(121, 2*time.Second), 2000)
	check("one that was not seen", block(124, 4*time.Second), 1500)
	for height := int64(125); height < 150; height++ {
		block(height, time.Second)
	}
	check("the latest count", p.progress(), 1000)
	now = now.Add(6 * time.Second)
	check("a slow block", p.progress(), 1000)
	now = now.Add(time.Second)
	check("none comes", p.progress(), 0)
	check("another node is behind", block(90, time.Second), 0)
}

// A phase that only the beacon ends has no bounds.
func TestBounds(t *testing.T) {
	e := sprintv1.Epoch{Seed1Height: 12, PrepareUntil: 30, ComputeStart: 31, ComputeEnd: 60,
		WrapupUntil: 64, ChallengeHeight: 66, ProofUntil: 80,
		Round: sprintv1.Round{DrawHeight: 82, ValidateUntil: 120, RevealUntil: 130,
			CheckHeight: 132, CheckUntil: 140, DisputeStart: 141, DisputeUntil: 150}}
	with := e
	with.Seed1, with.Round.CheckMix = []byte{1}, []byte{1}
	for phase, want := range map[sprintv1.Phase][2]int64{
		sprintv1.PhasePrepare: {12, 30}, sprintv1.PhaseCompute: {30, 60},
		sprintv1.PhaseWrapUp: {60, 64}, sprintv1.PhaseChallenge: {}, sprintv1.PhaseProof: {66, 80},
		sprintv1.PhaseDraw: {}, sprintv1.PhaseValidate: {82, 120}, sprintv1.PhaseReveal: {120, 130},
		sprintv1.PhaseCheck: {132, 140}, sprintv1.PhaseDispute: {141, 150},
		sprintv1.PhaseFinalised: {},
	} {
		for _, e := range []sprintv1.Epoch{e, with} {
			e.Phase = phase
			want := want
			if (phase == sprintv1.PhasePrepare || phase == sprintv1.PhaseCheck) && e.Seed1 == nil {
				want = [2]int64{}
			}
			if from, to := bounds(sprintv1.QueryCurrentResponse{Epoch: e}); from != want[0] ||
				to != want[1] {
				t.Errorf("%s: %d to %d, want %v", phase.Word(), from, to, want)
			}
		}
	}
}
