// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cosmossdk.io/core/comet"
	sdk "github.com/cosmos/cosmos-sdk/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/registry"
)

// addressSize is the length of a consensus address.
const addressSize = 20

// BeginBlock reads in the commit of the last block which validators signed, and takes the power
// of those that were in the set for offline_blocks blocks in a row and signed none of them (spec
// P-15).
//
// A vote for nil is a signature: its key is run, sees the network and took part in the round; that
// it did not have the proposal in time says more about the proposer.
//
// Only absences are stored, written once when they begin and once when they end, so a block in
// which all sign reads one empty range and writes nothing. CometBFT names in each commit exactly
// the set that could sign it, so nothing here depends on when that set came into force; a key that
// it does not name, because it left or because a chain's first block has no commit, has no absence.
// Blocks count and time does not: while a chain stands still nobody misses anything.
func (k *Keeper) BeginBlock(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	block := sdkCtx.BlockHeight() - 1 // the one that the commit is about
	known, err := k.absent(ctx)
	if err != nil {
		return err
	}
	missed := unsigned(sdkCtx.CometInfo())
	since := make(map[string]int64, len(known))
	for _, a := range known {
		at := string(a.ConsensusAddress)
		if !missed[at] {
			if err := k.absences.Remove(ctx, a.ConsensusAddress); err != nil {
				return fmt.Errorf("credit: absence of %X: %w", at, err)
			}
			continue
		}
		since[at] = a.Since
	}
	if len(missed) == 0 {
		return nil
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("credit: params: %w", err)
	}
	if p.OfflineBlocks == 0 {
		return nil // a state from before there was this parameter, until it is migrated
	}
	due := false
	for _, at := range slices.Sorted(maps.Keys(missed)) {
		if _, ok := since[at]; !ok {
			since[at] = block
			if err := k.absences.Set(ctx, []byte(at), block); err != nil {
				return fmt.Errorf("credit: absence of %X: %w", at, err)
			}
		}
		due = due || overdue(since[at], block, p)
	}
	if !due {
		return nil
	}
	return k.takeOffline(sdkCtx, since, block, p)
}

// unsigned lists those in the set of the last block who did not sign its commit.
func unsigned(info comet.BlockInfo) map[string]bool {
	if info == nil || info.GetLastCommit() == nil {
		return nil
	}
	votes := info.GetLastCommit().Votes()
	missed := map[string]bool{}
	for i := 0; votes != nil && i < votes.Len(); i++ {
		v := votes.Get(i)
		if v.GetBlockIDFlag() == comet.BlockIDFlagAbsent {
			missed[string(v.Validator().Address())] = true
		}
	}
	return missed
}

// overdue reports whether an absence that goes on at a block lasts for offline_blocks.
func overdue(since, block int64, p creditv1.Params) bool {
	return block-since+1 >= int64(p.OfflineBlocks)
}

// takeOffline marks the seats of those who are absent for too long, the longest first, while the
// part that they held of the set as it was before any of them was taken out stays below a third.
// They leave when the block ends.
func (k *Keeper) takeOffline(ctx sdk.Context, since map[string]int64, block int64,
	p creditv1.Params) error {
	seats, err := k.Seats(ctx)
	if err != nil {
		return fmt.Errorf("credit: seats: %w", err)
	}
	var absent []creditv1.Seat
	lost := uint64(0)
	for _, s := range seats {
		lost += s.Offline
		from, missing := since[string(registry.ConsensusAddress(s.ConsensusKey))]
		if missing && overdue(from, block, p) && s.Told > 0 && present(s) {
			absent = append(absent, s)
		}
	}
	slices.SortStableFunc(absent, func(a, b creditv1.Seat) int {
		return cmp.Compare(since[string(registry.ConsensusAddress(a.ConsensusKey))],
			since[string(registry.ConsensusAddress(b.ConsensusKey))])
	})
	// what is in force now is what those taken out before have left
	left := TotalPower - lost
	for _, s := range absent {
		part := (s.Told*left + TotalPower - 1) / TotalPower
		if !spared(lost, part) {
			continue
		}
		s.Offline, lost = part, lost+part
		if err := k.setSeat(ctx, s); err != nil {
			return err
		}
		ctx.EventManager().EmitEvent(sdk.NewEvent("credit_offline",
			sdk.NewAttribute("participant", s.Participant),
			sdk.NewAttribute("power", fmt.Sprint(s.Told)),
			sdk.NewAttribute("reason", fmt.Sprintf("its consensus key signed none of the last %d "+
				"blocks; it has no voting power until the next settlement", p.OfflineBlocks))))
	}
	return nil
}

// spared reports whether less than a third of the power is lost to absence with one more part of
// it: those who stay hold more than two thirds of the set before, so the last of them is never
// taken out, and nobody gains more than half of what it had.
func spared(lost, more uint64) bool { return 3*(lost+more) < TotalPower }

// absent lists the absences that go on, by consensus address.
func (k *Keeper) absent(ctx context.Context) (list []creditv1.Absence, err error) {
	err = k.absences.Walk(ctx, nil, func(at []byte, since int64) (bool, error) {
		list = append(list, creditv1.Absence{ConsensusAddress: at, Since: since})
		return false, nil
	})
	if err != nil {
		return nil, errors.Join(errors.New("credit: absences"), err)
	}
	return list, nil
}
