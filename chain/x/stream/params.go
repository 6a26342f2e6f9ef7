// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"

	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/table"
)

// whole is all of something, in basis points.
const whole = 10_000

// DefaultParams are those of a real network, spec T-10. Streams are off until a vote turns them on.
func DefaultParams() streamv1.Params {
	return streamv1.Params{PocUtilizationTargetBps: 9_950, NonceWeight: 10, MaxCommitsPerEpoch: 100,
		MinNoncesPerCommit: 10, StreamSamples: 200, MaxSeedAgeBlocks: 120, GrowthBps: 15_000,
		StreamCapBps: 20_000}
}

// LocalnetParams are those of a network on one machine, where streams are on.
func LocalnetParams() streamv1.Params {
	p := DefaultParams()
	p.EnableContinuousPoc, p.MaxSeedAgeBlocks = true, 20
	return p
}

// ValidateParams holds governance within bounds that no vote passes.
func ValidateParams(p streamv1.Params) error {
	for _, b := range []struct {
		name      string
		value     uint32
		low, high uint32
	}{
		{"poc_utilization_target_bps", p.PocUtilizationTargetBps, 1, whole},
		{"nonce_weight", p.NonceWeight, 1, 1_000_000},
		{"max_commits_per_epoch", p.MaxCommitsPerEpoch, 1, 1_000},
		{"min_nonces_per_commit", p.MinNoncesPerCommit, 1, 1_000_000},
		{"stream_samples", p.StreamSamples, 60, 1_000},
		{"max_seed_age_blocks", p.MaxSeedAgeBlocks, 10, 1_000},
		{"growth_bps", p.GrowthBps, 10_000, 30_000},
		{"stream_cap_bps", p.StreamCapBps, 0, 100_000},
	} {
		if b.value < b.low || b.value > b.high {
			return fmt.Errorf("stream: %s %d is outside %d..%d", b.name, b.value, b.low, b.high)
		}
	}
	return nil
}

// Begin makes voted parameters those in force and fixes them for the stream of an epoch, which is
// judged in the next one by what it was made under.
func (k *Keeper) Begin(ctx context.Context, epoch uint64) error {
	if err := table.Adopt(ctx, k.pending, k.params); err != nil {
		return fmt.Errorf("stream: pending parameters: %w", err)
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("stream: parameters: %w", err)
	}
	return k.terms.Set(ctx, epoch, streamv1.Terms{Epoch: epoch, Params: p})
}

// termsOf returns the parameters of an epoch's stream; of an epoch that began without any, streams
// are off.
func (k *Keeper) termsOf(ctx context.Context, epoch uint64) (streamv1.Params, error) {
	t, ok, err := table.Find(ctx, k.terms, epoch)
	if err != nil || !ok {
		return DefaultParams(), err
	}
	return t.Params, nil
}
