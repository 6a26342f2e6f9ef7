// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/table"
)

// So many records of past epochs a block drops at most, so that none costs much: pruneBurst, or
// where the epoch before judged many participants a part of their number. An epoch writes some 17
// records for each, and takes more than 340 blocks where they are many, so that none is left for
// ever. An opening is as long as openingRecords others.
const (
	pruneBurst     = 400
	pruneShare     = 20
	openingRecords = 5
)

// prune drops what epochs long past keep: their evidence after keep_epochs, their records after
// recordEpochs. It drops all older ones, because keep_epochs may have been larger.
func (k *Keeper) prune(ctx context.Context, e sprintv1.Epoch) error {
	last, err := k.epochs.Get(ctx, e.Number-1)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return fmt.Errorf("sprint: epoch %d: %w", e.Number-1, err)
	}
	left := max(pruneBurst, int(last.Targets)/pruneShare)
	n, err := table.DropBefore(ctx, k.attempts, e.Number-1, left,
		func(key attemptKey) uint64 { return key.K1() })
	if err != nil {
		return fmt.Errorf("sprint: attempts before epoch %d: %w", e.Number-1, err)
	}
	left -= n
	if keep := uint64(e.Params.KeepEpochs) + 1; e.Number > keep {
		before := e.Number - keep
		for _, drop := range []func() (int, error){
			func() (int, error) {
				return table.DropBefore(ctx, k.commits, before, left,
					func(key logKey) uint64 { return key.K1() })
			},
			func() (int, error) {
				return k.dropOfEach(left, func(r records, left int) (int, error) {
					n, err := table.DropBefore(ctx, r.openings, before,
						(left+openingRecords-1)/openingRecords, memberKey.K1)
					return n * openingRecords, err
				})
			},
			func() (int, error) {
				return k.dropOfEach(left, func(r records, left int) (int, error) {
					return table.DropBefore(ctx, r.verdicts, before, left, memberKey.K1)
				})
			},
			func() (int, error) {
				return table.DropBefore(ctx, k.streams, before, left, memberKey.K1)
			},
			func() (int, error) { return k.stream.Prune(ctx, before, left) },
			func() (int, error) {
				return table.DropBefore(ctx, k.members, before, left, memberKey.K1)
			},
			func() (int, error) { return k.court.Prune(ctx, before, left) },
		} {
			n, err := drop()
			if err != nil {
				return fmt.Errorf("sprint: pruning epochs before %d: %w", before, err)
			}
			if left -= n; left <= 0 {
				return nil
			}
		}
	}
	if e.Number > recordEpochs {
		before := e.Number - recordEpochs
		n, err := k.dropOfEach(left, func(r records, left int) (int, error) {
			return table.DropBefore(ctx, r.outcomes, before, left, memberKey.K1)
		})
		if err != nil {
			return fmt.Errorf("sprint: pruning outcomes before epoch %d: %w", before, err)
		}
		if n < left {
			if _, err := table.DropBefore(ctx, k.epochs, before, left-n,
				func(number uint64) uint64 { return number }); err != nil {
				return fmt.Errorf("sprint: pruning records before epoch %d: %w", before, err)
			}
		}
	}
	return nil
}

// dropOfEach drops records of both subjects, as many as are left to drop.
func (k *Keeper) dropOfEach(left int, drop func(r records, left int) (int, error)) (all int,
	err error) {
	for _, r := range k.of {
		if left <= all {
			break
		}
		n, err := drop(r, left-all)
		if err != nil {
			return all, err
		}
		all += n
	}
	return all, nil
}
