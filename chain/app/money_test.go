// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	dbm "github.com/cosmos/cosmos-db"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/x/credit"
)

// audited is every sum of money, and fails the test where an equation does not hold.
func (v *validator) audited(t testing.TB) creditv1.QueryAuditResponse {
	t.Helper()
	var r creditv1.QueryAuditResponse
	v.query(t, "/assay.credit.v1.Query/Audit", &creditv1.QueryAuditRequest{}, &r)
	if len(r.Broken) > 0 {
		t.Errorf("%q", r.Broken)
	}
	return r
}

// owing starts a chain again as if it had just finalised epoch 40, with pay open.
func (d *driver) owing(taskShare math.Int, records ...creditv1.Owed) {
	d.t.Helper()
	held := taskShare
	slices.SortFunc(records, func(a, b creditv1.Owed) int {
		return cmp.Or(cmp.Compare(a.NextEpoch, b.NextEpoch), cmp.Compare(a.Epoch, b.Epoch),
			strings.Compare(a.Participant, b.Participant))
	})
	var owed []any
	for _, o := range records {
		held = held.Add(o.Amount)
		owed = append(owed, map[string]any{"participant": o.Participant, "amount": o.Amount,
			"epoch": fmt.Sprint(o.Epoch), "due_epoch": fmt.Sprint(o.DueEpoch),
			"next_epoch": fmt.Sprint(o.NextEpoch)})
	}
	supply := math.ZeroInt()
	d.edit(banktypes.ModuleName, func(state map[string]any) {
		coins := state["supply"].([]any)[0].(map[string]any)
		was, _ := math.NewIntFromString(coins["amount"].(string))
		supply = was.Add(held)
		coins["amount"] = supply.String()
		state["balances"] = append(state["balances"].([]any), map[string]any{
			"address": authtypes.NewModuleAddress(credit.Name).String(),
			"coins":   []any{map[string]any{"denom": app.Denom, "amount": held.String()}}})
	})
	d.edit(credit.Name, func(state map[string]any) {
		state["owed"] = owed
		state["money"] = map[string]any{"genesis": supply.SubRaw(50).String(),
			"minted": supply.AddRaw(5).String(), "burned": "5",
			"owed": held.Sub(taskShare).String(), "task_share": taskShare.String(),
			"settled_epoch": "40", "settled_height": "0"}
	})
	d.restart()
}

// Pay that is owed comes over to a new chain and leaves when what is left of its lock has passed
// there; what was ever minted goes on being counted, and fees that stay behind are burned.
// Holds spec E-1, E-6, E-9.
func TestPayComesOverToANewChain(t *testing.T) {
	const next = "assay-next"
	d := drive(t, "alice", "bob")
	alice, bob := d.validators[0], d.validators[1]
	d.owing(math.NewInt(70),
		creditv1.Owed{Participant: alice.Address, Epoch: 38, DueEpoch: 41, NextEpoch: 41,
			Amount: math.NewInt(1_000)},
		creditv1.Owed{Participant: alice.Address, Epoch: 39, DueEpoch: 42, NextEpoch: 42,
			Amount: math.NewInt(20_000)},
		// two that the bank has refused
		creditv1.Owed{Participant: bob.Address, Epoch: 30, DueEpoch: 33, NextEpoch: 41,
			Amount: math.NewInt(300_000)},
		creditv1.Owed{Participant: bob.Address, Epoch: 31, DueEpoch: 34, NextEpoch: 41,
			Amount: math.NewInt(4)},
	)
	d.blocks(1)
	d.must(d.sign(alice, paid, transfer(alice, bob)))
	was := alice.audited(t)
	g, err := genesis.FromExport(genesis.Restart{Chain: next, Time: d.now,
		Export: exported(t, alice.App, d.genesis)})
	if err != nil {
		t.Fatal(err)
	}
	fork := &driver{t: t, now: d.now, interval: d.interval, denom: d.denom, genesis: g}
	for _, v := range d.validators {
		v := *v
		if v.App, err = app.New(log.NewNopLogger(), dbm.NewMemDB(), nil, options{"home": v.dir},
			baseapp.SetChainID(next)); err != nil {
			t.Fatal(err)
		}
		fork.validators = append(fork.validators, &v)
	}
	fork.init(g)
	v := fork.validators[0]
	type sums struct{ Alice, Bob, Owed int64 }
	before := map[string]math.Int{}
	for _, v := range fork.validators {
		before[v.Address] = d.balance(v.Address)
	}
	var got []sums
	for epoch := uint64(0); epoch <= 2; epoch++ {
		for range 300 {
			if fork.blocks(1); v.audited(t).Money.SettledEpoch >= epoch {
				break
			}
		}
		got = append(got, sums{fork.balance(alice.Address).Sub(before[alice.Address]).Int64(),
			fork.balance(bob.Address).Sub(before[bob.Address]).Int64(),
			v.audited(t).Money.Owed.Int64()})
	}
	if diff := gocmp.Diff([]sums{{0, 0, 321_004}, {1_000, 300_004, 20_000},
		{21_000, 300_004, 0}}, got); diff != "" {
		t.Errorf("paid after each epoch of the new chain (-want +got):\n%s", diff)
	}
	r := v.audited(t)
	if !r.Money.Minted.Equal(was.Money.Minted) || !r.Burned.Equal(was.Burned.Add(was.Fees)) ||
		!was.Fees.IsPositive() || !r.CreditBalance.Equal(r.Money.TaskShare) {
		t.Errorf("the old chain: %v\nthe new one: %v", was, r)
	}
}

// Nobody sends coins to the account that holds pay.
// Holds spec E-1.
func TestNobodySendsCoinsToThePayAccount(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	alice := d.validators[0]
	err := d.send(d.sign(alice, paid, &banktypes.MsgSend{FromAddress: alice.Address,
		ToAddress: authtypes.NewModuleAddress(credit.Name).String(),
		Amount:    sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1))}))
	if err == nil {
		d.blocks(1)
		if r := d.results[len(d.results)-1]; r.Code == 0 {
			t.Error("sent")
		}
	}
	alice.audited(t)
}

// A genesis whose coins no record explains does not start.
// Holds spec E-9.
func TestAGenesisWithUnexplainedCoinsIsRefused(t *testing.T) {
	d := drive(t, "alice")
	d.owing(math.NewInt(70))
	d.edit(credit.Name, func(state map[string]any) {
		state["money"].(map[string]any)["task_share"] = "69"
	})
	defer func() {
		if why := fmt.Sprint(recover()); !strings.Contains(why, "holds 70, not owed 0") {
			t.Error(why)
		}
	}()
	if _, err := initChain(open(t, d.validators[0].dir), d.genesis); err != nil {
		panic(err)
	}
}
