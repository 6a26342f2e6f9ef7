// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/paging"
	"github.com/assaynet/assay/chain/table"
)

type queryServer struct{ *Keeper }

func (s queryServer) Params(ctx context.Context,
	_ *courtv1.QueryParamsRequest) (*courtv1.QueryParamsResponse, error) {
	p, err := s.Keeper.Params(ctx)
	if err != nil {
		return nil, err
	}
	pending, err := table.Optional(ctx, s.pending)
	return &courtv1.QueryParamsResponse{Params: p, Pending: pending}, err
}

func (s queryServer) Penalties(ctx context.Context,
	req *courtv1.QueryPenaltiesRequest) (*courtv1.QueryPenaltiesResponse, error) {
	all, page, err := paging.List(ctx, s.penalties, req.Pagination,
		func(_ penaltyKey, p courtv1.Penalty) (courtv1.Penalty, error) { return p, nil })
	if err != nil {
		return nil, err
	}
	res := &courtv1.QueryPenaltiesResponse{Penalties: all, Pagination: page}
	f, err := table.Optional(ctx, s.failures)
	if f != nil {
		res.Failures = *f
	}
	return res, err
}

func (s queryServer) Claims(ctx context.Context,
	req *courtv1.QueryClaimsRequest) (*courtv1.QueryClaimsResponse, error) {
	all, page, err := paging.List(ctx, s.claims, req.Pagination,
		func(n uint64, c courtv1.Claim) (courtv1.Queued, error) {
			return courtv1.Queued{Number: n, Claim: c}, nil
		})
	return &courtv1.QueryClaimsResponse{Claims: all, Pagination: page}, err
}

func (s queryServer) Judgements(ctx context.Context,
	req *courtv1.QueryJudgementsRequest) (*courtv1.QueryJudgementsResponse, error) {
	all, page, err := paging.List(ctx, s.judgements, req.Pagination,
		func(_ leafKey, j courtv1.Judgement) (courtv1.Judgement, error) { return j, nil },
		func(o *query.CollectionsPaginateOptions[leafKey]) {
			prefix := collections.TriplePrefix[uint64, string, []byte](req.Epoch)
			o.Prefix = &prefix
		})
	return &courtv1.QueryJudgementsResponse{Judgements: all, Pagination: page}, err
}

func (s queryServer) Claimant(ctx context.Context,
	req *courtv1.QueryClaimantRequest) (*courtv1.QueryClaimantResponse, error) {
	c, err := s.Keeper.Claimant(ctx, req.Epoch, req.Participant)
	if err != nil {
		return nil, err
	}
	weight, total, err := s.cases.Standing(ctx, req.Epoch, req.Participant)
	if err != nil {
		return nil, err
	}
	return &courtv1.QueryClaimantResponse{Claimant: c, Budget: Budget(weight, total)}, nil
}
