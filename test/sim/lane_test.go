// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
)

// What was tried for free is state: an import knows it, and the next epoch starts again.
func TestAttemptsOutliveAnExport(t *testing.T) {
	n := start(t, 4)
	p1 := n.host("p1")
	p1.cheat.absent = func(uint64) bool { return true }
	bad := func() *sprintv1.MsgReady {
		return &sprintv1.MsgReady{Participant: p1.addr, Epoch: n.now().Epoch.Number,
			Height: n.height, Signature: make([]byte, 64)}
	}
	used := func() uint64 {
		t.Helper()
		o, err := n.app.Sprint.Owed(n.ctx(), bad())
		if err != nil {
			t.Fatal(err)
		}
		return o.Used
	}
	n.until("Seed_1", func(e sprintv1.Epoch) bool { return len(e.Seed1) > 0 })
	if u := used(); u != 0 {
		t.Fatalf("%d attempts before the first", u)
	}
	n.queue = append(n.queue, p1.tx(bad()))
	n.step()
	if n.results[0].Code == 0 || used() != 1 {
		t.Fatalf("code %d, %d attempts used; want a failure that has used one",
			n.results[0].Code, used())
	}
	n.reborn()
	if u := used(); u != 1 {
		t.Errorf("%d attempts used after an import, want 1", u)
	}
	n.phase(2, sprintv1.PhasePrepare)
	n.until("Seed_1", func(e sprintv1.Epoch) bool { return len(e.Seed1) > 0 })
	if u := used(); u != 0 {
		t.Errorf("%d attempts used in a new epoch", u)
	}
}

// C19: a convicted fraud kept its place before all others until the epoch's end.
func TestC19TheConvictedHaveNoLane(t *testing.T) {
	n := start(t, 5)
	p5 := n.host("p5")
	p5.cheat.leaf = forgeEvery(1)
	n.until("conviction", func(e sprintv1.Epoch) bool {
		return e.Number == 1 && n.members(1)["p5"].Fraud
	})
	if _, err := n.app.Sprint.Owed(n.ctx(),
		&sprintv1.MsgDispute{Participant: p5.addr, Epoch: 1}); !errors.Is(err,
		sprint.ErrNotMember) {
		t.Errorf("a dispute of the convicted: %v", err)
	}
	if _, err := n.app.Sprint.Owed(n.ctx(), p5.setNodes()); !errors.Is(err, sprint.ErrNotMember) {
		t.Errorf("a list of machines of the convicted: %v", err)
	}
	p5.pays = false
	n.unjudged = true // the block would be rejected
	n.block(p5.sign(p5.operator, p5.account, &p5.sequence,
		[]sdk.Msg{&sprintv1.MsgDispute{Participant: p5.addr, Epoch: 1}}...))
	if n.results[0].Code == 0 {
		t.Error("a free message of the convicted is executed")
	}
}
