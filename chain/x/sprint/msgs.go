// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Refusals a host reacts to by code.
var (
	// ErrPhase: the message came outside its window; nothing is changed, the next epoch is another chance.
	ErrPhase = errorsmod.Register(Name, sprintv1.CodePhase, "not in this phase")
	// ErrNotMember: the sender takes no part in this epoch.
	ErrNotMember = errorsmod.Register(Name, sprintv1.CodeNotMember, "not a member of this epoch")
	// ErrDone: the same thing was accepted before; there is nothing left to do.
	ErrDone = errorsmod.Register(Name, sprintv1.CodeDone, "already done")
	// ErrInvalid: the message is malformed or does not check out.
	ErrInvalid = errorsmod.Register(Name, sprintv1.CodeInvalid, "invalid")
	// ErrNotDrawn: the sender was not drawn for this.
	ErrNotDrawn = errorsmod.Register(Name, sprintv1.CodeNotDrawn, "not drawn")
)

// maxVerdictMismatch bounds the leaves that a verdict names of one target.
const maxVerdictMismatch = 4096

type msgServer struct{ *Keeper }

// member returns the current epoch and the sender's place in it.
func (k *Keeper) member(ctx context.Context, participant string, epoch uint64) (sprintv1.Epoch, sprintv1.Member, error) {
	e, err := k.epoch(ctx)
	if err != nil {
		return e, sprintv1.Member{}, err
	}
	if e.Number != epoch {
		return e, sprintv1.Member{}, ErrPhase.Wrapf("the message is for epoch %d, the chain is in epoch %d", epoch, e.Number)
	}
	m, err := k.members.Get(ctx, collections.Join(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return e, m, ErrNotMember.Wrapf("%s takes no part in epoch %d: participants that register now join the next one", participant, epoch)
	}
	return e, m, err
}

// Ready records that a participant's workers hold the model and its consensus key is alive.
func (s msgServer) Ready(ctx context.Context, msg *sprintv1.MsgReady) (*sprintv1.MsgReadyResponse, error) {
	e, m, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if e.Phase != sprintv1.PhasePrepare || len(e.Seed1) == 0 {
		return nil, ErrPhase.Wrapf("readiness is reported between Seed_1 and the compute window; epoch %d is in %s", e.Number, e.Phase.Word())
	}
	if m.Live {
		return nil, ErrDone.Wrapf("%s is ready already", msg.Participant)
	}
	if h := height(ctx); msg.Height >= h || msg.Height < h-heartbeatBlocks {
		return nil, ErrInvalid.Wrapf("heartbeat over height %d at height %d; it may be at most %d blocks old", msg.Height, h, heartbeatBlocks)
	}
	value, err := s.beacon.Value(ctx, msg.Height)
	if err != nil {
		return nil, err
	}
	gas(ctx, sprintv1.GasSignature+sprintv1.GasRecord, "heartbeat")
	own := s.unmetered(ctx, e.Number) // see setMember
	p, err := s.registry.Get(own, msg.Participant)
	if err != nil {
		return nil, err
	}
	if err := registry.VerifyHeartbeat(p, chainID(ctx), msg.Epoch, msg.Height, value, msg.Signature); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	if err := s.registry.Heartbeat(own, msg.Participant, msg.Epoch); err != nil {
		return nil, err
	}
	m.Live, m.LoadMs = true, msg.LoadMs
	return &sprintv1.MsgReadyResponse{}, s.setMember(ctx, e.Number, m)
}

// Commit binds one node's log of one segment, once.
func (s msgServer) Commit(ctx context.Context, msg *sprintv1.MsgCommit) (*sprintv1.MsgCommitResponse, error) {
	e, m, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if m.Jailed {
		return nil, ErrNotMember.Wrapf("%s is jailed in epoch %d", msg.Participant, e.Number)
	}
	if !slices.Contains(m.Nodes, msg.Node) {
		return nil, ErrNotMember.Wrapf("%s has no node %q in epoch %d; nodes added now count from the next epoch on", msg.Participant, msg.Node, e.Number)
	}
	if msg.Segment < 1 || int(msg.Segment) > len(e.Segments) {
		return nil, ErrPhase.Wrapf("epoch %d has no segment %d yet (it has %d)", e.Number, msg.Segment, len(e.Segments))
	}
	seg := e.Segments[msg.Segment-1]
	if h := height(ctx); h <= seg.Start || h > seg.CommitUntil {
		return nil, ErrPhase.Wrapf("segment %d is committed in blocks %d to %d, this is block %d", msg.Segment, seg.Start+1, seg.CommitUntil, h)
	}
	key := collections.Join4(e.Number, msg.Participant, msg.Node, msg.Segment)
	if has, err := s.commits.Has(ctx, key); err != nil {
		return nil, err
	} else if has {
		return nil, ErrDone.Wrapf("node %s has committed segment %d already; a log is committed once", msg.Node, msg.Segment)
	}
	if msg.Count < 1 || msg.Count >= 1<<48 {
		return nil, ErrInvalid.Wrapf("count %d is outside 1..2^48-1", msg.Count)
	}
	if len(msg.Root) != 32 {
		return nil, ErrInvalid.Wrapf("root has %d bytes; want 32", len(msg.Root))
	}
	gas(ctx, sprintv1.GasSignature, "commit statement")
	st := commit.Statement{Chain: chainID(ctx), Epoch: e.Number, Segment: msg.Segment, Participant: msg.Participant, Node: msg.Node, Class: e.Params.Class, Root: commit.Hash(msg.Root), Count: msg.Count}
	if err := st.Verify(ed25519.PublicKey(m.HostKey), msg.Signature); err != nil {
		return nil, ErrInvalid.Wrapf("the host key does not sign this commit: %v", err)
	}
	c := sprintv1.Commit{Participant: msg.Participant, Node: msg.Node, Segment: msg.Segment, Count: msg.Count, Root: msg.Root, Signature: msg.Signature, Height: height(ctx)}
	return &sprintv1.MsgCommitResponse{}, s.commits.Set(ctx, key, c)
}

// Open opens every drawn leaf of a participant, once.
func (s msgServer) Open(ctx context.Context, msg *sprintv1.MsgOpen) (*sprintv1.MsgOpenResponse, error) {
	e, _, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if e.Phase != sprintv1.PhaseProof {
		return nil, ErrPhase.Wrapf("openings are taken in the proof phase; epoch %d is in %s", e.Number, e.Phase.Word())
	}
	if _, done, err := s.opened(ctx, e.Number, msg.Participant); err != nil {
		return nil, err
	} else if done {
		return nil, ErrDone.Wrapf("%s has opened its leaves already", msg.Participant)
	}
	drawn, err := s.sampled(ctx, e, msg.Participant)
	if err != nil {
		return nil, err
	}
	if len(drawn) == 0 {
		return nil, ErrNotDrawn.Wrapf("%s committed nothing in epoch %d", msg.Participant, e.Number)
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return nil, err
	}
	for _, o := range msg.Logs {
		gas(ctx, uint64(len(o.Leaves))/openedLeafBytes*sprintv1.GasOpenedLeaf+uint64(len(o.Proof))/32*sprintv1.GasProofHash, "opening")
	}
	if err := verifyOpening(class, drawn, msg.Logs); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	return &sprintv1.MsgOpenResponse{}, s.openings.Set(ctx, memberKeyOf(e.Number, msg.Participant),
		sprintv1.Opening{Participant: msg.Participant, Logs: msg.Logs, Height: height(ctx)})
}

// CommitVerdict hides a member's verdict until all have committed.
func (s msgServer) CommitVerdict(ctx context.Context, msg *sprintv1.MsgCommitVerdict) (*sprintv1.MsgCommitVerdictResponse, error) {
	e, _, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	r, err := currentRound(e, msg.Round, sprintv1.PhaseValidate)
	if err != nil {
		return nil, err
	}
	if len(msg.Hash) != 32 {
		return nil, ErrInvalid.Wrapf("hash has %d bytes; want 32", len(msg.Hash))
	}
	key := collections.Join3(e.Number, r.Number, msg.Participant)
	record, err := s.verdicts.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, ErrNotDrawn.Wrapf("%s is not a member of the committee of round %d of epoch %d", msg.Participant, r.Number, e.Number)
	} else if err != nil {
		return nil, err
	}
	if len(record.Hash) > 0 {
		return nil, ErrDone.Wrapf("%s has committed its verdict of round %d already", msg.Participant, r.Number)
	}
	record.Hash, record.CommitHeight = msg.Hash, height(ctx)
	return &sprintv1.MsgCommitVerdictResponse{}, s.verdicts.Set(ctx, key, record)
}

// RevealVerdict shows a verdict and puts every leaf it names before the chain's own judgement.
func (s msgServer) RevealVerdict(ctx context.Context, msg *sprintv1.MsgRevealVerdict) (*sprintv1.MsgRevealVerdictResponse, error) {
	e, _, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	r, err := currentRound(e, msg.Round, sprintv1.PhaseReveal)
	if err != nil {
		return nil, err
	}
	key := collections.Join3(e.Number, r.Number, msg.Participant)
	record, err := s.verdicts.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) || err == nil && len(record.Hash) == 0 {
		return nil, ErrNotDrawn.Wrapf("%s committed to no verdict in round %d", msg.Participant, r.Number)
	} else if err != nil {
		return nil, err
	}
	if record.RevealHeight > 0 {
		return nil, ErrDone.Wrapf("%s has revealed its verdict of round %d already", msg.Participant, r.Number)
	}
	if len(msg.Salt) != 32 || len(msg.Body) > sprintv1.MaxVerdictBytes {
		return nil, ErrInvalid.Wrapf("salt of %d and body of %d bytes; want 32 and at most %d", len(msg.Salt), len(msg.Body), sprintv1.MaxVerdictBytes)
	}
	gas(ctx, uint64(len(msg.Body))*sprintv1.GasVerdictByte+sprintv1.GasVerdict, "verdict")
	if h := seed.VerdictCommit(chainID(ctx), e.Number, r.Number, msg.Participant, toSeed(msg.Salt), msg.Body); !bytes.Equal(h[:], record.Hash) {
		return nil, ErrInvalid.Wrap("the reveal does not match what was committed to")
	}
	var body sprintv1.VerdictBody
	if err := body.Unmarshal(msg.Body); err != nil {
		return nil, ErrInvalid.Wrapf("verdict: %v", err)
	}
	if again, err := body.Marshal(); err != nil || !bytes.Equal(again, msg.Body) {
		return nil, ErrInvalid.Wrap("verdict: not in canonical form, or it carries more than a verdict")
	}
	duties, err := s.duties(ctx, e, r, msg.Participant)
	if err != nil {
		return nil, err
	}
	if err := checkVerdict(body, duties); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	for _, v := range body.Verdicts {
		for _, m := range v.Mismatches {
			gas(ctx, sprintv1.GasClaim, "named leaf")
			claim := sprintv1.Claim{Claimant: msg.Participant, Round: r.Number, Norm: m.Norm, Digest: m.Digest,
				Leaf: sprintv1.LeafRef{Participant: v.Target, Node: m.Node, Segment: m.Segment, Nonce: m.Nonce}}
			if err := s.enqueue(ctx, claim); err != nil {
				return nil, err
			}
		}
	}
	record.RevealHeight = height(ctx)
	if err := s.bodies.Set(ctx, key, body); err != nil {
		return nil, err
	}
	return &sprintv1.MsgRevealVerdictResponse{}, s.verdicts.Set(ctx, key, record)
}

// OpenMiddles opens the drawn middle digests of a revealed verdict.
func (s msgServer) OpenMiddles(ctx context.Context, msg *sprintv1.MsgOpenMiddles) (*sprintv1.MsgOpenMiddlesResponse, error) {
	e, _, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	return nil, ErrPhase.Wrapf("no middle digests are drawn in %s of epoch %d", e.Phase.Word(), e.Number)
}

// Dispute puts an opened leaf, or a voter's middle digest of one, before the chain's own judgement.
func (s msgServer) Dispute(ctx context.Context, msg *sprintv1.MsgDispute) (*sprintv1.MsgDisputeResponse, error) {
	e, m, err := s.member(ctx, msg.Participant, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if e.Phase != sprintv1.PhaseDispute || height(ctx) > e.Rounds[len(e.Rounds)-1].DisputeUntil {
		return nil, ErrPhase.Wrapf("disputes are taken in the dispute window; epoch %d is in %s", e.Number, e.Phase.Word())
	}
	if m.Disputes >= e.Params.DisputesPerEpoch {
		return nil, ErrDone.Wrapf("%s has raised its %d disputes of this epoch", msg.Participant, m.Disputes)
	}
	gas(ctx, sprintv1.GasClaim, "disputed leaf")
	// how much the accused opened and the voter revealed is theirs to decide, within bounds
	free := s.unmetered(ctx, e.Number)
	o, ok, err := s.opened(free, e.Number, msg.Leaf.Participant)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrInvalid.Wrapf("%s opened nothing in epoch %d", msg.Leaf.Participant, e.Number)
	}
	drawn, err := s.sampled(ctx, e, msg.Leaf.Participant)
	if err != nil {
		return nil, err
	}
	if _, _, ok := findOpened(drawn, o, msg.Leaf); !ok {
		return nil, ErrInvalid.Wrapf("leaf %s was not drawn", refText(msg.Leaf))
	}
	if msg.Voter != "" {
		if _, ok, err := s.revealedMiddle(free, e, msg.Round, msg.Voter, msg.Leaf); err != nil {
			return nil, err
		} else if !ok {
			return nil, ErrInvalid.Wrapf("%s revealed no middle digest for leaf %s in round %d", msg.Voter, refText(msg.Leaf), msg.Round)
		}
	}
	m.Disputes++
	if err := s.setMember(ctx, e.Number, m); err != nil {
		return nil, err
	}
	return &sprintv1.MsgDisputeResponse{}, s.enqueue(ctx, sprintv1.Claim{Leaf: msg.Leaf, Claimant: msg.Participant, Voter: msg.Voter, Round: msg.Round, Dispute: true})
}

// UpdateParams changes the parameters from the second epoch after this one on; only governance may.
func (s msgServer) UpdateParams(ctx context.Context, m *sprintv1.MsgUpdateParams) (*sprintv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters", s.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	return &sprintv1.MsgUpdateParamsResponse{}, s.params.Set(ctx, m.Params)
}

// currentRound returns the running round if the message is for it and the phase is right.
func currentRound(e sprintv1.Epoch, round uint32, phase sprintv1.Phase) (sprintv1.Round, error) {
	if e.Phase != phase || len(e.Rounds) == 0 {
		return sprintv1.Round{}, ErrPhase.Wrapf("this is taken in %s; epoch %d is in %s", phase.Word(), e.Number, e.Phase.Word())
	}
	r := e.Rounds[len(e.Rounds)-1]
	if r.Number != round {
		return r, ErrPhase.Wrapf("the message is for round %d, the epoch is in round %d", round, r.Number)
	}
	return r, nil
}

// checkVerdict holds a revealed verdict against what its voter had to judge.
func checkVerdict(body sprintv1.VerdictBody, duties []sprintv1.Duty) error {
	if len(body.Verdicts) != len(duties) {
		return fmt.Errorf("the verdict judges %d participants, the voter was drawn for %d", len(body.Verdicts), len(duties))
	}
	for i, d := range duties {
		v := body.Verdicts[i]
		if v.Target != d.Target {
			return fmt.Errorf("verdict %d is on %s; want %s (rising order, everyone drawn, never oneself)", i, v.Target, d.Target)
		}
		switch v.Vote {
		case sprintv1.VoteAbstain:
			if len(v.Middles) != 0 || len(v.Mismatches) != 0 {
				return fmt.Errorf("an abstention on %s carries findings", v.Target)
			}
			continue
		case sprintv1.VotePass:
		case sprintv1.VoteFail:
			if len(v.Mismatches) == 0 {
				return fmt.Errorf("a fail on %s names no leaf; a verdict of guilt must say of what", v.Target)
			}
		default:
			return fmt.Errorf("vote %d on %s is unknown", v.Vote, v.Target)
		}
		if len(v.Middles) != 8*len(d.Leaves) {
			return fmt.Errorf("%d bytes of middle digests on %s; want 8 for each of %d leaves", len(v.Middles), v.Target, len(d.Leaves))
		}
		if len(v.Mismatches) > maxVerdictMismatch {
			return fmt.Errorf("%d mismatches named on %s", len(v.Mismatches), v.Target)
		}
		at, perNode, node := 0, 0, ""
		for _, m := range v.Mismatches {
			if m.Node != node {
				node, perNode = m.Node, 0
			}
			if perNode++; perNode > namesPerNode {
				return fmt.Errorf("more than %d mismatches named of node %s of %s", namesPerNode, m.Node, v.Target)
			}
			for at < len(d.Leaves) && !(d.Leaves[at].Node == m.Node && d.Leaves[at].Segment == m.Segment && d.Leaves[at].Nonce == m.Nonce) {
				at++
			}
			if at == len(d.Leaves) {
				return fmt.Errorf("mismatch %s/%d/%d of %s was not drawn for this voter, or is out of order", m.Node, m.Segment, m.Nonce, v.Target)
			}
			at++
			if len(m.Digest) != 32 {
				return fmt.Errorf("digest of a mismatch has %d bytes; want 32", len(m.Digest))
			}
		}
	}
	return nil
}

func gas(ctx context.Context, amount uint64, what string) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(amount, "sprint: "+what)
}

func memberKeyOf(epoch uint64, participant string) memberKey {
	return collections.Join(epoch, participant)
}

func refText(l sprintv1.LeafRef) string {
	return fmt.Sprintf("%d of node %s, segment %d, of %s", l.Nonce, l.Node, l.Segment, l.Participant)
}
