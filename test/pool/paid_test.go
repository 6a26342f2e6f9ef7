// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// A machine's receipts stay whatever its host says in its account, unless it signs that it paid
// this machine at the account that the machine names. Then the oldest ones go, and the statement
// stays.
// Holds spec H-17.
func TestReceiptsStayUntilPaid(t *testing.T) {
	host := keyOf(1)
	said := mpoc.Transfer{
		Version: mpoc.TransferVersion, Chain: chain, HostKey: signed.KeyOf(host),
		DeviceKey: signed.KeyOf(keyOf(2)),
		Payout:    "cpc1test", Amount: "1", TxHash: strings.Repeat("AB", 32), Time: 1,
	}
	says := func(edit func(*mpoc.Transfer)) mpocv1.Settlement {
		s := said
		edit(&s)
		s.Sign(host)
		return mpocv1.Settlement{TxHash: s.TxHash, Payout: s.Payout, Amount: s.Amount, Time: s.Time,
			HostSignature: s.HostSignature}
	}
	const much = "1000000000000000000"
	unsigned := says(func(s *mpoc.Transfer) { s.TxHash = strings.Repeat("01", 32) })
	unsigned.Amount = much
	lies := []mpocv1.Settlement{
		unsigned,
		says(func(s *mpoc.Transfer) {
			s.TxHash, s.Amount, s.Payout = strings.Repeat("02", 32), much, "cpc1host"
		}),
		says(func(s *mpoc.Transfer) {
			s.TxHash, s.Amount, s.Chain = strings.Repeat("03", 32), much, "assay-other"
		}),
		says(func(s *mpoc.Transfer) {
			s.TxHash, s.Amount, s.DeviceKey = strings.Repeat("04", 32), much, signed.Key{9}
		}),
	}
	var honest atomic.Bool
	n := newNetwork(t, func(n *network) {
		n.bend = bent(mpocv1.PathAccount, func(_ []byte, a *mpocv1.Account) {
			a.Settled, a.Locked, a.Pending, a.Settlements = much, "0", "0", lies
			if honest.Load() {
				a.Settlements = []mpocv1.Settlement{says(func(s *mpoc.Transfer) {
					s.Amount = much
				})}
			}
		})
	})
	w := n.work(keyOf(2), t.TempDir(), nil)
	n.events.wait(t, "three accepted", func() bool {
		s := w.Snapshot()
		return s.Accepted >= 3 && s.Proofs != nil && s.Proofs.Receipts >= 3
	})
	s := w.Snapshot()
	if s.Proofs.Receipts < 3 || s.Proofs.Transfers != 0 ||
		!strings.Contains(s.Proofs.Trouble, "does not count") {
		t.Errorf("after lies: %+v", s.Proofs)
	}
	honest.Store(true)
	n.events.wait(t, "a transfer that counts",
		func() bool { return w.Snapshot().Proofs.Transfers == 1 })
	w.kill()
	all, paid := len(receipts(t, w.home)), len(paidReceipts(t, w.home))
	if uint64(all) != w.Snapshot().Accepted || paid == 0 ||
		w.Snapshot().Proofs.Receipts > all-paid {
		t.Errorf("%d receipts of %d accepted, %d of them paid; %+v", all, w.Snapshot().Accepted,
			paid, w.Snapshot().Proofs)
	}
	kept, err := filepath.Glob(filepath.Join(w.home, "transfers", "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d statements, %v", len(kept), err)
	}
	text, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	if f, err := mpoc.ParseTransfer(text); err != nil || f.Verify() != nil || f.Amount != much {
		t.Errorf("%+v, %v", f, err)
	}
}

// Where a node is named and does not have the transaction, nothing goes.
func TestReceiptsStayUntilTheNodeHasIt(t *testing.T) {
	host := keyOf(1)
	n := newNetwork(t, func(n *network) {
		n.bend = bent(mpocv1.PathAccount, func(_ []byte, a *mpocv1.Account) {
			s := mpoc.Transfer{
				Version: mpoc.TransferVersion, Chain: chain, HostKey: signed.KeyOf(host),
				DeviceKey: a.DeviceKey,
				Payout:    "cpc1test", Amount: "1000000000000000000",
				TxHash: strings.Repeat("AB", 32), Time: 1,
			}
			s.Sign(host)
			a.Locked, a.Pending = "0", "0"
			a.Settlements = []mpocv1.Settlement{{TxHash: s.TxHash, Payout: s.Payout,
				Amount: s.Amount, Time: s.Time, HostSignature: s.HostSignature}}
		})
	})
	// nobody answers there
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) { c.Node = "http://127.0.0.1:1" })
	n.events.wait(t, "three accepted", func() bool {
		s := w.Snapshot()
		return s.Accepted >= 3 && s.Proofs.Trouble != ""
	})
	w.kill()
	s := w.Snapshot()
	if left := receipts(t, w.home); uint64(len(left)) < s.Accepted || s.Proofs.Transfers != 0 ||
		!strings.Contains(s.Proofs.Trouble, "node http://127.0.0.1:1 does not answer") {
		t.Errorf("%d receipts of %d are left; %+v", len(left), s.Accepted, s.Proofs)
	}
}

// paidReceipts are the files of receipts that a machine counts as paid.
func paidReceipts(t testing.TB, home string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(home, "receipts", "*-paid.json"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A host pays, and is put back from a backup of before it credited what it paid for. Its machine
// works on, and brings those receipts too: what it does afterwards is not taken for what it was
// paid in advance.
func TestPaidReceiptsExplainAPayment(t *testing.T) {
	n := newNetwork(t, nil)
	if err := n.ledger.Follow("cpc1payer", 0, 1); err != nil {
		t.Fatal(err)
	}
	w := n.work(keyOf(2), t.TempDir(), nil)
	accepted := func(more uint64) {
		t.Helper()
		want := w.Snapshot().Accepted + more
		n.events.wait(t, "more accepted", func() bool { return w.Snapshot().Accepted >= want })
	}
	accepted(1)
	n.stop()
	backup := map[string][]byte{}
	for _, f := range []string{"pool.db", "ledger.db"} {
		raw, err := os.ReadFile(filepath.Join(n.dir, f))
		if err != nil {
			t.Fatal(err)
		}
		backup[f] = raw
	}
	n.start()
	accepted(5)
	pays, err := n.ledger.Payable(1)
	if err != nil || len(pays) != 1 {
		t.Fatalf("%+v, %v", pays, err)
	}
	hash := strings.Repeat("AB", 32)
	begun, err := n.ledger.Begin(ledger.Settlement{Payments: pays, Raw: []byte("tx"),
		Hash: hash, Timeout: 9})
	if err == nil {
		err = n.ledger.Finish(begun.Number, 5, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	n.events.wait(t, "the machine to count it",
		func() bool { return len(paidReceipts(t, w.home)) >= 3 })
	n.stop()
	for f, raw := range backup {
		if err := os.WriteFile(filepath.Join(n.dir, f), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.start()
	err = n.ledger.Book(ledger.Paid{Sequence: begun.Sequence, Hash: hash, Height: 5,
		Number: begun.Number,
		To: []ledger.PaidTo{{Prefix: pays[0].Device.Prefix(), Payout: pays[0].Payout,
			Amount: pays[0].Amount}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	accepted(3)
	w.kill()
	earned := ledger.Amount{}
	list := receipts(t, w.home)
	for _, r := range list {
		pay, err := ledger.ParseAmount(string(r.Outcome.Pay))
		if err != nil {
			t.Fatal(err)
		}
		earned = earned.Add(pay)
	}
	ahead, err := n.ledger.Ahead(pays[0].Device.Prefix())
	if err != nil {
		t.Fatal(err)
	}
	a := n.standing(keyOf(2))
	if sum := a.Locked.Add(a.Due).Add(a.Settled); a.Entries < uint64(len(list)) ||
		sum.Cmp(earned) < 0 || !ahead.IsZero() {
		t.Errorf("%d receipts over %s, and the account is %+v, with %s ahead",
			len(list), earned, a, ahead)
	}
}
