// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
)

// A settlement may enter the block of its timeout height, and is waited for until that
// is committed. After that it is given up, once, and nobody is put off for it.
func TestTheLastBlockCounts(t *testing.T) {
	for _, enters := range []bool{true, false} {
		l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
		b := settletest.New("1000")
		s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
		earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
		for range settle.TimeoutBlocks {
			if err := s.Step(t.Context(), b.Height); err != nil {
				t.Fatal(err)
			}
			if open, found, err := l.Unfinished(); err != nil || !found || open.Number != 1 {
				t.Fatalf("height %d: %+v, %v", b.Height, open, err)
			}
			b.Make(enters && b.Height == settle.TimeoutBlocks-1)
		}
		if err := s.Step(t.Context(), b.Height); err != nil {
			t.Fatal(err)
		}
		a, err := l.Account(ledger.Device{1})
		if err != nil || a.Settled.IsZero() == enters || a.Due.IsZero() != enters || a.Refuse != 0 {
			t.Errorf("it entered: %v: %+v, %v", enters, a, err)
		}
	}
}

var one, _ = ledger.ParseAmount("1")

// dear is a chain with a fee.
type dear struct{ *settletest.Bank }

func (dear) Fee(transfers int) ledger.Amount { return ledger.Pay(uint64(10+transfers)<<40, one) }

// What the fee takes is not promised to anybody.
func TestTheFeeIsKeptBack(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("100")
	s := settle.New(settle.Config{Ledger: l, Chain: dear{b}, Account: "cpc1host"})
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "95")
	run(t, s, b)
	if b.Got("cpc1a") != "89" {
		t.Errorf("of 100, with a fee of 11, %s is paid", b.Got("cpc1a"))
	}
}

// What ledger and chain agree on need not be read again from the beginning: the height
// is written down now and then.
func TestAgreementIsWrittenDown(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l"), ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	for _, height := range []int64{1, 500, 510} {
		if err := s.Step(t.Context(), height); err != nil {
			t.Fatal(err)
		}
	}
	if books, err := l.Books(); err != nil || books.Height != 500 {
		t.Errorf("%+v, %v", books, err)
	}
}

// A settlement of this ledger that failed in a block paid nobody. When a copy of the
// ledger from before is put back, what it was to pay is due.
func TestAFailureCountsAsNoPayment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	l := openLedger(t, path, ledger.Amount{})
	b := settletest.New("1000")
	s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	run(t, s, b)
	earn(t, l, ledger.Device{1}, "cpc1a", "1", "100")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	b.Refused["cpc1a"] = "out of gas"
	run(t, s, b)
	clear(b.Refused)
	if err := errors.Join(l.Close(), os.WriteFile(path, backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path, ledger.Amount{})
	s = settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
	p := stopped(t, s, b, "does not know")
	if len(p.Found) != 1 || p.Found[0].Number != 0 || p.Found[0].Note == "" {
		t.Errorf("%+v", p)
	}
	if err := s.Resolve(p.Digest, ""); err != nil {
		t.Fatal(err)
	}
	run(t, s, b)
	if b.Got("cpc1a") != "100" {
		t.Errorf("paid %s", b.Got("cpc1a"))
	}
}
