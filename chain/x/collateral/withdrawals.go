// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
)

const (
	// MaxWithdrawals is how many withdrawals of an account may be open at a time. Those of one
	// block are one.
	MaxWithdrawals = 8
	// paysPerBlock bounds the payments of a block, tried ones included.
	paysPerBlock = 256
	// retryBlocks is after how many blocks the bank is asked again for a payment that it refused.
	retryBlocks = 1_000
)

// LockWeight locks an amount for weight: of what is free of the deposit, and from the balance where
// that is short. Errors wrap ErrNotFree where both together do not reach.
func (k *Keeper) LockWeight(ctx context.Context, addr string, amount math.Int) error {
	have, err := k.Free(ctx, addr)
	if err != nil {
		return err
	}
	if short := amount.Sub(have); short.IsPositive() {
		balance, err := k.Balance(ctx, addr)
		if err != nil {
			return err
		}
		if balance.LT(short) {
			return ErrNotFree.Wrapf("%s has %s%s free in its deposit and %s%s on its account; "+
				"locking %s%s takes %s%s more: send it that much", addr, have, k.denom, balance,
				k.denom, amount, k.denom, short.Sub(balance), k.denom)
		}
		if err := k.TopUp(ctx, addr, short); err != nil {
			return err
		}
	}
	return k.Lock(ctx, addr, Weight, amount)
}

// OpenWithdrawal takes coins out of what is locked for weight. From this block on they back
// nothing; they stay slashable until EndBlock pays them (spec K-3). Errors wrap ErrNotLocked where
// less is locked, ErrFull where MaxWithdrawals are open.
func (k *Keeper) OpenWithdrawal(ctx context.Context, addr string, amount math.Int) error {
	block := sdk.UnwrapSDKContext(ctx)
	return k.change(ctx, addr, Weight, amount, func(a *collateralv1.Account) error {
		if err := k.release(a, Weight, amount); err != nil {
			return err
		}
		a.Deposit = a.Deposit.Sub(amount)
		if n := len(a.Withdrawals); n > 0 && a.Withdrawals[n-1].Height == block.BlockHeight() {
			a.Withdrawals[n-1].Amount = a.Withdrawals[n-1].Amount.Add(amount)
			return nil
		}
		if len(a.Withdrawals) >= MaxWithdrawals {
			rules, err := k.unbonding(ctx)
			if err != nil {
				return err
			}
			first := rules.due(a.Withdrawals[0])
			return ErrFull.Wrapf("%s has %d open withdrawals, as many as an account may have; the "+
				"oldest is paid from block %d on, and not before %s: unlock the rest then", addr,
				MaxWithdrawals, first.Height, time.Unix(first.Time, 0).UTC().Format(time.RFC3339))
		}
		a.Withdrawals = append(a.Withdrawals, collateralv1.Withdrawal{Height: block.BlockHeight(),
			Time: block.BlockTime().Unix(), Amount: amount})
		return k.open.Set(ctx, collections.Join(uint64(block.BlockHeight()), addr))
	})
}

// waiting is how long a withdrawal stays open.
type waiting struct {
	blocks, seconds int64
}

// unbonding is the longer of unbonding_blocks and of CometBFT's age of evidence in force. Evidence
// of a double sign is refused once both its ages have passed; blocks and power lag by two.
func (k *Keeper) unbonding(ctx context.Context) (waiting, error) {
	p, err := k.Params(ctx)
	if err != nil {
		return waiting{}, err
	}
	w := waiting{blocks: int64(p.UnbondingBlocks)}
	if e := sdk.UnwrapSDKContext(ctx).ConsensusParams().Evidence; e != nil {
		w.blocks = max(w.blocks, e.MaxAgeNumBlocks+2)
		w.seconds = int64((e.MaxAgeDuration + time.Second - 1) / time.Second)
	}
	return w, nil
}

// due is the first block that pays a withdrawal, and the second before which none does.
func (w waiting) due(o collateralv1.Withdrawal) collateralv1.Due {
	return collateralv1.Due{Height: max(o.Height+w.blocks+1, o.RetryHeight),
		Time: o.Time + w.seconds + 1}
}

// payment is an open withdrawal that is tried in this block.
type payment struct {
	address string
	height  uint64
	retry   uint64 // height of this try, 0 for the first
}

// EndBlock pays withdrawals that are old enough, at most paysPerBlock, in the order of height and
// address; those that the bank refused before come first, once their next try is due. A payment
// runs on a branch of the state: one that fails changes nothing, is tried again retryBlocks later,
// and stops no other.
func (k *Keeper) EndBlock(ctx context.Context) error {
	all, err := k.due(ctx)
	if err != nil {
		return fmt.Errorf("collateral: withdrawals that are due: %w", err)
	}
	for _, p := range all {
		branch, keep := sdk.UnwrapSDKContext(ctx).CacheContext()
		if why := k.payOut(branch, p); why == nil {
			keep()
		} else if err := k.putOff(ctx, p, why); err != nil {
			return fmt.Errorf("collateral: withdrawal of %s: %w", p.address, err)
		}
	}
	return nil
}

// due lists what this block pays.
func (k *Keeper) due(ctx context.Context) ([]payment, error) {
	rules, err := k.unbonding(ctx)
	if err != nil {
		return nil, err
	}
	block := sdk.UnwrapSDKContext(ctx)
	var all []payment
	if err := k.refused.Walk(ctx, nil, func(key refusedKey) (bool, error) {
		if key.K1() > uint64(block.BlockHeight()) {
			return true, nil
		}
		all = append(all, payment{key.K2(), key.K3(), key.K1()})
		return len(all) == paysPerBlock, nil
	}); err != nil || len(all) == paysPerBlock {
		return all, err
	}
	err = k.open.Walk(ctx, nil, func(key openKey) (bool, error) {
		a, err := k.Account(ctx, key.K2())
		if err != nil {
			return true, err
		}
		at := openedAt(a, key.K1())
		if at < 0 {
			return true, ErrInvariant.Wrapf("%s has no withdrawal of block %d", key.K2(), key.K1())
		}
		// later ones are younger, by block and by time
		if d := rules.due(a.Withdrawals[at]); block.BlockHeight() < d.Height ||
			block.BlockTime().Unix() < d.Time {
			return true, nil
		}
		all = append(all, payment{address: key.K2(), height: key.K1()})
		return len(all) == paysPerBlock, nil
	})
	return all, err
}

// openedAt is the place of an account's withdrawal of a block, -1 where there is none.
func openedAt(a collateralv1.Account, height uint64) int {
	return slices.IndexFunc(a.Withdrawals,
		func(w collateralv1.Withdrawal) bool { return uint64(w.Height) == height })
}

// payOut pays a withdrawal and forgets it.
func (k *Keeper) payOut(ctx context.Context, p payment) error {
	raw, err := k.account(p.address)
	if err != nil {
		return err
	}
	a, err := k.Account(ctx, p.address)
	if err != nil {
		return err
	}
	at := openedAt(a, p.height)
	if at < 0 {
		return ErrInvariant.Wrapf("%s has no withdrawal of block %d", p.address, p.height)
	}
	amount := a.Withdrawals[at].Amount
	if err := errors.Join(k.drop(ctx, &a, at), k.store(ctx, a)); err != nil {
		return err
	}
	if err := k.bank.SendCoinsFromModuleToAccount(ctx, Name, raw, k.coins(amount)); err != nil {
		return err
	}
	emit(ctx, "collateral_paid", "account", p.address, "amount", amount.String())
	return nil
}

// drop takes a withdrawal out of an account's record and out of the queue.
func (k *Keeper) drop(ctx context.Context, a *collateralv1.Account, at int) error {
	w := a.Withdrawals[at]
	a.Withdrawals = slices.Delete(slices.Clone(a.Withdrawals), at, at+1)
	if w.RetryHeight > 0 {
		return k.refused.Remove(ctx, collections.Join3(uint64(w.RetryHeight), a.Address,
			uint64(w.Height)))
	}
	return k.open.Remove(ctx, collections.Join(uint64(w.Height), a.Address))
}

// putOff has a payment that failed tried again later.
func (k *Keeper) putOff(ctx context.Context, p payment, why error) error {
	a, err := k.Account(ctx, p.address)
	if err != nil {
		return err
	}
	at := openedAt(a, p.height)
	if at < 0 {
		return ErrInvariant.Wrapf("%s has no withdrawal of block %d", p.address, p.height)
	}
	w := a.Withdrawals[at]
	if err := k.drop(ctx, &a, at); err != nil {
		return err
	}
	w.RetryHeight = sdk.UnwrapSDKContext(ctx).BlockHeight() + retryBlocks
	a.Withdrawals = slices.Insert(a.Withdrawals, at, w)
	emit(ctx, "collateral_payment_refused", "account", p.address, "amount", w.Amount.String(),
		"reason", why.Error(), "retry_height", fmt.Sprint(w.RetryHeight))
	return errors.Join(k.enqueue(ctx, a.Address, w), k.store(ctx, a))
}

// enqueue puts an open withdrawal where EndBlock finds it.
func (k *Keeper) enqueue(ctx context.Context, addr string, w collateralv1.Withdrawal) error {
	if w.RetryHeight > 0 {
		return k.refused.Set(ctx, collections.Join3(uint64(w.RetryHeight), addr, uint64(w.Height)))
	}
	return k.open.Set(ctx, collections.Join(uint64(w.Height), addr))
}

// checkQueue holds the queue against the records: each open withdrawal once, and nothing else.
func (k *Keeper) checkQueue(ctx context.Context) error {
	queued := 0
	if err := k.open.Walk(ctx, nil, func(openKey) (bool, error) {
		queued++
		return false, nil
	}); err != nil {
		return err
	}
	if err := k.refused.Walk(ctx, nil, func(refusedKey) (bool, error) {
		queued++
		return false, nil
	}); err != nil {
		return err
	}
	err := k.deposits.Walk(ctx, nil, func(addr string, a collateralv1.Account) (bool, error) {
		for _, w := range a.Withdrawals {
			queued--
			there, err := k.open.Has(ctx, collections.Join(uint64(w.Height), addr))
			if w.RetryHeight > 0 {
				there, err = k.refused.Has(ctx, collections.Join3(uint64(w.RetryHeight), addr,
					uint64(w.Height)))
			}
			if err != nil || !there {
				return true, errors.Join(err, ErrInvariant.Wrapf("the withdrawal of %s of block "+
					"%d is in no queue", addr, w.Height))
			}
		}
		return false, nil
	})
	if err == nil && queued != 0 {
		err = ErrInvariant.Wrapf("%d queued withdrawals are in no record", queued)
	}
	return err
}
