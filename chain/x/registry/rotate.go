// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/seed"
)

const (
	// rotationAhead is how many epochs after its message a rotation takes effect: with the epoch
	// after the next one, so that a VRF key is registered for a whole epoch before it is used.
	rotationAhead = 2
	// rotationPause is how many epochs begin between a rotation and the next message.
	rotationPause = 4
	// rotationsPerEpoch bounds the rotations at an epoch's begin; what is over it waits for the
	// next one.
	rotationsPerEpoch = 1_000
)

// RotateKeys replaces keys of the sender from the epoch after the next one on (spec R-15). Until
// then the new keys are held for it and nothing else changes.
func (m messages) RotateKeys(goCtx context.Context,
	msg *registryv1.MsgRotateKeys) (*registryv1.MsgRotateKeysResponse, error) {
	ctx, k := sdk.UnwrapSDKContext(goCtx), m.keeper
	p, err := k.Get(ctx, msg.Address)
	if err != nil {
		return nil, err
	}
	epoch, err := k.network.CurrentEpoch(ctx)
	if err != nil {
		return nil, err
	}
	switch next := plus(p.RotatedEpoch, rotationPause); {
	case p.LeftFrom > 0:
		return nil, ErrLeft.Wrapf("%s takes no part from epoch %d on, so its keys stay as they are",
			p.Address, p.LeftFrom)
	case p.Rotation != nil:
		return nil, ErrRotation.Wrapf("%s has rotated keys already: they change with epoch %d, "+
			"and others can follow from epoch %d on", p.Address, p.Rotation.Epoch,
			plus(p.Rotation.Epoch, rotationPause))
	case p.RotatedEpoch > 0 && epoch < next:
		return nil, ErrRotation.Wrapf("keys of %s changed with epoch %d; the next can follow from "+
			"epoch %d on", p.Address, p.RotatedEpoch, next)
	}
	p.Rotation = &registryv1.Rotation{ConsensusKey: msg.ConsensusKey, VrfKey: msg.VrfKey,
		HostKey: msg.HostKey, Epoch: plus(epoch, rotationAhead)}
	if err := k.proveRotation(ctx, p, msg.Possession); err != nil {
		return nil, err
	}
	for _, key := range rotated(p.Rotation) {
		if err := k.claim(ctx, key.bytes, p.Address, key.role); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(k.schedule(ctx, p), k.store(ctx, p)); err != nil {
		return nil, err
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_rotation",
		sdk.NewAttribute("participant", p.Address),
		sdk.NewAttribute("from_epoch", fmt.Sprint(p.Rotation.Epoch))))
	return &registryv1.MsgRotateKeysResponse{Epoch: p.Rotation.Epoch}, nil
}

// proveRotation checks the keys of a participant's rotation and that its owner holds them.
func (k *Keeper) proveRotation(ctx sdk.Context, p registryv1.Participant,
	proof registryv1.Possession) error {
	keys := rotated(p.Rotation)
	if len(keys) == 0 {
		return ErrInvalid.Wrap("a rotation names no key; name a consensus, VRF or host key")
	}
	for _, key := range []struct {
		namedKey
		gas uint64
	}{
		{namedKey{RoleConsensus, p.Rotation.ConsensusKey}, gasKey + gasSignature},
		{namedKey{RoleVRF, p.Rotation.VrfKey}, gasKey + gasVRF},
		{namedKey{RoleHost, p.Rotation.HostKey}, gasKey + gasSignature},
	} {
		if len(key.bytes) > 0 {
			ctx.GasMeter().ConsumeGas(key.gas, "proof of possession")
		} else if len(proofOf(proof, key.role)) > 0 {
			return ErrInvalid.Wrapf("a proof for a %s key, and no such key", key.role)
		}
	}
	if err := distinct(p); err != nil {
		return err
	}
	for _, key := range keys {
		if err := validKey(key); err != nil {
			return err
		}
		if err := verifyKey(ctx.ChainID(), p.Address, key, proof); err != nil {
			return err
		}
	}
	return nil
}

// schedule notes when a rotation is due, and whose its consensus key is.
func (k *Keeper) schedule(ctx context.Context, p registryv1.Participant) error {
	if len(p.Rotation.ConsensusKey) > 0 {
		if err := k.consensus.Set(ctx, ConsensusAddress(p.Rotation.ConsensusKey),
			p.Address); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
	}
	if err := k.rotations.Set(ctx, collections.Join(p.Rotation.Epoch, p.Address)); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return nil
}

func (k *Keeper) unschedule(ctx context.Context, p registryv1.Participant) error {
	if p.Rotation == nil {
		return nil
	}
	return k.rotations.Remove(ctx, collections.Join(p.Rotation.Epoch, p.Address))
}

// Rotate changes, at an epoch's begin, the keys whose rotation is due, the oldest first. A
// replaced consensus key keeps its owner for evidence and is never free again; a replaced VRF or
// host key is.
func (k *Keeper) Rotate(ctx context.Context, epoch uint64) error {
	var due []collections.Pair[uint64, string]
	if err := k.rotations.Walk(ctx, collections.NewPrefixUntilPairRange[uint64, string](epoch),
		func(key collections.Pair[uint64, string]) (bool, error) {
			due = append(due, key)
			return len(due) == rotationsPerEpoch, nil
		}); err != nil {
		return fmt.Errorf("registry: rotations: %w", err)
	}
	for _, key := range due {
		if err := k.rotate(sdk.UnwrapSDKContext(ctx), key.K2(), epoch); err != nil {
			return fmt.Errorf("registry: rotating keys of %s: %w", key.K2(), err)
		}
	}
	return nil
}

func (k *Keeper) rotate(ctx sdk.Context, addr string, epoch uint64) error {
	p, err := k.Record(ctx, addr)
	if err != nil {
		return err
	}
	if err := k.unschedule(ctx, p); err != nil {
		return err
	}
	r := p.Rotation
	for _, key := range []struct{ was, next *[]byte }{{&p.ConsensusKey, &r.ConsensusKey},
		{&p.VrfKey, &r.VrfKey}, {&p.HostKey, &r.HostKey}} {
		if len(*key.next) == 0 {
			continue
		}
		if err := k.keys.Remove(ctx, *key.was); err != nil {
			return err
		}
		if key.was == &p.ConsensusKey {
			p.PreviousConsensusKey = p.ConsensusKey
		}
		*key.was = *key.next
	}
	p.Rotation, p.RotatedEpoch = nil, epoch
	ctx.EventManager().EmitEvent(sdk.NewEvent("registry_rotated",
		sdk.NewAttribute("participant", p.Address),
		sdk.NewAttribute("epoch", fmt.Sprint(epoch))))
	return k.store(ctx, p)
}

// ProveRotation makes a participant's message that rotates the keys which are not nil. Each
// private key is an Ed25519 one.
func ProveRotation(chain, participant string, consensus, vrfKey,
	host ed25519.PrivateKey) *registryv1.MsgRotateKeys {
	m := &registryv1.MsgRotateKeys{Address: participant}
	public := func(key ed25519.PrivateKey) []byte { return bytes.Clone(key[ed25519.SeedSize:]) }
	if consensus != nil {
		m.ConsensusKey = public(consensus)
		m.Possession.Consensus = sign(chain, RoleConsensus, participant, consensus)
	}
	if vrfKey != nil {
		m.VrfKey = public(vrfKey)
		message := seed.Possession(chain, RoleVRF, participant, m.VrfKey)
		m.Possession.Vrf = vrf.Prove(vrfKey, message[:])
	}
	if host != nil {
		m.HostKey = public(host)
		m.Possession.Host = sign(chain, RoleHost, participant, host)
	}
	return m
}
