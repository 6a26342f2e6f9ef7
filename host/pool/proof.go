// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
)

// Proof takes the openings of a round and checks them. It answers with the
// receipt, or with more questions.
func (p *Pool) Proof(ctx context.Context, q mpocv1.ProofRequest) (mpocv1.ProofAnswer, error) {
	none := mpocv1.ProofAnswer{}
	lived := p.lived()
	r, err := p.find(q.ChallengeID, q.Token)
	if err != nil {
		return none, err
	}
	unlock, err := p.turn(r.Terms.DeviceKey)
	if err != nil {
		return none, err
	}
	defer unlock()
	if r, err = p.find(q.ChallengeID, q.Token); err != nil {
		return none, err
	}
	switch {
	case r.Phase == offered:
		return none, refuse(mpocv1.CodeNoChallenge, "commit first: "+mpocv1.PathCommits,
			"nothing was committed for this challenge")
	case q.Seed != r.Terms.Seed || q.Commit != r.Commit:
		return none, refuse(mpocv1.CodeBadOpening, "send the commit that was taken",
			"not the commit that was taken: root %s, %d loops", r.Commit.MerkleRoot, r.Commit.Loops)
	}
	proof := q.Proof()
	if err := proof.VerifySignature(r.log(), r.Draw, q.DeviceSignature); err != nil {
		return none, err
	}
	d, account, err := p.known(r.Terms.DeviceKey)
	switch {
	case r.Phase == judged:
		return mpocv1.ProofAnswer{Receipt: r.Receipt}, nil
	case err != nil:
		return none, err
	case r.Verdict != nil:
		receipt, err := p.judge(&d, &r, *r.Verdict, r.Why)
		return mpocv1.ProofAnswer{Receipt: receipt}, err
	case over(&r, lived):
		if err := p.unanswered(&d, &r); err != nil {
			return none, err
		}
		return mpocv1.ProofAnswer{Receipt: r.Receipt}, nil
	case proof.Round < r.Round: // an answer that was lost on its way
		return mpocv1.ProofAnswer{More: p.more(&r)}, nil
	case proof.Round > r.Round:
		return none, refuse(mpocv1.CodeBadOpening, "answer the questions in turn",
			"round %d is asked, not %d", r.Round, proof.Round)
	}
	questions := r.Draw.Questions(r.log())
	if err := questions.Verify(proof); err != nil {
		return none, err
	}
	// A key with pay to lose, or that has worked recently, waits behind no crowd of
	// new ones.
	newcomer := d.Wary > 0 && account.Locked.IsZero() || p.standing(&d) == 0
	wrong, err := p.recompute(ctx, questions, proof, len(r.Wrong), newcomer)
	switch {
	case errors.Is(err, context.Canceled): // who hangs up has the time that he had
		return none, err
	case err != nil && !r.Held: // once, or it would stay open as long as somebody pleases
		r.Until, r.Held = p.lived()+uint64(heldTime.Milliseconds()), true
		return none, errors.Join(err, p.state.save(r.Terms.DeviceKey, &d, &r))
	case err != nil:
		return none, err
	}
	r.Held = false
	r.Samples, r.Wrong = append(r.Samples, wrong.Samples...), append(r.Wrong, wrong.Tiles...)
	outcome, decided := questions.Outcome(r.Round+1, len(r.Samples), len(r.Wrong))
	d.Seen = p.now()
	if !decided {
		r.Round++
		r.Until = p.lived() + uint64(answerTime.Milliseconds())
		if err := p.state.save(r.Terms.DeviceKey, &d, &r); err != nil {
			return none, err
		}
		return mpocv1.ProofAnswer{More: p.more(&r)}, nil
	}
	receipt, err := p.judge(&d, &r, outcome, reason(outcome, len(r.Samples), len(r.Wrong)))
	if err != nil {
		return none, err
	}
	return mpocv1.ProofAnswer{Receipt: receipt}, nil
}

func (p *Pool) more(r *record) *mpocv1.More {
	return &mpocv1.More{Round: r.Round, Picks: r.Draw.Questions(r.log()).Picks(r.Round),
		Deadline: p.until(r.Until)}
}

// recompute waits for a core and looks. A key without accepted work, or with a
// recent finding, is a newcomer. ctx is for the wait only: who hangs up while his
// work is checked gets the verdict all the same, and does not make the host look
// twice. Errors are of the kind *mpocv1.Error: the host could not look; or
// context.Canceled: nobody waited any longer.
func (p *Pool) recompute(ctx context.Context, q mpoc.Questions, proof mpoc.Proof, before int,
	newcomer bool) (mpoc.Wrong, error) {
	busy := func() error {
		e := refuse(mpocv1.CodeBusy, "send the same again",
			"no core was free for the audit in time")
		e.RetryAfterMS = 1000
		return e
	}
	turns := []chan struct{}{p.audits}
	if newcomer {
		select {
		case p.waiting <- struct{}{}:
			defer func() { <-p.waiting }()
		default:
			return mpoc.Wrong{}, busy()
		}
		turns = []chan struct{}{p.newcomers, p.audits}
	}
	for _, turn := range turns {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
			continue
		default:
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return mpoc.Wrong{}, ctx.Err()
			}
			return mpoc.Wrong{}, busy()
		}
	}
	audit, cancel := context.WithTimeout(p.ended, requestTime)
	defer cancel()
	wrong, err := p.look(audit, q, proof, before)
	if err != nil {
		p.log.Error("a submission could not be audited; it stays open", "err", err)
		e := refuse(mpocv1.CodeBusy, "send the same again", "the host could not check it now; it "+
			"stays open until it can")
		e.RetryAfterMS = 2000
		return mpoc.Wrong{}, e
	}
	return wrong, nil
}
