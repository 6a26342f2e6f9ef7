// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"strings"
	"testing"

	"cosmossdk.io/collections"
	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

// filled is a chain with so many epochs of streams of two participants, of two nodes and three logs
// each, and a pending change.
func filled(t testing.TB, epochs uint64) *chain {
	t.Helper()
	c := begin(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.terms.Remove(c.ctx, testEpoch))
	p := DefaultParams()
	p.GrowthBps = 20_000
	must(c.pending.Set(c.ctx, p))
	for epoch := uint64(1); epoch <= epochs; epoch++ {
		must(c.terms.Set(c.ctx, epoch, streamv1.Terms{Epoch: epoch, Params: LocalnetParams()}))
		for _, who := range []string{"alice", "bob"} {
			for _, node := range []string{"a", "b"} {
				must(c.nodes.Set(c.ctx, collections.Join3(epoch, who, node), streamv1.Node{
					Participant: who, Node: node, SprintLeaves: 50, Commits: 3, Leaves: 63,
					Number: 7, SeedHeight: 4, Height: 5}))
				for _, number := range []uint32{2, 3, 7} {
					must(c.commits.Set(c.ctx, collections.Join4(epoch, who, node, number),
						streamv1.Commit{Participant: who, Node: node, Number: number, Count: 21,
							Root: make([]byte, 32), Signature: make([]byte, 64),
							Seed: make([]byte, 32), Height: 5}))
				}
			}
			must(c.summaries.Set(c.ctx, collections.Join(epoch, who), streamv1.Summary{
				Participant: who, EpochIndex: epoch, TotalNonces: 126, CommitCount: 6,
				EffectivePocWeight: 12, Settled: epoch < epochs, Reason: "so"}))
		}
	}
	return c
}

// records of one epoch of filled: terms, two of 1 summary, 2 nodes and 6 logs.
const recordsPerEpoch = 1 + 2*(1+2+6)

// An export holds all state, imports, and is the same again; also in the middle of pruning.
func TestAnExportImportsTheSameState(t *testing.T) {
	for pruned := 0; pruned <= recordsPerEpoch; pruned++ {
		c := filled(t, 3)
		if n, err := c.Prune(c.ctx, 3, pruned); err != nil || n != pruned {
			t.Fatalf("pruned %d of %d: %v", n, pruned, err)
		}
		g, err := c.ExportGenesis(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		next := begin(t)
		if err := next.terms.Remove(next.ctx, testEpoch); err != nil {
			t.Fatal(err)
		}
		if err := next.InitGenesis(next.ctx, *g); err != nil {
			t.Fatalf("with %d pruned: %v", pruned, err)
		}
		if d := cmp.Diff(c.state(), next.state()); d != "" {
			t.Errorf("with %d pruned, stored (-before +after):\n%s", pruned, d)
		}
	}
}

// What blocks rely on is checked before anything is stored.
func TestGenesisIsChecked(t *testing.T) {
	if err := ValidateGenesis(*DefaultGenesis()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, says string
		bend       func(*streamv1.GenesisState)
	}{
		{"parameters", "nonce_weight", func(g *streamv1.GenesisState) { g.Params.NonceWeight = 0 }},
		{"pending parameters", "pending: stream: growth_bps", func(g *streamv1.GenesisState) {
			g.PendingParams.GrowthBps = 1
		}},
		{"terms", "terms of epoch 1: stream: growth_bps", func(g *streamv1.GenesisState) {
			g.Terms[0].Params.GrowthBps = 0
		}},
		{"terms of no epoch", "of no epoch", func(g *streamv1.GenesisState) {
			g.Terms[1].Epoch = 0
		}},
		{"terms twice", "twice", func(g *streamv1.GenesisState) { g.Terms[1].Epoch = 1 }},
		{"a state without terms", "no terms", func(g *streamv1.GenesisState) {
			g.States[1].Epoch = 9
		}},
		{"a state twice", "twice", func(g *streamv1.GenesisState) {
			g.States = append(g.States, g.States[0])
		}},
		{"a node without a name", "no name", func(g *streamv1.GenesisState) {
			g.States[0].Nodes[0].Node = ""
		}},
		{"a node of nobody", "no name", func(g *streamv1.GenesisState) {
			g.States[0].Nodes[0].Participant = ""
		}},
		{"a node without a Sprint", "no Sprint", func(g *streamv1.GenesisState) {
			g.States[0].Nodes[0].SprintLeaves = 0
		}},
		{"a node twice", "twice", func(g *streamv1.GenesisState) {
			g.States[0].Nodes[1] = g.States[0].Nodes[0]
		}},
		{"log 0", "log 0", func(g *streamv1.GenesisState) { g.States[0].Commits[0].Number = 0 }},
		{"a log beyond the node's last", "log 8", func(g *streamv1.GenesisState) {
			g.States[0].Commits[2].Number = 8
		}},
		{"a log of no leaves", "0 leaves", func(g *streamv1.GenesisState) {
			g.States[0].Commits[0].Count = 0
		}},
		{"a log of too many", "leaves", func(g *streamv1.GenesisState) {
			g.States[0].Commits[0].Count = 1 << 32
		}},
		{"a short root", "root of 31", func(g *streamv1.GenesisState) {
			g.States[0].Commits[0].Root = make([]byte, 31)
		}},
		{"a short signature", "signature of 63", func(g *streamv1.GenesisState) {
			g.States[0].Commits[0].Signature = make([]byte, 63)
		}},
		{"a short seed", "seed of 31", func(g *streamv1.GenesisState) {
			g.States[0].Commits[0].Seed = make([]byte, 31)
		}},
		{"a log of no node", "no such node", func(g *streamv1.GenesisState) {
			g.States[0].Commits[0].Node = "c"
		}},
		{"a log twice", "twice", func(g *streamv1.GenesisState) {
			g.States[0].Commits[1] = g.States[0].Commits[0]
		}},
		{"more leaves than the node has", "its record says", func(g *streamv1.GenesisState) {
			g.States[0].Nodes[0].Leaves = 62
		}},
		{"more logs than the node has", "its record says", func(g *streamv1.GenesisState) {
			g.States[0].Nodes[0].Commits = 2
		}},
		{"a summary of another epoch", "summary", func(g *streamv1.GenesisState) {
			g.States[0].Summaries[0].EpochIndex = 2
		}},
		{"a summary of nobody", "summary", func(g *streamv1.GenesisState) {
			g.States[0].Summaries[0].Participant = ""
		}},
		{"a summary twice", "twice", func(g *streamv1.GenesisState) {
			g.States[0].Summaries[1] = g.States[0].Summaries[0]
		}},
	} {
		c := filled(t, 2)
		g, err := c.ExportGenesis(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := ValidateGenesis(*g); err != nil {
			t.Fatalf("the set-up: %v", err)
		}
		tc.bend(g)
		err = ValidateGenesis(*g)
		if err == nil || !strings.Contains(err.Error(), tc.says) ||
			strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
		was := c.state()
		if c.InitGenesis(c.ctx, *g) == nil || cmp.Diff(was, c.state()) != "" {
			t.Errorf("%s is stored", tc.name)
		}
	}
}

// Pruning drops everything of streams that were settled before an epoch, a few records at a time,
// and nothing else. A stream is settled in the epoch after its own.
// Holds spec T-9.
func TestPruneDropsWhatWasSettled(t *testing.T) {
	const limit = 4
	c, want := filled(t, 4), filled(t, 4)
	all := 0
	for {
		before := len(c.state())
		n, err := c.Prune(c.ctx, 4, limit)
		if err != nil {
			t.Fatal(err)
		}
		if n > limit || before-len(c.state()) != n {
			t.Fatalf("says %d, dropped %d, may %d", n, before-len(c.state()), limit)
		}
		if all += n; n == 0 {
			break
		}
	}
	if all != 2*recordsPerEpoch { // epochs 1 and 2, settled in 2 and 3
		t.Errorf("dropped %d records, want %d", all, 2*recordsPerEpoch)
	}
	left := want.state()
	for key := range left {
		for _, p := range []collections.Prefix{prefixTerms, prefixNodes, prefixCommits,
			prefixSummaries} {
			if bytes.HasPrefix([]byte(key), p.Bytes()) && key[len(p.Bytes())+7] <= 2 {
				delete(left, key)
			}
		}
	}
	if d := cmp.Diff(left, c.state()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, before := range []uint64{0, 1} {
		if n, err := c.Prune(c.ctx, before, 100); n != 0 || err != nil {
			t.Errorf("before epoch %d: dropped %d, %v", before, n, err)
		}
	}
	if n, err := c.Prune(c.ctx, 9, 0); n != 0 || err != nil {
		t.Errorf("with no limit left: dropped %d, %v", n, err)
	}
}

// The window says why it is open or not, and until when that holds.
// Holds spec T-1.
func TestTheWindowSaysWhyAndUntilWhen(t *testing.T) {
	for _, tc := range []struct {
		name, reason string
		bend         func(*chain)
		open         bool
		from, until  int64
	}{
		{"open", "until epoch 8 begins", func(*chain) {}, true, 150, 1_080},
		{"later than epochs are apart", "until epoch 8 begins", func(c *chain) {
			c.epoch.Params.EpochBlocks = 20
		}, true, 150, 201},
		{"no epoch yet", "no epoch has begun", func(c *chain) {
			c.current, c.epoch.Number, c.epoch.ComputeEnd = 0, 0, 0
		}, false, 0, 0},
		{"off", "enable_continuous_poc", func(c *chain) {
			p := LocalnetParams()
			p.EnableContinuousPoc = false
			if err := c.terms.Set(c.ctx, testEpoch, streamv1.Terms{Epoch: testEpoch,
				Params: p}); err != nil {
				t.Fatal(err)
			}
		}, false, 150, 0},
		{"void", "epoch 7 is void: few are live", func(c *chain) {
			c.epoch.Void, c.epoch.VoidReason = true, "few are live"
		}, false, 150, 0},
		{"before the window is known", "begins after its compute window", func(c *chain) {
			c.epoch.Phase, c.epoch.ComputeEnd = sprintv1.PhasePrepare, 0
		}, false, 0, 0},
		{"in the compute window", "begins after its compute window", func(c *chain) {
			c.epoch.ComputeEnd = 230
		}, false, 231, 230},
		{"the compute window's last block is the next", "begins after its compute window",
			func(c *chain) { c.epoch.ComputeEnd = 201 }, false, 202, 201},
		{"the window's first block is the next", "until epoch 8 begins", func(c *chain) {
			c.epoch.ComputeEnd = 200
		}, true, 201, 1_080},
	} {
		c := begin(t)
		tc.bend(c)
		w, err := queryServer{c.Keeper}.Window(c.ctx, &streamv1.QueryWindowRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if w.Open != tc.open || w.From != tc.from || w.Until != tc.until ||
			!strings.Contains(w.Reason, tc.reason) || w.Epoch != c.current {
			t.Errorf("%s: %v", tc.name, w)
		}
	}
}

// Summaries are asked for by epoch; without one, those of the current.
func TestSummariesAreListedByEpoch(t *testing.T) {
	c := filled(t, 2)
	res, err := queryServer{c.Keeper}.Summaries(c.ctx, &streamv1.QuerySummariesRequest{Epoch: 1})
	if err != nil || len(res.Summaries) != 2 || res.Summaries[0].Participant != "alice" ||
		!res.Summaries[1].Settled || res.Summaries[1].EpochIndex != 1 {
		t.Errorf("%v, %v", res, err)
	}
	c.current = 2
	res, err = queryServer{c.Keeper}.Summaries(c.ctx, &streamv1.QuerySummariesRequest{})
	if err != nil || len(res.Summaries) != 2 || res.Summaries[0].EpochIndex != 2 {
		t.Errorf("of the current epoch: %v, %v", res, err)
	}
}
