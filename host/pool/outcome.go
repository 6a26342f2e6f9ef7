// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
)

func reason(o mpoc.Outcome, samples, tiles int) string {
	switch o.Status {
	case mpoc.Accepted:
		return fmt.Sprintf("all %d tiles looked at are right", o.Checked)
	case mpoc.Faulty:
		return fmt.Sprintf("%d of %d tiles and %d loops are wrong: a faulty device; test it",
			tiles, o.Checked, samples)
	}
	return fmt.Sprintf("of %d tiles drawn at least %d are wrong: forged", o.Checked, tiles)
}

// unanswered judges a commit whose questions nobody answered.
func (p *Pool) unanswered(d *device, r *record) error {
	why := fmt.Sprintf("no answer to round %d that holds before the deadline", r.Round)
	if r.Held {
		why = fmt.Sprintf("the host could not check the answer to round %d, and it did not come "+
			"again within %v", r.Round, heldTime)
	}
	_, err := p.judge(d, r, mpoc.NoAnswer(), why)
	return err
}

// judge enters an outcome into the ledger and gives the receipt. Doing it again
// after a crash in between has the same effect once.
func (p *Pool) judge(d *device, r *record, o mpoc.Outcome, why string) (*mpoc.Receipt, error) {
	key := r.Terms.DeviceKey
	if r.Verdict == nil {
		r.Verdict, r.Why = &o, why
		if err := p.state.save(key, d, r); err != nil {
			return nil, err
		}
	}
	now := p.clock.Wall()
	source := r.Terms.ChallengeID.String()
	entry := ledger.Entry{Device: ledger.Device(key), Kind: ledger.Loops, Source: source,
		Order: r.Terms.Issued, Ops: o.Ops, At: now.UnixMilli()}
	// By the rules that the machine worked under, whatever they are today.
	books := p.c.Ledger.Under(ledger.Rules{Unlock: uint64(r.Terms.UnlockAfter),
		Strikes: int(r.Terms.BanAfter)})
	var entered ledger.Entry
	var err error
	if entry.Pay, err = ledger.ParseAmount(string(o.Pay)); err != nil {
		return nil, err
	}
	switch o.Status {
	case mpoc.Accepted, mpoc.Faulty:
		if _, err = books.Account(entry.Device); errors.Is(err, ledger.ErrUnknown) {
			_, err = books.Register(entry.Device, d.Registration.Payout, now)
		}
		if err != nil {
			return nil, err
		}
	}
	switch o.Status {
	case mpoc.Accepted:
		entered, err = books.Credit(entry)
	case mpoc.Faulty:
		entered, err = books.CreditFaulty(entry, o.BadShare, why)
	case mpoc.Rejected:
		entered, err = books.Forfeit(entry.Device, entry.Kind, source, why, now)
	case mpoc.Failed:
		entered, err = books.Silence(entry.Device, entry.Kind, source, why, now)
	case mpoc.Late:
		// Nothing is entered: it was never looked at.
	}
	if errors.Is(err, ledger.ErrUnknown) {
		err = nil // nothing to lose, nothing to enter; the pool counts it
	}
	if errors.Is(err, ledger.ErrBanned) { // for something else, meanwhile
		entered, err = books.Silence(entry.Device, entry.Kind, source, err.Error(), now)
	}
	if err != nil {
		return nil, err
	}
	receipt := mpoc.Receipt{
		Version: mpoc.ReceiptVersion, Terms: r.Terms, TermsSignature: r.Signature,
		Commit: r.Commit, CommitSignature: r.CommitSig,
		Outcome: o, Reason: why, Committed: r.Committed, Entry: entered.Number,
	}
	if o.Status != mpoc.Late {
		draw := r.Draw
		receipt.Draw = &draw
	}
	if o.Status != mpoc.Late && o.Status != mpoc.Failed {
		receipt.Proved = max(uint64(now.UnixMilli()), r.Committed)
		receipt.SetWrong(mpoc.Wrong{Samples: r.Samples, Tiles: r.Wrong})
	}
	receipt.Sign(p.c.HostKey)
	d.Live = nil
	d.Judged++
	r.Phase, r.Receipt, r.Number, r.Ended = judged, &receipt, d.Judged, p.lived()
	p.mark(d, r, o)
	if err := p.state.save(key, d, r); err != nil {
		return nil, err
	}
	log := p.log.Info
	if o.Status == mpoc.Rejected || o.Status == mpoc.Faulty {
		log = p.log.Warn
	}
	log("submission judged", "key", key.String(), "status", string(o.Status), "loops",
		r.Commit.Loops, "pay", string(o.Pay), "reason", why)
	return &receipt, nil
}

// mark counts an outcome and learns from it.
func (p *Pool) mark(d *device, r *record, o mpoc.Outcome) {
	var field *uint64
	switch o.Status {
	case mpoc.Accepted:
		field = &d.Accepted
		d.Wary = max(d.Wary-1, 0)
		rate := p.rate(r.log(), r.Elapsed)
		d.Rate, d.Slower = max(rate, d.Rate-d.Rate/8), 0
	case mpoc.Faulty:
		field = &d.Faulty
	case mpoc.Rejected:
		field = &d.Rejected
	case mpoc.Failed:
		field = &d.Failed
	default:
		field = &d.Late
	}
	*field++
	if field == &d.Accepted {
		p.accept(d, o.Ops)
	}
	if o.Status == mpoc.Rejected {
		p.lose(d)
	}
	if o.Status != mpoc.Accepted && o.Status != mpoc.Late {
		d.Wary = wary
	}
	if o.Status != mpoc.Accepted {
		d.Reason = r.Receipt.Reason
	}
	p.count(func(t *totals) {
		t.ops += o.Ops
		switch o.Status {
		case mpoc.Accepted:
			t.accepted++
		case mpoc.Faulty:
			t.faulty++
		case mpoc.Rejected:
			t.rejected++
		case mpoc.Failed:
			t.failed++
		default:
			t.late++
		}
	})
}

// accept counts work that was accepted, and its operations towards the standing.
func (p *Pool) accept(d *device, ops uint64) {
	if d.Accepted == 1 {
		p.count(func(t *totals) { t.unproven-- })
	}
	if fresh := p.raise(d, ops); fresh && p.c.Admitted != nil {
		p.c.Admitted(d.Registration.DeviceKey, d.Registration)
	}
}

func (p *Pool) count(f func(*totals)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.totals)
}

// Countersign takes a device's signature under its receipt.
func (p *Pool) Countersign(_ context.Context, q mpocv1.ReceiptRequest) (mpocv1.ReceiptAnswer,
	error) {
	none := mpocv1.ReceiptAnswer{}
	r, err := p.receipt(q)
	if err != nil {
		return none, err
	}
	unlock, err := p.turn(r.Terms.DeviceKey)
	if err != nil {
		return none, err
	}
	defer unlock()
	if r, err = p.receipt(q); err != nil {
		return none, err
	}
	d, _, err := p.state.device(r.Terms.DeviceKey)
	if err != nil {
		return none, err
	}
	sig := q.DeviceSignature
	r.Receipt.DeviceSignature = &sig
	return mpocv1.ReceiptAnswer{Entry: r.Receipt.Entry}, p.state.save(r.Terms.DeviceKey, &d, &r)
}

// receipt finds the challenge whose receipt a device signs back.
func (p *Pool) receipt(q mpocv1.ReceiptRequest) (record, error) {
	r, known, err := p.state.challenge(q.ChallengeID)
	if err != nil {
		return r, err
	}
	if !known || r.Receipt == nil || r.Receipt.Digest() != q.Receipt {
		return r, refuse(mpocv1.CodeNoChallenge, "fetch the receipt again: "+mpocv1.PathFind,
			"this host gave no such receipt")
	}
	return r, r.Receipt.VerifyCountersign(q.DeviceSignature)
}

// Find gives a key the receipt of its challenge again: the one that was given,
// once it was. Of challenges of others it says no more than of unknown ones.
func (p *Pool) Find(_ context.Context, q mpocv1.FindRequest) (mpocv1.FindAnswer, error) {
	none := mpocv1.FindAnswer{}
	if err := p.asking(q.Asking, q.Signature); err != nil {
		return none, err
	}
	key, id := q.Asking.DeviceKey, *q.Asking.ChallengeID // which Valid wants
	unlock, err := p.turn(key)                           // behind an audit of it that is under way
	if err != nil {
		return none, err
	}
	defer unlock()
	r, known, err := p.state.challenge(id)
	if err != nil {
		return none, err
	}
	if !known || r.Terms.DeviceKey != key {
		return none, refuse(mpocv1.CodeNoChallenge, "ask for a new challenge",
			"this key has no challenge %s: nothing was committed in time, or it is more than %d "+
				"days old", id, keepJudged/(24*time.Hour))
	}
	if r.Phase == committed { // its time may be over
		d, _, err := p.state.device(key)
		if err != nil {
			return none, err
		}
		if _, err := p.live(&d); err != nil {
			return none, err
		}
		if r, _, err = p.state.challenge(id); err != nil {
			return none, err
		}
	}
	switch r.Phase {
	case judged:
		return mpocv1.FindAnswer{Receipt: *r.Receipt}, nil
	case committed:
		return none, refuse(mpocv1.CodeNotJudged, "answer its questions: "+mpocv1.PathProofs,
			"round %d waits for an answer for another %d ms", r.Round,
			ends(&r)-min(ends(&r), p.lived()))
	}
	return none, refuse(mpocv1.CodeNotJudged, "commit: "+mpocv1.PathCommits,
		"nothing was committed for this challenge")
}
