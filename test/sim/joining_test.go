// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	abci "github.com/cometbft/cometbft/abci/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
)

// withAccounts adds people that are no participants yet.
func withAccounts(names ...string) option {
	return func(n *network) { n.strangers = names }
}

// register puts registrations into the next block.
func (n *network) register(hosts ...*host) {
	n.t.Helper()
	for _, h := range hosts {
		n.queue = append(n.queue, h.tx(h.registration()))
	}
	n.step()
	for i := range hosts {
		if n.results[i].Code != 0 {
			n.t.Fatalf("registration of %s: %s", hosts[i].name, n.results[i].Log)
		}
	}
}

// A newcomer takes part from the next epoch on, votes only after one that credited it, and gets
// power then. Several enter the validator set one per block.
// Holds spec S-3.
func TestNewcomers(t *testing.T) {
	n := start(t, 4, withAccounts("n1", "n2", "n3"))
	n.phase(1, sprintv1.PhaseCompute)
	fresh := []string{"n1", "n2", "n3"}
	n.register(n.host("n1"), n.host("n2"), n.host("n3"))
	if h := n.host("n1"); h.member(1) != nil {
		t.Error("n1 registered in epoch 1 and is in it")
	}
	n.refuses(t, refusal{"in the epoch of its registration",
		n.host("n1").signCommit(n.now().Epoch, &sprintv1.MsgCommit{Participant: n.host("n1").addr,
			Epoch: 1, Segment: 1, Node: "gpu-1", Count: 1, Root: bytes.Repeat([]byte{1}, 32)}),
		sprint.ErrNotMember, "did not report ready in time"})
	_, out := n.finish(1)
	credited(t, out, "p1", "p2", "p3", "p4")
	if len(out) != 4 {
		t.Errorf("epoch 1 has outcomes of %v", names(out))
	}

	entered := map[string]int64{}
	watch := func(e sprintv1.Epoch) bool {
		for _, u := range n.updates {
			if name := n.owner(u); strings.HasPrefix(name, "n") && entered[name] == 0 {
				entered[name] = n.height
			}
		}
		return e.Number == 3
	}
	n.until("validation of epoch 2", func(e sprintv1.Epoch) bool {
		return e.Number == 2 && e.Phase == sprintv1.PhaseValidate
	})
	e := n.now().Epoch
	if e.Eligible != 4 || e.Round.Members != 4 {
		t.Errorf("epoch 2 has %d voters and %d members; newcomers have no vote",
			e.Eligible, e.Round.Members)
	}
	for _, name := range fresh {
		if d := n.duties(e, n.host(name).addr, false); len(d) != 0 {
			t.Errorf("%s judges before anyone has judged it", name)
		}
		if h := n.holding(name); h.Power != 0 || h.Weight != 0 {
			t.Errorf("%s holds weight %d and power %d before its first finalised epoch",
				name, h.Weight, h.Power)
		}
	}
	if len(entered) != 0 {
		t.Errorf("validators before their first finalised epoch: %v", entered)
	}
	n.until("end of epoch 2", func(e sprintv1.Epoch) bool {
		watch(e)
		return e.Phase == sprintv1.PhaseFinalised
	})
	finalised := n.height
	watch(n.now().Epoch)
	_, out = n.finish(2)
	credited(t, out, names(out)...)
	n.until("epoch 3", func(sprintv1.Epoch) bool {
		watch(n.now().Epoch)
		return n.height == finalised+4
	})
	blocks := map[int64]string{}
	for _, name := range fresh {
		h := n.holding(name)
		if h.Power == 0 {
			t.Errorf("%s was credited and has no power", name)
		}
		at, ok := entered[name]
		if !ok || at < finalised || at >= finalised+3 || blocks[at] != "" {
			t.Errorf("%s entered the validator set at block %d, %q did too; want one per block "+
				"from %d on", name, at, blocks[at], finalised)
		}
		blocks[at] = name
		if n.told[name] != int64(h.Power) {
			t.Errorf("CometBFT was told %d of %s, it holds %d", n.told[name], name, h.Power)
		}
	}
	if e, out = n.finish(3); e.Eligible != 7 {
		t.Errorf("epoch 3 has %d voters; want the newcomers among them", e.Eligible)
	}
	credited(t, out, names(out)...)
}

// A machine that is added counts from the next epoch on.
// Holds spec R-6.
func TestANodeAddedNowCountsFromTheNextEpoch(t *testing.T) {
	n := start(t, 3)
	n.step()
	n.step()
	p1 := n.host("p1")
	p1.nodes = append(p1.nodes, "gpu-2")
	n.queue = append(n.queue, p1.tx(p1.setNodes()))
	_, out := n.finish(1)
	if o := out["p1"]; o.Count != 2*hashedLeaves {
		t.Errorf("epoch 1 counts %d leaves of p1; its second machine came later", o.Count)
	}
	if _, out = n.finish(2); out["p1"].Count != 4*hashedLeaves ||
		out["p1"].Result != sprintv1.ResultCredited {
		t.Errorf("epoch 2: %v; want the leaves of two machines", out["p1"])
	}
}

// Anyone who is away loses weight and vote, not its place: it comes back like a newcomer.
// Holds spec S-8.
func TestAbsenceIsWeightZero(t *testing.T) {
	n := start(t, 4)
	n.host("p4").cheat.absent = func(epoch uint64) bool { return epoch == 1 }
	_, out := n.finish(1)
	if o := out["p4"]; o.Result != sprintv1.ResultAbsent || o.WeightAfter != 0 ||
		n.holding("p4").Weight != 0 {
		t.Errorf("epoch 1: %v", o)
	}
	e, out := n.finish(2)
	if e.Eligible != 3 || out["p4"].Result != sprintv1.ResultCredited {
		t.Errorf("epoch 2 has %d voters and p4 is %s", e.Eligible, out["p4"].Result)
	}
	if e, _ = n.finish(3); e.Eligible != 4 {
		t.Errorf("epoch 3 has %d voters", e.Eligible)
	}
}

// With too little of the previous weight live the epoch is void: it pays nothing and moves no
// power. Weight that was not shown is halved.
// Holds spec S-7.
func TestTooLittleLiveWeightIsVoid(t *testing.T) {
	n := start(t, 5)
	gone := map[string]bool{"p3": true, "p4": true, "p5": true}
	for name := range gone {
		n.host(name).cheat.absent = func(epoch uint64) bool { return epoch == 1 }
	}
	before := told(n)
	e, out := n.finish(1)
	if want := "2000 of 5000 of the previous weight is live, at least 50.00 % is needed"; !e.Void ||
		e.VoidReason != want {
		t.Errorf("void %v: %q; want %q", e.Void, e.VoidReason, want)
	}
	for name, o := range out {
		want := uint64(1000)
		if gone[name] {
			want = 500
		}
		if o.WeightAfter != want || o.Result != sprintv1.ResultVoid ||
			n.told[name] != before[name] {
			t.Errorf("%s: %v, power %d was %d", name, o, n.told[name], before[name])
		}
	}
	e, out = n.finish(2)
	if e.Void {
		t.Errorf("epoch 2: %s", e.VoidReason)
	}
	credited(t, out, names(out)...)
}

// When nobody is credited there would be no validator: the epoch is void and the set stays. Weight
// that was not credited is halved.
// Holds spec S-7.
func TestNobodyCreditedIsVoid(t *testing.T) {
	n := start(t, 3)
	for _, h := range n.hosts {
		h.cheat.open = func(msg *sprintv1.MsgOpen) *sprintv1.MsgOpen {
			if msg.Epoch == 1 {
				return nil
			}
			return msg
		}
	}
	n.step() // the first block fills what genesis rounded away
	before := told(n)
	e, out := n.finish(1)
	if !e.Void || e.VoidReason != "nobody was credited" {
		t.Errorf("void %v: %q", e.Void, e.VoidReason)
	}
	for name, o := range out {
		if o.WeightAfter != 500 || int64(o.PowerAfter) != before[name] ||
			o.Result != sprintv1.ResultVoid {
			t.Errorf("%s: %v", name, o)
		}
	}
	e, out = n.finish(2)
	if e.Void || len(n.told) != 3 {
		t.Errorf("epoch 2: void %v, validators %v", e.Void, n.told)
	}
	credited(t, out, "p1", "p2", "p3")
}

// Random fleets, some away, some cheating: powers keep to cap and move limit, and the set is never
// empty.
func TestPowersKeepToTheRails(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed),
			func(t *testing.T) { randomFleet(t, rand.New(rand.NewPCG(seed, 5))) })
	}
}

func randomFleet(t *testing.T, r *rand.Rand) {
	weights := map[string]uint64{}
	var all []string
	for i := range 2 + r.IntN(6) {
		name := fmt.Sprintf("p%d", i+1)
		all = append(all, name)
		weights[name] = 1 + r.Uint64N(5000)
	}
	n := startNamed(t, all, func(name string) uint64 { return weights[name] })
	for _, h := range n.hosts {
		count := []int{3, 20, 24, 100, 600}[r.IntN(5)]
		h.cheat.count = func(string, uint32) int { return count }
		switch r.IntN(6) {
		case 0:
			h.cheat.absent = func(epoch uint64) bool { return epoch == 2 }
		case 1:
			h.cheat.leaf = forgeEvery(3)
		}
	}
	n.step() // state is there to be asked from the first block on
	for epoch := uint64(1); epoch <= 2; epoch++ {
		before := told(n)
		n.until("end of the epoch", func(e sprintv1.Epoch) bool {
			if len(n.told) == 0 || n.sets[1].Size() == 0 {
				t.Fatalf("no validators at block %d", n.height)
			}
			for name := range before { // what was cut for fraud is not part of the move
				if n.holding(name).Power == 0 && n.participant(name).JailedUntil > epoch {
					delete(before, name)
				}
			}
			return e.Number == epoch && e.Phase == sprintv1.PhaseFinalised
		})
		e, out := n.finish(epoch)
		if e.Void {
			continue
		}
		holds := map[string]int64{}
		for name := range out {
			if p := n.holding(name).Power; p > 0 {
				holds[name] = int64(p)
			}
		}
		rails(t, before, holds, weighs(out))
	}
}

// C26. Two signatures of one height: without weight, vote and power in the next block, in jail for
// good, and not credited for the epoch that runs. Between the others nothing changes.
// Holds spec J-6.
func TestC26DoubleSignIsCutAtOnceAndJailedForGood(t *testing.T) {
	n := start(t, 4)
	n.phase(1, sprintv1.PhaseWrapUp)
	p4 := n.host("p4")
	p4.cheat.refused = func(sdk.Msg, string) {} // what it says in the block that jails it
	n.doubleSigns(p4, n.height-3)
	n.step()
	if diff := cmp.Diff(map[string]int64{"p1": 333_333, "p2": 333_333, "p3": 333_333}, n.told,
		within(1)); diff != "" {
		t.Errorf("validators after the block with the evidence (-want +got):\n%s", diff)
	}
	sum := int64(0)
	for _, v := range n.sets[1].Validators {
		sum += v.VotingPower
	}
	if n.sets[1].Size() != 3 || sum != credit.TotalPower {
		t.Errorf("CometBFT has %d validators with %d of power", n.sets[1].Size(), sum)
	}
	if h := n.holding("p4"); h.Weight != 0 || h.Power != 0 {
		t.Errorf("p4 holds weight %d and power %d in the next block", h.Weight, h.Power)
	}
	if w, err := n.app.Credit.TallyWeight(n.ctx(), p4.addr); w != 0 || err != nil {
		t.Errorf("p4 votes with %d, %v", w, err)
	}
	if p := n.participant("p4"); p.JailedUntil != court.Forever ||
		!strings.Contains(p.JailReason, "double sign at height") {
		t.Errorf("jailed until %d: %q", p.JailedUntil, p.JailReason)
	}
	_, out := n.finish(1)
	credited(t, out, "p1", "p2", "p3")
	if o := out["p4"]; o.Result != sprintv1.ResultJailed || o.WeightAfter != 0 ||
		!strings.Contains(o.Reason, "double sign") {
		t.Errorf("p4: %v", o)
	}
	for epoch := uint64(2); epoch <= 7; epoch++ {
		if _, out := n.finish(epoch); isMember(out, "p4") || n.told["p4"] != 0 {
			t.Errorf("epoch %d: %v", epoch, out["p4"])
		}
	}
}

// doubleSigns puts evidence of two votes by a host at a height into the next block.
func (n *network) doubleSigns(h *host, height int64) {
	n.misbehaviour = []abci.Misbehavior{{Type: abci.MisbehaviorType_DUPLICATE_VOTE, Height: height,
		Time: blockTime(height),
		Validator: abci.Validator{Address: registry.ConsensusAddress(h.consensusKey()),
			Power: n.told[h.name]}, TotalVotingPower: credit.TotalPower}}
}

// within allows for rounding, in units of power.
func within(units int64) cmp.Option {
	return cmp.Comparer(func(a, b int64) bool { return a-b <= units && b-a <= units })
}

// The last validator keeps its power whatever it did: without a set there is no chain to punish it
// on. Once somebody else has power it is cut.
func TestTheLastValidatorIsNeverCut(t *testing.T) {
	n := start(t, 1)
	n.step()
	n.doubleSigns(n.host("p1"), 1)
	n.step()
	if n.holding("p1").Weight != 0 || n.participant("p1").JailedUntil != court.Forever {
		t.Errorf("weight %d, jailed until %d", n.holding("p1").Weight,
			n.participant("p1").JailedUntil)
	}
	for epoch := uint64(1); epoch <= 2; epoch++ {
		if e, _ := n.finish(epoch); !e.Void || n.sets[1].Size() != 1 || n.told["p1"] == 0 {
			t.Errorf("epoch %d: void %v, validators %v", epoch, e.Void, n.told)
		}
	}
}

func (n *network) standing(h *host) *sprintv1.QueryStandingResponse {
	n.t.Helper()
	res, err := n.query().Standing(context.Background(),
		&sprintv1.QueryStandingRequest{Participant: h.addr})
	if err != nil {
		n.t.Fatal(err)
	}
	return res
}
