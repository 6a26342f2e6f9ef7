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
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
)

// Collateral is what the registry needs of x/collateral.
type Collateral interface {
	Free(ctx context.Context, addr string) (math.Int, error)
	Locked(ctx context.Context, addr, purpose string) (math.Int, error)
	Balance(ctx context.Context, addr string) (math.Int, error)
	TopUp(ctx context.Context, addr string, amount math.Int) error
	Lock(ctx context.Context, addr, purpose string, amount math.Int) error
	Refund(ctx context.Context, addr, purpose string, amount math.Int) error
}

// Network is what the registry needs of modules that themselves need it.
type Network interface {
	// CurrentEpoch is the number of the current epoch; 0 before the first one.
	CurrentEpoch(ctx context.Context) (uint64, error)
	// KeepEpochs is how many past epochs keep what they were decided on.
	KeepEpochs(ctx context.Context) (uint64, error)
	// Holds reports whether a participant has weight or voting power, or one of its
	// consensus keys still validates.
	Holds(ctx context.Context, participant string, consensusKeys ...[]byte) (bool, error)
}

// Keeper holds the participants.
type Keeper struct {
	addresses  address.Codec
	authority  string
	collateral Collateral
	network    Network

	params       collections.Item[registryv1.Params]
	pending      collections.Item[registryv1.Params]
	participants collections.Map[string, registryv1.Participant]
	nodes        collections.Map[string, registryv1.NodeList]
	consensus    collections.Map[[]byte, string]
	keys         collections.Map[[]byte, string]
	reviews      collections.KeySet[collections.Pair[uint64, string]]
	rotations    collections.KeySet[collections.Pair[uint64, string]]
}

// NewKeeper builds the keeper. authority may change the parameters; network is
// asked for at run time only, so it may belong to modules that need this keeper.
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, addresses address.Codec,
	authority string, collateral Collateral, network Network) (*Keeper, error) {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		addresses: addresses, authority: authority, collateral: collateral, network: network,
		params: collections.NewItem(sb, prefixParams, "params",
			codec.CollValue[registryv1.Params](cdc)),
		pending: collections.NewItem(sb, prefixPending, "pending",
			codec.CollValue[registryv1.Params](cdc)),
		participants: collections.NewMap(sb, prefixParticipants, "participants",
			collections.StringKey, codec.CollValue[registryv1.Participant](cdc)),
		nodes: collections.NewMap(sb, prefixNodes, "nodes", collections.StringKey,
			codec.CollValue[registryv1.NodeList](cdc)),
		consensus: collections.NewMap(sb, prefixConsensus, "consensus", collections.BytesKey,
			collections.StringValue),
		keys: collections.NewMap(sb, prefixKeys, "keys", collections.BytesKey,
			collections.StringValue),
		reviews: collections.NewKeySet(sb, prefixReviews, "reviews",
			collections.PairKeyCodec(collections.Uint64Key, collections.StringKey)),
		rotations: collections.NewKeySet(sb, prefixRotations, "rotations",
			collections.PairKeyCodec(collections.Uint64Key, collections.StringKey)),
	}
	if _, err := sb.Build(); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return k, nil
}

// addressSize is the length of a consensus address.
const addressSize = 20

// ConsensusAddress is how CometBFT names the validator with this Ed25519 key:
// the first 20 bytes of its SHA-256.
func ConsensusAddress(key []byte) []byte {
	sum := sha256.Sum256(key)
	return sum[:addressSize]
}

// Get is the participant with this account. Errors wrap ErrUnknown.
func (k *Keeper) Get(ctx context.Context, addr string) (registryv1.Participant, error) {
	p, err := k.Record(ctx, addr)
	if err != nil {
		return p, err
	}
	err = k.withNodes(ctx, &p)
	return p, err
}

// Record is the participant without its machines: one small piece of state, for
// whoever has to read many. Errors wrap ErrUnknown.
func (k *Keeper) Record(ctx context.Context, addr string) (registryv1.Participant, error) {
	p, err := k.participants.Get(ctx, addr)
	if errors.Is(err, collections.ErrNotFound) {
		return p, ErrUnknown.Wrap(addr)
	}
	if err != nil {
		return p, fmt.Errorf("registry: reading %s: %w", addr, err)
	}
	return p, nil
}

// Has reports whether the account is a participant.
func (k *Keeper) Has(ctx context.Context, addr string) (bool, error) {
	return k.participants.Has(ctx, addr)
}

// Walk visits all participants in the order of their addresses. Nothing that runs
// in a block does so.
func (k *Keeper) Walk(ctx context.Context,
	visit func(registryv1.Participant) (stop bool, err error)) error {
	return k.participants.Walk(ctx, nil, func(_ string, p registryv1.Participant) (bool, error) {
		if err := k.withNodes(ctx, &p); err != nil {
			return true, err
		}
		return visit(p)
	})
}

// ByConsensusAddress finds the record, without machines, of whose validator has or
// had this address, whatever its keys are now; found is false for an address that was
// never registered or whose participant is gone. Every block asks for its proposer.
func (k *Keeper) ByConsensusAddress(ctx context.Context,
	consensusAddress []byte) (p registryv1.Participant, found bool, err error) {
	addr, err := k.consensus.Get(ctx, consensusAddress)
	if errors.Is(err, collections.ErrNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("registry: %w", err)
	}
	p, err = k.Record(ctx, addr)
	if errors.Is(err, ErrUnknown) {
		return p, false, nil
	}
	return p, err == nil, err
}

// Jail keeps a participant from voting and credit until an epoch. A longer
// jail stands; a shorter one does not end it.
func (k *Keeper) Jail(ctx context.Context, addr string, until uint64, reason string) error {
	return k.Mark(ctx, addr, func(p *registryv1.Participant) {
		if until > p.JailedUntil {
			p.JailedUntil, p.JailReason = until, reason
		}
	})
}

// Mark changes what outlives an epoch in a participant's record: silence, credit,
// the lottery, unopened digests. Its keys, machines and deposit stay as they are,
// whatever change does to them.
func (k *Keeper) Mark(ctx context.Context, addr string,
	change func(*registryv1.Participant)) error {
	p, err := k.Record(ctx, addr)
	if err != nil {
		return err
	}
	q := p
	change(&q)
	q.Address, q.ConsensusKey, q.VrfKey, q.HostKey = p.Address, p.ConsensusKey, p.VrfKey, p.HostKey
	q.NodesEpoch, q.ReviewEpoch, q.Deposit = p.NodesEpoch, p.ReviewEpoch, p.Deposit
	q.Rotation, q.RotatedEpoch = p.Rotation, p.RotatedEpoch
	q.PreviousConsensusKey = p.PreviousConsensusKey
	return k.store(ctx, q)
}

// add stores a new participant and all its keys. Errors wrap ErrTaken.
func (k *Keeper) add(ctx context.Context, p registryv1.Participant) error {
	if old, err := k.Record(ctx, p.Address); err == nil {
		return taken(old)
	} else if !errors.Is(err, ErrUnknown) {
		return err
	}
	for _, key := range keysOf(p) {
		if err := k.claim(ctx, key.bytes, p.Address, key.role); err != nil {
			return err
		}
	}
	if p.Rotation != nil {
		if err := k.schedule(ctx, p); err != nil {
			return err
		}
	}
	if err := errors.Join(
		k.consensus.Set(ctx, ConsensusAddress(p.ConsensusKey), p.Address),
		k.reviews.Set(ctx, collections.Join(p.ReviewEpoch, p.Address)),
		k.setNodes(ctx, p),
	); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return k.store(ctx, p)
}

// taken says why an account cannot register.
func taken(old registryv1.Participant) error {
	if old.LeftFrom > 0 {
		return ErrTaken.Wrapf("%s has left: it takes no part from epoch %d on, and can register "+
			"again once that record is gone, which waits until "+
			"nothing that is still checked can name it; see assay query registry participant %s",
			old.Address, old.LeftFrom, old.Address)
	}
	return ErrTaken.Wrapf("%s is a participant; its nodes can be changed, and its keys with "+
		"`assay host rotate-keys`", old.Address)
}

// claim makes a key belong to a participant in one role.
func (k *Keeper) claim(ctx context.Context, key []byte, addr, role string) error {
	first, err := k.consensus.Get(ctx, ConsensusAddress(key))
	switch {
	case err == nil:
		return ErrTaken.Wrapf("the %s key of %s was registered as a consensus key by %s, and no "+
			"such key is ever taken again: make a new one", role, addr, first)
	case !errors.Is(err, collections.ErrNotFound):
		return fmt.Errorf("registry: %w", err)
	}
	owner, err := k.keys.Get(ctx, key)
	switch {
	case err == nil:
		return ErrTaken.Wrapf("the %s key of %s is in use by %s", role, addr, owner)
	case !errors.Is(err, collections.ErrNotFound):
		return fmt.Errorf("registry: %w", err)
	}
	return k.keys.Set(ctx, key, addr+" "+role)
}
