// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
)

// record returns a member's part in the validation as far as its step of a phase finds it: the step
// before is done, and this one is not. The same answers whether a message is owed and whether it is
// taken.
func (k *Keeper) record(ctx context.Context, e sprintv1.Epoch, s subject, voter string,
	phase sprintv1.Phase) (sprintv1.VerdictRecord, error) {
	if e.Phase != phase {
		return sprintv1.VerdictRecord{}, ErrPhase.Wrapf("this is taken in %s; epoch %d is in %s",
			phase.Word(), e.Number, e.Phase.Word())
	}
	r, err := k.of[s].verdicts.Get(ctx, memberKeyOf(e.Number, voter))
	if errors.Is(err, collections.ErrNotFound) {
		return r, ErrNotDrawn.Wrapf("no %s fell to %s to judge in epoch %d", s.word(), voter,
			e.Number)
	} else if err != nil {
		return r, err
	}
	switch phase {
	case sprintv1.PhaseValidate:
		if len(r.Hash) > 0 {
			err = ErrDone.Wrapf("%s has committed its verdict already", voter)
		}
	case sprintv1.PhaseReveal:
		if len(r.Hash) == 0 {
			err = ErrNotDrawn.Wrapf("%s committed to no verdict", voter)
		} else if r.RevealHeight > 0 {
			err = ErrDone.Wrapf("%s has revealed its verdict already", voter)
		}
	case sprintv1.PhaseCheck:
		if len(checks(chainID(ctx), e, s, r)) == 0 {
			err = ErrNotDrawn.Wrapf("no middle digests of %s are drawn; the beacon of epoch %d "+
				"may still be awaited", voter, e.Number)
		} else if r.OpenHeight > 0 {
			err = ErrDone.Wrapf("%s has opened its middle digests already", voter)
		}
	}
	return r, err
}

// CommitVerdict hides a member's verdict until all have committed.
func (s msgServer) CommitVerdict(ctx context.Context,
	msg *sprintv1.MsgCommitVerdict) (*sprintv1.MsgCommitVerdictResponse, error) {
	e, err := s.running(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	of := about(msg.Stream)
	r, err := s.record(ctx, e, of, msg.Participant, sprintv1.PhaseValidate)
	if err != nil {
		return nil, err
	}
	if len(msg.Hash) != 32 {
		return nil, ErrInvalid.Wrapf("hash has %d bytes; want 32", len(msg.Hash))
	}
	r.Hash, r.CommitHeight = msg.Hash, height(ctx)
	if err := s.note(ctx, func(p *sprintv1.Progress) { p.Committed++ }); err != nil {
		return nil, err
	}
	return &sprintv1.MsgCommitVerdictResponse{},
		s.of[of].verdicts.Set(ctx, memberKeyOf(e.Number, msg.Participant), r)
}

// RevealVerdict shows a verdict and puts every leaf it names before the court.
func (s msgServer) RevealVerdict(ctx context.Context,
	msg *sprintv1.MsgRevealVerdict) (*sprintv1.MsgRevealVerdictResponse, error) {
	e, err := s.running(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	of := about(msg.Stream)
	r, err := s.record(ctx, e, of, msg.Participant, sprintv1.PhaseReveal)
	if err != nil {
		return nil, err
	}
	if len(msg.Salt) != 32 || len(msg.Body) > sprintv1.MaxVerdictBytes {
		return nil, ErrInvalid.Wrapf("salt of %d and body of %d bytes; want 32 and at most %d",
			len(msg.Salt), len(msg.Body), sprintv1.MaxVerdictBytes)
	}
	gas(ctx, uint64(len(msg.Body))*sprintv1.GasVerdictByte+sprintv1.GasVerdict, "verdict")
	if h := seed.VerdictCommit(chainID(ctx), e.Number, of.round(), msg.Participant,
		seed.From(msg.Salt), msg.Body); !bytes.Equal(h[:], r.Hash) {
		return nil, ErrInvalid.Wrap("the reveal does not match what was committed to")
	}
	body, err := readBody(msg.Body)
	if err != nil {
		return nil, ErrInvalid.Wrapf("verdict: %v", err)
	}
	gas(ctx, uint64(len(body.Mismatches))*sprintv1.GasClaim, "named leaves")
	d, err := s.docketOf(unmetered(ctx), e, of, msg.Participant)
	if err != nil {
		return nil, err
	}
	named, err := checkVerdict(ruleOf(e.Params), body, d.owed,
		func(i int) (sprintv1.Duty, []courtv1.LeafRef, error) { return d.duty(unmetered(ctx), i) })
	if err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	for _, leaf := range named {
		claim := courtv1.Claim{Claimant: msg.Participant, Source: courtv1.SourceVerdict, Leaf: leaf}
		if err := s.file(ctx, e, claim); err != nil {
			return nil, err
		}
	}
	r.RevealHeight, r.Body, r.Leaves = height(ctx), &body, uint32(rerun(d.owed, body.Votes))
	if err := s.note(ctx, func(p *sprintv1.Progress) {
		p.Revealed++
		if r.Leaves > 0 {
			p.ChecksOwed++
		}
	}); err != nil {
		return nil, err
	}
	return &sprintv1.MsgRevealVerdictResponse{},
		s.of[of].verdicts.Set(ctx, memberKeyOf(e.Number, msg.Participant), r)
}

// readBody decodes the body of a verdict, which has one encoding.
func readBody(raw []byte) (sprintv1.VerdictBody, error) {
	var body sprintv1.VerdictBody
	if err := body.Unmarshal(raw); err != nil {
		return body, err
	}
	if again, err := body.Marshal(); err != nil || !bytes.Equal(again, raw) {
		return body, errors.New("not in canonical form, or it carries more than a verdict")
	}
	return body, nil
}

// maxVerdictMismatch bounds the leaves that a verdict names.
const maxVerdictMismatch = 4096

// checkVerdict holds a revealed verdict against what its voter had to judge, and returns the leaves
// that it names. A fail must name enough to be one, so that a false one cannot be had without
// naming honest leaves. What a duty's leaves are is asked only where some are named.
func checkVerdict(rule audit.Rule, body sprintv1.VerdictBody, owed []owed,
	duty func(i int) (mine sprintv1.Duty, drawn []courtv1.LeafRef,
		err error)) (named []courtv1.LeafRef, err error) {
	if n := len(body.Votes); n > len(owed) || n > 0 && body.Votes[n-1] == 0 {
		return nil, fmt.Errorf("%d votes on %d duties; those left out at the end are not written",
			n, len(owed))
	}
	if len(body.Mismatches) > maxVerdictMismatch {
		return nil, fmt.Errorf("%d mismatches named, at most %d", len(body.Mismatches),
			maxVerdictMismatch)
	}
	left := body.Mismatches
	for i, vote := range body.Votes {
		n := 0
		for n < len(left) && int(left[n].Duty) == i {
			n++
		}
		names, err := checkVote(rule, sprintv1.Vote(vote), left[:n], int(owed[i].leaves),
			func() (sprintv1.Duty, []courtv1.LeafRef, error) { return duty(i) })
		if err != nil {
			return nil, fmt.Errorf("duty %d: %w", i, err)
		}
		named, left = append(named, names...), left[n:]
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("mismatch %d is of duty %d, which has no vote, or is out of order",
			len(body.Mismatches)-len(left), left[0].Duty)
	}
	if judged := rerun(owed, body.Votes); judged > 0 && len(body.Middles) != 32 || judged == 0 &&
		len(body.Middles) != 0 {
		return nil, fmt.Errorf("root of middle digests of %d bytes over %d leaves; want 32, and "+
			"none where nothing is judged", len(body.Middles), judged)
	}
	return named, nil
}

// checkVote checks what is said of one duty of so many leaves.
func checkVote(rule audit.Rule, vote sprintv1.Vote, names []sprintv1.Mismatch, leaves int,
	read func() (sprintv1.Duty, []courtv1.LeafRef, error)) (named []courtv1.LeafRef, err error) {
	for i, m := range names {
		if int(m.Leaf) >= leaves || i > 0 && m.Leaf <= names[i-1].Leaf {
			return nil, fmt.Errorf("leaf %d is named, which has %d; they are named rising",
				m.Leaf, leaves)
		}
	}
	switch vote {
	case sprintv1.VoteUnspecified, sprintv1.VoteAbstain:
		if len(names) > 0 {
			return nil, errors.New("an abstention names leaves")
		}
		return nil, nil
	case sprintv1.VotePass, sprintv1.VoteFail:
	default:
		return nil, fmt.Errorf("vote %d is unknown", vote)
	}
	if len(names) == 0 && vote == sprintv1.VotePass {
		return nil, nil
	}
	duty, drawn, err := read()
	if err != nil {
		return nil, err
	}
	nodes := map[string]uint64{}
	for _, m := range names {
		leaf := duty.Leaves[m.Leaf]
		if nodes[leaf.Node]++; nodes[leaf.Node] > sprintv1.NamesPerNode {
			return nil, fmt.Errorf("more than %d mismatches named of node %s of %s",
				sprintv1.NamesPerNode, leaf.Node, duty.Target)
		}
		named = append(named, leaf)
	}
	if vote == sprintv1.VoteFail && passes(rule, drawn, nodes) {
		return nil, fmt.Errorf("a fail on %s names %d leaves, which is within what faulty "+
			"hardware does; it must name what it rests on", duty.Target, len(names))
	}
	return named, nil
}

// passes applies the fault rule to what a voter named of a target's drawn leaves.
func passes(rule audit.Rule, drawn []courtv1.LeafRef, named map[string]uint64) bool {
	var nodes []audit.Node
	for _, l := range drawn {
		if n := len(nodes); n == 0 || nodes[n-1].ID != l.Node {
			nodes = append(nodes, audit.Node{ID: l.Node, Wrong: named[l.Node]})
		}
		nodes[len(nodes)-1].Drawn++
	}
	_, _, _, pass := rule.Judge(nodes)
	return pass
}

// OpenMiddles opens the middle digests that the beacon drew of a verdict, once.
func (s msgServer) OpenMiddles(ctx context.Context,
	msg *sprintv1.MsgOpenMiddles) (*sprintv1.MsgOpenMiddlesResponse, error) {
	e, err := s.running(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	of := about(msg.Stream)
	r, err := s.record(ctx, e, of, msg.Participant, sprintv1.PhaseCheck)
	if err != nil {
		return nil, err
	}
	positions := checks(chainID(ctx), e, of, r)
	switch {
	case len(msg.Middles) != 8*len(positions):
		return nil, ErrInvalid.Wrapf("%d bytes of middle digests; want 8 for each of %d leaves",
			len(msg.Middles), len(positions))
	case len(msg.Proof)%32 != 0 ||
		len(msg.Proof)/32 > commit.MultiSize(uint64(r.Leaves), len(positions)):
		return nil, ErrInvalid.Wrapf("proof of %d bytes", len(msg.Proof))
	}
	gas(ctx, uint64(len(msg.Middles)+len(msg.Proof))/32*sprintv1.GasProofHash, "middle digests")
	hashes := make([]commit.Hash, len(positions))
	for i := range positions {
		hashes[i] = commit.LeafHash(msg.Middles[8*i : 8*i+8])
	}
	proof := make([]commit.Hash, len(msg.Proof)/32)
	for i := range proof {
		proof[i] = commit.Hash(msg.Proof[32*i:])
	}
	if err := commit.VerifyMulti(commit.Hash(r.Body.Middles), uint64(r.Leaves), positions,
		hashes, proof); err != nil {
		return nil, ErrInvalid.Wrapf("middle digests: %v", err)
	}
	r.Opened, r.OpenHeight = msg.Middles, height(ctx)
	if err := s.note(ctx, func(p *sprintv1.Progress) { p.ChecksDone++ }); err != nil {
		return nil, err
	}
	return &sprintv1.MsgOpenMiddlesResponse{},
		s.of[of].verdicts.Set(ctx, memberKeyOf(e.Number, msg.Participant), r)
}

// Dispute puts an opened leaf, or a middle digest that a voter opened, before the court.
func (s msgServer) Dispute(ctx context.Context,
	msg *sprintv1.MsgDispute) (*sprintv1.MsgDisputeResponse, error) {
	e, err := s.running(ctx, msg.Epoch)
	if err != nil {
		return nil, err
	}
	if err := disputable(e, height(ctx)); err != nil {
		return nil, err
	}
	gas(ctx, sprintv1.GasClaim, "disputed leaf")
	// how much the accused opened is theirs to decide, within bounds
	of := subjectOf(msg.Leaf).epoch(e.Number)
	if _, ok, err := s.Exhibit(unmetered(ctx), of, msg.Leaf); err != nil {
		return nil, err
	} else if !ok {
		return nil, ErrInvalid.Wrapf("leaf %s was not drawn and opened in epoch %d",
			court.Text(msg.Leaf), e.Number)
	}
	if msg.Voter != "" {
		if _, _, ok, err := s.openedMiddle(unmetered(ctx), e, msg.Voter, msg.Leaf); err != nil {
			return nil, err
		} else if !ok {
			return nil, ErrInvalid.Wrapf("%s opened no middle digest for leaf %s", msg.Voter,
				court.Text(msg.Leaf))
		}
	}
	return &sprintv1.MsgDisputeResponse{},
		s.file(ctx, e, courtv1.Claim{Leaf: msg.Leaf, Claimant: msg.Participant,
			Source: courtv1.SourceDispute, Voter: msg.Voter})
}

// disputable: disputes are taken from the reveal's end to the end of the dispute window.
func disputable(e sprintv1.Epoch, h int64) error {
	if e.Phase == sprintv1.PhaseCheck || e.Phase == sprintv1.PhaseDispute &&
		h <= e.Round.DisputeUntil {
		return nil
	}
	return ErrPhase.Wrapf(
		"disputes are taken in check and in the dispute window; epoch %d is in %s",
		e.Number, e.Phase.Word())
}
