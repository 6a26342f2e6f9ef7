// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"crypto/ed25519"
	"slices"

	"cosmossdk.io/collections"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
)

type msgServer struct{ *Keeper }

// SubmitContinuousPoCCommit binds one log of a node's stream, once (spec T-3).
func (s msgServer) SubmitContinuousPoCCommit(ctx context.Context,
	msg *streamv1.MsgSubmitContinuousPoCCommit) (*streamv1.MsgSubmitContinuousPoCCommitResponse,
	error) {
	gas(ctx, sprintv1.GasSignature+2*sprintv1.GasRecord, "commit of a stream")
	own := unmetered(ctx)
	a, err := s.admit(own, msg)
	if err != nil {
		return nil, err
	}
	value, err := s.beacon.Value(own, msg.SeedHeight)
	if err != nil {
		return nil, ErrSeed.Wrapf("the beacon of block %d is not kept: %v", msg.SeedHeight, err)
	}
	segment := uint32(sprintv1.StreamSegments) + msg.Number
	logSeed := seed.Segment(seed.From(a.epoch.Seed2), segment, value)
	st := commit.Statement{Chain: chainID(ctx), Epoch: msg.EpochIndex, Segment: segment,
		Participant: msg.Creator, Node: msg.Node, Class: a.epoch.Params.Class,
		Seed1: commit.Hash(seed.From(a.epoch.Seed1)), SegmentSeed: commit.Hash(logSeed),
		Root: commit.Hash(msg.RootHash), Count: uint64(msg.NonceCount)}
	if err := st.Verify(ed25519.PublicKey(a.member.HostKey), msg.Signature); err != nil {
		return nil, ErrSignature.Wrapf("node %s, log %d: %v", msg.Node, msg.Number, err)
	}
	if err := s.commits.Set(ctx, collections.Join4(msg.EpochIndex, msg.Creator, msg.Node,
		msg.Number), streamv1.Commit{Participant: msg.Creator, Node: msg.Node, Number: msg.Number,
		Count: uint64(msg.NonceCount), Root: msg.RootHash, Signature: msg.Signature,
		Height: height(ctx), SeedHeight: msg.SeedHeight, Seed: logSeed.Bytes(),
		InferenceCount: msg.InferenceCount, GpuUtilizationBps: msg.GpuUtilizationBps}); err != nil {
		return nil, err
	}
	return &streamv1.MsgSubmitContinuousPoCCommitResponse{}, s.count(own, a, msg)
}

// count adds a commit to what its node and its participant have committed.
func (k *Keeper) count(ctx context.Context, a admitted,
	msg *streamv1.MsgSubmitContinuousPoCCommit) error {
	n := a.node
	n.Commits++
	n.Leaves += uint64(msg.NonceCount)
	n.Number, n.SeedHeight, n.Height = msg.Number, msg.SeedHeight, height(ctx)
	if err := k.nodes.Set(ctx, nodeKeyOf(msg), n); err != nil {
		return err
	}
	key := collections.Join(msg.EpochIndex, msg.Creator)
	sum, ok, err := table.Find(ctx, k.summaries, key)
	if err != nil {
		return err
	}
	if !ok {
		sum = streamv1.Summary{Participant: msg.Creator, EpochIndex: msg.EpochIndex}
	}
	sum.TotalNonces += uint64(msg.NonceCount)
	sum.TotalInferences = add(sum.TotalInferences, msg.InferenceCount)
	sum.CommitCount++
	sum.LastCommitHeight = n.Height
	sum.EffectivePocWeight += counts(a.params, n.Leaves, n.SprintLeaves) - a.counted
	return k.summaries.Set(ctx, key, sum)
}

// add saturates: inferences are what the sender says.
func add(a, b uint64) uint64 {
	if a+b < a {
		return 1<<64 - 1
	}
	return a + b
}

func nodeKeyOf(msg *streamv1.MsgSubmitContinuousPoCCommit) nodeKey {
	return collections.Join3(msg.EpochIndex, msg.Creator, msg.Node)
}

// admitted is what a commit was held against.
type admitted struct {
	epoch  sprintv1.Epoch
	params streamv1.Params
	member sprintv1.Member
	node   streamv1.Node
	// counted is as how much the node's stream counts without the commit
	counted uint64
}

// admit refuses a commit for everything but its signature, in the order of the codes.
func (k *Keeper) admit(ctx context.Context,
	msg *streamv1.MsgSubmitContinuousPoCCommit) (a admitted, err error) {
	if err := k.open(ctx, msg.EpochIndex, &a); err != nil {
		return a, err
	}
	if err := k.entitled(ctx, msg, &a); err != nil {
		return a, err
	}
	h, n, p := height(ctx), a.node, a.params
	last := max(n.SeedHeight, a.epoch.ComputeEnd-1)
	oldest := max(last+1, h-int64(p.MaxSeedAgeBlocks))
	most := streamv1.MayCommit(p, n.SprintLeaves, a.epoch.WindowBlocks(),
		h-max(msg.SeedHeight, n.Height), msg.GpuUtilizationBps)
	switch {
	case n.Height == h:
		return a, ErrBlock.Wrapf("node %s has committed in block %d already", msg.Node, h)
	case n.Commits >= p.MaxCommitsPerEpoch:
		return a, ErrCap.Wrapf("node %s has made all %d commits of epoch %d", msg.Node, n.Commits,
			msg.EpochIndex)
	case msg.Number <= n.Number || msg.Number > streamv1.MaxNumber:
		return a, ErrNumber.Wrapf("log %d of node %s, whose last one is %d; the largest is %d",
			msg.Number, msg.Node, n.Number, streamv1.MaxNumber)
	case msg.NonceCount < p.MinNoncesPerCommit:
		return a, ErrFew.Wrapf("%d leaves; a commit has at least %d", msg.NonceCount,
			p.MinNoncesPerCommit)
	case msg.GpuUtilizationBps > whole:
		return a, ErrUtilization.Wrapf("%d basis points", msg.GpuUtilizationBps)
	case len(msg.RootHash) != 32:
		return a, ErrRoot.Wrapf("%d bytes; want 32", len(msg.RootHash))
	case msg.SeedHeight < oldest || msg.SeedHeight >= h:
		return a, ErrSeed.Wrapf("seed of block %d in block %d; of this log it is of one of the "+
			"blocks %d to %d", msg.SeedHeight, h, oldest, h-1)
	case uint64(msg.NonceCount) > most:
		return a, ErrGrowth.Wrapf("%d leaves; node %s, which committed %d in the Sprint, may have "+
			"computed %d since", msg.NonceCount, msg.Node, n.SprintLeaves, most)
	}
	return a, nil
}

// open finds the epoch whose stream is taken now.
func (k *Keeper) open(ctx context.Context, epoch uint64, a *admitted) error {
	current, err := k.sprint.CurrentEpoch(ctx)
	if err != nil {
		return err
	}
	var ok bool
	if a.epoch, ok, err = k.sprint.EpochOf(ctx, current); err != nil {
		return err
	}
	if a.params, err = k.termsOf(ctx, current); err != nil {
		return err
	}
	h := height(ctx)
	switch {
	case !ok:
		return ErrWindow.Wrap("no epoch has begun")
	case !a.params.EnableContinuousPoc:
		return ErrOff.Wrapf("enable_continuous_poc is off in epoch %d", current)
	case a.epoch.Void:
		return ErrOff.Wrapf("epoch %d is void: %s", current, a.epoch.VoidReason)
	case epoch != current:
		return ErrWindow.Wrapf("the commit is for epoch %d, the chain is in epoch %d", epoch,
			current)
	case a.epoch.ComputeEnd == 0 || h <= a.epoch.ComputeEnd:
		return ErrWindow.Wrapf("the stream of epoch %d begins after its compute window, this is "+
			"block %d in %s", current, h, a.epoch.Phase.Word())
	}
	return nil
}

// entitled finds the node whose log it is.
func (k *Keeper) entitled(ctx context.Context, msg *streamv1.MsgSubmitContinuousPoCCommit,
	a *admitted) error {
	var ok bool
	var err error
	if a.member, ok, err = k.sprint.MemberOf(ctx, msg.EpochIndex, msg.Creator); err != nil {
		return err
	}
	switch {
	case !ok:
		return ErrNode.Wrapf("%s takes no part in epoch %d", msg.Creator, msg.EpochIndex)
	case a.member.Jailed || a.member.Fraud || a.member.ProvenFalse:
		return ErrNode.Wrapf("%s is jailed or convicted in epoch %d", msg.Creator, msg.EpochIndex)
	case !slices.Contains(a.member.Nodes, msg.Node):
		return ErrNode.Wrapf("%s has no node %q in epoch %d", msg.Creator, msg.Node,
			msg.EpochIndex)
	}
	if a.node, ok, err = table.Find(ctx, k.nodes, nodeKeyOf(msg)); err != nil {
		return err
	}
	a.counted = counts(a.params, a.node.Leaves, a.node.SprintLeaves)
	if ok && a.node.Height > a.epoch.WrapupUntil {
		return nil
	}
	// until then the node's Sprint may still have grown
	leaves, err := k.sprint.NodeLeaves(ctx, msg.EpochIndex, msg.Creator, msg.Node)
	if err != nil {
		return err
	}
	if leaves == 0 {
		return ErrNode.Wrapf("node %s of %s committed nothing in the Sprint of epoch %d", msg.Node,
			msg.Creator, msg.EpochIndex)
	}
	a.node.Participant, a.node.Node, a.node.SprintLeaves = msg.Creator, msg.Node, leaves
	return nil
}

// UpdateParams changes the parameters from the next epoch on; only governance may.
func (s msgServer) UpdateParams(ctx context.Context,
	m *streamv1.MsgUpdateParams) (*streamv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters",
			s.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, sdkerrors.ErrInvalidRequest.Wrap(err.Error())
	}
	return &streamv1.MsgUpdateParamsResponse{}, s.pending.Set(ctx, m.Params)
}
