// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

// maxPayouts is how many payments one block attempts; the rest waits for the next block.
const maxPayouts = 256

type (
	// batch is the pay of an epoch that is tried at one time: the epoch after which it is tried,
	// and the one that earned it. Few are open at a time, so a participant's pay is found by them.
	batch = collections.Pair[uint64, uint64]
	// owedKey is the same and the participant: the order of payment.
	owedKey = collections.Triple[uint64, uint64, string]
)

func batchOf(o creditv1.Owed) batch { return collections.Join(o.NextEpoch, o.Epoch) }

func owedKeyOf(o creditv1.Owed) owedKey {
	return collections.Join3(o.NextEpoch, o.Epoch, o.Participant)
}

// addOwed records what a participant is owed. An amount for the same epoch at the same time, as an
// older chain may leave, is added up.
func (k *Keeper) addOwed(ctx context.Context, o creditv1.Owed) error {
	was, err := k.owed.Get(ctx, owedKeyOf(o))
	if err == nil {
		o.Amount, o.DueEpoch = o.Amount.Add(was.Amount), min(o.DueEpoch, was.DueEpoch)
	} else if !errors.Is(err, collections.ErrNotFound) {
		return fmt.Errorf("credit: pay of %s: %w", o.Participant, err)
	}
	if err := errors.Join(k.owed.Set(ctx, owedKeyOf(o), o),
		k.open.Set(ctx, batchOf(o))); err != nil {
		return fmt.Errorf("credit: pay of %s: %w", o.Participant, err)
	}
	return nil
}

// dropOwed removes a record. Its batch is closed by the caller, once for all that it removes.
func (k *Keeper) dropOwed(ctx context.Context, o creditv1.Owed) error {
	if err := k.owed.Remove(ctx, owedKeyOf(o)); err != nil {
		return fmt.Errorf("credit: pay of %s: %w", o.Participant, err)
	}
	return nil
}

// closeBatches removes those of the batches of which nothing is left.
func (k *Keeper) closeBatches(ctx context.Context, records []creditv1.Owed) error {
	for i, o := range records {
		if i > 0 && o.NextEpoch == records[i-1].NextEpoch && o.Epoch == records[i-1].Epoch {
			continue
		}
		left, err := k.anyOf(ctx, batchOf(o))
		if err == nil && !left {
			err = k.open.Remove(ctx, batchOf(o))
		}
		if err != nil {
			return fmt.Errorf("credit: pay of epoch %d: %w", o.Epoch, err)
		}
	}
	return nil
}

// anyOf reports whether a batch has a record.
func (k *Keeper) anyOf(ctx context.Context, b batch) (bool, error) {
	it, err := k.owed.Iterate(ctx,
		collections.NewSuperPrefixedTripleRange[uint64, uint64, string](b.K1(), b.K2()))
	if err != nil {
		return false, err
	}
	defer it.Close()
	return it.Valid(), nil
}

// owedTo lists a participant's records in the order in which they are due. It reads one entry for
// each open batch.
func (k *Keeper) owedTo(ctx context.Context, participant string) (all []creditv1.Owed, err error) {
	err = k.open.Walk(ctx, nil, func(b batch) (bool, error) {
		o, err := k.owed.Get(ctx, collections.Join3(b.K1(), b.K2(), participant))
		if errors.Is(err, collections.ErrNotFound) {
			return false, nil
		}
		all = append(all, o)
		return false, err
	})
	if err != nil {
		return nil, fmt.Errorf("credit: pay of %s: %w", participant, err)
	}
	return all, nil
}

// payOut (spec E-6, E-7) pays what is due, at most maxPayouts in a block and in the order of keys.
// What the bank refuses stays owed and is tried again once the next epoch is finalised; it counts
// as one of the block's payments and stops none.
func (k *Keeper) payOut(ctx context.Context) error {
	m, err := k.books(ctx)
	if err != nil || m == nil {
		return err
	}
	due, err := k.dueNow(ctx, m.SettledEpoch)
	if err != nil || len(due) == 0 {
		return err
	}
	for _, o := range due {
		if cause := cached(ctx, func(ctx context.Context) error {
			return k.payOne(ctx, o)
		}); cause != nil {
			if err := k.postpone(ctx, m, o, cause); err != nil {
				return err
			}
			continue
		}
		m.Owed = m.Owed.Sub(o.Amount)
		emit(ctx, "paid", "participant", o.Participant, "epoch", fmt.Sprint(o.Epoch), "amount",
			o.Amount.String())
	}
	if err := k.closeBatches(ctx, due); err != nil {
		return err
	}
	return k.setBooks(ctx, *m)
}

// dueNow lists the first payments that are due when an epoch is finalised.
func (k *Keeper) dueNow(ctx context.Context, epoch uint64) (due []creditv1.Owed, err error) {
	err = k.owed.Walk(ctx, collections.NewPrefixUntilTripleRange[uint64, uint64, string](epoch),
		func(_ owedKey, o creditv1.Owed) (bool, error) {
			due = append(due, o)
			return len(due) == maxPayouts, nil
		})
	if err != nil {
		return nil, fmt.Errorf("credit: payments: %w", err)
	}
	return due, nil
}

// payOne pays a record and drops it.
func (k *Keeper) payOne(ctx context.Context, o creditv1.Owed) error {
	to, err := k.coins.Addresses.StringToBytes(o.Participant)
	if err != nil {
		return fmt.Errorf("credit: address %q: %w", o.Participant, err)
	}
	coins := k.amount(o.Amount)
	if err := k.coins.Bank.IsSendEnabledCoins(ctx, coins...); err != nil {
		return err
	}
	if err := k.coins.Bank.SendCoinsFromModuleToAccount(ctx, Name, to, coins); err != nil {
		return err
	}
	return k.dropOwed(ctx, o)
}

// postpone keeps what the bank refused until the next epoch is finalised.
func (k *Keeper) postpone(ctx context.Context, m *creditv1.Money, o creditv1.Owed,
	cause error) error {
	if err := k.dropOwed(ctx, o); err != nil {
		return err
	}
	o.NextEpoch = m.SettledEpoch + 1
	if err := k.addOwed(ctx, o); err != nil {
		return err
	}
	m.RefusedPayments++
	emit(ctx, "payment_refused", "participant", o.Participant, "epoch", fmt.Sprint(o.Epoch),
		"amount", o.Amount.String(), "next_epoch", fmt.Sprint(o.NextEpoch),
		"reason", cause.Error())
	sdk.UnwrapSDKContext(ctx).Logger().Error("the bank refused a payment; it stays owed and is "+
		"tried again after the next epoch", "participant", o.Participant, "epoch", o.Epoch,
		"amount", o.Amount.String(), "error", cause)
	return nil
}

// BurnOwed (spec E-8) burns all that a participant is still owed and returns how much that was. An
// error leaves everything as it was.
func (k *Keeper) BurnOwed(ctx context.Context, participant string) (sdkmath.Int, error) {
	sum := sdkmath.ZeroInt()
	m, err := k.books(ctx)
	if err != nil || m == nil {
		return sum, err
	}
	err = cached(ctx, func(ctx context.Context) error {
		records, err := k.owedTo(ctx, participant)
		if err != nil {
			return err
		}
		for _, o := range records {
			if err := k.dropOwed(ctx, o); err != nil {
				return err
			}
			sum = sum.Add(o.Amount)
		}
		if sum.IsZero() {
			return nil
		}
		if err := k.closeBatches(ctx, records); err != nil {
			return err
		}
		if err := k.burn(ctx, sum); err != nil {
			return err
		}
		m.Owed, m.Burned = m.Owed.Sub(sum), m.Burned.Add(sum)
		emit(ctx, "owed_burned", "participant", participant, "amount", sum.String())
		return k.setBooks(ctx, *m)
	})
	if err != nil {
		return sdkmath.ZeroInt(), err
	}
	return sum, nil
}
