// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"testing"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/adversary"
	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/collateral"
)

// locks has hosts lock so many CPC for weight.
func (n *network) locks(amount int64, hosts ...*host) {
	n.t.Helper()
	var txs [][]byte
	for _, h := range hosts {
		txs = append(txs, h.tx(&collateralv1.MsgLock{Address: h.addr, Amount: cpc(amount)}))
	}
	n.block(txs...)
	for i, r := range n.results {
		if r.Code != 0 {
			n.t.Fatalf("lock of %s: %s", hosts[i].name, r.Log)
		}
	}
}

// covers is what a host has locked for weight, in CPC, and what is held of it.
func (n *network) covers(h *host) (weight, held math.Int) {
	n.t.Helper()
	if err := n.app.Collateral.Check(n.ctx()); err != nil {
		n.t.Fatal(err)
	}
	a, err := n.app.Collateral.Account(n.ctx(), h.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, l := range a.Locks {
		if l.Purpose == collateral.Weight {
			return l.Amount, a.Held
		}
	}
	return math.ZeroInt(), a.Held
}

// burnt compares what was burnt since with what should be; fees of some acpc are burnt, too.
func (n *network) burnt(before, want math.Int) {
	n.t.Helper()
	if d := n.audit().Burned.Sub(before); d.Sub(want).Abs().GT(math.NewInt(1_000)) {
		n.t.Errorf("%s are burnt, want %s", d, want)
	}
}

func (n *network) penalties() []courtv1.Penalty {
	n.t.Helper()
	res, err := n.courtQuery().Penalties(context.Background(), &courtv1.QueryPenaltiesRequest{})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Penalties
}

// A forger loses a fifth of what covers its weight in the block that proves it, also of what it has
// begun to withdraw; a tenth of that goes to the voters who named its leaves when the epoch ends,
// and the rest is burnt. Nobody else loses anything.
// Holds spec J-6, J-10.
func TestAForgerIsSlashedAndItsJudgesShareTheBounty(t *testing.T) {
	n := start(t, 4)
	p4 := n.host("p4")
	p4.cheat.leaf = forgeEvery(1)
	n.step()
	n.locks(100, n.hosts...)
	n.block(p4.tx(&collateralv1.MsgUnlock{Address: p4.addr, Amount: cpc(40)}))
	burned, had := n.audit().Burned, map[string]math.Int{}
	for _, h := range n.hosts {
		had[h.name] = n.balance(h)
	}
	n.until("the fraud", func(sprintv1.Epoch) bool { return n.holding("p4").Power == 0 })
	if weight, held := n.covers(p4); !weight.Equal(cpc(60)) || !held.Equal(cpc(20)) {
		t.Errorf("in the block that proves it %s cover weight and %s are held", weight, held)
	}
	if all := n.penalties(); len(all) != 1 || all[0].State != courtv1.PenaltyTaken ||
		all[0].Participant != p4.addr || !all[0].Amount.Equal(cpc(20)) {
		t.Errorf("%v", all)
	}
	n.finish(1)
	n.step()
	if weight, held := n.covers(p4); !weight.Equal(cpc(60)) || !held.IsZero() {
		t.Errorf("after the epoch %s cover weight and %s are held", weight, held)
	}
	parts := 0
	for _, h := range n.hosts {
		part := cpc(2).QuoRaw(3)
		// it may have paid fees
		if d := n.balance(h).Sub(had[h.name]); h != p4 && d.Sub(part).Abs().LT(math.NewInt(1_000)) {
			parts++
		} else if h == p4 && d.IsPositive() {
			t.Errorf("the forger got %s", d)
		}
		if weight, _ := n.covers(h); h != p4 && !weight.Equal(cpc(100)) {
			t.Errorf("%s has %s left", h.name, weight)
		}
	}
	if parts != 3 {
		t.Errorf("%d of 3 judges got a third of 2 CPC", parts)
	}
	n.burnt(burned, cpc(20).Sub(cpc(2).QuoRaw(3).MulRaw(3)))
}

// Two of six that forge at once are more than a tenth of the weight: what was taken is held, and
// given back when a vote says so; what it says nothing about is burnt two epochs later. Jail and
// cut act as always.
// Holds spec J-11.
func TestAMassIsHeldUntilAVoteOrItsTime(t *testing.T) {
	n := start(t, 6)
	p5, p6 := n.host("p5"), n.host("p6")
	p5.cheat.leaf, p6.cheat.leaf = forgeEvery(1), forgeEvery(1)
	n.step()
	n.locks(100, n.hosts...)
	n.finish(1)
	n.step()
	for _, h := range []*host{p5, p6} {
		weight, held := n.covers(h)
		if !weight.Equal(cpc(80)) || !held.Equal(cpc(20)) {
			t.Errorf("%s: %s cover weight and %s are held", h.name, weight, held)
		}
		if p := n.participant(h.name); p.JailedUntil != 1+1+4 || n.holding(h.name).Weight != 0 {
			t.Errorf("%s is jailed until %d", h.name, p.JailedUntil)
		}
	}
	for _, p := range n.penalties() {
		if p.State != courtv1.PenaltyHeld || p.Until != 1+2 || len(p.Finders) == 0 {
			t.Errorf("%v", p)
		}
	}
	n.voted(&courtv1.MsgReleaseHeld{Authority: app.Authority(), Epoch: 1, Participant: p5.addr})
	n.step()
	if weight, held := n.covers(p5); !weight.Equal(cpc(100)) || !held.IsZero() {
		t.Errorf("released: %s cover weight and %s are held", weight, held)
	}
	n.finish(2)
	if _, held := n.covers(p6); !held.Equal(cpc(20)) {
		t.Errorf("burnt too soon: %s are held", held)
	}
	n.finish(3)
	if weight, held := n.covers(p6); !weight.Equal(cpc(80)) || !held.IsZero() {
		t.Errorf("at its end %s cover weight and %s are held", weight, held)
	}
}

// Silence of more than a tenth of the weight, in several names, counts not towards jail, and takes
// the credit as always; of one name it counts.
// Holds spec J-11, S-27.
func TestSilenceOfManyCountsNotTowardsJail(t *testing.T) {
	for _, silent := range []int{1, 2} {
		t.Run(fmt.Sprint(silent), func(t *testing.T) {
			n := start(t, 8)
			for _, h := range n.hosts[:silent] {
				h.cheat.open = adversary.WithholdOpening
			}
			_, out := n.finish(1)
			for _, h := range n.hosts[:silent] {
				if o := out[h.name]; o.Result != sprintv1.ResultWithheld || o.WeightAfter > 0 {
					t.Errorf("%v", o)
				}
				if p := n.participant(h.name); (p.SilentEpochs == 1) != (silent == 1) {
					t.Errorf("%d of 8 were silent, and it counts %d times", silent, p.SilentEpochs)
				}
			}
		})
	}
}

// A quarter of the power that double signs loses three quarters of what covers its weight in the
// block that brings the evidence, what it withdraws included; nobody gets any of it, and no mass
// holds it.
// Holds spec J-6, J-12.
func TestADoubleSignIsSlashedInItsBlock(t *testing.T) {
	n := start(t, 4)
	p4 := n.host("p4")
	p4.cheat.refused = func(sdk.Msg, string) {} // what it says in the block that jails it
	n.step()
	n.locks(100, n.hosts...)
	n.block(p4.tx(&collateralv1.MsgUnlock{Address: p4.addr, Amount: cpc(50)}))
	burned := n.audit().Burned
	n.doubleSigns(p4, n.height-1)
	n.step()
	if weight, held := n.covers(p4); !weight.Equal(cpc(25)) || !held.IsZero() {
		t.Errorf("%s cover weight and %s are held", weight, held)
	}
	n.burnt(burned, cpc(75))
	n.doubleSigns(p4, n.height-2)
	n.step()
	if weight, _ := n.covers(p4); !weight.Equal(cpc(25)) {
		t.Errorf("slashed again to %s", weight)
	}
}

// With a price on weight, power and votes follow what is covered of it. Who covers nothing keeps a
// fifth of its say and all of its duties.
// Holds spec K-2, P-2.
func TestPowerFollowsWhatIsCovered(t *testing.T) {
	n := start(t, 4, withPrice(1_000_000))
	p1, p2 := n.host("p1"), n.host("p2")
	n.step()
	n.locks(100, p1)
	for epoch := uint64(1); epoch <= 4; epoch++ {
		_, out := n.finish(epoch)
		credited(t, out, "p1", "p2", "p3", "p4")
	}
	n.step()
	weight := n.holding("p1").Weight
	if w := n.holding("p2").Weight; w != weight {
		t.Fatalf("the set-up: p1 weighs %d and p2 %d", weight, w)
	}
	// shares 1 and a fifth each; nobody holds over six fifths of its share
	if diff := cmp.Diff(map[string]int64{"p1": 550_000, "p2": 150_000, "p3": 150_000,
		"p4": 150_000}, n.told, within(20)); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		h    *host
		want uint64
	}{{p1, weight}, {p2, weight / 5}} {
		if got, err := n.app.Credit.TallyWeight(n.ctx(), c.h.addr); err != nil || got != c.want {
			t.Errorf("%s votes with %d of %d, %v", c.h.name, got, weight, err)
		}
	}
	n.block(p1.tx(&collateralv1.MsgUnlock{Address: p1.addr, Amount: cpc(100)}))
	if got, err := n.app.Credit.TallyWeight(n.ctx(), p1.addr); err != nil || got != weight/5 {
		t.Errorf("p1 withdraws and votes with %d of %d, %v", got, weight, err)
	}
}

// An offender that has its own leaves judged gets no bounty for it; another that does, with no
// voice in the committee, gets all of it.
// Holds spec J-10.
func TestTheAccusedFindsNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		bounty math.Int
	}{{"p4", math.ZeroInt()}, {"outsider", cpc(2)}} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, 4, withAccounts("outsider"))
			p4, finder := n.host("p4"), n.host(c.name)
			p4.cheat.leaf = forgeEvery(1)
			for _, name := range []string{"p1", "p2", "p3"} {
				n.host(name).cheat.opinion = passAll
			}
			n.step()
			n.locks(100, p4)
			n.phase(1, sprintv1.PhaseDispute)
			burned, had := n.audit().Burned, n.balance(finder)
			// the deposit answers for the bonds of an outsider and comes back from them
			had = had.Sub(cpc(4))
			n.block(finder.tx(append([]sdk.Msg{&collateralv1.MsgDeposit{Address: finder.addr,
				Amount: cpc(4)}}, n.disputes(finder, p4, 4)...)...))
			if r := n.results[0]; r.Code != 0 {
				t.Fatalf("dispute: %s", r.Log)
			}
			_, out := n.finish(1)
			if o := out["p4"]; o.Result != sprintv1.ResultFraud {
				t.Fatalf("p4: %v", o)
			}
			n.step()
			if weight, held := n.covers(p4); !weight.Equal(cpc(80)) || !held.IsZero() {
				t.Errorf("%s cover weight and %s are held", weight, held)
			}
			if d := n.balance(finder).Sub(had).Sub(c.bounty).Abs(); d.GT(math.NewInt(1_000)) {
				t.Errorf("it got %s, want %s", n.balance(finder).Sub(had), c.bounty)
			}
			n.burnt(burned, cpc(20).Sub(c.bounty))
		})
	}
}

// Fraud burns all pay that its owner still waits for, of earlier epochs too, in the block that
// proves it; others keep theirs.
// Holds spec J-6.
func TestFraudBurnsWhatIsOwed(t *testing.T) {
	n := start(t, 4)
	n.finish(1)
	n.finish(2)
	p3, p4 := n.host("p3"), n.host("p4")
	owed, others := n.owed(p4).Total, n.owed(p3).Total
	if !owed.IsPositive() || !others.IsPositive() {
		t.Fatalf("the set-up: %s and %s are owed", owed, others)
	}
	p4.cheat.leaf = forgeEvery(1)
	n.phase(3, sprintv1.PhaseReveal)
	burned := n.audit().Burned
	n.until("the fraud", func(sprintv1.Epoch) bool { return n.holding("p4").Power == 0 })
	if left := n.owed(p4).Total; !left.IsZero() {
		t.Errorf("%s are still owed", left)
	}
	if left := n.owed(p3).Total; !left.Equal(others) {
		t.Errorf("p3 was owed %s and is owed %s", others, left)
	}
	n.burnt(burned, owed)
}
