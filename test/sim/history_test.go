// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cosmossdk.io/math"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/stream"
)

// voted gives a change of parameters to its handler between blocks, as a passed proposal would.
func (n *network) voted(msg sdk.Msg) {
	n.t.Helper()
	if err := n.handle(n.ctx(), msg); err != nil {
		n.t.Fatalf("%s: %v", sdk.MsgTypeURL(msg), err)
	}
}

// history makes random blocks: people join and leave, machines change, hosts are away, silent, lazy
// or forge, deposits come and go, and votes change the parameters of every module.
func history(t *testing.T, r *rand.Rand, blocks int64, options ...option) *network {
	var strangers []string
	for i := range 6 {
		strangers = append(strangers, fmt.Sprintf("n%d", i+1))
	}
	n := start(t, 4, append(options, withAccounts(strangers...))...)
	for _, h := range n.hosts {
		h.cheat.refused = func(sdk.Msg, string) {} // whoever was convicted or left still talks
		h.cheat.count = func(string, uint32) int { return 200 }
		h.streams = true // where they are on
	}
	for n.height < blocks {
		n.step()
		h := n.hosts[r.IntN(len(n.hosts))]
		_, err := n.app.Registry.Get(n.ctx(), h.addr)
		registered := err == nil
		say := func(msg sdk.Msg) { n.queue = append(n.queue, h.tx(msg)) }
		switch r.IntN(15) {
		case 0, 1, 2:
			if !registered {
				say(h.registration())
			}
		case 3:
			if registered && h.name != "p1" {
				say(&registryv1.MsgLeave{Address: h.addr})
			}
		case 4:
			if registered {
				h.nodes = machines(1 + r.IntN(3))
				say(h.setNodes())
			}
		case 5:
			away := n.now().Epoch.Number + 1
			h.cheat.absent = func(epoch uint64) bool { return epoch == away }
		case 6:
			if h.name != "p1" && h.name != "p2" {
				h.cheat.leaf = forgeEvery(1 + r.Uint64N(6))
			}
		case 7:
			if h.name != "p1" && h.name != "p2" {
				h.cheat.opinion = []func([]opinion){abstain, lazy, pushover, passAll}[r.IntN(4)]
			}
		case 8:
			say(&collateralv1.MsgDeposit{Address: h.addr, Amount: cpc(1 + r.Int64N(3))})
		case 9:
			say(&collateralv1.MsgWithdraw{Address: h.addr, Amount: cpc(1)})
			say(&collateralv1.MsgLock{Address: h.addr, Amount: cpc(1 + r.Int64N(2))})
			say(&collateralv1.MsgUnlock{Address: h.addr, Amount: cpc(1)})
		case 10:
			p := n.params
			p.Segments, p.Samples, p.KeepEpochs = 1+r.Uint32N(3), 16+r.Uint32N(40), 1+r.Uint32N(3)
			n.voted(&sprintv1.MsgUpdateParams{Authority: app.Authority(), Params: p})
		case 11:
			p := registry.LocalnetParams()
			p.MaxNodes, p.LapseEpochs = 1+r.Uint32N(4), 3+r.Uint64N(3)
			n.voted(&registryv1.MsgUpdateParams{Authority: app.Authority(), Params: p})
		case 12:
			p := credit.LocalnetParams()
			p.TallyEpochs, p.MoveBps = 2+r.Uint64N(6), 100+r.Uint64N(3_000)
			n.voted(&creditv1.MsgUpdateParams{Authority: app.Authority(), Params: p})
		case 13:
			p := court.LocalnetParams()
			p.JailEpochs, p.HoldEpochs, p.MassBps = 1+r.Uint32N(4), 1+r.Uint64N(3),
				500+r.Uint64N(2_833)
			n.voted(&courtv1.MsgUpdateParams{Authority: app.Authority(), Params: p})
		case 14:
			p := collateral.LocalnetParams()
			p.UnbondingBlocks, p.FreeShareBps = 100+r.Uint64N(50), r.Uint64N(10_001)
			p.CollateralPerUnit = math.NewInt(r.Int64N(1_000_000))
			n.voted(&collateralv1.MsgUpdateParams{Authority: app.Authority(), Params: p})
		}
	}
	return n
}

// imported is a network that goes on from another's exported state.
func imported(t *testing.T, n *network) *network {
	t.Helper()
	c := *n
	c.t, c.roster, c.shown = t, nil, nil
	c.restart()
	return &c
}

// stores is what every store holds, byte for byte.
func (n *network) stores() map[string]map[string]string {
	n.t.Helper()
	cms := n.app.CommitMultiStore()
	named, ok := cms.(interface {
		StoreKeysByName() map[string]storetypes.StoreKey
	})
	if !ok {
		n.t.Fatalf("%T does not list its stores", cms)
	}
	all := map[string]map[string]string{}
	for name, key := range named.StoreKeysByName() {
		if _, kv := key.(*storetypes.KVStoreKey); !kv {
			continue
		}
		held := map[string]string{}
		it := cms.GetKVStore(key).Iterator(nil, nil)
		for ; it.Valid(); it.Next() {
			held[fmt.Sprintf("%x", it.Key())] = fmt.Sprintf("%x", it.Value())
		}
		if err := it.Close(); err != nil {
			n.t.Fatal(err)
		}
		all[name] = held
	}
	return all
}

// C15, C16. While newcomers joined, an import had other validators than the export, and after some
// votes an export could not be imported at all. Whatever happened, an exported state imports, holds
// in every store what it held, and goes on alike; and two imports have one app hash. That of the
// export is another by nature: a store's tree hashes the height at which each entry was written.
// x/upgrade is left out: it has no genesis, and a new chain starts with all upgrades done.
func TestC15AnyReachableStateIsExportedAndImported(t *testing.T) {
	seeds := uint64(6)
	if long {
		seeds = 200
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 15))
			n := history(t, r, 30+r.Int64N(150))
			goesOnAlike(t, n)
			if err := n.app.Collateral.Check(n.ctx()); err != nil {
				t.Error(err)
			}
		})
	}
}

// C15 with streams: committed, judged, pruned, by whoever comes, leaves and forges.
func TestC15AStateWithStreamsIsExportedAndImported(t *testing.T) {
	seeds := uint64(3)
	if long {
		seeds = 100
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 16))
			n := history(t, r, 60+r.Int64N(90), func(n *network) {
				n.stream = stream.LocalnetParams()
			})
			g, err := n.app.Stream.ExportGenesis(n.ctx())
			if err != nil || len(g.States) == 0 {
				t.Errorf("the set-up: %d epochs with streams, %v", len(g.States), err)
			}
			goesOnAlike(t, n)
		})
	}
}

// C15. While newcomers joined, an import had all of them as validators at once.
func TestC15AnExportWhileNewcomersJoin(t *testing.T) {
	n := startNamed(t, []string{"p1", "p2", "p3", "n1", "n2", "n3", "n4", "n5", "n6"},
		func(name string) uint64 {
			if name[0] == 'n' {
				return 0
			}
			return 1_000
		})
	n.finish(1)
	n.step()
	if in := len(n.told); in <= 3 || in >= 9 {
		t.Fatalf("the set-up: %d of 9 are validators", in)
	}
	goesOnAlike(t, n)
}

// goesOnAlike imports what a network exports now, twice, and holds the three against each other
// across a turn or two.
func goesOnAlike(t *testing.T, n *network) {
	t.Helper()
	a, b := imported(t, n), imported(t, n)
	e := n.now().Epoch
	t.Logf("block %d, epoch %d in %s, %d members, %d validators", n.height, e.Number,
		e.Phase.Word(), len(n.members(e.Number)), len(n.told))
	n.queue, a.queue, b.queue = nil, nil, nil
	last := ""
	for i := range 25 { // across a turn or two
		w := words{}
		if i > 0 {
			w = n.listen()
			w.from, w.msgs = nil, nil
		}
		for _, net := range []*network{n, a, b} {
			net.deliver(w)
		}
		last = fmt.Sprintf("block %d, from %s of epoch %d on", n.height, e.Phase.Word(), e.Number)
		if x, y := a.app.LastCommitID().Hash, b.app.LastCommitID().Hash; !slices.Equal(x, y) {
			t.Fatalf("%s: two imports have app hashes %x and %x", last, x, y)
		}
		if i != 0 && i != 24 {
			continue
		}
		want, got := n.stores(), a.stores()
		for name := range want {
			if name == "upgrade" {
				continue
			}
			if d := cmp.Diff(want[name], got[name]); d != "" {
				t.Errorf("%s: store %s (-exported +imported):\n%.2000s", last, name, d)
			}
		}
		if t.Failed() {
			return
		}
	}
}
