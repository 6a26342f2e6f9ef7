// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/paging"
	"github.com/assaynet/assay/chain/table"
)

type queryServer struct{ *Keeper }

func (s queryServer) Params(ctx context.Context,
	_ *streamv1.QueryParamsRequest) (*streamv1.QueryParamsResponse, error) {
	res := &streamv1.QueryParamsResponse{}
	var err error
	if res.Params, err = s.params.Get(ctx); err != nil {
		return nil, err
	}
	res.PendingParams, err = table.Optional(ctx, s.pending)
	return res, err
}

// Window answers for the block after the state that answers.
func (s queryServer) Window(ctx context.Context,
	_ *streamv1.QueryWindowRequest) (*streamv1.QueryWindowResponse, error) {
	current, err := s.sprint.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	e, ok, err := s.sprint.EpochOf(ctx, current)
	if err != nil {
		return nil, err
	}
	res := &streamv1.QueryWindowResponse{Epoch: current}
	if res.Params, err = s.termsOf(ctx, current); err != nil {
		return nil, err
	}
	if ok && e.ComputeEnd > 0 {
		res.From = e.ComputeEnd + 1
	}
	res.Open, res.Reason, res.Until = standing(e, ok, res.Params, height(ctx)+1)
	return res, nil
}

// standing says whether streams are committed in a block, why, and until when that is known to
// hold.
func standing(e sprintv1.Epoch, ok bool, p streamv1.Params, h int64) (open bool, reason string,
	until int64) {
	switch {
	case !ok:
		return false, "no epoch has begun", 0
	case !p.EnableContinuousPoc:
		return false, fmt.Sprintf("off in epoch %d; governance switches it on with "+
			"enable_continuous_poc", e.Number), 0
	case e.Void:
		return false, fmt.Sprintf("epoch %d is void: %s", e.Number, e.VoidReason), 0
	case e.ComputeEnd == 0:
		return false, fmt.Sprintf("the stream of epoch %d begins after its compute window",
			e.Number), 0
	case h <= e.ComputeEnd:
		return false, fmt.Sprintf("the stream of epoch %d begins after its compute window",
			e.Number), e.ComputeEnd
	}
	return true, fmt.Sprintf("until epoch %d begins", e.Number+1),
		max(h, e.Start+int64(e.Params.EpochBlocks))
}

// of is the epoch that a question names; 0 asks for the current one.
func (s queryServer) of(ctx context.Context, epoch uint64) (uint64, error) {
	if epoch != 0 {
		return epoch, nil
	}
	return s.sprint.CurrentEpoch(ctx)
}

func (s queryServer) Summaries(ctx context.Context,
	req *streamv1.QuerySummariesRequest) (*streamv1.QuerySummariesResponse, error) {
	epoch, err := s.of(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	all, page, err := paging.List(ctx, s.summaries, req.Pagination,
		paging.Same[summaryKey, streamv1.Summary],
		query.WithCollectionPaginationPairPrefix[uint64, string](epoch))
	return &streamv1.QuerySummariesResponse{Summaries: all, Pagination: page}, err
}

func (s queryServer) Summary(ctx context.Context,
	req *streamv1.QuerySummaryRequest) (*streamv1.QuerySummaryResponse, error) {
	epoch, err := s.of(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	sum, ok, err := table.Find(ctx, s.summaries, collections.Join(epoch, req.Participant))
	if err == nil && !ok {
		err = status.Errorf(codes.NotFound, "%s has no stream in epoch %d", req.Participant, epoch)
	}
	return &streamv1.QuerySummaryResponse{Summary: sum}, err
}

func (s queryServer) Nodes(ctx context.Context,
	req *streamv1.QueryNodesRequest) (*streamv1.QueryNodesResponse, error) {
	epoch, err := s.of(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	prefix := collections.TripleSuperPrefix[uint64, string, string](epoch, req.Participant)
	all, page, err := paging.List(ctx, s.nodes, req.Pagination, paging.Same[nodeKey, streamv1.Node],
		func(o *query.CollectionsPaginateOptions[nodeKey]) { o.Prefix = &prefix })
	return &streamv1.QueryNodesResponse{Nodes: all, Pagination: page}, err
}

func (s queryServer) Commits(ctx context.Context,
	req *streamv1.QueryCommitsRequest) (*streamv1.QueryCommitsResponse, error) {
	epoch, err := s.of(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	prefix := collections.QuadSuperPrefix[uint64, string, string, uint32](epoch, req.Participant)
	all, page, err := paging.List(ctx, s.commits, req.Pagination,
		paging.Same[commitKey, streamv1.Commit],
		func(o *query.CollectionsPaginateOptions[commitKey]) { o.Prefix = &prefix })
	return &streamv1.QueryCommitsResponse{Commits: all, Pagination: page}, err
}
