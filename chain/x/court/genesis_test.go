// SPDX-License-Identifier: Apache-2.0

package court_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/x/court"
)

// bytesOf is the whole store.
func (c *chain) bytesOf() map[string]string {
	all := map[string]string{}
	it := c.ctx.KVStore(c.store).Iterator(nil, nil)
	defer it.Close()
	for ; it.Valid(); it.Next() {
		all[string(it.Key())] = string(it.Value())
	}
	return all
}

// C20: any state that claims and judgements lead to is exported and imported to the byte.
func TestGenesisIsExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := begin(t)
		c.deposits["eve"] = 100
		for range rapid.IntRange(0, 30).Draw(r, "steps") {
			switch rapid.IntRange(0, 5).Draw(r, "step") {
			case 0:
				c.block()
			case 1:
				if _, err := c.Prune(c.ctx, 8, 2); err != nil {
					r.Fatal(err)
				}
			default:
				l := leaf(rapid.SampledFrom([]string{"ann", "bob", "eve"}).Draw(r, "owner"),
					rapid.Uint64Max(3).Draw(r, "nonce"))
				c.forged[l] = l.Nonce%2 == 0
				claim := courtv1.Claim{Epoch: rapid.Uint64Range(7, 8).Draw(r, "epoch"), Leaf: l,
					Source: courtv1.Source(rapid.Int32Range(1, 3).Draw(r, "source"))}
				if claim.Source != courtv1.SourceChain {
					claim.Claimant = rapid.SampledFrom([]string{"ann", "bob", "eve"}).Draw(r,
						"claimant")
				}
				_ = c.File(c.ctx, claim) // may be refused
			}
		}
		if rapid.Bool().Draw(r, "voted") {
			g, err := c.ExportGenesis(c.ctx)
			if err != nil {
				r.Fatal(err)
			}
			voted := court.LocalnetParams()
			g.PendingParams = &voted
			if c = begin(t); c.InitGenesis(c.ctx, *g) != nil {
				r.Fatal("refused")
			}
		}
		g, err := c.ExportGenesis(c.ctx)
		if err != nil {
			r.Fatal(err)
		}
		again := begin(t)
		if err := again.InitGenesis(again.ctx, *g); err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(c.bytesOf(), again.bytesOf()); diff != "" {
			r.Fatalf("the store differs (-exported +imported):\n%s", diff)
		}
	})
}

func TestGenesisRefuses(t *testing.T) {
	const bond = "10000000000000000000"
	good := func() courtv1.GenesisState {
		g := *court.DefaultGenesis()
		g.Next = 5
		g.Claims = []courtv1.Queued{
			{Number: 2, Claim: courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 1),
				Source: courtv1.SourceChain}},
			{Number: 4, Claim: courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 2), Claimant: "eve",
				Source: courtv1.SourceDispute, Bond: bond}},
		}
		for i := range uint64(2) {
			g.Judgements = append(g.Judgements, courtv1.Judgement{Epoch: 7, Leaf: leaf("bob", i),
				Digest: make([]byte, 32), Middle: make([]byte, 32)})
		}
		g.Claimants = []courtv1.Claimant{{Epoch: 7, Participant: "ann"},
			{Epoch: 7, Participant: "bob"}}
		return g
	}
	if err := court.ValidateGenesis(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*courtv1.GenesisState)
		want   string
	}{
		"no budget": {func(g *courtv1.GenesisState) {
			g.Params.JudgeMiopsPerBlock = 0
		}, "judge_miops_per_block"},
		"pending without a term": {func(g *courtv1.GenesisState) {
			p := g.Params
			p.JailEpochs = 0
			g.PendingParams = &p
		}, "pending_params"},
		"a number twice": {func(g *courtv1.GenesisState) {
			g.Claims[1].Number = 2
		}, "out of order"},
		"a number to come": {func(g *courtv1.GenesisState) { g.Next = 4 }, "out of order"},
		"a claim of nobody": {func(g *courtv1.GenesisState) {
			g.Claims[1].Claim.Claimant = ""
		}, "claimant"},
		"the chain under a name": {func(g *courtv1.GenesisState) {
			g.Claims[0].Claim.Claimant = "eve"
		}, "claimant"},
		"no source": {func(g *courtv1.GenesisState) { g.Claims[1].Claim.Source = 0 }, "source"},
		"an unknown source": {func(g *courtv1.GenesisState) {
			g.Claims[1].Claim.Source = 9
		}, "source"},
		"a bond of a verdict": {func(g *courtv1.GenesisState) {
			g.Claims[1].Claim.Source = courtv1.SourceVerdict
		}, "bond"},
		"a bond of the chain": {func(g *courtv1.GenesisState) {
			g.Claims[0].Claim.Bond = bond
		}, "bond"},
		"a bond that is no number": {func(g *courtv1.GenesisState) {
			g.Claims[1].Claim.Bond = "ten"
		}, "bond"},
		"a bond below nothing": {func(g *courtv1.GenesisState) {
			g.Claims[1].Claim.Bond = "-10"
		}, "bond"},
		"a bond with a leading zero": {func(g *courtv1.GenesisState) {
			g.Claims[1].Claim.Bond = "010"
		}, "bond"},
		"a short digest": {func(g *courtv1.GenesisState) {
			g.Judgements[0].Digest = make([]byte, 31)
		}, "31"},
		"no middle": {func(g *courtv1.GenesisState) {
			g.Judgements[1].Middle = nil
		}, "middle of 0"},
		"a leaf judged twice": {func(g *courtv1.GenesisState) {
			g.Judgements[1].Leaf = g.Judgements[0].Leaf
		}, "out of order"},
		"judgements out of order": {func(g *courtv1.GenesisState) {
			g.Judgements[1].Epoch = 6
		}, "out of order"},
		"a claimant twice": {func(g *courtv1.GenesisState) {
			g.Claimants[1].Participant = "ann"
		}, "out of order"},
		"claimants out of order": {func(g *courtv1.GenesisState) {
			g.Claimants[1].Epoch = 6
		}, "out of order"},
		"a claimant without a name": {func(g *courtv1.GenesisState) {
			g.Claimants[0].Participant = ""
		}, "out of order"},
	} {
		g := good()
		c.change(&g)
		if err := court.ValidateGenesis(g); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Bounds that no vote passes.
func TestParamsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*courtv1.Params)
		ok     bool
	}{
		{"as they are", func(*courtv1.Params) {}, true},
		{"a unit of small", func(p *courtv1.Params) { p.JudgeMiopsPerBlock = 1 << 10 }, true},
		{"less", func(p *courtv1.Params) { p.JudgeMiopsPerBlock = 1<<10 - 1 }, false},
		{"32 x 2^30 operations", func(p *courtv1.Params) { p.JudgeMiopsPerBlock = 32 << 10 }, true},
		{"more", func(p *courtv1.Params) { p.JudgeMiopsPerBlock = 32<<10 + 1 }, false},
		{"no term", func(p *courtv1.Params) { p.JailEpochs = 0 }, false},
		{"a long one", func(p *courtv1.Params) { p.JailEpochs = 10_000 }, true},
		{"a longer one", func(p *courtv1.Params) { p.JailEpochs = 10_001 }, false},
		{"0.1 CPC", func(p *courtv1.Params) { p.ClaimBond = "100000000000000000" }, true},
		{"less", func(p *courtv1.Params) { p.ClaimBond = "99999999999999999" }, false},
		{"100,000 CPC", func(p *courtv1.Params) { p.ClaimBond = "100000000000000000000000" }, true},
		{"more", func(p *courtv1.Params) { p.ClaimBond = "100000000000000000000001" }, false},
		{"no bond", func(p *courtv1.Params) { p.ClaimBond = "" }, false},
		{"another spelling", func(p *courtv1.Params) {
			p.ClaimBond = "+100000000000000000"
		}, false},
	} {
		p := court.DefaultParams()
		c.change(&p)
		if err := court.ValidateParams(p); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := court.ValidateParams(court.LocalnetParams()); err != nil {
		t.Error(err)
	}
}
