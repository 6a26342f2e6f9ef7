// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	sdkmath "cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

const (
	denom  = "acpc"
	faucet = "faucet"
)

// names reads accounts by name, such as "p01", and as the bank spells them.
type names struct{}

func (names) StringToBytes(name string) ([]byte, error) {
	switch {
	case len(name) >= 20:
		return sdk.AccAddressFromBech32(name)
	case name == "" || name[0] == '!':
		return nil, fmt.Errorf("%q is no account", name)
	}
	return append([]byte(name), make([]byte, 20-len(name))...), nil
}

func (names) BytesToString(raw []byte) (string, error) { return sdk.AccAddress(raw).String(), nil }

func acpc(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(denom, n)) }

// supply mints coins for somebody.
func (c *chain) supply(t testing.TB, coins sdk.Coins) {
	t.Helper()
	if err := c.bank.MintCoins(c.ctx, faucet, coins); err != nil {
		t.Fatal(err)
	}
}

// earn makes a chain whose genesis has supply.
func earn(t testing.TB, p creditv1.Params, supply sdk.Coins, weights map[string]uint64) *chain {
	t.Helper()
	c := empty()
	c.supply(t, supply)
	g := creditv1.GenesisState{Params: p}
	all, power := slices.Sorted(maps.Keys(weights)), uint64(credit.TotalPower)
	for i, name := range all {
		c.known(name)
		h := creditv1.Holding{Participant: name, Weight: weights[name],
			ConsensusKey: consensusKey(name)}
		if i == 0 {
			h.Power = power
		}
		g.Holdings = append(g.Holdings, h)
	}
	if _, err := c.InitGenesis(c.ctx, g); err != nil {
		t.Fatal(err)
	}
	return c
}

// fees puts coins into the fee collector's account.
func (c *chain) fees(t testing.TB, n int64) {
	t.Helper()
	if err := c.bank.SendCoinsFromModuleToModule(c.ctx, faucet, authtypes.FeeCollectorName,
		acpc(n)); err != nil {
		t.Fatal(err)
	}
}

func (c *chain) balance(name string) string {
	raw, _ := names{}.StringToBytes(name)
	return c.bank.GetBalance(c.ctx, raw, denom).Amount.String()
}

func (c *chain) audit(t testing.TB) creditv1.QueryAuditResponse {
	t.Helper()
	r, err := c.Audit(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// owes lists what a participant is owed.
func (c *chain) owes(t testing.TB, name string) []creditv1.Owed {
	t.Helper()
	router := &services{}
	credit.NewAppModule(nil, c.Keeper).RegisterServices(router)
	res, err := router.query.Owed(c.ctx, &creditv1.QueryOwedRequest{Participant: name})
	if err != nil {
		t.Fatal(err)
	}
	sum := sdkmath.ZeroInt()
	for _, o := range res.Owed {
		sum = sum.Add(o.Amount)
	}
	if !sum.Equal(res.Total) {
		t.Errorf("%s is owed %s in all, and the records add up to %s", name, res.Total, sum)
	}
	return res.Owed
}

func whole(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		panic(text)
	}
	return n
}

// An epoch mints its part of what is left, at most a hundredth, for each of its blocks; a void one
// mints nothing, and its blocks are gone.
// Holds spec E-2, E-3.
func TestAnEpochMintsAPartOfWhatIsLeft(t *testing.T) {
	p := credit.DefaultParams()
	weights := map[string]uint64{"a": 1}
	c := earn(t, p, acpc(1_000_000), weights)
	minted := whole("1000000")
	left := func() *big.Int { return new(big.Int).Sub(whole("1"+strings.Repeat("0", 27)), minted) }
	check := func(what string, want *big.Int) {
		t.Helper()
		minted.Add(minted, want)
		if got := c.audit(t).Money.Minted.BigInt(); got.Cmp(minted) != 0 {
			t.Errorf("%s: minted %s in all, want %s", what, got, minted)
		}
	}
	share := func(blocks int64) *big.Int {
		e := new(big.Int).Mul(left(), big.NewInt(27_488*blocks))
		return e.Div(e, big.NewInt(1_000_000_000_000))
	}
	// of a chain that begins at height 1
	c.ctx = c.ctx.WithBlockHeight(52)
	c.settle(t, 1, weights, "a")
	check("the first epoch, 52 blocks", share(52))
	c.ctx = c.ctx.WithBlockHeight(1_000)
	c.void(t, []string{"a"}, nil)
	check("a void epoch", new(big.Int))
	c.ctx = c.ctx.WithBlockHeight(1_100)
	c.settle(t, 1, weights, "a")
	check("100 blocks after a void epoch", share(100))
	c.ctx = c.ctx.WithBlockHeight(10_000_000)
	want := new(big.Int).Div(left(), big.NewInt(100))
	c.settle(t, 1, weights, "a")
	check("ten million blocks", want)
	c.settle(t, 1, weights, "a")
	check("no block", new(big.Int))
}

// What is burned makes no room, and 10^27 is the end.
// Holds spec E-1.
func TestNoMoreThanTheWholeIsEverMinted(t *testing.T) {
	p := credit.DefaultParams()
	p.FeeBurnBps = 10_000
	supply := sdk.NewCoins(sdk.NewCoin(denom, credit.MaxSupply().SubRaw(250)))
	weights := map[string]uint64{"a": 1}
	c := earn(t, p, supply, weights)
	for i := range int64(300) {
		c.fees(t, 1_000)
		c.ctx = c.ctx.WithBlockHeight((i + 1) * 1_000_000)
		c.settle(t, 1, weights, "a")
	}
	r := c.audit(t)
	// of 250 a hundredth is 2, of 199 it is 1, of 99 nothing
	if got := r.Mintable.Int64(); got != 99 || r.Burned.Int64() != 300_000 ||
		!r.Supply.Equal(credit.MaxSupply().SubRaw(99+300_000)) {
		t.Errorf("%d are left to mint, %s are burned, supply %s", got, r.Burned, r.Supply)
	}
	over := empty()
	over.supply(t, sdk.NewCoins(sdk.NewCoin(denom, credit.MaxSupply().AddRaw(1))))
	over.known("a")
	_, err := over.InitGenesis(over.ctx, creditv1.GenesisState{Params: p,
		Holdings: []creditv1.Holding{{Participant: "a", Weight: 1, Power: credit.TotalPower,
			ConsensusKey: consensusKey("a")}}})
	if err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a genesis of more than may be minted: %v", err)
	}
}

// The pot is what is minted less the tasks' share, and the fees less what is burned of them. With
// nobody to pay, nothing is minted and the fees wait.
// Holds spec E-4, E-5.
func TestThePot(t *testing.T) {
	p := credit.DefaultParams()
	p.TaskShareBps, p.FeeBurnBps = 1_999, 3_333
	c := earn(t, p, acpc(1_000_000), map[string]uint64{"a": 1})
	c.fees(t, 101)
	c.ctx = c.ctx.WithBlockHeight(10)
	c.settle(t, 1, nil)
	if r := c.audit(t); r.Fees.Int64() != 101 || r.Money.Minted.Int64() != 1_000_000 ||
		r.Burned.Sign() != 0 {
		t.Errorf("with nobody to pay: %v", r)
	}
	c.ctx = c.ctx.WithBlockHeight(20)
	c.settle(t, 1, map[string]uint64{"a": 2, "b": 1}, "a", "b")
	r := c.audit(t)
	minted := new(big.Int).Sub(r.Money.Minted.BigInt(), big.NewInt(1_000_000))
	tasks := new(big.Int).Div(new(big.Int).Mul(minted, big.NewInt(1_999)), big.NewInt(10_000))
	pot := new(big.Int).Sub(minted, tasks)
	pot.Add(pot, big.NewInt(101-33)) // floor(101 * 0.3333) are burned
	type sums struct{ Tasks, Owed, Fees, Burned, Here string }
	if diff := cmp.Diff(sums{tasks.String(), pot.String(), "0", "33", "33"}, sums{
		r.Money.TaskShare.String(), r.Money.Owed.String(), r.Fees.String(), r.Burned.String(),
		r.Money.Burned.String()}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a, b := c.owes(t, "a"), c.owes(t, "b")
	if len(a) != 1 || len(b) != 1 || a[0].Epoch != 2 || a[0].DueEpoch != 14 ||
		a[0].Amount.Add(b[0].Amount).BigInt().Cmp(pot) != 0 ||
		a[0].Amount.Sub(b[0].Amount.MulRaw(2)).Abs().Int64() > 2 {
		t.Errorf("a is owed %v, b %v, of %s", a, b, pot)
	}
}

// A settlement that fails leaves all coins and records as they were, is counted, and fails neither
// the block nor the weights; the next epoch pays its own blocks, and the fees of both.
// Holds spec E-10.
func TestASettlementThatFailsIsAsIfItHadNotBegun(t *testing.T) {
	weights := map[string]uint64{"a": 1}
	c := earn(t, credit.DefaultParams(), acpc(1_000), weights)
	c.fees(t, 100)
	stuck := errors.New("the bank is stuck")
	// fees may not be moved: the coins were minted by then
	bank := c.bank
	bank.AppendSendRestriction(func(_ context.Context, _, to sdk.AccAddress,
		_ sdk.Coins) (sdk.AccAddress, error) {
		return to, stuck
	})
	c.ctx = c.ctx.WithBlockHeight(10)
	c.settle(t, 1, map[string]uint64{"a": 7}, "a")
	r := c.audit(t)
	if r.Money.FailedSettlements != 1 || r.Supply.Int64() != 1_000 || r.Fees.Int64() != 100 ||
		len(c.owes(t, "a")) > 0 || r.Money.SettledHeight != 10 || c.holding(t, "a").Weight != 7 {
		t.Errorf("after a settlement that failed: %v, %v", r, c.owes(t, "a"))
	}
	c.block(t)
	bank.ClearSendRestriction()
	c.ctx = c.ctx.WithBlockHeight(30)
	c.settle(t, 1, weights, "a")
	r = c.audit(t)
	want := new(big.Int).Mul(whole("999999999999999999999999000"), big.NewInt(27_488*20))
	want.Div(want, big.NewInt(1_000_000_000_000))
	if got := r.Money.Minted.SubRaw(1_000).BigInt(); got.Cmp(want) != 0 || r.Fees.Sign() > 0 {
		t.Errorf("the next one minted %s, want %s; fees %s", got, want, r.Fees)
	}
}

// A state of before pay keeps weights and moves no coins, until its books are opened.
func TestAStateWithoutBooksPaysNothing(t *testing.T) {
	weights := map[string]uint64{"a": 1}
	c := earn(t, credit.DefaultParams(), acpc(1_000), weights)
	delete := func() {
		store := c.ctx.KVStore(c.store)
		store.Delete([]byte{5})
	}
	delete()
	c.ctx = c.ctx.WithBlockHeight(10)
	c.settle(t, 1, weights, "a")
	c.void(t, nil, nil)
	if _, err := c.EndBlock(c.ctx); err != nil {
		t.Fatal(err)
	}
	if burned, err := c.BurnOwed(c.ctx, "a"); err != nil || !burned.IsZero() {
		t.Errorf("burned %s, %v", burned, err)
	}
	if _, err := c.Audit(c.ctx); err == nil {
		t.Error("audited")
	}
	if err := c.OpenBooks(c.ctx); err != nil {
		t.Fatal(err)
	}
	if r := c.audit(t); r.Money.SettledHeight != 9 || r.Money.Genesis.Int64() != 1_000 {
		t.Errorf("opened: %v", r.Money)
	}
}

// A genesis whose money contradicts itself is refused, with its cause.
func TestGenesisRefusesMoneyThatDoesNotAddUp(t *testing.T) {
	weights := map[string]uint64{"a": 1, "b": 1}
	c := earn(t, credit.DefaultParams(), acpc(1_000), weights)
	c.ctx = c.ctx.WithBlockHeight(10)
	c.settle(t, 1, weights, "a", "b")
	for want, change := range map[string]func(g *creditv1.GenesisState){
		"2 records of pay and no totals": func(g *creditv1.GenesisState) { g.Money = nil },
		"minted is -1": func(g *creditv1.GenesisState) {
			g.Money.Minted = sdkmath.NewInt(-1)
		},
		"task_share is <nil>": func(g *creditv1.GenesisState) {
			g.Money.TaskShare = sdkmath.Int{}
		},
		"is more than 1000000000000000000000000000": func(g *creditv1.GenesisState) {
			g.Money.Minted = credit.MaxSupply().AddRaw(1)
		},
		"is more than minted": func(g *creditv1.GenesisState) {
			g.Money.Genesis = g.Money.Minted.AddRaw(1)
		},
		"are more than minted": func(g *creditv1.GenesisState) { g.Money.Burned = g.Money.Minted },
		"height -1 is negative": func(g *creditv1.GenesisState) {
			g.Money.SettledHeight = -1
		},
		"no participant": func(g *creditv1.GenesisState) { g.Owed[0].Participant = "" },
		"is owed 0": func(g *creditv1.GenesisState) {
			g.Owed[0].Amount = sdkmath.ZeroInt()
		},
		"due at epoch 13 and is next tried at 12": func(g *creditv1.GenesisState) {
			g.Owed[0].NextEpoch = 12
		},
		"twice or out of order": func(g *creditv1.GenesisState) { g.Owed[1] = g.Owed[0] },
		"add up to": func(g *creditv1.GenesisState) {
			g.Owed[0].Amount = g.Owed[0].Amount.AddRaw(1)
		},
	} {
		g, err := c.ExportGenesis(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		change(g)
		if err := credit.ValidateGenesis(*g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
