// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
)

// Bank is what the module needs of the coins' keeper.
type Bank interface {
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string,
		coins sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress,
		coins sdk.Coins) error
	BurnCoins(ctx context.Context, module string, coins sdk.Coins) error
	BlockedAddr(addr sdk.AccAddress) bool
}

// Accounts is what the module needs of the accounts' keeper: its own account.
type Accounts interface {
	GetModuleAddress(name string) sdk.AccAddress
	GetModuleAccount(ctx context.Context, name string) sdk.ModuleAccountI
}

// Keeper owns the deposits.
type Keeper struct {
	addresses address.Codec
	authority string
	bank      Bank
	accounts  Accounts
	denom     string

	deposits        collections.Map[string, collateralv1.Account]
	params, pending collections.Item[collateralv1.Params]
	rises           collections.Map[uint64, collateralv1.Rise]
	// what EndBlock pays from; both follow from the accounts' records
	open    collections.KeySet[openKey]
	refused collections.KeySet[refusedKey]
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov). All
// amounts are of one denomination.
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, addresses address.Codec,
	authority string, accounts Accounts, bank Bank, denom string) (*Keeper, error) {
	if accounts.GetModuleAddress(Name) == nil {
		return nil, fmt.Errorf("collateral: the app gives the module no account")
	}
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		addresses: addresses, authority: authority, bank: bank, accounts: accounts, denom: denom,
		deposits: collections.NewMap(sb, prefixAccounts, "accounts", collections.StringKey,
			codec.CollValue[collateralv1.Account](cdc)),
		params: collections.NewItem(sb, prefixParams, "params",
			codec.CollValue[collateralv1.Params](cdc)),
		pending: collections.NewItem(sb, prefixPending, "pending",
			codec.CollValue[collateralv1.Params](cdc)),
		rises: collections.NewMap(sb, prefixRises, "rises", collections.Uint64Key,
			codec.CollValue[collateralv1.Rise](cdc)),
		open: collections.NewKeySet(sb, prefixOpen, "open",
			collections.PairKeyCodec(collections.Uint64Key, collections.StringKey)),
		refused: collections.NewKeySet(sb, prefixRefused, "refused",
			collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey,
				collections.Uint64Key)),
	}
	if _, err := sb.Build(); err != nil {
		return nil, fmt.Errorf("collateral: %w", err)
	}
	return k, nil
}

// Account is what an account has deposited and locked; one that never deposited
// has nothing of either.
func (k *Keeper) Account(ctx context.Context, addr string) (collateralv1.Account, error) {
	a, err := k.deposits.Get(ctx, addr)
	if errors.Is(err, collections.ErrNotFound) {
		return collateralv1.Account{Address: addr, Deposit: math.ZeroInt(),
			Held: math.ZeroInt()}, nil
	}
	if err != nil {
		return a, fmt.Errorf("collateral: reading %s: %w", addr, err)
	}
	return whole(a), nil
}

// Deposit is an account's whole deposit, locked parts included.
func (k *Keeper) Deposit(ctx context.Context, addr string) (math.Int, error) {
	a, err := k.Account(ctx, addr)
	return a.Deposit, err
}

// Locked is what a purpose holds of an account's deposit.
func (k *Keeper) Locked(ctx context.Context, addr, purpose string) (math.Int, error) {
	a, err := k.Account(ctx, addr)
	if err != nil {
		return math.ZeroInt(), err
	}
	return lockedFor(a, purpose), nil
}

// LockedTotal is what all purposes together hold of an account's deposit.
func (k *Keeper) LockedTotal(ctx context.Context, addr string) (math.Int, error) {
	a, err := k.Account(ctx, addr)
	if err != nil {
		return math.ZeroInt(), err
	}
	return lockedTotal(a), nil
}

// Free is the part of a deposit that no purpose holds.
func (k *Keeper) Free(ctx context.Context, addr string) (math.Int, error) {
	a, err := k.Account(ctx, addr)
	if err != nil {
		return math.ZeroInt(), err
	}
	return free(a), nil
}

// Balance is what an account could deposit.
func (k *Keeper) Balance(ctx context.Context, addr string) (math.Int, error) {
	raw, err := k.account(addr)
	if err != nil {
		return math.ZeroInt(), err
	}
	return k.bank.GetBalance(ctx, raw, k.denom).Amount, nil
}

// Lock adds to what a purpose holds of an account's deposit. It fails with
// ErrNotFree when less than that is free, and changes nothing then.
func (k *Keeper) Lock(ctx context.Context, addr, purpose string, amount math.Int) error {
	return k.change(ctx, addr, purpose, amount, func(a *collateralv1.Account) error {
		if have := free(*a); have.LT(amount) {
			return ErrNotFree.Wrapf("%s has %s%s free of %s%s; %s%s are needed for the purpose %q",
				addr, have, k.denom, a.Deposit, k.denom, amount, k.denom, purpose)
		}
		set(a, purpose, lockedFor(*a, purpose).Add(amount))
		return nil
	})
}

// Unlock frees a part of what a purpose holds. It fails with ErrNotLocked when
// the purpose holds less. What covers weight is not freed: it is withdrawn.
func (k *Keeper) Unlock(ctx context.Context, addr, purpose string, amount math.Int) error {
	if err := leaves(purpose); err != nil {
		return err
	}
	return k.change(ctx, addr, purpose, amount, func(a *collateralv1.Account) error {
		return k.release(a, purpose, amount)
	})
}

// UnlockAll frees all that a purpose holds, if anything.
func (k *Keeper) UnlockAll(ctx context.Context, addr, purpose string) error {
	if err := leaves(purpose); err != nil {
		return err
	}
	return k.change(ctx, addr, purpose, math.ZeroInt(), func(a *collateralv1.Account) error {
		set(a, purpose, math.ZeroInt())
		return nil
	})
}

// LotteryLock locks everything that is free for the lottery, so that no coin
// enters it under two names in one epoch. UnlockAll ends it.
func (k *Keeper) LotteryLock(ctx context.Context, addr string) error {
	return k.change(ctx, addr, Lottery, math.ZeroInt(), func(a *collateralv1.Account) error {
		set(a, Lottery, lockedFor(*a, Lottery).Add(free(*a)))
		return nil
	})
}

// TopUp moves coins from an account's balance into its deposit, where they are free.
func (k *Keeper) TopUp(ctx context.Context, addr string, amount math.Int) error {
	raw, err := k.account(addr)
	if err != nil {
		return err
	}
	if err := validAmount(amount); err != nil || amount.IsZero() {
		return err
	}
	if err := k.bank.SendCoinsFromAccountToModule(ctx, raw, Name, k.coins(amount)); err != nil {
		return err
	}
	a, err := k.Account(ctx, addr)
	if err != nil {
		return err
	}
	a.Deposit = a.Deposit.Add(amount)
	return k.store(ctx, a)
}

// Withdraw moves free coins of a deposit to the account's balance. It fails with
// ErrNotFree when less is free.
func (k *Keeper) Withdraw(ctx context.Context, addr string, amount math.Int) error {
	raw, err := k.account(addr)
	if err != nil {
		return err
	}
	if err := validAmount(amount); err != nil || amount.IsZero() {
		return err
	}
	a, err := k.Account(ctx, addr)
	if err != nil {
		return err
	}
	if have := free(a); have.LT(amount) {
		return ErrNotFree.Wrapf("%s can withdraw %s%s now: of its deposit of %s%s, %s", addr, have,
			k.denom, a.Deposit, k.denom, k.describe(a))
	}
	return k.pay(ctx, &a, raw, amount)
}

// Refund frees a part of what a purpose holds and pays it out to its owner: for a
// module whose message took the coins from the owner's balance. An account that
// the bank pays nothing to keeps them free in its deposit.
func (k *Keeper) Refund(ctx context.Context, addr, purpose string, amount math.Int) error {
	if err := k.Unlock(ctx, addr, purpose, amount); err != nil {
		return err
	}
	raw, err := k.account(addr)
	if err != nil || k.bank.BlockedAddr(raw) {
		return err
	}
	return k.Withdraw(ctx, addr, amount)
}

// Forfeit takes an amount that a purpose holds from its owner for good. Of it,
// toShareBps basis points, rounded down, go to the balance of an account (to;
// empty: nobody), and the rest is burnt. An account that the bank pays nothing to
// gets nothing, and all is burnt.
func (k *Keeper) Forfeit(ctx context.Context, addr, purpose string, amount math.Int, to string,
	toShareBps uint64) error {
	if toShareBps > 10_000 {
		return ErrInvalid.Wrapf("a share of %d basis points", toShareBps)
	}
	var payee sdk.AccAddress
	if to != "" {
		var err error
		if payee, err = k.account(to); err != nil {
			return err
		}
	}
	if err := k.change(ctx, addr, purpose, amount, func(a *collateralv1.Account) error {
		a.Deposit = a.Deposit.Sub(amount)
		return k.release(a, purpose, amount)
	}); err != nil {
		return err
	}
	share := math.ZeroInt()
	if to != "" && !k.bank.BlockedAddr(payee) {
		share = amount.MulRaw(int64(toShareBps)).QuoRaw(10_000)
	}
	if share.IsPositive() {
		if err := k.bank.SendCoinsFromModuleToAccount(ctx, Name, payee,
			k.coins(share)); err != nil {
			return err
		}
	}
	burnt := amount.Sub(share)
	if burnt.IsPositive() {
		if err := k.bank.BurnCoins(ctx, Name, k.coins(burnt)); err != nil {
			return err
		}
	}
	emit(ctx, "collateral_forfeited", "account", addr, "purpose", purpose, "amount",
		amount.String(), "to", to, "share", share.String(), "burnt", burnt.String())
	return nil
}

// Sums are what the records add up to, in acpc.
type Sums struct {
	// Deposits are whole, bonds and other locked parts included.
	Deposits, Withdrawals, Held math.Int
}

// Sums adds up all records and checks each; errors wrap ErrInvariant. It walks all accounts.
func (k *Keeper) Sums(ctx context.Context) (Sums, error) {
	sum := Sums{math.ZeroInt(), math.ZeroInt(), math.ZeroInt()}
	err := k.deposits.Walk(ctx, nil, func(addr string, a collateralv1.Account) (bool, error) {
		if a.Address != addr {
			return true, ErrInvariant.Wrapf("the record of %s names %s", addr, a.Address)
		}
		a = whole(a)
		sum.Deposits = sum.Deposits.Add(a.Deposit)
		sum.Withdrawals = sum.Withdrawals.Add(withdrawn(a))
		sum.Held = sum.Held.Add(a.Held)
		return false, validAccount(a)
	})
	return sum, err
}

// Check compares the records with the coins: deposits, open withdrawals and what is held add up to
// the balance of the module's account, no account has more locked than deposited, and each open
// withdrawal stands once in the queue. It walks all accounts, so it is for tests and for a genesis.
// Errors wrap ErrInvariant.
func (k *Keeper) Check(ctx context.Context) error {
	sum, err := k.Sums(ctx)
	if err != nil {
		return err
	}
	if have := k.bank.GetBalance(ctx, k.accounts.GetModuleAddress(Name),
		k.denom).Amount; !have.Equal(sum.Deposits.Add(sum.Withdrawals).Add(sum.Held)) {
		return ErrInvariant.Wrapf("deposits add up to %s%s, withdrawals to %s%s, %s%s are held, "+
			"and the module's account has %s%s", sum.Deposits, k.denom, sum.Withdrawals, k.denom,
			sum.Held, k.denom, have, k.denom)
	}
	return k.checkQueue(ctx)
}

// change checks the arguments, applies a change to an account's record and stores it.
func (k *Keeper) change(ctx context.Context, addr, purpose string, amount math.Int,
	apply func(*collateralv1.Account) error) error {
	if !slices.Contains(purposes, purpose) {
		return ErrInvalid.Wrapf("purpose %q is none of %v", purpose, purposes)
	}
	if err := validAmount(amount); err != nil {
		return err
	}
	a, err := k.Account(ctx, addr)
	if err != nil {
		return err
	}
	if err := apply(&a); err != nil {
		return err
	}
	return k.store(ctx, a)
}

// leaves refuses to free at once what may leave by a withdrawal only.
func leaves(purpose string) error {
	if purpose == Weight {
		return ErrInvalid.Wrapf("what is locked for the purpose %q leaves by a withdrawal", Weight)
	}
	return nil
}

// release frees an amount that a purpose holds.
func (k *Keeper) release(a *collateralv1.Account, purpose string, amount math.Int) error {
	held := lockedFor(*a, purpose)
	if held.LT(amount) {
		return ErrNotLocked.Wrapf("%s has %s%s locked for the purpose %q, not %s%s", a.Address,
			held, k.denom, purpose, amount, k.denom)
	}
	set(a, purpose, held.Sub(amount))
	return nil
}

// pay moves coins that were found free out of a deposit.
func (k *Keeper) pay(ctx context.Context, a *collateralv1.Account, to sdk.AccAddress,
	amount math.Int) error {
	a.Deposit = a.Deposit.Sub(amount)
	if err := k.store(ctx, *a); err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, Name, to, k.coins(amount))
}

// store writes a record, or drops one that says nothing.
func (k *Keeper) store(ctx context.Context, a collateralv1.Account) error {
	if empty(a) {
		return k.deposits.Remove(ctx, a.Address)
	}
	return k.deposits.Set(ctx, a.Address, a)
}

// account reads an address and insists on its one canonical spelling, because the
// string itself is the key of the record.
func (k *Keeper) account(addr string) (sdk.AccAddress, error) {
	raw, err := k.addresses.StringToBytes(addr)
	if err != nil {
		return nil, ErrInvalid.Wrapf("address %q: %v", addr, err)
	}
	if again, err := k.addresses.BytesToString(raw); err != nil || again != addr {
		return nil, ErrInvalid.Wrapf("address %q is not in canonical form", addr)
	}
	return raw, nil
}

func (k *Keeper) coins(amount math.Int) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(k.denom, amount))
}

func emit(ctx context.Context, kind string, attributes ...string) {
	var all []sdk.Attribute
	for i := 0; i < len(attributes); i += 2 {
		all = append(all, sdk.NewAttribute(attributes[i], attributes[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, all...))
}
