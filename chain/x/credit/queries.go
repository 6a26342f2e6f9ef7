// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/paging"
	"github.com/assaynet/assay/chain/table"
)

type queryServer struct{ *Keeper }

func (s queryServer) Params(ctx context.Context,
	_ *creditv1.QueryParamsRequest) (*creditv1.QueryParamsResponse, error) {
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

func (s queryServer) Holdings(ctx context.Context,
	req *creditv1.QueryHoldingsRequest) (*creditv1.QueryHoldingsResponse, error) {
	list, next, err := paging.List(ctx, s.holdings, req.GetPagination(),
		func(_ string, h creditv1.Holding) (creditv1.Holding, error) { return h, nil })
	return &creditv1.QueryHoldingsResponse{Holdings: list, Pagination: next}, err
}

func (s queryServer) Holding(ctx context.Context,
	req *creditv1.QueryHoldingRequest) (*creditv1.QueryHoldingResponse, error) {
	if req == nil || req.Participant == "" {
		return nil, status.Error(codes.InvalidArgument, "name a participant's address")
	}
	h, err := s.Keeper.Holding(ctx, req.Participant)
	if err != nil {
		return nil, err
	}
	backed, err := s.Backed(ctx, req.Participant, h.Weight)
	return &creditv1.QueryHoldingResponse{Holding: h, Backed: backed}, err
}

func (s queryServer) Owed(ctx context.Context,
	req *creditv1.QueryOwedRequest) (*creditv1.QueryOwedResponse, error) {
	if req == nil || req.Participant == "" {
		return nil, status.Error(codes.InvalidArgument, "name a participant's address")
	}
	res := &creditv1.QueryOwedResponse{}
	m, err := s.books(ctx)
	if err != nil {
		return nil, err
	}
	if m != nil {
		res.SettledEpoch = m.SettledEpoch
	}
	all, err := s.owedTo(ctx, req.Participant)
	if err != nil {
		return nil, err
	}
	res.Total = math.ZeroInt()
	for _, o := range all {
		res.Total = res.Total.Add(o.Amount)
	}
	page, err := paging.Bound(req.Pagination)
	if err != nil {
		return nil, err
	}
	in := func(b batch) owedKey { return collections.Join3(b.K1(), b.K2(), req.Participant) }
	res.Owed, res.Pagination, err = query.CollectionFilteredPaginate(ctx, s.open, page,
		func(b batch, _ collections.NoValue) (bool, error) { return s.owed.Has(ctx, in(b)) },
		func(b batch, _ collections.NoValue) (creditv1.Owed, error) {
			return s.owed.Get(ctx, in(b))
		})
	return res, err
}

func (s queryServer) Audit(ctx context.Context,
	_ *creditv1.QueryAuditRequest) (*creditv1.QueryAuditResponse, error) {
	res, err := s.Keeper.Audit(ctx)
	return &res, err
}

func (s queryServer) Seats(ctx context.Context,
	req *creditv1.QuerySeatsRequest) (*creditv1.QuerySeatsResponse, error) {
	list, next, err := paging.List(ctx, s.seats, req.GetPagination(),
		func(_ []byte, seat creditv1.Seat) (creditv1.Seat, error) { return seat, nil })
	return &creditv1.QuerySeatsResponse{Seats: list, Pagination: next}, err
}
