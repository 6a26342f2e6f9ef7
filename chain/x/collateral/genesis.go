// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"
	"fmt"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/table"
)

// DefaultGenesis has no deposits.
func DefaultGenesis() *collateralv1.GenesisState {
	return &collateralv1.GenesisState{Params: DefaultParams()}
}

// ValidateGenesis checks a genesis state on its own; that the coins are there is
// checked by InitGenesis.
func ValidateGenesis(gs *collateralv1.GenesisState) error {
	if err := ValidateParams(gs.Params); err != nil {
		return fmt.Errorf("collateral: genesis: %w", err)
	}
	if gs.PendingParams != nil {
		if err := ValidateParams(*gs.PendingParams); err != nil {
			return fmt.Errorf("collateral: genesis: pending_params: %w", err)
		}
	}
	if err := validRises(gs.Params, gs.Rises); err != nil {
		return err
	}
	for i, a := range gs.Accounts {
		if i > 0 && a.Address <= gs.Accounts[i-1].Address {
			return ErrInvariant.Wrapf("genesis: accounts are not in rising order at %s", a.Address)
		}
		if err := validAccount(whole(a)); err != nil {
			return fmt.Errorf("collateral: genesis: %w", err)
		}
	}
	return nil
}

// InitGenesis takes a genesis state in. Accounts and coins have to be there before.
func (k *Keeper) InitGenesis(ctx context.Context, gs *collateralv1.GenesisState) error {
	if err := ValidateGenesis(gs); err != nil {
		return err
	}
	// The account exists from the first block on, so that exporting and importing changes nothing.
	k.accounts.GetModuleAccount(ctx, Name)
	if err := k.params.Set(ctx, gs.Params); err != nil {
		return err
	}
	if gs.PendingParams != nil {
		if err := k.pending.Set(ctx, *gs.PendingParams); err != nil {
			return err
		}
	}
	for _, r := range gs.Rises {
		if err := k.rises.Set(ctx, r.Epoch, r); err != nil {
			return err
		}
	}
	for _, a := range gs.Accounts {
		if _, err := k.account(a.Address); err != nil {
			return fmt.Errorf("collateral: genesis: %w", err)
		}
		if err := k.store(ctx, whole(a)); err != nil {
			return fmt.Errorf("collateral: genesis: %w", err)
		}
		for _, w := range a.Withdrawals {
			if err := k.enqueue(ctx, a.Address, w); err != nil {
				return fmt.Errorf("collateral: genesis: %w", err)
			}
		}
	}
	if err := k.Check(ctx); err != nil {
		return fmt.Errorf("collateral: genesis: %w", err)
	}
	return nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*collateralv1.GenesisState, error) {
	gs := &collateralv1.GenesisState{}
	var err error
	if gs.Params, err = k.Params(ctx); err != nil {
		return nil, err
	}
	if gs.PendingParams, err = table.Optional(ctx, k.pending); err != nil {
		return nil, err
	}
	if gs.Rises, err = table.Values(ctx, k.rises, nil); err != nil {
		return nil, err
	}
	gs.Accounts, err = table.Values(ctx, k.deposits, nil)
	return gs, err
}
