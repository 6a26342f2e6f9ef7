// SPDX-License-Identifier: Apache-2.0

package collateral

import (
	"context"
	"fmt"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	"github.com/assaynet/assay/chain/table"
)

// DefaultGenesis has no deposits.
func DefaultGenesis() *collateralv1.GenesisState { return &collateralv1.GenesisState{} }

// ValidateGenesis checks a genesis state on its own; that the coins are there is
// checked by InitGenesis.
func ValidateGenesis(gs *collateralv1.GenesisState) error {
	for i, a := range gs.Accounts {
		if i > 0 && a.Address <= gs.Accounts[i-1].Address {
			return ErrInvariant.Wrapf("genesis: accounts are not in rising order at %s", a.Address)
		}
		if err := validAccount(a); err != nil {
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
	for _, a := range gs.Accounts {
		if _, err := k.account(a.Address); err != nil {
			return fmt.Errorf("collateral: genesis: %w", err)
		}
		if err := k.store(ctx, a); err != nil {
			return fmt.Errorf("collateral: genesis: %w", err)
		}
	}
	if err := k.Check(ctx); err != nil {
		return fmt.Errorf("collateral: genesis: %w", err)
	}
	return nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*collateralv1.GenesisState, error) {
	all, err := table.Values(ctx, k.deposits, nil)
	return &collateralv1.GenesisState{Accounts: all}, err
}
