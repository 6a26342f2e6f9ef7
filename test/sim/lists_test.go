// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/paging"
)

// C18. Lists were answered whole, and questions about the running epoch cost nothing. Every list
// comes in pages of a hundred that follow each other to the end, and a query pays for what it
// reads.
// Holds spec R-13.
func TestC18ListsComeInPages(t *testing.T) {
	const holders, usual = 110, 100
	var all []string
	for i := range holders {
		all = append(all, fmt.Sprintf("p%d", i))
	}
	n := startNamed(t, all, func(string) uint64 { return 1_000 })
	e, _ := n.finish(1)
	ctx := context.Background()
	at := conn{n.app, n.ctx()}
	c, r := creditv1.NewQueryClient(at), registryv1.NewQueryClient(at)
	type listed func(*query.PageRequest) (int, *query.PageResponse, error)
	for name, l := range map[string]struct {
		list listed
		want int
	}{
		"members": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := n.query().Members(ctx,
				&sprintv1.QueryMembersRequest{Epoch: 1, Pagination: p})
			return len(res.GetMembers()), res.GetPagination(), err
		}, holders},
		"commits": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := n.query().Commits(ctx,
				&sprintv1.QueryCommitsRequest{Epoch: 1, Pagination: p})
			return len(res.GetCommits()), res.GetPagination(), err
		}, holders * len(e.Segments)},
		"verdicts": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := n.query().Verdicts(ctx,
				&sprintv1.QueryVerdictsRequest{Epoch: 1, Pagination: p})
			return len(res.GetRecords()), res.GetPagination(), err
		}, int(e.Round.Members)},
		"outcomes": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := n.query().Outcomes(ctx,
				&sprintv1.QueryOutcomesRequest{Epoch: 1, Pagination: p})
			return len(res.GetOutcomes()), res.GetPagination(), err
		}, holders},
		"holdings": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := c.Holdings(ctx, &creditv1.QueryHoldingsRequest{Pagination: p})
			return len(res.GetHoldings()), res.GetPagination(), err
		}, holders},
		"seats": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := c.Seats(ctx, &creditv1.QuerySeatsRequest{Pagination: p})
			return len(res.GetSeats()), res.GetPagination(), err
		}, holders},
		"participants": {func(p *query.PageRequest) (int, *query.PageResponse, error) {
			res, err := r.Participants(ctx, &registryv1.QueryParticipantsRequest{Pagination: p})
			return len(res.GetParticipants()), res.GetPagination(), err
		}, holders},
	} {
		t.Run(name, func(t *testing.T) {
			sum, pages := 0, 0
			for page := (*query.PageRequest)(nil); pages == 0 || len(page.Key) > 0; pages++ {
				count, next, err := l.list(page)
				if err != nil || count > usual || pages > holders {
					t.Fatalf("page %d: %d entries, %v", pages, count, err)
				}
				sum, page = sum+count, &query.PageRequest{Key: next.NextKey}
			}
			if sum != l.want || l.want <= usual || pages != (l.want+usual-1)/usual {
				t.Errorf("%d of %d in %d pages", sum, l.want, pages)
			}
			for _, page := range []*query.PageRequest{{Limit: paging.Most + 1},
				{CountTotal: true}, {Offset: 1}} {
				if _, _, err := l.list(page); status.Code(err) != codes.InvalidArgument {
					t.Errorf("a page of %d from %d on, counting %v: %v", page.Limit, page.Offset,
						page.CountTotal, err)
				}
			}
		})
	}
	voter := n.host("p0").addr
	first, err := n.query().Duties(ctx, &sprintv1.QueryDutiesRequest{Epoch: 1, Voter: voter,
		Pagination: &query.PageRequest{Limit: 1}})
	if err != nil || len(first.Duties) != 1 || len(first.Pagination.NextKey) == 0 {
		t.Errorf("the first duty: %v, %v", first, err)
	}
	meter := storetypes.NewInfiniteGasMeter()
	read := conn{n.app, n.ctx().WithGasMeter(meter)}
	res, err := sprintv1.NewQueryClient(read).Duties(ctx,
		&sprintv1.QueryDutiesRequest{Epoch: 1, Voter: voter})
	if err != nil {
		t.Fatal(err)
	}
	if least := uint64(len(res.Duties)) * 1_000; meter.GasConsumed() < least {
		t.Errorf("%d duties of the running epoch are listed for %d gas, want %d", len(res.Duties),
			meter.GasConsumed(), least)
	}
}
