// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/paging"
)

type queries struct{ keeper *Keeper }

var _ registryv1.QueryServer = queries{}

func (q queries) Params(ctx context.Context,
	_ *registryv1.QueryParamsRequest) (*registryv1.QueryParamsResponse, error) {
	params, err := q.keeper.Params(ctx)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	pending, err := q.keeper.pendingParams(ctx)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &registryv1.QueryParamsResponse{Params: params, Pending: pending}, nil
}

func (q queries) Participant(ctx context.Context,
	r *registryv1.QueryParticipantRequest) (*registryv1.QueryParticipantResponse, error) {
	p, err := q.keeper.Get(ctx, r.Address)
	if errors.Is(err, ErrUnknown) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &registryv1.QueryParticipantResponse{Participant: p}, nil
}

func (q queries) Participants(ctx context.Context,
	r *registryv1.QueryParticipantsRequest) (*registryv1.QueryParticipantsResponse, error) {
	bounded, err := paging.Bound(r.Pagination)
	if err != nil {
		return nil, err
	}
	all, page, err := query.CollectionPaginate(ctx, q.keeper.participants, bounded,
		func(_ string, p registryv1.Participant) (registryv1.Participant, error) {
			err := q.keeper.withNodes(ctx, &p)
			return p, err
		})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &registryv1.QueryParticipantsResponse{Participants: all, Pagination: page}, nil
}
