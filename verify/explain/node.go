// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"
	"google.golang.org/grpc"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/poc/credit"
)

// atNode computes the budget of a node's network.
func atNode(ctx context.Context, node string) (Budget, error) {
	conn, err := client.DialNode(node)
	if err != nil {
		return Budget{}, err
	}
	defer conn.Close()
	b, err := read(ctx, conn)
	if err != nil {
		return b, fmt.Errorf("audit explain: asking %s: %w; check that the node runs and serves "+
			"gRPC there", node, err)
	}
	return b, nil
}

// read asks a chain for its rails and its holders.
func read(ctx context.Context, conn grpc.ClientConnInterface) (Budget, error) {
	q := creditv1.NewQueryClient(conn)
	rails, err := q.Params(ctx, &creditv1.QueryParamsRequest{})
	if err != nil {
		return Budget{}, fmt.Errorf("parameters of credit: %w", err)
	}
	sprint, err := sprintv1.NewQueryClient(conn).Params(ctx, &sprintv1.QueryParamsRequest{})
	if err != nil {
		return Budget{}, fmt.Errorf("parameters of the Sprint: %w", err)
	}
	var all []held
	if err := client.Pages(1_000, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := q.Holdings(ctx, &creditv1.QueryHoldingsRequest{Pagination: page})
		if err != nil {
			return nil, fmt.Errorf("holdings: %w", err)
		}
		for _, h := range res.Holdings {
			all = append(all, held{h.Participant, h.Weight, h.Power})
		}
		return res.Pagination, nil
	}); err != nil {
		return Budget{}, err
	}
	p := rails.Params
	rules := credit.DefaultRules()
	rules.CapBps, rules.LambdaBps, rules.MoveBps = p.CapBps, p.LambdaBps, p.MoveBps
	b := budget(rules, uint64(sprint.Params.MinLiveBps))
	b.measure(rules, p.MaxValidators, all, rails.Base)
	return b, nil
}
