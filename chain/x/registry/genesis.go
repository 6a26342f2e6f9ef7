// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/collateral"
)

// DefaultGenesis has no participants.
func DefaultGenesis() *registryv1.GenesisState {
	return &registryv1.GenesisState{Params: DefaultParams()}
}

// ValidateGenesis checks a genesis state. With a chain id it also verifies the
// possessions and the nodes' proofs, unless the state has none of the former:
// that is an exported one, whose proofs were checked when they came and may
// name the chain it was exported from. Errors wrap ErrGenesis.
func ValidateGenesis(chain string, gs *registryv1.GenesisState) error {
	if err := ValidateParams(gs.Params); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if gs.PendingParams != nil {
		if err := ValidateParams(*gs.PendingParams); err != nil {
			return fmt.Errorf("%w: pending: %w", ErrGenesis, err)
		}
	}
	fresh := len(gs.Possessions) > 0
	if fresh && len(gs.Possessions) != len(gs.Participants) {
		return fmt.Errorf("%w: %d possessions for %d participants", ErrGenesis, len(gs.Possessions),
			len(gs.Participants))
	}
	// A list that was legal when it was set stays so when max_nodes is lowered.
	maxNodes := uint32(MaxNodes)
	if fresh {
		maxNodes = gs.Params.MaxNodes
	}
	if err := validUsed(gs.UsedKeys); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	owners := make(map[string]string)
	for i, p := range gs.Participants {
		if i > 0 && p.Address <= gs.Participants[i-1].Address {
			return fmt.Errorf("%w: participants do not stand in the order of their addresses, or "+
				"one stands twice: %s", ErrGenesis, p.Address)
		}
		if err := validRecord(p, maxNodes); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrGenesis, p.Address, err)
		}
		for _, key := range keysOf(p) {
			if owner, taken := owners[string(key.bytes)]; taken {
				return fmt.Errorf("%w: %w: the %s key of %s is in use by %s", ErrGenesis, ErrTaken,
					key.role, p.Address, owner)
			}
			owners[string(key.bytes)] = p.Address
		}
		if !fresh || chain == "" {
			continue
		}
		if err := VerifyPossession(chain, p, gs.Possessions[i]); err != nil {
			return fmt.Errorf("%w: %w", ErrGenesis, err)
		}
		if err := verifyNodes(chain, p.Address, p.Nodes); err != nil {
			return fmt.Errorf("%w: %w", ErrGenesis, err)
		}
	}
	return nil
}

// validRecord checks a whole participant, with what came to it after it registered.
func validRecord(p registryv1.Participant, maxNodes uint32) error {
	if err := validate(p, maxNodes); err != nil {
		return err
	}
	if err := validList(p.PreviousNodes, MaxNodes); err != nil {
		return fmt.Errorf("previous nodes: %w", err)
	}
	switch {
	case !p.Deposit.IsNil() && p.Deposit.IsNegative():
		return ErrInvalid.Wrapf("a deposit of %s", p.Deposit)
	case p.LeftFrom > 0 && p.LeftFrom <= p.JoinedEpoch:
		return ErrInvalid.Wrapf("it left from epoch %d on and joined in %d",
			p.LeftFrom, p.JoinedEpoch)
	case p.PowerlessHeight < 0 || (p.PowerlessHeight == 0) != (p.PowerlessTime == 0):
		return ErrInvalid.Wrapf("without power since block %d at time %d", p.PowerlessHeight,
			p.PowerlessTime)
	case p.Rotation != nil && len(rotated(p.Rotation)) == 0:
		return ErrInvalid.Wrap("a rotation of no key")
	case len(p.PreviousConsensusKey) != 0 && len(p.PreviousConsensusKey) != ed25519.PublicKeySize:
		return ErrInvalid.Wrapf("a previous consensus key of %d bytes",
			len(p.PreviousConsensusKey))
	}
	return nil
}

// validUsed checks the list of consensus keys that nobody has any longer.
func validUsed(used []registryv1.UsedKey) error {
	for i, u := range used {
		if len(u.ConsensusAddress) != addressSize || u.Participant == "" {
			return ErrInvalid.Wrapf("used consensus key %X of %q", u.ConsensusAddress,
				u.Participant)
		}
		if i > 0 && bytes.Compare(used[i-1].ConsensusAddress, u.ConsensusAddress) >= 0 {
			return ErrInvalid.Wrapf("used consensus keys do not stand in the order of their "+
				"addresses, or one stands twice: %X", u.ConsensusAddress)
		}
	}
	return nil
}

// InitGenesis takes a genesis state in. Deposits have to be there before; what a
// record says is locked for it has to be locked.
func (k *Keeper) InitGenesis(ctx sdk.Context, gs *registryv1.GenesisState) error {
	if err := ValidateGenesis(ctx.ChainID(), gs); err != nil {
		return err
	}
	if err := k.params.Set(ctx, gs.Params); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	if gs.PendingParams != nil {
		if err := k.pending.Set(ctx, *gs.PendingParams); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
	}
	for _, u := range gs.UsedKeys {
		if err := k.consensus.Set(ctx, u.ConsensusAddress, u.Participant); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
	}
	for _, p := range gs.Participants {
		if _, err := k.account(p.Address); err != nil {
			return fmt.Errorf("%w: %w", ErrGenesis, err)
		}
		if p.Deposit.IsNil() {
			p.Deposit = math.ZeroInt()
		}
		locked, err := k.collateral.Locked(ctx, p.Address, collateral.Registration)
		if err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		if !locked.Equal(p.Deposit) {
			return fmt.Errorf("%w: %s registered with %s acpc, its deposit has %s locked for that",
				ErrGenesis, p.Address, p.Deposit, locked)
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
	if gs.PendingParams, err = k.pendingParams(ctx); err != nil {
		return nil, err
	}
	err = k.Walk(ctx, func(p registryv1.Participant) (bool, error) {
		gs.Participants = append(gs.Participants, p)
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	current := make(map[string]bool)
	for _, p := range gs.Participants {
		for _, key := range keysOf(p) {
			if key.role == RoleConsensus {
				current[string(ConsensusAddress(key.bytes))] = true
			}
		}
	}
	err = k.consensus.Walk(ctx, nil, func(at []byte, owner string) (bool, error) {
		if !current[string(at)] {
			gs.UsedKeys = append(gs.UsedKeys,
				registryv1.UsedKey{ConsensusAddress: at, Participant: owner})
		}
		return false, nil
	})
	return gs, err
}
