// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/poc/work/transformer"
)

// disputes of so many drawn leaves of a participant.
func (n *network) disputes(by, of *host, count int) (msgs []sdk.Msg) {
	n.t.Helper()
	for _, ref := range n.samples(1, of.addr, false)[:count] {
		msgs = append(msgs, &sprintv1.MsgDispute{Participant: by.addr, Epoch: 1, Leaf: ref})
	}
	return msgs
}

// balance is what is on a host's account.
func (n *network) balance(h *host) math.Int {
	n.t.Helper()
	res, err := banktypes.NewQueryClient(conn{n.app, n.ctx()}).Balance(n.t.Context(),
		&banktypes.QueryBalanceRequest{Address: h.addr, Denom: app.Denom})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Balance.Amount
}

// C8. After a first refutation the other claims of a liar stayed in the queue: a 400,000th of the
// weight bought 95 judgements, and an epoch that waited for them. Now the first one ends them, of
// disputes and of verdicts.
func TestC8TheFirstRefutationEndsAClaimantsClaims(t *testing.T) {
	engine := &standIn{}
	n := startNamed(t, []string{"p1", "p2", "p3", "liar"}, func(name string) uint64 {
		if name == "liar" {
			return 1
		}
		return 100_000
	}, withUnits(engine), withJudging(32))
	liar := n.host("liar")
	n.phase(1, sprintv1.PhaseCheck)
	// all that its weight allows
	n.queue = append(n.queue, liar.tx(n.disputes(liar, n.host("p1"), 4)...))
	e := n.phase(1, sprintv1.PhaseDispute)
	n.refuses(t, refusal{"another claim", n.disputes(liar, n.host("p2"), 1)[0], court.ErrSpent,
		"was refuted in epoch 1"})
	if engine.asked != 1 {
		t.Errorf("%d units were recomputed for one that lies; the first should have ended it",
			engine.asked)
	}
	length := int64(e.Params.DisputeBlocks)
	e, out := n.finish(1)
	if got := e.Round.DisputeUntil - e.Round.DisputeStart; got != length {
		t.Errorf("the dispute window took %d blocks, want its %d", got, length)
	}
	// a wrong dispute costs the right to raise more, and nothing else
	credited(t, out, "p1", "p2", "p3", "liar")
}

// C8. Who has no weight disputed for free. Now it locks a bond: given back when it was right, and
// when not, half goes to the accused and half is burnt.
func TestC8AClaimWithoutWeightLocksABond(t *testing.T) {
	for _, c := range []struct {
		name  string
		right bool
	}{{"right", true}, {"wrong", false}} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, 4, withAccounts("outsider"))
			outsider, p4 := n.host("outsider"), n.host("p4")
			if c.right {
				p4.cheat.leaf = forgeEvery(1)
				for _, name := range []string{"p1", "p2", "p3"} { // nobody else says a word
					n.host(name).cheat.opinion = passAll
				}
			}
			n.phase(1, sprintv1.PhaseDispute)
			claim := n.disputes(outsider, p4, 1)[0]
			n.refuses(t, refusal{"without a deposit", claim, court.ErrBond,
				"each further one locks 1000000000000000000 acpc"})
			had, before := n.balance(p4), n.audit().Burned
			n.block(outsider.tx(&collateralv1.MsgDeposit{Address: outsider.addr, Amount: cpc(1)},
				claim))
			if r := n.results[0]; r.Code != 0 {
				t.Fatalf("dispute: %s", r.Log)
			}
			n.finish(1)
			deposit, err := n.app.Collateral.Deposit(n.ctx(), outsider.addr)
			if err != nil {
				t.Fatal(err)
			}
			free, err := n.app.Collateral.Free(n.ctx(), outsider.addr)
			if err != nil {
				t.Fatal(err)
			}
			keeps, gets, burnt := cpc(1), math.ZeroInt(), math.ZeroInt()
			if half := cpc(1).QuoRaw(2); !c.right {
				keeps, gets, burnt = math.ZeroInt(), half, half
			}
			if !deposit.Equal(keeps) || !free.Equal(keeps) {
				t.Errorf("of 1 CPC the deposit keeps %s, %s of it free; want %s",
					deposit, free, keeps)
			}
			// it may have paid fees
			if d := n.balance(p4).Sub(had).Sub(gets).Abs(); d.GT(math.NewInt(1_000)) {
				t.Errorf("the accused got %s, want %s", n.balance(p4).Sub(had), gets)
			}
			// the fee is a single acpc, of which nothing is burned
			if d := n.audit().Burned.Sub(before); !d.Equal(burnt) {
				t.Errorf("%s were burnt, want %s", d, burnt)
			}
			if err := n.app.Collateral.Check(n.ctx()); err != nil {
				t.Error(err)
			}
		})
	}
}

// C24. The budget of a block was a number of units, whatever a unit takes. It counts operations: of
// the large class a block judges fewer.
func TestC24TheBudgetCountsOperations(t *testing.T) {
	for _, class := range []transformer.Class{transformer.Nano, transformer.Small} {
		t.Run(class.Name, func(t *testing.T) {
			engine := &standIn{}
			n := start(t, 4, withUnits(engine),
				withParams(func(p *sprintv1.Params) { p.Class = class.Name }))
			budget := n.court.JudgeMiopsPerBlock
			if budget < class.MiOps() || budget/class.MiOps() > 1_000 &&
				class.ID == transformer.Small.ID {
				t.Fatalf("the set-up: %d of %d", budget, class.MiOps())
			}
			p1, p4 := n.host("p1"), n.host("p4")
			p4.cheat.leaf = forgeEvery(1)
			n.phase(1, sprintv1.PhaseCheck)
			n.queue = append(n.queue, p1.tx(n.disputes(p1, p4, 32)...))
			most, before, blocks := 0, engine.asked, 0
			n.until("end", func(e sprintv1.Epoch) bool {
				if asked := engine.asked - before; asked > 0 {
					most, before, blocks = max(most, asked), engine.asked, blocks+1
				}
				return e.Phase == sprintv1.PhaseFinalised
			})
			if got, want := uint64(most),
				min(32, budget/class.MiOps()); got > budget/class.MiOps() ||
				got == 0 || got < want/2 {
				t.Errorf("a block recomputed %d units of class %s; %d operations allow %d", got,
					class.Name, budget, want)
			}
			if got := len(n.proven(1, p4)); got != 32 {
				t.Errorf("%d of 32 forged leaves were judged in %d blocks", got, blocks)
			}
		})
	}
}
