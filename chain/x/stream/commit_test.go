// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/commit"
)

// attempt is a commit, and what it is held against.
type attempt struct {
	*chain
	t    *testing.T
	node streamv1.Node
	msg  *streamv1.MsgSubmitContinuousPoCCommit
	// unsigned: bent after it was signed
	unsigned bool
}

// fault is one thing that is wrong with an attempt.
type fault struct {
	name string
	want *errorsmod.Error
	make func(*attempt)
}

// faults in the order in which they are looked for; the first of a kind is held against the others.
func faults() []fault {
	return []fault{
		{"switched off", ErrOff, func(a *attempt) {
			p := DefaultParams()
			if err := a.terms.Set(a.ctx, testEpoch, streamv1.Terms{Epoch: testEpoch,
				Params: p}); err != nil {
				a.t.Fatal(err)
			}
		}},
		{"no terms of the epoch", ErrOff, func(a *attempt) {
			if err := a.terms.Remove(a.ctx, testEpoch); err != nil {
				a.t.Fatal(err)
			}
		}},
		{"a void epoch", ErrOff, func(a *attempt) { a.epoch.Void = true }},
		{"the epoch before", ErrWindow, func(a *attempt) { a.msg.EpochIndex = testEpoch - 1 }},
		{"the next epoch", ErrWindow, func(a *attempt) { a.msg.EpochIndex = testEpoch + 1 }},
		{"the last block of the compute window", ErrWindow, func(a *attempt) {
			a.ctx = a.ctx.WithBlockHeight(149)
		}},
		{"before the compute window is known", ErrWindow, func(a *attempt) {
			a.epoch.ComputeEnd = 0
		}},
		{"no member", ErrNode, func(a *attempt) { delete(a.members, "alice") }},
		{"jailed", ErrNode, func(a *attempt) {
			a.change(func(m *sprintv1.Member) { m.Jailed = true })
		}},
		{"a fraud", ErrNode, func(a *attempt) {
			a.change(func(m *sprintv1.Member) { m.Fraud = true })
		}},
		{"a false verdict", ErrNode, func(a *attempt) {
			a.change(func(m *sprintv1.Member) { m.ProvenFalse = true })
		}},
		{"a node that is not in the list", ErrNode, func(a *attempt) {
			a.change(func(m *sprintv1.Member) { m.Nodes = []string{"b"} })
		}},
		{"the second commit in a block", ErrBlock, func(a *attempt) { a.node.Height = testHeight }},
		{"the cap", ErrCap, func(a *attempt) { a.node.Commits = 100 }},
		{"the last number again", ErrNumber, func(a *attempt) { a.msg.Number = 3 }},
		{"a number below", ErrNumber, func(a *attempt) { a.msg.Number = 1 }},
		{"number 0", ErrNumber, func(a *attempt) { a.msg.Number = 0 }},
		{"a number beyond the largest", ErrNumber, func(a *attempt) {
			a.msg.Number = streamv1.MaxNumber + 1
		}},
		{"too few leaves", ErrFew, func(a *attempt) { a.msg.NonceCount = 9 }},
		{"no leaves", ErrFew, func(a *attempt) { a.msg.NonceCount = 0 }},
		{"utilisation", ErrUtilization, func(a *attempt) { a.msg.GpuUtilizationBps = 10_001 }},
		{"a short root", ErrRoot, func(a *attempt) { a.msg.RootHash = a.msg.RootHash[1:] }},
		{"a long root", ErrRoot, func(a *attempt) {
			a.msg.RootHash = append(bytes.Clone(a.msg.RootHash), 0)
		}},
		{"no root", ErrRoot, func(a *attempt) { a.msg.RootHash = nil }},
		{"the seed of this block", ErrSeed, func(a *attempt) { a.msg.SeedHeight = testHeight }},
		{"the seed of the last log", ErrSeed, func(a *attempt) { a.msg.SeedHeight = 170 }},
		{"a seed from before the last log", ErrSeed, func(a *attempt) { a.msg.SeedHeight = 169 }},
		{"a negative seed", ErrSeed, func(a *attempt) { a.msg.SeedHeight = math.MinInt64 }},
		{"a seed of the far future", ErrSeed, func(a *attempt) {
			a.msg.SeedHeight = math.MaxInt64
		}},
		{"more leaves than the bound", ErrGrowth, func(a *attempt) { a.node.SprintLeaves = 1 }},
		{"a signature that is bent", ErrSignature, func(a *attempt) { a.unsigned = true }},
	}
}

// change changes the member.
func (a *attempt) change(f func(*sprintv1.Member)) {
	m := a.members["alice"]
	f(&m)
	a.members["alice"] = m
}

// try makes an attempt with these faults and returns what was said. Whatever is refused has written
// nothing, and is not owed.
func try(t *testing.T, all ...fault) error {
	t.Helper()
	a := &attempt{chain: begin(t), t: t, node: streamv1.Node{SprintLeaves: 5_000, Commits: 3,
		Leaves: 900, Number: 3, SeedHeight: 170, Height: 185}}
	a.msg = a.message()
	for _, f := range all {
		f.make(a)
	}
	a.chain.node(t, a.node)
	if a.sign(a.msg); a.unsigned {
		a.msg.Signature[7] ^= 1
	}
	was := a.state()
	err := a.send(a.msg)
	if err == nil {
		return nil
	}
	if d := cmp.Diff(was, a.state()); d != "" {
		t.Errorf("a refused commit writes:\n%s", d)
	}
	if _, owed := a.Owed(a.ctx, a.msg); (owed == nil) != errors.Is(err, ErrSignature) {
		t.Errorf("refused (%v), and owed (%v)", err, owed)
	}
	return err
}

// Each refusal has a code of its own, writes nothing, and comes before those after it.
// Holds spec T-1, T-3.
func TestRefusalsOfACommit(t *testing.T) {
	all := faults()
	if err := try(t); err != nil {
		t.Fatalf("the set-up is refused: %v", err)
	}
	codes := map[uint32]string{}
	for i, f := range all {
		if err := try(t, f); !errors.Is(err, f.want) {
			t.Errorf("%s: %v, want code %d", f.name, err, f.want.ABCICode())
		}
		if i > 0 && all[i-1].want == f.want {
			continue // not the first of its kind
		}
		if other, twice := codes[f.want.ABCICode()]; twice {
			t.Errorf("%s has the code of %s", f.name, other)
		}
		codes[f.want.ABCICode()] = f.name
		if i > 0 && f.want.ABCICode() <= all[i-1].want.ABCICode() {
			t.Errorf("%s has code %d; codes are in the order of the checks", f.name,
				f.want.ABCICode())
		}
		for _, later := range all[i+1:] {
			if later.want == f.want {
				continue
			}
			if err := try(t, later, f); !errors.Is(err, f.want) {
				t.Errorf("%s and %s: %v, want code %d", f.name, later.name, err,
					f.want.ABCICode())
			}
		}
	}
	if len(codes) != 12 {
		t.Errorf("%d codes, want 12", len(codes))
	}
}

// A node's first commit needs a Sprint of the node, and its seed is from the compute window's last
// block on.
// Holds spec T-2, T-3.
func TestTheFirstCommitOfANode(t *testing.T) {
	for _, tc := range []struct {
		name   string
		seed   int64
		leaves uint64
		want   error
	}{
		{"nothing committed in the Sprint", 190, 0, ErrNode},
		{"the window's last block", 149, 5_000, nil},
		{"the one before", 148, 5_000, ErrSeed},
		{"the last block", 199, 5_000, nil},
	} {
		c := begin(t)
		c.leaves = tc.leaves
		m := c.message()
		m.Number, m.SeedHeight = 1, tc.seed
		c.sign(m)
		if err := c.send(m); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// A seed may be so many blocks old.
// Holds spec T-2.
func TestTheAgeOfASeed(t *testing.T) {
	for height, fits := range map[int64]bool{269: true, 270: false} {
		c := begin(t)
		c.ctx = c.ctx.WithBlockHeight(height)
		m := c.message()
		m.Number, m.SeedHeight = 1, 149
		c.sign(m)
		if err := c.send(m); (err == nil) != fits || err != nil && !errors.Is(err, ErrSeed) {
			t.Errorf("%d blocks old: %v", height-149, err)
		}
	}
}

// The bound is held to the leaf, over the time since the later of the seed and the last commit.
// Holds spec T-4.
func TestTheBoundIsHeldToTheLeaf(t *testing.T) {
	for _, tc := range []struct {
		name       string
		seed, last int64
		busy       uint32
		most       uint32
	}{
		// 5,000 leaves in 50 blocks are 100 a block; with 1.5 and 99.5 % of the idle part
		{"since the seed", 190, 185, 0, 1_492}, // 10 blocks
		{"since the last commit", 190, 195, 0, 746},
		{"half busy", 190, 185, 5_000, 746},
		{"a block", 199, 0, 0, 149},
	} {
		for over := range uint32(2) {
			c := begin(t)
			c.node(t, streamv1.Node{SprintLeaves: 5_000, Commits: 1, Leaves: 10, Number: 1,
				SeedHeight: 170, Height: tc.last})
			m := c.message()
			m.SeedHeight, m.GpuUtilizationBps, m.NonceCount = tc.seed, tc.busy, tc.most+over
			c.sign(m)
			want := []error{nil, ErrGrowth}[over]
			if err := c.send(m); !errors.Is(err, want) {
				t.Errorf("%s, %d leaves: %v", tc.name, m.NonceCount, err)
			}
		}
	}
	c := begin(t) // a machine that was busy all the time proves nothing
	m := c.message()
	m.GpuUtilizationBps = 10_000
	c.sign(m)
	if err := c.send(m); !errors.Is(err, ErrGrowth) {
		t.Errorf("busy all the time: %v", err)
	}
}

// A signature holds for one log alone.
func TestASignatureIsOfOneLog(t *testing.T) {
	other := commit.Hash(bytes.Repeat([]byte{77}, 32))
	for name, bend := range map[string]func(*commit.Statement){
		"chain":       func(s *commit.Statement) { s.Chain = "other" },
		"epoch":       func(s *commit.Statement) { s.Epoch++ },
		"segment":     func(s *commit.Statement) { s.Segment++ },
		"participant": func(s *commit.Statement) { s.Participant = "bob" },
		"node":        func(s *commit.Statement) { s.Node = "b" },
		"class":       func(s *commit.Statement) { s.Class = "small" },
		"Seed_1":      func(s *commit.Statement) { s.Seed1 = other },
		"seed":        func(s *commit.Statement) { s.SegmentSeed = other },
		"root":        func(s *commit.Statement) { s.Root = other },
		"count":       func(s *commit.Statement) { s.Count++ },
	} {
		c := begin(t)
		m := c.message()
		st := c.statement(m)
		bend(&st)
		m.Signature = st.Sign(c.host)
		if err := c.send(m); !errors.Is(err, ErrSignature) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	c := begin(t)
	m := c.message()
	for _, signature := range [][]byte{nil, make([]byte, 63), make([]byte, 64), make([]byte, 65)} {
		if m.Signature = signature; !errors.Is(c.send(m), ErrSignature) {
			t.Errorf("a signature of %d bytes is taken", len(signature))
		}
	}
}

// What is taken is recorded as it was sent, and sums grow as commits arrive.
func TestCommitsAndTheirSums(t *testing.T) {
	c := begin(t)
	p, err := c.termsOf(c.ctx, testEpoch)
	if err != nil {
		t.Fatal(err)
	}
	// of node a 100 and 200 leaves, of node b one log of 700
	var want []streamv1.Commit
	for _, l := range []struct {
		node   string
		number uint32
		count  uint32
		height int64
	}{{"a", 1, 100, 200}, {"b", 9, 700, 210}, {"a", 3, 200, 210}} { // numbers may have gaps
		c.ctx = c.ctx.WithBlockHeight(l.height)
		m := c.message()
		m.Node, m.Number, m.NonceCount, m.SeedHeight = l.node, l.number, l.count, l.height-8
		c.sign(m)
		if err := c.send(m); err != nil {
			t.Fatal(err)
		}
		st := c.statement(m)
		want = append(want, streamv1.Commit{Participant: "alice", Node: l.node, Number: l.number,
			Count: uint64(l.count), Root: m.RootHash, Signature: m.Signature, Height: l.height,
			SeedHeight: l.height - 8, Seed: st.SegmentSeed[:], InferenceCount: 4,
			GpuUtilizationBps: 2_500})
	}
	want[1], want[2] = want[2], want[1] // by node and number
	q := queryServer{c.Keeper}
	commits, err := q.Commits(c.ctx, &streamv1.QueryCommitsRequest{Participant: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, commits.Commits); d != "" {
		t.Errorf("commits (-want +got):\n%s", d)
	}
	nodes, err := q.Nodes(c.ctx, &streamv1.QueryNodesRequest{Epoch: testEpoch,
		Participant: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]streamv1.Node{
		{Participant: "alice", Node: "a", SprintLeaves: 5_000, Commits: 2, Leaves: 300, Number: 3,
			SeedHeight: 202, Height: 210},
		{Participant: "alice", Node: "b", SprintLeaves: 5_000, Commits: 1, Leaves: 700, Number: 9,
			SeedHeight: 202, Height: 210},
	}, nodes.Nodes); d != "" {
		t.Errorf("nodes (-want +got):\n%s", d)
	}
	sum := streamv1.Summary{Participant: "alice", EpochIndex: testEpoch, TotalNonces: 1_000,
		TotalInferences: 12, CommitCount: 3, LastCommitHeight: 210, EffectivePocWeight: 100}
	got, err := q.Summary(c.ctx, &streamv1.QuerySummaryRequest{Participant: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sum, got.Summary); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if _, err := q.Summary(c.ctx, &streamv1.QuerySummaryRequest{Participant: "bob"}); err == nil {
		t.Error("a summary of nobody")
	}
	if made, err := c.Owed(c.ctx.WithBlockHeight(220), c.further()); err != nil || made != 3 {
		t.Errorf("%d commits made, %v", made, err)
	}
	settled(t, c, p)
}

// further is one more commit of node a, in block 220.
func (c *chain) further() *streamv1.MsgSubmitContinuousPoCCommit {
	m := c.message()
	m.SeedHeight = 212
	return m
}

// settled holds what x/sprint asks of the streams of TestCommitsAndTheirSums.
func settled(t *testing.T, c *chain, p streamv1.Params) {
	t.Helper()
	claims, err := c.Claims(c.ctx, testEpoch)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]sprintv1.Claim{{Participant: "alice", Leaves: 1_000}}, claims); d != "" {
		t.Errorf("claims (-want +got):\n%s", d)
	}
	logs, err := c.Logs(c.ctx, testEpoch, "alice")
	if err != nil {
		t.Fatal(err)
	}
	order := ""
	for _, l := range logs {
		order += fmt.Sprintf("%s/%d ", l.Node, l.Segment)
	}
	if order != "a/1001 a/1003 b/1009 " {
		t.Errorf("logs %s", order)
	}
	half := func(node string, leaves uint64) uint64 { return leaves / 2 }
	only := func(node string, leaves uint64) uint64 {
		if node == "a" {
			return 0
		}
		return leaves
	}
	for _, tc := range []struct {
		credited func(string, uint64) uint64
		sprint   uint64
		want     uint64
	}{{half, 5_000, 15 + 35}, {only, 5_000, 70}, {half, 10, 20}, {half, 0, 0}} {
		if got, err := c.Weigh(c.ctx, testEpoch, "alice", tc.credited, tc.sprint); err != nil ||
			got != tc.want {
			t.Errorf("beside a Sprint of %d it counts %d, %v; want %d", tc.sprint, got, err,
				tc.want)
		}
	}
	if err := c.Settle(c.ctx, testEpoch, "alice", 42, true, "why"); err != nil {
		t.Fatal(err)
	}
	sum, ok, err := table.Find(c.ctx, c.summaries, collections.Join(uint64(testEpoch), "alice"))
	if err != nil || !ok || !sum.Settled || !sum.PenaltyApplied ||
		sum.EffectivePocWeight != 42 || sum.Reason != "why" ||
		sum.TotalNonces != 1_000 {
		t.Errorf("settled %v, %v", sum, err)
	}
	was := c.state()
	if err := c.Settle(c.ctx, testEpoch, "bob", 42, false, "why"); err != nil ||
		cmp.Diff(was, c.state()) != "" {
		t.Errorf("a stream that nobody made is settled: %v", err)
	}
}

// What a node's stream is held against is the whole of its Sprint, also where it first committed to
// its stream before the last segment was committed.
// Holds spec T-4, T-7.
func TestAStreamIsHeldAgainstTheWholeSprint(t *testing.T) {
	send := func(c *chain, number uint32, height int64, count uint32) {
		t.Helper()
		c.ctx = c.ctx.WithBlockHeight(height)
		m := c.message()
		m.Number, m.SeedHeight, m.NonceCount, m.GpuUtilizationBps = number, height-1, count, 0
		c.sign(m)
		if err := c.send(m); err != nil {
			t.Fatal(err)
		}
	}
	sum := func(c *chain) uint64 {
		t.Helper()
		s, _, err := table.Find(c.ctx, c.summaries, collections.Join(uint64(testEpoch), "alice"))
		if err != nil {
			t.Fatal(err)
		}
		return s.EffectivePocWeight
	}
	all := func(_ string, leaves uint64) uint64 { return leaves }
	c := begin(t)
	c.leaves = 400 // 400 in 50 blocks, with 1.5 and 99.5 %: 11 a block
	send(c, 1, 151, 11)
	c.leaves = 4_000 // the last segment is in
	if got, err := c.Weigh(c.ctx, testEpoch, "alice", func(string, uint64) uint64 {
		return 100_000
	}, 1<<40); err != nil || got != 8_000 {
		t.Errorf("counts %d at most, %v; want twice the whole Sprint", got, err)
	}
	send(c, 2, 160, 119)
	if got := sum(c); got != 13 {
		t.Errorf("the summary counts %d, want a tenth of 130", got)
	}
	c.leaves = 1 // is not asked again
	send(c, 3, 161, 119)
	if got, err := c.Weigh(c.ctx, testEpoch, "alice", all, 1<<40); err != nil || got != 24 ||
		sum(c) != 24 {
		t.Errorf("counts %d and %d, %v; want a tenth of 249", got, sum(c), err)
	}
}
