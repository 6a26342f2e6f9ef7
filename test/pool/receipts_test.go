// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// account asks for a page of a key's account.
func (h *hand) account(from uint64) mpocv1.Account {
	h.t.Helper()
	q, sig := h.asking(mpoc.AskAccount)
	return must[mpocv1.Account](h)(post[mpocv1.Account](h, mpocv1.PathAccount,
		mpocv1.AccountRequest{Asking: q, From: from, Signature: sig}))
}

// late commits after the expiry.
func (h *hand) late() *submission {
	h.t.Helper()
	s := h.compute(1, nil)
	h.n.clock.Pass(time.Duration(s.Terms.Expiry-s.Terms.Issued+1) * time.Millisecond)
	refused(h.t, mpocv1.CodeLate, h.commit(s))
	return s
}

// unanswered commits and lets the deadline pass.
func (h *hand) unanswered() *submission {
	h.t.Helper()
	s := h.compute(1, nil)
	if err := h.commit(s); err != nil {
		h.t.Fatal(err)
	}
	h.n.clock.Pass(time.Duration(s.draw.Deadline-s.Terms.Issued+1) * time.Millisecond)
	return s
}

// Whatever becomes of a submission, its receipt is in the account, in order, and
// nothing replaces it: most of these have no entry in the ledger.
func TestEveryReceiptIsListed(t *testing.T) {
	n := newNetwork(t, nil)
	h := n.hand(keyOf(2)).register()
	var want []mpoc.Status
	for range 2 {
		h.late()
		h.unanswered()
		want = append(want, mpoc.Late, mpoc.Failed)
	}
	h.judged(h.compute(12, nil))
	h.judged(h.compute(12, spoil))
	for range 6 {
		h.late()
	}
	want = append(want, mpoc.Accepted, mpoc.Rejected, mpoc.Late, mpoc.Late, mpoc.Late, mpoc.Late,
		mpoc.Late, mpoc.Late)
	n.restart()
	var got []mpoc.Status
	zero := 0
	for page := h.account(0); ; page = h.account(page.Next) {
		for _, r := range page.Receipts {
			if err := r.Verify(t.Context(), new(looker)); err != nil {
				t.Error(err)
			}
			if got = append(got, r.Outcome.Status); r.Entry == 0 {
				zero++
			}
		}
		if page.Next == 0 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || zero != 10 {
		t.Errorf("%d with entry 0; %s", zero, diff)
	}
}

func (h *hand) finding(id signed.Hash) mpocv1.FindRequest {
	q, _ := h.asking(mpoc.AskReceipt)
	q.ChallengeID = &id
	return mpocv1.FindRequest{Asking: q, Signature: q.Sign(h.key)}
}

func (h *hand) find(id signed.Hash) (mpocv1.FindAnswer, error) {
	h.t.Helper()
	return post[mpocv1.FindAnswer](h, mpocv1.PathFind, h.finding(id))
}

// same checks that a receipt is found, and is the one that was given.
func (h *hand) same(r mpoc.Receipt) {
	h.t.Helper()
	found := must[mpocv1.FindAnswer](h)(h.find(r.Terms.ChallengeID)).Receipt
	found.DeviceSignature = r.DeviceSignature
	if diff := cmp.Diff(r, found); diff != "" {
		h.t.Error(diff)
	}
}

// A key gets the receipt of its challenge again, whatever it says, over HTTP and
// over a socket, before and after a restart of the host.
func TestFindReceipt(t *testing.T) {
	n := newNetwork(t, nil)
	h := n.hand(keyOf(2)).register()
	s := h.compute(12, nil)
	_, err := h.find(s.Terms.ChallengeID)
	refused(t, mpocv1.CodeNotJudged, err)
	if err := h.commit(s); err != nil {
		t.Fatal(err)
	}
	_, err = h.find(s.Terms.ChallengeID)
	refused(t, mpocv1.CodeNotJudged, err)
	accepted := h.answer(s)
	h.same(accepted)
	rejected := h.judged(h.compute(12, spoil))
	silent := h.unanswered()
	failed := must[mpocv1.FindAnswer](h)(h.find(silent.Terms.ChallengeID)).Receipt // which ends it
	late := must[mpocv1.FindAnswer](h)(h.find(h.late().Terms.ChallengeID)).Receipt
	if failed.Outcome.Status != mpoc.Failed || late.Outcome.Status != mpoc.Late {
		t.Errorf("%+v, %+v", failed.Outcome, late.Outcome)
	}
	n.restart()
	for _, r := range []mpoc.Receipt{accepted, rejected, failed, late} {
		if err := r.Verify(t.Context(), new(looker)); err != nil {
			t.Error(err)
		}
		h.same(r)
	}

	to, err := link.ParseAddress(n.address())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := link.Dial(t.Context(), to, mpocv1.PathSocket, h.key,
		link.Limits{Message: 1 << 20, Write: time.Minute, Ping: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Abort()
	body, err := json.Marshal(h.finding(accepted.Terms.ChallengeID))
	if err != nil {
		t.Fatal(err)
	}
	frame, err := json.Marshal(mpocv1.Frame{Type: mpocv1.TypeFind, ID: 7, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Send(t.Context(), frame); err != nil {
		t.Fatal(err)
	}
	message, err := socket.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := mpocv1.Decode[mpocv1.Frame](message)
	if err != nil || f.Type != mpocv1.TypeFind || f.ID != 7 {
		t.Fatalf("%s, %v", message, err)
	}
	if a, err := mpocv1.Decode[mpocv1.FindAnswer](f.Body); err != nil ||
		a.Receipt.Digest() != accepted.Digest() {
		t.Errorf("%+v, %v", a, err)
	}
}

// swallow has the host take every request to a path, and refuse to say what came
// of it while on is set.
func swallow(path string, on *atomic.Bool) func(http.Handler) http.Handler {
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || !on.Load() {
				honest.ServeHTTP(w, r)
				return
			}
			honest.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusInternalServerError)
			_ = json.NewEncoder(w).Encode(mpocv1.Error{Code: mpocv1.CodeInternal,
				Message: "a gateway broke", NextStep: "none"})
		})
	}
}

// A machine that never hears the answers to its proofs has all receipts in the
// end: it asks for them, goes on meanwhile, and asks again after a restart.
// Holds spec M-20.
func TestLostAnswersAreFetched(t *testing.T) {
	var proofs, finds atomic.Bool
	proofs.Store(true)
	finds.Store(true)
	n := newNetwork(t, func(n *network) {
		n.bend = func(h http.Handler) http.Handler {
			return swallow(mpocv1.PathProofs, &proofs)(swallow(mpocv1.PathFind, &finds)(h))
		}
	})
	home := t.TempDir()
	w := n.work(keyOf(2), home, nil)
	n.events.wait(t, "two are accepted and not heard of",
		func() bool { return n.status().Accepted >= 2 && w.Snapshot().Missing >= 2 })
	w.kill()
	if s := w.Snapshot(); s.Accepted+s.Failed != 0 || len(receipts(t, home)) != 0 {
		t.Errorf("%+v", s)
	}
	proofs.Store(false)
	finds.Store(false)
	w = n.work(keyOf(2), home, nil)
	n.events.wait(t, "all receipts are here",
		func() bool { return w.Snapshot().Accepted >= 3 && w.Snapshot().Missing == 0 })
	w.kill()
	s := n.status()
	if m := w.Snapshot(); s.Failed+s.Late+s.Rejected+m.Failed+m.Late+m.Rejected+m.Dropped != 0 {
		t.Errorf("host %+v, machine %+v", s, m)
	}
	// the last one's answer may be under way
	if have := len(receipts(t, home)); uint64(have) < s.Accepted-1 {
		t.Errorf("%d receipts of %d accepted", have, s.Accepted)
	}
}

// One that died between its proof and the answer does not need its digests any
// more, and signs the receipt back.
func TestReceiptWithoutDigests(t *testing.T) {
	dead := make(chan struct{})
	n := newNetwork(t, func(n *network) {
		n.bend = cut(mpocv1.PathProofs, true, func() { close(dead) })
	})
	home := t.TempDir()
	w := n.work(keyOf(2), home, nil)
	<-dead
	w.kill()
	if err := os.Truncate(filepath.Join(home, "mpoc", "units"), 0); err != nil {
		t.Fatal(err)
	}
	w = n.work(keyOf(2), home, nil)
	// so the first is signed back
	n.events.wait(t, "the receipt, and another", func() bool { return len(receipts(t, home)) >= 2 })
	w.kill()
	r := receipts(t, home)[0]
	if err := r.Verify(t.Context(), mpoc.Reference()); err != nil ||
		r.Outcome.Status != mpoc.Accepted || r.DeviceSignature == nil {
		t.Errorf("%+v, %v", r.Outcome, err)
	}
	h := n.hand(keyOf(2))
	h.count = 1 << 20 // behind the machine's askings
	if found := must[mpocv1.FindAnswer](h)(
		h.find(r.Terms.ChallengeID)).Receipt; found.DeviceSignature == nil ||
		found.Digest() != r.Digest() {
		t.Errorf("the host has %+v", found)
	}
}

// A host that gives another receipt when it is asked again is found out, and the
// machine can show it.
func TestHostileReceipts(t *testing.T) {
	host := keyOf(1)
	for _, c := range []struct {
		name string
		bend func(r *mpoc.Receipt)
		file string
	}{
		{"another entry", func(r *mpoc.Receipt) { r.Entry++; r.Sign(host) }, "two-receipts"},
		{"not accepted after all", func(r *mpoc.Receipt) {
			r.Outcome, r.Proved = mpoc.NoAnswer(), 0
			r.Sign(host)
		}, "two-receipts"},
		{"rejected without evidence", func(r *mpoc.Receipt) {
			r.Outcome.Status, r.Outcome.CreditedLoops, r.Outcome.Ops,
				r.Outcome.Pay = mpoc.Rejected, 0, 0, "0"
			r.Sign(host)
		}, "receipt"},
		{"of another submission", func(r *mpoc.Receipt) {
			r.Commit.Loops--
			r.Sign(host)
		}, "receipt"},
		{"under other terms", func(r *mpoc.Receipt) {
			r.Terms.PayPerTebiop = "1"
			r.TermsSignature = r.Terms.Sign(host)
			r.Sign(host)
		}, "receipt"},
		{"by another draw", func(r *mpoc.Receipt) { r.Draw.Deadline++; r.Sign(host) }, "receipt"},
		{"unsigned", func(r *mpoc.Receipt) { r.Entry++ }, "receipt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dead := make(chan struct{})
			n := newNetwork(t, func(n *network) {
				n.bend = func(h http.Handler) http.Handler {
					// The receipt is on the machine's disk, and not signed back yet.
					return cut(mpocv1.PathReceipts, false, func() {
						close(dead)
					})(bent(mpocv1.PathFind, func(_ []byte, a *mpocv1.FindAnswer) {
						c.bend(&a.Receipt)
					})(h))
				}
			})
			home := t.TempDir()
			w := n.work(keyOf(2), home, nil)
			<-dead
			w.kill()
			w = n.work(keyOf(2), home, nil)
			if err := n.over(w); !errors.Is(err, mpoc.ErrHost) {
				t.Fatalf("the machine ended with %v", err)
			}
			saved := w.Snapshot().EvidenceSaved
			if !strings.HasSuffix(saved, "-"+c.file+".json") || len(receipts(t, home)) != 1 {
				t.Fatalf("%d receipts, evidence %q", len(receipts(t, home)), saved)
			}
			if c.file != "two-receipts" {
				return
			}
			text, err := os.ReadFile(saved)
			if err != nil {
				t.Fatal(err)
			}
			e, err := mpoc.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := e.Verify(t.Context(), mpoc.Reference()); err != nil || !f.Host ||
				f.Accused != signed.KeyOf(host) {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}
