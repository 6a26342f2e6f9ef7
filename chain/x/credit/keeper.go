// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	sdkmath "cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/seed"
)

// TotalPower is what the voting powers of a settled set add up to. Powers are shares, so they never
// come near CometBFT's limit of MaxInt64/8, however much the network computes.
const TotalPower = 1_000_000

// MaxWeight is far above what anybody computes in an epoch. Weights are held below it so that no
// sum over members comes near 64 bits.
const MaxWeight = 1 << 53

// Registry is what credit needs of x/registry.
type Registry interface {
	ByConsensusAddress(ctx context.Context, address []byte) (registryv1.Participant, bool, error)
}

// Beacon is what credit needs of x/beacon: the order in which newcomers join.
type Beacon interface {
	Value(ctx context.Context, height int64) (seed.Seed, error)
}

// Keeper owns weights, voting powers and pay.
type Keeper struct {
	cdc       codec.BinaryCodec
	authority string
	registry  Registry
	beacon    Beacon
	coins     Coins
	deposits  Collateral // nil: all weight counts

	// params are current, pending ones wait for the next epoch
	params, pending collections.Item[creditv1.Params]
	// participant -> what its compute gives it
	holdings collections.Map[string, creditv1.Holding]
	// consensus address -> place in the validator set
	seats collections.Map[[]byte, creditv1.Seat]
	// sum of the weights before an outage; not set without one
	base collections.Item[uint64]
	// totals; not set in a state of before pay
	money collections.Item[creditv1.Money]
	// pay until it is paid, in the order of payment
	owed collections.Map[owedKey, creditv1.Owed]
	// batches of which a record is left
	open collections.KeySet[batch]
	// consensus address -> first of the blocks in a row that it did not sign
	absences collections.Map[[]byte, int64]
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov).
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, authority string,
	registry Registry) *Keeper {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		cdc: cdc, authority: authority, registry: registry,
		params: collections.NewItem(sb, prefixParams, "params",
			codec.CollValue[creditv1.Params](cdc)),
		holdings: collections.NewMap(sb, prefixHoldings, "holdings", collections.StringKey,
			codec.CollValue[creditv1.Holding](cdc)),
		seats: collections.NewMap(sb, prefixSeats, "seats", collections.BytesKey,
			codec.CollValue[creditv1.Seat](cdc)),
		pending: collections.NewItem(sb, prefixPending, "pending",
			codec.CollValue[creditv1.Params](cdc)),
		base: collections.NewItem(sb, prefixBase, "base", collections.Uint64Value),
		money: collections.NewItem(sb, prefixMoney, "money",
			codec.CollValue[creditv1.Money](cdc)),
		owed: collections.NewMap(sb, prefixOwed, "owed", collections.TripleKeyCodec(
			collections.Uint64Key, collections.Uint64Key, collections.StringKey),
			codec.CollValue[creditv1.Owed](cdc)),
		open: collections.NewKeySet(sb, prefixOpen, "open",
			collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key)),
		absences: collections.NewMap(sb, prefixAbsences, "absences", collections.BytesKey,
			collections.Int64Value),
	}
	if _, err := sb.Build(); err != nil {
		panic(fmt.Errorf("credit: schema: %w", err)) // a programming error, before any block
	}
	return k
}

// SetBeacon wires the beacon, which itself needs credit's powers.
func (k *Keeper) SetBeacon(b Beacon) { k.beacon = b }

// Holding returns what a participant holds; unknown participants hold nothing.
func (k *Keeper) Holding(ctx context.Context, participant string) (creditv1.Holding, error) {
	h, err := k.holdings.Get(ctx, participant)
	if errors.Is(err, collections.ErrNotFound) {
		return creditv1.Holding{Participant: participant}, nil
	}
	return h, err
}

// Walk visits all holdings by participant until stop.
func (k *Keeper) Walk(ctx context.Context,
	visit func(creditv1.Holding) (stop bool, err error)) error {
	return k.holdings.Walk(ctx, nil, func(_ string, h creditv1.Holding) (bool,
		error) {
		return visit(h)
	})
}

// Holdings returns all holdings by participant.
func (k *Keeper) Holdings(ctx context.Context) ([]creditv1.Holding, error) {
	return table.Values(ctx, k.holdings, nil)
}

// Seats returns the validator set and those who wait to enter it, by consensus address.
func (k *Keeper) Seats(ctx context.Context) ([]creditv1.Seat, error) {
	return table.Values(ctx, k.seats, nil)
}

// TotalWeight is the sum of all weights.
func (k *Keeper) TotalWeight(ctx context.Context) (sum uint64, err error) {
	err = k.Walk(ctx, func(h creditv1.Holding) (bool, error) {
		sum = add(sum, h.Weight)
		return false, nil
	})
	return sum, err
}

// Power returns the voting power of a consensus address and of the whole set, as CometBFT was last
// told.
func (k *Keeper) Power(ctx context.Context, consensusAddress []byte) (power,
	total uint64, err error) {
	seat, err := k.seats.Get(ctx, consensusAddress)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return 0, 0, err
	}
	err = k.seats.Walk(ctx, nil, func(_ []byte, s creditv1.Seat) (bool, error) {
		total += s.Told
		return false, nil
	})
	return seat.Told, total, err
}

// TallyWeight is what a participant's governance vote weighs: the least weight of the last epochs
// and now, as far as collateral covers it now.
func (k *Keeper) TallyWeight(ctx context.Context, participant string) (uint64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, fmt.Errorf("credit: params: %w", err)
	}
	h, err := k.Holding(ctx, participant)
	if err != nil {
		return 0, err
	}
	w := h.Weight
	for _, past := range last(h.History, p.TallyEpochs) {
		w = min(w, past)
	}
	return k.Backed(ctx, participant, w)
}

// TallyWhole is what governance votes are a part of: the sum, over all holders, of the greatest
// weight of the last epochs and now, as far as collateral covers it. Anyone who was away counts in
// it, so an absence makes the votes of those who stayed no larger.
func (k *Keeper) TallyWhole(ctx context.Context) (sdkmath.Int, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return sdkmath.Int{}, fmt.Errorf("credit: params: %w", err)
	}
	backed, err := k.backing(ctx)
	if err != nil {
		return sdkmath.Int{}, err
	}
	whole := sdkmath.ZeroInt()
	err = k.Walk(ctx, func(h creditv1.Holding) (bool, error) {
		w := h.Weight
		for _, past := range last(h.History, p.TallyEpochs) {
			w = max(w, past)
		}
		w, err := backed(h.Participant, w)
		whole = whole.Add(sdkmath.NewIntFromUint64(w))
		return false, err
	})
	return whole, err
}

// last returns the last epochs of a history. It may be longer when votes have just been made to
// look back less.
func last(history []uint64, epochs uint64) []uint64 {
	if n := uint64(len(history)); n > epochs {
		return history[n-epochs:]
	}
	return history
}

// add saturates.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum | -carry
}
