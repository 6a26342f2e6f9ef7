// SPDX-License-Identifier: Apache-2.0

package beacon

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/seed"
)

// TypeURL is how a transaction names MsgPublish.
const TypeURL = "/assay.beacon.v1.MsgPublish"

const (
	// Keep is how many outputs stay in state, in blocks.
	Keep = 20_000
	// pruneBurst bounds the pruning work of a block. Two catch up with an
	// imported state that holds more than Keep.
	pruneBurst = 2
)

// Powers knows the voting power in force. x/credit implements it.
type Powers interface {
	Power(ctx context.Context, consensusAddress []byte) (power, total uint64, err error)
}

// Participants knows whose consensus address it is. x/registry implements it.
type Participants interface {
	ByConsensusAddress(ctx context.Context, consensusAddress []byte) (registryv1.Participant,
		bool, error)
}

// Keeper holds the outputs and knows the rule.
type Keeper struct {
	addresses    address.Codec
	powers       Powers
	participants Participants

	schema collections.Schema
	// origin is the value before the first block, 32 bytes.
	origin collections.Item[[]byte]
	// outputs by height; dense from the oldest kept one to the last block.
	outputs collections.Map[uint64, beaconv1.Output]
}

// NewKeeper builds the keeper. The chain id is that of the context of each call.
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, addresses address.Codec,
	powers Powers, participants Participants) (*Keeper, error) {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		addresses:    addresses,
		powers:       powers,
		participants: participants,
		origin:       collections.NewItem(sb, prefixOrigin, "origin", collections.BytesValue),
		outputs: collections.NewMap(sb, prefixOutputs, "outputs", collections.Uint64Key,
			codec.CollValue[beaconv1.Output](cdc)),
	}
	var err error
	if k.schema, err = sb.Build(); err != nil {
		return nil, fmt.Errorf("beacon: %w", err)
	}
	return k, nil
}

// Latest is the output of the last block. Before the first one it is the
// origin, with height 0 and no proposer.
func (k *Keeper) Latest(ctx context.Context) (beaconv1.Output, error) {
	it, err := k.outputs.Iterate(ctx, new(collections.Range[uint64]).Descending())
	if err != nil {
		return beaconv1.Output{}, fmt.Errorf("beacon: %w", err)
	}
	defer it.Close()
	if it.Valid() {
		return it.Value()
	}
	origin, err := k.origin.Get(ctx)
	if err != nil {
		return beaconv1.Output{}, fmt.Errorf("beacon: reading the origin: %w", err)
	}
	return beaconv1.Output{Value: origin}, nil
}

// Output is what the block at height added. Errors wrap ErrMissing for heights
// that are pruned or still to come.
func (k *Keeper) Output(ctx context.Context, height int64) (beaconv1.Output, error) {
	o, err := k.outputs.Get(ctx, uint64(height))
	if errors.Is(err, collections.ErrNotFound) {
		return o, fmt.Errorf("%w: height %d", ErrMissing, height)
	}
	return o, err
}

// Value is the chained value at height. Errors wrap ErrMissing.
func (k *Keeper) Value(ctx context.Context, height int64) (seed.Seed, error) {
	o, err := k.Output(ctx, height)
	if err != nil {
		return seed.Seed{}, err
	}
	return seed.FromBytes(o.Value)
}

// Mix is the beacon rule for a deadline, the last block that still accepted
// the messages in question. ok is false while the rule does not hold yet.
// Errors wrap ErrMissing when the outputs it needs are pruned.
func (k *Keeper) Mix(ctx context.Context, deadline int64) (mix seed.Seed, height int64,
	ok bool, err error) {
	if deadline < 0 {
		return seed.Seed{}, 0, false, fmt.Errorf("%w: deadline %d", ErrMissing, deadline)
	}
	it, err := k.outputs.Iterate(ctx,
		new(collections.Range[uint64]).StartExclusive(uint64(deadline)))
	if err != nil {
		return seed.Seed{}, 0, false, fmt.Errorf("beacon: %w", err)
	}
	defer it.Close()
	r := newRun(deadline)
	for ; it.Valid(); it.Next() {
		o, err := it.Value()
		if err != nil {
			return seed.Seed{}, 0, false, fmt.Errorf("beacon: %w", err)
		}
		done, err := r.add(o)
		if err != nil {
			return seed.Seed{}, 0, false, err
		}
		if done {
			return seed.BeaconMix(sdk.UnwrapSDKContext(ctx).ChainID(), uint64(deadline), r.values),
				o.Height, true, nil
		}
	}
	return seed.Seed{}, 0, false, nil
}

// alpha is the VRF input of the block that ctx stands in.
func (k *Keeper) alpha(ctx sdk.Context) (alpha, previous seed.Seed, err error) {
	last, err := k.Latest(ctx)
	if err != nil {
		return alpha, previous, err
	}
	if previous, err = seed.FromBytes(last.Value); err != nil {
		return alpha, previous, fmt.Errorf("beacon: value at height %d: %w", last.Height, err)
	}
	return seed.BeaconAlpha(ctx.ChainID(), uint64(ctx.BlockHeight()), previous), previous, nil
}

// Prove makes the first transaction of the block that ctx prepares, for the
// validator with this consensus address and VRF key.
func (k *Keeper) Prove(ctx sdk.Context, consensusAddress []byte, key ed25519.PrivateKey) ([]byte,
	error) {
	alpha, _, err := k.alpha(ctx)
	if err != nil {
		return nil, err
	}
	name, err := k.addresses.BytesToString(consensusAddress)
	if err != nil {
		return nil, fmt.Errorf("beacon: %w", err)
	}
	return EncodeTx(&beaconv1.MsgPublish{Proposer: name, Proof: vrf.Prove(key, alpha[:])})
}

// Verify checks the first transaction of the block that ctx stands in and
// returns what the block adds. The proposer is the block header's, never the
// one that the message names. Errors wrap ErrTx or ErrProof.
func (k *Keeper) Verify(ctx sdk.Context, consensusAddress, tx []byte) (beaconv1.Output, error) {
	msg, err := DecodeTx(tx)
	if err != nil {
		return beaconv1.Output{}, err
	}
	name, err := k.addresses.BytesToString(consensusAddress)
	if err != nil {
		return beaconv1.Output{}, fmt.Errorf("%w: proposer: %w", ErrProof, err)
	}
	if msg.Proposer != name {
		return beaconv1.Output{}, fmt.Errorf("%w: names %s, the block's proposer is %s",
			ErrProof, msg.Proposer, name)
	}
	p, found, err := k.participants.ByConsensusAddress(ctx, consensusAddress)
	if err != nil {
		return beaconv1.Output{}, err
	}
	if !found {
		return beaconv1.Output{}, fmt.Errorf("%w: no participant has the consensus address %X",
			ErrProof, consensusAddress)
	}
	alpha, previous, err := k.alpha(ctx)
	if err != nil {
		return beaconv1.Output{}, err
	}
	beta, err := vrf.Verify(p.VrfKey, msg.Proof, alpha[:])
	if err != nil {
		return beaconv1.Output{}, fmt.Errorf("%w: of %s at height %d: %w", ErrProof, p.Address,
			ctx.BlockHeight(), err)
	}
	power, total, err := k.powers.Power(ctx, consensusAddress)
	if err != nil {
		return beaconv1.Output{}, err
	}
	value := seed.BeaconValue(ctx.ChainID(), uint64(ctx.BlockHeight()), previous,
		beta, consensusAddress)
	return beaconv1.Output{
		Height:   ctx.BlockHeight(),
		Proposer: consensusAddress,
		Beta:     beta,
		Value:    value.Bytes(),
		Share:    share(power, total),
	}, nil
}

// Publish takes the proof of a decided block into state. An error means that
// more than 2/3 of the power voted for a block it should have rejected; the
// caller has to stop.
func (k *Keeper) Publish(ctx sdk.Context, consensusAddress, tx []byte) error {
	o, err := k.Verify(ctx, consensusAddress, tx)
	if err != nil {
		return err
	}
	if err := k.outputs.Set(ctx, uint64(o.Height), o); err != nil {
		return fmt.Errorf("beacon: %w", err)
	}
	value, err := seed.FromBytes(o.Value)
	if err != nil {
		return err
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent("beacon_output",
		sdk.NewAttribute("value", value.String())))
	return k.prune(ctx, o.Height-Keep)
}

// prune removes up to pruneBurst outputs at or below a height, oldest first.
func (k *Keeper) prune(ctx context.Context, until int64) error {
	if until < 0 {
		return nil
	}
	it, err := k.outputs.Iterate(ctx, new(collections.Range[uint64]).EndInclusive(uint64(until)))
	if err != nil {
		return fmt.Errorf("beacon: %w", err)
	}
	var old []uint64
	for ; it.Valid() && len(old) < pruneBurst; it.Next() {
		height, err := it.Key()
		if err != nil {
			return errors.Join(fmt.Errorf("beacon: %w", err), it.Close())
		}
		old = append(old, height)
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("beacon: %w", err)
	}
	for _, height := range old {
		if err := k.outputs.Remove(ctx, height); err != nil {
			return fmt.Errorf("beacon: %w", err)
		}
	}
	return nil
}
