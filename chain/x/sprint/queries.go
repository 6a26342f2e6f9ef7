// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
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
		return e, status.Errorf(codes.NotFound, "epoch %d is not in state; the chain is in epoch %d and keeps the last %d", number, current, recordEpochs)
	}
	return e, err
}

func (s queryServer) Params(ctx context.Context, _ *sprintv1.QueryParamsRequest) (*sprintv1.QueryParamsResponse, error) {
	p, err := s.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	next, err := s.frozen.Get(ctx)
	return &sprintv1.QueryParamsResponse{Params: p, Next: next}, err
}

func (s queryServer) Current(ctx context.Context, _ *sprintv1.QueryCurrentRequest) (*sprintv1.QueryCurrentResponse, error) {
	e, err := s.epoch(ctx)
	if err != nil {
		return nil, err
	}
	h := height(ctx)
	reason, until := Reason(e, h)
	return &sprintv1.QueryCurrentResponse{Epoch: e, Height: h, Reason: reason, Until: until}, nil
}

func (s queryServer) Epoch(ctx context.Context, req *sprintv1.QueryEpochRequest) (*sprintv1.QueryEpochResponse, error) {
	e, err := s.record(ctx, req.Number)
	return &sprintv1.QueryEpochResponse{Epoch: e}, err
}

// Stage finds the epoch a height belongs to and asks the four questions.
func (s queryServer) Stage(ctx context.Context, req *sprintv1.QueryStageRequest) (*sprintv1.QueryStageResponse, error) {
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
		return nil, status.Errorf(codes.NotFound, "no record of an epoch covers height %d", req.Height)
	}
	return &sprintv1.QueryStageResponse{
		Epoch:                found.Number,
		StartOfPoc:           IsStartOfPoCStage(req.Height, found),
		EndOfPoc:             IsEndOfPoCStage(req.Height, found),
		StartOfPocValidation: IsStartOfPoCValidationStage(req.Height, found),
		EndOfPocValidation:   IsEndOfPoCValidationStage(req.Height, found),
	}, nil
}

func (s queryServer) Members(ctx context.Context, req *sprintv1.QueryMembersRequest) (*sprintv1.QueryMembersResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	members, err := s.roster(ctx, e.Number)
	return &sprintv1.QueryMembersResponse{Members: members}, err
}

func (s queryServer) Commits(ctx context.Context, req *sprintv1.QueryCommitsRequest) (*sprintv1.QueryCommitsResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	if req.Participant != "" {
		logs, err := s.logsOf(ctx, e.Number, req.Participant)
		return &sprintv1.QueryCommitsResponse{Commits: logs}, err
	}
	var all []sprintv1.Commit
	err = s.commits.Walk(ctx, collections.NewPrefixedQuadRange[uint64, string, string, uint32](e.Number), func(_ logKey, c sprintv1.Commit) (bool, error) {
		all = append(all, c)
		return false, nil
	})
	return &sprintv1.QueryCommitsResponse{Commits: all}, err
}

func (s queryServer) Samples(ctx context.Context, req *sprintv1.QuerySamplesRequest) (*sprintv1.QuerySamplesResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	if e.ChallengeHeight == 0 {
		_, until := Reason(e, height(ctx))
		return nil, status.Errorf(codes.FailedPrecondition, "the leaves of epoch %d are not drawn yet; it is in %s until block %d", e.Number, e.Phase.Word(), until)
	}
	drawn, err := s.sampled(ctx, e, req.Participant)
	return &sprintv1.QuerySamplesResponse{Leaves: leafRefs(req.Participant, drawn)}, err
}

func (s queryServer) Opening(ctx context.Context, req *sprintv1.QueryOpeningRequest) (*sprintv1.QueryOpeningResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	o, ok, err := s.opened(ctx, e.Number, req.Participant)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, status.Errorf(codes.NotFound, "%s opened nothing in epoch %d, or it was pruned %d epochs later", req.Participant, e.Number, e.Params.KeepEpochs)
	}
	return &sprintv1.QueryOpeningResponse{Opening: o}, nil
}

func (s queryServer) Duties(ctx context.Context, req *sprintv1.QueryDutiesRequest) (*sprintv1.QueryDutiesResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	if req.Round < 1 || int(req.Round) > len(e.Rounds) {
		return nil, status.Errorf(codes.NotFound, "epoch %d has no round %d (it has %d)", e.Number, req.Round, len(e.Rounds))
	}
	duties, err := s.duties(ctx, e, e.Rounds[req.Round-1], req.Voter)
	return &sprintv1.QueryDutiesResponse{Drawn: len(duties) > 0, Duties: duties}, err
}

func (s queryServer) Verdicts(ctx context.Context, req *sprintv1.QueryVerdictsRequest) (*sprintv1.QueryVerdictsResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	var all []sprintv1.VerdictRecord
	err = s.spoken(ctx, e.Number, req.Round, true, func(v sprintv1.VerdictRecord) error {
		if len(v.Hash) > 0 {
			all = append(all, v)
		}
		return nil
	})
	return &sprintv1.QueryVerdictsResponse{Records: all}, err
}

func (s queryServer) Judgements(ctx context.Context, req *sprintv1.QueryJudgementsRequest) (*sprintv1.QueryJudgementsResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	all, err := s.judged(ctx, e.Number)
	return &sprintv1.QueryJudgementsResponse{Judgements: all}, err
}

func (s queryServer) Outcomes(ctx context.Context, req *sprintv1.QueryOutcomesRequest) (*sprintv1.QueryOutcomesResponse, error) {
	e, err := s.record(ctx, req.Epoch)
	if err != nil {
		return nil, err
	}
	if e.FinalisedHeight == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "epoch %d is not finalised; it is in %s", e.Number, e.Phase.Word())
	}
	all, err := s.outcomesOf(ctx, e.Number)
	return &sprintv1.QueryOutcomesResponse{Outcomes: all}, err
}
