// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
)

// draws repeats something with seeds 0, 1, 2, ...
func draws(times int, f func(seed.Seed)) {
	for i := range times {
		f(seed.Seed{byte(i), byte(i >> 8), byte(i >> 16)})
	}
}

// uniform compares counts of n drawn out of each of so many times with the expectation. Drawing without replacement
// narrows the spread; what is left is chi-squared with cells-1 degrees of freedom, here within five sigma.
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
		t.Errorf("%s: chi-squared %.1f with %.0f degrees of freedom over %d draws", what, chi, dof, times)
	}
}

// Every leaf of every log of every node is drawn equally often, and never twice.
func TestLeavesAreDrawnUniformlyOverAllLogs(t *testing.T) {
	logs := []sprintv1.Commit{{Node: "a", Segment: 1, Count: 7}, {Node: "a", Segment: 2, Count: 1}, {Node: "b", Segment: 1, Count: 12}, {Node: "b", Segment: 3, Count: 30}}
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
	if got := drawLeaves("chain", 3, "cpc1x", seed.Seed{}, 80, logs); len(leafRefs("cpc1x", got)) != total {
		t.Errorf("with more samples than leaves all are drawn, not %d", len(leafRefs("cpc1x", got)))
	}
	if got := drawLeaves("chain", 3, "cpc1x", seed.Seed{}, 80, nil); got != nil {
		t.Errorf("nothing was committed and %v is drawn", got)
	}
}

// voters with weights 1, 2, 3, ...
func voters(n int) []sprintv1.Member {
	var all []sprintv1.Member
	for i := range n {
		all = append(all, sprintv1.Member{Participant: fmt.Sprintf("cpc1%02d", i), Weight: uint64(i + 1), Live: true})
	}
	return all
}

// A member's votes follow its weight, and nobody judges itself.
func TestSlotsAreDrawnByWeight(t *testing.T) {
	const times, slots = 4000, 64
	all := voters(20)
	target := all[7].Participant
	votes := make([]float64, len(all))
	draws(times, func(s seed.Seed) {
		c := drawCommittee(s, sprintv1.Round{Number: 1, Slots: slots}, 16, all, target, 200)
		sum := uint64(0)
		for i, v := range c.votes {
			at := slices.IndexFunc(all, func(m sprintv1.Member) bool { return m.Participant == c.members[i] })
			votes[at] += float64(v)
			sum += v
		}
		if sum != slots {
			t.Fatalf("%d votes of %d slots, although 200 leaves reach every slot", sum, slots)
		}
	})
	weight := 0.0
	for i, v := range all {
		if i != 7 {
			weight += float64(v.Weight)
		}
	}
	for i, v := range all {
		if i == 7 {
			if votes[i] != 0 {
				t.Errorf("the target judged itself with %v votes", votes[i])
			}
			continue
		}
		p := float64(v.Weight) / weight
		want := times * slots * p
		if math.Abs(votes[i]-want) > 5*math.Sqrt(want*(1-p)) {
			t.Errorf("weight %d got %v votes; want about %.0f", v.Weight, votes[i], want)
		}
	}
}

// Every leaf is re-run by somebody, who has a vote; who re-runs nothing has none.
func TestEveryLeafFallsToMembersWithAVote(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		all := voters(rapid.IntRange(2, 30).Draw(r, "voters"))
		n := rapid.IntRange(1, 60).Draw(r, "leaves")
		replicas := rapid.IntRange(4, 16).Draw(r, "replicas")
		round := sprintv1.Round{Number: 1, Slots: uint32(rapid.IntRange(16, 64).Draw(r, "slots")), Everyone: rapid.Bool().Draw(r, "everyone")}
		var s seed.Seed
		copy(s[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "seed"))
		target := rapid.SampledFrom(all).Draw(r, "target").Participant
		c := drawCommittee(s, round, replicas, all, target, n)
		seen := make([]int, n)
		for i, m := range c.members {
			duty := c.duty(m, n)
			if (len(duty) > 0) != (c.votes[i] > 0) {
				r.Fatalf("%s has %d votes and re-runs %d leaves", m, c.votes[i], len(duty))
			}
			if !slices.IsSorted(duty) || len(slices.Compact(slices.Clone(duty))) != len(duty) {
				r.Fatalf("the duty of %s is %v", m, duty)
			}
			for _, j := range duty {
				seen[j]++
			}
		}
		for j, times := range seen {
			if times == 0 || round.Everyone && times != len(all)-1 || !round.Everyone && times > replicas {
				r.Fatalf("leaf %d is re-run by %d members", j, times)
			}
		}
		if c.duty(target, n) != nil || c.duty("cpc1stranger", n) != nil {
			r.Fatal("a duty of one who is no member")
		}
	})
}

func TestMulDivIsExactWithoutOverflow(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := rapid.Uint64Min(1).Draw(r, "c")
		a := rapid.Uint64Max(c).Draw(r, "a")
		b := rapid.Uint64().Draw(r, "b")
		want := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		if want.Quo(want, new(big.Int).SetUint64(c)); mulDiv(a, b, c) != want.Uint64() {
			r.Fatalf("%d * %d / %d = %d; want %s", a, b, c, mulDiv(a, b, c), want)
		}
	})
}

// In every phase an operator is told why, and until when where blocks decide it.
func TestReasonSaysWhyAndUntilWhen(t *testing.T) {
	e := sprintv1.Epoch{Number: 2, Params: LocalnetParams(), Seed1: make([]byte, 32), PrepareUntil: 10, ComputeStart: 20, ComputeEnd: 29, WrapupUntil: 32,
		ProofUntil: 40, FinalisedHeight: 70, Segments: []sprintv1.Segment{{Index: 1, Start: 20, End: 29}},
		Rounds: []sprintv1.Round{{Number: 1, ValidateUntil: 50, RevealUntil: 55, DisputeUntil: 60}}}
	for phase, want := range map[sprintv1.Phase]int64{sprintv1.PhaseNone: 0, sprintv1.PhasePrepare: 10, sprintv1.PhaseCompute: 29, sprintv1.PhaseWrapUp: 32, sprintv1.PhaseChallenge: 0,
		sprintv1.PhaseProof: 40, sprintv1.PhaseDraw: 0, sprintv1.PhaseValidate: 50, sprintv1.PhaseReveal: 55, sprintv1.PhaseDispute: 60, sprintv1.PhaseFinalised: 71} {
		e.Phase = phase
		reason, until := Reason(e, 25)
		if reason == "" || until != want {
			t.Errorf("%s: %q until %d; want block %d", phase, reason, until, want)
		}
	}
	if s, ok := SegmentAt(29, e); !ok || s.Index != 1 {
		t.Errorf("block 29 is the last of segment 1, not of %v", s)
	}
	if _, ok := SegmentAt(30, e); ok {
		t.Error("block 30 is after the window")
	}
}
