// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/host/submit"
)

// Every form of a grant is read, and one that is little, ends soon or is none says what to do.
func TestWhatTheHotKeyMaySpend(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	acpc := func(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(submit.Denom, n)) }
	filtered := func(a feegrant.FeeAllowanceI) feegrant.FeeAllowanceI {
		f, err := feegrant.NewAllowedMsgAllowance(a, []string{"/assay.sprint.v1.MsgCommit"})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const much, year = int64(5e18), 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		grant   feegrant.FeeAllowanceI
		left    string // "-": without a bound
		granted bool
		says    string
	}{
		"none": {nil, "-", false, "grant it: assay tx feegrant grant cpc1op cpc1hot " +
			"--spend-limit 10cpc"},
		"of a registration": {&feegrant.BasicAllowance{
			SpendLimit: registryv1.HotLimit(submit.Denom)}, "10000000000000000000", true, ""},
		"without a bound": {&feegrant.BasicAllowance{}, "-", true, ""},
		"little": {&feegrant.BasicAllowance{SpendLimit: acpc(9e17)}, "900000000000000000",
			true, "less than 1cpc"},
		"another coin": {&feegrant.BasicAllowance{
			SpendLimit: sdk.NewCoins(sdk.NewInt64Coin("other", 5))}, "0", true, "less than 1cpc"},
		"a year": {&feegrant.BasicAllowance{SpendLimit: acpc(much), Expiration: in(year)},
			"5000000000000000000", true, ""},
		"ends soon": {&feegrant.BasicAllowance{SpendLimit: acpc(much),
			Expiration: in(time.Hour)}, "5000000000000000000", true, "ends within 7 days"},
		"ended": {&feegrant.BasicAllowance{Expiration: in(-time.Hour)}, "-", false,
			"has ended; to grant again: assay tx feegrant revoke cpc1op cpc1hot"},
		"by the day": {&feegrant.PeriodicAllowance{
			Basic: feegrant.BasicAllowance{SpendLimit: acpc(much)}, PeriodCanSpend: acpc(2e18)},
			"2000000000000000000", true, ""},
		"the day's is gone": {&feegrant.PeriodicAllowance{}, "0", true, "less than 1cpc"},
		"for some messages": {filtered(&feegrant.BasicAllowance{SpendLimit: acpc(much)}),
			"5000000000000000000", true, ""},
	} {
		k := HotKey{Address: "cpc1hot"}
		if err := allowed(&k, c.grant, "cpc1op", now); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		left := "-"
		if k.Left != nil {
			left = k.Left.String()
		}
		if left != c.left || k.Granted != c.granted || (k.Reason == "") != (c.says == "") ||
			!strings.Contains(k.Reason, c.says) {
			t.Errorf("%s: %s left, granted %t, %q", name, left, k.Granted, k.Reason)
		}
	}
}

// A node that does not answer is no missing grant.
func TestNoGrant(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {errors.New("x"), false},
		{status.Error(codes.Unavailable, "not found: the name of the node"), false},
		{status.Error(codes.Internal, "collections: not found: key 'a' of type feegrant"), true},
		{status.Error(codes.NotFound, ""), true}, {status.Error(codes.Internal, "panic"), false},
	} {
		if got := noGrant(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}
