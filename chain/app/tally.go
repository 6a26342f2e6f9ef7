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

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

// weights is what a tally needs of x/credit.
type weights interface {
	// TallyWeight is the least weight an account had over the last epochs.
	TallyWeight(ctx context.Context, addr string) (uint64, error)
	Holdings(ctx context.Context) ([]creditv1.Holding, error)
}

// tally counts a proposal's votes by verified compute. A vote weighs the least
// weight of its voter over the last epochs, so compute that is rented for a vote
// counts only as far as it was there before; whoever is no participant weighs 0.
// The quorum is a part of what everybody together could have given. A vote that
// is split over several options is split by weight.
//
// The SDK leaves it to this function to delete the votes it counted.
func tally(w weights) govkeeper.CalculateVoteResultsAndVotingPowerFn {
	return func(ctx context.Context, k govkeeper.Keeper, proposal govv1.Proposal) (math.LegacyDec, math.Int, map[govv1.VoteOption]math.LegacyDec, error) {
		voted, results := math.LegacyZeroDec(), map[govv1.VoteOption]math.LegacyDec{
			govv1.OptionYes: math.LegacyZeroDec(), govv1.OptionAbstain: math.LegacyZeroDec(),
			govv1.OptionNo: math.LegacyZeroDec(), govv1.OptionNoWithVeto: math.LegacyZeroDec(),
		}
		fail := func(doing string, err error) (math.LegacyDec, math.Int, map[govv1.VoteOption]math.LegacyDec, error) {
			return math.LegacyZeroDec(), math.ZeroInt(), nil, fmt.Errorf("app: tally of proposal %d: %s: %w", proposal.Id, doing, err)
		}
		holdings, err := w.Holdings(ctx)
		if err != nil {
			return fail("reading the weights", err)
		}
		all := math.ZeroInt()
		for _, h := range holdings {
			weight, err := w.TallyWeight(ctx, h.Participant)
			if err != nil {
				return fail("weight of "+h.Participant, err)
			}
			all = all.Add(math.NewIntFromUint64(weight))
		}
		var counted []collections.Pair[uint64, sdk.AccAddress]
		votes := collections.NewPrefixedPairRange[uint64, sdk.AccAddress](proposal.Id)
		err = k.Votes.Walk(ctx, votes, func(key collections.Pair[uint64, sdk.AccAddress], vote govv1.Vote) (bool, error) {
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
				results[option.Option] = results[option.Option].Add(power.Mul(part))
			}
			voted = voted.Add(power)
			return false, nil
		})
		if err != nil {
			return fail("counting votes", err)
		}
		for _, key := range counted {
			if err := k.Votes.Remove(ctx, key); err != nil {
				return fail("removing a vote", err)
			}
		}
		return voted, all, results, nil
	}
}
