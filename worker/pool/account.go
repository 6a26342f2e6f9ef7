// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// verified is how many full 10^6 operations there are with ops more.
func (m *Machine) verified(ops uint64) (mops uint64) {
	mops = ops/1_000_000 + (m.rest+ops%1_000_000)/1_000_000
	m.rest = (m.rest + ops%1_000_000) % 1_000_000
	return mops
}

// unlockAfter is the host's latest rule; 0 is not known.
func (m *Machine) unlockAfter() uint32 {
	if m.current == nil {
		return 0
	}
	return m.current.Terms.UnlockAfter
}

// account looks at the account now and then; it is only shown.
func (m *Machine) account(ctx context.Context) {
	if time.Now().Before(m.look) {
		return
	}
	// many machines must not ask at once
	m.look = time.Now().Add(accountTime/2 + rand.N(accountTime))
	ctx, cancel := context.WithTimeout(ctx, accountWait)
	defer cancel()
	q, sig := m.ask(mpoc.AskAccount, nil)
	// From behind the last one: the receipts are here already.
	a, err := once[mpocv1.Account](ctx, m.client, http.MethodPost, mpocv1.PathAccount,
		mpocv1.AccountRequest{Asking: q, From: 1<<53 - 1, Signature: sig})
	if err != nil {
		m.log.Info("the account is not shown", "err", err)
		return
	}
	first, after := m.Snapshot().Account == nil, money(a, m.unlockAfter())
	after.AsOf, after.Unpaid = time.Now().UTC().Format(time.RFC3339), m.client.unpaid.Load()
	m.change(func(s *Status) { s.Account = after })
	m.paid(first, a.Settlements, after)
	m.cover(ctx, a)
}

// cover marks the receipts that the account's transfers have paid, the latest of which comes first
// in the list. A node that is named is asked, and waited for in order: nothing counts that it does
// not confirm.
func (m *Machine) cover(ctx context.Context, a mpocv1.Account) {
	disputed := make(map[string]bool, len(a.Settlements))
	trouble := ""
	for _, s := range slices.Backward(a.Settlements) {
		t := mpoc.Transfer{
			Version: mpoc.TransferVersion, Chain: m.chain, HostKey: m.host,
			DeviceKey: signed.KeyOf(m.c.Key),
			Payout:    s.Payout, Amount: s.Amount, TxHash: s.TxHash, Time: s.Time,
			HostSignature: s.HostSignature,
		}
		if m.counted(t) {
			continue
		}
		err := m.take(ctx, t, a)
		if err == nil {
			continue
		}
		trouble = fmt.Sprintf("transfer %.16s of %s does not count: %v", t.TxHash,
			Coins(t.Amount.Big()), err)
		if disputed[t.TxHash] = true; !m.disputed[t.TxHash] {
			m.log.Warn("a payment does not count", "tx", t.TxHash, "reason", err)
		}
		if errors.Is(err, errNotYet) {
			break
		}
	}
	m.disputed = disputed
	m.change(func(s *Status) {
		s.Proofs = m.summary(m.host)
		s.Proofs.Trouble = trouble
	})
}

// take takes one transfer. The error says why it does not count.
func (m *Machine) take(ctx context.Context, t mpoc.Transfer, a mpocv1.Account) error {
	if err := t.Verify(); err != nil {
		return err
	}
	if t.Payout != m.c.Payout {
		return fmt.Errorf("it went to %q, and not to the account that this machine names, %q",
			t.Payout, m.c.Payout)
	}
	if m.c.Node != "" {
		if err := m.onChain(ctx, t); err != nil {
			return err
		}
	}
	n, err := m.transfer(t, new(big.Int).Add(a.Locked.Big(), a.Pending.Big()))
	if err == nil && n > 0 {
		m.log.Info("receipts are paid", "receipts", n, "tx", t.TxHash)
	}
	return err
}
