// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Standing says what the next epoch means for a participant, with the reason and how long it takes:
// so that a newcomer knows its place in the lottery, and a machine that is too small that it is.
func (s queryServer) Standing(ctx context.Context,
	req *sprintv1.QueryStandingRequest) (*sprintv1.QueryStandingResponse, error) {
	p, err := s.registry.Record(ctx, req.Participant)
	if err != nil {
		return nil, status.Errorf(codes.NotFound, "%s is not registered: assay host register",
			req.Participant)
	}
	e, err := s.epoch(ctx)
	if err != nil {
		return nil, err
	}
	params, err := s.frozen.Get(ctx)
	if err != nil {
		return nil, err
	}
	class, err := transformer.ByName(params.Class)
	if err != nil {
		return nil, err
	}
	h, err := s.credit.Holding(ctx, req.Participant)
	if err != nil {
		return nil, err
	}
	m := freeze(e.Number+1, p, h)
	res := &sprintv1.QueryStandingResponse{Role: m.Role, MinClaimLeaves: params.MinClaimLeaves,
		LastLeaves: h.Credited / class.MiOps()}
	switch {
	case m.Jailed:
		res.Reason = jailText(p)
	case p.LeftFrom > 0:
		res.Reason = fmt.Sprintf("left: takes no part from epoch %d on; its record and its "+
			"deposit are free when no evidence can name it any longer", p.LeftFrom)
	case res.LastLeaves > 0 && res.LastLeaves < params.MinClaimLeaves:
		res.Reason = fmt.Sprintf("too small for class %s: it was last credited with %d leaves, "+
			"and a claim needs %d; join a pool, or add machines", class.Name, res.LastLeaves,
			params.MinClaimLeaves)
	case m.Role == sprintv1.RoleHolder:
		res.Reason = fmt.Sprintf("judged in every epoch in which it commits %d leaves or more",
			params.MinClaimLeaves)
	case m.Role == sprintv1.RoleReturning:
		res.Reason = fmt.Sprintf("credited in epoch %d: judged without a lottery until epoch %d",
			p.CreditedEpoch, p.CreditedEpoch+returnEpochs)
	default:
		if err := s.newcomer(ctx, e, class, p.Address, res); err != nil {
			return nil, err
		}
		if p.LotteryFrom > e.Number+1 {
			res.LotteryFrom = p.LotteryFrom
			res.Reason = fmt.Sprintf("the lottery took it and it was not credited; it enters "+
				"again from epoch %d on", p.LotteryFrom)
		}
	}
	return res, nil
}

// newcomer fills in the odds of the lottery, as the last epoch had it.
func (s queryServer) newcomer(ctx context.Context, e sprintv1.Epoch, class transformer.Class,
	participant string, res *sprintv1.QueryStandingResponse) error {
	locked, err := s.collateral.LockedTotal(ctx, participant)
	if err != nil {
		return err
	}
	res.Newcomers = e.Newcomers
	res.Places = uint32(placesOf(e.LiveCredited, class, uint64(max(1, e.Replicas)),
		uint64(e.Eligible)))
	mine := max(1, locked.Quo(lotteryUnit).Uint64())
	if e.Newcomers < res.Places {
		res.ChanceBps, res.ExpectedEpochs = 10_000, 1
		res.Reason = fmt.Sprintf("a newcomer: the last lottery had %d places for %d newcomers, "+
			"so every one that reports ready takes part", res.Places, e.Newcomers)
		return nil
	}
	// each draw takes one in proportion to what it has locked; with many newcomers the draws hardly
	// differ
	others := max(1, e.NewcomersLocked)
	res.ChanceBps = uint32(min(10_000,
		mulDiv(min(mine, others)*uint64(res.Places), 10_000, others)))
	if res.ChanceBps > 0 {
		res.ExpectedEpochs = (10_000 + res.ChanceBps - 1) / res.ChanceBps
	}
	res.Reason = fmt.Sprintf("a newcomer: the last lottery had %d places for %d newcomers; with "+
		"what it has locked its chance is about %d.%02d %% an epoch. A larger deposit raises it",
		res.Places, e.Newcomers, res.ChanceBps/100, res.ChanceBps%100)
	return nil
}
