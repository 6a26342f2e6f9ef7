// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"encoding/binary"
	"errors"

	"cosmossdk.io/collections"
	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/paging"
)

type queryServer struct{ *Keeper }

// record returns an epoch's record; 0 asks for the current one.
func (s queryServer) record(ctx context.Context, number uint64) (sprintv1.Epoch, error) {
	if number == 0 {
		return s.epoch(ctx)
	}
	e, err := s.epochs.Get(ctx, number)
	if errors.Is(err, collections.ErrNotFound) {
		current, _ := s.CurrentEpoch(ctx)
		return e, status.Errorf(codes.NotFound, "epoch %d is not in state; the chain is in epoch "+
			"%d and keeps the last %d", number, current, recordEpochs)
	}
	return e, err
}

func (s queryServer) Params(ctx context.Context,
	_ *sprintv1.QueryParamsRequest) (*sprintv1.QueryParamsResponse, error) {
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	next, err := s.frozen.Get(ctx)
	return &sprintv1.QueryParamsResponse{Params: p, Next: next}, err
}

func (s queryServer) Current(ctx context.Context,
	_ *sprintv1.QueryCurrentRequest) (*sprintv1.QueryCurrentResponse, error) {
	e, err := s.epoch(ctx)
	if err != nil {
		return nil, err
	}
	h := height(ctx)
	reason, until := Reason(e, h)
	return &sprintv1.QueryCurrentResponse{Epoch: e, Height: h, Reason: reason, Until: until}, nil
}

func (s queryServer) Epoch(ctx context.Context,
	req *sprintv1.QueryEpochRequest) (*sprintv1.QueryEpochResponse, error) {
	e, err := s.record(ctx, req.Number)
	return &sprintv1.QueryEpochResponse{Epoch: e}, err
}

// Stage finds the epoch a height belongs to and asks the four questions.
func (s queryServer) Stage(ctx context.Context,
	req *sprintv1.QueryStageRequest) (*sprintv1.QueryStageResponse, error) {
	var found sprintv1.Epoch
	rng := new(collections.Range[uint64]).Descending()
	if err := s.epochs.Walk(ctx, rng, func(_ uint64, e sprintv1.Epoch) (bool, error) {
		if e.Start <= req.Height {
			found = e
			return true, nil
		}
		return false, nil
	}); err != nil {
		return nil, err
	}
	if found.Number == 0 {
		return nil, status.Errorf(codes.NotFound, "no record of an epoch covers height %d",
			req.Height)
	}
	return &sprintv1.QueryStageResponse{
		Epoch:                found.Number,
		StartOfPoc:           IsStartOfPoCStage(req.Height, found),
		EndOfPoc:             IsEndOfPoCStage(req.Height, found),
		StartOfPocValidation: IsStartOfPoCValidationStage(req.Height, found),
		EndOfPocValidation:   IsEndOfPoCValidationStage(req.Height, found),
	}, nil
}

func (s queryServer) Members(ctx context.Context,
	req *sprintv1.QueryMembersRequest) (*sprintv1.QueryMembersResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	all, page, err := paging.List(ctx, s.members, req.Pagination,
		paging.Same[memberKey, sprintv1.Member],
		query.WithCollectionPaginationPairPrefix[uint64, string](e.Number))
	return &sprintv1.QueryMembersResponse{Members: all, Pagination: page}, err
}

func (s queryServer) Member(ctx context.Context,
	req *sprintv1.QueryMemberRequest) (*sprintv1.QueryMemberResponse, error) {
	_, m, err := s.find(ctx, req.Epoch, req.Participant)
	if err != nil {
		return nil, err
	}
	return &sprintv1.QueryMemberResponse{Member: m}, nil
}

func (s queryServer) Commits(ctx context.Context,
	req *sprintv1.QueryCommitsRequest) (*sprintv1.QueryCommitsResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	prefix := collections.QuadPrefix[uint64, string, string, uint32](e.Number)
	if req.Participant != "" {
		prefix = collections.QuadSuperPrefix[uint64, string, string, uint32](e.Number,
			req.Participant)
	}
	all, page, err := paging.List(ctx, s.commits, req.Pagination,
		paging.Same[logKey, sprintv1.Commit],
		func(o *query.CollectionsPaginateOptions[logKey]) { o.Prefix = &prefix })
	return &sprintv1.QueryCommitsResponse{Commits: all, Pagination: page}, err
}

// find returns an epoch's record and a member of it.
func (s queryServer) find(ctx context.Context, epoch uint64, participant string) (sprintv1.Epoch,
	sprintv1.Member, error) {
	e, err := s.record(ctx, epoch)
	if err != nil {
		return e, sprintv1.Member{}, err
	}
	m, err := s.members.Get(ctx, memberKeyOf(e.Number, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return e, m, status.Errorf(codes.NotFound, "%s is not a member of epoch %d",
			participant, e.Number)
	}
	return e, m, err
}

func (s queryServer) Samples(ctx context.Context,
	req *sprintv1.QuerySamplesRequest) (*sprintv1.QuerySamplesResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	of := about(req.Stream)
	c, err := s.claim(ctx, e, of, req.Participant)
	if err != nil {
		return nil, err
	}
	if of == ofSprint {
		if _, _, err := s.find(ctx, req.Epoch, req.Participant); err != nil {
			return nil, err
		}
	}
	if e.ChallengeHeight == 0 {
		_, until := Reason(e, height(ctx))
		return nil, status.Errorf(codes.FailedPrecondition, "the leaves of epoch %d are not "+
			"drawn yet; it is in %s until block %d", e.Number, e.Phase.Word(), until)
	}
	drawn, err := s.sampled(ctx, e, of, c)
	return &sprintv1.QuerySamplesResponse{Leaves: leafRefs(req.Participant, drawn)}, err
}

func (s queryServer) Opening(ctx context.Context,
	req *sprintv1.QueryOpeningRequest) (*sprintv1.QueryOpeningResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	o, ok, err := s.opened(ctx, e.Number, about(req.Stream), req.Participant)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, status.Errorf(codes.NotFound, "%s opened nothing in epoch %d, or it was "+
			"pruned %d epochs later", req.Participant, e.Number, e.Params.KeepEpochs)
	}
	return &sprintv1.QueryOpeningResponse{Opening: o}, nil
}

// Duties pages by the number of the duty, whose position in a verdict it is.
func (s queryServer) Duties(ctx context.Context,
	req *sprintv1.QueryDutiesRequest) (*sprintv1.QueryDutiesResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	bounded, err := paging.Bound(req.Pagination)
	if err != nil {
		return nil, err
	}
	from, limit, err := numbered(bounded)
	if err != nil {
		return nil, err
	}
	duties, next, err := s.dutiesFrom(ctx, e, about(req.Stream), req.Voter, from, limit)
	return &sprintv1.QueryDutiesResponse{Duties: duties,
		Pagination: &query.PageResponse{NextKey: next}}, err
}

// numbered reads a page request whose key is a position.
func numbered(r *query.PageRequest) (from, limit int, err error) {
	switch len(r.Key) {
	case 0:
	case 4:
		from = int(binary.BigEndian.Uint32(r.Key))
	default:
		return 0, 0, status.Errorf(codes.InvalidArgument, "a page key of %d bytes; use the "+
			"next_key of the page before", len(r.Key))
	}
	return from, int(r.Limit), nil
}

// dutiesFrom returns a part of a voter's duties, and the key of the next part.
func (s queryServer) dutiesFrom(ctx context.Context, e sprintv1.Epoch, of subject, voter string,
	from, limit int) (duties []sprintv1.Duty, next []byte, err error) {
	d, err := s.docketOf(ctx, e, of, voter)
	if err != nil {
		return nil, nil, err
	}
	for i := from; i < len(d.owed); i++ {
		if i == from+limit {
			return duties, binary.BigEndian.AppendUint32(nil, uint32(i)), nil
		}
		duty, _, err := d.duty(ctx, i)
		if err != nil {
			return nil, nil, err
		}
		duties = append(duties, duty)
	}
	return duties, nil, nil
}

func (s queryServer) Verdicts(ctx context.Context,
	req *sprintv1.QueryVerdictsRequest) (*sprintv1.QueryVerdictsResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	all, page, err := paging.List(ctx, s.of[about(req.Stream)].verdicts, req.Pagination,
		paging.Same[memberKey, sprintv1.VerdictRecord],
		query.WithCollectionPaginationPairPrefix[uint64, string](e.Number))
	return &sprintv1.QueryVerdictsResponse{Records: all, Pagination: page}, err
}

// Checks lists the leaves whose middle digests a voter opens, once the beacon drew them.
func (s queryServer) Checks(ctx context.Context,
	req *sprintv1.QueryChecksRequest) (*sprintv1.QueryChecksResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	of := about(req.Stream)
	r, err := s.of[of].verdicts.Get(ctx, memberKeyOf(e.Number, req.Voter))
	if errors.Is(err, collections.ErrNotFound) {
		return &sprintv1.QueryChecksResponse{}, nil
	} else if err != nil {
		return nil, err
	}
	positions := checks(chainID(ctx), e, of, r)
	if len(positions) == 0 {
		return &sprintv1.QueryChecksResponse{}, nil
	}
	d, err := s.docketOf(ctx, e, of, req.Voter)
	if err != nil {
		return nil, err
	}
	res := &sprintv1.QueryChecksResponse{}
	for _, p := range positions {
		res.Positions = append(res.Positions, uint32(p))
	}
	res.Leaves, err = d.leavesAt(ctx, r.Body.Votes, positions)
	return res, err
}

func (s queryServer) Outcomes(ctx context.Context,
	req *sprintv1.QueryOutcomesRequest) (*sprintv1.QueryOutcomesResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	if e.FinalisedHeight == 0 {
		return nil, status.Errorf(codes.FailedPrecondition,
			"epoch %d is not finalised; it is in %s", e.Number, e.Phase.Word())
	}
	all, page, err := paging.List(ctx, s.of[about(req.Stream)].outcomes, req.Pagination,
		paging.Same[memberKey, sprintv1.Outcome],
		query.WithCollectionPaginationPairPrefix[uint64, string](e.Number))
	return &sprintv1.QueryOutcomesResponse{Outcomes: all, Pagination: page}, err
}
