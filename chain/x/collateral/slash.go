// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"
	"errors"
	"slices"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
)

// Slashable is what an offence of an account can cost it (spec K-8): its open withdrawals, what a
// lottery holds and what covers weight. What else is locked is given to others by rules of its own,
// and what is free was never promised.
func (k *Keeper) Slashable(ctx context.Context, addr string) (math.Int, error) {
	a, err := k.Account(ctx, addr)
	if err != nil {
		return math.ZeroInt(), err
	}
	return slashable(a), nil
}

func slashable(a collateralv1.Account) math.Int {
	return withdrawn(a).Add(lockedFor(a, Lottery)).Add(lockedFor(a, Weight))
}

// Take moves so many basis points of what is slashable, rounded down, to what is held for offences,
// and returns how much that is. Withdrawals give first, oldest first, then the lottery, then what
// covers weight: what leaves soonest pays, and what stays longest still answers for the next
// offence.
func (k *Keeper) Take(ctx context.Context, addr string, bps uint64) (math.Int, error) {
	if bps > 10_000 {
		return math.ZeroInt(), ErrInvalid.Wrapf("a share of %d basis points", bps)
	}
	a, err := k.Account(ctx, addr)
	if err != nil {
		return math.ZeroInt(), err
	}
	amount := partOf(slashable(a), bps)
	if amount.IsZero() {
		return amount, nil
	}
	left, err := k.takeWithdrawals(ctx, &a, amount)
	if err != nil {
		return math.ZeroInt(), err
	}
	for _, purpose := range []string{Lottery, Weight} {
		part := math.MinInt(left, lockedFor(a, purpose))
		set(&a, purpose, lockedFor(a, purpose).Sub(part))
		a.Deposit, left = a.Deposit.Sub(part), left.Sub(part)
	}
	a.Held = a.Held.Add(amount)
	emit(ctx, "collateral_taken", "account", addr, "amount", amount.String())
	return amount, k.store(ctx, a)
}

// takeWithdrawals takes an amount out of open withdrawals, as far as they reach, and returns what
// is missing.
func (k *Keeper) takeWithdrawals(ctx context.Context, a *collateralv1.Account,
	amount math.Int) (left math.Int, err error) {
	left = amount
	for len(a.Withdrawals) > 0 && left.IsPositive() {
		w := a.Withdrawals[0]
		if w.Amount.GT(left) {
			a.Withdrawals = slices.Clone(a.Withdrawals)
			a.Withdrawals[0].Amount, left = w.Amount.Sub(left), math.ZeroInt()
			break
		}
		left = left.Sub(w.Amount)
		if err := k.drop(ctx, a, 0); err != nil {
			return left, err
		}
	}
	return left, nil
}

// partOf is so many basis points of an amount, rounded down.
func partOf(amount math.Int, bps uint64) math.Int {
	return amount.Mul(math.NewIntFromUint64(bps)).QuoRaw(10_000)
}

// BurnHeld burns an amount that is held of an account, but for a bounty: bountyBps of it, in equal
// parts rounded down, go to the balances of the finders. A part that the bank does not pay is burnt
// too.
func (k *Keeper) BurnHeld(ctx context.Context, addr string, amount math.Int, finders []string,
	bountyBps uint64) error {
	if bountyBps > 10_000 {
		return ErrInvalid.Wrapf("a bounty of %d basis points", bountyBps)
	}
	if err := k.fromHeld(ctx, addr, amount, func(*collateralv1.Account) {}); err != nil {
		return err
	}
	burnt := amount
	if n := len(finders); n > 0 {
		part := partOf(amount, bountyBps).QuoRaw(int64(n))
		for _, finder := range finders {
			if part.IsPositive() && k.reward(ctx, finder, part) {
				burnt = burnt.Sub(part)
			}
		}
	}
	emit(ctx, "collateral_burnt", "account", addr, "amount", amount.String(), "burnt",
		burnt.String())
	if burnt.IsZero() {
		return nil
	}
	return k.bank.BurnCoins(ctx, Name, k.coins(burnt))
}

// reward pays a part of a bounty; false where the bank does not.
func (k *Keeper) reward(ctx context.Context, to string, amount math.Int) bool {
	raw, err := k.account(to)
	if err != nil || k.bank.BlockedAddr(raw) {
		return false
	}
	branch, keep := sdk.UnwrapSDKContext(ctx).CacheContext()
	if err := k.bank.SendCoinsFromModuleToAccount(branch, Name, raw, k.coins(amount)); err != nil {
		return false
	}
	keep()
	emit(ctx, "collateral_bounty", "account", to, "amount", amount.String())
	return true
}

// GiveBack returns an amount that is held of an account to what covers its weight, whence it leaves
// as all such coins do.
func (k *Keeper) GiveBack(ctx context.Context, addr string, amount math.Int) error {
	emit(ctx, "collateral_given_back", "account", addr, "amount", amount.String())
	return k.fromHeld(ctx, addr, amount, func(a *collateralv1.Account) {
		a.Deposit = a.Deposit.Add(amount)
		set(a, Weight, lockedFor(*a, Weight).Add(amount))
	})
}

// Held is what is held of an account for offences.
func (k *Keeper) Held(ctx context.Context, addr string) (math.Int, error) {
	a, err := k.Account(ctx, addr)
	return a.Held, err
}

// TotalHeld is what is held of all accounts. It walks them, so it is for a genesis.
func (k *Keeper) TotalHeld(ctx context.Context) (math.Int, error) {
	sum, err := k.Sums(ctx)
	return sum.Held, err
}

// fromHeld takes an amount out of what is held of an account and changes its record.
func (k *Keeper) fromHeld(ctx context.Context, addr string, amount math.Int,
	change func(*collateralv1.Account)) error {
	a, err := k.Account(ctx, addr)
	if err := errors.Join(err, validAmount(amount)); err != nil {
		return err
	}
	if a.Held.LT(amount) {
		return ErrNotLocked.Wrapf("%s%s are held of %s, not %s%s", a.Held, k.denom, addr, amount,
			k.denom)
	}
	a.Held = a.Held.Sub(amount)
	change(&a)
	return k.store(ctx, a)
}
