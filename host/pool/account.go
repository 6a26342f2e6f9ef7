// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// Standing is a key's account. One for which nothing was entered yet has none in
// the ledger, and is known by what the pool counted.
func (p *Pool) Standing(key signed.Key) (ledger.Account, error) {
	a, err := p.c.Ledger.Account(ledger.Device(key))
	if !errors.Is(err, ledger.ErrUnknown) {
		return a, err
	}
	d, _, err := p.state.device(key)
	a = ledger.Account{Device: ledger.Device(key), Payout: d.Registration.Payout,
		Strikes: int(d.Rejected), Banned: int(d.Rejected) >= p.c.Rules.Strikes}
	if d.Rejected > 0 {
		a.Reason = d.Reason
	}
	return a, err
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
		return none, refuse(mpocv1.CodeUnknownDevice, "register first: "+mpocv1.PathNonce,
			"this host does not know key %s", key)
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
		Pending: mpoc.Amount(a.Due.Add(a.Settling).String()),
		Settled: mpoc.Amount(a.Settled.String()),
		Clean:   a.Clean, Strikes: uint32(a.Strikes), Banned: a.Banned,
		Receipts: receipts, Next: next, Settlements: []mpocv1.Settlement{},
	}
	if out.Receipts == nil {
		out.Receipts = []mpoc.Receipt{}
	}
	for _, s := range settlements {
		t := mpoc.Transfer{
			Version: mpoc.TransferVersion, Chain: p.c.Chain, HostKey: p.key, DeviceKey: key,
			Payout: s.Payout, Amount: mpoc.Amount(s.Amount.String()), TxHash: s.Hash,
			Time: uint64(s.At),
		}
		t.Sign(p.c.HostKey)
		out.Settlements = append(out.Settlements,
			mpocv1.Settlement{TxHash: t.TxHash, Payout: t.Payout, Amount: t.Amount, Time: t.Time,
				HostSignature: t.HostSignature})
	}
	return out, nil
}

// pageReceipts is how many receipts and settlements one answer holds.
const pageReceipts = 10
