// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/rand"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

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
	return mpocv1.Challenge{Terms: r.Terms, Token: p.token(r.Terms), HostSignature: r.Signature},
		nil
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
	return record{Phase: offered, Terms: terms, Signature: terms.Sign(p.c.HostKey),
		Nonce: signed.Hash(nonce),
		Least: least(rate, plan.Shape, terms.DurationMS, terms.MaxLoops), Offered: lived,
		Until: lived + terms.Expiry - terms.Issued}
}

// roomForNew refuses new work while the host has no room for it. What is under way
// goes on.
func (p *Pool) roomForNew() error {
	why := p.c.Full()
	if why == "" {
		return nil
	}
	e := refuse(mpocv1.CodeBusy, "send the same again in a minute",
		"the host takes no new work: %s", why)
	e.RetryAfterMS = 60_000
	return e
}
