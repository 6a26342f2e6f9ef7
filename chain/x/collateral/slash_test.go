// SPDX-License-Identifier: Apache-2.0

package collateral_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/google/go-cmp/cmp"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/x/collateral"
)

// purse is all that an account has here.
type purse struct {
	Registration, Lottery, Claim, Weight, Free, Held int64
	Withdrawals                                      []int64
}

func (w *world) purse(t testing.TB, name string) (p purse) {
	t.Helper()
	a, err := w.Account(w.ctx, account(name))
	w.must(t, err)
	p.Free, p.Held = a.Deposit.Int64(), a.Held.Int64()
	for _, l := range a.Locks {
		*map[string]*int64{collateral.Registration: &p.Registration,
			collateral.Lottery: &p.Lottery, collateral.Claim: &p.Claim,
			collateral.Weight: &p.Weight}[l.Purpose] = l.Amount.Int64()
		p.Free -= l.Amount.Int64()
	}
	for _, o := range a.Withdrawals {
		p.Withdrawals = append(p.Withdrawals, o.Amount.Int64())
	}
	return p
}

// rich has an account with something of everything: 10 for a registration, 20 for claims, 300 for
// weight, two withdrawals of 50 and 70, 40 free.
func rich(t testing.TB) *world {
	t.Helper()
	w := priced(t, 1)
	w.mint(t, "eve", 490)
	eve := account("eve")
	w.must(t, w.TopUp(w.ctx, eve, n(490)), w.Lock(w.ctx, eve, collateral.Registration, n(10)),
		w.Lock(w.ctx, eve, collateral.Claim, n(20)), w.lock("eve", 420), w.unlock("eve", 50))
	w.later(1)
	w.must(t, w.unlock("eve", 70))
	return w
}

// A slash takes of withdrawals, oldest first, then of the lottery, then of what covers weight; what
// answers for a registration or a claim is not touched, nor what is free.
// Holds spec K-8.
func TestASlashTakesWhatLeavesSoonestFirst(t *testing.T) {
	for _, c := range []struct {
		name    string
		lottery bool
		bps     uint64
		want    purse
	}{
		{"a part of a withdrawal", false, 1_000, purse{Registration: 10, Claim: 20, Weight: 300,
			Free: 40, Held: 42, Withdrawals: []int64{8, 70}}},
		{"one withdrawal and a part", false, 2_000, purse{Registration: 10, Claim: 20, Weight: 300,
			Free: 40, Held: 84, Withdrawals: []int64{36}}},
		{"withdrawals and weight", false, 5_000, purse{Registration: 10, Claim: 20, Weight: 210,
			Free: 40, Held: 210}},
		{"withdrawals, lottery and weight", true, 5_000, purse{Registration: 10, Claim: 20,
			Weight: 230, Lottery: 0, Held: 230}},
		{"all", true, 10_000, purse{Registration: 10, Claim: 20, Held: 460}},
		{"nothing", true, 0, purse{Registration: 10, Claim: 20, Weight: 300, Lottery: 40,
			Withdrawals: []int64{50, 70}}},
		{"less than a unit", false, 20, purse{Registration: 10, Claim: 20, Weight: 300, Free: 40,
			Withdrawals: []int64{50, 70}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rich(t)
			if c.lottery {
				w.must(t, w.LotteryLock(w.ctx, account("eve")))
			}
			taken, err := w.Take(w.ctx, account("eve"), c.bps)
			w.must(t, err)
			if taken.Int64() != c.want.Held {
				t.Errorf("took %s", taken)
			}
			if diff := cmp.Diff(c.want, w.purse(t, "eve")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An offender that withdraws before it is found out is slashed as if it had not, to the last block
// before the payment; only what is left is paid.
// Holds spec K-3, K-8.
func TestWithdrawingAfterAnOffenceSavesNothing(t *testing.T) {
	for _, waits := range []int64{0, 1, 400} { // it is paid after 401
		w := priced(t, 1)
		w.mint(t, "eve", 1_000)
		w.must(t, w.lock("eve", 1_000), w.unlock("eve", 1_000))
		w.later(waits)
		w.must(t, w.EndBlock(w.ctx))
		taken, err := w.Take(w.ctx, account("eve"), 2_000)
		w.must(t, err, w.BurnHeld(w.ctx, account("eve"), taken, nil, 1_000))
		w.later(401 - waits)
		w.must(t, w.EndBlock(w.ctx))
		if got := w.balance("eve"); got != 800 {
			t.Errorf("after %d blocks eve gets %d", waits, got)
		}
		if supply := w.bank.GetSupply(w.ctx, denom).Amount.Int64(); supply != 800 {
			t.Errorf("%d are left of 1000", supply)
		}
	}
}

// The bounty is split into equal parts; remainders and parts that the bank does not pay are burnt.
// Holds spec J-10.
func TestTheBountysPartsAndRemainders(t *testing.T) {
	module, err := addresses.BytesToString(authtypes.NewModuleAddress(collateral.Name))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		finders []string
		bps     uint64
		each    map[string]int64
		burnt   int64 // of 107
	}{
		{"nobody", nil, 1_000, nil, 107},
		{"one", []string{account("ann")}, 1_000, map[string]int64{"ann": 10}, 97},
		{"three", []string{account("ann"), account("bob"), account("cat")}, 1_000,
			map[string]int64{"ann": 3, "bob": 3, "cat": 3}, 98},
		{"half", []string{account("ann"), account("bob")}, 5_000,
			map[string]int64{"ann": 26, "bob": 26}, 55},
		{"no bounty", []string{account("ann")}, 0, nil, 107},
		{"a module among them", []string{account("ann"), module}, 1_000,
			map[string]int64{"ann": 5}, 102},
		{"one that the bank refuses", []string{account("ann"), account("dan")}, 1_000,
			map[string]int64{"ann": 5}, 102},
		{"no address", []string{"ann"}, 1_000, nil, 107},
		{"more than there are units", names(11), 1_000, nil, 107},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := priced(t, 1)
			w.mint(t, "eve", 107)
			w.bank.refuses[string(raw("dan"))] = true
			w.must(t, w.lock("eve", 107))
			taken, err := w.Take(w.ctx, account("eve"), 10_000)
			w.must(t, err, w.BurnHeld(w.ctx, account("eve"), taken, c.finders, c.bps))
			for _, name := range []string{"ann", "bob", "cat", "dan"} {
				if got := w.balance(name); got != c.each[name] {
					t.Errorf("%s got %d, want %d", name, got, c.each[name])
				}
			}
			if left := w.bank.GetSupply(w.ctx, denom).Amount.Int64(); left != 107-c.burnt {
				t.Errorf("%d are burnt, want %d", 107-left, c.burnt)
			}
			if left, err := w.Account(w.ctx, account("eve")); err != nil || !left.Held.IsZero() {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, account(fmt.Sprintf("n%d", i)))
	}
	return all
}

// What is given back covers weight again and leaves as such coins do; nobody gets or burns more
// than is held.
// Holds spec J-11.
func TestGivenBackIsAsItWas(t *testing.T) {
	w := rich(t)
	eve := account("eve")
	_, err := w.Take(w.ctx, eve, 5_000)
	w.must(t, err)
	for name, err := range map[string]error{
		"giving back more":  w.GiveBack(w.ctx, eve, n(211)),
		"burning more":      w.BurnHeld(w.ctx, eve, n(211), nil, 0),
		"burning another's": w.BurnHeld(w.ctx, account("bob"), n(1), nil, 0),
	} {
		if !errors.Is(err, collateral.ErrNotLocked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(t, w.GiveBack(w.ctx, eve, n(200)), w.BurnHeld(w.ctx, eve, n(10), nil, 0))
	want := purse{Registration: 10, Claim: 20, Weight: 410, Free: 40}
	if diff := cmp.Diff(want, w.purse(t, "eve")); diff != "" {
		t.Error(diff)
	}
}

// Many thousands of random operations on eight accounts: whatever order they come in, coins and
// records add up, and what an account lost is what was burnt or found of it.
// Holds spec K-6.
func TestRandomHistoriesKeepEveryInvariant(t *testing.T) {
	const seed, operations = 12, 20_000
	r := rand.New(rand.NewPCG(seed, seed))
	w := priced(t, 3)
	all := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, name := range all {
		w.mint(t, name, 1_000_000)
	}
	did := map[string]int{}
	for i := range operations {
		name := all[r.IntN(len(all))]
		addr, amount := account(name), n(1+r.Int64N(20_000))
		a, err := w.Account(w.ctx, addr)
		if err != nil {
			t.Fatal(err)
		}
		kind := []string{"lock", "lock", "unlock", "take", "give back", "burn", "block", "claim",
			"claimed", "lottery", "deposit", "withdraw"}[r.IntN(12)]
		branch, keep := w.ctx.CacheContext()
		switch kind {
		case "lock":
			_, err = w.msg.Lock(branch, &collateralv1.MsgLock{Address: addr, Amount: amount})
		case "unlock":
			_, err = w.msg.Unlock(branch, &collateralv1.MsgUnlock{Address: addr, Amount: amount})
		case "take":
			_, err = w.Take(branch, addr, uint64(r.IntN(1_000)))
		case "give back":
			err = w.GiveBack(branch, addr, a.Held)
		case "burn":
			err = w.BurnHeld(branch, addr, a.Held.QuoRaw(2), []string{account(all[r.IntN(8)])},
				uint64(r.IntN(5_001)))
		case "block":
			w.bank.refuses[string(raw(name))] = r.IntN(4) == 0
			w.later(1 + r.Int64N(100))
			err, keep = w.EndBlock(w.ctx), func() {}
		case "claim":
			err = w.Lock(branch, addr, collateral.Claim, amount.QuoRaw(10))
		case "claimed":
			err = w.Forfeit(branch, addr, collateral.Claim, amount.QuoRaw(20),
				account(all[r.IntN(8)]), 5_000)
		case "lottery":
			if err = w.LotteryLock(branch, addr); r.IntN(2) == 0 {
				err = errors.Join(err, w.UnlockAll(branch, addr, collateral.Lottery))
			}
		case "deposit":
			err = w.TopUp(branch, addr, amount)
		case "withdraw":
			err = w.Withdraw(branch, addr, amount)
		}
		if err == nil {
			keep()
			did[kind]++
		}
		if i%100 == 0 || kind == "block" {
			if err := w.Check(w.ctx); err != nil {
				t.Fatalf("seed %d, after %d operations, the last of them %s: %v", seed, i, kind,
					err)
			}
		}
	}
	for _, kind := range []string{"lock", "unlock", "take", "give back", "burn", "block", "claim",
		"claimed", "lottery", "deposit", "withdraw"} {
		if did[kind] < 50 {
			t.Errorf("%s was done %d times only", kind, did[kind])
		}
	}
	gs, err := w.ExportGenesis(w.ctx)
	w.must(t, err, collateral.ValidateGenesis(gs))
}
