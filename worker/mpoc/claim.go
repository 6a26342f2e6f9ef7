// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	poc "github.com/assaynet/assay/poc/mpoc"
)

// claimTime is about how often a host is asked whether it still knows what it owes, besides at every
// registration: it may have been put back from a backup.
const claimTime = time.Hour

// bring is how many receipts one claim brings.
const bring = 10

// reclaim names to the host the receipts that it has not paid, and brings those that it lacks. What the
// host does not answer now waits for the next time; older hosts do not answer at all.
func (m *Machine) reclaim(ctx context.Context) error {
	if time.Now().Before(m.claims) {
		return nil
	}
	m.claims = time.Now().Add(claimTime/2 + rand.N(claimTime))
	held, err := m.held(m.host)
	if err != nil {
		return err
	}
	brought := uint32(0)
	for from := 0; from < len(held); from += mpocv1.MaxHeld {
		lacking, _, err := m.claim(ctx, held[from:min(from+mpocv1.MaxHeld, len(held))], nil)
		if err != nil {
			return m.unclaimed(ctx, err)
		}
		for at := 0; at < len(lacking); at += bring {
			var list []poc.Receipt
			for _, h := range lacking[at:min(at+bring, len(lacking))] {
				r, err := m.kept(h.ChallengeID)
				if err != nil {
					return err
				}
				if r != nil {
					r.DeviceSignature = nil // as it was given
					list = append(list, *r)
				}
			}
			if len(list) == 0 {
				continue
			}
			_, entered, err := m.claim(ctx, nil, list)
			if err != nil {
				return m.unclaimed(ctx, err)
			}
			brought += entered
		}
	}
	if brought > 0 {
		m.log.Warn("the host had lost what it owes, and has it again", "receipts", brought)
	}
	return nil
}

// claim makes one request, once.
func (m *Machine) claim(ctx context.Context, held []mpocv1.Held, receipts []poc.Receipt) (lacking []mpocv1.Held, entered uint32, err error) {
	q, sig := m.ask(poc.AskAccount, nil)
	r := mpocv1.ClaimRequest{Asking: q, Held: []mpocv1.Held{}, Receipts: []poc.Receipt{}, Signature: sig}
	r.Held, r.Receipts = append(r.Held, held...), append(r.Receipts, receipts...)
	a, err := once[mpocv1.ClaimAnswer](ctx, m.client, http.MethodPost, mpocv1.PathClaims, r)
	return a.Lacking, a.Entered, err
}

// unclaimed ends a try for now.
func (m *Machine) unclaimed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case code(err) == mpocv1.CodeUnknownDevice, code(err) == mpocv1.CodeBanned:
		return err
	case code(err) == "" && !errors.Is(err, context.DeadlineExceeded):
		m.claims = time.Now().Add(time.Minute)
	}
	m.log.Info("the host does not say whether it knows what it owes", "err", err)
	return nil
}

// held names the receipts of a host that are not paid, the oldest first.
func (p *proofs) held(host poc.Key) (list []mpocv1.Held, err error) {
	for _, f := range p.of(hostName(host)).owed {
		_, _, _, id, _ := readName(f.name)
		r, err := p.kept(id)
		if err != nil {
			return nil, err
		}
		if r != nil {
			list = append(list, mpocv1.Held{ChallengeID: id, Issued: r.Terms.Issued})
		}
	}
	return list, nil
}
