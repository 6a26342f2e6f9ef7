// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// DefaultGenesis is a chain before its first epoch.
func DefaultGenesis() *sprintv1.GenesisState {
	return &sprintv1.GenesisState{Params: DefaultParams(), NextParams: DefaultParams()}
}

// ValidateGenesis checks a genesis state on its own.
func ValidateGenesis(g sprintv1.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	if err := ValidateParams(g.NextParams); err != nil {
		return fmt.Errorf("next_params: %w", err)
	}
	known := map[uint64]bool{}
	for _, e := range g.Epochs {
		if e.Number == 0 || known[e.Number] || e.Number > g.Epoch {
			return fmt.Errorf("sprint: epoch record %d is out of place in a genesis at epoch %d", e.Number, g.Epoch)
		}
		known[e.Number] = true
	}
	if g.Epoch > 0 && !known[g.Epoch] {
		return fmt.Errorf("sprint: the record of the current epoch %d is missing", g.Epoch)
	}
	for _, s := range g.States {
		if !known[s.Epoch] && len(s.Outcomes) == 0 {
			return fmt.Errorf("sprint: state of epoch %d has no record", s.Epoch)
		}
	}
	return nil
}

// InitGenesis stores a state. Heights in an exported record are those of the old chain: the new one must go on from the exported height.
func (k *Keeper) InitGenesis(ctx context.Context, g sprintv1.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.frozen.Set(ctx, g.NextParams); err != nil {
		return err
	}
	if err := k.current.Set(ctx, g.Epoch); err != nil {
		return err
	}
	for _, e := range g.Epochs {
		if err := k.epochs.Set(ctx, e.Number, e); err != nil {
			return err
		}
	}
	for _, s := range g.States {
		if err := k.initEpoch(ctx, s); err != nil {
			return fmt.Errorf("sprint: epoch %d: %w", s.Epoch, err)
		}
	}
	for _, c := range g.Claims {
		if err := k.enqueue(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) initEpoch(ctx context.Context, s sprintv1.EpochState) error {
	for _, m := range s.Members {
		if err := k.setMember(ctx, s.Epoch, m); err != nil {
			return err
		}
	}
	for _, c := range s.Commits {
		if err := k.commits.Set(ctx, collections.Join4(s.Epoch, c.Participant, c.Node, c.Segment), c); err != nil {
			return err
		}
	}
	for _, o := range s.Openings {
		if err := k.openings.Set(ctx, memberKeyOf(s.Epoch, o.Participant), o); err != nil {
			return err
		}
	}
	for _, r := range s.Verdicts {
		for _, v := range r.Records {
			key := collections.Join3(s.Epoch, r.Round, v.Voter)
			if v.Body != nil {
				if err := k.bodies.Set(ctx, key, *v.Body); err != nil {
					return err
				}
				v.Body = nil
			}
			if err := k.verdicts.Set(ctx, key, v); err != nil {
				return err
			}
		}
	}
	for _, j := range s.Judgements {
		if err := k.judgements.Set(ctx, leafKeyOf(s.Epoch, j.Leaf), j); err != nil {
			return err
		}
	}
	for _, o := range s.Outcomes {
		if err := k.outcomes.Set(ctx, memberKeyOf(s.Epoch, o.Participant), o); err != nil {
			return err
		}
	}
	for _, a := range s.Attempts {
		if err := k.attempts.Set(ctx, collections.Join3(s.Epoch, a.Participant, a.Duty), a.Used); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*sprintv1.GenesisState, error) {
	g := &sprintv1.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, err
	}
	if g.NextParams, err = k.frozen.Get(ctx); err != nil {
		return nil, err
	}
	if g.Epoch, err = k.CurrentEpoch(ctx); err != nil {
		return nil, err
	}
	if err := k.epochs.Walk(ctx, nil, func(_ uint64, e sprintv1.Epoch) (bool, error) {
		g.Epochs = append(g.Epochs, e)
		return false, nil
	}); err != nil {
		return nil, err
	}
	for _, e := range g.Epochs {
		s, err := k.exportEpoch(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("sprint: epoch %d: %w", e.Number, err)
		}
		g.States = append(g.States, s)
	}
	return g, k.claims.Walk(ctx, nil, func(_ uint64, c sprintv1.Claim) (bool, error) {
		g.Claims = append(g.Claims, c)
		return false, nil
	})
}

func (k *Keeper) exportEpoch(ctx context.Context, e sprintv1.Epoch) (sprintv1.EpochState, error) {
	s := sprintv1.EpochState{Epoch: e.Number}
	var err error
	if s.Members, err = k.roster(ctx, e.Number); err != nil {
		return s, err
	}
	if err := k.commits.Walk(ctx, collections.NewPrefixedQuadRange[uint64, string, string, uint32](e.Number), func(_ logKey, c sprintv1.Commit) (bool, error) {
		s.Commits = append(s.Commits, c)
		return false, nil
	}); err != nil {
		return s, err
	}
	if err := k.openings.Walk(ctx, collections.NewPrefixedPairRange[uint64, string](e.Number), func(_ memberKey, o sprintv1.Opening) (bool, error) {
		s.Openings = append(s.Openings, o)
		return false, nil
	}); err != nil {
		return s, err
	}
	for _, r := range e.Rounds {
		records := sprintv1.RoundVerdicts{Round: r.Number}
		if err := k.spoken(ctx, e.Number, r.Number, true, func(v sprintv1.VerdictRecord) error {
			records.Records = append(records.Records, v)
			return nil
		}); err != nil {
			return s, err
		}
		if len(records.Records) > 0 {
			s.Verdicts = append(s.Verdicts, records)
		}
	}
	if s.Judgements, err = k.judged(ctx, e.Number); err != nil {
		return s, err
	}
	if s.Attempts, err = k.attemptsOf(ctx, e.Number); err != nil {
		return s, err
	}
	s.Outcomes, err = k.outcomesOf(ctx, e.Number)
	return s, err
}

func (k *Keeper) judged(ctx context.Context, epoch uint64) ([]sprintv1.Judgement, error) {
	var all []sprintv1.Judgement
	err := k.judgements.Walk(ctx, collections.NewPrefixedTripleRange[uint64, string, []byte](epoch), func(_ leafKey, j sprintv1.Judgement) (bool, error) {
		all = append(all, j)
		return false, nil
	})
	return all, err
}

func (k *Keeper) outcomesOf(ctx context.Context, epoch uint64) ([]sprintv1.Outcome, error) {
	var all []sprintv1.Outcome
	err := k.outcomes.Walk(ctx, collections.NewPrefixedPairRange[uint64, string](epoch), func(_ memberKey, o sprintv1.Outcome) (bool, error) {
		all = append(all, o)
		return false, nil
	})
	return all, err
}
