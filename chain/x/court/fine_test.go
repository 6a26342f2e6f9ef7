// SPDX-License-Identifier: Apache-2.0

package court_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/core/comet"
	"cosmossdk.io/math"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	gogogrpc "github.com/cosmos/gogoproto/grpc"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	"github.com/cosmos/cosmos-sdk/types/module"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/court"
)

// punish has somebody who deposited 1,000 CPC punished, and forgets what that did.
func (c *chain) punish(who string, offence courtv1.Offence, finders ...string) {
	c.t.Helper()
	c.deposits[who] = 1_000
	if err := c.Punish(c.ctx, who, offence, "why", finders...); err != nil {
		c.t.Fatal(err)
	}
	c.log = nil
}

func (c *chain) conclude(epoch uint64, mass bool, finders map[string][]string) {
	c.t.Helper()
	if err := c.Conclude(c.ctx, epoch, mass,
		func(who string) ([]string, error) { return finders[who], nil }); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) exported() *courtv1.GenesisState {
	c.t.Helper()
	g, err := c.ExportGenesis(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := court.ValidateGenesis(*g); err != nil {
		c.t.Errorf("an export that cannot be imported: %v", err)
	}
	return g
}

// What an offence took waits for the end of its epoch and is burnt then, but for a bounty to those
// who proved it: each once, and never the offender.
// Holds spec J-10.
func TestFindersShareTheBountyAndTheAccusedDoesNot(t *testing.T) {
	c := begin(t)
	c.punish("eve", courtv1.OffenceFraud)
	c.punish("mallory", courtv1.OffenceFalseVerdict, "zoe", "mallory", "")
	c.punish("trent", courtv1.OffenceFalseVerdict)
	c.block()
	c.wants() // the epoch goes on
	c.conclude(7, false, map[string][]string{"eve": {"bob", "eve", "ann", "bob", ""},
		"mallory": {"nobody asked"}})
	c.wants()
	c.block()
	c.wants("burn 200 of eve, 1000 bps to [ann bob]", "burn 10 of mallory, 1000 bps to [zoe]",
		"burn 10 of trent, 1000 bps to []")
	c.block()
	c.conclude(8, true, nil)
	c.block()
	c.wants() // once
	if left := c.exported().Penalties; len(left) > 0 {
		t.Errorf("records that nothing needs: %v", left)
	}
}

// Where many fail at once, slashes are held, burnt hold_epochs later, and given back if a vote says
// so before: of everybody or of one. Jail and cut stand.
// Holds spec J-11.
func TestMassSlashesAreHeldAndAVoteReleasesThem(t *testing.T) {
	c := begin(t)
	c.punish("eve", courtv1.OffenceFraud)
	c.punish("mallory", courtv1.OffenceFraud)
	c.punish("trent", courtv1.OffenceFalseVerdict)
	if _, err := c.Release(c.ctx, 7, ""); !errors.Is(err, court.ErrNotHeld) {
		t.Errorf("released before it was held: %v", err)
	}
	c.conclude(7, true, map[string][]string{"eve": {"ann"}})
	c.block()
	c.wants()
	if n, err := c.Release(c.ctx, 7, "mallory"); err != nil || n != 1 {
		t.Fatalf("released %d, %v", n, err)
	}
	for _, again := range []string{"mallory", "nobody"} {
		if _, err := c.Release(c.ctx, 7, again); !errors.Is(err, court.ErrNotHeld) {
			t.Errorf("released %s: %v", again, err)
		}
	}
	c.block()
	c.wants("give 200 back to mallory")
	c.epoch = 7 + 35 // hold_epochs is 36
	c.block()
	c.wants()
	c.epoch++
	c.block()
	c.wants("burn 200 of eve, 1000 bps to [ann]", "burn 10 of trent, 1000 bps to []")
	if _, err := c.Release(c.ctx, 7, ""); !errors.Is(err, court.ErrNotHeld) {
		t.Errorf("released what is burnt: %v", err)
	}
	c.punish("eve", courtv1.OffenceFraud)
	c.punish("trent", courtv1.OffenceFraud)
	c.conclude(c.epoch, true, nil)
	if n, err := c.Release(c.ctx, c.epoch, ""); err != nil || n != 2 {
		t.Errorf("released %d, %v", n, err)
	}
	c.block()
	c.wants("give 200 back to eve", "give 200 back to trent")
}

// services catches what the module offers.
type services struct {
	module.Configurator
	msg courtv1.MsgServer
}

func (s *services) MsgServer() gogogrpc.Server   { return s }
func (s *services) QueryServer() gogogrpc.Server { return s }
func (s *services) RegisterService(_ *grpc.ServiceDesc, impl any) {
	if m, ok := impl.(courtv1.MsgServer); ok {
		s.msg = m
	}
}

// Only governance releases.
func TestOnlyGovernanceReleases(t *testing.T) {
	c := begin(t)
	c.punish("eve", courtv1.OffenceFraud)
	c.conclude(7, true, nil)
	srv := &services{}
	court.NewAppModule(nil, c.Keeper).RegisterServices(srv)
	for authority, allowed := range map[string]bool{"eve": false, "": false, "gov": true} {
		_, err := srv.msg.ReleaseHeld(c.ctx,
			&courtv1.MsgReleaseHeld{Authority: authority, Epoch: 7})
		if (err == nil) != allowed {
			t.Errorf("%q: %v", authority, err)
		}
	}
}

// A slash that fails takes nothing else of the sentence back, is counted and shown, and one that
// fails to be settled is tried again in the next epoch, without stopping others or the block.
// Holds spec J-13.
func TestAFailingSlashIsCountedAndStopsNothing(t *testing.T) {
	c := begin(t)
	c.punish("trent", courtv1.OffenceFraud)
	c.deposits["eve"] = 1_000
	c.broken = true
	if err := c.Punish(c.ctx, "eve", courtv1.OffenceFraud, "why"); err != nil {
		t.Fatal(err)
	}
	c.wants("jail eve until 12: why", "cut eve", "burn what eve is owed")
	c.conclude(7, false, nil)
	c.block()
	f := c.exported().Failures
	if f == nil || f.Count != 2 || !strings.Contains(f.Last, "settling 200000000000000000000 acpc "+
		"of trent: the purse is torn") {
		t.Errorf("%v", f)
	}
	c.broken = false
	c.block()
	c.wants()
	c.epoch++
	c.block()
	c.wants("burn 200 of trent, 1000 bps to []")
	if left := c.exported().Penalties; len(left) > 0 {
		t.Errorf("%v", left)
	}
}

// The more power double signs at once, the dearer it is for each: three times the part of the power
// that did within the age of evidence, and all of a block count for all of it.
// Holds spec J-12.
func TestDoubleSignsTogetherCostMore(t *testing.T) {
	for _, c := range []struct {
		name   string
		powers [][]int64 // of those reported in each block, in millionths
		pause  int64     // blocks and, times five, seconds between reports
		want   []int64   // taken of 1,000 CPC each
	}{
		{"one per cent", [][]int64{{10_000}}, 1, []int64{50}},
		{"5 %", [][]int64{{50_000}}, 1, []int64{150}},
		{"40 %", [][]int64{{400_000}}, 1, []int64{1_000}},
		{"40 % in eight names of a block", [][]int64{{50_000, 50_000, 50_000, 50_000, 50_000,
			50_000, 50_000, 50_000}}, 1,
			[]int64{1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000}},
		{"one after the other", [][]int64{{50_000}, {50_000}}, 99, []int64{150, 300}},
		{"after the age of evidence", [][]int64{{50_000}, {50_000}}, 200, []int64{150, 150}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := begin(t)
			w.ctx = w.ctx.WithBlockTime(time.Unix(1_000, 0)).WithConsensusParams(
				cmtproto.ConsensusParams{Evidence: &cmtproto.EvidenceParams{MaxAgeNumBlocks: 100,
					MaxAgeDuration: 500 * time.Second}})
			var names []string
			for _, block := range c.powers {
				var list reported
				for _, power := range block {
					name := fmt.Sprintf("v%d", len(names))
					names = append(names, name)
					w.owners[name] = registryv1.Participant{Address: name}
					w.deposits[name] = 1_000
					// CometBFT may report both votes
					one := evidence{comet.DuplicateVote, name, power}
					list = append(list, one, one)
				}
				if err := w.BeginBlock(w.ctx.WithCometInfo(list)); err != nil {
					t.Fatal(err)
				}
				w.ctx = w.ctx.WithBlockHeight(w.ctx.BlockHeight() + c.pause).WithBlockTime(
					w.ctx.BlockTime().Add(time.Duration(c.pause) * 5 * time.Second))
			}
			var got []int64
			for _, name := range names {
				got = append(got, 1_000-w.deposits[name])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			w.ctx = w.ctx.WithBlockHeight(10_000).WithBlockTime(time.Unix(1_000_000, 0))
			if err := w.Adopt(w.ctx); err != nil {
				t.Fatal(err)
			}
			if left := w.exported().DoubleSigns; len(left) > 0 {
				t.Errorf("nothing forgets %v", left)
			}
		})
	}
}

// A block settles so many penalties at most, and the next one goes on.
// Holds spec J-13.
func TestABlockSettlesABoundedNumberOfPenalties(t *testing.T) {
	c := begin(t)
	for i := range 600 {
		c.punish(fmt.Sprintf("p%d", i), courtv1.OffenceFraud)
	}
	c.conclude(7, false, nil)
	for _, want := range []int{256, 256, 88, 0} {
		c.block()
		if got := len(c.log); got != want {
			t.Errorf("%d settled, want %d", got, want)
		}
		c.log = nil
	}
}

// Penalties in every state, double signatures and failures survive export and import, and what is
// not as x/collateral has it is refused.
func TestGenesisKeepsPenalties(t *testing.T) {
	c := begin(t)
	c.owners["key"] = registryv1.Participant{Address: "dora"}
	c.deposits["dora"] = 10
	if err := c.BeginBlock(c.ctx.WithCometInfo(reported{{comet.DuplicateVote, "key",
		7}})); err != nil {
		t.Fatal(err)
	}
	c.punish("held", courtv1.OffenceFraud, "ann")
	c.punish("given back", courtv1.OffenceFraud)
	c.conclude(7, true, nil)
	if _, err := c.Release(c.ctx, 7, "given back"); err != nil {
		t.Fatal(err)
	}
	c.epoch = 8
	c.punish("due", courtv1.OffenceFraud)
	c.conclude(8, false, nil)
	c.punish("taken", courtv1.OffenceFalseVerdict, "ann", "bob")
	c.broken = true
	c.punish("nobody", courtv1.OffenceFraud)
	c.broken = false
	g := c.exported()
	if len(g.Penalties) != 4 || len(g.DoubleSigns) != 1 || g.Failures == nil {
		t.Fatalf("%v", g)
	}
	again := c.again(t)
	if err := again.InitGenesis(again.ctx, *g); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g, again.exported(), cmp.Comparer(math.Int.Equal)); diff != "" {
		t.Error(diff)
	}
	again.block()
	again.wants("give 200 back to given back", "burn 200 of due, 1000 bps to []")
	for name, damage := range map[string]func(*courtv1.GenesisState){
		"no number below the next": func(g *courtv1.GenesisState) { g.NextPenalty = 2 },
		"out of order": func(g *courtv1.GenesisState) {
			g.Penalties[0], g.Penalties[1] = g.Penalties[1], g.Penalties[0]
		},
		"of nothing":   func(g *courtv1.GenesisState) { g.Penalties[0].Amount = math.ZeroInt() },
		"no state":     func(g *courtv1.GenesisState) { g.Penalties[0].State = 0 },
		"finds itself": func(g *courtv1.GenesisState) { g.Penalties[0].Finders = []string{"held"} },
		"more than the power": func(g *courtv1.GenesisState) {
			g.DoubleSigns[0].PowerPpm = 1_000_001
		},
		"more than is held": func(g *courtv1.GenesisState) {
			g.Penalties[0].Amount = g.Penalties[0].Amount.MulRaw(2)
		},
		"less than is held": func(g *courtv1.GenesisState) { g.Penalties = g.Penalties[:3] },
	} {
		bad := c.exported()
		damage(bad)
		fresh := c.again(t)
		if err := fresh.InitGenesis(fresh.ctx, *bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// again is a court without state over the same purse as it is now.
func (c *chain) again(t *testing.T) *chain {
	t.Helper()
	n := *c
	n.log, n.store = nil, storetypes.NewKVStoreKey(court.Name)
	n.held, n.deposits = map[string]int64{}, map[string]int64{}
	for who, held := range c.held {
		n.held[who] = held
	}
	n.ctx = testutil.DefaultContext(n.store,
		storetypes.NewTransientStoreKey("transient")).WithBlockHeight(100)
	n.Keeper = court.NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()),
		runtime.NewKVStoreService(n.store), "gov", &n, &n, &n, purse{&n},
		func(context.Context) (uint64, error) { return n.epoch, nil })
	n.SetCase(&n)
	return &n
}
