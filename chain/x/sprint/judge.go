// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// enqueue puts a claim behind those already waiting.
func (k *Keeper) enqueue(ctx context.Context, c sprintv1.Claim) error {
	n, err := k.claimSeq.Next(ctx)
	if err != nil {
		return err
	}
	return k.claims.Set(ctx, n, c)
}

// pending tells whether a claim waits.
func (k *Keeper) pending(ctx context.Context) (bool, error) {
	any := false
	err := k.claims.Walk(ctx, nil, func(uint64, sprintv1.Claim) (bool, error) { any = true; return true, nil })
	return any, err
}

// judge settles waiting claims in order, recomputing at most the block's budget of units. A leaf is judged once,
// whoever names it and however often.
func (k *Keeper) judge(ctx context.Context, e sprintv1.Epoch) error {
	type entry struct {
		seq   uint64
		claim sprintv1.Claim
	}
	var batch []entry
	// claims on leaves already judged cost nothing but reading; the bound keeps even those finite per block
	limit := int(e.Params.JudgeUnitsPerBlock) * 8
	if err := k.claims.Walk(ctx, nil, func(seq uint64, c sprintv1.Claim) (bool, error) {
		batch = append(batch, entry{seq, c})
		return len(batch) == limit, nil
	}); err != nil {
		return err
	}
	units := uint32(0)
	for _, b := range batch {
		key := leafKeyOf(e.Number, b.claim.Leaf)
		j, err := k.judgements.Get(ctx, key)
		if errors.Is(err, collections.ErrNotFound) {
			if units == e.Params.JudgeUnitsPerBlock {
				return nil
			}
			units++
			if j, err = k.recompute(ctx, e, b.claim); err != nil {
				return fmt.Errorf("sprint: judging leaf %s: %w", refText(b.claim.Leaf), err)
			}
			if err := k.judgements.Set(ctx, key, j); err != nil {
				return err
			}
			if j.Mismatch {
				if err := k.mismatchProven(ctx, e, b.claim.Leaf); err != nil {
					return err
				}
			}
		} else if err != nil {
			return err
		}
		if err := k.settle(ctx, e, b.claim, j); err != nil {
			return err
		}
		if err := k.claims.Remove(ctx, b.seq); err != nil {
			return err
		}
	}
	return nil
}

// recompute runs the unit of a leaf and holds it against what was opened. Both norm and digest count.
func (k *Keeper) recompute(ctx context.Context, e sprintv1.Epoch, c sprintv1.Claim) (sprintv1.Judgement, error) {
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return sprintv1.Judgement{}, err
	}
	o, ok, err := k.opened(ctx, e.Number, c.Leaf.Participant)
	if err != nil || !ok {
		return sprintv1.Judgement{}, fmt.Errorf("opening: found %v: %w", ok, err)
	}
	drawn, err := k.sampled(ctx, e, c.Leaf.Participant)
	if err != nil {
		return sprintv1.Judgement{}, err
	}
	norm, digest, ok := findOpened(drawn, o, c.Leaf)
	if !ok {
		return sprintv1.Judgement{}, errors.New("the leaf was not drawn")
	}
	node := seed.Node(chainID(ctx), c.Leaf.Participant, c.Leaf.Node, e.Params.Class)
	segment := toSeed(e.Segments[c.Leaf.Segment-1].Seed)
	k.judging.Lock()
	out, err := k.engine.Unit(ctx, class, toSeed(e.Seed1), node, segment, c.Leaf.Nonce, work.Claim{Norm: norm, Digest: digest})
	k.judging.Unlock()
	if err != nil {
		return sprintv1.Judgement{}, err
	}
	return sprintv1.Judgement{
		Leaf: c.Leaf, Norm: out.Norm, Digest: out.Digest[:], Middle: out.Middle[:],
		Mismatch: out.Norm != norm || out.Digest != digest,
		NamedBy:  c.Claimant, Height: height(ctx),
	}, nil
}

// settle applies a judgement to the one who asked for it or was accused.
func (k *Keeper) settle(ctx context.Context, e sprintv1.Epoch, c sprintv1.Claim, j sprintv1.Judgement) error {
	if c.Voter == "" {
		if !j.Mismatch && !c.Dispute {
			return k.provenFalse(ctx, e, c.Claimant, fmt.Sprintf("named the honest leaf %s a mismatch (refuted at block %d)", refText(c.Leaf), height(ctx)))
		}
		if !j.Mismatch {
			return k.spendDisputes(ctx, e, c.Claimant)
		}
		return nil
	}
	shown, ok, err := k.revealedMiddle(ctx, e, c.Round, c.Voter, c.Leaf)
	if err != nil || !ok {
		return err
	}
	want := seed.Middle(chainID(ctx), e.Number, c.Voter, c.Leaf.Participant, c.Leaf.Node, c.Leaf.Segment, c.Leaf.Nonce, [32]byte(j.Middle))
	if bytes.Equal(shown, want[:]) {
		return k.spendDisputes(ctx, e, c.Claimant)
	}
	return k.provenFalse(ctx, e, c.Voter, fmt.Sprintf("revealed a middle digest for leaf %s that the unit does not give: it was not re-run", refText(c.Leaf)))
}

// provenFalse takes a voter out of the epoch and jails it.
func (k *Keeper) provenFalse(ctx context.Context, e sprintv1.Epoch, voter, reason string) error {
	m, err := k.members.Get(ctx, memberKeyOf(e.Number, voter))
	if err != nil {
		return err
	}
	if m.ProvenFalse {
		return nil
	}
	m.ProvenFalse, m.FalseReason = true, reason
	if err := k.setMember(ctx, e.Number, m); err != nil {
		return err
	}
	emit(ctx, "verdict_refuted", "participant", voter, "reason", reason)
	return k.registry.Jail(ctx, voter, e.Number+1+uint64(e.Params.JailEpochs), reason)
}

// spendDisputes ends the disputes of one whose dispute was refuted; a bond takes this place once collateral is on.
func (k *Keeper) spendDisputes(ctx context.Context, e sprintv1.Epoch, participant string) error {
	m, err := k.members.Get(ctx, memberKeyOf(e.Number, participant))
	if err != nil {
		return err
	}
	m.Disputes = e.Params.DisputesPerEpoch
	return k.setMember(ctx, e.Number, m)
}

// mismatchProven acts on fraud in the block that proves it.
func (k *Keeper) mismatchProven(ctx context.Context, e sprintv1.Epoch, leaf sprintv1.LeafRef) error {
	emit(ctx, "leaf_forged", "participant", leaf.Participant, "leaf", refText(leaf))
	wrong, err := k.proven(ctx, e.Number, leaf.Participant)
	if err != nil {
		return err
	}
	inNode := 0
	for _, j := range wrong {
		if j.Leaf.Node == leaf.Node {
			inNode++
		}
	}
	if inNode != namesPerNode { // acts once, at the fourth
		return nil
	}
	m, err := k.members.Get(ctx, memberKeyOf(e.Number, leaf.Participant))
	if err != nil {
		return err
	}
	m.Fraud = true
	if err := k.setMember(ctx, e.Number, m); err != nil {
		return err
	}
	reason := fmt.Sprintf("fraud: %d forged leaves of node %s proven in epoch %d", inNode, leaf.Node, e.Number)
	emit(ctx, "fraud", "participant", leaf.Participant, "reason", reason)
	if err := k.registry.Jail(ctx, leaf.Participant, e.Number+1+uint64(e.Params.JailEpochs), reason); err != nil {
		return err
	}
	return k.credit.Cut(ctx, leaf.Participant)
}

// proven lists a participant's leaves that the chain found wrong, by (node, segment, nonce).
func (k *Keeper) proven(ctx context.Context, epoch uint64, participant string) ([]sprintv1.Judgement, error) {
	var out []sprintv1.Judgement
	err := k.judgements.Walk(ctx, collections.NewSuperPrefixedTripleRange[uint64, string, []byte](epoch, participant), func(_ leafKey, j sprintv1.Judgement) (bool, error) {
		if j.Mismatch {
			out = append(out, j)
		}
		return false, nil
	})
	return out, err
}

// revealedMiddle finds the 8 bytes that a voter revealed for a leaf.
func (k *Keeper) revealedMiddle(ctx context.Context, e sprintv1.Epoch, round uint32, voter string, leaf sprintv1.LeafRef) ([]byte, bool, error) {
	if round < 1 || int(round) > len(e.Rounds) {
		return nil, false, nil
	}
	body, err := k.bodies.Get(ctx, collections.Join3(e.Number, round, voter))
	if errors.Is(err, collections.ErrNotFound) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	r := e.Rounds[round-1]
	for _, v := range body.Verdicts {
		if v.Target != leaf.Participant {
			continue
		}
		h, err := k.hall(ctx, e, r)
		if err != nil {
			return nil, false, err
		}
		d, err := k.duty(ctx, e, r, h.voters, voter, v.Target)
		if err != nil {
			return nil, false, err
		}
		if j := slices.Index(d.Leaves, leaf); j >= 0 && len(v.Middles) >= 8*(j+1) {
			return v.Middles[8*j : 8*j+8], true, nil
		}
	}
	return nil, false, nil
}

// leafKeyOf orders leaves by node, segment, nonce.
func leafKeyOf(epoch uint64, l sprintv1.LeafRef) leafKey {
	b := append([]byte(l.Node), 0)
	b = binary.BigEndian.AppendUint32(b, l.Segment)
	b = binary.BigEndian.AppendUint64(b, l.Nonce)
	return collections.Join3(epoch, l.Participant, b)
}

func emit(ctx context.Context, kind string, pairs ...string) {
	attributes := make([]sdk.Attribute, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		attributes = append(attributes, sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent("sprint_"+kind, attributes...))
}
