// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
)

// Nonce gives a key what it has to sign to register.
func (p *Pool) Nonce(_ context.Context, q mpocv1.NonceRequest) (mpocv1.NonceAnswer, error) {
	window := p.window()
	return mpocv1.NonceAnswer{
		Nonce: p.registrationNonce(q.DeviceKey, window), Expiry: p.until((window + 1) * uint64(nonceTime.Milliseconds())),
		Chain: p.c.Chain, HostKey: p.key,
	}, nil
}

// window numbers the spans of lived time in which a registration nonce is given
// out. It is accepted in the next one too.
func (p *Pool) window() uint64 { return p.lived() / uint64(nonceTime.Milliseconds()) }

// Register makes a key known, or renews what is known of it.
func (p *Pool) Register(_ context.Context, q mpocv1.RegisterRequest) (mpocv1.RegisterAnswer, error) {
	r := q.Registration
	if err := r.Verify(q.Signature); err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	if r.HostKey != p.key || r.Chain != p.c.Chain {
		return mpocv1.RegisterAnswer{}, refuse(mpocv1.CodeBadSignature, "ask this host for a nonce and sign what it answers", "signed for another host or chain")
	}
	if p.c.Payout != nil && r.Payout != "" {
		if err := p.c.Payout(r.Payout); err != nil {
			return mpocv1.RegisterAnswer{}, refuse(mpocv1.CodeOutOfBounds, "give an account of this chain, cpc1..., or none", "nothing can be paid to %.90q: %v", r.Payout, err)
		}
	}
	window := p.window()
	fresh := false
	for _, w := range []uint64{window, window - 1} {
		want := p.registrationNonce(r.DeviceKey, w)
		fresh = fresh || hmac.Equal(want[:], r.Nonce[:])
	}
	if !fresh {
		return mpocv1.RegisterAnswer{}, refuse(mpocv1.CodeReplayed, "ask for a new nonce", "the nonce is old, or was not given to this key")
	}
	unlock, err := p.turn(r.DeviceKey)
	if err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	defer unlock()
	// The account is made when there is something to enter.
	account, err := p.Standing(r.DeviceKey)
	if err == nil && account.Entries > 0 {
		account, err = p.c.Ledger.Register(ledger.Device(r.DeviceKey), r.Payout, p.clock.Wall())
	} else if err == nil && account.Banned {
		err = fmt.Errorf("%w: %s", ledger.ErrBanned, account.Reason)
	}
	if err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	d, known, err := p.state.device(r.DeviceKey)
	if err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	now := p.now()
	if r.RateOps != d.Registration.RateOps {
		d.Slower = 0
	}
	d.Registration, d.Seen = r, now
	if known {
		err = p.state.save(r.DeviceKey, &d, nil)
	} else if err = p.roomForNew(); err == nil {
		d.Since = p.lived()
		var excess int
		p.count(func(t *totals) { excess = t.unproven + 1 - maxUnproven })
		var forgot int
		if forgot, err = p.state.register(r.DeviceKey, &d, excess); err == nil {
			p.count(func(t *totals) { t.devices++; t.unproven++; t.forget(forgot) })
		}
	}
	if errors.Is(err, errCrowded) {
		e := refuse(mpocv1.CodeBusy, "send the same again", "very many machines that have shown no work are being looked at")
		e.RetryAfterMS = 10_000
		return mpocv1.RegisterAnswer{}, e
	} else if err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	if !known {
		p.log.Info("a machine registered", "key", r.DeviceKey.String(), "engine", r.Engine, "agent", r.Agent)
	}
	return mpocv1.RegisterAnswer{DeviceKey: r.DeviceKey, Now: now, Strikes: uint32(account.Strikes)}, nil
}

// asking checks that a key asks for itself, now, and not again.
func (p *Pool) asking(a mpoc.Asking, sig mpoc.Signature) error {
	if a.HostKey != p.key {
		return refuse(mpocv1.CodeBadSignature, "sign for this host's key", "asked of another host")
	}
	if err := a.Verify(sig); err != nil {
		return err
	}
	now := p.now()
	if d := max(a.Time, now) - min(a.Time, now); d > uint64(skew.Milliseconds()) {
		e := refuse(mpocv1.CodeClockSkew, "use the host's clock, which "+mpocv1.PathStatus+" shows", "the asking's time is %d s off", d/1000)
		e.RetryAfterMS = 1
		return e
	}
	// Keys cost nothing: of those that are not registered nothing is remembered.
	if _, known, err := p.state.device(a.DeviceKey); err != nil {
		return err
	} else if !known {
		return refuse(mpocv1.CodeUnknownDevice, "register first: "+mpocv1.PathNonce, "this host does not know key %s", a.DeviceKey)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.asked[a.DeviceKey]
	if last.Time > now+uint64(skew.Milliseconds()) {
		known = false // the host's clock was set back since: such an asking would be refused now
	}
	if known && (a.Time < last.Time || a.Time == last.Time && a.Count <= last.Count) {
		return refuse(mpocv1.CodeReplayed, "use a later time, or a higher count", "this was asked before")
	}
	if len(p.asked) > 1<<16 { // what is older than the skew is refused anyway
		for key, old := range p.asked {
			if old.Time+2*uint64(skew.Milliseconds()) < now {
				delete(p.asked, key)
			}
		}
	}
	p.asked[a.DeviceKey] = a
	return nil
}

// known returns a registered device that may work. The caller holds its lock.
func (p *Pool) known(key mpoc.Key) (device, ledger.Account, error) {
	d, known, err := p.state.device(key)
	if err != nil {
		return d, ledger.Account{}, err
	}
	if !known {
		return d, ledger.Account{}, refuse(mpocv1.CodeUnknownDevice, "register first: "+mpocv1.PathNonce, "this host does not know key %s", key)
	}
	account, err := p.Standing(key)
	switch {
	case err == nil && account.Banned:
		err = fmt.Errorf("%w: %s", ledger.ErrBanned, account.Reason)
	case err == nil && account.Payout == "" && d.Registration.Payout != "" && account.Entries > 0: // it was lost, and made anew
		account, err = p.c.Ledger.Register(ledger.Device(key), d.Registration.Payout, p.clock.Wall())
	}
	return d, account, err
}

// Standing is a key's account. One for which nothing was entered yet has none in
// the ledger, and is known by what the pool counted.
func (p *Pool) Standing(key mpoc.Key) (ledger.Account, error) {
	a, err := p.c.Ledger.Account(ledger.Device(key))
	if !errors.Is(err, ledger.ErrUnknown) {
		return a, err
	}
	d, _, err := p.state.device(key)
	a = ledger.Account{Device: ledger.Device(key), Payout: d.Registration.Payout, Strikes: int(d.Rejected), Banned: int(d.Rejected) >= p.c.Rules.Strikes}
	if d.Rejected > 0 {
		a.Reason = d.Reason
	}
	return a, err
}

// Challenge gives a key its challenge: the one it has, or a new one.
func (p *Pool) Challenge(_ context.Context, q mpocv1.ChallengeRequest) (mpocv1.Challenge, error) {
	if err := p.asking(q.Asking, q.Signature); err != nil {
		return mpocv1.Challenge{}, err
	}
	key := q.Asking.DeviceKey
	unlock, err := p.turn(key)
	if err != nil {
		return mpocv1.Challenge{}, err
	}
	defer unlock()
	d, _, err := p.known(key)
	if err != nil {
		return mpocv1.Challenge{}, err
	}
	r, err := p.live(&d)
	if err != nil {
		return mpocv1.Challenge{}, err
	}
	if r != nil && r.Short { // it asks for one that suits it better
		d.Live = nil
		d.Expired++
		if err := p.state.drop(key, &d, r.Terms.ChallengeID); err != nil {
			return mpocv1.Challenge{}, err
		}
		r = nil
	}
	if r == nil {
		if err := p.roomForNew(); err != nil {
			return mpocv1.Challenge{}, err
		}
		fresh := p.offer(&d)
		r = &fresh
		id := r.Terms.ChallengeID
		d.Live, d.Seen = &id, p.now()
		if err := p.state.save(key, &d, r); err != nil {
			return mpocv1.Challenge{}, err
		}
	}
	return mpocv1.Challenge{Terms: r.Terms, Token: p.token(r.Terms), HostSignature: r.Signature}, nil
}

// offer makes a challenge that suits a device.
func (p *Pool) offer(d *device) record {
	rate := planned(d)
	plan := mpoc.ChooseShape(rate)
	if d.Rate == 0 { // what a machine claims of itself: a look at it first
		plan.DurationMS = min(plan.DurationMS, firstMS)
	}
	if p.c.Duration > 0 {
		plan.DurationMS = uint64(p.c.Duration.Milliseconds())
	}
	now, lived := p.now(), p.lived()
	var fresh, nonce seed.Seed
	_, _ = rand.Read(fresh[:]) // never fails
	_, _ = rand.Read(nonce[:])
	terms := mpoc.Offer(mpoc.Terms{
		Chain: p.c.Chain, HostKey: p.key, DeviceKey: d.Registration.DeviceKey,
		Shape: mpoc.Shape(plan.Shape), DurationMS: plan.DurationMS,
		Issued: now, Expiry: now + plan.DurationMS + uint64(commitSlack.Milliseconds()),
		Whole: mpoc.DefaultWhole(plan.Shape), Picks: mpoc.DefaultPicks, Light: mpoc.DefaultLight,
		// Ten times what is expected: a machine may be faster than it was, and no
		// log is larger than it can be.
		MaxLoops:     min(mpoc.MaxLoops, 10*max(plan.Loops, mpoc.MinLoops)),
		PayPerTebiop: mpoc.Amount(p.c.Pay.String()),
		UnlockAfter:  uint32(p.c.Rules.Unlock), BanAfter: uint32(p.c.Rules.Strikes),
	}, fresh, nonce)
	return record{Phase: offered, Terms: terms, Signature: terms.Sign(p.c.HostKey), Nonce: mpoc.Hash(nonce),
		Least: least(rate, plan.Shape, terms.DurationMS, terms.MaxLoops), Offered: lived, Until: lived + terms.Expiry - terms.Issued}
}

// roomForNew refuses new work while the host has no room for it. What is under way
// goes on.
func (p *Pool) roomForNew() error {
	why := p.c.Full()
	if why == "" {
		return nil
	}
	e := refuse(mpocv1.CodeBusy, "send the same again in a minute", "the host takes no new work: %s", why)
	e.RetryAfterMS = 60_000
	return e
}

// find returns the challenge that a submission is about, with its device. The
// caller holds the key's lock. Nothing is said about a challenge to who does
// not bring its token.
func (p *Pool) find(id, token mpoc.Hash) (record, error) {
	r, known, err := p.state.challenge(id)
	if err != nil {
		return r, err
	}
	if !known {
		return r, refuse(mpocv1.CodeNoChallenge, "ask for a new challenge", "there is no challenge %s, or its time is over", id)
	}
	if want := p.token(r.Terms); !hmac.Equal(want[:], token[:]) {
		return r, refuse(mpocv1.CodeBadToken, "send the token that came with the challenge", "the token is not this challenge's")
	}
	return r, nil
}

// Commit takes the root of a log and draws what is looked at. The same commit
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
		return none, refuse(mpocv1.CodeOutOfBounds, "send the challenge's seed", "the seed is not this challenge's")
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
			return none, p.twoFaces(&d, &r, mpoc.SignedCommit{Commit: q.Commit, Signature: q.DeviceSignature})
		}
		if r.Phase == judged {
			return none, refuse(mpocv1.CodeReplayed, "fetch its receipt, "+mpocv1.PathFind+", and ask for a new challenge", "this challenge is judged: %s", r.Receipt.Outcome.Status)
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
		if _, err := p.judge(&d, &r, mpoc.TooLate(), "the commit came after the challenge had expired"); err != nil {
			return none, err
		}
		return none, refuse(mpocv1.CodeLate, "fetch its receipt, "+mpocv1.PathFind+", and ask for a new challenge", "the challenge expired %d ms ago", lived-r.Until)
	}
	r.Phase = committed
	r.Until = lived + uint64(answerTime.Milliseconds())
	r.Draw = mpoc.Draw{HostNonce: r.Nonce, AuditQ32: p.probability(&d, account, l, r.Elapsed), Deadline: max(now, r.Committed) + uint64(answerTime.Milliseconds())}
	r.DrawSig = r.Draw.Sign(l, p.c.HostKey)
	d.Seen = now
	if err := p.state.save(key, &d, &r); err != nil {
		return none, err
	}
	return drawn(&r), nil
}

func drawn(r *record) mpocv1.CommitAnswer {
	q := r.Draw.Questions(r.log())
	return mpocv1.CommitAnswer{Draw: r.Draw, Indices: q.Samples(), Picks: q.Picks(0), HostSignature: r.DrawSig}
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
		p.log.Warn("a machine committed twice", "key", r.Terms.DeviceKey.String(), "challenge", r.Terms.ChallengeID.String())
	}
	return refuse(mpocv1.CodeTwoFaces, "the first commit stands; answer its questions", "another commit for this challenge was taken: root %s, %d loops", r.Commit.MerkleRoot, r.Commit.Loops)
}

// probability is how likely a submission is audited in full.
func (p *Pool) probability(d *device, account ledger.Account, l mpoc.Log, elapsed uint64) uint64 {
	gain := l.Terms.Pay(l.Commit.Loops * l.Terms.Shape.Matmul().Ops()).Big()
	locked, _ := new(big.Int).SetString(account.Locked.String(), 10) // an Amount is digits
	flags := 0
	if d.Rate > 0 && p.rate(l, elapsed) > d.Rate+d.Rate/2 {
		flags++ // much faster than ever before
	}
	if claimed := uint64(l.Commit.ComputeTime); claimed > elapsed || 4*claimed < elapsed && elapsed > l.Terms.DurationMS*2 {
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

// Proof takes the openings of a round and looks at them. It answers with the
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
		return none, refuse(mpocv1.CodeNoChallenge, "commit first: "+mpocv1.PathCommits, "nothing was committed for this challenge")
	case q.Seed != r.Terms.Seed || q.Commit != r.Commit:
		return none, refuse(mpocv1.CodeBadOpening, "send the commit that was taken", "not the commit that was taken: root %s, %d loops", r.Commit.MerkleRoot, r.Commit.Loops)
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
		return none, refuse(mpocv1.CodeBadOpening, "answer the questions in turn", "round %d is asked, not %d", r.Round, proof.Round)
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
	return &mpocv1.More{Round: r.Round, Picks: r.Draw.Questions(r.log()).Picks(r.Round), Deadline: p.until(r.Until)}
}

// recompute waits for a core and looks. A key without accepted work, or with a
// recent finding, is a newcomer. ctx is for the wait only: who hangs up while his
// work is looked at gets the verdict all the same, and does not make the host look
// twice. Errors are of the kind *mpocv1.Error: the host could not look; or
// context.Canceled: nobody waited any more.
func (p *Pool) recompute(ctx context.Context, q mpoc.Questions, proof mpoc.Proof, before int, newcomer bool) (mpoc.Wrong, error) {
	busy := func() error {
		e := refuse(mpocv1.CodeBusy, "send the same again", "no core was free for the audit in time")
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
		e := refuse(mpocv1.CodeBusy, "send the same again", "the host could not look at it now; it stays open until it can")
		e.RetryAfterMS = 2000
		return mpoc.Wrong{}, e
	}
	return wrong, nil
}

func reason(o mpoc.Outcome, samples, tiles int) string {
	switch o.Status {
	case mpoc.Accepted:
		return fmt.Sprintf("all %d tiles looked at are right", o.Checked)
	case mpoc.Faulty:
		return fmt.Sprintf("%d of %d tiles and %d loops are wrong: a faulty device; test it", tiles, o.Checked, samples)
	}
	return fmt.Sprintf("of %d tiles drawn at least %d are wrong: forged", o.Checked, tiles)
}

// unanswered judges a commit whose questions nobody answered.
func (p *Pool) unanswered(d *device, r *record) error {
	why := fmt.Sprintf("no answer to round %d that holds before the deadline", r.Round)
	if r.Held {
		why = fmt.Sprintf("the host could not look at the answer to round %d, and it did not come again within %v", r.Round, heldTime)
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
	entry := ledger.Entry{Device: ledger.Device(key), Kind: ledger.Loops, Source: source, Order: r.Terms.Issued, Ops: o.Ops, At: now.UnixMilli()}
	// By the rules that the machine worked under, whatever they are today.
	books := p.c.Ledger.Under(ledger.Rules{Unlock: uint64(r.Terms.UnlockAfter), Strikes: int(r.Terms.BanAfter)})
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
	log("submission judged", "key", key.String(), "status", string(o.Status), "loops", r.Commit.Loops, "pay", string(o.Pay), "reason", why)
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
func (p *Pool) Countersign(_ context.Context, q mpocv1.ReceiptRequest) (mpocv1.ReceiptAnswer, error) {
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
		return r, refuse(mpocv1.CodeNoChallenge, "fetch the receipt again: "+mpocv1.PathFind, "this host gave no such receipt")
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
		return none, refuse(mpocv1.CodeNoChallenge, "ask for a new challenge", "this key has no challenge %s: nothing was committed in time, or it is more than %d days old", id, keepJudged/(24*time.Hour))
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
		return none, refuse(mpocv1.CodeNotJudged, "answer its questions: "+mpocv1.PathProofs, "round %d waits for an answer for another %d ms", r.Round, ends(&r)-min(ends(&r), p.lived()))
	}
	return none, refuse(mpocv1.CodeNotJudged, "commit: "+mpocv1.PathCommits, "nothing was committed for this challenge")
}

// Account tells a key what it is owed, and why.
func (p *Pool) Account(_ context.Context, q mpocv1.AccountRequest) (mpocv1.Account, error) {
	none := mpocv1.Account{}
	if err := p.asking(q.Asking, q.Signature); err != nil {
		return none, err
	}
	key := q.Asking.DeviceKey
	unlock, err := p.turn(key)
	if err != nil {
		return none, err
	}
	defer unlock()
	d, known, err := p.state.device(key)
	if err != nil {
		return none, err
	}
	if !known {
		return none, refuse(mpocv1.CodeUnknownDevice, "register first: "+mpocv1.PathNonce, "this host does not know key %s", key)
	}
	a, err := p.Standing(key)
	if err != nil {
		return none, err
	}
	r, err := p.live(&d)
	if err != nil {
		return none, err
	}
	receipts, next, err := p.state.receipts(key, q.From, pageReceipts)
	if err != nil {
		return none, err
	}
	settlements, err := p.c.Ledger.Transfers(ledger.Device(key), pageReceipts)
	if err != nil {
		return none, err
	}
	out := mpocv1.Account{
		DeviceKey: key, Payout: a.Payout,
		Estimated: estimate(r), Locked: mpoc.Amount(a.Locked.String()),
		Pending: mpoc.Amount(a.Due.Add(a.Settling).String()), Settled: mpoc.Amount(a.Settled.String()),
		Clean: a.Clean, Strikes: uint32(a.Strikes), Banned: a.Banned,
		Receipts: receipts, Next: next, Settlements: []mpocv1.Settlement{},
	}
	if out.Receipts == nil {
		out.Receipts = []mpoc.Receipt{}
	}
	for _, s := range settlements {
		t := mpoc.Transfer{
			Version: mpoc.TransferVersion, Chain: p.c.Chain, HostKey: p.key, DeviceKey: key,
			Payout: s.Payout, Amount: mpoc.Amount(s.Amount.String()), TxHash: s.Hash, Time: uint64(s.At),
		}
		t.Sign(p.c.HostKey)
		out.Settlements = append(out.Settlements, mpocv1.Settlement{TxHash: t.TxHash, Payout: t.Payout, Amount: t.Amount, Time: t.Time, HostSignature: t.HostSignature})
	}
	return out, nil
}

// pageReceipts is how many receipts and settlements one answer holds.
const pageReceipts = 10
