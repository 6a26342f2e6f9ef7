// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The Sprint's side of the court: what there is to recompute, and what a judgement means.
var _ court.Case = (*Keeper)(nil)

// Standing is a member's weight at an epoch's start, and that of all.
func (k *Keeper) Standing(ctx context.Context, epoch uint64, participant string) (weight,
	total uint64, err error) {
	e, err := k.epochs.Get(ctx, epoch)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, 0, nil
	} else if err != nil {
		return 0, 0, err
	}
	m, err := k.members.Get(ctx, memberKeyOf(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return 0, e.TotalWeight, nil
	}
	return m.Weight, e.TotalWeight, err
}

// Exhibit finds a leaf of an epoch that its owner opened, and the seeds of its unit.
func (k *Keeper) Exhibit(ctx context.Context, epoch uint64, leaf courtv1.LeafRef) (x court.Exhibit,
	ok bool, err error) {
	e, err := k.epochs.Get(ctx, epoch)
	if errors.Is(err, collections.ErrNotFound) {
		return x, false, nil
	} else if err != nil {
		return x, false, fmt.Errorf("sprint: record of epoch %d: %w", epoch, err)
	}
	opened, ok, err := k.shown(ctx, e, leaf)
	if err != nil || !ok {
		return x, false, err
	}
	segment, ok, err := k.segmentSeed(ctx, e, leaf)
	if err != nil || !ok {
		return x, false, err
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return x, false, err
	}
	return court.Exhibit{
		Class: class, Seed1: seed.From(e.Seed1), Node: seed.Node(chainID(ctx), leaf.Participant,
			leaf.Node, e.Params.Class),
		Segment: segment, Opened: opened,
	}, true, nil
}

// shown is what the owner of a leaf of an epoch opened for it.
func (k *Keeper) shown(ctx context.Context, e sprintv1.Epoch,
	leaf courtv1.LeafRef) (record.Record, bool, error) {
	s := subjectOf(leaf)
	judge := e
	if s == ofStream {
		var err error
		judge, err = k.epochs.Get(ctx, s.judges(e.Number))
		if errors.Is(err, collections.ErrNotFound) {
			return record.Record{}, false, nil
		} else if err != nil {
			return record.Record{}, false, err
		}
	}
	o, ok, err := k.opened(ctx, judge.Number, s, leaf.Participant)
	if err != nil || !ok {
		return record.Record{}, false, err
	}
	c, err := k.claim(ctx, judge, s, leaf.Participant)
	if err != nil {
		return record.Record{}, false, err
	}
	drawn, err := k.sampled(ctx, judge, s, c)
	if err != nil {
		return record.Record{}, false, err
	}
	r, ok := findOpened(drawn, o, leaf)
	return r, ok, nil
}

// segmentSeed is the seed of a leaf's segment.
func (k *Keeper) segmentSeed(ctx context.Context, e sprintv1.Epoch,
	leaf courtv1.LeafRef) (seed.Seed, bool, error) {
	if subjectOf(leaf) == ofStream {
		return k.stream.Seed(ctx, e.Number, leaf)
	}
	return seed.From(e.Segments[leaf.Segment-1].Seed), true, nil
}

// Proven acts on fraud in the block that proves it: so many forged leaves of one node, or of all,
// are no accident.
func (k *Keeper) Proven(ctx context.Context, j courtv1.Judgement) error {
	who := j.Leaf.Participant
	emit(ctx, "leaf_forged", "participant", who, "leaf", court.Text(j.Leaf))
	s := subjectOf(j.Leaf)
	m, err := k.members.Get(ctx, memberKeyOf(s.judges(j.Epoch), who))
	gone := errors.Is(err, collections.ErrNotFound) // its stream is judged without it
	if err != nil && !gone || m.Fraud {
		return err
	}
	all, err := k.court.Judgements(ctx, j.Epoch, who)
	if err != nil {
		return err
	}
	var wrong, before []courtv1.LeafRef // before: without this one
	for _, other := range all {
		if !other.Mismatch || subjectOf(other.Leaf) != s {
			continue
		}
		if wrong = append(wrong, other.Leaf); other.Leaf != j.Leaf {
			before = append(before, other.Leaf)
		}
	}
	ofNode, ofAll := sameNode(wrong, j.Leaf.Node), len(wrong)
	why := ""
	switch {
	case gone && isFraud(before):
		return nil // it was punished when it became one
	case ofNode >= sprintv1.NamesPerNode:
		why = fmt.Sprintf("fraud: %d forged leaves of node %s proven in epoch %d", ofNode,
			j.Leaf.Node, j.Epoch)
	case ofAll >= sprintv1.FraudOfAll:
		why = fmt.Sprintf("fraud: %d forged leaves proven in epoch %d", ofAll, j.Epoch)
	default:
		return nil
	}
	if !gone {
		m.Fraud = true
		if err := k.convict(ctx, s.judges(j.Epoch), m); err != nil {
			return err
		}
	}
	emit(ctx, "fraud", "participant", who, "reason", why)
	return k.court.Punish(ctx, who, courtv1.OffenceFraud, why)
}

// sameNode counts leaves of a node.
func sameNode(leaves []courtv1.LeafRef, node string) (n int) {
	for _, l := range leaves {
		if l.Node == node {
			n++
		}
	}
	return n
}

// isFraud: so many proven leaves of one node, or of all, are no accident.
func isFraud(wrong []courtv1.LeafRef) bool {
	return len(wrong) >= sprintv1.FraudOfAll || slices.ContainsFunc(wrong,
		func(l courtv1.LeafRef) bool { return sameNode(wrong, l.Node) >= sprintv1.NamesPerNode })
}

// fraudulent is isFraud for what is known of nodes.
func fraudulent(nodes []audit.Node) bool {
	all := uint64(0)
	for _, n := range nodes {
		if all += n.Wrong; n.Wrong >= sprintv1.NamesPerNode || all >= sprintv1.FraudOfAll {
			return true
		}
	}
	return false
}

// Judged applies a judgement to the one who asked for it, or to the voter who was accused.
func (k *Keeper) Judged(ctx context.Context, c courtv1.Claim, j courtv1.Judgement) (upheld bool,
	accused string, err error) {
	heard := court.HeardIn(c)
	if c.Voter == "" {
		if j.Mismatch || c.Source == courtv1.SourceChain {
			return true, "", nil
		}
		if c.Source == courtv1.SourceVerdict {
			err = k.provenFalse(ctx, heard, c.Claimant, fmt.Sprintf("named the honest leaf %s "+
				"a mismatch (refuted at block %d)", court.Text(c.Leaf), height(ctx)))
		}
		return false, c.Leaf.Participant, err
	}
	e, err := k.epochs.Get(ctx, heard)
	if err != nil {
		return false, "", err
	}
	shown, at, ok, err := k.openedMiddle(ctx, e, c.Voter, c.Leaf)
	if err != nil || !ok {
		return true, "", err // refused when it was raised
	}
	want := seed.Middle(chainID(ctx), heard, c.Voter, c.Leaf.Participant, c.Leaf.Node,
		c.Leaf.Segment, c.Leaf.Nonce, [32]byte(j.Middle))
	if bytes.Equal(shown, want[:]) {
		return false, c.Voter, nil
	}
	return true, "", k.wrongMiddle(ctx, heard, c.Voter, at, c.Leaf, c.Claimant)
}

// wrongMiddle notes a middle digest that its unit does not give. One takes the credit of the epoch
// and the votes; as many as hardware does not explain are a false verdict.
func (k *Keeper) wrongMiddle(ctx context.Context, epoch uint64, voter string, at uint32,
	leaf courtv1.LeafRef, finder string) error {
	m, err := k.members.Get(ctx, memberKeyOf(epoch, voter))
	if err != nil || slices.Contains(m.WrongMiddles, at) {
		return err
	}
	m.WrongMiddles = append(m.WrongMiddles, at)
	slices.Sort(m.WrongMiddles)
	m.FalseReason = fmt.Sprintf("opened a middle digest for leaf %s that the unit does not give: "+
		"it was not re-run", court.Text(leaf))
	if err := k.setMember(ctx, epoch, m); err != nil {
		return err
	}
	if len(m.WrongMiddles) < falseMiddles {
		return nil
	}
	return k.provenFalse(ctx, epoch, voter, m.FalseReason, finder)
}

// provenFalse takes a voter out of the epoch; finders disputed what it said.
func (k *Keeper) provenFalse(ctx context.Context, epoch uint64, voter, why string,
	finders ...string) error {
	m, err := k.members.Get(ctx, memberKeyOf(epoch, voter))
	if err != nil || m.ProvenFalse {
		return err
	}
	m.ProvenFalse, m.FalseReason = true, why
	if err := k.convict(ctx, epoch, m); err != nil {
		return err
	}
	emit(ctx, "verdict_refuted", "participant", voter, "reason", why)
	return k.court.Punish(ctx, voter, courtv1.OffenceFalseVerdict, why, finders...)
}

// convict stores a member that was proven wrong for the first time. Nothing is expected of it any
// longer, so no phase waits for it.
func (k *Keeper) convict(ctx context.Context, epoch uint64, m sprintv1.Member) error {
	was, err := k.members.Get(ctx, memberKeyOf(epoch, m.Participant))
	if err != nil {
		return err
	}
	for _, s := range subjects {
		r, err := k.of[s].verdicts.Get(ctx, memberKeyOf(epoch, m.Participant))
		if err != nil && !errors.Is(err, collections.ErrNotFound) {
			return err
		}
		if convicted(was) {
			break
		}
		if err := k.note(ctx, func(p *sprintv1.Progress) {
			switch {
			case len(r.Hash) > 0 && r.RevealHeight == 0:
				p.Committed--
			case r.Leaves > 0 && r.OpenHeight == 0:
				p.ChecksOwed--
			}
		}); err != nil {
			return err
		}
	}
	return k.setMember(ctx, epoch, m)
}

// openedMiddle finds the 8 bytes that a voter opened for a leaf, and their place among those drawn
// of it; of its verdict on streams the places go on behind those of the other.
func (k *Keeper) openedMiddle(ctx context.Context, e sprintv1.Epoch, voter string,
	leaf courtv1.LeafRef) (middle []byte, at uint32, ok bool, err error) {
	s := subjectOf(leaf)
	r, err := k.of[s].verdicts.Get(ctx, memberKeyOf(e.Number, voter))
	if errors.Is(err, collections.ErrNotFound) || err == nil && r.OpenHeight == 0 {
		return nil, 0, false, nil
	} else if err != nil {
		return nil, 0, false, err
	}
	d, err := k.docketOf(ctx, e, s, voter)
	if err != nil {
		return nil, 0, false, err
	}
	leaves, err := d.leavesAt(ctx, r.Body.Votes, checks(chainID(ctx), e, s, r))
	if err != nil {
		return nil, 0, false, err
	}
	if i := slices.Index(leaves, leaf); i >= 0 {
		return r.Opened[8*i : 8*i+8], uint32(i) + uint32(s)*middleChecks, true, nil
	}
	return nil, 0, false, nil
}
