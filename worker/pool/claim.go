// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
)

// claimTime is about how often a host is asked whether it still knows what it owes, and also at
// every registration and when its program was started again: it may have been put back from a
// backup.
const claimTime = time.Hour

// bring is how many receipts one claim brings, and probe how many of those that are paid are named
// where the host lacks none of them.
const (
	bring = 10
	probe = 100
)

// reclaim names to the host the receipts that it has not paid, and the latest of those that it has,
// and brings those that it lacks, the oldest first: a ledger takes nothing that is older than what
// it has forgotten. One of before a payment lacks what the payment was for, and takes it for pay in
// advance. What the host does not answer now waits for the next time; older hosts do not answer at
// all.
func (m *Machine) reclaim(ctx context.Context) error {
	if time.Now().Before(m.claims) && m.run == m.client.run {
		return nil
	}
	m.claims, m.run = time.Now().Add(claimTime/2+rand.N(claimTime)), m.client.run
	lacking, err := m.lacking(ctx)
	if errors.Is(err, errUnsaid) {
		return m.unclaimed(ctx, err)
	} else if err != nil {
		return err
	}
	brought := uint32(0)
	for part := range slices.Chunk(lacking, bring) {
		var list []mpoc.Receipt
		for _, h := range part {
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
	if brought > 0 {
		m.log.Warn("the host had lost what it owes, and has it again", "receipts", brought)
	}
	return nil
}

// lacking are the receipts that the host lacks, the oldest first: of all that it has not paid, and
// of those that it has, as far back as it lacks any.
func (m *Machine) lacking(ctx context.Context) (list []mpocv1.Held, err error) {
	d := m.of(hostName(m.host))
	for from, size := len(d.paid), probe; from > 0; size = mpocv1.MaxHeld {
		to := from
		from = max(0, to-size)
		lacks, err := m.lackingOf(ctx, d.paid[from:to])
		if err != nil {
			return nil, err
		}
		if len(lacks) == 0 {
			break
		}
		list = append(lacks, list...)
	}
	for part := range slices.Chunk(d.owed, mpocv1.MaxHeld) {
		lacks, err := m.lackingOf(ctx, part)
		if err != nil {
			return nil, err
		}
		list = append(list, lacks...)
	}
	return list, nil
}

// errUnsaid reports that a host does not say what it lacks. What else fails is this machine's own.
var errUnsaid = errors.New("pool: the host does not say what it lacks")

// lackingOf are those of some receipts that the host lacks, in their order.
func (m *Machine) lackingOf(ctx context.Context, files []proof) ([]mpocv1.Held, error) {
	held, err := m.held(files)
	if err != nil {
		return nil, err
	}
	lacks, _, err := m.claim(ctx, held, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsaid, err)
	}
	return lacks, nil
}

// claim makes one request, once.
func (m *Machine) claim(ctx context.Context, held []mpocv1.Held,
	receipts []mpoc.Receipt) (lacking []mpocv1.Held, entered uint32, err error) {
	q, sig := m.ask(mpoc.AskAccount, nil)
	r := mpocv1.ClaimRequest{Asking: q, Held: []mpocv1.Held{}, Receipts: []mpoc.Receipt{},
		Signature: sig}
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

// held names receipts to their host.
func (p *proofs) held(files []proof) (list []mpocv1.Held, err error) {
	for _, f := range files {
		_, _, id, _ := readName(f.name)
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
