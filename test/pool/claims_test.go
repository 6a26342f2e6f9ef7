// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"os"
	"path/filepath"
	"testing"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// claim names receipts, and brings some.
func (h *hand) claim(held, bring []mpoc.Receipt) (mpocv1.ClaimAnswer, error) {
	h.t.Helper()
	q := mpocv1.ClaimRequest{Held: []mpocv1.Held{}, Receipts: bring}
	if bring == nil {
		q.Receipts = []mpoc.Receipt{}
	}
	for _, r := range held {
		q.Held = append(q.Held, mpocv1.Held{ChallengeID: r.Terms.ChallengeID,
			Issued: r.Terms.Issued})
	}
	q.Asking, q.Signature = h.asking(mpoc.AskAccount)
	return post[mpocv1.ClaimAnswer](h, mpocv1.PathClaims, q)
}

// The host's files are put back from a backup. What it credited since comes back by
// the receipts of its machines, each once, and only what it signed for that key.
func TestReceiptsBringBackWhatABackupLacks(t *testing.T) {
	n := newNetwork(t, nil)
	a, b := n.hand(keyOf(2)).register(), n.hand(keyOf(3)).register()
	files := []string{"pool.db", "ledger.db"}
	work := func(h *hand) mpoc.Receipt {
		s := h.compute(3, nil)
		must[any](h)(nil, h.commit(s))
		return h.judged(s)
	}
	kept := []mpoc.Receipt{work(a)}
	n.stop()
	backup := map[string][]byte{}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(n.dir, f))
		if err != nil {
			t.Fatal(err)
		}
		backup[f] = raw
	}
	n.start()
	for range 2 {
		kept = append(kept, work(a))
	}
	others := work(b)
	want := n.standing(a.key)
	n.stop()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(n.dir, f), backup[f], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.start()
	answer, err := a.claim(kept, nil)
	if err != nil || len(answer.Lacking) != 2 ||
		answer.Lacking[0].ChallengeID != kept[1].Terms.ChallengeID {
		t.Fatalf("%+v, %v", answer, err)
	}
	if _, err := a.claim(nil, []mpoc.Receipt{others}); err == nil {
		t.Error("another's receipt is taken")
	}
	bent := kept[1]
	bent.Outcome.Pay = "1"
	if _, err := a.claim(nil, []mpoc.Receipt{bent}); err == nil {
		t.Error("a receipt that was changed is taken")
	}
	for i, entered := range []uint32{2, 0} {
		answer, err := a.claim(kept, kept)
		if err != nil || answer.Entered != entered || len(answer.Lacking) != 0 {
			t.Fatalf("claim %d: %+v, %v", i, answer, err)
		}
	}
	if have := n.standing(a.key); have.Entries != want.Entries || have.Ops.Cmp(want.Ops) != 0 ||
		have.Locked.Add(have.Due).Cmp(want.Locked.Add(want.Due)) != 0 {
		t.Errorf("the account is %+v, and was %+v", have, want)
	}
	// it has no account there yet
	if answer, err := b.claim(nil, []mpoc.Receipt{others}); err != nil || answer.Entered != 1 {
		t.Errorf("%+v, %v", answer, err)
	}
	if e, found, err := n.ledger.Entry(ledger.Device(signed.KeyOf(b.key)), ledger.Loops,
		others.Terms.ChallengeID.String()); err != nil || !found ||
		e.Pay.String() != string(others.Outcome.Pay) {
		t.Errorf("%+v, %v, %v", e, found, err)
	}
}
