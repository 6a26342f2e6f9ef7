// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/paging"
)

type queries struct{ keeper *Keeper }

var _ collateralv1.QueryServer = queries{}

func (q queries) Account(ctx context.Context,
	r *collateralv1.QueryAccountRequest) (*collateralv1.QueryAccountResponse, error) {
	if _, err := q.keeper.account(r.Address); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	a, err := q.keeper.Account(ctx, r.Address)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &collateralv1.QueryAccountResponse{Account: a, Free: free(a)}, nil
}

func (q queries) Accounts(ctx context.Context,
	r *collateralv1.QueryAccountsRequest) (*collateralv1.QueryAccountsResponse, error) {
	bounded, err := paging.Bound(r.Pagination)
	if err != nil {
		return nil, err
	}
	all, page, err := query.CollectionPaginate(ctx, q.keeper.deposits, bounded,
		func(_ string, a collateralv1.Account) (collateralv1.Account, error) { return a, nil })
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &collateralv1.QueryAccountsResponse{Accounts: all, Pagination: page}, nil
}
