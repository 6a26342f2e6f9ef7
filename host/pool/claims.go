// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
)

// Claim enters receipts of this host that its ledger lacks, because it was put back
// from a backup, and tells which of those that the key names it lacks.
func (p *Pool) Claim(ctx context.Context, q mpocv1.ClaimRequest) (mpocv1.ClaimAnswer, error) {
	none := mpocv1.ClaimAnswer{}
	if err := p.asking(q.Asking, q.Signature); err != nil {
		return none, err
	}
	key := q.Asking.DeviceKey
	unlock, err := p.turn(key)
	if err != nil {
		return none, err
	}
	defer unlock()
	d, _, err := p.known(key)
	if err != nil {
		return none, err
	}
	answer := mpocv1.ClaimAnswer{Lacking: []mpocv1.Held{}}
	for _, r := range q.Receipts {
		entered, err := p.reclaim(&d, r)
		if err != nil {
			return none, err
		}
		if entered {
			answer.Entered++
		}
	}
	if answer.Entered > 0 {
		p.log.Warn("a machine brought receipts that the ledger lacked: it is older than they are",
			"key", key.String(), "receipts", answer.Entered)
		if err := p.state.save(key, &d, nil); err != nil {
			return none, err
		}
	}
	list := make([]ledger.Entry, len(q.Held))
	held := map[string]mpocv1.Held{}
	for i, h := range q.Held {
		list[i] = ledger.Entry{Device: ledger.Device(key), Kind: ledger.Loops,
			Source: h.ChallengeID.String(), Order: h.Issued}
		held[list[i].Source] = h
	}
	lacking, err := p.c.Ledger.Lacks(list)
	if err != nil {
		return none, err
	}
	for _, e := range lacking {
		answer.Lacking = append(answer.Lacking, held[e.Source])
	}
	return answer, nil
}

// reclaim enters a receipt and reports whether it was lacking. Its signature is this
// host's, so what it says is owed.
func (p *Pool) reclaim(d *device, r mpoc.Receipt) (entered bool, err error) {
	key := d.Registration.DeviceKey
	if err := r.Authentic(); err != nil {
		return false, err
	}
	o := r.Outcome
	switch {
	case r.Terms.HostKey != p.key || r.Terms.Chain != p.c.Chain || r.Terms.DeviceKey != key:
		return false, refuse(mpocv1.CodeBadSignature,
			"send receipts that this host gave to this key", "a receipt of another host or key")
	case o.Status != mpoc.Accepted && o.Status != mpoc.Faulty:
		return false, refuse(mpocv1.CodeOutOfBounds, "send receipts of accepted work",
			"nothing is owed by a receipt that says %s", o.Status)
	}
	pay, err := ledger.ParseAmount(string(o.Pay))
	if err != nil {
		return false, err
	}
	e := ledger.Entry{Device: ledger.Device(key), Kind: ledger.Loops,
		Source: r.Terms.ChallengeID.String(), Order: r.Terms.Issued, Ops: o.Ops, Pay: pay,
		At: p.clock.Wall().UnixMilli()}
	lacking, err := p.c.Ledger.Lacks([]ledger.Entry{e})
	if err != nil || len(lacking) == 0 {
		return false, err
	}
	books := p.c.Ledger.Under(ledger.Rules{Unlock: uint64(r.Terms.UnlockAfter),
		Strikes: int(r.Terms.BanAfter)})
	if _, err := books.Account(e.Device); errors.Is(err, ledger.ErrUnknown) {
		if _, err := books.Register(e.Device, d.Registration.Payout, p.clock.Wall()); err != nil {
			return false, err
		}
	}
	if _, err := books.Reclaim(e); err != nil {
		return false, fmt.Errorf("a receipt that is claimed: %w", err)
	}
	d.Accepted++
	now := p.now()
	p.accept(d, decayed(o.Ops, now-min(now, r.Committed))) // it was verified then
	return true, nil
}
