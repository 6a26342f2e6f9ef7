// SPDX-License-Identifier: Apache-2.0

package sprint

import "context"

// KeepEpochs is for how many epochs after its own an epoch's evidence is kept: of
// what is in force now and what the next epoch starts with, the larger.
func (k *Keeper) KeepEpochs(ctx context.Context) (uint64, error) {
	frozen, err := k.frozen.Get(ctx)
	if err != nil {
		return 0, err
	}
	e, err := k.epoch(ctx)
	return uint64(max(frozen.KeepEpochs, e.Params.KeepEpochs)), err
}
