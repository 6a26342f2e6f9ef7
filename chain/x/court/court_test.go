// SPDX-License-Identifier: Apache-2.0

package court_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// total is the weight of all in every epoch here: "ann" has a hundredth of it, "bob" the rest,
// everybody else none.
const total = 10_000

// chain is x/court alone, with stand-ins for the modules around it.
type chain struct {
	*court.Keeper
	t     testing.TB
	ctx   sdk.Context
	store *storetypes.KVStoreKey

	class   transformer.Class
	forged  map[courtv1.LeafRef]bool // leaves whose owner opened something else than the unit gives
	unknown map[courtv1.LeafRef]bool // leaves that were never opened
	runs    []uint64                 // nonces recomputed
	proven  []courtv1.Judgement
	judged  []courtv1.Claim
	epoch   uint64

	deposits map[string]int64 // in CPC
	held     map[string]int64 // in CPC
	broken   bool             // the purse
	log      []string         // what was done to money, jail and power
	owners   map[string]registryv1.Participant
}

func begin(t testing.TB) *chain {
	t.Helper()
	c := &chain{t: t, store: storetypes.NewKVStoreKey(court.Name),
		class: transformer.Nano, epoch: 7,
		forged: map[courtv1.LeafRef]bool{}, unknown: map[courtv1.LeafRef]bool{},
		deposits: map[string]int64{}, held: map[string]int64{},
		owners: map[string]registryv1.Participant{}}
	c.ctx = testutil.DefaultContext(c.store,
		storetypes.NewTransientStoreKey("transient")).WithBlockHeight(100)
	c.Keeper = court.NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()),
		runtime.NewKVStoreService(c.store), "gov", c, c, c, purse{c},
		func(context.Context) (uint64, error) { return c.epoch, nil })
	c.SetCase(c)
	c.SetPay(c)
	if err := c.InitGenesis(c.ctx, *court.DefaultGenesis()); err != nil {
		t.Fatal(err)
	}
	return c
}

// Unit runs nothing: the nonce is the norm.
func (c *chain) Unit(_ context.Context, _ transformer.Class, _, _, _ seed.Seed, nonce uint64,
	_ record.Record) (transformer.Output, error) {
	c.runs = append(c.runs, nonce)
	return transformer.Output{Record: record.Record{Norm: nonce}}, nil
}

func (c *chain) Exhibit(_ context.Context, _ uint64, leaf courtv1.LeafRef) (court.Exhibit,
	bool, error) {
	x := court.Exhibit{Class: c.class, Opened: record.Record{Norm: leaf.Nonce}}
	if c.forged[leaf] {
		x.Opened.Digest[0] = 1
	}
	return x, !c.unknown[leaf], nil
}

func (c *chain) Standing(_ context.Context, _ uint64, who string) (weight, all uint64, err error) {
	return map[string]uint64{"ann": total / 100, "bob": total - total/100}[who], total, nil
}

func (c *chain) Proven(_ context.Context, j courtv1.Judgement) error {
	c.proven = append(c.proven, j)
	return nil
}

// Judged: a claim is right when the leaf is forged; the accused is the leaf's owner.
func (c *chain) Judged(_ context.Context, claim courtv1.Claim, j courtv1.Judgement) (bool,
	string, error) {
	c.judged = append(c.judged, claim)
	return j.Mismatch, claim.Leaf.Participant, nil
}

func (c *chain) ByConsensusAddress(_ context.Context, address []byte) (registryv1.Participant,
	bool, error) {
	p, ok := c.owners[string(address)]
	return p, ok, nil
}

func (c *chain) Jail(_ context.Context, who string, until uint64, reason string) error {
	for address, p := range c.owners {
		if p.Address == who {
			p.JailedUntil = until
			c.owners[address] = p
		}
	}
	c.note("jail %s until %d: %s", who, until, reason)
	return nil
}

func (c *chain) Cut(_ context.Context, who string) error { c.note("cut %s", who); return nil }

func (c *chain) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

// purse stands in for x/collateral.
type purse struct{ c *chain }

func cpc(amount math.Int) int64 { return amount.Quo(math.NewIntWithDecimal(1, 18)).Int64() }

func (p purse) Lock(_ context.Context, who, purpose string, amount math.Int) error {
	if p.c.deposits[who] < cpc(amount) {
		return errors.New("not covered")
	}
	p.c.deposits[who] -= cpc(amount)
	p.c.note("lock %d of %s for %s", cpc(amount), who, purpose)
	return nil
}

func (p purse) Unlock(_ context.Context, who, purpose string, amount math.Int) error {
	p.c.deposits[who] += cpc(amount)
	p.c.note("unlock %d of %s for %s", cpc(amount), who, purpose)
	return nil
}

func (p purse) Forfeit(_ context.Context, who, purpose string, amount math.Int,
	to string, bps uint64) error {
	p.c.note("forfeit %d of %s for %s, %d bps to %s", cpc(amount), who, purpose, bps, to)
	return nil
}

// Take takes a part of what the purse has of somebody, in CPC; what is taken lies in held.
func (p purse) Take(_ context.Context, who string, bps uint64) (math.Int, error) {
	if p.c.broken {
		return math.Int{}, errors.New("the purse is torn")
	}
	amount := p.c.deposits[who] * int64(bps) / 10_000
	if amount > 0 {
		p.c.deposits[who], p.c.held[who] = p.c.deposits[who]-amount, p.c.held[who]+amount
		p.c.note("take %d of %s", amount, who)
	}
	return math.NewIntWithDecimal(1, 18).MulRaw(amount), nil
}

func (p purse) BurnHeld(_ context.Context, who string, amount math.Int, finders []string,
	bps uint64) error {
	if p.c.broken {
		return errors.New("the purse is torn")
	}
	p.c.held[who] -= cpc(amount)
	p.c.note("burn %d of %s, %d bps to %v", cpc(amount), who, bps, finders)
	return nil
}

func (p purse) GiveBack(_ context.Context, who string, amount math.Int) error {
	p.c.held[who] -= cpc(amount)
	p.c.deposits[who] += cpc(amount)
	p.c.note("give %d back to %s", cpc(amount), who)
	return nil
}

func (p purse) Held(_ context.Context, who string) (math.Int, error) {
	return math.NewIntWithDecimal(1, 18).MulRaw(p.c.held[who]), nil
}

func (p purse) TotalHeld(context.Context) (math.Int, error) {
	sum := int64(0)
	for _, held := range p.c.held {
		sum += held
	}
	return math.NewIntWithDecimal(1, 18).MulRaw(sum), nil
}

// BurnOwed stands in for the pay of x/credit.
func (c *chain) BurnOwed(_ context.Context, who string) (math.Int, error) {
	c.note("burn what %s is owed", who)
	return math.ZeroInt(), nil
}

func leaf(owner string, nonce uint64) courtv1.LeafRef {
	return courtv1.LeafRef{Participant: owner, Node: "gpu-1", Segment: 1, Nonce: nonce}
}

func dispute(who string, l courtv1.LeafRef) courtv1.Claim {
	return courtv1.Claim{Epoch: 7, Leaf: l, Claimant: who, Source: courtv1.SourceDispute}
}

func (c *chain) file(claims ...courtv1.Claim) {
	c.t.Helper()
	for _, claim := range claims {
		if err := c.File(c.ctx, claim); err != nil {
			c.t.Fatal(err)
		}
	}
}

// block ends a block and returns how many units it ran.
func (c *chain) block() int {
	c.t.Helper()
	before := len(c.runs)
	if err := c.EndBlock(c.ctx); err != nil {
		c.t.Fatal(err)
	}
	c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 1)
	return len(c.runs) - before
}

func (c *chain) waits() bool {
	c.t.Helper()
	waits, err := c.Pending(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return waits
}

// wants compares what was done to money, jail and power since the last call.
func (c *chain) wants(lines ...string) {
	c.t.Helper()
	if got, want := strings.Join(c.log, "\n"), strings.Join(lines, "\n"); got != want {
		c.t.Errorf("done:\n%s\nwant:\n%s", got, want)
	}
	c.log = nil
}
