// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Name is the module's name and store key.
const Name = "sprint"

// Engine recomputes one unit when the chain judges a leaf, and is told what was claimed of it: a work.Judge. What it
// returns must be the definition's to the bit, since it becomes state.
type Engine interface {
	Unit(ctx context.Context, class transformer.Class, seed1, node, segment seed.Seed, nonce uint64, claimed work.Claim) (transformer.Output, error)
}

// Beacon is what the Sprint needs of x/beacon.
type Beacon interface {
	Value(ctx context.Context, height int64) (seed.Seed, error)
	// Mix applies the beacon rule to a deadline; ok is false while it does not hold.
	Mix(ctx context.Context, deadline int64) (mix seed.Seed, height int64, ok bool, err error)
}

// Registry is what the Sprint needs of x/registry.
type Registry interface {
	Get(ctx context.Context, participant string) (registryv1.Participant, error)
	Walk(ctx context.Context, f func(registryv1.Participant) (stop bool, err error)) error
	Jail(ctx context.Context, participant string, until uint64, reason string) error
	Heartbeat(ctx context.Context, participant string, epoch uint64) error
	SetSilent(ctx context.Context, participant string, epochs uint64) error
}

// Credit is what the Sprint needs of x/credit.
type Credit interface {
	Holding(ctx context.Context, participant string) (creditv1.Holding, error)
	Finalise(ctx context.Context, settlements []credit.Settlement) error
	Keep(ctx context.Context) error
	Cut(ctx context.Context, participant string) error
}

type (
	// epoch, participant, node, segment
	logKey = collections.Quad[uint64, string, string, uint32]
	// epoch, round, voter
	verdictKey = collections.Triple[uint64, uint32, string]
	memberKey  = collections.Pair[uint64, string]
	// epoch, participant, node/segment/nonce in an order that sorts
	leafKey = collections.Triple[uint64, string, []byte]
)

// Keeper owns the epochs.
type Keeper struct {
	cdc       codec.BinaryCodec
	authority string
	engine    Engine
	judging   sync.Mutex // held for one unit of engine: blocks may be executed ahead of their commit
	beacon    Beacon
	registry  Registry
	credit    Credit

	// params counts for the epoch after next; frozen for the next one
	params, frozen collections.Item[sprintv1.Params]
	current        collections.Item[uint64]
	epochs         collections.Map[uint64, sprintv1.Epoch]
	members        collections.Map[memberKey, sprintv1.Member]
	commits        collections.Map[logKey, sprintv1.Commit]
	openings       collections.Map[memberKey, sprintv1.Opening]
	// verdicts holds a record for every drawn member from the draw on, without a hash until it commits. Bodies lie
	// apart, because who has spoken is asked in every block and what it said only once.
	verdicts   collections.Map[verdictKey, sprintv1.VerdictRecord]
	bodies     collections.Map[verdictKey, sprintv1.VerdictBody]
	judgements collections.Map[leafKey, sprintv1.Judgement]
	outcomes   collections.Map[memberKey, sprintv1.Outcome]
	// claims wait to be judged, first come first judged
	claims   collections.Map[uint64, sprintv1.Claim]
	claimSeq collections.Sequence

	// attempts at duties of the running epoch that were free, by epoch, participant and duty
	attempts collections.Map[collections.Triple[uint64, string, []byte], uint64]

	drawn memory // not state
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov).
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, authority string, engine Engine, beacon Beacon, registry Registry, credit Credit) *Keeper {
	sb := collections.NewSchemaBuilder(store)
	member := collections.PairKeyCodec(collections.Uint64Key, collections.StringKey)
	k := &Keeper{
		cdc: cdc, authority: authority, engine: engine, beacon: beacon, registry: registry, credit: credit,
		params:     collections.NewItem(sb, collections.NewPrefix(0), "params", codec.CollValue[sprintv1.Params](cdc)),
		frozen:     collections.NewItem(sb, collections.NewPrefix(1), "frozen", codec.CollValue[sprintv1.Params](cdc)),
		current:    collections.NewItem(sb, collections.NewPrefix(2), "current", collections.Uint64Value),
		epochs:     collections.NewMap(sb, collections.NewPrefix(3), "epochs", collections.Uint64Key, codec.CollValue[sprintv1.Epoch](cdc)),
		members:    collections.NewMap(sb, collections.NewPrefix(4), "members", member, codec.CollValue[sprintv1.Member](cdc)),
		commits:    collections.NewMap(sb, collections.NewPrefix(5), "commits", collections.QuadKeyCodec(collections.Uint64Key, collections.StringKey, collections.StringKey, collections.Uint32Key), codec.CollValue[sprintv1.Commit](cdc)),
		openings:   collections.NewMap(sb, collections.NewPrefix(6), "openings", member, codec.CollValue[sprintv1.Opening](cdc)),
		verdicts:   collections.NewMap(sb, collections.NewPrefix(7), "verdicts", collections.TripleKeyCodec(collections.Uint64Key, collections.Uint32Key, collections.StringKey), codec.CollValue[sprintv1.VerdictRecord](cdc)),
		judgements: collections.NewMap(sb, collections.NewPrefix(8), "judgements", collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey, collections.BytesKey), codec.CollValue[sprintv1.Judgement](cdc)),
		outcomes:   collections.NewMap(sb, collections.NewPrefix(9), "outcomes", member, codec.CollValue[sprintv1.Outcome](cdc)),
		claims:     collections.NewMap(sb, collections.NewPrefix(10), "claims", collections.Uint64Key, codec.CollValue[sprintv1.Claim](cdc)),
		bodies:     collections.NewMap(sb, collections.NewPrefix(12), "bodies", collections.TripleKeyCodec(collections.Uint64Key, collections.Uint32Key, collections.StringKey), codec.CollValue[sprintv1.VerdictBody](cdc)),
		attempts:   collections.NewMap(sb, collections.NewPrefix(20), "attempts", collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey, collections.BytesKey), collections.Uint64Value),
		claimSeq:   collections.NewSequence(sb, collections.NewPrefix(11), "claim_seq"),
	}
	if _, err := sb.Build(); err != nil {
		panic(fmt.Errorf("sprint: schema: %w", err)) // a programming error, before any block
	}
	return k
}

// CurrentEpoch returns the number of the epoch that runs; 0 before the first.
func (k *Keeper) CurrentEpoch(ctx context.Context) (uint64, error) {
	n, err := k.current.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return n, err
}

// OpeningBytesPerBlock is the budget of openings that one block may carry.
func (k *Keeper) OpeningBytesPerBlock(ctx context.Context) (uint32, error) {
	e, err := k.epoch(ctx)
	if err != nil {
		return 0, err
	}
	return e.Params.OpeningBytesPerBlock, nil
}

// epoch returns the current record; before the first epoch a zero one.
func (k *Keeper) epoch(ctx context.Context) (sprintv1.Epoch, error) {
	n, err := k.CurrentEpoch(ctx)
	if err != nil || n == 0 {
		return sprintv1.Epoch{}, err
	}
	e, err := k.epochs.Get(ctx, n)
	if err != nil {
		return e, fmt.Errorf("sprint: record of epoch %d: %w", n, err)
	}
	return e, nil
}

// roster returns the members of an epoch by address.
func (k *Keeper) roster(ctx context.Context, epoch uint64) ([]sprintv1.Member, error) {
	var all []sprintv1.Member
	err := k.members.Walk(ctx, collections.NewPrefixedPairRange[uint64, string](epoch), func(_ memberKey, m sprintv1.Member) (bool, error) {
		all = append(all, m)
		return false, nil
	})
	return all, err
}

// setMember writes a member's record. It is as long as the list of its machines, which was paid when they were
// registered; a duty must not become too dear by it, so writing it costs a fixed price.
func (k *Keeper) setMember(ctx context.Context, epoch uint64, m sprintv1.Member) error {
	gas(ctx, sprintv1.GasRecord, "record of a member")
	return k.members.Set(k.unmetered(ctx, epoch), collections.Join(epoch, m.Participant), m)
}

// logsOf returns a participant's commits of an epoch by (node, segment).
func (k *Keeper) logsOf(ctx context.Context, epoch uint64, participant string) ([]sprintv1.Commit, error) {
	var logs []sprintv1.Commit
	err := k.commits.Walk(ctx, collections.NewSuperPrefixedQuadRange[uint64, string, string, uint32](epoch, participant), func(_ logKey, c sprintv1.Commit) (bool, error) {
		logs = append(logs, c)
		return false, nil
	})
	return logs, err
}

// opened returns a participant's opening.
func (k *Keeper) opened(ctx context.Context, epoch uint64, participant string) (sprintv1.Opening, bool, error) {
	o, err := k.openings.Get(ctx, collections.Join(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return o, false, nil
	}
	return o, err == nil, err
}

// spoken walks the records of a round's members, with bodies for those that have revealed if they are wanted.
func (k *Keeper) spoken(ctx context.Context, epoch uint64, round uint32, bodies bool, f func(sprintv1.VerdictRecord) error) error {
	rng := collections.NewSuperPrefixedTripleRange[uint64, uint32, string](epoch, round)
	return k.verdicts.Walk(ctx, rng, func(key verdictKey, v sprintv1.VerdictRecord) (bool, error) {
		if bodies && v.RevealHeight > 0 {
			body, err := k.bodies.Get(ctx, key)
			if err != nil {
				return false, fmt.Errorf("sprint: verdict of %s: %w", v.Voter, err)
			}
			v.Body = &body
		}
		return false, f(v)
	})
}

func chainID(ctx context.Context) string { return sdk.UnwrapSDKContext(ctx).ChainID() }
func height(ctx context.Context) int64   { return sdk.UnwrapSDKContext(ctx).BlockHeight() }

// toSeed reads a seed from state, where only whole ones are ever written.
func toSeed(b []byte) seed.Seed {
	var s seed.Seed
	copy(s[:], b)
	return s
}
