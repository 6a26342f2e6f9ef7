// SPDX-License-Identifier: Apache-2.0

package beacon

import (
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/seed"
)

// DefaultGenesis starts from an origin of zeros. The first block's proposer is
// unpredictable to nobody anyway; its proof is what makes the next value.
func DefaultGenesis() *beaconv1.GenesisState {
	return &beaconv1.GenesisState{Origin: make([]byte, seed.Size)}
}

// ValidateGenesis checks a genesis state by itself. Errors wrap ErrGenesis.
func ValidateGenesis(gs *beaconv1.GenesisState) error {
	if _, err := seed.FromBytes(gs.Origin); err != nil {
		return fmt.Errorf("%w: origin: %w", ErrGenesis, err)
	}
	for i, o := range gs.Outputs {
		if o.Height < 1 || i > 0 && o.Height != gs.Outputs[i-1].Height+1 {
			return fmt.Errorf("%w: output %d has height %d; heights start at 1 and follow each "+
				"other", ErrGenesis, i, o.Height)
		}
		if len(o.Proposer) != 20 || len(o.Beta) != vrf.OutputSize || len(o.Value) != seed.Size ||
			o.Share > whole {
			return fmt.Errorf("%w: output at height %d has a field of the wrong size",
				ErrGenesis, o.Height)
		}
	}
	return nil
}

// InitGenesis takes a genesis state in. A state that was exported has to go on
// at the height after its last output.
func (k *Keeper) InitGenesis(ctx sdk.Context, gs *beaconv1.GenesisState) error {
	if err := ValidateGenesis(gs); err != nil {
		return err
	}
	if n := len(gs.Outputs); n > 0 && gs.Outputs[n-1].Height+1 != ctx.BlockHeight() {
		return fmt.Errorf("%w: the last output has height %d, so initial_height has to be %d, "+
			"not %d",
			ErrGenesis, gs.Outputs[n-1].Height, gs.Outputs[n-1].Height+1, ctx.BlockHeight())
	}
	if err := k.origin.Set(ctx, gs.Origin); err != nil {
		return fmt.Errorf("beacon: %w", err)
	}
	for _, o := range gs.Outputs {
		if err := k.outputs.Set(ctx, uint64(o.Height), o); err != nil {
			return fmt.Errorf("beacon: %w", err)
		}
	}
	return nil
}

// ExportGenesis writes the whole state.
func (k *Keeper) ExportGenesis(ctx sdk.Context) (*beaconv1.GenesisState, error) {
	origin, err := k.origin.Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("beacon: reading the origin: %w", err)
	}
	gs := &beaconv1.GenesisState{Origin: origin}
	err = k.outputs.Walk(ctx, new(collections.Range[uint64]),
		func(_ uint64, o beaconv1.Output) (bool, error) {
			gs.Outputs = append(gs.Outputs, o)
			return false, nil
		})
	if err != nil {
		return nil, fmt.Errorf("beacon: %w", err)
	}
	return gs, nil
}
