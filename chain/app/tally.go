// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
)

// weights is what a tally needs of x/credit.
type weights interface {
	// TallyWeight is the least weight an account had over the last epochs.
	TallyWeight(ctx context.Context, addr string) (uint64, error)
	// TallyWhole is the sum of the greatest weights that all holders had over them.
	TallyWhole(ctx context.Context) (math.Int, error)
}

// ballot is what the votes on a proposal say.
type ballot struct {
	voted   math.LegacyDec
	results map[govv1.VoteOption]math.LegacyDec
}

// tally counts a proposal's votes by verified compute. A vote weighs the least weight of its voter
// over the last epochs, so compute that is rented for a vote counts only as far as it was there
// before; who is no participant weighs
//  0. The whole, of which the quorum is a part, is the sum of the greatest weights over the same
//     epochs, so that who
//
// drives others away for some epochs, or was there while they were, has no more of it than before.
// A vote that is split over several options is split by weight.
//
// A proposal needs a third of the whole in yes. The SDK has no such rule, only a quorum of those
// who voted: where yes falls short, it is told that nobody did, and the proposal fails for want of
// a quorum. The tally that it keeps and shows stays what was voted.
func tally(w weights) govkeeper.CalculateVoteResultsAndVotingPowerFn {
	return func(ctx context.Context, k govkeeper.Keeper, proposal govv1.Proposal) (math.LegacyDec,
		math.Int, map[govv1.VoteOption]math.LegacyDec, error) {
		fail := func(doing string, err error) (math.LegacyDec, math.Int,
			map[govv1.VoteOption]math.LegacyDec, error) {
			return math.LegacyZeroDec(), math.ZeroInt(), nil,
				fmt.Errorf("app: tally of proposal %d: %s: %w", proposal.Id, doing, err)
		}
		whole, err := w.TallyWhole(ctx)
		if err != nil {
			return fail("reading the weights", err)
		}
		b, err := count(ctx, w, k, proposal.Id)
		if err != nil {
			return fail("counting votes", err)
		}
		params, err := k.Params.Get(ctx)
		if err != nil {
			return fail("reading the parameters", err)
		}
		veto, err := math.LegacyNewDecFromStr(params.VetoThreshold)
		if err != nil {
			return fail("reading the veto's threshold", err)
		}
		enough := b.results[govv1.OptionYes].MulInt64(3).GT(math.LegacyNewDecFromInt(whole))
		// fails by itself, and may cost the deposit
		vetoed := b.results[govv1.OptionNoWithVeto].GT(b.voted.Mul(veto))
		if !enough && !vetoed {
			b.voted = math.LegacyZeroDec()
		}
		return b.voted, whole, b.results, nil
	}
}

// count adds up the votes on a proposal and deletes them, which the SDK leaves to its caller.
func count(ctx context.Context, w weights, k govkeeper.Keeper, proposal uint64) (ballot, error) {
	b := ballot{math.LegacyZeroDec(), map[govv1.VoteOption]math.LegacyDec{
		govv1.OptionYes: math.LegacyZeroDec(), govv1.OptionAbstain: math.LegacyZeroDec(),
		govv1.OptionNo: math.LegacyZeroDec(), govv1.OptionNoWithVeto: math.LegacyZeroDec(),
	}}
	var counted []collections.Pair[uint64, sdk.AccAddress]
	votes := collections.NewPrefixedPairRange[uint64, sdk.AccAddress](proposal)
	err := k.Votes.Walk(ctx, votes, func(key collections.Pair[uint64, sdk.AccAddress],
		vote govv1.Vote) (bool, error) {
		counted = append(counted, key)
		weight, err := w.TallyWeight(ctx, vote.Voter)
		if err != nil {
			return true, fmt.Errorf("weight of %s: %w", vote.Voter, err)
		}
		if weight == 0 {
			return false, nil
		}
		power := math.LegacyNewDecFromInt(math.NewIntFromUint64(weight))
		for _, option := range vote.Options {
			part, err := math.LegacyNewDecFromStr(option.Weight)
			if err != nil {
				return true, fmt.Errorf("vote of %s: %w", vote.Voter, err)
			}
			b.results[option.Option] = b.results[option.Option].Add(power.Mul(part))
		}
		b.voted = b.voted.Add(power)
		return false, nil
	})
	if err != nil {
		return b, err
	}
	for _, key := range counted {
		if err := k.Votes.Remove(ctx, key); err != nil {
			return b, fmt.Errorf("removing a vote: %w", err)
		}
	}
	return b, nil
}
