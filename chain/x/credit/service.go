// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

type msgServer struct{ *Keeper }

// UpdateParams changes the rails within their bounds; only governance may.
func (s msgServer) UpdateParams(ctx context.Context, m *creditv1.MsgUpdateParams) (*creditv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters", s.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, sdkerrors.ErrInvalidRequest.Wrap(err.Error())
	}
	return &creditv1.MsgUpdateParamsResponse{}, s.params.Set(ctx, m.Params)
}

type queryServer struct{ *Keeper }

func (s queryServer) Params(ctx context.Context, _ *creditv1.QueryParamsRequest) (*creditv1.QueryParamsResponse, error) {
	p, err := s.params.Get(ctx)
	return &creditv1.QueryParamsResponse{Params: p}, err
}

func (s queryServer) Holdings(ctx context.Context, _ *creditv1.QueryHoldingsRequest) (*creditv1.QueryHoldingsResponse, error) {
	all, err := s.Keeper.Holdings(ctx)
	return &creditv1.QueryHoldingsResponse{Holdings: all}, err
}

func (s queryServer) Holding(ctx context.Context, req *creditv1.QueryHoldingRequest) (*creditv1.QueryHoldingResponse, error) {
	if req == nil || req.Participant == "" {
		return nil, status.Error(codes.InvalidArgument, "name a participant's address")
	}
	h, err := s.Keeper.Holding(ctx, req.Participant)
	return &creditv1.QueryHoldingResponse{Holding: h}, err
}
