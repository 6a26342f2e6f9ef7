// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"errors"
	"fmt"

	sdkmath "cosmossdk.io/math"

	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

// ErrBooks reports coins that no record explains, or records without coins.
var ErrBooks = errors.New("credit: coins and records differ")

// Audit (spec E-9) holds all coins against the totals of the state. It reads no list of this
// module; Check does.
func (k *Keeper) Audit(ctx context.Context) (creditv1.QueryAuditResponse, error) {
	var r creditv1.QueryAuditResponse
	m, err := k.books(ctx)
	if err != nil {
		return r, err
	}
	if m == nil {
		return r, errors.New("credit: this state counts no money yet; it does from the upgrade " +
			"on that brings pay")
	}
	r.Money = *m
	r.Supply = k.coins.Bank.GetSupply(ctx, k.coins.Denom).Amount
	r.Burned, r.Mintable = m.Minted.Sub(r.Supply), MaxSupply().Sub(m.Minted)
	r.CreditBalance = k.balance(ctx, Name)
	r.Fees = k.balance(ctx, authtypes.FeeCollectorName)
	r.CollateralBalance, r.CollateralRecords = sdkmath.ZeroInt(), sdkmath.ZeroInt()
	if k.coins.Collateral != nil {
		if r.CollateralBalance, r.CollateralRecords, err = k.coins.Collateral(ctx); err != nil {
			return r, fmt.Errorf("credit: collateral: %w", err)
		}
	}
	r.Broken = broken(r)
	return r, nil
}

// broken lists the equations that do not hold.
func broken(r creditv1.QueryAuditResponse) (all []string) {
	say := func(holds bool, format string, args ...any) {
		if !holds {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	m := r.Money
	say(!r.Mintable.IsNegative(), "minted %s is more than %s", m.Minted, MaxSupply())
	say(m.Genesis.LTE(m.Minted), "minted %s is less than genesis %s", m.Minted, m.Genesis)
	say(!m.Burned.IsNegative() && m.Burned.LTE(r.Burned),
		"supply %s is more than minted %s less what was burned here, %s", r.Supply, m.Minted,
		m.Burned)
	say(r.CreditBalance.Equal(m.Owed.Add(m.TaskShare)),
		"the account credit holds %s, not owed %s + task_share %s", r.CreditBalance, m.Owed,
		m.TaskShare)
	say(r.CollateralBalance.Equal(r.CollateralRecords),
		"the account collateral holds %s, and its records add up to %s", r.CollateralBalance,
		r.CollateralRecords)
	return all
}

// Check is Audit, and adds up every record: it is for tests and for a genesis. Errors wrap
// ErrBooks.
func (k *Keeper) Check(ctx context.Context) error {
	r, err := k.Audit(ctx)
	if err != nil {
		return err
	}
	if len(r.Broken) > 0 {
		return fmt.Errorf("%w: %q", ErrBooks, r.Broken)
	}
	sum := sdkmath.ZeroInt()
	if err := k.owed.Walk(ctx, nil, func(key owedKey, o creditv1.Owed) (bool, error) {
		open, err := k.open.Has(ctx, batchOf(o))
		if err != nil {
			return true, err
		}
		if key.K1() != o.NextEpoch || key.K2() != o.Epoch || key.K3() != o.Participant || !open {
			return true, fmt.Errorf("%w: the pay of %s for epoch %d is stored under another key, "+
				"or its batch is closed", ErrBooks, o.Participant, o.Epoch)
		}
		sum = sum.Add(o.Amount)
		return false, nil
	}); err != nil {
		return err
	}
	if !sum.Equal(r.Money.Owed) {
		return fmt.Errorf("%w: records of pay add up to %s, owed is %s", ErrBooks, sum,
			r.Money.Owed)
	}
	return k.open.Walk(ctx, nil, func(b batch) (bool, error) {
		left, err := k.anyOf(ctx, b)
		if err == nil && !left {
			err = fmt.Errorf("%w: no pay of epoch %d is left for epoch %d, and its batch is open",
				ErrBooks, b.K2(), b.K1())
		}
		return err != nil, err
	})
}
