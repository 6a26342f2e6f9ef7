// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	gogogrpc "github.com/cosmos/gogoproto/grpc"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/query"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

// services keeps the servers that a module registers.
type services struct {
	module.Configurator
	msg   creditv1.MsgServer
	query creditv1.QueryServer
}

func (s *services) MsgServer() gogogrpc.Server   { return s }
func (s *services) QueryServer() gogogrpc.Server { return s }
func (s *services) RegisterService(_ *grpc.ServiceDesc, server any) {
	switch server := server.(type) {
	case creditv1.MsgServer:
		s.msg = server
	case creditv1.QueryServer:
		s.query = server
	}
}

// state is all that the module stores.
func (c *chain) state() map[string][]byte {
	out := map[string][]byte{}
	all := c.ctx.KVStore(c.store).Iterator(nil, nil)
	defer all.Close()
	for ; all.Valid(); all.Next() {
		out[string(all.Key())] = bytes.Clone(all.Value())
	}
	return out
}

// again exports a chain and starts another one from it.
func (c *chain) again(t testing.TB) *chain {
	t.Helper()
	g, err := c.ExportGenesis(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := empty()
	next.owners, next.number = c.owners, c.number
	maps.Copy(next.refused, c.refused)
	next.bank.InitGenesis(next.ctx, c.bank.ExportGenesis(c.ctx))
	next.ctx = next.ctx.WithBlockHeight(c.ctx.BlockHeight())
	updates, err := next.InitGenesis(next.ctx, *g)
	if err != nil {
		t.Fatalf("importing an export: %v", err)
	}
	if in := len(c.powers(t)); len(updates) != in {
		t.Fatalf("an import has %d validators, the set has %d", len(updates), in)
	}
	return next
}

// C15, C16: an export of any state imports, stores the same and goes on the same way: in the middle
// of a joining (2 validators in force were 11 after), with votes that look back less than the
// histories, in an outage, after cuts.
func TestPropertyAnExportGoesOnTheSameWay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var names []string
		weights := map[string]uint64{}
		for i := range rapid.IntRange(1, 12).Draw(rt, "names") {
			name := fmt.Sprintf("p%02d", i)
			names, weights[name] = append(names, name), 1+rapid.Uint64Max(99).Draw(rt, "weight")
		}
		some := func(label string) (in []string) {
			for _, name := range names {
				if rapid.Bool().Draw(rt, label) {
					in = append(in, name)
				}
			}
			return in
		}
		c := begin(t, credit.LocalnetParams(), weights, names[:1+len(names)/3]...)
		act := func(c *chain, what int, who []string, p creditv1.Params, live uint64) error {
			switch what {
			case 0:
				c.settle(t, live, weights, who...)
			case 1:
				c.void(t, who, nil)
			case 2:
				if len(who) > 0 {
					return c.Cut(c.ctx, who[0])
				}
			case 3:
				return c.Update(c.ctx, p)
			case 4:
				return c.Adopt(c.ctx)
			}
			return nil
		}
		for range rapid.IntRange(1, 30).Draw(rt, "acts") {
			what, who, live := rapid.IntRange(0, 8).Draw(rt, "act"), some("who"),
				rapid.Uint64Max(1_000).Draw(rt, "live")
			p := credit.LocalnetParams()
			p.TallyEpochs = rapid.Uint64Range(1, 6).Draw(rt, "tally")
			p.MaxValidators = rapid.Uint64Range(4, 6).Draw(rt, "validators")
			twin := c.again(t)
			if diff := cmp.Diff(c.state(), twin.state()); diff != "" {
				rt.Fatalf("an import stores something else (-exported +imported):\n%s", diff)
			}
			for _, chain := range []*chain{c, twin} {
				if err := act(chain, what, who, p, live); err != nil {
					rt.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.block(t), twin.block(t)); diff != "" {
				rt.Fatalf("updates after an import differ:\n%s", diff)
			}
			if diff := cmp.Diff(c.state(), twin.state()); diff != "" {
				rt.Fatalf("the state after an import goes another way:\n%s", diff)
			}
			sum := uint64(0)
			for _, p := range c.powers(t) {
				sum += p
			}
			if sum != credit.TotalPower {
				rt.Fatalf("the set adds up to %d", sum)
			}
		}
	})
}

// C16: votes that look back less count less of a history, at once and after an export.
func TestALoweredTallyCountsLess(t *testing.T) {
	c := begin(t, credit.DefaultParams(), map[string]uint64{"a": 10, "b": 10}, "a", "b")
	for _, w := range []uint64{5, 20, 30} {
		c.finalise(t, 20, map[string]uint64{"a": w, "b": 10}, "a", "b")
	}
	if w, whole := c.vote(t, "a"); w != 5 || whole != 40 {
		t.Errorf("over three epochs a votes with %d of %d", w, whole)
	}
	p := credit.DefaultParams()
	p.TallyEpochs = 2
	if err := c.Update(c.ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := c.Adopt(c.ctx); err != nil {
		t.Fatal(err)
	}
	for _, chain := range []*chain{c, c.again(t)} {
		if w, _ := chain.vote(t, "a"); w != 20 {
			t.Errorf("over two epochs a votes with %d", w)
		}
	}
}

func TestGenesisRefusesWhatDoesNotFit(t *testing.T) {
	holding := func(name string, power uint64) creditv1.Holding {
		return creditv1.Holding{Participant: name, Weight: 1, Power: power,
			ConsensusKey: consensusKey(name), History: []uint64{1}}
	}
	seat := func(name string, power, told uint64) creditv1.Seat {
		return creditv1.Seat{Participant: name, ConsensusKey: consensusKey(name),
			Power: power, Told: told}
	}
	valid := func() creditv1.GenesisState {
		return creditv1.GenesisState{Params: credit.DefaultParams(),
			Holdings: []creditv1.Holding{holding("a", 600_000), holding("b", 400_000),
				holding("c", 0)},
			Seats: []creditv1.Seat{seat("a", 600_000, 1_000_000), seat("b", 400_000, 0)}}
	}
	if err := credit.ValidateGenesis(valid()); err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string]func(*creditv1.GenesisState){
		"move_bps 0 is outside 100..3333": func(g *creditv1.GenesisState) { g.Params.MoveBps = 0 },
		"pending: credit: lambda_bps 0": func(g *creditv1.GenesisState) {
			g.PendingParams = &creditv1.Params{CapBps: 2_500}
		},
		"has no participant": func(g *creditv1.GenesisState) { g.Holdings[0].Participant = "" },
		"holds twice":        func(g *creditv1.GenesisState) { g.Holdings[2].Participant = "a" },
		"have one consensus key": func(g *creditv1.GenesisState) {
			g.Holdings[2].ConsensusKey = consensusKey("a")
		},
		"consensus key of 31 bytes": func(g *creditv1.GenesisState) {
			g.Holdings[0].ConsensusKey = consensusKey("a")[:31]
		},
		"consensus key of 0 bytes": func(g *creditv1.GenesisState) {
			g.Holdings[0].ConsensusKey = nil
		},
		"has power 18446744073709551615": func(g *creditv1.GenesisState) {
			g.Holdings[0].Power = 1<<64 - 1
		},
		"add up to over 1000000": func(g *creditv1.GenesisState) { g.Holdings[2].Power = 1 },
		"weighs 9007199254740993": func(g *creditv1.GenesisState) {
			g.Holdings[0].Weight = credit.MaxWeight + 1
		},
		"history of 101 epochs": func(g *creditv1.GenesisState) {
			g.Holdings[0].History = make([]uint64, 101)
		},
		"history of a has a weight": func(g *creditv1.GenesisState) {
			g.Holdings[0].History[0] = 1 << 60
		},
		"nobody has voting power": func(g *creditv1.GenesisState) {
			g.Seats, g.Holdings[0].Power, g.Holdings[1].Power = nil, 0, 0
		},
		"a seat has no participant": func(g *creditv1.GenesisState) { g.Seats[0].Participant = "" },
		"seat of a has a consensus key of": func(g *creditv1.GenesisState) {
			g.Seats[0].ConsensusKey = nil
		},
		"two seats have the consensus key": func(g *creditv1.GenesisState) {
			g.Seats[1].ConsensusKey = consensusKey("a")
		},
		"is to have none": func(g *creditv1.GenesisState) {
			g.Seats = append(g.Seats, seat("c", 0, 0))
		},
		"was cut and is to have power":    func(g *creditv1.GenesisState) { g.Seats[0].Cut = true },
		"the seat of a has power 1000001": func(g *creditv1.GenesisState) { g.Seats[0].Told++ },
		"in force add up to over":         func(g *creditv1.GenesisState) { g.Seats[1].Told++ },
		"power is in force":               func(g *creditv1.GenesisState) { g.Seats[0].Told = 0 },
		"b has power 400000 and a seat that": func(g *creditv1.GenesisState) {
			g.Seats = g.Seats[:1]
		},
		"a power that no holding has": func(g *creditv1.GenesisState) {
			g.Seats = append(g.Seats, seat("d", 5, 0))
		},
		"held a third of the power": func(g *creditv1.GenesisState) {
			g.Seats[1].Offline = 333_334
		},
		"an absence of 0102": func(g *creditv1.GenesisState) {
			g.Absences = []creditv1.Absence{{ConsensusAddress: []byte{1, 2}, Since: 1}}
		},
		"since block 0": func(g *creditv1.GenesisState) {
			g.Absences = []creditv1.Absence{{ConsensusAddress: make([]byte, 20)}}
		},
		"order of their addresses": func(g *creditv1.GenesisState) {
			a := creditv1.Absence{ConsensusAddress: make([]byte, 20), Since: 1}
			g.Absences = []creditv1.Absence{a, a}
		},
	} {
		g := valid()
		edit(&g)
		if err := credit.ValidateGenesis(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	// C20: power behind a key that nobody, or somebody else, has registered
	for _, owner := range []string{"", "b"} {
		c := empty()
		if owner != "" {
			c.known("a")
			for address := range c.owners {
				c.owners[address] = owner
			}
		}
		if _, err := c.InitGenesis(c.ctx, valid()); err == nil ||
			!strings.Contains(err.Error(), "is registered by") {
			t.Errorf("a key registered by %q: %v", owner, err)
		}
	}
}

// C18: lists come in pages of bounded size that follow each other to the end.
func TestListsArePaginated(t *testing.T) {
	weights, names := map[string]uint64{}, []string{}
	for i := range 250 {
		name := fmt.Sprintf("p%03d", i)
		names, weights[name] = append(names, name), 1
	}
	c := begin(t, credit.DefaultParams(), weights, names...)
	router := &services{}
	credit.NewAppModule(nil, c.Keeper).RegisterServices(router)
	var got []string
	seats, pages := 0, 0
	for key := []byte(nil); pages == 0 || key != nil; pages++ {
		res, err := router.query.Holdings(c.ctx,
			&creditv1.QueryHoldingsRequest{Pagination: &query.PageRequest{Key: key}})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range res.Holdings {
			got = append(got, h.Participant)
		}
		key = res.Pagination.NextKey
	}
	if diff := cmp.Diff(names, got); diff != "" || pages != 3 {
		t.Errorf("%d pages:\n%s", pages, diff)
	}
	for key, first := []byte(nil), true; first || key != nil; first = false {
		res, err := router.query.Seats(c.ctx,
			&creditv1.QuerySeatsRequest{Pagination: &query.PageRequest{Key: key, Limit: 60}})
		if err != nil || len(res.Seats) > 60 {
			t.Fatalf("%d seats, %v", len(res.Seats), err)
		}
		seats, key = seats+len(res.Seats), res.Pagination.NextKey
	}
	if seats != len(names) {
		t.Errorf("%d of %d seats are listed", seats, len(names))
	}
	for _, p := range []*query.PageRequest{{Limit: 1_001}, {CountTotal: true}, {Offset: 1}} {
		if _, err := router.query.Holdings(c.ctx,
			&creditv1.QueryHoldingsRequest{Pagination: p}); err == nil {
			t.Errorf("%v was answered", p)
		}
	}
}

// Benchmarks of what every block and every settlement cost, at 10,000 holders.
func BenchmarkTurns(b *testing.B) {
	weights, names := map[string]uint64{}, []string{}
	for i := range 10_000 {
		name := fmt.Sprintf("cpc1holder%05d", i)
		names, weights[name] = append(names, name), uint64(1000+i%997)
	}
	c := begin(b, credit.DefaultParams(), weights, names[:300]...)
	c.finalise(b, 1<<40, weights, names...)
	b.Run("EndBlock", func(b *testing.B) {
		for b.Loop() {
			c.block(b)
		}
	})
	b.Run("Finalise", func(b *testing.B) {
		for b.Loop() {
			c.settle(b, 1<<40, weights, names...)
		}
	})
	b.Run("Void", func(b *testing.B) {
		for b.Loop() {
			c.void(b, names, nil)
		}
	})
}
