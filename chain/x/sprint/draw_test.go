// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"math"
	"slices"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
)

// draws repeats something with seeds 0, 1, 2, ...
func draws(times int, f func(seed.Seed)) {
	for i := range times {
		f(seed.Seed{byte(i), byte(i >> 8), byte(i >> 16)})
	}
}

// uniform compares counts of n drawn out of each of so many times with the expectation. Drawing
// without replacement narrows the spread; what is left is chi-squared with cells-1 degrees of
// freedom, here within five sigma.
func uniform(t *testing.T, what string, counts []int, n, times int) {
	t.Helper()
	cells := float64(len(counts))
	p := float64(n) / cells
	want := float64(times) * p
	chi := 0.0
	for _, c := range counts {
		chi += (float64(c) - want) * (float64(c) - want) / (want * (1 - p))
	}
	chi *= (cells - 1) / cells
	if dof := cells - 1; math.Abs(chi-dof) > 5*math.Sqrt(2*dof) {
		t.Errorf("%s: chi-squared %.1f with %.0f degrees of freedom over %d draws",
			what, chi, dof, times)
	}
}

// Every leaf of every log of every node is drawn equally often, and never twice.
// Holds spec S-13.
func TestLeavesAreDrawnUniformlyOverAllLogs(t *testing.T) {
	logs := []sprintv1.Commit{{Node: "a", Segment: 1, Count: 7}, {Node: "a", Segment: 2, Count: 1},
		{Node: "b", Segment: 1, Count: 12}, {Node: "b", Segment: 3, Count: 30}}
	const total, n, times = 50, 10, 20_000
	counts, pairs := make([]int, total), make([]int, total)
	draws(times, func(mix seed.Seed) {
		var at []int
		for i, d := range drawLeaves("chain", 3, "cpc1x", mix, n, logs) {
			base := 0
			for _, l := range logs {
				if l.Node == d.commit.Node && l.Segment == d.commit.Segment {
					break
				}
				base += int(l.Count)
			}
			for _, nonce := range d.nonces {
				if nonce >= d.commit.Count {
					t.Fatalf("log %d: nonce %d of %d", i, nonce, d.commit.Count)
				}
				at = append(at, base+int(nonce))
			}
		}
		if len(at) != n || !slices.IsSorted(at) || len(slices.Compact(slices.Clone(at))) != n {
			t.Fatalf("drawn %v; want %d different leaves in order", at, n)
		}
		for i, a := range at {
			counts[a]++
			pairs[(at[(i+1)%n]-a+total)%total]++ // the gap to the next one
		}
	})
	uniform(t, "leaves", counts, n, times)
	// in a uniform sample each gap has the same law, so neighbours are as rare as they should be
	want := float64(times) * n * (n - 1) / (total - 1)
	if got := float64(pairs[1]); math.Abs(got-want) > 6*math.Sqrt(want) {
		t.Errorf("%v pairs of neighbours were drawn; want about %v", got, want)
	}
	if got := drawLeaves("chain", 3, "cpc1x", seed.Seed{}, 80,
		logs); len(leafRefs("cpc1x", got)) != total {
		t.Errorf("with more samples than leaves all are drawn, not %d", len(leafRefs("cpc1x", got)))
	}
	if got := drawLeaves("chain", 3, "cpc1x", seed.Seed{}, 80, nil); got != nil {
		t.Errorf("nothing was committed and %v is drawn", got)
	}
}

// In every phase an operator is told why, and until when where blocks decide it.
func TestReasonSaysWhyAndUntilWhen(t *testing.T) {
	e := sprintv1.Epoch{Number: 2, Params: LocalnetParams(), Seed1: make([]byte, 32),
		PrepareUntil: 10, ComputeStart: 20, ComputeEnd: 29, WrapupUntil: 32,
		ProofUntil: 40, FinalisedHeight: 70,
		Segments: []sprintv1.Segment{{Index: 1, Start: 20, End: 29}},
		Round: sprintv1.Round{ValidateUntil: 50, RevealUntil: 55, CheckMix: make([]byte, 32),
			CheckUntil: 57, DisputeStart: 57, DisputeUntil: 61}}
	for phase, want := range map[sprintv1.Phase]int64{sprintv1.PhaseNone: 0,
		sprintv1.PhasePrepare: 10, sprintv1.PhaseCompute: 29, sprintv1.PhaseWrapUp: 32,
		sprintv1.PhaseChallenge: 0,
		sprintv1.PhaseProof:     40, sprintv1.PhaseDraw: 0, sprintv1.PhaseValidate: 50,
		sprintv1.PhaseReveal: 55, sprintv1.PhaseCheck: 57, sprintv1.PhaseDispute: 61,
		sprintv1.PhaseFinalised: 80, sprintv1.PhaseServe: 80} {
		e.Phase = phase
		reason, until := Reason(e, 25)
		if reason == "" || until != want {
			t.Errorf("%s: %q until %d; want block %d", phase, reason, until, want)
		}
	}
	e.Phase, e.Params.EpochBlocks = sprintv1.PhaseFinalised, 0
	if reason, until := Reason(e, 25); reason == "" || until != 71 {
		t.Errorf("where the next epoch is due at once: %q until %d", reason, until)
	}
	e.Phase = sprintv1.PhaseDispute
	if reason, until := Reason(e, 61); reason == "" ||
		until != 57+disputeStretch*int64(e.Params.DisputeBlocks) {
		t.Errorf("while the chain still judges: %q until %d", reason, until)
	}
	e.Phase, e.Round.CheckMix = sprintv1.PhaseCheck, nil
	if reason, until := Reason(e, 56); reason == "" || until != 0 {
		t.Errorf("before the beacon of the checks: %q until %d", reason, until)
	}
	if s, ok := SegmentAt(29, e); !ok || s.Index != 1 {
		t.Errorf("block 29 is the last of segment 1, not of %v", s)
	}
	if _, ok := SegmentAt(30, e); ok {
		t.Error("block 30 is after the window")
	}
}
