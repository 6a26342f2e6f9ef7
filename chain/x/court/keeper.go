// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"fmt"
	"sync"

	"cosmossdk.io/collections"
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Engine recomputes one unit, and is told what was claimed of it: a work.Judge. What it returns
// must be the definition's to the bit, since it becomes state.
type Engine interface {
	Unit(ctx context.Context, class transformer.Class, seed1, node, segment seed.Seed, nonce uint64,
		claimed record.Record) (transformer.Output, error)
}

// Exhibit is what it takes to recompute a leaf, and what its owner opened for it.
type Exhibit struct {
	Class                transformer.Class
	Seed1, Node, Segment seed.Seed
	Opened               record.Record
}

// Case is the module whose leaves are judged.
type Case interface {
	// Exhibit finds a leaf; ok is false where it was never opened, and then its claims are dropped.
	Exhibit(ctx context.Context, epoch uint64, leaf courtv1.LeafRef) (e Exhibit, ok bool, err error)
	// Standing is somebody's weight in an epoch, and that of all: what budgets of claims are made
	// of.
	Standing(ctx context.Context, epoch uint64, participant string) (weight,
		total uint64, err error)
	// Proven is told, once a leaf, that it was forged.
	Proven(ctx context.Context, j courtv1.Judgement) error
	// Judged applies a judgement to the claim that asked for it. upheld: the claimant was right, or
	// nobody was wrong; accused is whom a refuted claim was raised against.
	Judged(ctx context.Context, c courtv1.Claim, j courtv1.Judgement) (upheld bool,
		accused string, err error)
}

// Registry is what the court needs of x/registry.
type Registry interface {
	ByConsensusAddress(ctx context.Context, address []byte) (registryv1.Participant, bool, error)
	Jail(ctx context.Context, participant string, until uint64, reason string) error
}

// Credit is what the court needs of x/credit.
type Credit interface {
	Cut(ctx context.Context, participant string) error
}

// Collateral is what the court needs of x/collateral.
type Collateral interface {
	Lock(ctx context.Context, participant, purpose string, amount math.Int) error
	Unlock(ctx context.Context, participant, purpose string, amount math.Int) error
	Forfeit(ctx context.Context, participant, purpose string, amount math.Int, to string,
		toShareBps uint64) error
	// Take moves a part of what can be slashed of a participant to what is held of it; BurnHeld and
	// GiveBack end that.
	Take(ctx context.Context, participant string, bps uint64) (math.Int, error)
	BurnHeld(ctx context.Context, participant string, amount math.Int, finders []string,
		bountyBps uint64) error
	GiveBack(ctx context.Context, participant string, amount math.Int) error
	TotalHeld(ctx context.Context) (math.Int, error)
	Held(ctx context.Context, participant string) (math.Int, error)
}

// Pay is what the court needs of whoever owes participants pay.
type Pay interface {
	// BurnOwed burns all that a participant is owed and returns how much that was.
	BurnOwed(ctx context.Context, participant string) (math.Int, error)
}

// Keeper owns the queue, the judgements and the table of offences.
type Keeper struct {
	cdc       codec.BinaryCodec
	authority string
	engine    Engine
	// held for one unit of engine: blocks may be executed ahead of their commit
	judging    sync.Mutex
	registry   Registry
	credit     Credit
	collateral Collateral
	cases      Case
	pay        Pay // nil: nobody is owed anything
	epoch      func(context.Context) (uint64, error)

	params, pending collections.Item[courtv1.Params]
	claims          collections.Map[uint64, courtv1.Claim]
	next            collections.Sequence
	judgements      collections.Map[leafKey, courtv1.Judgement]
	claimants       collections.Map[claimantKey, courtv1.Claimant]
	penalties       collections.Map[penaltyKey, courtv1.Penalty]
	nextPenalty     collections.Sequence
	// what EndBlock settles; follows from the penalties
	settling    collections.KeySet[settlingKey]
	doubleSigns collections.Map[doubleSignKey, courtv1.DoubleSign]
	failures    collections.Item[courtv1.Failures]
}

// NewKeeper makes the keeper; authority is the account that may change parameters (x/gov), epoch
// the number of the epoch that runs.
func NewKeeper(cdc codec.BinaryCodec, store corestore.KVStoreService, authority string,
	engine Engine, registry Registry, credit Credit, collateral Collateral,
	epoch func(context.Context) (uint64, error)) *Keeper {
	sb := collections.NewSchemaBuilder(store)
	k := &Keeper{
		cdc: cdc, authority: authority, engine: engine, registry: registry, credit: credit,
		collateral: collateral, epoch: epoch,
		params: collections.NewItem(sb, prefixParams, "params",
			codec.CollValue[courtv1.Params](cdc)),
		pending: collections.NewItem(sb, prefixPending, "pending",
			codec.CollValue[courtv1.Params](cdc)),
		claims: collections.NewMap(sb, prefixClaims, "claims", collections.Uint64Key,
			codec.CollValue[courtv1.Claim](cdc)),
		next: collections.NewSequence(sb, prefixNext, "next"),
		judgements: collections.NewMap(sb, prefixJudgements, "judgements",
			collections.TripleKeyCodec(collections.Uint64Key, collections.StringKey,
				collections.BytesKey), codec.CollValue[courtv1.Judgement](cdc)),
		claimants: collections.NewMap(sb, prefixClaimants, "claimants",
			collections.PairKeyCodec(collections.Uint64Key, collections.StringKey),
			codec.CollValue[courtv1.Claimant](cdc)),
		penalties: collections.NewMap(sb, prefixPenalties, "penalties",
			collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key),
			codec.CollValue[courtv1.Penalty](cdc)),
		nextPenalty: collections.NewSequence(sb, prefixNextFine, "next_penalty"),
		settling: collections.NewKeySet(sb, prefixSettling, "settling",
			collections.TripleKeyCodec(collections.Uint64Key, collections.Uint64Key,
				collections.Uint64Key)),
		doubleSigns: collections.NewMap(sb, prefixDoubleSigns, "double_signs",
			collections.PairKeyCodec(collections.Uint64Key, collections.StringKey),
			codec.CollValue[courtv1.DoubleSign](cdc)),
		failures: collections.NewItem(sb, prefixFailures, "failures",
			codec.CollValue[courtv1.Failures](cdc)),
	}
	if _, err := sb.Build(); err != nil {
		panic(fmt.Errorf("court: schema: %w", err)) // a programming error, before any block
	}
	return k
}

// SetCase wires the module whose leaves are judged, which itself needs the court.
func (k *Keeper) SetCase(c Case) { k.cases = c }

// SetPay wires what is owed to participants.
func (k *Keeper) SetPay(p Pay) { k.pay = p }

// Params returns the parameters in force.
func (k *Keeper) Params(ctx context.Context) (courtv1.Params, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return p, fmt.Errorf("court: parameters: %w", err)
	}
	return p, nil
}

// Adopt makes voted parameters current and forgets double signatures that have aged; called at an
// epoch's begin.
func (k *Keeper) Adopt(ctx context.Context) error {
	if err := k.forget(ctx); err != nil {
		return fmt.Errorf("court: double signatures: %w", err)
	}
	if err := table.Adopt(ctx, k.pending, k.params); err != nil {
		return fmt.Errorf("court: pending parameters: %w", err)
	}
	return nil
}

func height(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockHeight() }

func emit(ctx context.Context, kind string, pairs ...string) {
	attributes := make([]sdk.Attribute, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		attributes = append(attributes, sdk.NewAttribute(pairs[i], pairs[i+1]))
	}
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent("court_"+kind, attributes...))
}
