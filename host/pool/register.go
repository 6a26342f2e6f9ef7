// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// Nonce gives a key what it has to sign to register.
func (p *Pool) Nonce(_ context.Context, q mpocv1.NonceRequest) (mpocv1.NonceAnswer, error) {
	window := p.window()
	return mpocv1.NonceAnswer{
		Nonce:  p.registrationNonce(q.DeviceKey, window),
		Expiry: p.until((window + 1) * uint64(nonceTime.Milliseconds())),
		Chain:  p.c.Chain, HostKey: p.key,
	}, nil
}

// window numbers the spans of lived time in which a registration nonce is given
// out. It is accepted in the next one too.
func (p *Pool) window() uint64 { return p.lived() / uint64(nonceTime.Milliseconds()) }

// Register makes a key known, or renews what is known of it.
func (p *Pool) Register(_ context.Context, q mpocv1.RegisterRequest) (mpocv1.RegisterAnswer,
	error) {
	r := q.Registration
	if err := r.Verify(q.Signature); err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	if r.HostKey != p.key || r.Chain != p.c.Chain {
		return mpocv1.RegisterAnswer{},
			refuse(mpocv1.CodeBadSignature, "ask this host for a nonce and sign what it answers",
				"signed for another host or chain")
	}
	if p.c.Payout != nil && r.Payout != "" {
		if err := p.c.Payout(r.Payout); err != nil {
			return mpocv1.RegisterAnswer{},
				refuse(mpocv1.CodeOutOfBounds, "give an account of this chain, cpc1..., or none",
					"nothing can be paid to %.90q: %v", r.Payout, err)
		}
	}
	window := p.window()
	fresh := false
	for _, w := range []uint64{window, window - 1} {
		want := p.registrationNonce(r.DeviceKey, w)
		fresh = fresh || hmac.Equal(want[:], r.Nonce[:])
	}
	if !fresh {
		return mpocv1.RegisterAnswer{}, refuse(mpocv1.CodeReplayed, "ask for a new nonce",
			"the nonce is old, or was not given to this key")
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
		e := refuse(mpocv1.CodeBusy, "send the same again", "very many machines that have shown "+
			"no work are being looked at")
		e.RetryAfterMS = 10_000
		return mpocv1.RegisterAnswer{}, e
	} else if err != nil {
		return mpocv1.RegisterAnswer{}, err
	}
	if !known {
		p.log.Info("a machine registered", "key", r.DeviceKey.String(), "engine",
			r.Engine, "agent", r.Agent)
	}
	return mpocv1.RegisterAnswer{DeviceKey: r.DeviceKey, Now: now,
		Strikes: uint32(account.Strikes)}, nil
}

// asking checks that a key asks for itself, now, and not again.
func (p *Pool) asking(a mpoc.Asking, sig signed.Signature) error {
	if a.HostKey != p.key {
		return refuse(mpocv1.CodeBadSignature, "sign for this host's key", "asked of another host")
	}
	if err := a.Verify(sig); err != nil {
		return err
	}
	now := p.now()
	if d := max(a.Time, now) - min(a.Time, now); d > uint64(skew.Milliseconds()) {
		e := refuse(mpocv1.CodeClockSkew, "use the host's clock, which "+mpocv1.PathStatus+" shows",
			"the asking's time is %d s off", d/1000)
		e.RetryAfterMS = 1
		return e
	}
	// Keys cost nothing: of those that are not registered nothing is remembered.
	if _, known, err := p.state.device(a.DeviceKey); err != nil {
		return err
	} else if !known {
		return refuse(mpocv1.CodeUnknownDevice, "register first: "+mpocv1.PathNonce,
			"this host does not know key %s", a.DeviceKey)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.asked[a.DeviceKey]
	if last.Time > now+uint64(skew.Milliseconds()) {
		known = false // the host's clock was set back since: such an asking would be refused now
	}
	if known && (a.Time < last.Time || a.Time == last.Time && a.Count <= last.Count) {
		return refuse(mpocv1.CodeReplayed, "use a later time, or a higher count",
			"this was asked before")
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
func (p *Pool) known(key signed.Key) (device, ledger.Account, error) {
	d, known, err := p.state.device(key)
	if err != nil {
		return d, ledger.Account{}, err
	}
	if !known {
		return d, ledger.Account{},
			refuse(mpocv1.CodeUnknownDevice, "register first: "+mpocv1.PathNonce,
				"this host does not know key %s", key)
	}
	account, err := p.Standing(key)
	switch {
	case err == nil && account.Banned:
		err = fmt.Errorf("%w: %s", ledger.ErrBanned, account.Reason)
	case err == nil && account.Payout == "" && d.Registration.Payout != "" && account.Entries > 0:
		// it was lost, and made again
		account, err = p.c.Ledger.Register(ledger.Device(key), d.Registration.Payout,
			p.clock.Wall())
	}
	return d, account, err
}
