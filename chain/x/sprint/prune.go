// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/table"
)

// pruneBurst is how many records of past epochs a block drops at most: none costs much, however many members an epoch
// had.
const pruneBurst = 500

// prune drops what epochs long past keep: their evidence after keep_epochs, their records after recordEpochs. It
// drops all older ones, because keep_epochs may have been larger.
func (k *Keeper) prune(ctx context.Context, e sprintv1.Epoch) error {
	left := pruneBurst
	n, err := table.DropBefore(ctx, k.attempts, e.Number-1, left, func(key attemptKey) uint64 { return key.K1() })
	if err != nil {
		return fmt.Errorf("sprint: attempts before epoch %d: %w", e.Number-1, err)
	}
	left -= n
	if keep := uint64(e.Params.KeepEpochs) + 1; e.Number > keep {
		before := e.Number - keep
		for _, drop := range []func() (int, error){
			func() (int, error) {
				return table.DropBefore(ctx, k.commits, before, left, func(key logKey) uint64 { return key.K1() })
			},
			func() (int, error) { return table.DropBefore(ctx, k.openings, before, left, memberKey.K1) },
			func() (int, error) { return table.DropBefore(ctx, k.verdicts, before, left, memberKey.K1) },
			func() (int, error) { return table.DropBefore(ctx, k.members, before, left, memberKey.K1) },
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
		n, err := table.DropBefore(ctx, k.outcomes, before, left, memberKey.K1)
		if err != nil {
			return fmt.Errorf("sprint: pruning outcomes before epoch %d: %w", before, err)
		}
		if n < left {
			if _, err := table.DropBefore(ctx, k.epochs, before, left-n, func(number uint64) uint64 { return number }); err != nil {
				return fmt.Errorf("sprint: pruning records before epoch %d: %w", before, err)
			}
		}
	}
	return nil
}
