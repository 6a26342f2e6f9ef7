// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/types/query"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/credit"
)

// The figures that SECURITY.md has: 25.7 %, 18.7 % with a third of the honest absent, 44.4 % and
// 55.6 %.
// Holds spec P-12.
func TestSecurityBudget(t *testing.T) {
	want := Budget{
		MoveBps: 1_000, LambdaBps: 12_000, MinLiveBps: 6_666, Budget: "25.69",
		Absent: []Absent{{"0.00", "25.69"}, {"10.00", "23.73"}, {"20.00", "21.66"},
			{"25.00", "20.59"}, {"33.33", "18.73"}, {"40.00", "17.18"}},
		OneThird: "44.44", SplitThird: "27.77", OneMost: "72.22", SplitMost: "55.55",
		CapYields: "37.50",
	}
	if diff := cmp.Diff(want, budget(credit.DefaultRules(), minLiveBps)); diff != "" {
		t.Error(diff)
	}
	localnet := credit.DefaultRules()
	localnet.MoveBps = 3_333
	if got := budget(localnet, 5_000); got.Budget != "20.83" || got.Absent[4].Budget != "14.92" {
		t.Errorf("localnet: %+v", got)
	}
	text, err := run(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"(1/3 - move/4) / lambda = 25.69 % of the compute present, at a move of 10.00 % an " +
			"epoch\nand a lambda of 1.20.", "  33.33 %                18.73 %",
		"With over 33.34 % of the weight absent the epoch is void",
		"over 1/3 from 44.44 %, over 2/3 from 72.22 %",
		"over 1/3 from 27.77 %, over 2/3 from 55.55 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// network answers as a node does, in pages of two.
type network struct {
	holdings []creditv1.Holding
	base     uint64
}

func (n network) Invoke(_ context.Context, method string, args, reply any,
	_ ...grpc.CallOption) error {
	switch reply := reply.(type) {
	case *creditv1.QueryParamsResponse:
		reply.Params = creditv1.Params{CapBps: 2_500, LambdaBps: 12_000, MoveBps: 1_000,
			MaxValidators: 4}
		reply.Base = n.base
	case *sprintv1.QueryParamsResponse:
		reply.Params.MinLiveBps = 6_666
	case *creditv1.QueryHoldingsResponse:
		at := 0
		if key := args.(*creditv1.QueryHoldingsRequest).Pagination.Key; key != nil {
			at = int(key[0])
		}
		reply.Holdings, reply.Pagination = n.holdings[at:min(at+2, len(n.holdings))],
			&query.PageResponse{}
		if at+2 < len(n.holdings) {
			reply.Pagination.NextKey = []byte{byte(at + 2)}
		}
	default:
		return fmt.Errorf("no %s", method)
	}
	return nil
}

func (network) NewStream(context.Context, *grpc.StreamDesc, string,
	...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("no streams")
}

func TestSecurityBudgetOfANetwork(t *testing.T) {
	n := network{base: 200}
	for i, w := range []uint64{10, 40, 0, 20, 20, 10} {
		n.holdings = append(n.holdings, creditv1.Holding{Participant: fmt.Sprintf("p%d", i),
			Weight: w, Power: 10_000 * w})
	}
	b, err := read(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Network{Holders: 5, Weight: 100, Covered: "90.00", Budget: "23.12",
		Coalition: 1, Largest: []Holder{
			{"p1", "40.00", "40.00", "48.00"}, {"p3", "20.00", "20.00", "24.00"},
			{"p4", "20.00", "20.00", "24.00"},
		}}, b.Network); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&Outage{200, "5.00"}, b.Outage); diff != "" {
		t.Error(diff)
	}
	var text strings.Builder
	b.Text(&text)
	for _, want := range []string{"5 holders with 100 MiOP", "did 90.00 % of it, so the budget " +
		"is 23.12 %", "It takes the 1 largest together to reach that", "at most 5.00 % of the " +
		"power moves"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if b, err := read(t.Context(), network{}); err != nil || b.Network != nil {
		t.Errorf("a network without weight: %+v, %v", b.Network, err)
	}
}
