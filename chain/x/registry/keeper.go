// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
)

// Name is the name of the module and of its store.
const Name = "registry"

var (
	// ErrInvalid reports a registration whose fields break a rule.
	ErrInvalid = errors.New("registry: invalid participant")
	// ErrPossession reports a key whose owner did not show that it holds it.
	ErrPossession = errors.New("registry: no proof of possession")
	// ErrTaken reports a key or an account that is registered already.
	ErrTaken = errors.New("registry: already registered")
	// ErrUnknown reports an account that is no participant.
	ErrUnknown = errors.New("registry: not a participant")
	// ErrAuthority reports a message that only governance may send.
	ErrAuthority = errors.New("registry: only governance may do this")
	// ErrParams reports parameters outside their hard bounds.
	ErrParams = errors.New("registry: invalid parameters")
	// ErrGenesis reports a genesis state that cannot be used.
	ErrGenesis = errors.New("registry: invalid genesis state")
	// ErrHeartbeat reports a heartbeat that the participant's key did not sign.
	ErrHeartbeat = errors.New("registry: invalid heartbeat")
)

// Keeper holds the participants.
type Keeper struct {
	addresses address.Codec
	authority string
	epoch     func(context.Context) (uint64, error)

	schema collections.Schema
	params collections.Item[registryv1.Params]
	// participants by bech32 address, so that walking them is in that order.
	participants collections.Map[string, registryv1.Participant]
	// consensus address (20 bytes) to participant address.
	consensus collections.Map[[]byte, string]
	// keys holds every key in use, 32 bytes, with its owner: "<address> <role>".
	keys collections.Map[[]byte, string]
}

// NewKeeper builds the keeper. authority may change the parameters; epoch tells
// the number of the current epoch and is called by messages only, so it may
// belong to a module that needs this keeper.
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, addresses address.Codec, authority string, epoch func(context.Context) (uint64, error)) (*Keeper, error) {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		addresses:    addresses,
		authority:    authority,
		epoch:        epoch,
		params:       collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[registryv1.Params](cdc)),
		participants: collections.NewMap(sb, collections.NewPrefix(1), "participants", collections.StringKey, codec.CollValue[registryv1.Participant](cdc)),
		consensus:    collections.NewMap(sb, collections.NewPrefix(2), "consensus", collections.BytesKey, collections.StringValue),
		keys:         collections.NewMap(sb, collections.NewPrefix(3), "keys", collections.BytesKey, collections.StringValue),
	}
	var err error
	if k.schema, err = sb.Build(); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return k, nil
}

// ConsensusAddress is how CometBFT names the validator with this Ed25519 key:
// the first 20 bytes of its SHA-256.
func ConsensusAddress(key []byte) []byte {
	sum := sha256.Sum256(key)
	return sum[:20]
}

// Params are the parameters in force.
func (k *Keeper) Params(ctx context.Context) (registryv1.Params, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return p, fmt.Errorf("registry: reading the parameters: %w", err)
	}
	return p, nil
}

// Get is the participant with this account. Errors wrap ErrUnknown.
func (k *Keeper) Get(ctx context.Context, addr string) (registryv1.Participant, error) {
	p, err := k.participants.Get(ctx, addr)
	if errors.Is(err, collections.ErrNotFound) {
		return p, fmt.Errorf("%w: %s", ErrUnknown, addr)
	}
	if err != nil {
		return p, fmt.Errorf("registry: reading %s: %w", addr, err)
	}
	return p, nil
}

// Has tells whether the account is a participant.
func (k *Keeper) Has(ctx context.Context, addr string) (bool, error) {
	return k.participants.Has(ctx, addr)
}

// Walk visits all participants in the order of their addresses.
func (k *Keeper) Walk(ctx context.Context, visit func(registryv1.Participant) (stop bool, err error)) error {
	return k.participants.Walk(ctx, nil, func(_ string, p registryv1.Participant) (bool, error) { return visit(p) })
}

// ByConsensusAddress finds whose validator has this address; found is false for
// an address that was never registered.
func (k *Keeper) ByConsensusAddress(ctx context.Context, consensusAddress []byte) (p registryv1.Participant, found bool, err error) {
	addr, err := k.consensus.Get(ctx, consensusAddress)
	if errors.Is(err, collections.ErrNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("registry: %w", err)
	}
	p, err = k.Get(ctx, addr)
	return p, err == nil, err
}

// Jail keeps a participant from voting and credit until an epoch. A longer
// jail stands; a shorter one does not end it.
func (k *Keeper) Jail(ctx context.Context, addr string, until uint64, reason string) error {
	return k.update(ctx, addr, func(p *registryv1.Participant) {
		if until > p.JailedUntil {
			p.JailedUntil, p.JailReason = until, reason
		}
	})
}

// Heartbeat notes that the consensus key was alive in an epoch.
func (k *Keeper) Heartbeat(ctx context.Context, addr string, epoch uint64) error {
	return k.update(ctx, addr, func(p *registryv1.Participant) {
		p.HeartbeatEpoch = max(p.HeartbeatEpoch, epoch)
	})
}

// SetSilent sets for how many epochs in a row the participant stayed silent.
func (k *Keeper) SetSilent(ctx context.Context, addr string, epochs uint64) error {
	return k.update(ctx, addr, func(p *registryv1.Participant) { p.SilentEpochs = epochs })
}

func (k *Keeper) update(ctx context.Context, addr string, change func(*registryv1.Participant)) error {
	p, err := k.Get(ctx, addr)
	if err != nil {
		return err
	}
	change(&p)
	return k.participants.Set(ctx, addr, p)
}

// add stores a new participant and all its keys. Errors wrap ErrTaken.
func (k *Keeper) add(ctx context.Context, p registryv1.Participant) error {
	taken, err := k.Has(ctx, p.Address)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	if taken {
		return fmt.Errorf("%w: %s is a participant; its nodes can be changed, its keys cannot", ErrTaken, p.Address)
	}
	for _, key := range keysOf(p) {
		if err := k.claim(ctx, key.bytes, p.Address, key.role); err != nil {
			return err
		}
	}
	if err := k.consensus.Set(ctx, ConsensusAddress(p.ConsensusKey), p.Address); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return k.participants.Set(ctx, p.Address, p)
}

// claim makes a key belong to a participant in one role.
func (k *Keeper) claim(ctx context.Context, key []byte, addr, role string) error {
	owner, err := k.keys.Get(ctx, key)
	switch {
	case err == nil:
		return fmt.Errorf("%w: the %s key of %s is in use by %s", ErrTaken, role, addr, owner)
	case !errors.Is(err, collections.ErrNotFound):
		return fmt.Errorf("registry: %w", err)
	}
	return k.keys.Set(ctx, key, addr+" "+role)
}
