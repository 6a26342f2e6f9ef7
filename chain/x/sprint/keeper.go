// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/poc/seed"
)

// Beacon is what the Sprint needs of x/beacon.
type Beacon interface {
	Value(ctx context.Context, height int64) (seed.Seed, error)
	// Mix applies the beacon rule to a deadline; ok is false while it does not hold.
	Mix(ctx context.Context, deadline int64) (mix seed.Seed, height int64, ok bool, err error)
}

// Registry is what the Sprint needs of x/registry.
type Registry interface {
	Get(ctx context.Context, participant string) (registryv1.Participant, error)
	// Record is Get without the machines: one small read.
	Record(ctx context.Context, participant string) (registryv1.Participant, error)
	// Announce keeps a registration from lapsing, and Lapse ends those that nobody announced for
	// long.
	Announce(ctx context.Context, participant string, epoch uint64) error
	Lapse(ctx context.Context, epoch uint64) error
	// Rotate changes the keys whose rotation is due.
	Rotate(ctx context.Context, epoch uint64) error
	// Mark changes what outlives an epoch: silence, last credit, the lottery's pause.
	Mark(ctx context.Context, participant string, change func(*registryv1.Participant)) error
	Adopt(ctx context.Context) error
}

// Credit is what the Sprint needs of x/credit.
type Credit interface {
	Holding(ctx context.Context, participant string) (creditv1.Holding, error)
	Walk(ctx context.Context, f func(creditv1.Holding) (stop bool, err error)) error
	Finalise(ctx context.Context, epoch uint64, settlements []credit.Settlement, live uint64) error
	Void(ctx context.Context, epoch uint64, shown []credit.Shown, wrong []string) error
	Adopt(ctx context.Context) error
}

// Court is what the Sprint needs of x/court.
type Court interface {
	Params(ctx context.Context) (courtv1.Params, error)
	File(ctx context.Context, c courtv1.Claim) error
	Claimant(ctx context.Context, epoch uint64, participant string) (courtv1.Claimant, error)
	Pending(ctx context.Context) (bool, error)
	PendingOfMembers(ctx context.Context) (bool, error)
	DropChain(ctx context.Context) error
	Judgement(ctx context.Context, epoch uint64, leaf courtv1.LeafRef) (courtv1.Judgement,
		bool, error)
	Judgements(ctx context.Context, epoch uint64, participant string) ([]courtv1.Judgement, error)
	Punish(ctx context.Context, who string, offence courtv1.Offence, why string,
		finders ...string) error
	// Conclude decides what becomes of coins that were taken for offences of an epoch.
	Conclude(ctx context.Context, epoch uint64, mass bool,
		finders func(participant string) ([]string, error)) error
	Prune(ctx context.Context, before uint64, limit int) (int, error)
	Adopt(ctx context.Context) error
}

// Stream is what the Sprint needs of x/stream, whose logs are judged as the Sprint's are.
type Stream interface {
	// Begin fixes the terms of an epoch's stream.
	Begin(ctx context.Context, epoch uint64) error
	// Samples is how many leaves are drawn of a participant's stream at most.
	Samples(ctx context.Context, epoch uint64) (uint32, error)
	// Claims are the participants with a stream, and its leaves.
	Claims(ctx context.Context, epoch uint64) ([]sprintv1.Claim, error)
	// Logs are a participant's, by (node, segment), and Seed is that of one of their segments.
	Logs(ctx context.Context, epoch uint64, participant string) ([]sprintv1.Commit, error)
	Seed(ctx context.Context, epoch uint64, leaf courtv1.LeafRef) (seed.Seed, bool, error)
	// Weigh returns as how many of the Sprint's leaves a participant's stream counts, where
	// credited says how many leaves of a node's count, and sprint how many the epoch's Sprint
	// credited. Settle notes what it counts in the end, whether a part was lost, and why.
	Weigh(ctx context.Context, epoch uint64, participant string,
		credited func(node string, leaves uint64) uint64, sprint uint64) (uint64, error)
	Settle(ctx context.Context, epoch uint64, participant string, counts uint64, lost bool,
		reason string) error
	Prune(ctx context.Context, before uint64, limit int) (int, error)
	// Owed is how many commits a participant has made where it may make this one now.
	Owed(ctx context.Context, msg *streamv1.MsgSubmitContinuousPoCCommit) (made uint32, err error)
}

// Collateral is what the Sprint needs of x/collateral: a newcomer's chance is what it has locked.
type Collateral interface {
	LockedTotal(ctx context.Context, participant string) (math.Int, error)
	LotteryLock(ctx context.Context, participant string) error
	UnlockAll(ctx context.Context, participant, purpose string) error
	AdoptAt(ctx context.Context, epoch uint64) error
}

type (
	// epoch, participant, node, segment
	logKey = collections.Quad[uint64, string, string, uint32]
	// epoch, participant
	memberKey = collections.Pair[uint64, string]
	// epoch, participant, hash of the duty's name
	attemptKey = collections.Triple[uint64, string, []byte]
)

// Keeper owns the epochs.
type Keeper struct {
	cdc        codec.BinaryCodec
	authority  string
	beacon     Beacon
	registry   Registry
	credit     Credit
	court      Court
	collateral Collateral
	stream     Stream

	// params counts for the epoch after next; frozen for the next one
	params, frozen collections.Item[sprintv1.Params]
	current        collections.Item[uint64]
	progress       collections.Item[sprintv1.Progress]
	epochs         collections.Map[uint64, sprintv1.Epoch]
	members        collections.Map[memberKey, sprintv1.Member]
	commits        collections.Map[logKey, sprintv1.Commit]
	// streams of the epoch before, by the epoch that judges them
	streams collections.Map[memberKey, sprintv1.Claim]
	of      [len(subjects)]records
	// archives stay for ever
	archives collections.Map[uint64, sprintv1.Archive]
	// attempts at duties of the running epoch that were free, by epoch, participant and duty
	attempts collections.Map[attemptKey, uint64]

	drawn cache // not state
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov).
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, authority string,
	beacon Beacon, registry Registry, credit Credit, court Court, collateral Collateral) *Keeper {
	sb := collections.NewSchemaBuilder(store)
	member := collections.PairKeyCodec(collections.Uint64Key, collections.StringKey)
	k := &Keeper{
		cdc: cdc, authority: authority, beacon: beacon, registry: registry, credit: credit,
		court: court, collateral: collateral,
		params: collections.NewItem(sb, prefixParams, "params",
			codec.CollValue[sprintv1.Params](cdc)),
		frozen: collections.NewItem(sb, prefixFrozen, "frozen",
			codec.CollValue[sprintv1.Params](cdc)),
		current: collections.NewItem(sb, prefixCurrent, "current", collections.Uint64Value),
		progress: collections.NewItem(sb, prefixProgress, "progress",
			codec.CollValue[sprintv1.Progress](cdc)),
		epochs: collections.NewMap(sb, prefixEpochs, "epochs", collections.Uint64Key,
			codec.CollValue[sprintv1.Epoch](cdc)),
		members: collections.NewMap(sb, prefixMembers, "members", member,
			codec.CollValue[sprintv1.Member](cdc)),
		commits: collections.NewMap(sb, prefixCommits, "commits",
			collections.QuadKeyCodec(collections.Uint64Key, collections.StringKey,
				collections.StringKey, collections.Uint32Key),
			codec.CollValue[sprintv1.Commit](cdc)),
		streams: collections.NewMap(sb, prefixStreams, "streams", member,
			codec.CollValue[sprintv1.Claim](cdc)),
		of: [...]records{
			newRecords(sb, cdc, "", prefixOpenings, prefixVerdicts, prefixOutcomes),
			newRecords(sb, cdc, "stream_", prefixStreamOpenings, prefixStreamVerdicts,
				prefixStreamOutcomes),
		},
		archives: collections.NewMap(sb, collections.NewPrefix(sprintv1.ArchivePrefix), "archives",
			collections.Uint64Key, codec.CollValue[sprintv1.Archive](cdc)),
		attempts: collections.NewMap(sb, prefixAttempts, "attempts",
			collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey,
				collections.BytesKey), collections.Uint64Value),
	}
	if _, err := sb.Build(); err != nil {
		panic(fmt.Errorf("sprint: schema: %w", err)) // a programming error, before any block
	}
	return k
}

// SetStream wires x/stream, which itself needs to know of epochs.
func (k *Keeper) SetStream(s Stream) { k.stream = s }

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
	return table.Values(ctx, k.members, collections.NewPrefixedPairRange[uint64, string](epoch))
}

// setMember writes a member's record. It is as long as the list of its machines, which was paid
// when they were registered; a duty must not become too dear by it, so writing it costs a fixed
// price.
func (k *Keeper) setMember(ctx context.Context, epoch uint64, m sprintv1.Member) error {
	gas(ctx, sprintv1.GasRecord, "record of a member")
	return k.members.Set(unmetered(ctx), memberKeyOf(epoch, m.Participant), m)
}

// logsOf returns a participant's commits of an epoch by (node, segment).
func (k *Keeper) logsOf(ctx context.Context, epoch uint64, participant string) ([]sprintv1.Commit,
	error) {
	return table.Values(ctx, k.commits, collections.NewSuperPrefixedQuadRange[uint64, string,
		string, uint32](epoch, participant))
}

// streamsOf lists the streams that an epoch judges, by participant.
func (k *Keeper) streamsOf(ctx context.Context, epoch uint64) ([]sprintv1.Claim, error) {
	return table.Values(ctx, k.streams, collections.NewPrefixedPairRange[uint64, string](epoch))
}

// opened returns what a participant opened in an epoch.
func (k *Keeper) opened(ctx context.Context, epoch uint64, s subject,
	participant string) (sprintv1.Opening, bool, error) {
	o, err := k.of[s].openings.Get(ctx, memberKeyOf(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return o, false, nil
	}
	return o, err == nil, err
}

// note changes the running epoch's progress.
func (k *Keeper) note(ctx context.Context, change func(*sprintv1.Progress)) error {
	p, err := k.progress.Get(ctx)
	if err != nil {
		return fmt.Errorf("sprint: progress: %w", err)
	}
	change(&p)
	return k.progress.Set(ctx, p)
}

func memberKeyOf(epoch uint64, participant string) memberKey {
	return collections.Join(epoch, participant)
}

func chainID(ctx context.Context) string { return sdk.UnwrapSDKContext(ctx).ChainID() }
func height(ctx context.Context) int64   { return sdk.UnwrapSDKContext(ctx).BlockHeight() }

func emit(ctx context.Context, kind string, pairs ...string) {
	attributes := make([]sdk.Attribute, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		attributes = append(attributes, sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent("sprint_"+kind, attributes...))
}
