// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/table"
)

// Entries of a page: what is listed if no limit is asked for, and at most.
const (
	pageLimit = 100
	pageMost  = 1_000
)

type queryServer struct{ *Keeper }

func (s queryServer) Params(ctx context.Context, _ *creditv1.QueryParamsRequest) (*creditv1.QueryParamsResponse, error) {
	res := &creditv1.QueryParamsResponse{}
	var err error
	if res.Params, err = s.params.Get(ctx); err != nil {
		return nil, err
	}
	if res.PendingParams, err = table.Optional(ctx, s.pending); err != nil {
		return nil, err
	}
	res.Base, err = s.outage(ctx)
	return res, err
}

func (s queryServer) Holdings(ctx context.Context, req *creditv1.QueryHoldingsRequest) (*creditv1.QueryHoldingsResponse, error) {
	p, err := page(req.GetPagination())
	if err != nil {
		return nil, err
	}
	list, next, err := query.CollectionPaginate(ctx, s.holdings, p, func(_ string, h creditv1.Holding) (creditv1.Holding, error) { return h, nil })
	return &creditv1.QueryHoldingsResponse{Holdings: list, Pagination: next}, err
}

func (s queryServer) Holding(ctx context.Context, req *creditv1.QueryHoldingRequest) (*creditv1.QueryHoldingResponse, error) {
	if req == nil || req.Participant == "" {
		return nil, status.Error(codes.InvalidArgument, "name a participant's address")
	}
	h, err := s.Keeper.Holding(ctx, req.Participant)
	return &creditv1.QueryHoldingResponse{Holding: h}, err
}

func (s queryServer) Seats(ctx context.Context, req *creditv1.QuerySeatsRequest) (*creditv1.QuerySeatsResponse, error) {
	p, err := page(req.GetPagination())
	if err != nil {
		return nil, err
	}
	list, next, err := query.CollectionPaginate(ctx, s.seats, p, func(_ []byte, seat creditv1.Seat) (creditv1.Seat, error) { return seat, nil })
	return &creditv1.QuerySeatsResponse{Seats: list, Pagination: next}, err
}

// page bounds what one query reads. Pages follow each other by key; an offset or a count would read all the same.
func page(p *query.PageRequest) (*query.PageRequest, error) {
	if p == nil {
		p = &query.PageRequest{}
	}
	switch {
	case p.Offset > 0 || p.CountTotal:
		return nil, status.Error(codes.InvalidArgument, "pages have no offset and no count; ask for the next one with the key that the last one gave")
	case p.Limit > pageMost:
		return nil, status.Errorf(codes.InvalidArgument, "a page has at most %d entries, not %d", pageMost, p.Limit)
	}
	bounded := *p
	if bounded.Limit == 0 {
		bounded.Limit = pageLimit
	}
	return &bounded, nil
}
