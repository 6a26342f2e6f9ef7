// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

// Away reports whether an error says that the node did not answer, and not what it
// answered.
func Away(err error) bool {
	s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err)
	if !ok {
		return false
	}
	switch s.GRPCStatus().Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// Commits lists what a participant committed in an epoch.
func Commits(ctx context.Context, chain sprintv1.QueryClient, epoch uint64,
	participant string) ([]sprintv1.Commit, error) {
	var all []sprintv1.Commit
	err := Pages(0, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := chain.Commits(ctx,
			&sprintv1.QueryCommitsRequest{Epoch: epoch, Participant: participant, Pagination: page})
		if err != nil {
			return nil, err
		}
		all = append(all, res.Commits...)
		return res.Pagination, nil
	})
	return all, err
}

// StreamCommits lists what a participant committed to its stream of an epoch.
func StreamCommits(ctx context.Context, chain streamv1.QueryClient, epoch uint64,
	participant string) ([]streamv1.Commit, error) {
	var all []streamv1.Commit
	err := Pages(0, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := chain.Commits(ctx,
			&streamv1.QueryCommitsRequest{Epoch: epoch, Participant: participant, Pagination: page})
		if err != nil {
			return nil, err
		}
		all = append(all, res.Commits...)
		return res.Pagination, nil
	})
	return all, err
}

// Outcome is what an epoch meant for a participant, and whether it meant anything. The list may
// have many pages.
func Outcome(ctx context.Context, chain sprintv1.QueryClient, epoch uint64,
	participant string) (o sprintv1.Outcome, found bool, err error) {
	err = Pages(1000, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := chain.Outcomes(ctx,
			&sprintv1.QueryOutcomesRequest{Epoch: epoch, Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("asking for the outcomes of epoch %d: %w", epoch, err)
		}
		for _, one := range res.Outcomes {
			if one.Participant == participant {
				o, found = one, true
				return nil, nil
			}
		}
		return res.Pagination, nil
	})
	return o, found, err
}
