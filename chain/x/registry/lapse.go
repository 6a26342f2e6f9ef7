// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/collateral"
)

// reviewsPerEpoch bounds the reviews at an epoch's begin. What is over it waits
// for the next epoch, the oldest first. A record that goes counts as many reviews
// as it has keys, each of which is removed on its own.
const reviewsPerEpoch = 1_000

// Announce notes that a participant is in the roster of an epoch, because it
// reported ready or holds weight. That keeps its registration alive.
func (k *Keeper) Announce(ctx context.Context, addr string, epoch uint64) error {
	p, err := k.Record(ctx, addr)
	if err != nil || epoch <= p.IdleSince {
		return err
	}
	p.IdleSince, p.PowerlessHeight, p.PowerlessTime = epoch, 0, 0
	return k.store(ctx, p)
}

// Lapse ends, at an epoch's begin, the registrations that nobody uses: those whose
// owner left and those that were in no roster for lapse_epochs epochs. It reads
// only the records whose review has come due, at most reviewsPerEpoch of them.
func (k *Keeper) Lapse(ctx context.Context, epoch uint64) error {
	var due []collections.Pair[uint64, string]
	if err := k.reviews.Walk(ctx, collections.NewPrefixUntilPairRange[uint64, string](epoch),
		func(key collections.Pair[uint64, string]) (bool, error) {
			due = append(due, key)
			return len(due) == reviewsPerEpoch, nil
		}); err != nil {
		return fmt.Errorf("registry: reviews: %w", err)
	}
	if len(due) == 0 {
		return nil
	}
	r, err := k.reviewer(ctx, epoch)
	if err != nil {
		return err
	}
	left := reviewsPerEpoch
	for _, key := range due {
		if left <= 0 {
			return nil
		}
		cost, err := k.review(sdk.UnwrapSDKContext(ctx), r, key)
		if err != nil {
			return fmt.Errorf("registry: review of %s: %w", key.K2(), err)
		}
		left -= cost
	}
	return nil
}

// reviewer is what all reviews of an epoch's begin have in common.
type reviewer struct {
	epoch, keep, lapse uint64
}

func (k *Keeper) reviewer(ctx context.Context, epoch uint64) (reviewer, error) {
	params, err := k.Params(ctx)
	if err != nil {
		return reviewer{}, err
	}
	keep, err := k.network.KeepEpochs(ctx)
	return reviewer{epoch: epoch, keep: keep, lapse: params.LapseEpochs}, err
}

// review removes a record, or says when to look at it again.
func (k *Keeper) review(ctx sdk.Context, r reviewer,
	key collections.Pair[uint64, string]) (cost int, err error) {
	p, err := k.Record(ctx, key.K2())
	if err != nil {
		return 0, err
	}
	holds := func() (bool, error) {
		return k.network.Holds(ctx, p.Address, p.ConsensusKey, p.PreviousConsensusKey)
	}
	next, err := r.decide(ctx, &p, holds)
	if err != nil {
		return 0, err
	}
	if next == 0 {
		return k.remove(ctx, p)
	}
	if err := k.reviews.Remove(ctx, key); err != nil {
		return 0, err
	}
	p.ReviewEpoch = next
	if err := k.reviews.Set(ctx, collections.Join(next, p.Address)); err != nil {
		return 0, err
	}
	return 1, k.store(ctx, p)
}

// decide returns the epoch of a record's next review; 0 lets it go. A record goes when all of these
// are so:
//   - its owner left, or it was in no roster for lapse_epochs;
//   - no epoch whose evidence is kept can name it;
//   - it is not jailed, so that a new name costs a new deposit, and not barred from
//     the lottery, so that a fresh name is no way around that;
//   - it has no weight and no power, and since then CometBFT's evidence has aged: a double sign
//     finds its owner.
func (r reviewer) decide(ctx sdk.Context, p *registryv1.Participant,
	holds func() (bool, error)) (next uint64, err error) {
	left := p.LeftFrom > 0
	if !left && p.JailedUntil > r.epoch {
		// whoever was jailed has as long to come back as others
		p.IdleSince = max(p.IdleSince, p.JailedUntil)
	}
	due := r.lapses(*p)
	if left {
		due = plus(p.LeftFrom, r.keep)
	}
	if due = max(due, p.JailedUntil, p.LotteryFrom); due > r.epoch {
		return due, nil
	}
	held, err := holds()
	if err != nil {
		return 0, err
	}
	switch {
	case held && left:
		p.PowerlessHeight, p.PowerlessTime = 0, 0
		return plus(r.epoch, 1), nil
	case held:
		p.IdleSince, p.PowerlessHeight, p.PowerlessTime = r.epoch, 0, 0
		return r.lapses(*p), nil
	case p.PowerlessHeight == 0:
		p.PowerlessHeight, p.PowerlessTime = ctx.BlockHeight(), ctx.BlockTime().Unix()
		return plus(r.epoch, 1), nil
	case !aged(ctx, *p):
		return plus(r.epoch, 1), nil
	}
	return 0, nil
}

// lapses is the first epoch at whose begin an idle record may go.
func (r reviewer) lapses(p registryv1.Participant) uint64 {
	return plus(p.IdleSince, plus(max(r.lapse, r.keep), 1))
}

// aged reports whether CometBFT would refuse any evidence against the key of a
// validator that lost its power before powerless_height. Evidence is refused once
// both its ages have passed; a change of power acts two blocks later.
func aged(ctx sdk.Context, p registryv1.Participant) bool {
	rules := ctx.ConsensusParams().Evidence
	if rules == nil {
		return true // no evidence is taken at all
	}
	return ctx.BlockHeight()-p.PowerlessHeight > rules.MaxAgeNumBlocks+2 &&
		ctx.BlockTime().Unix()-p.PowerlessTime > int64(rules.MaxAgeDuration/time.Second)
}

// remove drops a participant, gives its keys free and returns its deposit. Its consensus
// keys are remembered.
func (k *Keeper) remove(ctx sdk.Context, p registryv1.Participant) (cost int, err error) {
	if err := k.withNodes(ctx, &p); err != nil {
		return 0, err
	}
	keys := keysOf(p)
	for _, key := range keys {
		if err := k.keys.Remove(ctx, key.bytes); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(
		k.unschedule(ctx, p),
		k.reviews.Remove(ctx, collections.Join(p.ReviewEpoch, p.Address)),
		k.nodes.Remove(ctx, p.Address),
		k.participants.Remove(ctx, p.Address),
	); err != nil {
		return 0, err
	}
	if p.Deposit.IsPositive() {
		if err := k.collateral.Refund(ctx, p.Address, collateral.Registration,
			p.Deposit); err != nil {
			return 0, err
		}
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_removed",
		sdk.NewAttribute("participant", p.Address), sdk.NewAttribute("moniker", p.Moniker),
		sdk.NewAttribute("deposit", p.Deposit.String())))
	return len(keys), nil
}

// plus adds epochs; a sum that does not fit is never reached.
func plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
