// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
)

// DefaultParams are the parameters of a new network.
func DefaultParams() registryv1.Params { return registryv1.Params{MaxNodes: 64} }

// DefaultGenesis has no participants.
func DefaultGenesis() *registryv1.GenesisState {
	return &registryv1.GenesisState{Params: DefaultParams()}
}

// ValidateGenesis checks a genesis state. With a chain id it also verifies the
// possessions and the nodes' proofs, unless the state has none of the former:
// that is an exported one, whose proofs were checked when they came and may
// name the chain it was exported from. Errors wrap ErrGenesis.
func ValidateGenesis(chain string, gs *registryv1.GenesisState) error {
	if err := ValidParams(gs.Params); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	fresh := len(gs.Possessions) > 0
	if fresh && len(gs.Possessions) != len(gs.Participants) {
		return fmt.Errorf("%w: %d possessions for %d participants", ErrGenesis, len(gs.Possessions), len(gs.Participants))
	}
	owners := make(map[string]string)
	for i, p := range gs.Participants {
		if i > 0 && p.Address <= gs.Participants[i-1].Address {
			return fmt.Errorf("%w: participants do not stand in the order of their addresses, or one stands twice: %s", ErrGenesis, p.Address)
		}
		if err := validate(p, gs.Params); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrGenesis, p.Address, err)
		}
		for _, key := range keysOf(p) {
			if owner, taken := owners[string(key.bytes)]; taken {
				return fmt.Errorf("%w: %w: the %s key of %s is in use by %s", ErrGenesis, ErrTaken, key.role, p.Address, owner)
			}
			owners[string(key.bytes)] = p.Address
		}
		if !fresh || chain == "" {
			continue
		}
		if err := VerifyPossession(chain, p, gs.Possessions[i]); err != nil {
			return fmt.Errorf("%w: %w", ErrGenesis, err)
		}
		for _, n := range p.Nodes {
			if err := VerifyNode(chain, p.Address, n); err != nil {
				return fmt.Errorf("%w: %w", ErrGenesis, err)
			}
		}
	}
	return nil
}

// InitGenesis takes a genesis state in.
func (k *Keeper) InitGenesis(ctx sdk.Context, gs *registryv1.GenesisState) error {
	if err := ValidateGenesis(ctx.ChainID(), gs); err != nil {
		return err
	}
	if err := k.params.Set(ctx, gs.Params); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	for _, p := range gs.Participants {
		if _, err := k.account(p.Address); err != nil {
			return fmt.Errorf("%w: %w", ErrGenesis, err)
		}
		if err := k.add(ctx, p); err != nil {
			return fmt.Errorf("%w: %w", ErrGenesis, err)
		}
	}
	return nil
}

// ExportGenesis writes the whole state.
func (k *Keeper) ExportGenesis(ctx sdk.Context) (*registryv1.GenesisState, error) {
	params, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	gs := &registryv1.GenesisState{Params: params}
	err = k.Walk(ctx, func(p registryv1.Participant) (bool, error) {
		gs.Participants = append(gs.Participants, p)
		return false, nil
	})
	return gs, err
}
