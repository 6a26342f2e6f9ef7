// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/poc/seed"
)

// Beacon is what streams need of x/beacon: what a log's seed is made of.
type Beacon interface {
	Value(ctx context.Context, height int64) (seed.Seed, error)
}

// Sprint is what streams need of x/sprint. Each answers ok false where there is no such record.
type Sprint interface {
	CurrentEpoch(ctx context.Context) (uint64, error)
	EpochOf(ctx context.Context, number uint64) (e sprintv1.Epoch, ok bool, err error)
	MemberOf(ctx context.Context, epoch uint64, participant string) (m sprintv1.Member, ok bool,
		err error)
	// NodeLeaves is how many leaves a node committed in an epoch's Sprint.
	NodeLeaves(ctx context.Context, epoch uint64, participant, node string) (uint64, error)
}

type (
	// epoch, participant
	summaryKey = collections.Pair[uint64, string]
	// epoch, participant, node
	nodeKey = collections.Triple[uint64, string, string]
	// epoch, participant, node, number
	commitKey = collections.Quad[uint64, string, string, uint32]
)

// Keeper owns the streams.
type Keeper struct {
	authority string
	beacon    Beacon
	sprint    Sprint

	params, pending collections.Item[streamv1.Params]
	terms           collections.Map[uint64, streamv1.Terms]
	nodes           collections.Map[nodeKey, streamv1.Node]
	commits         collections.Map[commitKey, streamv1.Commit]
	summaries       collections.Map[summaryKey, streamv1.Summary]
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov).
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, authority string,
	beacon Beacon, sprint Sprint) *Keeper {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		authority: authority, beacon: beacon, sprint: sprint,
		params: collections.NewItem(sb, prefixParams, "params",
			codec.CollValue[streamv1.Params](cdc)),
		pending: collections.NewItem(sb, prefixPending, "pending",
			codec.CollValue[streamv1.Params](cdc)),
		terms: collections.NewMap(sb, prefixTerms, "terms", collections.Uint64Key,
			codec.CollValue[streamv1.Terms](cdc)),
		nodes: collections.NewMap(sb, prefixNodes, "nodes",
			collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey,
				collections.StringKey), codec.CollValue[streamv1.Node](cdc)),
		commits: collections.NewMap(sb, prefixCommits, "commits",
			collections.QuadKeyCodec(collections.Uint64Key, collections.StringKey,
				collections.StringKey, collections.Uint32Key),
			codec.CollValue[streamv1.Commit](cdc)),
		summaries: collections.NewMap(sb, prefixSummaries, "summaries",
			collections.PairKeyCodec(collections.Uint64Key, collections.StringKey),
			codec.CollValue[streamv1.Summary](cdc)),
	}
	if _, err := sb.Build(); err != nil {
		panic(fmt.Errorf("stream: schema: %w", err)) // a programming error, before any block
	}
	return k
}

func chainID(ctx context.Context) string { return sdk.UnwrapSDKContext(ctx).ChainID() }
func height(ctx context.Context) int64   { return sdk.UnwrapSDKContext(ctx).BlockHeight() }

func gas(ctx context.Context, amount uint64, what string) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(amount, "stream: "+what)
}

// unmetered reads records at nobody's expense: how long they are is not for the sender to pay. What
// is read so is bounded, and charged by its kind.
func unmetered(ctx context.Context) context.Context {
	return sdk.UnwrapSDKContext(ctx).WithGasMeter(storetypes.NewInfiniteGasMeter())
}
