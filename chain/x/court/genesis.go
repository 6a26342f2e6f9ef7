// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
)

// DefaultGenesis is a court that was asked nothing.
func DefaultGenesis() *courtv1.GenesisState { return &courtv1.GenesisState{Params: DefaultParams()} }

// ValidateGenesis checks a genesis state on its own.
func ValidateGenesis(g courtv1.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	if g.PendingParams != nil {
		if err := ValidateParams(*g.PendingParams); err != nil {
			return fmt.Errorf("pending_params: %w", err)
		}
	}
	for i, q := range g.Claims {
		if i > 0 && q.Number <= g.Claims[i-1].Number || q.Number >= g.Next {
			return fmt.Errorf("court: claim %d is out of order, or not below the next number %d", q.Number, g.Next)
		}
		if c := q.Claim; (c.Claimant == "") != (c.Source == courtv1.SourceChain) || c.Bond != "" && bondOf(c.Bond).String() != c.Bond {
			return fmt.Errorf("court: claim %d: claimant %q, source %s, bond %q", q.Number, c.Claimant, c.Source, c.Bond)
		}
	}
	for _, j := range g.Judgements {
		if len(j.Digest) != 32 || len(j.Middle) != 32 {
			return fmt.Errorf("court: judgement on leaf %s: digest of %d and middle of %d bytes; want 32 each", Text(j.Leaf), len(j.Digest), len(j.Middle))
		}
	}
	return nil
}

// InitGenesis stores a state.
func (k *Keeper) InitGenesis(ctx context.Context, g courtv1.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if g.PendingParams != nil {
		if err := k.pending.Set(ctx, *g.PendingParams); err != nil {
			return err
		}
	}
	for _, q := range g.Claims {
		if err := k.claims.Set(ctx, q.Number, q.Claim); err != nil {
			return err
		}
	}
	if g.Next > 0 { // a sequence that never counted is not in state
		if err := k.next.Set(ctx, g.Next); err != nil {
			return err
		}
	}
	for _, j := range g.Judgements {
		if err := k.judgements.Set(ctx, leafKeyOf(j.Epoch, j.Leaf), j); err != nil {
			return err
		}
	}
	for _, c := range g.Claimants {
		if err := k.claimants.Set(ctx, collections.Join(c.Epoch, c.Participant), c); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*courtv1.GenesisState, error) {
	g := &courtv1.GenesisState{}
	var err error
	if g.Params, err = k.Params(ctx); err != nil {
		return nil, err
	}
	if p, err := k.pending.Get(ctx); err == nil {
		g.PendingParams = &p
	} else if !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	if g.Next, err = k.next.Peek(ctx); err != nil {
		return nil, err
	}
	if err := k.claims.Walk(ctx, nil, func(n uint64, c courtv1.Claim) (bool, error) {
		g.Claims = append(g.Claims, courtv1.Queued{Number: n, Claim: c})
		return false, nil
	}); err != nil {
		return nil, err
	}
	if err := k.judgements.Walk(ctx, nil, func(_ leafKey, j courtv1.Judgement) (bool, error) {
		g.Judgements = append(g.Judgements, j)
		return false, nil
	}); err != nil {
		return nil, err
	}
	return g, k.claimants.Walk(ctx, nil, func(_ claimantKey, c courtv1.Claimant) (bool, error) {
		g.Claimants = append(g.Claimants, c)
		return false, nil
	})
}
