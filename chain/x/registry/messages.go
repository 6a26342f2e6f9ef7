// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// Gas, charged before the work it pays for: for the check that a key is a point of
// the prime-order group, for one Ed25519 signature and for one VRF proof. A list of
// nodes costs its sender no fee, so these are priced for what a node can do of them
// in a block, as in x/sprint, not in the SDK's proportions.
const (
	gasKey       = sprintv1.GasKey
	gasSignature = sprintv1.GasSignature
	gasVRF       = sprintv1.GasVRF
)

type messages struct{ keeper *Keeper }

var _ registryv1.MsgServer = messages{}

// Register adds the sender as a participant. It takes part from the next epoch on.
func (m messages) Register(goCtx context.Context, msg *registryv1.MsgRegister) (*registryv1.MsgRegisterResponse, error) {
	ctx, k := sdk.UnwrapSDKContext(goCtx), m.keeper
	if _, err := k.account(msg.Address); err != nil {
		return nil, err
	}
	params, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := k.epoch(ctx)
	if err != nil {
		return nil, err
	}
	p := registryv1.Participant{
		Address: msg.Address, Moniker: msg.Moniker,
		ConsensusKey: msg.ConsensusKey, VrfKey: msg.VrfKey, HostKey: msg.HostKey,
		Nodes: msg.Nodes, JoinedEpoch: epoch,
	}
	ctx.GasMeter().ConsumeGas(3*gasKey+2*gasSignature+gasVRF, "proofs of possession")
	ctx.GasMeter().ConsumeGas(gasKey*uint64(len(p.Nodes)), "keys of nodes")
	if err := validate(p, params); err != nil {
		return nil, err
	}
	if err := VerifyPossession(ctx.ChainID(), p, msg.Possession); err != nil {
		return nil, err
	}
	if err := verifyNodes(ctx, p.Address, p.Nodes); err != nil {
		return nil, err
	}
	if err := k.add(ctx, p); err != nil {
		return nil, err
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_registered",
		sdk.NewAttribute("participant", p.Address), sdk.NewAttribute("moniker", p.Moniker)))
	return &registryv1.MsgRegisterResponse{}, nil
}

// SetNodes replaces the sender's machines. Epochs that froze the old list keep it.
func (m messages) SetNodes(goCtx context.Context, msg *registryv1.MsgSetNodes) (*registryv1.MsgSetNodesResponse, error) {
	ctx, k := sdk.UnwrapSDKContext(goCtx), m.keeper
	params, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	p, err := k.Get(ctx, msg.Address)
	if err != nil {
		return nil, err
	}
	old := p.Nodes
	p.Nodes = msg.Nodes
	ctx.GasMeter().ConsumeGas(gasKey*uint64(len(p.Nodes)), "keys of nodes")
	if err := validate(p, params); err != nil {
		return nil, err
	}
	var fresh []registryv1.Node
	for _, n := range p.Nodes {
		if !contains(old, n) {
			fresh = append(fresh, n)
		}
	}
	if err := verifyNodes(ctx, p.Address, fresh); err != nil {
		return nil, err
	}
	for _, n := range old {
		if err := k.keys.Remove(ctx, n.Key); err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
	}
	for _, n := range p.Nodes {
		if err := k.claim(ctx, n.Key, p.Address, NodeRole(n.Id)); err != nil {
			return nil, err
		}
	}
	if err := k.participants.Set(ctx, p.Address, p); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_nodes",
		sdk.NewAttribute("participant", p.Address), sdk.NewAttribute("nodes", fmt.Sprint(len(p.Nodes)))))
	return &registryv1.MsgSetNodesResponse{}, nil
}

// UpdateParams is for governance.
func (m messages) UpdateParams(ctx context.Context, msg *registryv1.MsgUpdateParams) (*registryv1.MsgUpdateParamsResponse, error) {
	if msg.Authority != m.keeper.authority {
		return nil, fmt.Errorf("%w: %s is not %s", ErrAuthority, msg.Authority, m.keeper.authority)
	}
	if err := ValidParams(msg.Params); err != nil {
		return nil, err
	}
	if err := m.keeper.params.Set(ctx, msg.Params); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return &registryv1.MsgUpdateParamsResponse{}, nil
}

// account reads an address and insists on its one canonical spelling, because
// the string itself goes into seeds.
func (k *Keeper) account(addr string) ([]byte, error) {
	raw, err := k.addresses.StringToBytes(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: address %q: %w", ErrInvalid, addr, err)
	}
	again, err := k.addresses.BytesToString(raw)
	if err != nil || again != addr {
		return nil, errors.Join(fmt.Errorf("%w: address %q is not in canonical form", ErrInvalid, addr), err)
	}
	return raw, nil
}

func verifyNodes(ctx sdk.Context, participant string, nodes []registryv1.Node) error {
	for _, n := range nodes {
		ctx.GasMeter().ConsumeGas(gasSignature, "proof of a node's device key")
		if err := VerifyNode(ctx.ChainID(), participant, n); err != nil {
			return err
		}
	}
	return nil
}

// contains tells whether the very same entry, proof included, was verified before.
func contains(nodes []registryv1.Node, want registryv1.Node) bool {
	for _, n := range nodes {
		if n.Id == want.Id && bytes.Equal(n.Key, want.Key) && bytes.Equal(n.Proof, want.Proof) {
			return true
		}
	}
	return false
}
