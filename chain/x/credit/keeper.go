// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/comet"
	corestore "cosmossdk.io/core/store"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/seed"
)

// Name is the module's name and store key.
const Name = "credit"

// TotalPower is what the voting powers of a settled set add up to. Powers are shares, so they never come
// near CometBFT's limit of MaxInt64/8, however much the network computes.
const TotalPower = 1_000_000

// Forever as a jail term: a consensus key that signed two blocks of one height is never trusted again.
const Forever = math.MaxUint64

// Registry is what credit needs of x/registry.
type Registry interface {
	ByConsensusAddress(ctx context.Context, address []byte) (registryv1.Participant, bool, error)
	Jail(ctx context.Context, participant string, until uint64, reason string) error
}

// Beacon is what credit needs of x/beacon: the order in which newcomers join.
type Beacon interface {
	Value(ctx context.Context, height int64) (seed.Seed, error)
}

// Keeper owns weights and voting powers.
type Keeper struct {
	cdc       codec.BinaryCodec
	authority string
	registry  Registry
	beacon    Beacon

	params collections.Item[creditv1.Params]
	// participant -> what its compute gives it
	holdings collections.Map[string, creditv1.Holding]
	// consensus key -> power that CometBFT was last told
	applied collections.Map[[]byte, uint64]
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov).
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, authority string, registry Registry) *Keeper {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		cdc: cdc, authority: authority, registry: registry,
		params:   collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[creditv1.Params](cdc)),
		holdings: collections.NewMap(sb, collections.NewPrefix(1), "holdings", collections.StringKey, codec.CollValue[creditv1.Holding](cdc)),
		applied:  collections.NewMap(sb, collections.NewPrefix(2), "applied", collections.BytesKey, collections.Uint64Value),
	}
	if _, err := sb.Build(); err != nil {
		panic(fmt.Errorf("credit: schema: %w", err)) // a programming error, before any block
	}
	return k
}

// SetBeacon wires the beacon, which itself needs credit's powers.
func (k *Keeper) SetBeacon(b Beacon) { k.beacon = b }

// Settlement is one participant's part of a finalised epoch.
type Settlement struct {
	Participant  string
	ConsensusKey []byte
	// Weight in units of 2^20 verified operations.
	Weight uint64
	// Powerable: its consensus key is alive and it is not jailed; otherwise weight gives no power.
	Powerable bool
}

// Holding returns what a participant holds; unknown participants hold nothing.
func (k *Keeper) Holding(ctx context.Context, participant string) (creditv1.Holding, error) {
	h, err := k.holdings.Get(ctx, participant)
	if errors.Is(err, collections.ErrNotFound) {
		return creditv1.Holding{Participant: participant}, nil
	}
	return h, err
}

// Holdings returns all holdings by participant.
func (k *Keeper) Holdings(ctx context.Context) ([]creditv1.Holding, error) {
	var all []creditv1.Holding
	err := k.holdings.Walk(ctx, nil, func(_ string, h creditv1.Holding) (bool, error) {
		all = append(all, h)
		return false, nil
	})
	return all, err
}

// Finalise replaces all weights by those of a finalised epoch and moves the powers towards them. A participant
// that is not listed has weight 0: absence is never last epoch's weight.
func (k *Keeper) Finalise(ctx context.Context, settlements []Settlement) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("credit: params: %w", err)
	}
	holdings, err := k.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("credit: holdings: %w", err)
	}
	at := make(map[string]int, len(holdings))
	old := make([]credit.Share, 0, len(holdings))
	for i, h := range holdings {
		at[h.Participant] = i
		if h.Power > 0 {
			old = append(old, credit.Share{ID: h.Participant, Weight: h.Power})
		}
		holdings[i].Weight = 0
	}
	var target []credit.Share
	for _, s := range settlements {
		i, ok := at[s.Participant]
		if !ok {
			i = len(holdings)
			at[s.Participant] = i
			// before it came it weighed nothing, and that counts when it votes
			holdings = append(holdings, creditv1.Holding{Participant: s.Participant, History: make([]uint64, params.TallyEpochs)})
		}
		holdings[i].Weight = s.Weight
		holdings[i].ConsensusKey = s.ConsensusKey
		if s.Powerable && s.Weight > 0 {
			target = append(target, credit.Share{ID: s.Participant, Weight: s.Weight})
		}
	}
	target = largest(target, int(params.MaxValidators))
	powers := credit.Powers(old, target, rules(params))
	byID := make(map[string]uint64, len(powers))
	for _, p := range powers {
		byID[p.ID] = p.Weight
	}
	for i := range holdings {
		h := &holdings[i]
		h.Power = byID[h.Participant]
		remember(h, params.TallyEpochs)
		if gone(*h) { // as if it had never come; every block reads all holdings
			if err := k.holdings.Remove(ctx, h.Participant); err != nil {
				return fmt.Errorf("credit: dropping %s: %w", h.Participant, err)
			}
			continue
		}
		if err := k.holdings.Set(ctx, h.Participant, *h); err != nil {
			return fmt.Errorf("credit: storing %s: %w", h.Participant, err)
		}
	}
	return nil
}

// Keep records a void epoch: weights and powers stay.
func (k *Keeper) Keep(ctx context.Context) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("credit: params: %w", err)
	}
	holdings, err := k.Holdings(ctx)
	if err != nil {
		return err
	}
	for _, h := range holdings {
		remember(&h, params.TallyEpochs)
		if err := k.holdings.Set(ctx, h.Participant, h); err != nil {
			return err
		}
	}
	return nil
}

// Cut takes a participant's weight and power at once. The last validator keeps its power: an empty set is a dead chain.
func (k *Keeper) Cut(ctx context.Context, participant string) error {
	h, err := k.Holding(ctx, participant)
	if err != nil {
		return err
	}
	if h.Weight == 0 && h.Power == 0 {
		return nil
	}
	others := false
	if err := k.holdings.Walk(ctx, nil, func(_ string, o creditv1.Holding) (bool, error) {
		others = o.Participant != participant && o.Power > 0
		return others, nil
	}); err != nil {
		return err
	}
	h.Weight = 0
	if others {
		h.Power = 0
	}
	for i := range h.History {
		h.History[i] = 0
	}
	return k.holdings.Set(ctx, participant, h)
}

// Power returns the voting power of a consensus address and of the whole set, as CometBFT was last told.
func (k *Keeper) Power(ctx context.Context, consensusAddress []byte) (power, total uint64, err error) {
	err = k.applied.Walk(ctx, nil, func(key []byte, p uint64) (bool, error) {
		total += p
		if bytes.Equal(consensusAddressOf(key), consensusAddress) {
			power = p
		}
		return false, nil
	})
	return power, total, err
}

// TallyWeight is what a participant's governance vote weighs: the least weight of the last epochs and now.
func (k *Keeper) TallyWeight(ctx context.Context, participant string) (uint64, error) {
	h, err := k.Holding(ctx, participant)
	if err != nil {
		return 0, err
	}
	w := h.Weight
	for _, past := range h.History {
		w = min(w, past)
	}
	return w, nil
}

// BeginBlock acts on double signs that CometBFT reports.
func (k *Keeper) BeginBlock(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	info := sdkCtx.CometInfo()
	if info == nil {
		return nil
	}
	evidence := info.GetEvidence()
	for i := 0; evidence != nil && i < evidence.Len(); i++ {
		e := evidence.Get(i)
		if t := e.Type(); t != comet.DuplicateVote && t != comet.LightClientAttack {
			continue
		}
		p, ok, err := k.registry.ByConsensusAddress(ctx, e.Validator().Address())
		if err != nil {
			return fmt.Errorf("credit: owner of a double sign: %w", err)
		}
		if !ok {
			continue
		}
		if err := k.registry.Jail(ctx, p.Address, Forever, fmt.Sprintf("double sign at height %d", e.Height())); err != nil {
			return fmt.Errorf("credit: jailing %s: %w", p.Address, err)
		}
		if err := k.Cut(ctx, p.Address); err != nil {
			return fmt.Errorf("credit: cutting %s: %w", p.Address, err)
		}
		sdkCtx.EventManager().EmitEvent(sdk.NewEvent("double_sign",
			sdk.NewAttribute("participant", p.Address), sdk.NewAttribute("height", fmt.Sprint(e.Height()))))
	}
	return nil
}

// EndBlock tells CometBFT what changed. Cuts and changes act at once, newcomers enter one per block in an order
// drawn by the beacon of that block.
func (k *Keeper) EndBlock(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	want := map[string]uint64{}
	if err := k.holdings.Walk(ctx, nil, func(_ string, h creditv1.Holding) (bool, error) {
		if h.Power > 0 {
			want[string(h.ConsensusKey)] = h.Power
		}
		return false, nil
	}); err != nil {
		return nil, err
	}
	type change struct {
		key   []byte
		power uint64
	}
	var changes []change
	remaining := 0
	if err := k.applied.Walk(ctx, nil, func(key []byte, p uint64) (bool, error) {
		w, ok := want[string(key)]
		if ok {
			delete(want, string(key))
			remaining++
		}
		if w != p {
			changes = append(changes, change{bytes.Clone(key), w})
		}
		return false, nil
	}); err != nil {
		return nil, err
	}
	newcomers := make([][]byte, 0, len(want))
	for _, key := range slices.Sorted(maps.Keys(want)) {
		newcomers = append(newcomers, []byte(key))
	}
	if len(newcomers) > 0 {
		order, err := k.order(ctx, newcomers)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{order, want[string(order)]})
		remaining++
	}
	if remaining == 0 {
		return nil, nil // would empty the set
	}
	updates := make([]abci.ValidatorUpdate, 0, len(changes))
	for _, c := range changes {
		if err := k.apply(ctx, c.key, c.power); err != nil {
			return nil, err
		}
		updates = append(updates, abci.Ed25519ValidatorUpdate(c.key, int64(c.power)))
	}
	return updates, nil
}

// order picks the next newcomer: the least hash of the block's beacon and the key.
func (k *Keeper) order(ctx context.Context, keys [][]byte) ([]byte, error) {
	if len(keys) == 1 {
		return keys[0], nil
	}
	value, err := k.beacon.Value(ctx, sdk.UnwrapSDKContext(ctx).BlockHeight())
	if err != nil {
		return nil, fmt.Errorf("credit: joining order: %w", err)
	}
	var best []byte
	var least [32]byte
	for _, key := range keys {
		h := sha256.Sum256(append(value.Bytes(), key...))
		if best == nil || bytes.Compare(h[:], least[:]) < 0 {
			best, least = key, h
		}
	}
	return best, nil
}

func (k *Keeper) apply(ctx context.Context, key []byte, power uint64) error {
	if power == 0 {
		return k.applied.Remove(ctx, key)
	}
	return k.applied.Set(ctx, key, power)
}

func rules(p creditv1.Params) credit.Rules {
	return credit.Rules{CapBps: p.CapBps, CapSlackBps: p.CapSlackBps, MoveNum: p.MoveBps, MoveDen: 10_000, TotalPower: TotalPower}
}

// largest keeps the n shares of the greatest weight, ties by ID.
func largest(shares []credit.Share, n int) []credit.Share {
	if len(shares) <= n {
		return shares
	}
	sort.Slice(shares, func(i, j int) bool {
		if shares[i].Weight != shares[j].Weight {
			return shares[i].Weight > shares[j].Weight
		}
		return shares[i].ID < shares[j].ID
	})
	return shares[:n]
}

func remember(h *creditv1.Holding, epochs uint64) {
	h.History = append(h.History, h.Weight)
	if n := uint64(len(h.History)); n > epochs {
		h.History = h.History[n-epochs:]
	}
}

// gone tells whether nothing is left of a holding: no weight, no power, and nothing a vote would count.
func gone(h creditv1.Holding) bool {
	return h.Weight == 0 && h.Power == 0 && !slices.ContainsFunc(h.History, func(w uint64) bool { return w > 0 })
}

// consensusAddressOf is CometBFT's address of an Ed25519 key: the first 20 bytes of its SHA-256.
func consensusAddressOf(key []byte) []byte {
	h := sha256.Sum256(key)
	return h[:20]
}
