// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/paging"
	"github.com/assaynet/assay/chain/table"
)

type queries struct{ keeper *Keeper }

var _ collateralv1.QueryServer = queries{}

func (q queries) Params(ctx context.Context,
	_ *collateralv1.QueryParamsRequest) (*collateralv1.QueryParamsResponse, error) {
	res := &collateralv1.QueryParamsResponse{}
	var err error
	if res.Params, err = q.keeper.Params(ctx); err != nil {
		return nil, err
	}
	if res.PendingParams, err = table.Optional(ctx, q.keeper.pending); err != nil {
		return nil, err
	}
	res.Rises, err = table.Values(ctx, q.keeper.rises, nil)
	return res, err
}

func (q queries) Account(ctx context.Context,
	r *collateralv1.QueryAccountRequest) (*collateralv1.QueryAccountResponse, error) {
	if _, err := q.keeper.account(r.Address); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	a, err := q.keeper.Account(ctx, r.Address)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	rules, err := q.keeper.unbonding(ctx)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	res := &collateralv1.QueryAccountResponse{Account: a, Free: free(a)}
	for _, w := range a.Withdrawals {
		res.Due = append(res.Due, rules.due(w))
	}
	return res, nil
}

func (q queries) Accounts(ctx context.Context,
	r *collateralv1.QueryAccountsRequest) (*collateralv1.QueryAccountsResponse, error) {
	bounded, err := paging.Bound(r.Pagination)
	if err != nil {
		return nil, err
	}
	all, page, err := query.CollectionPaginate(ctx, q.keeper.deposits, bounded,
		func(_ string, a collateralv1.Account) (collateralv1.Account, error) {
			return whole(a), nil
		})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &collateralv1.QueryAccountsResponse{Accounts: all, Pagination: page}, nil
}
