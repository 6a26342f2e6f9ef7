// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	poc "github.com/assaynet/assay/poc/mpoc"
)

// account asks for a page of a key's account.
func (h *hand) account(from uint64) mpocv1.Account {
	h.t.Helper()
	q, sig := h.asking(poc.AskAccount)
	return must[mpocv1.Account](h)(post[mpocv1.Account](h, mpocv1.PathAccount, mpocv1.AccountRequest{Asking: q, From: from, Signature: sig}))
}

// late commits after the expiry.
func (h *hand) late() *submission {
	h.t.Helper()
	s := h.compute(1, nil)
	h.n.skew.Add(int64(s.Terms.Expiry-s.Terms.Issued) + 1)
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
	h.n.skew.Add(int64(s.draw.Deadline-s.Terms.Issued) + 1)
	return s
}

// Whatever becomes of a submission, its receipt is in the account, in order, and
// nothing replaces it: most of these have no entry in the ledger.
func TestEveryReceiptIsListed(t *testing.T) {
	n := newNetwork(t, nil)
	h := n.hand(keyOf(2)).register()
	var want []poc.Status
	for range 2 {
		h.late()
		h.unanswered()
		want = append(want, poc.Late, poc.Failed)
	}
	h.judged(h.compute(12, nil))
	h.judged(h.compute(12, spoil))
	for range 6 {
		h.late()
	}
	want = append(want, poc.Accepted, poc.Rejected, poc.Late, poc.Late, poc.Late, poc.Late, poc.Late, poc.Late)
	n.restart()
	var got []poc.Status
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
