// SPDX-License-Identifier: Apache-2.0

package court

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/table"
)

// DefaultGenesis is a court that was asked nothing.
func DefaultGenesis() *courtv1.GenesisState {
	return &courtv1.GenesisState{Params: DefaultParams()}
}

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
			return fmt.Errorf("court: claim %d is out of order, or not below the next number %d",
				q.Number, g.Next)
		}
		if err := validClaim(q.Claim); err != nil {
			return fmt.Errorf("court: claim %d: %w", q.Number, err)
		}
	}
	for i, j := range g.Judgements {
		if len(j.Digest) != 32 || len(j.Middle) != 32 {
			return fmt.Errorf("court: judgement on leaf %s: digest of %d and middle of %d bytes; "+
				"want 32 each", Text(j.Leaf), len(j.Digest), len(j.Middle))
		}
		if i > 0 && compareLeaves(g.Judgements[i-1], j) >= 0 {
			return fmt.Errorf("court: judgement on leaf %s of epoch %d is out of order, or "+
				"stands twice", Text(j.Leaf), j.Epoch)
		}
	}
	for i, c := range g.Claimants {
		if c.Participant == "" || i > 0 && compareClaimants(g.Claimants[i-1], c) >= 0 {
			return fmt.Errorf("court: claimant %q of epoch %d is empty, out of order, or stands "+
				"twice", c.Participant, c.Epoch)
		}
	}
	return validPenalties(g)
}

// validPenalties checks what was taken for offences, and the double signatures that still count.
func validPenalties(g courtv1.GenesisState) error {
	for i, p := range g.Penalties {
		if i > 0 && cmp.Or(cmp.Compare(p.Epoch, g.Penalties[i-1].Epoch),
			cmp.Compare(p.Number, g.Penalties[i-1].Number)) <= 0 || p.Number >= g.NextPenalty {
			return fmt.Errorf("court: penalty %d of epoch %d is out of order, or not below the "+
				"next number %d", p.Number, p.Epoch, g.NextPenalty)
		}
		if p.Participant == "" || p.Amount.IsNil() || !p.Amount.IsPositive() ||
			p.State < courtv1.PenaltyTaken || p.State > courtv1.PenaltyReleased ||
			(p.State == courtv1.PenaltyTaken || p.State == courtv1.PenaltyUnspecified) &&
				p.Until > 0 {
			return fmt.Errorf("court: penalty %d of %q: %s acpc, %s, until epoch %d", p.Number,
				p.Participant, p.Amount, p.State, p.Until)
		}
		if !slices.Equal(p.Finders, without(p.Finders, p.Participant)) {
			return fmt.Errorf("court: penalty %d of %s: its finders %v are out of order, or it is "+
				"one of them", p.Number, p.Participant, p.Finders)
		}
	}
	for i, d := range g.DoubleSigns {
		if d.Participant == "" || d.Height < 0 || d.PowerPpm > 1_000_000 ||
			i > 0 && cmp.Or(cmp.Compare(d.Height, g.DoubleSigns[i-1].Height),
				cmp.Compare(d.Participant, g.DoubleSigns[i-1].Participant)) <= 0 {
			return fmt.Errorf("court: the double signature of %q at block %d is out of order, or "+
				"of more than the whole power", d.Participant, d.Height)
		}
	}
	return nil
}

// validClaim: the chain asks under no name, and only a dispute locks a bond.
func validClaim(c courtv1.Claim) error {
	if c.Source < courtv1.SourceVerdict || c.Source > courtv1.SourceChain ||
		(c.Claimant == "") != (c.Source == courtv1.SourceChain) {
		return fmt.Errorf("claimant %q with source %s", c.Claimant, c.Source)
	}
	if bond := bondOf(c.Bond); c.Bond != "" &&
		(c.Source != courtv1.SourceDispute || !bond.IsPositive() || bond.String() != c.Bond) {
		return fmt.Errorf("bond %q with source %s", c.Bond, c.Source)
	}
	return nil
}

// compareLeaves orders judgements as their keys do.
func compareLeaves(a, b courtv1.Judgement) int {
	x, y := leafKeyOf(a.Epoch, a.Leaf), leafKeyOf(b.Epoch, b.Leaf)
	return cmp.Or(cmp.Compare(x.K1(), y.K1()), cmp.Compare(x.K2(), y.K2()),
		bytes.Compare(x.K3(), y.K3()))
}

func compareClaimants(a, b courtv1.Claimant) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Participant, b.Participant))
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
	return k.initPenalties(ctx, g)
}

func (k *Keeper) initPenalties(ctx context.Context, g courtv1.GenesisState) error {
	for _, p := range g.Penalties {
		if err := k.penalties.Set(ctx, penaltyKeyOf(p), p); err != nil {
			return err
		}
		if p.State == courtv1.PenaltyTaken {
			continue
		}
		if err := k.settling.Set(ctx, settlingKeyOf(p)); err != nil {
			return err
		}
	}
	if g.NextPenalty > 0 {
		if err := k.nextPenalty.Set(ctx, g.NextPenalty); err != nil {
			return err
		}
	}
	for _, d := range g.DoubleSigns {
		if err := k.doubleSigns.Set(ctx, collections.Join(uint64(d.Height), d.Participant),
			d); err != nil {
			return err
		}
	}
	if g.Failures != nil {
		if err := k.failures.Set(ctx, *g.Failures); err != nil {
			return err
		}
	}
	return k.checkHeld(ctx, g.Penalties)
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*courtv1.GenesisState, error) {
	g := &courtv1.GenesisState{}
	var err error
	if g.Params, err = k.Params(ctx); err != nil {
		return nil, err
	}
	if g.PendingParams, err = table.Optional(ctx, k.pending); err != nil {
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
	if g.Judgements, err = table.Values(ctx, k.judgements, nil); err != nil {
		return nil, err
	}
	if g.Claimants, err = table.Values(ctx, k.claimants, nil); err != nil {
		return nil, err
	}
	if g.Penalties, err = table.Values(ctx, k.penalties, nil); err != nil {
		return nil, err
	}
	if g.NextPenalty, err = k.nextPenalty.Peek(ctx); err != nil {
		return nil, err
	}
	if g.DoubleSigns, err = table.Values(ctx, k.doubleSigns, nil); err != nil {
		return nil, err
	}
	g.Failures, err = table.Optional(ctx, k.failures)
	return g, err
}
