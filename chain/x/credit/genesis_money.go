// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	sdkmath "cosmossdk.io/math"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

// validateMoney checks the money of a genesis on its own; what the bank has to say comes with
// initMoney.
func validateMoney(m *creditv1.Money, owed []creditv1.Owed) error {
	if m == nil {
		if len(owed) > 0 {
			return fmt.Errorf("credit: %d records of pay and no totals", len(owed))
		}
		return nil
	}
	for _, a := range []struct {
		name   string
		amount sdkmath.Int
	}{{"genesis", m.Genesis}, {"minted", m.Minted}, {"burned", m.Burned}, {"owed", m.Owed},
		{"task_share", m.TaskShare}} {
		if a.amount.IsNil() || a.amount.IsNegative() {
			return fmt.Errorf("credit: money: %s is %s; want a whole number of acpc", a.name,
				a.amount)
		}
	}
	switch {
	case m.Minted.GT(MaxSupply()):
		return fmt.Errorf("credit: money: minted %s is more than %s", m.Minted, MaxSupply())
	case m.Genesis.GT(m.Minted):
		return fmt.Errorf("credit: money: genesis %s is more than minted %s", m.Genesis, m.Minted)
	case m.Burned.Add(m.Owed).Add(m.TaskShare).GT(m.Minted):
		return fmt.Errorf("credit: money: burned %s, owed %s and task_share %s are more than "+
			"minted %s", m.Burned, m.Owed, m.TaskShare, m.Minted)
	case m.SettledHeight < 0:
		return fmt.Errorf("credit: money: settled_height %d is negative", m.SettledHeight)
	}
	return validateOwed(*m, owed)
}

// validateOwed checks the records of pay against each other and their sum.
func validateOwed(m creditv1.Money, owed []creditv1.Owed) error {
	sum, last := sdkmath.ZeroInt(), creditv1.Owed{}
	for i, o := range owed {
		switch {
		case o.Participant == "":
			return errors.New("credit: a record of pay has no participant")
		case o.Amount.IsNil() || !o.Amount.IsPositive():
			return fmt.Errorf("credit: %s is owed %s for epoch %d; want more than 0",
				o.Participant, o.Amount, o.Epoch)
		case o.DueEpoch < o.Epoch || o.NextEpoch < o.DueEpoch:
			return fmt.Errorf("credit: the pay of %s for epoch %d is due at epoch %d and is next "+
				"tried at %d; they have to come in this order", o.Participant, o.Epoch,
				o.DueEpoch, o.NextEpoch)
		case i > 0 && !before(last, o):
			return fmt.Errorf("credit: the pay of %s for epoch %d is listed twice or out of order",
				o.Participant, o.Epoch)
		}
		sum, last = sum.Add(o.Amount), o
	}
	if !sum.Equal(m.Owed) {
		return fmt.Errorf("credit: records of pay add up to %s, and owed is %s", sum, m.Owed)
	}
	return nil
}

// before reports whether one record's key is below another's.
func before(a, b creditv1.Owed) bool {
	return cmp.Or(cmp.Compare(a.NextEpoch, b.NextEpoch), cmp.Compare(a.Epoch, b.Epoch),
		strings.Compare(a.Participant, b.Participant)) < 0
}

// initMoney stores the money of a genesis, or begins to count, and holds it against the bank.
func (k *Keeper) initMoney(ctx context.Context, m *creditv1.Money, owed []creditv1.Owed) error {
	if k.coins.Bank == nil {
		if m != nil {
			return errors.New("credit: genesis has money, and this keeper no bank")
		}
		return nil
	}
	if m == nil {
		if err := k.OpenBooks(ctx); err != nil {
			return err
		}
	} else if err := k.setBooks(ctx, *m); err != nil {
		return err
	}
	for _, o := range owed {
		if err := k.addOwed(ctx, o); err != nil {
			return err
		}
	}
	if err := k.Check(ctx); err != nil {
		return fmt.Errorf("credit: genesis: %w", err)
	}
	return nil
}
