// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// purposeLottery is what a newcomer's deposit is locked for while it is in a lottery, lotteryUnit
// what a ticket counts.
const purposeLottery = "lottery"

var lotteryUnit = math.NewIntWithDecimal(1, 15)

type msgServer struct{ *Keeper }

// running returns the current epoch if the message is for it.
func (k *Keeper) running(ctx context.Context, epoch uint64) (sprintv1.Epoch, error) {
	e, err := k.epoch(ctx)
	if err != nil {
		return e, err
	}
	if e.Number != epoch {
		return e, ErrPhase.Wrapf("the message is for epoch %d, the chain is in epoch %d",
			epoch, e.Number)
	}
	return e, nil
}

// member returns the current epoch and the sender's place in it.
func (k *Keeper) member(ctx context.Context, participant string, epoch uint64) (sprintv1.Epoch,
	sprintv1.Member, error) {
	e, err := k.running(ctx, epoch)
	if err != nil {
		return e, sprintv1.Member{}, err
	}
	m, err := k.members.Get(ctx, memberKeyOf(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return e, m, ErrNotMember.Wrapf("%s takes no part in epoch %d: it has no weight and did "+
			"not report ready in time", participant, epoch)
	}
	return e, m, err
}

// Ready announces a participant: its workers hold the model, and its consensus key is alive. Who
// has no weight becomes a member with it.
func (s msgServer) Ready(ctx context.Context, msg *sprintv1.MsgReady) (*sprintv1.MsgReadyResponse,
	error) {
	e, err := s.running(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	gas(ctx, sprintv1.GasSignature+sprintv1.GasRecord, "heartbeat")
	own := unmetered(ctx) // see setMember
	p, err := s.registry.Record(own, msg.Participant)
	if err != nil {
		return nil, err
	}
	m, err := s.announced(own, e, p)
	if err != nil {
		return nil, err
	}
	if err := readyOwed(e, m); err != nil {
		return nil, err
	}
	if h := height(ctx); msg.Height >= h || msg.Height < h-heartbeatBlocks {
		return nil, ErrInvalid.Wrapf("heartbeat over height %d at height %d; it may be at most "+
			"%d blocks old", msg.Height, h, heartbeatBlocks)
	}
	value, err := s.beacon.Value(ctx, msg.Height)
	if err != nil {
		return nil, err
	}
	if err := registry.VerifyHeartbeat(p, chainID(ctx), msg.Epoch, msg.Height, value,
		msg.Signature); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	if err := s.registry.Mark(own, msg.Participant, func(r *registryv1.Participant) {
		r.HeartbeatEpoch = max(r.HeartbeatEpoch, msg.Epoch)
	}); err != nil {
		return nil, err
	}
	if m.Role == sprintv1.RoleNewcomer {
		if m.Locked, err = s.lockForLottery(ctx, msg.Participant); err != nil {
			return nil, err
		}
	}
	if m.Role != sprintv1.RoleHolder {
		if err := s.registry.Announce(own, msg.Participant, e.Number); err != nil {
			return nil, err
		}
	}
	m.Live, m.LoadMs = true, msg.LoadMs
	if err := s.note(ctx, func(p *sprintv1.Progress) {
		p.ReadyWeight += m.Weight
		if m.Expected {
			p.ExpectedReady++
		}
	}); err != nil {
		return nil, err
	}
	return &sprintv1.MsgReadyResponse{}, s.setMember(ctx, e.Number, m)
}

// announced returns the member that a participant is or becomes by announcing itself.
func (k *Keeper) announced(ctx context.Context, e sprintv1.Epoch,
	p registryv1.Participant) (sprintv1.Member, error) {
	m, err := k.members.Get(ctx, memberKeyOf(e.Number, p.Address))
	if !errors.Is(err, collections.ErrNotFound) {
		if err == nil && m.Jailed {
			return m, ErrNotMember.Wrap(jailText(p))
		}
		return m, err
	}
	switch {
	case p.JoinedEpoch >= e.Number:
		return m, ErrNotMember.Wrapf(
			"%s registered in epoch %d and takes part from the next one on",
			p.Address, p.JoinedEpoch)
	case !p.TakesPart(e.Number):
		return m, ErrNotMember.Wrapf("%s left and takes no part from epoch %d on",
			p.Address, p.LeftFrom)
	case p.JailedUntil > e.Number:
		return m, ErrNotMember.Wrap(jailText(p))
	}
	h, err := k.credit.Holding(ctx, p.Address)
	if err != nil {
		return m, err
	}
	h.Weight, h.Credited = 0, 0 // weight counts from an epoch's begin
	if p, err = k.registry.Get(ctx, p.Address); err != nil {
		return m, err
	}
	m = freeze(e.Number, p, h)
	if m.Role == sprintv1.RoleNewcomer && p.LotteryFrom > e.Number {
		return m, ErrNotMember.Wrapf("the lottery took %s and it was not credited; it enters "+
			"again from epoch %d on", p.Address, p.LotteryFrom)
	}
	return m, nil
}

// lockForLottery locks what a newcomer has deposited until the epoch ends, so that a coin counts
// for one name, and returns all that it has locked, in 10^15 acpc.
func (k *Keeper) lockForLottery(ctx context.Context, participant string) (uint64, error) {
	if err := k.collateral.LotteryLock(ctx, participant); err != nil {
		return 0, err
	}
	locked, err := k.collateral.LockedTotal(ctx, participant)
	if err != nil {
		return 0, err
	}
	return locked.Quo(lotteryUnit).Uint64(), nil // the supply is far below 2^64 such units
}

// Commit binds one node's log of one segment, once.
func (s msgServer) Commit(ctx context.Context,
	msg *sprintv1.MsgCommit) (*sprintv1.MsgCommitResponse, error) {
	e, m, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	seg, err := committable(e, m, msg, height(ctx))
	if err != nil {
		return nil, err
	}
	if err := s.uncommitted(ctx, e, msg); err != nil {
		return nil, err
	}
	if msg.Count < 1 || msg.Count >= 1<<48 {
		return nil, ErrInvalid.Wrapf("count %d is outside 1..2^48-1", msg.Count)
	}
	if len(msg.Root) != 32 {
		return nil, ErrInvalid.Wrapf("root has %d bytes; want 32", len(msg.Root))
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return nil, err
	}
	for len(m.SegmentLeaves) < int(msg.Segment) {
		m.SegmentLeaves = append(m.SegmentLeaves, 0)
	}
	m.SegmentLeaves[msg.Segment-1] += msg.Count
	if all, most := m.SegmentLeaves[msg.Segment-1],
		sprintv1.MayCommit(m.Credited, e.Params.Segments, class.MiOps()); all > most {
		return nil, ErrInvalid.Wrapf("%d leaves of segment %d, all nodes together; %s may commit "+
			"%d, after what it was last credited with", all, msg.Segment, msg.Participant, most)
	}
	m.Leaves += msg.Count
	gas(ctx, sprintv1.GasSignature, "commit statement")
	st := commit.Statement{Chain: chainID(ctx), Epoch: e.Number, Segment: msg.Segment,
		Participant: msg.Participant, Node: msg.Node, Class: e.Params.Class,
		Seed1: commit.Hash(seed.From(e.Seed1)), SegmentSeed: commit.Hash(seed.From(seg.Seed)),
		Root: commit.Hash(msg.Root), Count: msg.Count}
	if err := st.Verify(ed25519.PublicKey(m.HostKey), msg.Signature); err != nil {
		return nil, ErrInvalid.Wrapf("the host key does not sign this commit: %v", err)
	}
	c := sprintv1.Commit{Participant: msg.Participant, Node: msg.Node, Segment: msg.Segment,
		Count: msg.Count, Root: msg.Root, Signature: msg.Signature, Height: height(ctx)}
	if err := s.commits.Set(ctx, logKeyOf(e.Number, msg), c); err != nil {
		return nil, err
	}
	if int(msg.Segment) == len(e.Segments) {
		if err := s.note(ctx, func(p *sprintv1.Progress) { p.LastCommits++ }); err != nil {
			return nil, err
		}
	}
	return &sprintv1.MsgCommitResponse{}, s.setMember(ctx, e.Number, m)
}

// committable: the sender may commit this node's segment at this height.
func committable(e sprintv1.Epoch, m sprintv1.Member, msg *sprintv1.MsgCommit,
	h int64) (sprintv1.Segment, error) {
	switch {
	case m.Jailed:
		return sprintv1.Segment{}, ErrNotMember.Wrapf("%s is jailed in epoch %d",
			msg.Participant, e.Number)
	case !slices.Contains(m.Nodes, msg.Node):
		return sprintv1.Segment{},
			ErrNotMember.Wrapf("%s has no node %q in epoch %d; nodes added now count from the "+
				"next epoch on", msg.Participant, msg.Node, e.Number)
	case msg.Segment < 1 || int(msg.Segment) > len(e.Segments):
		return sprintv1.Segment{}, ErrPhase.Wrapf("epoch %d has no segment %d yet (it has %d)",
			e.Number, msg.Segment, len(e.Segments))
	case !allowed(m):
		return sprintv1.Segment{},
			ErrNotMember.Wrapf("%s is a newcomer, and the lottery of epoch %d took %d others of %d",
				msg.Participant, e.Number, e.Taken, e.Newcomers)
	}
	seg := e.Segments[msg.Segment-1]
	if h <= seg.Start || h > seg.CommitUntil || e.Phase != sprintv1.PhaseCompute &&
		e.Phase != sprintv1.PhaseWrapUp {
		return seg, ErrPhase.Wrapf("segment %d is committed in blocks %d to %d, this is block %d "+
			"in %s", msg.Segment, seg.Start+1, seg.CommitUntil, h, e.Phase.Word())
	}
	return seg, nil
}

func logKeyOf(epoch uint64, msg *sprintv1.MsgCommit) logKey {
	return collections.Join4(epoch, msg.Participant, msg.Node, msg.Segment)
}

// uncommitted: a log is committed once.
func (k *Keeper) uncommitted(ctx context.Context, e sprintv1.Epoch, msg *sprintv1.MsgCommit) error {
	has, err := k.commits.Has(ctx, logKeyOf(e.Number, msg))
	if err == nil && has {
		err = ErrDone.Wrapf("node %s has committed segment %d already; a log is committed once",
			msg.Node, msg.Segment)
	}
	return err
}

// toOpen returns what a participant has to open now.
func (k *Keeper) toOpen(ctx context.Context, e sprintv1.Epoch, s subject,
	participant string) (c sprintv1.Claim, drawn []drawnLog, err error) {
	if e.Phase != sprintv1.PhaseProof {
		return c, nil, ErrPhase.Wrapf("openings are taken in the proof phase; epoch %d is in %s",
			e.Number, e.Phase.Word())
	}
	if c, err = k.claim(unmetered(ctx), e, s, participant); err != nil {
		return c, nil, err
	}
	if c.Opened {
		return c, nil, ErrDone.Wrapf("%s has opened its leaves already", participant)
	}
	drawn, err = k.sampled(unmetered(ctx), e, s, c)
	if err == nil && len(drawn) == 0 {
		err = ErrNotDrawn.Wrapf("%s committed no leaves in the %s of epoch %d, or fewer than the "+
			"%d below which a claim is not judged", participant, s.word(), s.epoch(e.Number),
			e.Params.MinClaimLeaves)
	}
	return c, drawn, err
}

// Open opens every drawn leaf of a participant, once.
func (s msgServer) Open(ctx context.Context, msg *sprintv1.MsgOpen) (*sprintv1.MsgOpenResponse,
	error) {
	e, err := s.running(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	of := about(msg.Stream)
	c, drawn, err := s.toOpen(ctx, e, of, msg.Participant)
	if err != nil {
		return nil, err
	}
	made, err := s.work(ctx, e, of)
	if err != nil {
		return nil, err
	}
	class, err := transformer.ByName(made.Params.Class)
	if err != nil {
		return nil, err
	}
	for _, o := range msg.Logs {
		gas(ctx, uint64(len(o.Leaves))/record.Size*sprintv1.GasOpenedLeaf+
			uint64(len(o.Proof))/32*sprintv1.GasProofHash, "opening")
	}
	if err := verifyOpening(class, drawn, msg.Logs); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	holder, err := s.holds(ctx, e, msg.Participant)
	if err != nil {
		return nil, err
	}
	if err := s.note(ctx, func(p *sprintv1.Progress) {
		if holder {
			p.HoldersOpened++
		} else {
			p.NewcomersOpened++
		}
	}); err != nil {
		return nil, err
	}
	c.Opened = true
	if err := s.setClaim(ctx, e, of, c); err != nil {
		return nil, err
	}
	return &sprintv1.MsgOpenResponse{},
		s.of[of].openings.Set(ctx, memberKeyOf(e.Number, msg.Participant),
			sprintv1.Opening{Participant: msg.Participant, Logs: msg.Logs, Height: height(ctx)})
}

// UpdateParams changes the parameters from the second epoch after this one on; only governance may.
func (s msgServer) UpdateParams(ctx context.Context,
	m *sprintv1.MsgUpdateParams) (*sprintv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters",
			s.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	return &sprintv1.MsgUpdateParamsResponse{}, s.params.Set(ctx, m.Params)
}

func gas(ctx context.Context, amount uint64, what string) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(amount, "sprint: "+what)
}
