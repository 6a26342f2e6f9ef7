// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
)

// receipts reads what a machine has kept.
func receipts(t testing.TB, home string) (list []mpoc.Receipt) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(home, "receipts", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := mpoc.ParseReceipt(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, r)
	}
	return list
}

// From nothing to paid work: both sides agree on it, and either can show it.
func TestFirstAcceptedProof(t *testing.T) {
	n := newNetwork(t, nil)
	w := n.work(keyOf(2), t.TempDir(), nil)
	n.events.wait(t, "three accepted", func() bool { return w.Snapshot().Accepted >= 3 })
	w.kill()
	s := w.Snapshot()
	if host := n.status(); host.Accepted < 3 ||
		host.Rejected+host.Faulty+host.Failed+host.Late != 0 ||
		host.VerifiedOps/1_000_000 < s.VerifiedOps {
		t.Errorf("the host's view: %+v", host)
	}
	if s.Late+s.Rejected+s.Faulty+s.Failed+s.FailedSelfChecks+s.Abstained != 0 || s.Loops == 0 ||
		s.SelfChecks == 0 {
		t.Errorf("the machine's view: %+v", s)
	}
	a := n.standing(keyOf(2))
	list := receipts(t, w.home)
	if uint64(len(list)) < s.Accepted || a.Entries < s.Accepted || a.Due.IsZero() ||
		a.Locked.IsZero() || a.Payout != "cpc1test" {
		t.Errorf("%d receipts, account %+v", len(list), a)
	}
	sum := uint64(0)
	for _, r := range list {
		if err := r.Verify(context.Background(), mpoc.Reference()); err != nil ||
			r.DeviceSignature == nil {
			t.Errorf("entry %d: %v", r.Entry, err)
		}
		e, found, err := n.ledger.Entry(a.Device, "loops", r.Terms.ChallengeID.String())
		if err != nil || !found || e.Number != r.Entry || e.Pay.String() != string(r.Outcome.Pay) ||
			e.Ops != r.Outcome.Ops {
			t.Errorf("entry %d is %+v in the ledger, %v", r.Entry, e, err)
		}
		sum += r.Outcome.Ops
	}
	if diff := cmp.Diff(s.VerifiedOps, sum/1_000_000); diff != "" {
		t.Error(diff)
	}
}

// What is large travels compressed.
func TestProofsArePacked(t *testing.T) {
	type sent struct{ encoding, path string }
	seen := make(chan sent, 1024)
	n := newNetwork(t, func(n *network) {
		n.bend = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case seen <- sent{r.Header.Get("Content-Encoding"), r.URL.Path}:
				default:
				}
				h.ServeHTTP(w, r)
			})
		}
	})
	w := n.work(keyOf(2), t.TempDir(), nil)
	n.events.wait(t, "an accepted one", func() bool { return w.Snapshot().Accepted >= 1 })
	w.kill()
	for range len(seen) {
		if s := <-seen; (s.encoding == "gzip") != (s.path == mpocv1.PathProofs) {
			t.Errorf("%s came in the encoding %q", s.path, s.encoding)
		}
	}
}
