// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cosmossdk.io/math"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
)

// lockedFor is what one purpose holds.
func lockedFor(a collateralv1.Account, purpose string) math.Int {
	for _, l := range a.Locks {
		if l.Purpose == purpose {
			return l.Amount
		}
	}
	return math.ZeroInt()
}

// lockedTotal is what all purposes hold.
func lockedTotal(a collateralv1.Account) math.Int {
	sum := math.ZeroInt()
	for _, l := range a.Locks {
		sum = sum.Add(l.Amount)
	}
	return sum
}

// withdrawn is what an account's open withdrawals hold.
func withdrawn(a collateralv1.Account) math.Int {
	sum := math.ZeroInt()
	for _, w := range a.Withdrawals {
		sum = sum.Add(w.Amount)
	}
	return sum
}

// empty: nothing of an account is here.
func empty(a collateralv1.Account) bool {
	return a.Deposit.IsZero() && a.Held.IsZero() && len(a.Withdrawals) == 0
}

// whole gives a record its amounts where it leaves them out, as one of an older state does.
func whole(a collateralv1.Account) collateralv1.Account {
	if a.Held.IsNil() {
		a.Held = math.ZeroInt()
	}
	return a
}

// free is what no purpose holds.
func free(a collateralv1.Account) math.Int { return a.Deposit.Sub(lockedTotal(a)) }

// set makes a purpose hold an amount. A purpose that holds nothing is not listed.
func set(a *collateralv1.Account, purpose string, amount math.Int) {
	at, found := slices.BinarySearchFunc(a.Locks, purpose, func(l collateralv1.Lock,
		p string) int {
		return cmp.Compare(l.Purpose, p)
	})
	switch {
	case found && amount.IsZero():
		a.Locks = slices.Delete(a.Locks, at, at+1)
	case found:
		a.Locks[at].Amount = amount
	case !amount.IsZero():
		a.Locks = slices.Insert(a.Locks, at, collateralv1.Lock{Purpose: purpose, Amount: amount})
	}
}

// describe says what holds a deposit, for errors.
func (k *Keeper) describe(a collateralv1.Account) string {
	if len(a.Locks) == 0 {
		return "nothing is locked"
	}
	var parts []string
	for _, l := range a.Locks {
		parts = append(parts, fmt.Sprintf("%s%s are locked for the purpose %q", l.Amount,
			k.denom, l.Purpose))
	}
	return strings.Join(parts, " and ")
}

// validAmount refuses what is no number of coins; a message may leave it out.
func validAmount(amount math.Int) error {
	if amount.IsNil() || amount.IsNegative() {
		return ErrInvalid.Wrapf("amount %s; want a whole number of the base unit that is not "+
			"negative", amount)
	}
	return nil
}

// validAccount checks a record by itself. Errors wrap ErrInvariant.
func validAccount(a collateralv1.Account) error {
	if a.Deposit.IsNil() || a.Deposit.IsNegative() || a.Held.IsNegative() || empty(a) {
		return ErrInvariant.Wrapf("%s has a record, a deposit of %s and %s held", a.Address,
			a.Deposit, a.Held)
	}
	for i, l := range a.Locks {
		switch {
		case !slices.Contains(purposes, l.Purpose):
			return ErrInvariant.Wrapf("%s has a lock for %q, which is no purpose",
				a.Address, l.Purpose)
		case i > 0 && l.Purpose <= a.Locks[i-1].Purpose:
			return ErrInvariant.Wrapf("%s has its locks out of order at %q", a.Address, l.Purpose)
		case l.Amount.IsNil() || !l.Amount.IsPositive():
			return ErrInvariant.Wrapf("%s has a lock of %s for %q", a.Address, l.Amount, l.Purpose)
		}
	}
	if free(a).IsNegative() {
		return ErrInvariant.Wrapf("%s has locked %s of a deposit of %s", a.Address,
			lockedTotal(a), a.Deposit)
	}
	if len(a.Withdrawals) > MaxWithdrawals {
		return ErrInvariant.Wrapf("%s has %d open withdrawals; at most %d can be", a.Address,
			len(a.Withdrawals), MaxWithdrawals)
	}
	for i, w := range a.Withdrawals {
		if w.Amount.IsNil() || !w.Amount.IsPositive() || w.Height < 0 || w.RetryHeight < 0 ||
			i > 0 && w.Height <= a.Withdrawals[i-1].Height {
			return ErrInvariant.Wrapf("%s has a withdrawal of %s at block %d, out of order or of "+
				"nothing", a.Address, w.Amount, w.Height)
		}
	}
	return nil
}
