// SPDX-License-Identifier: Apache-2.0

// Package votertest is a chain for tests of who judges others.
package votertest

import (
	"context"

	"google.golang.org/grpc"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// Judging is a chain on which a host has three participants to judge. That of one of them is not as
// it should be.
type Judging struct {
	sprintv1.QueryClient
	Bad    string
	Failed error // of the node, for Bad
}

// Targets are those participants.
var Targets = []string{"cpc1a", "cpc1b", "cpc1c"}

// Duties answers the query.
func (j Judging) Duties(context.Context, *sprintv1.QueryDutiesRequest,
	...grpc.CallOption) (*sprintv1.QueryDutiesResponse, error) {
	res := new(sprintv1.QueryDutiesResponse)
	for i, target := range Targets {
		res.Duties = append(res.Duties, sprintv1.Duty{Target: target, Weight: uint64(i),
			Leaves: Leaves(target)})
	}
	return res, nil
}

// Leaves are those that were drawn of a participant.
func Leaves(target string) []courtv1.LeafRef {
	return []courtv1.LeafRef{{Participant: target, Node: "w", Segment: 1, Nonce: 7}}
}

// Samples answers the query.
func (j Judging) Samples(_ context.Context, q *sprintv1.QuerySamplesRequest,
	_ ...grpc.CallOption) (*sprintv1.QuerySamplesResponse, error) {
	return &sprintv1.QuerySamplesResponse{Leaves: Leaves(q.Participant)}, nil
}

// Opening answers the query.
func (j Judging) Opening(_ context.Context, q *sprintv1.QueryOpeningRequest,
	_ ...grpc.CallOption) (*sprintv1.QueryOpeningResponse, error) {
	if q.Participant != j.Bad {
		return &sprintv1.QueryOpeningResponse{
			Opening: sprintv1.Opening{Logs: []sprintv1.LogOpening{{Node: "w", Segment: 1,
				Leaves: make([]byte, 40)}}}}, nil
	}
	if j.Failed != nil {
		return nil, j.Failed
	}
	return new(sprintv1.QueryOpeningResponse), nil
}

// Verdicts answers the query.
func (j Judging) Verdicts(context.Context, *sprintv1.QueryVerdictsRequest,
	...grpc.CallOption) (*sprintv1.QueryVerdictsResponse, error) {
	res := new(sprintv1.QueryVerdictsResponse)
	for _, voter := range Targets {
		res.Records = append(res.Records, sprintv1.VerdictRecord{Voter: voter, OpenHeight: 1,
			Opened: make([]byte, 8)})
	}
	return res, nil
}

// Checks answers the query.
func (j Judging) Checks(_ context.Context, q *sprintv1.QueryChecksRequest,
	_ ...grpc.CallOption) (*sprintv1.QueryChecksResponse, error) {
	if q.Voter == j.Bad {
		return nil, j.Failed
	}
	return &sprintv1.QueryChecksResponse{Leaves: Leaves("cpc1a")}, nil
}

// CommitPath answers the query.
func (Judging) CommitPath(context.Context, *sprintv1.QueryCommitPathRequest,
	...grpc.CallOption) (*sprintv1.QueryCommitPathResponse, error) {
	return &sprintv1.QueryCommitPathResponse{Count: 8, Commits: 1, Root: make([]byte, 32),
		Signature: make([]byte, 64), HostKey: make([]byte, 32)}, nil
}

// Archive answers the query.
func (Judging) Archive(context.Context, *sprintv1.QueryArchiveRequest,
	...grpc.CallOption) (*sprintv1.QueryArchiveResponse, error) {
	return &sprintv1.QueryArchiveResponse{Archive: sprintv1.Archive{Root: make([]byte, 32)}}, nil
}

// SegmentOver is a block behind the end of an epoch's only segment.
func SegmentOver() sprintv1.QueryCurrentResponse {
	now := sprintv1.QueryCurrentResponse{Height: 10,
		Epoch: sprintv1.Epoch{Number: 1, Seed1: make([]byte, 32),
			Params: sprintv1.Params{Class: "nano", Samples: 20},
			Segments: []sprintv1.Segment{{Index: 1, Start: 1, End: 10, CommitUntil: 20,
				Seed: make([]byte, 32)}}}}
	now.Epoch.Seed1[0], now.Epoch.Segments[0].Seed[0] = 1, 3
	return now
}
