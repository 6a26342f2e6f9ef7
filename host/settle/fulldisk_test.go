// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
	"github.com/assaynet/assay/internal/fulldisk"
)

// The ledger's disk is full from the k-th change of a day of payments on, for as long as three
// blocks: credits are refused with the path, nothing is paid that is not written down, and with
// space the rest is paid, each credit once.
func TestPaymentsDiskFillsAtEachWrite(t *testing.T) {
	payouts := []string{"cpc1a", "cpc1b", "cpc1c"}
	pay := func(t *testing.T, k int) int {
		dir := t.TempDir()
		l := openLedger(t, filepath.Join(dir, "ledger.db"), ledger.Amount{})
		b := settletest.New("100000")
		s := settle.New(settle.Config{Ledger: l, Chain: b, Account: "cpc1host"})
		disk := fulldisk.Below(t, dir)
		if k > 0 {
			disk.Fill(k)
		}
		ten, err := ledger.ParseAmount("10")
		if err != nil {
			t.Fatal(err)
		}
		named := func(err error) {
			t.Helper()
			if err != nil && (!errors.Is(err, syscall.ENOSPC) ||
				!strings.Contains(err.Error(), dir)) {
				t.Errorf("%s: %v", disk.First(), err)
			}
		}
		day := func(source string) {
			t.Helper()
			for i, payout := range payouts {
				d := ledger.Device{byte(i + 1)}
				_, err := l.Register(d, payout, t0)
				if err == nil {
					_, err = l.Credit(ledger.Entry{Device: d, Kind: ledger.Loops,
						Source: source, Pay: ten})
				}
				named(err)
			}
			for range 4 {
				named(s.Step(t.Context(), b.Height))
				b.Make(true)
			}
		}
		day("monday")
		day("tuesday")
		writes := disk.Writes()
		disk.Free()
		// a credit that was refused comes again; one that was entered counts once
		for _, source := range []string{"monday", "tuesday", "wednesday"} {
			day(source)
		}
		run(t, s, b)
		for _, payout := range payouts {
			if paid := b.Paid[payout].String(); paid != "30" {
				t.Errorf("%s was paid %s, want 30, after %s", payout, paid, disk.First())
			}
		}
		if err := l.Check(); err != nil {
			t.Error(err)
		}
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = pay(t, 0) })
	if n < 12 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 6, func(t *testing.T, k int) { pay(t, k) })
}
