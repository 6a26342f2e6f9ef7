// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"crypto/ed25519"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

// DefaultParams are the rails of DESIGN 4.
func DefaultParams() creditv1.Params {
	return creditv1.Params{CapBps: 2500, CapSlackBps: 500, MoveBps: 3333, MaxValidators: 100, TallyEpochs: 3}
}

// ValidateParams holds governance within bounds that no vote passes.
func ValidateParams(p creditv1.Params) error {
	switch {
	case p.CapBps < 500 || p.CapBps > 3300:
		return fmt.Errorf("credit: cap_bps %d is outside 500..3300", p.CapBps)
	case p.CapSlackBps > 1000:
		return fmt.Errorf("credit: cap_slack_bps %d is over 1000", p.CapSlackBps)
	case p.MoveBps < 100 || p.MoveBps > 3333:
		return fmt.Errorf("credit: move_bps %d is outside 100..3333: more than a third may not move in one epoch", p.MoveBps)
	case p.MaxValidators < 4 || p.MaxValidators > 300:
		return fmt.Errorf("credit: max_validators %d is outside 4..300", p.MaxValidators)
	case p.TallyEpochs < 1 || p.TallyEpochs > 100:
		return fmt.Errorf("credit: tally_epochs %d is outside 1..100", p.TallyEpochs)
	}
	return nil
}

// ValidateGenesis checks a genesis state on its own.
func ValidateGenesis(g creditv1.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	seen := map[string]bool{}
	var total uint64
	for _, h := range g.Holdings {
		switch {
		case h.Participant == "":
			return fmt.Errorf("credit: a holding has no participant")
		case seen[h.Participant]:
			return fmt.Errorf("credit: %s holds twice", h.Participant)
		case h.Power > 0 && len(h.ConsensusKey) != ed25519.PublicKeySize:
			return fmt.Errorf("credit: %s has power but a consensus key of %d bytes; want %d", h.Participant, len(h.ConsensusKey), ed25519.PublicKeySize)
		case h.Power > TotalPower:
			return fmt.Errorf("credit: %s has power %d of %d", h.Participant, h.Power, TotalPower)
		case uint64(len(h.History)) > g.Params.TallyEpochs:
			return fmt.Errorf("credit: %s has a history of %d epochs; at most %d are kept", h.Participant, len(h.History), g.Params.TallyEpochs)
		}
		seen[h.Participant] = true
		total += h.Power
	}
	if total == 0 {
		return fmt.Errorf("credit: nobody has voting power; give at least one participant weight in genesis")
	}
	return nil
}

// InitGenesis stores the state and returns the first validator set.
func (k *Keeper) InitGenesis(ctx context.Context, g creditv1.GenesisState) ([]abci.ValidatorUpdate, error) {
	if err := ValidateGenesis(g); err != nil {
		return nil, err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return nil, err
	}
	var updates []abci.ValidatorUpdate
	for _, h := range g.Holdings {
		if err := k.holdings.Set(ctx, h.Participant, h); err != nil {
			return nil, err
		}
		if h.Power == 0 {
			continue
		}
		if err := k.apply(ctx, h.ConsensusKey, h.Power); err != nil {
			return nil, err
		}
		updates = append(updates, abci.Ed25519ValidatorUpdate(h.ConsensusKey, int64(h.Power)))
	}
	return updates, nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*creditv1.GenesisState, error) {
	params, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	holdings, err := k.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	return &creditv1.GenesisState{Params: params, Holdings: holdings}, nil
}
