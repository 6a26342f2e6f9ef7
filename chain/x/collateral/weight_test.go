// SPDX-License-Identifier: Apache-2.0

package collateral_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/math"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/google/go-cmp/cmp"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/x/collateral"
)

// later lets blocks of five seconds pass, without ending them.
func (w *world) later(blocks int64) {
	w.ctx = w.ctx.WithBlockHeight(w.ctx.BlockHeight() + blocks).WithBlockTime(
		w.ctx.BlockTime().Add(time.Duration(blocks) * 5 * time.Second))
}

// evidence sets CometBFT's ages of evidence.
func (w *world) evidence(blocks int64, age time.Duration) {
	w.ctx = w.ctx.WithConsensusParams(cmtproto.ConsensusParams{
		Evidence: &cmtproto.EvidenceParams{MaxAgeNumBlocks: blocks, MaxAgeDuration: age}})
}

// priced begins a chain whose unit of weight costs so much.
func priced(t testing.TB, price int64) *world {
	t.Helper()
	w := newWorld(t)
	gs := collateral.DefaultGenesis()
	gs.Params = collateral.LocalnetParams()
	gs.Params.CollateralPerUnit = n(price)
	w.must(t, w.InitGenesis(w.ctx, gs))
	w.ctx = w.ctx.WithBlockHeight(10).WithBlockTime(time.Unix(1_000_000, 0))
	return w
}

func (w *world) lock(name string, amount int64) error {
	_, err := w.msg.Lock(w.ctx, &collateralv1.MsgLock{Address: account(name), Amount: n(amount)})
	return err
}

func (w *world) unlock(name string, amount int64) error {
	_, err := w.msg.Unlock(w.ctx, &collateralv1.MsgUnlock{Address: account(name),
		Amount: n(amount)})
	return err
}

func (w *world) withdrawals(t testing.TB, name string) []collateralv1.Withdrawal {
	t.Helper()
	a, err := w.Account(w.ctx, account(name))
	w.must(t, err)
	return a.Withdrawals
}

// Holds spec K-2.
func TestBackedWeight(t *testing.T) {
	for _, c := range []struct {
		name           string
		price, locked  int64
		freeBps        uint64
		weight, backed uint64
	}{
		{"off", 0, 0, 0, 1_000, 1_000},
		{"nothing locked", 10, 0, 2_000, 1_000, 200},
		{"nothing locked, nothing free", 10, 0, 0, 1_000, 0},
		{"covered in part", 10, 4_009, 2_000, 1_000, 600},
		{"covered whole", 10, 8_000, 2_000, 1_000, 1_000},
		{"more than covered", 10, 1_000_000, 2_000, 1_000, 1_000},
		{"both parts are rounded down", 10, 19, 2_000, 9, 2},
		{"all is free", 10, 0, 10_000, 1 << 53, 1 << 53},
		{"no weight", 10, 1_000, 2_000, 0, 0},
		{"products past 64 bits", 1, 1, 9_999, 1 << 53, (1 << 53) / 10_000 * 9_999},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			gs := collateral.DefaultGenesis()
			gs.Params.CollateralPerUnit, gs.Params.FreeShareBps = n(c.price), c.freeBps
			w.must(t, w.InitGenesis(w.ctx, gs))
			if c.locked > 0 {
				w.mint(t, "alice", c.locked)
				w.must(t, w.lock("alice", c.locked))
			}
			backed, err := w.Backing(w.ctx)
			w.must(t, err)
			got, err := backed(account("alice"), c.weight)
			w.must(t, err)
			if c.name == "products past 64 bits" {
				// to the unit
				free := math.NewIntFromUint64(c.weight).MulRaw(9_999).QuoRaw(10_000)
				c.backed = free.Uint64() + 1
			}
			if got != c.backed {
				t.Errorf("%d of %d, want %d", got, c.weight, c.backed)
			}
		})
	}
}

// Only what is locked for weight covers it: not what another purpose holds, not what is free, and
// not what is on its way out.
// Holds spec K-1, K-2, K-3.
func TestOnlyLockedForWeightCovers(t *testing.T) {
	w := priced(t, 1)
	w.mint(t, "alice", 1_000)
	alice := account("alice")
	w.must(t, w.TopUp(w.ctx, alice, n(500)), w.Lock(w.ctx, alice, collateral.Registration, n(100)),
		w.Lock(w.ctx, alice, collateral.Claim, n(100)), w.lock("alice", 200))
	covers := func(want uint64) {
		t.Helper()
		backed, err := w.Backing(w.ctx)
		w.must(t, err)
		if got, err := backed(alice, 1_000); err != nil || got != want {
			t.Errorf("%d is covered, want %d: %v", got, want, err)
		}
	}
	covers(200 + 200)
	w.must(t, w.unlock("alice", 150))
	covers(200 + 50)
	if err := w.lock("alice", 601); !errors.Is(err, collateral.ErrNotFree) ||
		!strings.Contains(err.Error(), "has 100acpc free in its deposit and 500acpc on its "+
			"account") {
		t.Errorf("locking more than there is: %v", err)
	}
	w.must(t, w.lock("alice", 600)) // of the free deposit and of the balance
	covers(200 + 650)
	for name, err := range map[string]error{
		"unlock":     w.Unlock(w.ctx, alice, collateral.Weight, n(1)),
		"unlock all": w.UnlockAll(w.ctx, alice, collateral.Weight),
		"refund":     w.Refund(w.ctx, alice, collateral.Weight, n(1)),
	} {
		if !errors.Is(err, collateral.ErrInvalid) {
			t.Errorf("%s frees at once what covers weight: %v", name, err)
		}
	}
	covers(200 + 650)
}

// A withdrawal is paid when it is older than unbonding_blocks and than CometBFT's evidence, in
// blocks and in time, by the rules in force when it is paid.
// Holds spec K-3.
func TestAWithdrawalWaitsForEvidence(t *testing.T) {
	for _, c := range []struct {
		name   string
		blocks int64
		age    time.Duration
		paid   int64 // blocks after it was opened
	}{
		{"unbonding_blocks", 100, time.Minute, 401},
		{"blocks of evidence", 1_000, time.Minute, 1_003},
		{"time of evidence", 100, time.Hour, 721}, // blocks of five seconds
	} {
		t.Run(c.name, func(t *testing.T) {
			w := priced(t, 1)
			w.mint(t, "alice", 100)
			w.evidence(100, time.Minute)
			w.must(t, w.lock("alice", 100), w.unlock("alice", 60))
			w.evidence(c.blocks, c.age) // a vote in the meantime
			r, err := w.qry.Account(w.ctx,
				&collateralv1.QueryAccountRequest{Address: account("alice")})
			w.must(t, err)
			w.later(c.paid - 1)
			w.must(t, w.EndBlock(w.ctx))
			if got := w.balance("alice"); got != 0 {
				t.Errorf("paid %d a block early", got)
			}
			w.later(1)
			w.must(t, w.EndBlock(w.ctx), w.EndBlock(w.ctx))
			if got := w.balance("alice"); got != 60 {
				t.Errorf("paid %d, want 60", got)
			}
			if left := w.withdrawals(t, "alice"); len(left) > 0 {
				t.Errorf("still open: %v", left)
			}
			if d := r.Due[0]; d.Height > w.ctx.BlockHeight() ||
				d.Time > w.ctx.BlockTime().Unix() ||
				d.Height < w.ctx.BlockHeight() && d.Time < w.ctx.BlockTime().Unix()-4 {
				t.Errorf("announced for block %d and second %d, paid at %d and %d", d.Height,
					d.Time, w.ctx.BlockHeight(), w.ctx.BlockTime().Unix())
			}
		})
	}
}

// Eight withdrawals of an account can be open; what is opened in one block is one.
// Holds spec K-4.
func TestANinthWithdrawalIsRefused(t *testing.T) {
	w := priced(t, 1)
	w.mint(t, "alice", 100)
	w.must(t, w.lock("alice", 100))
	for range collateral.MaxWithdrawals {
		w.later(1)
		w.must(t, w.unlock("alice", 1), w.unlock("alice", 2))
	}
	w.must(t, w.unlock("alice", 1)) // of the same block as the eighth
	w.later(1)
	before := w.state(t, "alice")
	err := w.unlock("alice", 1)
	if !errors.Is(err, collateral.ErrFull) || !strings.Contains(err.Error(),
		"has 8 open withdrawals, as many as an account may have; the oldest is paid from block "+
			"412 on") {
		t.Errorf("the ninth: %v", err)
	}
	w.must(t)
	if diff := cmp.Diff(before, w.state(t, "alice")); diff != "" {
		t.Error(diff)
	}
	w.later(401 - 8)
	w.must(t, w.EndBlock(w.ctx), w.unlock("alice", 1))
	if got := len(w.withdrawals(t, "alice")); got != collateral.MaxWithdrawals {
		t.Errorf("%d open", got)
	}
}

// A payment that the bank refuses changes nothing, stops no other, and is tried again.
// Holds spec K-4.
func TestARefusedPaymentStaysAndStopsNoOther(t *testing.T) {
	w := priced(t, 1)
	for _, name := range []string{"alice", "bob"} {
		w.mint(t, name, 10)
		w.must(t, w.lock(name, 10), w.unlock(name, 10))
	}
	w.bank.refuses[string(raw("alice"))] = true
	w.later(401)
	w.must(t, w.EndBlock(w.ctx))
	if alice, bob := w.balance("alice"), w.balance("bob"); alice != 0 || bob != 10 {
		t.Errorf("alice has %d, bob %d", alice, bob)
	}
	open := w.withdrawals(t, "alice")
	if len(open) != 1 || open[0].RetryHeight != w.ctx.BlockHeight()+1_000 {
		t.Fatalf("%v", open)
	}
	exported, err := w.ExportGenesis(w.ctx)
	w.must(t, err)
	w.must(t, collateral.ValidateGenesis(exported))
	w.bank.refuses[string(raw("alice"))] = false
	w.later(999)
	w.must(t, w.EndBlock(w.ctx))
	if got := w.balance("alice"); got != 0 {
		t.Errorf("tried too soon: %d", got)
	}
	w.later(1)
	w.must(t, w.EndBlock(w.ctx))
	if got := w.balance("alice"); got != 10 {
		t.Errorf("paid %d", got)
	}
}

// A block pays so many withdrawals at most, oldest first, and the next one goes on.
// Holds spec K-4.
func TestABlockPaysABoundedNumber(t *testing.T) {
	w := priced(t, 1)
	const all, most = 600, 256
	for i := range all {
		name := fmt.Sprintf("p%d", i)
		w.mint(t, name, 1)
		if err := errors.Join(w.lock(name, 1), w.unlock(name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.later(401)
	for _, want := range []int{most, 2 * most, all} {
		w.must(t, w.EndBlock(w.ctx))
		paid := 0
		for i := range all {
			paid += int(w.balance(fmt.Sprintf("p%d", i)))
		}
		if paid != want {
			t.Errorf("%d are paid, want %d", paid, want)
		}
		w.later(1)
	}
}

// A dearer price acts 36 epochs after the epoch that adopts it, a lower one at once, also on what
// was announced.
// Holds spec K-5.
func TestARiseOfThePriceWaits(t *testing.T) {
	w := newWorld(t)
	vote := func(price int64, bps uint64) {
		t.Helper()
		p := collateral.DefaultParams()
		p.CollateralPerUnit, p.FreeShareBps = n(price), bps
		_, err := w.msg.UpdateParams(w.ctx,
			&collateralv1.MsgUpdateParams{Authority: "gov", Params: p})
		w.must(t, err)
	}
	at := func(epoch uint64, price int64, rises ...collateralv1.Rise) {
		t.Helper()
		w.must(t, w.AdoptAt(w.ctx, epoch))
		r, err := w.qry.Params(w.ctx, &collateralv1.QueryParamsRequest{})
		w.must(t, err)
		if !r.Params.CollateralPerUnit.Equal(n(price)) || r.PendingParams != nil {
			t.Errorf("epoch %d: the price is %s, want %d", epoch, r.Params.CollateralPerUnit, price)
		}
		if diff := cmp.Diff(rises, r.Rises, cmp.Comparer(math.Int.Equal)); diff != "" {
			t.Errorf("epoch %d: %s", epoch, diff)
		}
		gs, err := w.ExportGenesis(w.ctx)
		w.must(t, err, collateral.ValidateGenesis(gs))
	}
	rise := func(epoch uint64, price int64) collateralv1.Rise {
		return collateralv1.Rise{Epoch: epoch, CollateralPerUnit: n(price)}
	}
	vote(10, 2_000)
	at(5, 0, rise(41, 10))
	vote(30, 2_000)
	at(7, 0, rise(41, 10), rise(43, 30))
	at(40, 0, rise(41, 10), rise(43, 30))
	at(41, 10, rise(43, 30))
	vote(20, 1_000) // dearer than now, cheaper than announced: by the day announced
	at(42, 10, rise(43, 20))
	at(43, 20)
	vote(20, 0) // another parameter
	at(44, 20)
	vote(50, 0)
	at(45, 20, rise(81, 50))
	vote(5, 0)
	at(46, 5)
	vote(0, 0)
	at(47, 0)
	_, err := w.msg.UpdateParams(w.ctx, &collateralv1.MsgUpdateParams{Authority: account("alice"),
		Params: collateral.DefaultParams()})
	if err == nil {
		t.Error("anybody changes parameters")
	}
}

// Withdrawals, prices to come and voted parameters survive export and import.
func TestGenesisKeepsWithdrawalsAndPrices(t *testing.T) {
	w := priced(t, 7)
	w.mint(t, "alice", 100)
	w.must(t, w.lock("alice", 90), w.unlock("alice", 30))
	w.later(5)
	w.must(t, w.unlock("alice", 60)) // nothing is left of the deposit
	voted := collateral.LocalnetParams()
	voted.CollateralPerUnit = n(9)
	_, err := w.msg.UpdateParams(w.ctx, &collateralv1.MsgUpdateParams{Authority: "gov",
		Params: voted})
	w.must(t, err, w.AdoptAt(w.ctx, 3))
	voted.FreeShareBps = 1
	_, err = w.msg.UpdateParams(w.ctx, &collateralv1.MsgUpdateParams{Authority: "gov",
		Params: voted})
	w.must(t, err)
	exported, err := w.ExportGenesis(w.ctx)
	w.must(t, err)
	if len(exported.Accounts[0].Withdrawals) != 2 || len(exported.Rises) != 1 ||
		exported.PendingParams == nil {
		t.Fatalf("%v", exported)
	}
	again := newWorld(t)
	again.mint(t, "source", 90)
	again.must(t, again.bank.SendCoinsFromAccountToModule(again.ctx, raw("source"),
		collateral.Name, coins(90)), again.InitGenesis(again.ctx, exported))
	back, err := again.ExportGenesis(again.ctx)
	again.must(t, err)
	if diff := cmp.Diff(exported, back, cmp.Comparer(math.Int.Equal)); diff != "" {
		t.Error(diff)
	}
	for name, damage := range map[string]func(*collateralv1.GenesisState){
		"withdrawals out of order": func(gs *collateralv1.GenesisState) {
			o := gs.Accounts[0].Withdrawals
			o[0], o[1] = o[1], o[0]
		},
		"an empty withdrawal": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0].Withdrawals[1].Amount = n(0)
		},
		"nine withdrawals": func(gs *collateralv1.GenesisState) {
			a := &gs.Accounts[0]
			for len(a.Withdrawals) < 9 {
				a.Withdrawals = append(a.Withdrawals, collateralv1.Withdrawal{Amount: n(1),
					Height: a.Withdrawals[len(a.Withdrawals)-1].Height + 1})
			}
		},
		"a rise that falls": func(gs *collateralv1.GenesisState) {
			gs.Rises[0].CollateralPerUnit = n(7)
		},
		"rises out of order": func(gs *collateralv1.GenesisState) {
			gs.Rises = append(gs.Rises, rise8(gs.Rises[0].Epoch))
		},
	} {
		gs, err := w.ExportGenesis(w.ctx)
		w.must(t, err)
		damage(gs)
		if err := collateral.ValidateGenesis(gs); !errors.Is(err, collateral.ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func rise8(epoch uint64) collateralv1.Rise {
	return collateralv1.Rise{Epoch: epoch, CollateralPerUnit: n(100)}
}
