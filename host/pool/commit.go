// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/hmac"
	"math/big"
	"math/bits"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// find returns the challenge that a submission is about, with its device. The
// caller holds the key's lock. Nothing is said about a challenge to who does
// not bring its token.
func (p *Pool) find(id, token signed.Hash) (record, error) {
	r, known, err := p.state.challenge(id)
	if err != nil {
		return r, err
	}
	if !known {
		return r, refuse(mpocv1.CodeNoChallenge, "ask for a new challenge",
			"there is no challenge %s, or its time is over", id)
	}
	if want := p.token(r.Terms); !hmac.Equal(want[:], token[:]) {
		return r, refuse(mpocv1.CodeBadToken, "send the token that came with the challenge",
			"the token is not this challenge's")
	}
	return r, nil
}

// Commit takes the root of a log and draws what is checked. The same commit
// again gets the same answer.
func (p *Pool) Commit(_ context.Context, q mpocv1.CommitRequest) (mpocv1.CommitAnswer, error) {
	none := mpocv1.CommitAnswer{}
	now, lived := p.now(), p.lived() // before the wait for the lock
	r, err := p.find(q.ChallengeID, q.Token)
	if err != nil {
		return none, err
	}
	key := r.Terms.DeviceKey
	unlock, err := p.turn(key)
	if err != nil {
		return none, err
	}
	defer unlock()
	if r, err = p.find(q.ChallengeID, q.Token); err != nil {
		return none, err
	}
	l := mpoc.Log{Terms: r.Terms, Commit: q.Commit}
	if q.Seed != r.Terms.Seed {
		return none, refuse(mpocv1.CodeOutOfBounds, "send the challenge's seed",
			"the seed is not this challenge's")
	}
	if err := l.Verify(q.DeviceSignature); err != nil {
		return none, err
	}
	d, account, err := p.known(key)
	if err != nil {
		return none, err
	}
	if r.Phase != offered {
		if q.Commit != r.Commit {
			return none, p.twoFaces(&d, &r,
				mpoc.SignedCommit{Commit: q.Commit, Signature: q.DeviceSignature})
		}
		if r.Phase == judged {
			return none, refuse(mpocv1.CodeReplayed,
				"fetch its receipt, "+mpocv1.PathFind+", and ask for a new challenge",
				"this challenge is judged: %s", r.Receipt.Outcome.Status)
		}
		return drawn(&r), nil
	}
	late := over(&r, lived)
	if !late && q.Commit.Loops < r.Least {
		return none, p.tooShort(&d, &r, q.Commit.Loops)
	}
	r.Commit, r.CommitSig, r.Committed = q.Commit, q.DeviceSignature, arrived(r.Terms, now, late)
	r.Elapsed = elapsed(&r, now, lived)
	if late {
		if _, err := p.judge(&d, &r, mpoc.TooLate(), "the commit came after the challenge had "+
			"expired"); err != nil {
			return none, err
		}
		return none, refuse(mpocv1.CodeLate,
			"fetch its receipt, "+mpocv1.PathFind+", and ask for a new challenge",
			"the challenge expired %d ms ago", lived-r.Until)
	}
	r.Phase = committed
	r.Until = lived + uint64(answerTime.Milliseconds())
	r.Draw = mpoc.Draw{HostNonce: r.Nonce, AuditQ32: p.probability(&d, account, l, r.Elapsed),
		Deadline: max(now, r.Committed) + uint64(answerTime.Milliseconds())}
	r.DrawSig = r.Draw.Sign(l, p.c.HostKey)
	d.Seen = now
	if err := p.state.save(key, &d, &r); err != nil {
		return none, err
	}
	return drawn(&r), nil
}

func drawn(r *record) mpocv1.CommitAnswer {
	q := r.Draw.Questions(r.log())
	return mpocv1.CommitAnswer{Draw: r.Draw, Indices: q.Samples(), Picks: q.Picks(0),
		HostSignature: r.DrawSig}
}

// twoFaces keeps a second commit as evidence. The first one stands, so it gains
// nothing; it is refused with the reason.
func (p *Pool) twoFaces(d *device, r *record, second mpoc.SignedCommit) error {
	if len(r.Faces) == 0 {
		r.Faces = []mpoc.SignedCommit{second}
		d.Wary, d.Reason = wary, "two different commits for one challenge"
		if err := p.state.save(r.Terms.DeviceKey, d, r); err != nil {
			return err
		}
		p.log.Warn("a machine committed twice", "key", r.Terms.DeviceKey.String(), "challenge",
			r.Terms.ChallengeID.String())
	}
	return refuse(mpocv1.CodeTwoFaces, "the first commit stands; answer its questions",
		"another commit for this challenge was taken: root %s, %d loops", r.Commit.MerkleRoot,
		r.Commit.Loops)
}

// probability is how likely a submission is audited in full.
func (p *Pool) probability(d *device, account ledger.Account, l mpoc.Log, elapsed uint64) uint64 {
	gain := l.Terms.Pay(l.Commit.Loops * l.Terms.Shape.Matmul().Ops()).Big()
	locked, _ := new(big.Int).SetString(account.Locked.String(), 10) // an Amount is digits
	flags := 0
	if d.Rate > 0 && p.rate(l, elapsed) > d.Rate+d.Rate/2 {
		flags++ // much faster than ever before
	}
	if claimed := uint64(l.Commit.ComputeTime); claimed > elapsed || 4*claimed < elapsed &&
		elapsed > l.Terms.DurationMS*2 {
		flags++ // a time that cannot be, or that does not explain the loops
	}
	if d.Wary > 0 {
		flags++
	}
	return p.c.Rule.Probability(gain, locked, flags)
}

// rate is operations a second as the host saw it.
func (p *Pool) rate(l mpoc.Log, elapsedMS uint64) uint64 {
	hi, lo := bits.Mul64(l.Commit.Loops*l.Terms.Shape.Matmul().Ops(), 1000)
	if elapsedMS = max(elapsedMS, 1); hi >= elapsedMS {
		return 1<<53 - 1
	}
	rate, _ := bits.Div64(hi, lo, elapsedMS)
	return min(rate, 1<<53-1)
}
