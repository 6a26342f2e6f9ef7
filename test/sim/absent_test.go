// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

// outage is how much of a participant is down.
type outage int

const (
	// keyless: its node signs and proposes nothing; its host goes on by the node of somebody else,
	// heartbeats included
	keyless outage = iota + 1
	// gone: all of it
	gone
)

// commit is the last block's: everybody signed it whose node is up.
func (n *network) commit() (c abci.CommitInfo) {
	if n.signed == nil {
		return c
	}
	for _, v := range n.signed.Validators {
		flag := cmtproto.BlockIDFlagCommit
		if n.absent[n.ownerOf(v.PubKey.Bytes())] > 0 {
			flag = cmtproto.BlockIDFlagAbsent
		}
		c.Votes = append(c.Votes, abci.VoteInfo{BlockIdFlag: flag,
			Validator: abci.Validator{Address: v.Address, Power: v.VotingPower}})
	}
	return c
}

// stands reports whether too much of the power is absent for a next block.
func (n *network) stands() bool {
	up := int64(0)
	for _, v := range n.sets[0].Validators {
		if n.absent[n.ownerOf(v.PubKey.Bytes())] == 0 {
			up += v.VotingPower
		}
	}
	return 3*up <= 2*n.sets[0].TotalVotingPower()
}

// run makes blocks and stops when the chain does.
func (n *network) run(blocks int) (made int) {
	n.t.Helper()
	for ; made < blocks && !n.stands(); made++ {
		n.step()
	}
	return made
}

// leave takes all of these away.
func (n *network) leave(how outage, names ...string) {
	for _, name := range names {
		n.absent[name] = how
	}
}

// Three of ten equal validators go at an epoch's border. The chain commits on with 70 % of the
// power, takes the power of the absent after offline_blocks, and then survives two more that go,
// which is 28.6 % of what is left and would be half of what was. The epoch pays those who stayed.
// Holds spec P-15.
func TestThirtyPercentOfThePowerGoesAtAnEpochsBorder(t *testing.T) {
	n := start(t, 10)
	n.finish(1)
	n.until("epoch 2", func(e sprintv1.Epoch) bool { return e.Number == 2 })
	n.leave(gone, "p1", "p2", "p3")
	wait := int(credit.LocalnetParams().OfflineBlocks)
	if made := n.run(wait - 1); made != wait-1 {
		t.Fatalf("the chain stood still after %d blocks", made)
	}
	if n.sets[1].Size() != 10 {
		t.Errorf("%d validators before %d commits lack the absent", n.sets[1].Size(), wait)
	}
	n.run(3)
	for _, name := range []string{"p1", "p2", "p3"} {
		if h := n.holding(name); n.told[name] != 0 || h.Weight == 0 {
			t.Errorf("%s has power %d and weight %d", name, n.told[name], h.Weight)
		}
	}
	if n.sets[1].Size() != 7 {
		t.Fatalf("%d validators are left", n.sets[1].Size())
	}
	n.leave(gone, "p4", "p5")
	e, out := n.finish(2)
	credited(t, out, "p6", "p7", "p8", "p9", "p10")
	if e.Void {
		t.Errorf("the epoch is void: %s", e.VoidReason)
	}
}

// Four of ten go: the chain stops. When they are back it goes on, and none of them loses power,
// however long that was: nobody could sign meanwhile.
func TestFortyPercentOfThePowerGoesAndComesBack(t *testing.T) {
	n := start(t, 10)
	n.finish(1)
	four := []string{"p1", "p2", "p3", "p4"}
	n.leave(gone, four[:3]...)
	n.run(15) // three of them miss 15 commits of the 20 that cost power
	n.leave(gone, four[3])
	if made := n.run(100); made != 0 {
		t.Fatalf("%d blocks with 60 %% of the power", made)
	}
	clear(n.absent)
	if made := n.run(30); made != 30 {
		t.Fatalf("the chain stopped again after %d blocks", made)
	}
	if n.sets[1].Size() != 10 {
		t.Errorf("%d of 10 validators are left", n.sets[1].Size())
	}
}

// Identities win weight, keep their heartbeats up and sign nothing: keys that nobody runs. Every
// settlement gives them power and every time they lose it after offline_blocks, so the others
// decide alone for the rest of each epoch.
func TestKeysThatNobodyRunsKeepNoPower(t *testing.T) {
	n := start(t, 7)
	n.leave(keyless, "p1", "p2")
	for epoch := uint64(1); epoch <= 3; epoch++ {
		out := false
		e := n.until("its end", func(e sprintv1.Epoch) bool {
			out = out || n.told["p1"]+n.told["p2"] == 0
			return e.Number == epoch && e.Phase == sprintv1.PhaseFinalised
		})
		if !out || e.Void || n.holding("p1").Weight == 0 {
			t.Errorf("epoch %d: void %v, powers %v", epoch, e.Void, n.told)
		}
		n.run(3)
		if n.told["p1"] == 0 || n.told["p2"] == 0 {
			t.Errorf("the settlement of epoch %d gave nothing back: %v", epoch, n.told)
		}
	}
}
