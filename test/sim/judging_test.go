// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

func (n *network) judgements(epoch uint64) []courtv1.Judgement {
	n.t.Helper()
	res, err := n.courtQuery().Judgements(context.Background(),
		&courtv1.QueryJudgementsRequest{Epoch: epoch, Pagination: &query.PageRequest{Limit: 1000}})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Judgements
}

// Many named leaves are judged a few per block, and the epoch waits for the last one.
// Holds spec S-24.
func TestJudgingIsSpreadOverBlocks(t *testing.T) {
	const perBlock = 32 // the least that 2^30 operations allow
	engine := &standIn{}
	n := start(t, 5, withUnits(engine), withJudging(perBlock),
		withParams(func(p *sprintv1.Params) { p.Samples = 200 }))
	// names honest leaves of each of the four others, and loses them with the first
	n.host("p5").cheat.opinion = pushover
	p1, p4 := n.host("p1"), n.host("p4")
	p4.cheat.leaf = forgeEvery(1)
	n.phase(1, sprintv1.PhaseCheck)
	var msgs []sdk.Msg
	for _, ref := range n.samples(1, p4.addr, false) {
		msgs = append(msgs, &sprintv1.MsgDispute{Participant: p1.addr, Epoch: 1, Leaf: ref})
	}
	n.queue = append(n.queue, p1.tx(msgs...))
	most, before := 0, 0
	n.until("dispute window", func(e sprintv1.Epoch) bool {
		most, before = max(most, engine.asked-before), engine.asked
		return e.Number == 1 && e.Phase == sprintv1.PhaseDispute
	})
	if most == 0 {
		t.Fatal("the set-up: nothing was recomputed before the dispute window")
	}
	e := n.until("end", func(e sprintv1.Epoch) bool {
		most, before = max(most, engine.asked-before), engine.asked
		return e.Phase == sprintv1.PhaseFinalised
	})
	judged := n.judgements(1)
	if most > perBlock {
		t.Errorf("a block recomputed %d units; the budget is %d", most, perBlock)
	}
	if engine.asked != len(judged) {
		t.Errorf("%d units recomputed for %d judged leaves: one was judged twice",
			engine.asked, len(judged))
	}
	r := e.Round
	if least := int64(len(judged)/perBlock) - 1; r.DisputeUntil-r.RevealUntil < least ||
		least <= int64(e.Params.DisputeBlocks) {
		t.Errorf("%d leaves at %d per block took a window of %d blocks", len(judged), perBlock,
			r.DisputeUntil-r.RevealUntil)
	}
	for _, j := range judged {
		if j.Height > r.DisputeUntil {
			t.Errorf("leaf %v was judged at %d, after the end at %d", j.Leaf,
				j.Height, r.DisputeUntil)
		}
	}
	_, out := n.finish(1)
	credited(t, out, "p1", "p2", "p3")
	if out["p4"].Result != sprintv1.ResultFraud || out["p5"].Result != sprintv1.ResultFalseVerdict {
		t.Errorf("p4 is %s and p5 is %s", out["p4"].Result, out["p5"].Result)
	}
}

// Anyone who names a leaf, and however often, it is recomputed once; claims on it cost nothing
// then.
func TestALeafIsJudgedOnceWhoeverNamesIt(t *testing.T) {
	engine := &standIn{}
	n := start(t, 5, withUnits(engine))
	p5 := n.host("p5")
	p5.cheat.leaf = forgeEvery(4)
	n.phase(1, sprintv1.PhaseDispute)
	var first courtv1.LeafRef
	for _, j := range n.proven(1, p5) {
		first = j.Leaf
	}
	if asked := engine.asked; asked != 4 {
		t.Errorf("four voters named the same four leaves and %d units were recomputed", asked)
	}
	var msgs []sdk.Msg
	p1 := n.host("p1")
	for range 8 {
		msgs = append(msgs, &sprintv1.MsgDispute{Participant: p1.addr, Epoch: 1, Leaf: first})
	}
	n.queue = append(n.queue, p1.tx(msgs...))
	_, out := n.finish(1)
	if engine.asked != 4 {
		t.Errorf("disputes of a leaf already judged recomputed %d units more", engine.asked-4)
	}
	credited(t, out, "p1", "p2", "p3", "p4")
	if o := out["p5"]; o.Mismatches != 4 || o.Result != sprintv1.ResultFraud {
		t.Errorf("p5: %v", o)
	}
}

// A dispute convicts where every voter kept silent about a forged leaf, and a refuted one ends the
// accuser's claims of the epoch and costs it nothing else.
// Holds spec J-8.
func TestDisputesByMembers(t *testing.T) {
	n := start(t, 4)
	p1, p3, p4 := n.host("p1"), n.host("p3"), n.host("p4")
	p4.cheat.leaf = forgeEvery(2)
	for _, name := range []string{"p1", "p2", "p3"} { // a conspiracy of all voters
		n.host(name).cheat.opinion = passAll
	}
	n.phase(1, sprintv1.PhaseDispute)
	var msgs []sdk.Msg
	for _, ref := range n.samples(1, p4.addr, false) {
		if ref.Nonce%2 == 1 && len(msgs) < 4 {
			msgs = append(msgs, &sprintv1.MsgDispute{Participant: p3.addr, Epoch: 1, Leaf: ref})
		}
	}
	wrong := &sprintv1.MsgDispute{Participant: p1.addr, Epoch: 1,
		Leaf: n.samples(1, n.host("p2").addr, false)[0]}
	n.queue = append(n.queue, p3.tx(msgs...), p1.tx(wrong))
	n.step()
	for _, r := range n.results {
		if r.Code != 0 {
			t.Fatalf("dispute: %s", r.Log)
		}
	}
	for name, want := range map[string]courtv1.Claimant{"p1": {Spent: 1, Refuted: true},
		"p3": {Spent: 4}} {
		res, err := n.courtQuery().Claimant(context.Background(),
			&courtv1.QueryClaimantRequest{Epoch: 1, Participant: n.host(name).addr})
		if err != nil {
			t.Fatal(err)
		}
		if c := res.Claimant; c.Spent != want.Spent || c.Refuted != want.Refuted ||
			res.Budget != 4+500 {
			t.Errorf("%s has spent %d of %d claims, refuted %v; want %v", name, c.Spent,
				res.Budget, c.Refuted, want)
		}
	}
	_, out := n.finish(1)
	if out["p4"].Result != sprintv1.ResultFraud {
		t.Errorf("p4: %v", out["p4"])
	}
	credited(t, out, "p1", "p2", "p3")
}
