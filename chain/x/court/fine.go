// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/comet"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/table"
)

// Each block settles at most so many penalties.
const penaltiesPerBlock = 256

// without returns names in rising order, each once, but for one and for the empty one.
func without(names []string, who string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return n == "" || n == who
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// attempt does something on a branch of the state, so that a failure changes nothing. It is counted
// and told, and returned as false.
func (k *Keeper) attempt(ctx context.Context, what string, do func(context.Context) error) (bool,
	error) {
	branch, keep := sdk.UnwrapSDKContext(ctx).CacheContext()
	why := do(branch)
	if why == nil {
		keep()
		return true, nil
	}
	f, err := table.Optional(ctx, k.failures)
	if err != nil {
		return false, err
	}
	if f == nil {
		f = &courtv1.Failures{}
	}
	f.Count++
	f.Last = fmt.Sprintf("block %d: %s: %.300s", height(ctx), what, why)
	emit(ctx, "penalty_failed", "what", what, "reason", why.Error())
	return false, k.failures.Set(ctx, *f)
}

// fine carries out what a sentence takes in coins: pay that waits, and a part of what is slashable.
func (k *Keeper) fine(ctx context.Context, s sentence, p courtv1.Params,
	penalty courtv1.Penalty) error {
	who := penalty.Participant
	if s.owed && k.pay != nil {
		if _, err := k.attempt(ctx, "burning what "+who+" is owed",
			func(ctx context.Context) error {
				_, err := k.pay.BurnOwed(ctx, who)
				return err
			}); err != nil {
			return err
		}
	}
	if s.slash == nil {
		return nil
	}
	_, err := k.attempt(ctx, "slashing "+who, func(ctx context.Context) error {
		bps, err := s.slash(k, ctx, p)
		if err != nil {
			return err
		}
		if penalty.Amount, err = k.collateral.Take(ctx, who, bps); err != nil ||
			penalty.Amount.IsZero() {
			return err
		}
		emit(ctx, "slashed", "participant", who, "offence", penalty.Offence.String(), "amount",
			penalty.Amount.String())
		if s.final {
			return k.collateral.BurnHeld(ctx, who, penalty.Amount, nil, 0)
		}
		if penalty.Number, err = k.nextPenalty.Next(ctx); err != nil {
			return err
		}
		penalty.State = courtv1.PenaltyTaken
		return k.penalties.Set(ctx, penaltyKeyOf(penalty), penalty)
	})
	return err
}

func penaltyKeyOf(p courtv1.Penalty) penaltyKey { return collections.Join(p.Epoch, p.Number) }

func settlingKeyOf(p courtv1.Penalty) settlingKey {
	return collections.Join3(p.Until, p.Epoch, p.Number)
}

// Conclude decides about what was taken for offences that were proven until an epoch was finalised.
// finders names those who proved a participant's fraud in it. Where mass says that too much weight
// was silent or proven wrong in the epoch, all of it is held (spec J-11).
func (k *Keeper) Conclude(ctx context.Context, epoch uint64, mass bool,
	finders func(participant string) ([]string, error)) error {
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	// what was proven after the epoch before was finalised is of that epoch still
	open, err := table.Values(ctx, k.penalties, new(collections.Range[penaltyKey]).StartInclusive(
		collections.Join(epoch-min(epoch, 1), uint64(0))))
	if err != nil {
		return fmt.Errorf("court: penalties of epoch %d: %w", epoch, err)
	}
	for _, o := range open {
		if o.State != courtv1.PenaltyTaken {
			continue
		}
		if o.Offence == courtv1.OffenceFraud {
			names, err := finders(o.Participant)
			if err != nil {
				return fmt.Errorf("court: who proved the fraud of %s: %w", o.Participant, err)
			}
			o.Finders = without(append(names, o.Finders...), o.Participant)
		}
		o.State = courtv1.PenaltyDue
		if mass {
			o.State, o.Until = courtv1.PenaltyHeld, epoch+p.HoldEpochs
		}
		if err := k.requeue(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// requeue stores a penalty whose fate is known.
func (k *Keeper) requeue(ctx context.Context, p courtv1.Penalty) error {
	if err := k.settling.Set(ctx, settlingKeyOf(p)); err != nil {
		return err
	}
	return k.penalties.Set(ctx, penaltyKeyOf(p), p)
}

// settlePenalties burns or gives back what is due, at most penaltiesPerBlock. One that fails is
// tried again in the next epoch and stops no other.
func (k *Keeper) settlePenalties(ctx context.Context) error {
	epoch, err := k.epoch(ctx)
	if err != nil {
		return err
	}
	params, err := k.Params(ctx)
	if err != nil {
		return err
	}
	var due []settlingKey
	if err := k.settling.Walk(ctx, nil, func(key settlingKey) (bool, error) {
		if key.K1() > epoch {
			return true, nil
		}
		due = append(due, key)
		return len(due) == penaltiesPerBlock, nil
	}); err != nil {
		return fmt.Errorf("court: penalties that are due: %w", err)
	}
	for _, key := range due {
		p, err := k.penalties.Get(ctx, collections.Join(key.K2(), key.K3()))
		if err != nil {
			return fmt.Errorf("court: penalty %d of epoch %d: %w", key.K3(), key.K2(), err)
		}
		if err := k.settling.Remove(ctx, key); err != nil {
			return err
		}
		done, err := k.attempt(ctx, fmt.Sprintf("settling %s acpc of %s", p.Amount,
			p.Participant), func(ctx context.Context) error {
			if err := k.penalties.Remove(ctx, penaltyKeyOf(p)); err != nil {
				return err
			}
			if p.State == courtv1.PenaltyReleased {
				return k.collateral.GiveBack(ctx, p.Participant, p.Amount)
			}
			return k.collateral.BurnHeld(ctx, p.Participant, p.Amount, p.Finders, params.BountyBps)
		})
		if err != nil {
			return err
		}
		if !done {
			p.Until = epoch + 1
			if err := k.requeue(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Release has what is held for offences of an epoch given back, one participant's or everybody's,
// and returns how many penalties that are.
func (k *Keeper) Release(ctx context.Context, epoch uint64, participant string) (uint64, error) {
	all, err := table.Values(ctx, k.penalties,
		collections.NewPrefixedPairRange[uint64, uint64](epoch))
	if err != nil {
		return 0, fmt.Errorf("court: penalties of epoch %d: %w", epoch, err)
	}
	released := uint64(0)
	for _, p := range all {
		if p.State != courtv1.PenaltyHeld || participant != "" && p.Participant != participant {
			continue
		}
		if err := k.settling.Remove(ctx, settlingKeyOf(p)); err != nil {
			return 0, err
		}
		p.State, p.Until = courtv1.PenaltyReleased, 0
		if err := k.requeue(ctx, p); err != nil {
			return 0, err
		}
		released++
	}
	if released == 0 {
		return 0, ErrNotHeld.Wrapf("nothing is held for an offence of epoch %d; see assay query "+
			"court penalties", epoch)
	}
	return released, nil
}

// doubleSign is the record of a piece of evidence.
func doubleSign(ctx context.Context, who string, e comet.Evidence) courtv1.DoubleSign {
	block := sdk.UnwrapSDKContext(ctx)
	d := courtv1.DoubleSign{Height: block.BlockHeight(), Time: block.BlockTime().Unix(),
		Participant: who}
	if power, whole := e.Validator().Power(), e.TotalVotingPower(); power > 0 && whole > 0 {
		hi, lo := bits.Mul64(uint64(min(power, whole)), 1_000_000)
		d.PowerPpm, _ = bits.Div64(hi, lo, uint64(whole))
	}
	return d
}

// doubleSignBps is what a double signature costs now: three times the part of the power that double
// signed within the age of evidence, at least slash_double_sign_bps, at most all.
func (k *Keeper) doubleSignBps(ctx context.Context, p courtv1.Params) (uint64, error) {
	all, err := table.Values(ctx, k.doubleSigns, nil)
	if err != nil {
		return 0, fmt.Errorf("court: double signatures: %w", err)
	}
	ppm := uint64(0)
	for _, d := range all {
		if !aged(ctx, d) {
			ppm += d.PowerPpm
		}
	}
	return min(10_000, max(p.SlashDoubleSignBps, 3*ppm/100)), nil
}

// aged reports whether a double signature was reported longer ago than evidence lives, in blocks
// and in time.
func aged(ctx context.Context, d courtv1.DoubleSign) bool {
	block := sdk.UnwrapSDKContext(ctx)
	rules := block.ConsensusParams().Evidence
	if rules == nil {
		return false
	}
	return block.BlockHeight()-d.Height > rules.MaxAgeNumBlocks &&
		block.BlockTime().Unix()-d.Time > int64(rules.MaxAgeDuration/time.Second)
}

// forget drops double signatures that nothing adds to any longer.
func (k *Keeper) forget(ctx context.Context) error {
	var old []doubleSignKey
	if err := k.doubleSigns.Walk(ctx, nil, func(key doubleSignKey,
		d courtv1.DoubleSign) (bool, error) {
		if !aged(ctx, d) {
			return true, nil
		}
		old = append(old, key)
		return false, nil
	}); err != nil {
		return err
	}
	for _, key := range old {
		if err := k.doubleSigns.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// checkHeld compares the penalties with what x/collateral holds for them.
func (k *Keeper) checkHeld(ctx context.Context, all []courtv1.Penalty) error {
	sum, of := sdkmath.ZeroInt(), map[string]sdkmath.Int{}
	for _, p := range all {
		sum = sum.Add(p.Amount)
		if was, some := of[p.Participant]; some {
			of[p.Participant] = was.Add(p.Amount)
		} else {
			of[p.Participant] = p.Amount
		}
	}
	for _, p := range all {
		held, err := k.collateral.Held(ctx, p.Participant)
		if err != nil {
			return err
		}
		if !held.Equal(of[p.Participant]) {
			return fmt.Errorf("court: penalties of %s add up to %s acpc, and x/collateral holds "+
				"%s of it", p.Participant, of[p.Participant], held)
		}
	}
	held, err := k.collateral.TotalHeld(ctx)
	if err != nil {
		return err
	}
	if !held.Equal(sum) {
		return fmt.Errorf("court: penalties add up to %s acpc, and x/collateral holds %s", sum,
			held)
	}
	return nil
}
