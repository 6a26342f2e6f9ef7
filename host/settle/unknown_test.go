// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
)

// No node has the blocks that may hold an open settlement. A person says what became of it, once
// and in so many words, and each machine is paid once. A node that has the blocks after all makes
// that unnecessary.
func TestAnOpenSettlementWhoseBlocksAreGone(t *testing.T) {
	for _, c := range []struct {
		became string // empty: the blocks are there again
		paid   bool   // by the chain
	}{{settle.Paid, true}, {settle.Unpaid, false}, {"", true}} {
		l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
		b := settletest.New("1000")
		s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
		earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
		step := func() {
			t.Helper()
			if err := s.Step(t.Context(), b.Height); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if !c.paid {
			b.Lose()
			b.ByHand("")
		}
		b.Make(true)
		before := b.Pruned
		b.Pruned = b.Height
		p := stopped(t, s, b, "does not have block")
		if p.Open != 1 || len(p.Hash) == 0 ||
			!strings.Contains(s.Status().Reason, "assay host payments") {
			t.Fatalf("%+v: %+v", c, p)
		}
		switch c.became {
		case "":
			b.Pruned = before
		default:
			for _, wrong := range []string{"", "perhaps"} {
				if err := s.Resolve(p.Digest, wrong); !errors.Is(err, settle.ErrPlan) ||
					!strings.Contains(err.Error(), p.Hash) {
					t.Errorf("%q: %v", wrong, err)
				}
			}
			if err := s.Resolve(p.Digest, c.became); err != nil {
				t.Fatal(err)
			}
			step()
		}
		if !c.paid { // the other use of the account is a plan of its own
			p := stopped(t, s, b, "something else")
			if err := s.Resolve(p.Digest, settle.Paid); p.Open != 0 ||
				!errors.Is(err, settle.ErrPlan) {
				t.Errorf("%+v: %v", p, err)
			}
			if err := s.Resolve(p.Digest, ""); err != nil {
				t.Fatal(err)
			}
		}
		run(t, s, b)
		earn(t, l, ledger.Device{1}, "cpc1a", "2", "7")
		run(t, s, b)
		if got, want := b.Got("cpc1a"), "107"; got != want || s.Status().Plan != nil {
			t.Errorf("%+v: paid %s, want %s; %+v", c, got, want, s.Status())
		}
	}
}
