// SPDX-License-Identifier: Apache-2.0

package beacon

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
)

// queries answers from the state it is asked about.
type queries struct{ keeper *Keeper }

var _ beaconv1.QueryServer = queries{}

func (q queries) Latest(ctx context.Context,
	_ *beaconv1.QueryLatestRequest) (*beaconv1.QueryOutputResponse, error) {
	o, err := q.keeper.Latest(ctx)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &beaconv1.QueryOutputResponse{Output: o}, nil
}

func (q queries) Output(ctx context.Context,
	r *beaconv1.QueryOutputRequest) (*beaconv1.QueryOutputResponse, error) {
	if r.Height < 1 {
		return nil, status.Errorf(codes.InvalidArgument, "beacon: height %d; the first block is 1",
			r.Height)
	}
	o, err := q.keeper.Output(ctx, r.Height)
	if err != nil {
		return nil, answer(err)
	}
	return &beaconv1.QueryOutputResponse{Output: o}, nil
}

func (q queries) Mix(ctx context.Context, r *beaconv1.QueryMixRequest) (*beaconv1.QueryMixResponse,
	error) {
	if r.Deadline < 0 {
		return nil, status.Errorf(codes.InvalidArgument, "beacon: deadline %d", r.Deadline)
	}
	mix, height, ok, err := q.keeper.Mix(ctx, r.Deadline)
	if err != nil {
		return nil, answer(err)
	}
	if !ok {
		return nil, status.Errorf(codes.FailedPrecondition,
			"beacon: not resolved yet: two blocks have to pass after height %d, and their "+
				"proposers have to hold more than 1/3 of the power", r.Deadline)
	}
	return &beaconv1.QueryMixResponse{Mix: beaconv1.Mix{Deadline: r.Deadline, Height: height,
		Value: mix.Bytes()}}, nil
}

func answer(err error) error {
	if errors.Is(err, ErrMissing) {
		return status.Errorf(codes.NotFound, "%v; the last %d outputs are kept", err, Keep)
	}
	return status.Error(codes.Internal, err.Error())
}
