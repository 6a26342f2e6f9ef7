// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/google/go-cmp/cmp"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/x/collateral"
)

// newcomer is somebody outside the genesis whom an operator gave some coins, and the message that
// registers it.
func (d *driver) newcomer(name string, coins math.Int) (*validator, *registryv1.MsgRegister) {
	d.t.Helper()
	from := d.validators[0]
	dir, p := participant(d.t, name)
	keys, err := home.OpenKeyring(dir, keyring.BackendTest, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.must(d.sign(from, paid, &banktypes.MsgSend{FromAddress: from.Address, ToAddress: p.Address,
		Amount: sdk.NewCoins(sdk.NewCoin(app.Denom, coins))}))
	r, possession := p.Registry()
	return &validator{App: from.App, Participant: p, dir: dir, keys: keys}, &registryv1.MsgRegister{
		Address: p.Address, Moniker: p.Moniker, ConsensusKey: r.ConsensusKey, VrfKey: r.VrfKey,
		HostKey: r.HostKey, Possession: possession,
	}
}

// balance of an account.
func (d *driver) balance(address string) math.Int {
	d.t.Helper()
	var r banktypes.QueryBalanceResponse
	d.validators[0].query(d.t, "/cosmos.bank.v1beta1.Query/Balance",
		&banktypes.QueryBalanceRequest{Address: address, Denom: app.Denom}, &r)
	return r.Balance.Amount
}

// A deposit is locked with the registration, stays where it is while the record does, and nobody
// else's message reaches it.
func TestRegistrationOnTheRealApplication(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	alice := d.validators[0]
	bob, register := d.newcomer("bob", genesis.CPC(3))
	d.must(d.sign(bob, paid, register))
	account := func() collateralv1.QueryAccountResponse {
		var a collateralv1.QueryAccountResponse
		alice.query(t, "/assay.collateral.v1.Query/Account",
			&collateralv1.QueryAccountRequest{Address: bob.Address}, &a)
		return a
	}
	if a := account(); !a.Account.Deposit.Equal(genesis.CPC(1)) || !a.Free.IsZero() {
		t.Errorf("after registering: %v", a)
	}
	d.must(d.sign(bob, paid, &collateralv1.MsgDeposit{Address: bob.Address,
		Amount: genesis.CPC(1)}))
	if a := account(); !a.Account.Deposit.Equal(genesis.CPC(2)) || !a.Free.Equal(genesis.CPC(1)) {
		t.Errorf("after depositing: %v", a)
	}
	// withdrawing what is locked
	d.refused(d.sign(bob, paid, &collateralv1.MsgWithdraw{Address: bob.Address,
		Amount: genesis.CPC(2)}), `locked for the purpose "registration"`)
	// paying the module's account
	d.refused(d.sign(bob, paid, &banktypes.MsgSend{
		FromAddress: bob.Address, ToAddress: authtypes.NewModuleAddress(collateral.Name).String(),
		Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1)),
	}), "not allowed to receive funds")
	d.must(d.sign(bob, paid, &registryv1.MsgLeave{Address: bob.Address}))
	d.blocks(1)
	if left, err := alice.App.Registry.Get(alice.ctx(t), bob.Address); err != nil ||
		left.LeftFrom == 0 {
		t.Errorf("after leaving: %v, %v", left, err)
	}
	if err := alice.Collateral.Check(alice.ctx(t)); err != nil {
		t.Error(err)
	}
}

// C14: who cannot pay the deposit gets no name, and reads how much is missing and how to get it.
func TestC14ANameWithoutADeposit(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	bob, register := d.newcomer("bob", genesis.CPC(1).QuoRaw(2))
	if err := d.send(d.sign(bob, paid, register)); err != nil {
		t.Fatal(err)
	}
	d.blocks(1)
	last := d.results[len(d.results)-1]
	if last.Code != 10 || last.Codespace != "registry" ||
		!strings.Contains(last.Log, "assay tx bank send") ||
		!strings.Contains(last.Log, "acpc too little") {
		t.Errorf("%s %d: %s", last.Codespace, last.Code, last.Log)
	}
}

// A hot key owns nothing and pays by its operator's allowance, up to a bound.
func TestAHotKeyPaysByAllowance(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	alice := d.validators[0]
	var r feegrant.QueryAllowanceResponse
	alice.query(t, "/cosmos.feegrant.v1beta1.Query/Allowance",
		&feegrant.QueryAllowanceRequest{Granter: alice.Address, Grantee: alice.Hot}, &r)
	if r.Allowance == nil || r.Allowance.Granter != alice.Address {
		t.Fatalf("no allowance: %v", r)
	}
	if !d.balance(alice.Hot).IsZero() {
		t.Errorf("the hot account holds %s", d.balance(alice.Hot))
	}
}

// C21: SECURITY.md left out that a stolen hot key replaces the list of machines. What the key may
// send is what is said there.
func TestC21WhatAHotKeyMaySend(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	alice := d.validators[0]
	var r authz.QueryGrantsResponse
	alice.query(t, "/cosmos.authz.v1beta1.Query/Grants",
		&authz.QueryGrantsRequest{Granter: alice.Address, Grantee: alice.Hot}, &r)
	if len(r.Grants) != len(sprintv1.DutyURLs()) {
		t.Errorf("%d grants", len(r.Grants))
	}
	file, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(string(file), "**The hot key.**")
	said, _, _ = strings.Cut(said, "\n\n")
	said = strings.Join(strings.Fields(said), " ")
	for _, g := range r.Grants {
		var granted authz.GenericAuthorization
		if err := granted.Unmarshal(g.Authorization.Value); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			sdk.MsgTypeURL(
				&sprintv1.MsgReady{}): "send the participant's protocol messages",
			sdk.MsgTypeURL(&sprintv1.MsgCommit{}): "commit nonsense",
			sdk.MsgTypeURL(
				&sprintv1.MsgOpen{}): "send the participant's protocol messages",
			sdk.MsgTypeURL(&sprintv1.MsgCommitVerdict{}): "reveal nothing",
			sdk.MsgTypeURL(&sprintv1.MsgRevealVerdict{}): "reveal nothing",
			sdk.MsgTypeURL(
				&sprintv1.MsgOpenMiddles{}): "send the participant's protocol messages",
			sdk.MsgTypeURL(&sprintv1.MsgDispute{}): "name honest leaves",
			sdk.MsgTypeURL(
				&registryv1.MsgSetNodes{}): "replace the list of machines",
			sdk.MsgTypeURL(&streamv1.MsgSubmitContinuousPoCCommit{}): "commit nonsense",
		}[granted.Msg]
		if want == "" || !strings.Contains(said, want) {
			t.Errorf("SECURITY.md does not say %q of a stolen hot key, which may send %s",
				want, granted.Msg)
		}
	}
}

// A new chain goes on with the people and the coins of an older one, and with nothing else of it.
func TestANewChainFromAnExport(t *testing.T) {
	const next = "assay-next"
	d := drive(t, "alice", "bob")
	alice, bob := d.validators[0], d.validators[1]
	d.blocks(3)
	// What must come along: a registration with its deposit, a free deposit. What must not: a
	// proposal, fees, an epoch.
	carol, register := d.newcomer("carol", genesis.CPC(5))
	d.must(d.sign(carol, paid, register))
	d.must(d.sign(bob, paid, &collateralv1.MsgDeposit{Address: bob.Address,
		Amount: genesis.CPC(7)}))
	d.locks(bob)
	proposed := d.balance(alice.Address)
	proposal, err := govv1.NewMsgSubmitProposal([]sdk.Msg{
		&registryv1.MsgUpdateParams{Authority: app.Authority(), Params: d.registryParams()}},
		sdk.NewCoins(sdk.NewCoin(app.Denom, genesis.CPC(20))), alice.Address, "", "a proposal",
		"that stays behind", false)
	if err != nil {
		t.Fatal(err)
	}
	d.must(d.sign(alice, paid, proposal))
	fee := math.NewInt(paid.fee).MulRaw(int64(paid.gas))
	proposed = proposed.Sub(fee)
	d.blocks(4)

	old := exported(t, alice.App, d.genesis)
	if _, err := genesis.FromExport(genesis.Restart{Chain: chainID, Time: d.now,
		Export: old}); err == nil || !strings.Contains(err.Error(), "replayed") {
		t.Errorf("a new chain with the old one's id: %v", err)
	}
	g, err := genesis.FromExport(genesis.Restart{Chain: next, Time: d.now, Export: old})
	if err != nil {
		t.Fatal(err)
	}
	if g.InitialHeight != 1 || g.ChainID != next {
		t.Fatalf("%s at %d", g.ChainID, g.InitialHeight)
	}
	if again, err := genesis.FromExport(genesis.Restart{Chain: next, Time: d.now,
		Export: old}); err != nil || string(again.AppState) != string(g.AppState) {
		t.Errorf("twice gives two files, %v", err)
	}
	want := map[string]math.Int{bob.Address: d.balance(bob.Address),
		carol.Address: d.balance(carol.Address), alice.Address: proposed}
	weights, err := alice.Credit.Holdings(alice.ctx(t))
	if err != nil {
		t.Fatal(err)
	}

	fork := &driver{t: t, now: d.now, interval: d.interval, denom: d.denom, genesis: g}
	for _, v := range d.validators {
		v := *v
		var err error
		v.App, err = app.New(log.NewNopLogger(), dbm.NewMemDB(), nil, options{"home": v.dir},
			baseapp.SetChainID(next), baseapp.SetMinGasPrices("1000"+app.Denom))
		if err != nil {
			t.Fatal(err)
		}
		fork.validators = append(fork.validators, &v)
	}
	fork.init(g)
	fork.blocks(12)
	v := fork.validators[0]
	ctx := v.ctx(t)
	got := map[string]math.Int{}
	for address := range want {
		got[address] = fork.balance(address)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("balances: %s", diff)
	}
	if again, err := v.Credit.Holdings(ctx); err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(weights, again); diff != "" {
		t.Errorf("weights: %s", diff)
	}
	if err := v.Collateral.Check(ctx); err != nil {
		t.Error(err)
	}
	if locked, err := v.Collateral.Locked(ctx, carol.Address,
		collateral.Registration); err != nil || !locked.Equal(genesis.CPC(1)) {
		t.Errorf("carol's registration holds %s, %v", locked, err)
	}
	v.locked(t, bob.Address)
	was, err := alice.App.Registry.Get(alice.ctx(t), carol.Address)
	if err != nil {
		t.Fatal(err)
	}
	if is, err := v.App.Registry.Get(ctx, carol.Address); err != nil || is.JoinedEpoch != 0 ||
		string(is.ConsensusKey) != string(was.ConsensusKey) {
		t.Errorf("carol came over as %v, %v", is, err)
	}
	if epoch, err := v.Sprint.CurrentEpoch(ctx); err != nil || epoch != 1 {
		t.Errorf("the new chain is in epoch %d, %v", epoch, err)
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(exported(t, v.App, g).AppState, &state); err != nil {
		t.Fatal(err)
	}
	for module, words := range map[string]string{"gov": "a proposal",
		"bank": authtypes.NewModuleAddress(authtypes.FeeCollectorName).String()} {
		if strings.Contains(string(state[module]), words) {
			t.Errorf("%s came along with %q", module, words)
		}
	}
	if !strings.Contains(string(state[authz.ModuleName]), carol.Hot) &&
		!strings.Contains(string(state[authz.ModuleName]), alice.Hot) {
		t.Error("the grants of hot keys did not come along")
	}
}

// locks has somebody who deposited 7 CPC lock 4 for weight and withdraw 2 of them in two blocks.
func (d *driver) locks(who *validator) {
	d.t.Helper()
	d.must(d.sign(who, paid, &collateralv1.MsgLock{Address: who.Address, Amount: genesis.CPC(4)}))
	for range 2 {
		d.must(d.sign(who, paid, &collateralv1.MsgUnlock{Address: who.Address,
			Amount: genesis.CPC(1)}))
	}
}

// locked checks what comes along of that: what is free, what covers weight, and what is on its way
// out as one withdrawal that begins again.
func (v *validator) locked(t *testing.T, who string) {
	t.Helper()
	a, err := v.Collateral.Account(v.ctx(t), who)
	if err != nil {
		t.Fatal(err)
	}
	want := collateralv1.Account{Address: who, Deposit: genesis.CPC(5), Held: math.ZeroInt(),
		Locks: []collateralv1.Lock{{Purpose: collateral.Weight, Amount: genesis.CPC(2)}},
		Withdrawals: []collateralv1.Withdrawal{{Amount: genesis.CPC(2),
			Time: a.Withdrawals[0].Time}}}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
}

func (d *driver) registryParams() registryv1.Params {
	d.t.Helper()
	p, err := d.validators[0].App.Registry.Params(d.validators[0].ctx(d.t))
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// On a real network an operator starts with 100 CPC, which pay for deposits and fees, unless its
// founders choose otherwise.
func TestAGenesisGivesEachOperatorAStipend(t *testing.T) {
	_, p := participant(t, "alice")
	for _, c := range []struct {
		name   string
		change func(*genesis.Preset)
		want   string
	}{
		{"main", func(*genesis.Preset) {}, genesis.CPC(100).String()},
		{"another", func(p *genesis.Preset) { p.Stipend = 7 }, genesis.CPC(7).String()},
		{"none", func(p *genesis.Preset) { p.Stipend = 0 }, ""},
	} {
		preset := genesis.Presets()["main"]
		c.change(&preset)
		g, err := genesis.Build(genesis.Options{Chain: chainID, Preset: preset,
			Participants: []home.Participant{p}})
		if err != nil {
			t.Fatal(err)
		}
		var state struct {
			Bank struct {
				Balances []struct {
					Address string
					Coins   sdk.Coins
				}
			}
		}
		if err := json.Unmarshal(g.AppState, &state); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, b := range state.Bank.Balances {
			if b.Address == p.Address {
				got = b.Coins.AmountOf(app.Denom).String()
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
