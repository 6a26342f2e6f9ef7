// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/collateral"
)

// Gas, charged before the work it pays for: for the check that a key is a point of
// the prime-order group, for one Ed25519 signature and for one VRF proof. A list of
// nodes costs its sender no fee, so these are priced for what a node can do of them
// in a block, as in x/sprint, not in the SDK's proportions. BenchmarkChecks measured
// 178, 177 and 595 us in plain Go (-tags purego; 49, 80 and 230 us in assembly): a
// key costs as much as a signature, a VRF proof three to four times that.
const (
	gasKey       = sprintv1.GasKey
	gasSignature = sprintv1.GasSignature
	gasVRF       = sprintv1.GasVRF
)

type messages struct{ keeper *Keeper }

var _ registryv1.MsgServer = messages{}

// Register adds the sender as a participant. It takes part from the next epoch on.
func (m messages) Register(goCtx context.Context,
	msg *registryv1.MsgRegister) (*registryv1.MsgRegisterResponse, error) {
	ctx, k := sdk.UnwrapSDKContext(goCtx), m.keeper
	if _, err := k.account(msg.Address); err != nil {
		return nil, err
	}
	params, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := k.network.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	p := registryv1.Participant{
		Address: msg.Address, Moniker: msg.Moniker,
		ConsensusKey: msg.ConsensusKey, VrfKey: msg.VrfKey, HostKey: msg.HostKey,
		Nodes: msg.Nodes, JoinedEpoch: epoch, NodesEpoch: epoch, IdleSince: epoch,
		Deposit: params.RegistrationDeposit, ReviewEpoch: plus(epoch, params.LapseEpochs+1),
	}
	ctx.GasMeter().ConsumeGas(3*gasKey+2*gasSignature+gasVRF, "proofs of possession")
	ctx.GasMeter().ConsumeGas((gasKey+gasSignature)*uint64(len(p.Nodes)),
		"keys and proofs of nodes")
	if err := validate(p, params.MaxNodes); err != nil {
		return nil, err
	}
	if err := VerifyPossession(ctx.ChainID(), p, msg.Possession); err != nil {
		return nil, err
	}
	if err := verifyNodes(ctx.ChainID(), p.Address, p.Nodes); err != nil {
		return nil, err
	}
	if err := k.add(ctx, p); err != nil {
		return nil, err
	}
	if err := k.lockDeposit(ctx, p.Address, p.Deposit); err != nil {
		return nil, err
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_registered",
		sdk.NewAttribute("participant", p.Address), sdk.NewAttribute("moniker", p.Moniker),
		sdk.NewAttribute("deposit", p.Deposit.String())))
	return &registryv1.MsgRegisterResponse{}, nil
}

// lockDeposit locks what a registration takes: of the sender's free deposit, and
// from its balance where that is short.
func (k *Keeper) lockDeposit(ctx context.Context, addr string, need math.Int) error {
	free, err := k.collateral.Free(ctx, addr)
	if err != nil {
		return err
	}
	if short := need.Sub(free); short.IsPositive() {
		balance, err := k.collateral.Balance(ctx, addr)
		if err != nil {
			return err
		}
		if balance.LT(short) {
			return ErrDeposit.Wrapf("registering locks %sacpc until the registration ends; %s "+
				"has %sacpc free in its deposit and %sacpc on its account, "+
				"%sacpc too little: send it that much with assay tx bank send FROM %s %sacpc, "+
				"and register again",
				need, addr, free, balance, short.Sub(balance), addr, short.Sub(balance))
		}
		if err := k.collateral.TopUp(ctx, addr, short); err != nil {
			return err
		}
	}
	return k.collateral.Lock(ctx, addr, collateral.Registration, need)
}

// SetNodes replaces the sender's machines. The current epoch keeps the list that it began with.
func (m messages) SetNodes(goCtx context.Context,
	msg *registryv1.MsgSetNodes) (*registryv1.MsgSetNodesResponse, error) {
	ctx, k := sdk.UnwrapSDKContext(goCtx), m.keeper
	params, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := k.network.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	p, err := k.Get(ctx, msg.Address)
	if err != nil {
		return nil, err
	}
	if p.LeftFrom > 0 {
		return nil,
			ErrLeft.Wrapf("%s takes no part from epoch %d on, so its nodes stay as they are",
				p.Address, p.LeftFrom)
	}
	next := p
	next.Nodes = msg.Nodes
	if err := validateNodes(next, params.MaxNodes); err != nil {
		return nil, err
	}
	fresh := unproven(msg.Nodes, p.Nodes)
	ctx.GasMeter().ConsumeGas((gasKey+gasSignature)*uint64(len(fresh)), "keys and proofs of nodes")
	for _, n := range fresh {
		if err := validKey(namedKey{NodeRole(n.Id), n.Key}); err != nil {
			return nil, err
		}
	}
	if err := verifyNodes(ctx.ChainID(), p.Address, fresh); err != nil {
		return nil, err
	}
	if err := k.replaceNodes(ctx, p, msg.Nodes, epoch); err != nil {
		return nil, err
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_nodes",
		sdk.NewAttribute("participant", p.Address),
		sdk.NewAttribute("nodes", fmt.Sprint(len(msg.Nodes)))))
	return &registryv1.MsgSetNodesResponse{}, nil
}

// Leave ends the sender's registration. It belongs here and not to x/collateral,
// because what ends is the registration; that its deposit comes back follows. A
// jailed participant may leave, too, and waits for both until its jail is over.
func (m messages) Leave(goCtx context.Context,
	msg *registryv1.MsgLeave) (*registryv1.MsgLeaveResponse, error) {
	ctx, k := sdk.UnwrapSDKContext(goCtx), m.keeper
	p, err := k.Record(ctx, msg.Address)
	if err != nil {
		return nil, err
	}
	if p.LeftFrom > 0 {
		return nil, ErrLeft.Wrapf("%s has left already: it takes no part from epoch %d on",
			p.Address, p.LeftFrom)
	}
	epoch, err := k.network.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	keep, err := k.network.KeepEpochs(ctx)
	if err != nil {
		return nil, err
	}
	if err := k.reviews.Remove(ctx, collections.Join(p.ReviewEpoch, p.Address)); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	p.LeftFrom = plus(epoch, 1)
	p.ReviewEpoch = plus(p.LeftFrom, keep)
	if err := k.reviews.Set(ctx, collections.Join(p.ReviewEpoch, p.Address)); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_left",
		sdk.NewAttribute("participant", p.Address),
		sdk.NewAttribute("from_epoch", fmt.Sprint(p.LeftFrom))))
	return &registryv1.MsgLeaveResponse{}, k.store(ctx, p)
}

// UpdateParams is for governance. The next epoch starts with the new parameters.
func (m messages) UpdateParams(ctx context.Context,
	msg *registryv1.MsgUpdateParams) (*registryv1.MsgUpdateParamsResponse, error) {
	if msg.Authority != m.keeper.authority {
		return nil, ErrAuthority.Wrapf("%s is not %s", msg.Authority, m.keeper.authority)
	}
	if err := ValidateParams(msg.Params); err != nil {
		return nil, err
	}
	if err := m.keeper.pending.Set(ctx, msg.Params); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return &registryv1.MsgUpdateParamsResponse{}, nil
}

// account reads an address and insists on its one canonical spelling, because
// the string itself goes into seeds.
func (k *Keeper) account(addr string) ([]byte, error) {
	raw, err := k.addresses.StringToBytes(addr)
	if err != nil {
		return nil, ErrInvalid.Wrapf("address %q: %v", addr, err)
	}
	if again, err := k.addresses.BytesToString(raw); err != nil || again != addr {
		return nil, ErrInvalid.Wrapf("address %q is not in canonical form", addr)
	}
	return raw, nil
}

func verifyNodes(chain, participant string, nodes []registryv1.Node) error {
	for _, n := range nodes {
		if err := VerifyNode(chain, participant, n); err != nil {
			return err
		}
	}
	return nil
}
