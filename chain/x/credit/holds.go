// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"

	"github.com/assaynet/assay/chain/x/registry"
)

// Holds reports whether a participant has weight or power, or CometBFT was last
// told that one of its consensus keys validates: whether anything still rests on its record.
func (k *Keeper) Holds(ctx context.Context, participant string,
	consensusKeys ...[]byte) (bool, error) {
	h, err := k.Holding(ctx, participant)
	if err != nil || h.Weight > 0 || h.Power > 0 {
		return err == nil, err
	}
	for _, key := range consensusKeys {
		held, err := k.seats.Has(ctx, registry.ConsensusAddress(key))
		if err != nil || held {
			return held, err
		}
	}
	return false, nil
}
