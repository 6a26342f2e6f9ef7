// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
)

// No amount above nothing looks like nothing.
func TestCoins(t *testing.T) {
	for acpc, want := range map[mpoc.Amount]string{
		"0":                     "0 CPC",
		"7":                     "7 acpc",
		"1999":                  "1.999 fCPC",
		"4164874553678":         "4.164 µCPC",
		"999999999999999":       "999.999 µCPC",
		"1000000000000000":      "0.001000 CPC",
		"1000000000000000000":   "1.000000 CPC",
		"81123456789012345678":  "81.123456 CPC",
		"120000000000000000000": "120.000000 CPC",
	} {
		if got := Coins(acpc.Big()); got != want {
			t.Errorf("%s acpc are %s, want %s", acpc, got, want)
		}
	}
}

func TestMoney(t *testing.T) {
	a := money(mpocv1.Account{Payout: "cpc1q", Estimated: "0", Locked: "2000000000000000000",
		Pending: "340000000000000000", Settled: "5"}, 8)
	b := money(mpocv1.Account{Estimated: "1", Locked: "0", Pending: "0", Settled: "0"}, 8)
	for _, c := range []struct {
		m    *Money
		want string
	}{
		{a, "estimated 0 CPC, pending 2.340000 CPC (of it 2.000000 CPC locked until 8 more " +
			"submissions are clean), settled 5 acpc"},
		{b, "estimated 1 acpc, pending 0 CPC, settled 0 CPC"},
		{b.Plus(a), "estimated 1 acpc, pending 2.340000 CPC (of it 2.000000 CPC locked until 8 " +
			"more submissions are clean), settled 5 acpc"},
		{(*Money)(nil).Plus(b), "estimated 1 acpc, pending 0 CPC, settled 0 CPC"},
		{b.Plus(&Money{Estimated: "0", Pending: "0", Locked: "0", Settled: "0", Unpaid: true}),
			"estimated 1 acpc, pending 0 CPC, settled 0 CPC; the host owes and does not pay: no " +
				"paying account"},
		{nil, "the host has not shown the account yet"},
	} {
		if d := cmp.Diff(c.want, c.m.Text()); d != "" {
			t.Error(d)
		}
	}
	early, late := *a, *b
	early.AsOf, late.AsOf = "2026-01-02T03:04:05Z", "2026-01-02T03:05:00Z"
	if at := late.Plus(&early).AsOf; at != early.AsOf {
		t.Errorf("a sum is as of %s, want the older look's %s", at, early.AsOf)
	}
	local := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local().Format(time.TimeOnly)
	if text := early.Text(); !strings.HasSuffix(text, ", settled 5 acpc, as of "+local) {
		t.Errorf("no time in %q", text)
	}
	if b.Plus(a).Payout != "cpc1q" || b.Payout != "" {
		t.Error("the payout address is not the one that there is, or the summand was changed")
	}
}
