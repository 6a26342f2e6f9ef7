// SPDX-License-Identifier: Apache-2.0

package collateral_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/x/collateral"
)

const (
	denom  = "acpc"
	minter = "mint"
)

var addresses = addresscodec.NewBech32Codec("cpc")

// world is the module over the SDK's own bank.
type world struct {
	*collateral.Keeper
	ctx  sdk.Context
	bank moody
	msg  collateralv1.MsgServer
	qry  collateralv1.QueryServer
}

// moody is the SDK's bank, which pays nothing to some.
type moody struct {
	bankkeeper.BaseKeeper
	refuses map[string]bool
}

func (m moody) SendCoinsFromModuleToAccount(ctx context.Context, module string,
	to sdk.AccAddress, coins sdk.Coins) error {
	if err := m.BaseKeeper.SendCoinsFromModuleToAccount(ctx, module, to, coins); err != nil {
		return err
	}
	if m.refuses[string(to)] { // after the coins moved, as a hook would
		return errors.New("not today")
	}
	return nil
}

type services struct{ w *world }

func (s services) RegisterService(_ *grpc.ServiceDesc, impl any) {
	switch impl := impl.(type) {
	case collateralv1.MsgServer:
		s.w.msg = impl
	case collateralv1.QueryServer:
		s.w.qry = impl
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey, collateral.Name)
	ctx := testutil.DefaultContextWithKeys(keys, map[string]*storetypes.TransientStoreKey{},
		map[string]*storetypes.MemoryStoreKey{})
	types := codectypes.NewInterfaceRegistry()
	authtypes.RegisterInterfaces(types)
	cdc := codec.NewProtoCodec(types)
	accounts := authkeeper.NewAccountKeeper(cdc,
		runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{collateral.Name: {authtypes.Burner}, minter: {authtypes.Minter}},
		addresses, "cpc", "authority")
	blocked := map[string]bool{authtypes.NewModuleAddress(collateral.Name).String(): true}
	bank := moody{bankkeeper.NewBaseKeeper(cdc,
		runtime.NewKVStoreService(keys[banktypes.StoreKey]), accounts, blocked,
		account("authority"), log.NewNopLogger()), map[string]bool{}}
	k, err := collateral.NewKeeper(cdc, runtime.NewKVStoreService(keys[collateral.Name]), addresses,
		"gov", accounts, bank, denom)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Keeper: k, ctx: ctx, bank: bank}
	if err := collateral.NewAppModule(k).RegisterServices(services{w}); err != nil {
		t.Fatal(err)
	}
	if err := k.InitGenesis(ctx, collateral.DefaultGenesis()); err != nil {
		t.Fatal(err)
	}
	return w
}

func raw(name string) sdk.AccAddress {
	return sdk.AccAddress(append([]byte(name), make([]byte, 20-len(name))...))
}

func account(name string) string {
	addr, err := addresses.BytesToString(raw(name))
	if err != nil {
		panic(err)
	}
	return addr
}

func coins(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(denom, n)) }

// mint gives an account coins.
func (w *world) mint(t testing.TB, name string, n int64) {
	t.Helper()
	if err := errors.Join(w.bank.MintCoins(w.ctx, minter, coins(n)),
		w.bank.SendCoinsFromModuleToAccount(w.ctx, minter, raw(name), coins(n))); err != nil {
		t.Fatal(err)
	}
}

func (w *world) balance(name string) int64 {
	return w.bank.GetBalance(w.ctx, raw(name), denom).Amount.Int64()
}

// must fails the test on the first error, and when coins and records differ after it.
func (w *world) must(t testing.TB, all ...error) {
	t.Helper()
	for _, err := range append(all, w.Check(w.ctx)) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// state is what a test compares: balance, deposit, locks by purpose and what is free.
type state struct{ Balance, Deposit, Registration, Lottery, Claim, Free int64 }

func (w *world) state(t testing.TB, name string) state {
	t.Helper()
	get := func(n math.Int, err error) int64 {
		if err != nil {
			t.Fatal(err)
		}
		return n.Int64()
	}
	locked := func(purpose string) int64 { return get(w.Locked(w.ctx, account(name), purpose)) }
	return state{
		Balance: w.balance(name), Deposit: get(w.Deposit(w.ctx, account(name))),
		Free:         get(w.Free(w.ctx, account(name))),
		Registration: locked(collateral.Registration), Lottery: locked(collateral.Lottery),
		Claim: locked(collateral.Claim),
	}
}

func n(v int64) math.Int { return math.NewInt(v) }

// Holds spec R-7.
func TestLocksHoldADeposit(t *testing.T) {
	w := newWorld(t)
	w.mint(t, "alice", 100)
	alice := account("alice")
	_, err := w.msg.Deposit(w.ctx, &collateralv1.MsgDeposit{Address: alice, Amount: n(60)})
	w.must(t, err,
		w.Lock(w.ctx, alice, collateral.Registration, n(10)),
		w.Lock(w.ctx, alice, collateral.Claim, n(5)), w.Lock(w.ctx, alice, collateral.Claim, n(5)))
	if diff := cmp.Diff(state{Balance: 40, Deposit: 60, Registration: 10, Claim: 10, Free: 40},
		w.state(t, "alice")); diff != "" {
		t.Error(diff)
	}
	w.must(t, w.LotteryLock(w.ctx, alice))
	if diff := cmp.Diff(state{Balance: 40, Deposit: 60, Registration: 10, Claim: 10, Lottery: 40},
		w.state(t, "alice")); diff != "" {
		t.Error(diff)
	}
	_, err = w.msg.Withdraw(w.ctx, &collateralv1.MsgWithdraw{Address: alice, Amount: n(1)})
	if !errors.Is(err, collateral.ErrNotFree) ||
		!strings.Contains(err.Error(), `40acpc are locked for the purpose "lottery"`) {
		t.Errorf("withdrawing what is locked: %v", err)
	}
	w.must(t, w.UnlockAll(w.ctx, alice, collateral.Lottery),
		w.UnlockAll(w.ctx, alice, collateral.Lottery))
	_, err = w.msg.Withdraw(w.ctx, &collateralv1.MsgWithdraw{Address: alice, Amount: n(40)})
	w.must(t, err, w.Refund(w.ctx, alice, collateral.Registration, n(10)))
	if diff := cmp.Diff(state{Balance: 90, Deposit: 10, Claim: 10},
		w.state(t, "alice")); diff != "" {
		t.Error(diff)
	}
}

func TestForfeit(t *testing.T) {
	blocked, err := addresses.BytesToString(authtypes.NewModuleAddress(collateral.Name))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		to     string
		bps    uint64
		bob    int64
		supply int64
	}{
		{"half to the accused", account("bob"), 5_000, 2, 97},
		{"all to somebody", account("bob"), 10_000, 5, 100},
		{"nobody", "", 5_000, 0, 95},
		{"no share", account("bob"), 0, 0, 95},
		{"an account that gets no coins", blocked, 5_000, 0, 95},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.mint(t, "alice", 100)
			alice := account("alice")
			w.must(t, w.TopUp(w.ctx, alice, n(20)), w.Lock(w.ctx, alice, collateral.Claim, n(8)))
			w.must(t, w.Forfeit(w.ctx, alice, collateral.Claim, n(5), c.to, c.bps))
			if diff := cmp.Diff(state{Balance: 80, Deposit: 15, Claim: 3, Free: 12},
				w.state(t, "alice")); diff != "" {
				t.Error(diff)
			}
			if got := w.balance("bob"); got != c.bob {
				t.Errorf("bob got %d, want %d", got, c.bob)
			}
			if got := w.bank.GetSupply(w.ctx, denom).Amount.Int64(); got != c.supply {
				t.Errorf("supply %d, want %d", got, c.supply)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	w := newWorld(t)
	w.mint(t, "alice", 100)
	alice := account("alice")
	w.must(t, w.TopUp(w.ctx, alice, n(50)), w.Lock(w.ctx, alice, collateral.Claim, n(20)))
	before := w.state(t, "alice")
	deposit := func(addr string, amount math.Int) error {
		_, err := w.msg.Deposit(w.ctx, &collateralv1.MsgDeposit{Address: addr, Amount: amount})
		return err
	}
	withdraw := func(addr string, amount math.Int) error {
		_, err := w.msg.Withdraw(w.ctx, &collateralv1.MsgWithdraw{Address: addr, Amount: amount})
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"depositing nothing", deposit(alice, n(0)), collateral.ErrInvalid},
		{"depositing less than nothing", deposit(alice, n(-5)), collateral.ErrInvalid},
		{"depositing without an amount", deposit(alice, math.Int{}), collateral.ErrInvalid},
		{"depositing more than there is", deposit(alice, n(51)), nil},
		{"another spelling of the address", deposit(strings.ToUpper(alice), n(1)),
			collateral.ErrInvalid},
		{"withdrawing less than nothing", withdraw(alice, n(-5)), collateral.ErrInvalid},
		{"withdrawing without an amount", withdraw(alice, math.Int{}), collateral.ErrInvalid},
		{"withdrawing what is locked", withdraw(alice, n(31)), collateral.ErrNotFree},
		{"withdrawing of nothing", withdraw(account("bob"), n(1)), collateral.ErrNotFree},
		{"locking too much", w.Lock(w.ctx, alice, collateral.Registration, n(31)),
			collateral.ErrNotFree},
		{"locking for no purpose", w.Lock(w.ctx, alice, "fun", n(1)), collateral.ErrInvalid},
		{"locking less than nothing", w.Lock(w.ctx, alice, collateral.Claim, n(-1)),
			collateral.ErrInvalid},
		{"unlocking too much", w.Unlock(w.ctx, alice, collateral.Claim, n(21)),
			collateral.ErrNotLocked},
		{"unlocking another purpose", w.Unlock(w.ctx, alice, collateral.Lottery, n(1)),
			collateral.ErrNotLocked},
		{"refunding too much", w.Refund(w.ctx, alice, collateral.Claim, n(21)),
			collateral.ErrNotLocked},
		{"forfeiting too much", w.Forfeit(w.ctx, alice, collateral.Claim, n(21), "", 0),
			collateral.ErrNotLocked},
		{"forfeiting a negative amount", w.Forfeit(w.ctx, alice, collateral.Claim, n(-1), "", 0),
			collateral.ErrInvalid},
		{"forfeiting more than all of it", w.Forfeit(w.ctx, alice, collateral.Claim, n(1),
			account("bob"), 10_001), collateral.ErrInvalid},
		{"forfeiting to no address", w.Forfeit(w.ctx, alice, collateral.Claim, n(1), "bob", 1),
			collateral.ErrInvalid},
	} {
		if c.err == nil || c.want != nil && !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	w.must(t)
	if diff := cmp.Diff(before, w.state(t, "alice")); diff != "" {
		t.Errorf("a refusal changed something: %s", diff)
	}
}

// Whatever the modules and the accounts do, in any order: coins and records add up, nothing is
// locked that is not there, and no coin comes out of nothing.
// Holds spec R-7, K-6.
func TestConservation(t *testing.T) {
	names := []string{"alice", "bob", "carol"}
	purposes := []string{collateral.Registration, collateral.Lottery, collateral.Claim,
		collateral.Weight}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		for _, name := range names {
			w.mint(t, name, 1_000)
		}
		supply := int64(3_000)
		who := rapid.Custom(func(r *rapid.T) string {
			return account(rapid.SampledFrom(names).Draw(r, "who"))
		})
		purpose := rapid.SampledFrom(purposes)
		amount := rapid.Custom(func(r *rapid.T) math.Int {
			return n(rapid.Int64Range(-10, 1_200).Draw(r, "amount"))
		})
		// Each act runs on a branch that is kept only when it succeeds, as a transaction does.
		act := func(do func(sdk.Context) error) error {
			branch, keep := w.ctx.CacheContext()
			err := do(branch)
			if err == nil {
				keep()
			}
			return err
		}
		acts := map[string]func(*rapid.T){
			"deposit": func(r *rapid.T) {
				m := &collateralv1.MsgDeposit{Address: who.Draw(r, "account"),
					Amount: amount.Draw(r, "of")}
				_ = act(func(ctx sdk.Context) error { _, err := w.msg.Deposit(ctx, m); return err })
			},
			"withdraw": func(r *rapid.T) {
				m := &collateralv1.MsgWithdraw{Address: who.Draw(r, "account"),
					Amount: amount.Draw(r, "of")}
				_ = act(func(ctx sdk.Context) error {
					_, err := w.msg.Withdraw(ctx, m)
					return err
				})
			},
			"lock": func(r *rapid.T) {
				a, p, x := who.Draw(r, "account"), purpose.Draw(r, "purpose"), amount.Draw(r, "of")
				_ = act(func(ctx sdk.Context) error { return w.Lock(ctx, a, p, x) })
			},
			"lottery": func(r *rapid.T) {
				a := who.Draw(r, "account")
				_ = act(func(ctx sdk.Context) error { return w.LotteryLock(ctx, a) })
			},
			"unlock": func(r *rapid.T) {
				a, p, x := who.Draw(r, "account"), purpose.Draw(r, "purpose"), amount.Draw(r, "of")
				_ = act(func(ctx sdk.Context) error { return w.Unlock(ctx, a, p, x) })
			},
			"unlock all": func(r *rapid.T) {
				a, p := who.Draw(r, "account"), purpose.Draw(r, "purpose")
				_ = act(func(ctx sdk.Context) error { return w.UnlockAll(ctx, a, p) })
			},
			"refund": func(r *rapid.T) {
				a, p, x := who.Draw(r, "account"), purpose.Draw(r, "purpose"), amount.Draw(r, "of")
				_ = act(func(ctx sdk.Context) error { return w.Refund(ctx, a, p, x) })
			},
			"forfeit": func(r *rapid.T) {
				a, p, x := who.Draw(r, "account"), purpose.Draw(r, "purpose"), amount.Draw(r, "of")
				to, bps := rapid.SampledFrom([]string{"", account("alice"),
					account("carol")}).Draw(r, "to"), rapid.Uint64Range(0, 10_000).Draw(r, "bps")
				if act(func(ctx sdk.Context) error {
					return w.Forfeit(ctx, a, p, x, to, bps)
				}) == nil {
					share := x.Int64() * int64(bps) / 10_000
					if to == "" {
						share = 0
					}
					supply -= x.Int64() - share
				}
			},
			"withdraw weight": func(r *rapid.T) {
				m := &collateralv1.MsgUnlock{Address: who.Draw(r, "account"),
					Amount: amount.Draw(r, "of")}
				_ = act(func(ctx sdk.Context) error { _, err := w.msg.Unlock(ctx, m); return err })
			},
			"lock weight": func(r *rapid.T) {
				m := &collateralv1.MsgLock{Address: who.Draw(r, "account"),
					Amount: amount.Draw(r, "of")}
				_ = act(func(ctx sdk.Context) error { _, err := w.msg.Lock(ctx, m); return err })
			},
			"blocks": func(r *rapid.T) {
				// a bank that refuses, too: what is not paid stays
				w.bank.refuses[string(raw("alice"))] = rapid.Bool().Draw(r, "refuses")
				for range 1 + rapid.IntRange(0, 2).Draw(r, "pauses") {
					w.later(rapid.SampledFrom([]int64{1, 70, 1_001}).Draw(r, "blocks"))
					if err := w.EndBlock(w.ctx); err != nil {
						r.Fatal(err)
					}
				}
			},
			"": func(r *rapid.T) {
				if err := w.Check(w.ctx); err != nil {
					r.Fatal(err)
				}
				if got := w.bank.GetSupply(w.ctx, denom).Amount.Int64(); got != supply {
					r.Fatalf("the supply is %d, want %d", got, supply)
				}
				exported, err := w.ExportGenesis(w.ctx)
				if err != nil {
					r.Fatal(err)
				}
				if err := collateral.ValidateGenesis(exported); err != nil {
					r.Fatalf("an export that cannot be imported: %v", err)
				}
			},
		}
		maps.Copy(acts, w.penalties(act, who, amount, &supply))
		r.Repeat(acts)
	})
}

// penalties are what the court may do, in any order.
func (w *world) penalties(act func(func(sdk.Context) error) error, who *rapid.Generator[string],
	amount *rapid.Generator[math.Int], supply *int64) map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"take": func(r *rapid.T) {
			a, bps := who.Draw(r, "account"), rapid.Uint64Range(0, 10_001).Draw(r, "bps")
			_ = act(func(ctx sdk.Context) error { _, err := w.Take(ctx, a, bps); return err })
		},
		"give back": func(r *rapid.T) {
			a, x := who.Draw(r, "account"), amount.Draw(r, "of")
			_ = act(func(ctx sdk.Context) error { return w.GiveBack(ctx, a, x) })
		},
		"burn": func(r *rapid.T) {
			a, x := who.Draw(r, "account"), amount.Draw(r, "of")
			finders := rapid.SliceOfN(who, 0, 3).Draw(r, "finders")
			bps := rapid.Uint64Range(0, 10_000).Draw(r, "bounty")
			before := w.bank.GetBalance(w.ctx, authtypes.NewModuleAddress(collateral.Name),
				denom).Amount.Int64()
			if act(func(ctx sdk.Context) error {
				return w.BurnHeld(ctx, a, x, finders, bps)
			}) != nil {
				return
			}
			// what left the module is all of x, and no more than the bounty is not burnt
			if left := before - w.bank.GetBalance(w.ctx, authtypes.NewModuleAddress(
				collateral.Name), denom).Amount.Int64(); left != x.Int64() {
				r.Fatalf("%d left the module for %s", left, x)
			}
			burnt := *supply - w.bank.GetSupply(w.ctx, denom).Amount.Int64()
			if bounty := x.Int64() - burnt; bounty < 0 ||
				bounty > x.Int64()*int64(bps)/10_000 {
				r.Fatalf("%d of %s burnt with a bounty of %d", burnt, x, bps)
			}
			*supply -= burnt
		},
	}
}

func TestGenesis(t *testing.T) {
	w := newWorld(t)
	w.mint(t, "alice", 100)
	w.mint(t, "bob", 100)
	w.must(t, w.TopUp(w.ctx, account("alice"), n(30)), w.TopUp(w.ctx, account("bob"), n(7)),
		w.Lock(w.ctx, account("alice"), collateral.Registration, n(10)),
		w.LotteryLock(w.ctx, account("alice")))
	exported, err := w.ExportGenesis(w.ctx)
	w.must(t, err)
	if len(exported.Accounts) != 2 {
		t.Fatalf("%d accounts", len(exported.Accounts))
	}
	// The bank brings the coins of the module's account; here they are minted there.
	again := newWorld(t)
	again.mint(t, "source", 37)
	w.must(t, again.bank.SendCoinsFromAccountToModule(again.ctx, raw("source"),
		collateral.Name, coins(37)),
		again.InitGenesis(again.ctx, exported))
	back, err := again.ExportGenesis(again.ctx)
	again.must(t, err)
	if diff := cmp.Diff(exported, back); diff != "" {
		t.Error(diff)
	}
	poor := newWorld(t)
	if err := poor.InitGenesis(poor.ctx, exported); !errors.Is(err, collateral.ErrInvariant) {
		t.Errorf("deposits without coins: %v", err)
	}
}

func TestGenesisRefuses(t *testing.T) {
	for name, damage := range map[string]func(*collateralv1.GenesisState){
		"order": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0], gs.Accounts[1] = gs.Accounts[1], gs.Accounts[0]
		},
		"an account twice": func(gs *collateralv1.GenesisState) {
			gs.Accounts[1] = gs.Accounts[0]
		},
		"nothing deposited": func(gs *collateralv1.GenesisState) { gs.Accounts[1].Deposit = n(0) },
		"a negative lock": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0].Locks[0].Amount = n(-1)
		},
		"an empty lock": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0].Locks[0].Amount = n(0)
		},
		"no deposit field": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0].Deposit = math.Int{}
		},
		"too much locked": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0].Locks[0].Amount = n(11)
		},
		"an unknown purpose": func(gs *collateralv1.GenesisState) {
			gs.Accounts[0].Locks[0].Purpose = "fun"
		},
		"locks out of order": func(gs *collateralv1.GenesisState) {
			l := gs.Accounts[0].Locks
			l[0], l[1] = l[1], l[0]
		},
	} {
		gs := &collateralv1.GenesisState{Params: collateral.DefaultParams(),
			Accounts: []collateralv1.Account{
				{Address: "cpc1a", Deposit: n(10),
					Locks: []collateralv1.Lock{{Purpose: collateral.Claim, Amount: n(1)},
						{Purpose: collateral.Registration, Amount: n(5)}}},
				{Address: "cpc1b", Deposit: n(3)},
			}}
		if err := collateral.ValidateGenesis(gs); err != nil {
			t.Fatal(err)
		}
		damage(gs)
		if err := collateral.ValidateGenesis(gs); !errors.Is(err, collateral.ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"alice", "bob", "carol"} {
		w.mint(t, name, 10)
		w.must(t, w.TopUp(w.ctx, account(name), n(10)))
	}
	w.must(t, w.Lock(w.ctx, account("bob"), collateral.Claim, n(4)))
	r, err := w.qry.Account(w.ctx, &collateralv1.QueryAccountRequest{Address: account("bob")})
	w.must(t, err)
	if r.Account.Deposit.Int64() != 10 || r.Free.Int64() != 6 || len(r.Account.Locks) != 1 {
		t.Errorf("%v", r)
	}
	if r, err := w.qry.Account(w.ctx,
		&collateralv1.QueryAccountRequest{Address: account("dave")}); err != nil ||
		!r.Free.IsZero() {
		t.Errorf("an account without a deposit: %v, %v", r, err)
	}
	if _, err := w.qry.Account(w.ctx,
		&collateralv1.QueryAccountRequest{Address: "dave"}); err == nil {
		t.Error("found an account that cannot be")
	}
	var seen int
	page := &query.PageRequest{Limit: 2}
	for {
		r, err := w.qry.Accounts(w.ctx, &collateralv1.QueryAccountsRequest{Pagination: page})
		w.must(t, err)
		seen += len(r.Accounts)
		if len(r.Pagination.NextKey) == 0 {
			break
		}
		page = &query.PageRequest{Limit: 2, Key: r.Pagination.NextKey}
	}
	if seen != 3 {
		t.Errorf("%d accounts on all pages", seen)
	}
	if _, err := w.qry.Accounts(w.ctx,
		&collateralv1.QueryAccountsRequest{Pagination: &query.PageRequest{Limit: 1 << 20}}); err ==
		nil {
		t.Error("gave a page without bounds")
	}
}

// Nobody pays the module's account by mistake: coins there that no record names would break
// conservation.
func TestTheModulesAccountTakesNoPayments(t *testing.T) {
	w := newWorld(t)
	w.mint(t, "alice", 5)
	to := authtypes.NewModuleAddress(collateral.Name)
	_, err := bankkeeper.NewMsgServerImpl(w.bank).Send(w.ctx,
		&banktypes.MsgSend{FromAddress: raw("alice").String(), ToAddress: to.String(),
			Amount: coins(1)})
	if err == nil {
		t.Error("the bank paid it")
	}
	w.must(t)
}
