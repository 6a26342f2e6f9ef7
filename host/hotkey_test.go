// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	"google.golang.org/grpc"
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

// granting is a chain that has granted a hot key everything but some messages.
type granting struct {
	authz.QueryClient
	not []string
	err error
}

func (g granting) Grants(_ context.Context, req *authz.QueryGrantsRequest,
	_ ...grpc.CallOption) (*authz.QueryGrantsResponse, error) {
	if g.err == nil && slices.Contains(g.not, req.MsgTypeUrl) {
		return nil, status.Error(codes.NotFound, "authorization not found")
	}
	return &authz.QueryGrantsResponse{}, g.err
}

// A duty that a hot key may not send is named, with the command that grants it.
func TestAMissingGrantIsNamed(t *testing.T) {
	const commits = "/assay.stream.v1.MsgSubmitContinuousPoCCommit"
	missing, err := notGranted(t.Context(), granting{not: []string{commits}}, "cpc1a", "cpc1hot")
	if err != nil || !slices.Equal(missing, []string{commits}) {
		t.Fatalf("missing %v, %v", missing, err)
	}
	for _, want := range []string{"may not send MsgSubmitContinuousPoCCommit",
		"assay tx authz grant cpc1hot generic --msg-type " + commits} {
		if got := mayNotSend(missing, "cpc1hot"); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if missing, err := notGranted(t.Context(), granting{}, "cpc1a", "cpc1hot"); err != nil ||
		len(missing) > 0 {
		t.Errorf("all granted: %v, %v", missing, err)
	}
	if missing, err := notGranted(t.Context(), granting{not: []string{commits}}, "cpc1a",
		"cpc1a"); err != nil || len(missing) > 0 {
		t.Errorf("the operator itself: %v, %v", missing, err)
	}
	gone := status.Error(codes.Unavailable, "gone")
	if _, err := notGranted(t.Context(), granting{err: gone}, "cpc1a", "cpc1hot"); err == nil {
		t.Error("a node that is gone grants everything")
	}
}
