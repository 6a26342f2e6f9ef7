// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/seed"
)

// What x/sprint asks of a stream that it judges.

// Owed returns how many commits a participant has made in the epoch, or why it owes none now.
// Everything but the signature is checked.
func (k *Keeper) Owed(ctx context.Context,
	msg *streamv1.MsgSubmitContinuousPoCCommit) (made uint32, err error) {
	if _, err := k.admit(ctx, msg); err != nil {
		return 0, err
	}
	sum, _, err := table.Find(ctx, k.summaries, collections.Join(msg.EpochIndex, msg.Creator))
	return sum.CommitCount, err
}

// Samples is how many leaves are drawn of a participant's stream at most.
func (k *Keeper) Samples(ctx context.Context, epoch uint64) (uint32, error) {
	p, err := k.termsOf(ctx, epoch)
	return p.StreamSamples, err
}

// Claims are the participants with a stream of an epoch, and the leaves of it that may be drawn.
func (k *Keeper) Claims(ctx context.Context, epoch uint64) (all []sprintv1.Claim, err error) {
	err = k.nodes.Walk(ctx, collections.NewPrefixedTripleRange[uint64, string, string](epoch),
		func(key nodeKey, n streamv1.Node) (bool, error) {
			if last := len(all) - 1; last < 0 || all[last].Participant != key.K2() {
				all = append(all, sprintv1.Claim{Participant: key.K2()})
			}
			all[len(all)-1].Leaves += n.Leaves
			return false, nil
		})
	return all, err
}

// nodesOf lists a participant's nodes with a stream in an epoch.
func (k *Keeper) nodesOf(ctx context.Context, epoch uint64, participant string) ([]streamv1.Node,
	error) {
	return table.Values(ctx, k.nodes,
		collections.NewSuperPrefixedTripleRange[uint64, string, string](epoch, participant))
}

// Logs lists what a participant has committed, by (node, segment).
func (k *Keeper) Logs(ctx context.Context, epoch uint64, participant string) (all []sprintv1.Commit,
	err error) {
	err = k.commits.Walk(ctx, collections.NewSuperPrefixedQuadRange[uint64, string, string, uint32](
		epoch, participant), func(_ commitKey, c streamv1.Commit) (bool, error) {
		all = append(all, sprintv1.Commit{Participant: participant, Node: c.Node,
			Segment: sprintv1.StreamSegments + c.Number, Count: c.Count, Root: c.Root,
			Signature: c.Signature, Height: c.Height})
		return false, nil
	})
	return all, err
}

// Seed is that of a leaf's log; ok is false where there is no such log.
func (k *Keeper) Seed(ctx context.Context, epoch uint64, leaf courtv1.LeafRef) (s seed.Seed,
	ok bool, err error) {
	if leaf.Segment <= sprintv1.StreamSegments {
		return s, false, nil
	}
	c, ok, err := table.Find(ctx, k.commits, collections.Join4(epoch, leaf.Participant, leaf.Node,
		leaf.Segment-sprintv1.StreamSegments))
	if err != nil || !ok {
		return s, false, err
	}
	return seed.From(c.Seed), true, nil
}

// Weigh returns as how many of the Sprint's leaves a participant's stream counts (spec T-7):
// credited says how many of a node's leaves are credited, sprint how many its Sprint was.
func (k *Keeper) Weigh(ctx context.Context, epoch uint64, participant string,
	credited func(node string, leaves uint64) uint64, sprint uint64) (sum uint64, err error) {
	p, err := k.termsOf(ctx, epoch)
	if err != nil {
		return 0, err
	}
	nodes, err := k.nodesOf(ctx, epoch, participant)
	if err != nil {
		return 0, err
	}
	for _, n := range nodes {
		// what it had committed when it first committed to its stream may not have been all
		leaves, err := k.sprint.NodeLeaves(ctx, epoch, participant, n.Node)
		if err != nil {
			return 0, err
		}
		sum = add(sum, counts(p, credited(n.Node, n.Leaves), max(n.SprintLeaves, leaves)))
	}
	return min(sum, capOf(p, sprint)), nil
}

// Settle notes what a participant's stream counts in the end, and why; lost says that a part of it
// does not for what was wrong with it.
func (k *Keeper) Settle(ctx context.Context, epoch uint64, participant string, counts uint64,
	lost bool, reason string) error {
	key := collections.Join(epoch, participant)
	sum, ok, err := table.Find(ctx, k.summaries, key)
	if err != nil || !ok {
		return err
	}
	sum.EffectivePocWeight, sum.Settled, sum.PenaltyApplied, sum.Reason = counts, true, lost, reason
	return k.summaries.Set(ctx, key, sum)
}

// Prune drops up to limit records of streams that were settled before an epoch, and says how many.
func (k *Keeper) Prune(ctx context.Context, before uint64, limit int) (all int, err error) {
	if before == 0 {
		return 0, nil
	}
	before-- // an epoch's stream is settled in the next
	for _, drop := range []func(limit int) (int, error){
		func(limit int) (int, error) {
			return table.DropBefore(ctx, k.commits, before, limit, commitKey.K1)
		},
		func(limit int) (int, error) {
			return table.DropBefore(ctx, k.nodes, before, limit, nodeKey.K1)
		},
		func(limit int) (int, error) {
			return table.DropBefore(ctx, k.summaries, before, limit, summaryKey.K1)
		},
		func(limit int) (int, error) {
			return table.DropBefore(ctx, k.terms, before, limit,
				func(epoch uint64) uint64 { return epoch })
		},
	} {
		if all >= limit {
			break
		}
		n, err := drop(limit - all)
		if err != nil {
			return all, fmt.Errorf("stream: pruning epochs before %d: %w", before, err)
		}
		all += n
	}
	return all, nil
}
