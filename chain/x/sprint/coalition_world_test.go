// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	poccredit "github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// world is a chain of which x/sprint and x/credit are the real ones, block after block. Their
// neighbours are stand-ins: a beacon that answers at once, a register of names, deposits of 10 CPC
// each, and a court that knows which leaves are forged and judges no more of them than the real one
// has time for. What participants say is written where their messages would write it.
type world struct {
	sprint *Keeper
	credit *credit.Keeper
	ctx    sdk.Context
	rng    *rand.Rand
	salt   uint64
	class  transformer.Class

	parties []*party // rising by name, as the roster is
	byName  map[string]*party
	byKey   map[string]*party // by consensus key and by its address
	told    map[string]uint64 // power of each in CometBFT's set

	// the court's: what it judged in this epoch, and how many units it still has time for
	judged map[courtv1.LeafRef]courtv1.Judgement
	left   uint64
	jailed map[courtv1.Offence]int
}

// party is a name and what stands behind it.
type party struct {
	name   string
	coal   bool   // of the coalition
	index  int    // among its side
	born   uint64 // the epoch that a fresh name was made for
	pair   *party // the one it takes turns with, if it does
	leaves uint64
	wrong  uint64 // of 2^64: how often its hardware gives another leaf than the unit's
	record registryv1.Participant
}

// noStream is a network without streams.
type noStream struct{ Stream }

func (noStream) Begin(context.Context, uint64) error                      { return nil }
func (noStream) Claims(context.Context, uint64) ([]sprintv1.Claim, error) { return nil, nil }
func (noStream) Prune(context.Context, uint64, int) (int, error)          { return 0, nil }

const worldChain = "coalitions"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(err error) { must(0, err) }

// newWorld starts a chain whose holders were credited with what they compute. Powers are those that
// follow.
func newWorld(salt uint64, rails creditv1.Params, holders []*party) *world {
	w := &world{rng: rand.New(rand.NewPCG(salt, 9)), salt: salt, byName: map[string]*party{},
		byKey: map[string]*party{}, told: map[string]uint64{},
		judged: map[courtv1.LeafRef]courtv1.Judgement{}, jailed: map[courtv1.Offence]int{}}
	cdc := codec.NewProtoCodec(codectypes.NewInterfaceRegistry())
	w.ctx = sdk.Context{}.WithContext(context.Background()).WithChainID(worldChain).WithGasMeter(
		storetypes.NewInfiniteGasMeter()).WithEventManager(sdk.NewEventManager())
	w.credit = credit.NewKeeper(cdc, newShelf(), "gov", w)
	w.credit.SetBeacon(w)
	w.sprint = NewKeeper(cdc, newShelf(), "gov", w, w, w.credit, w, w)
	w.sprint.SetStream(noStream{})
	params := DefaultParams()
	params.EpochBlocks = 0 // what happens between Sprints moves no weight
	check(w.sprint.params.Set(w.ctx, params))
	check(w.sprint.frozen.Set(w.ctx, params))
	w.class = must(transformer.ByName(DefaultParams().Class))
	shares := make([]poccredit.Share, len(holders))
	for i, p := range holders {
		w.register(p, 0)
		p.record.CreditedEpoch = 0
		shares[i] = poccredit.Share{ID: p.name, Weight: weightOf(p.leaves*985/1000, w.class)}
	}
	g := creditv1.GenesisState{Params: rails}
	for i, s := range poccredit.Capped(shares, credit.Rules(rails)) {
		weight := shares[i].Weight
		g.Holdings = append(g.Holdings, creditv1.Holding{Participant: s.ID, Weight: weight,
			Credited: weight, Power: s.Weight,
			ConsensusKey: w.byName[s.ID].record.ConsensusKey,
			History:      []uint64{weight, weight, weight}})
	}
	for _, u := range must(w.credit.InitGenesis(w.ctx, g)) {
		w.told[w.byKey[string(u.PubKey.GetEd25519())].name] = uint64(u.Power)
	}
	return w
}

// register adds a name that may take part from the epoch after joined on.
func (w *world) register(p *party, joined uint64) {
	key := sha256.Sum256([]byte("consensus " + p.name))
	address := sha256.Sum256(key[:])
	p.record = registryv1.Participant{Address: p.name, ConsensusKey: key[:], HostKey: key[:],
		JoinedEpoch: joined, Nodes: []registryv1.Node{{Id: "gpu"}}, Deposit: math.ZeroInt()}
	at, _ := slices.BinarySearchFunc(w.parties, p.name, func(p *party, name string) int {
		if p.name < name {
			return -1
		}
		return 1
	})
	w.parties = slices.Insert(w.parties, at, p)
	w.byName[p.name], w.byKey[string(key[:])], w.byKey[string(address[:20])] = p, p, p
}

// random is 8 bytes that follow from the world's salt and a name.
func (w *world) random(parts ...any) uint64 {
	h := sha256.Sum256(fmt.Append(binary.LittleEndian.AppendUint64(nil, w.salt), parts...))
	return binary.LittleEndian.Uint64(h[:])
}

// forged reports whether what a party opened for a leaf is not what its unit gives.
func (w *world) forged(epoch uint64, l courtv1.LeafRef) bool {
	p := w.byName[l.Participant]
	return p.wrong > 0 && w.random("leaf", epoch, l.Participant, l.Nonce) < p.wrong
}

// The beacon.
func (w *world) Value(_ context.Context, h int64) (seed.Seed, error) {
	return sha256.Sum256(fmt.Append(nil, w.salt, "value", h)), nil
}
func (w *world) Mix(_ context.Context, deadline int64) (seed.Seed, int64, bool, error) {
	return sha256.Sum256(fmt.Append(nil, w.salt, "mix", deadline)), deadline, true, nil
}

// The registry.
func (w *world) Get(_ context.Context, name string) (registryv1.Participant, error) {
	return w.byName[name].record, nil
}
func (w *world) Record(ctx context.Context, name string) (registryv1.Participant, error) {
	return w.Get(ctx, name)
}
func (w *world) Mark(_ context.Context, name string, change func(*registryv1.Participant)) error {
	change(&w.byName[name].record)
	return nil
}
func (w *world) ByConsensusAddress(_ context.Context, address []byte) (registryv1.Participant,
	bool, error) {
	if p, ok := w.byKey[string(address)]; ok {
		return p.record, true, nil
	}
	return registryv1.Participant{}, false, nil
}
func (w *world) Jail(_ context.Context, name string, until uint64, reason string) error {
	r := &w.byName[name].record
	r.JailedUntil, r.JailReason = max(r.JailedUntil, until), reason
	return nil
}
func (w *world) Announce(context.Context, string, uint64) error { return nil }
func (w *world) Lapse(context.Context, uint64) error            { return nil }
func (w *world) Rotate(context.Context, uint64) error           { return nil }
func (w *world) Adopt(context.Context) error                    { return nil }

// The deposits.
func (w *world) LockedTotal(context.Context, string) (math.Int, error) {
	return math.NewIntWithDecimal(1, 19), nil
}
func (w *world) LotteryLock(context.Context, string) error       { return nil }
func (w *world) UnlockAll(context.Context, string, string) error { return nil }
func (w *world) AdoptAt(context.Context, uint64) error           { return nil }
func (w *world) Params(context.Context) (courtv1.Params, error) {
	return court.DefaultParams(), nil
}
func (w *world) Pending(context.Context) (bool, error)           { return false, nil }
func (w *world) PendingOfMembers(context.Context) (bool, error)  { return false, nil }
func (w *world) DropChain(context.Context) error                 { return nil }
func (w *world) Prune(context.Context, uint64, int) (int, error) { return 0, nil }
func (w *world) Claimant(context.Context, uint64, string) (courtv1.Claimant, error) {
	return courtv1.Claimant{}, nil
}

// File judges at once, as long as there is time for another unit. Members come before the chain:
// they file first.
func (w *world) File(ctx context.Context, c courtv1.Claim) error {
	j, known := w.judged[c.Leaf]
	if !known {
		if w.left == 0 {
			return nil
		}
		w.left--
		j = courtv1.Judgement{Epoch: c.Epoch, Leaf: c.Leaf, Mismatch: w.forged(c.Epoch, c.Leaf),
			NamedBy: c.Claimant}
		w.judged[c.Leaf] = j
		if j.Mismatch {
			if err := w.sprint.Proven(ctx, j); err != nil {
				return err
			}
		}
	}
	_, _, err := w.sprint.Judged(ctx, c, j)
	return err
}

func (w *world) Judgement(_ context.Context, _ uint64, leaf courtv1.LeafRef) (courtv1.Judgement,
	bool, error) {
	j, ok := w.judged[leaf]
	return j, ok, nil
}

func (w *world) Judgements(_ context.Context, _ uint64, name string) ([]courtv1.Judgement, error) {
	var all []courtv1.Judgement
	if w.byName[name].wrong == 0 { // what was judged was found right, and only what was not counts
		return nil, nil
	}
	for leaf, j := range w.judged {
		if leaf.Participant == name {
			all = append(all, j)
		}
	}
	slices.SortFunc(all, func(a, b courtv1.Judgement) int {
		return int(a.Leaf.Nonce) - int(b.Leaf.Nonce)
	})
	return all, nil
}

func (w *world) Conclude(_ context.Context, _ uint64, _ bool,
	_ func(string) ([]string, error)) error {
	return nil
}

func (w *world) Punish(ctx context.Context, name string, offence courtv1.Offence,
	why string, _ ...string) error {
	w.jailed[offence]++
	epoch := must(w.sprint.CurrentEpoch(ctx))
	check(w.Jail(ctx, name, epoch+1+uint64(court.DefaultParams().JailEpochs), why))
	if offence == courtv1.OffenceFraud {
		return w.credit.Cut(ctx, name)
	}
	return nil
}

// shelf is a store that forgets nothing and commits nothing: sorted keys in memory. An iterator
// looks up each next key, so that it may be written to meanwhile.
type shelf struct {
	keys   []string
	values map[string][]byte
}

func newShelf() *shelf { return &shelf{values: map[string][]byte{}} }

func (s *shelf) OpenKVStore(context.Context) corestore.KVStore { return s }
func (s *shelf) Get(key []byte) ([]byte, error)                { return s.values[string(key)], nil }
func (s *shelf) Has(key []byte) (bool, error) {
	_, ok := s.values[string(key)]
	return ok, nil
}
func (s *shelf) Set(key, value []byte) error {
	if _, ok := s.values[string(key)]; !ok {
		at, _ := slices.BinarySearch(s.keys, string(key))
		s.keys = slices.Insert(s.keys, at, string(key))
	}
	s.values[string(key)] = slices.Clone(value)
	return nil
}
func (s *shelf) Delete(key []byte) error {
	if at, ok := slices.BinarySearch(s.keys, string(key)); ok {
		s.keys = slices.Delete(s.keys, at, at+1)
		delete(s.values, string(key))
	}
	return nil
}
func (s *shelf) Iterator(start, end []byte) (corestore.Iterator, error) {
	it := &walk{shelf: s, start: start, end: end}
	it.find(string(start))
	return it, nil
}
func (s *shelf) ReverseIterator(_, _ []byte) (corestore.Iterator, error) {
	return nil, fmt.Errorf("nobody walks backwards here")
}

type walk struct {
	*shelf
	start, end []byte
	key        string
	valid      bool
}

func (w *walk) find(from string) {
	at, _ := slices.BinarySearch(w.keys, from)
	w.valid = at < len(w.keys) && (w.end == nil || w.keys[at] < string(w.end))
	if w.valid {
		w.key = w.keys[at]
	}
}
func (w *walk) Domain() (start, end []byte) { return w.start, w.end }
func (w *walk) Valid() bool                 { return w.valid }
func (w *walk) Next()                       { w.find(w.key + "\x00") }
func (w *walk) Key() []byte                 { return []byte(w.key) }
func (w *walk) Value() []byte               { return w.values[w.key] }
func (w *walk) Error() error                { return nil }
func (w *walk) Close() error                { return nil }

// member is a name's place in the running epoch.
func (w *world) member(e sprintv1.Epoch, name string) (sprintv1.Member, bool) {
	m, err := w.sprint.members.Get(w.ctx, memberKeyOf(e.Number, name))
	return m, err == nil
}
