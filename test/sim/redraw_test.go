// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// slots is a network whose committees are drawn: more voters than full_committee.
func slots(t *testing.T, members int, options ...option) *network {
	return start(t, members, append(options, withParams(func(p *sprintv1.Params) { p.FullCommittee = 4 }))...)
}

// on bends verdicts on one target in some epochs only.
func on(target string, n *network, epochs []uint64, bend func(*sprintv1.TargetVerdict)) func(*sprintv1.VerdictBody, []sprintv1.Duty) {
	return func(body *sprintv1.VerdictBody, _ []sprintv1.Duty) {
		for i := range body.Verdicts {
			if v := &body.Verdicts[i]; v.Target == n.host(target).addr && slices.Contains(epochs, n.now().Epoch.Number) {
				bend(v)
			}
		}
	}
}

func toAbstain(v *sprintv1.TargetVerdict) {
	*v = sprintv1.TargetVerdict{Target: v.Target, Vote: sprintv1.VoteAbstain}
}

func TestDrawnCommitteesCreditTheHonestInOneRound(t *testing.T) {
	n := slots(t, 8)
	for epoch := uint64(1); epoch <= 2; epoch++ {
		e, out := n.finish(epoch)
		credited(t, out, names(out)...)
		if len(e.Rounds) != 1 || e.Rounds[0].Everyone || e.Rounds[0].Slots != e.Params.Slots {
			t.Errorf("epoch %d: rounds %v", epoch, e.Rounds)
		}
		for _, o := range out {
			if o.PassWeight != o.CommitteeWeight {
				t.Errorf("%s was passed by %d of %d", o.Moniker, o.PassWeight, o.CommitteeWeight)
			}
		}
	}
}

// Below the half without proof: twice the committee, at last everyone; then the smaller of claim and weight, and the
// second time in a row nothing.
func TestAbstainingMajorityLeadsToLargerCommitteesAndThenToLess(t *testing.T) {
	n := slots(t, 8)
	for _, name := range []string{"p2", "p3", "p4", "p5", "p6", "p7"} {
		n.host(name).cheat.verdict = on("p1", n, []uint64{1, 2}, toAbstain)
	}
	others := []string{"p2", "p3", "p4", "p5", "p6", "p7", "p8"}
	type committee struct {
		Slots    uint32
		Everyone bool
	}
	want := []committee{{16, false}, {32, false}, {64, true}}
	for epoch := uint64(1); epoch <= 2; epoch++ {
		e, out := n.finish(epoch)
		var got []committee
		for _, r := range e.Rounds {
			got = append(got, committee{r.Slots, r.Everyone})
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("epoch %d: committees (-want +got):\n%s", epoch, d)
		}
		credited(t, out, others...)
		o := out["p1"]
		switch epoch {
		case 1:
			if claim := 48 * uint64(32); o.Result != sprintv1.ResultUndecided || o.WeightAfter != min(claim, 1000/32*32) && o.WeightAfter != min(claim, 1000) {
				t.Errorf("epoch 1: p1 %v; want the smaller of its claim %d and its weight 1000", o, claim)
			}
		case 2:
			if o.Result != sprintv1.ResultUndecidedAgain || o.WeightAfter != 0 {
				t.Errorf("epoch 2: p1 %v; want nothing the second time", o)
			}
		}
		if o.Round != 3 || o.CommitteeWeight == 0 {
			t.Errorf("epoch %d: p1 was decided in round %d of weight %d", epoch, o.Round, o.CommitteeWeight)
		}
		// only what was left open is judged again
		for _, voter := range others {
			for _, d := range n.duties(e, 3, n.host(voter).addr) {
				if d.Target != n.host("p1").addr || len(d.Leaves) != 32 {
					t.Errorf("epoch %d: in round 3 %s re-runs %d leaves of %s", epoch, voter, len(d.Leaves), n.byAddr[d.Target].name)
				}
			}
		}
	}
	_, out := n.finish(3)
	credited(t, out, names(out)...)
	if _, out = n.finish(4); out["p1"].PowerAfter == 0 {
		t.Error("p1 has its power back an epoch after its credit")
	}
}

// A claim of a single leaf is re-run by a few slots only. The others owe nothing, are not silent, and do not count
// against it: otherwise one leaf would force two more committees on the whole network.
func TestATinyClaimForcesNoRedraw(t *testing.T) {
	n := slots(t, 8)
	n.host("p1").cheat.count = func(_ string, segment uint32) int { return int(segment % 2) }
	e, out := n.finish(1)
	if len(e.Rounds) != 1 {
		t.Errorf("a claim of one leaf took %d committees", len(e.Rounds))
	}
	if o := out["p1"]; o.Samples != 1 || o.Result != sprintv1.ResultCredited || o.CommitteeWeight != uint64(e.Params.Replicas) {
		t.Errorf("p1: %v; want it judged by the %d slots that re-ran its leaf", o, e.Params.Replicas)
	}
	credited(t, out, "p2", "p3", "p4", "p5", "p6", "p7", "p8")
}

// A member that is silent in a middle round loses the epoch's credit even though the target was decided later.
func TestSilenceInAMiddleRoundCounts(t *testing.T) {
	n := slots(t, 8)
	for _, name := range []string{"p2", "p3", "p4", "p5", "p6", "p7"} {
		n.host(name).cheat.verdict = on("p1", n, []uint64{1}, toAbstain)
	}
	silent := n.host("p8")
	wasDrawn := false
	silent.cheat.commitVerdict = func(msg *sprintv1.MsgCommitVerdict) *sprintv1.MsgCommitVerdict {
		if msg.Round == 2 {
			wasDrawn = true
			return nil
		}
		return msg
	}
	e, out := n.finish(1)
	if len(e.Rounds) != 3 || !wasDrawn {
		t.Fatalf("the set-up: %d rounds, drawn in the second %v", len(e.Rounds), wasDrawn)
	}
	if o := out["p8"]; o.Result != sprintv1.ResultSilent || o.WeightAfter != 0 {
		t.Errorf("p8 revealed nothing in round 2: %v", o)
	}
}

// A dispute about an honest middle digest of an earlier round is refuted, although by then fewer targets are open
// than that round judged.
func TestADisputeOfAnEarlierRoundDoesNotConvictTheHonest(t *testing.T) {
	n := slots(t, 8)
	// two targets go on to round 2; the one whose address comes first goes on to round 3
	later, earlier := "p1", "p2"
	if n.host(later).addr > n.host(earlier).addr {
		later, earlier = earlier, later
	}
	for _, name := range []string{"p3", "p4", "p5", "p6", "p7"} {
		h := n.host(name)
		h.cheat.verdict = func(body *sprintv1.VerdictBody, _ []sprintv1.Duty) {
			on(later, n, []uint64{1}, toAbstain)(body, nil)
			if round(n.now().Epoch) == 1 {
				on(earlier, n, []uint64{1}, toAbstain)(body, nil)
			}
		}
	}
	n.until("verdicts of round 2", func(e sprintv1.Epoch) bool { return round(e) == 2 && e.Phase == sprintv1.PhaseValidate })
	accuser := n.host("p7")
	var msgs []sdk.Msg
	for _, h := range n.hosts {
		for _, d := range n.duties(n.now().Epoch, 2, h.addr) {
			if h != accuser && d.Target == n.host(earlier).addr {
				msgs = append(msgs, &sprintv1.MsgDispute{Participant: accuser.addr, Epoch: 1, Leaf: d.Leaves[0], Voter: h.addr, Round: 2})
			}
		}
	}
	e := n.until("dispute window of round 3", func(e sprintv1.Epoch) bool { return round(e) == 3 && e.Phase == sprintv1.PhaseDispute })
	if len(msgs) == 0 || len(msgs) > int(e.Params.DisputesPerEpoch) {
		t.Fatalf("the set-up: %d disputes", len(msgs))
	}
	n.queue = append(n.queue, accuser.tx(msgs...))
	n.step()
	if r := n.results[0]; r.Code != 0 {
		t.Fatalf("disputes of round 2: %s", r.Log)
	}
	_, out := n.finish(1)
	for name, o := range out {
		if o.Result == sprintv1.ResultFalseVerdict {
			t.Errorf("%s is honest and was convicted: %s", name, o.Reason)
		}
	}
	res, err := n.query().Members(context.Background(), &sprintv1.QueryMembersRequest{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range res.Members {
		if m.Participant == accuser.addr && m.Disputes != e.Params.DisputesPerEpoch {
			t.Errorf("a refuted dispute ends the accuser's disputes; it has raised %d of %d", m.Disputes, e.Params.DisputesPerEpoch)
		}
	}
}
