// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"context"
	"testing"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

var (
	self   = Who{"chain", "cpc1self", "w1"}
	victim = Who{"chain", "cpc1victim", "w1"}
)

// units runs nonces 0..n-1 of a node on an engine.
func units(t *testing.T, e work.Engine, node seed.Seed, n int) []transformer.Output {
	t.Helper()
	m, err := e.Transformer(context.Background(), transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, nonces := make([]transformer.Output, n), make([]uint64, n)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := m.Run(out, node, seed.Seed{2}, nonces); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEachWorkerCheatChangesItsOwnLeavesAndNobodyElses(t *testing.T) {
	const n = 8
	own, theirs := self.seed(transformer.Nano), victim.seed(transformer.Nano)
	honest, others := units(t, work.Reference(), own, n), units(t, work.Reference(), theirs, n)
	for cheat, wrong := range map[string]int{Forge: n / 4, Skip: n, Reuse: n} {
		e := Engine(work.Reference(), cheat, self, victim)
		differ := 0
		for i, out := range units(t, e, own, n) {
			if out.Norm != honest[i].Norm || out.Digest != honest[i].Digest {
				differ++
			}
			if cheat == Reuse && out != others[i] {
				t.Errorf("%s: leaf %d is not the victim's", cheat, i)
			}
		}
		if differ != wrong {
			t.Errorf("%s: %d of %d own leaves are wrong, want %d", cheat, differ, n, wrong)
		}
		for i, out := range units(t, e, theirs, n) {
			if out != others[i] {
				t.Errorf("%s: leaf %d of somebody else was re-run wrongly", cheat, i)
			}
		}
	}
}

func TestHostCheatsLeaveTheEngineHonest(t *testing.T) {
	for _, cheat := range []string{None, Withhold, Vote} {
		if e := Engine(work.Reference(), cheat, self, victim); e != work.Reference() {
			t.Errorf("%s: the engine is wrapped", cheat)
		}
	}
}

// The short model is the honest one but for the missing layer: its middle digest is the honest
// state one layer up.
func TestTheSkippedLayerIsTheOnlyDifference(t *testing.T) {
	s := shorten(transformer.Nano, seed.Seed{1})
	if got, want := len(s.layers), transformer.Nano.Layers-1; got != want {
		t.Fatalf("%d layers, want %d", got, want)
	}
	input := seed.Input(self.seed(transformer.Nano), seed.Seed{2}, 0)
	full := units(t, work.Reference(), self.seed(transformer.Nano), 1)[0]
	if s.unit(input).Middle != full.Middle {
		t.Error("the state after all but the last layer differs from the honest middle state")
	}
}

func TestAFalseVoteNamesAtMostFourLeavesOfEachTarget(t *testing.T) {
	duties := []sprintv1.Duty{{Target: "a", Leaves: make([]courtv1.LeafRef, 9)},
		{Target: "b", Leaves: make([]courtv1.LeafRef, 2)}}
	body := &sprintv1.VerdictBody{Votes: []byte{byte(sprintv1.VotePass), byte(sprintv1.VotePass)}}
	VoteFail(body, duties)
	named := map[uint32]int{}
	for _, m := range body.Mismatches {
		named[m.Duty]++
	}
	for d, want := range []int{4, 2} {
		if sprintv1.Vote(body.Votes[d]) != sprintv1.VoteFail || named[uint32(d)] != want {
			t.Errorf("duty %d: vote %d with %d mismatches, want a fail with %d", d, body.Votes[d],
				named[uint32(d)], want)
		}
	}
}

func TestUnknownCheatsAreRefused(t *testing.T) {
	if Valid("charm") == nil {
		t.Error("accepted")
	}
	for _, c := range append(Names(), None) {
		if err := Valid(c); err != nil {
			t.Error(err)
		}
	}
}
