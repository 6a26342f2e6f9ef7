// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/assaynet/assay/adversary"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	statement "github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
)

// refusal is a message that must change nothing, with the reason that must be given.
type refusal struct {
	name string
	msg  sdk.Msg
	err  error
	text string
}

// refuses gives each message to the state as it is. The handler itself must have written nothing:
// that the transaction around it would be rolled back is no excuse here.
func (n *network) refuses(t *testing.T, cases ...refusal) {
	t.Helper()
	for _, c := range cases {
		ctx := n.scratch()
		n.refusesIn(t, ctx, c)
	}
}

func (n *network) refusesIn(t *testing.T, ctx sdk.Context, c refusal) {
	t.Helper()
	before := n.state(ctx)
	err := n.handle(ctx, c.msg)
	switch {
	case err == nil:
		t.Errorf("%s: accepted", c.name)
	case !errors.Is(err, c.err):
		t.Errorf("%s: refused with %v; want %v", c.name, err, c.err)
	case !strings.Contains(err.Error(), c.text):
		t.Errorf("%s: refused with %q, which does not say %q", c.name, err, c.text)
	case !bytes.Equal(before, n.state(ctx)):
		t.Errorf("%s: refused, but the state changed", c.name)
	}
}

// crowd is four members, one without weight and one in jail.
func crowd(t *testing.T) *network {
	return startNamed(t, []string{"p1", "p2", "p3", "p4", "fresh", "jailed"},
		func(name string) uint64 {
			if name == "fresh" {
				return 0
			}
			return 1000
		}, withJailed("jailed", 50))
}

// with copies a message and changes the copy.
func with[M any](msg *M, change func(*M)) *M {
	c := *msg
	change(&c)
	return &c
}

// Holds spec S-5.
func TestReadinessRefused(t *testing.T) {
	n := crowd(t)
	n.host("p1").cheat.absent = func(uint64) bool { return true }
	p1, p2 := n.host("p1"), n.host("p2")
	n.step()
	n.refuses(t, refusal{"before Seed_1", p1.ready(n.now()), sprint.ErrPhase,
		"between Seed_1 and the compute window"})
	n.finish(1)
	e := n.until("Seed_1 of epoch 2", func(e sprintv1.Epoch) bool {
		return e.Number == 2 && len(e.Seed1) > 0
	})
	good := p1.ready(n.now())
	if err := n.handle(n.scratch(), good); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	old, err := n.app.Beacon.Value(n.ctx(), 2)
	if err != nil {
		t.Fatal(err)
	}
	beat := func(key ed25519.PrivateKey, epoch uint64, height int64,
		value seed.Seed) func(*sprintv1.MsgReady) {
		return func(m *sprintv1.MsgReady) {
			if m.Signature, err = registry.Beat(key, chainID, p1.addr, epoch,
				height, value); err != nil {
				t.Fatal(err)
			}
			m.Height = height
		}
	}
	n.refuses(t,
		refusal{"stale heartbeat", with(good, beat(p1.consensus, 2, 2, old)), sprint.ErrInvalid,
			"at most 20 blocks old"},
		refusal{"heartbeat of a block to come",
			with(good, beat(p1.consensus, 2, n.height+1, n.value)), sprint.ErrInvalid,
			"heartbeat over height"},
		refusal{"heartbeat over a value that is not the block's",
			with(good, beat(p1.consensus, 2, n.height, old)), sprint.ErrInvalid,
			"did not sign epoch 2"},
		refusal{"another's consensus key", with(good, beat(p2.consensus, 2, n.height, n.value)),
			sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"the host's key in the consensus key's place",
			with(good, beat(p1.key, 2, n.height, n.value)), sprint.ErrInvalid,
			"did not sign epoch 2"},
		refusal{"another's heartbeat", with(p2.ready(n.now()), func(m *sprintv1.MsgReady) {
			m.Participant = p1.addr
		}), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"heartbeat of another epoch", with(good, beat(p1.consensus, 1, n.height, n.value)),
			sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"no signature", with(good, func(m *sprintv1.MsgReady) {
			m.Signature = nil
		}), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"height below 0", with(good, func(m *sprintv1.MsgReady) {
			m.Height = -5
		}), sprint.ErrInvalid, "heartbeat over height"},
		refusal{"another epoch", with(good, func(m *sprintv1.MsgReady) {
			m.Epoch = 1
		}), sprint.ErrPhase, "the chain is in epoch 2"},
		refusal{"unknown participant", with(good, func(m *sprintv1.MsgReady) {
			m.Participant = newHost("stranger").addr
		}), registry.ErrUnknown, "not a participant"},
		refusal{"commit before the window",
			p2.signCommit(e, &sprintv1.MsgCommit{Participant: p2.addr, Epoch: 2, Segment: 1,
				Node: "gpu-1", Count: 1, Root: make([]byte, 32)}), sprint.ErrPhase,
			"has no segment 1 yet"},
	)
	n.step()
	n.refuses(t, refusal{"twice", p2.ready(n.now()), sprint.ErrDone, "ready already"})
}

// Holds spec S-8.
func TestCommitsRefused(t *testing.T) {
	n := crowd(t)
	e := n.phase(1, sprintv1.PhaseCompute)
	p1, p2 := n.host("p1"), n.host("p2")
	commit := func(h *host, segment uint32) *sprintv1.MsgCommit {
		return h.signCommit(e, &sprintv1.MsgCommit{Participant: h.addr, Epoch: 1, Segment: segment,
			Node: "gpu-1", Count: 10, Root: bytes.Repeat([]byte{7}, 32)})
	}
	signed := func(h *host, change func(*sprintv1.MsgCommit)) *sprintv1.MsgCommit {
		return h.signCommit(e, with(commit(h, 1), change))
	}
	if n.height+1 != e.Segments[0].Start {
		t.Fatalf("the set-up: the next block is %d, segment 1 starts with %d", n.height+1,
			e.Segments[0].Start)
	}
	n.refuses(t, refusal{"in the segment's first block, whose end only makes its seed known",
		commit(p1, 1), sprint.ErrPhase, "is committed in blocks"})
	n.step()
	e = n.now().Epoch
	if err := n.handle(n.scratch(), commit(p1, 1)); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t,
		refusal{"segment to come", commit(p1, 2), sprint.ErrPhase, "is committed in blocks"},
		refusal{"segment 0", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Segment = 0
		}), sprint.ErrPhase, "no segment 0"},
		refusal{"segment beyond the last", signed(p1,
			func(m *sprintv1.MsgCommit) { m.Segment = 3 }), sprint.ErrPhase, "no segment 3"},
		refusal{"unknown participant",
			signed(newHostOf(n, "stranger"), func(*sprintv1.MsgCommit) {}), sprint.ErrNotMember,
			"takes no part"},
		refusal{"unknown node", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Node = "gpu-9"
		}), sprint.ErrNotMember, "has no node \"gpu-9\""},
		refusal{"jailed", commit(n.host("jailed"), 1), sprint.ErrNotMember, "is jailed"},
		refusal{"count 0", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Count = 0
		}), sprint.ErrInvalid, "count 0"},
		refusal{"count 2^48", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Count = 1 << 48
		}), sprint.ErrInvalid, "2^48"},
		refusal{"count 2^64-1", signed(p1,
			func(m *sprintv1.MsgCommit) { m.Count = 1<<64 - 1 }), sprint.ErrInvalid, "2^48"},
		refusal{"short root", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Root = m.Root[:31]
		}), sprint.ErrInvalid, "root has 31 bytes"},
		refusal{"long root", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Root = append(m.Root[:32:32], 1)
		}), sprint.ErrInvalid, "root has 33 bytes"},
		refusal{"signed by another host", with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
			m.Signature = with(p2, func(h *host) {
				h.addr = p1.addr
			}).signCommit(e, with(m, func(*sprintv1.MsgCommit) {})).Signature
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"signed for another count", with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
			m.Count++
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"signed for another root", with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
			m.Root = make([]byte, 32)
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"C23: signed for another Seed_1", p1.signCommit(*with(&e, func(e *sprintv1.Epoch) {
			e.Seed1 = e.Seed2
		}), commit(p1, 1)), sprint.ErrInvalid, "host key does not sign"},
		refusal{"C23: signed for another segment's seed",
			p1.signCommit(*with(&e, func(e *sprintv1.Epoch) {
				e.Segments = []sprintv1.Segment{{Seed: e.Seed1}}
			}), commit(p1, 1)), sprint.ErrInvalid, "host key does not sign"},
		refusal{"C23: signed without seeds, as version 1",
			with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
				st := statement.Statement{Chain: chainID, Epoch: 1, Segment: 1,
					Participant: p1.addr,
					Node:        "gpu-1", Class: e.Params.Class, Root: statement.Hash(m.Root),
					Count: m.Count}
				m.Signature = ed25519.Sign(p1.key, st.SignBytes1())
			}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"another's commit as one's own", with(commit(p2, 1), func(m *sprintv1.MsgCommit) {
			m.Participant = p1.addr
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"no signature", with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
			m.Signature = nil
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"another epoch", signed(p1, func(m *sprintv1.MsgCommit) {
			m.Epoch = 2
		}), sprint.ErrPhase, "the message is for epoch 2"},
		refusal{"opening outside its phase", &sprintv1.MsgOpen{Participant: p1.addr, Epoch: 1},
			sprint.ErrPhase, "proof phase"},
		refusal{"verdict outside its phase", &sprintv1.MsgCommitVerdict{Participant: p1.addr,
			Epoch: 1, Hash: make([]byte, 32)}, sprint.ErrPhase, "taken in validate"},
		refusal{"dispute outside its phase", &sprintv1.MsgDispute{Participant: p1.addr, Epoch: 1},
			sprint.ErrPhase, "dispute window"},
	)
	n.until("commits of segment 1", func(sprintv1.Epoch) bool { return p1.sent["commit/gpu-1/1"] })
	n.refuses(t, refusal{"second commit", commit(p1, 1), sprint.ErrDone, "committed once"})
	n.until("the last block for segment 1",
		func(sprintv1.Epoch) bool { return n.height == e.Segments[0].CommitUntil })
	n.refuses(t, refusal{"after its window", commit(n.host("fresh"), 1), sprint.ErrPhase,
		"is committed in blocks"})
}

// newHostOf makes a host that knows the network but is unknown to it.
func newHostOf(n *network, name string) *host {
	h := newHost(name, "gpu-1")
	h.net = n
	return h
}

// Holds spec S-13.
func TestOpeningsRefused(t *testing.T) {
	n := startNamed(t, []string{"p1", "p2", "p3", "p4"},
		func(string) uint64 { return 1000 }, withNodes("p1", "gpu-1", "gpu-2"))
	p1, idle := n.host("p1"), n.host("p4")
	idle.cheat.count = func(string, uint32) int { return 0 }
	for _, h := range n.hosts {
		h.cheat.count = or(h.cheat.count, func(string, uint32) int { return 40 })
	}
	e := n.phase(1, sprintv1.PhaseProof)
	good := p1.opening(e, false)
	if err := n.handle(n.scratch(), good); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	bent := func(change func(*sprintv1.MsgOpen)) *sprintv1.MsgOpen {
		c := &sprintv1.MsgOpen{}
		raw, err := good.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Unmarshal(raw); err != nil {
			t.Fatal(err)
		}
		change(c)
		return c
	}
	longest := 0
	for i, l := range good.Logs {
		if len(l.Proof) > len(good.Logs[longest].Proof) {
			longest = i
		}
	}
	n.refuses(t,
		refusal{"wrong leaf", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[0].Leaves[9] ^= 1
		}), sprint.ErrInvalid, "leads to another root"},
		refusal{"wrong norm", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[0].Leaves[0] ^= 1
		}), sprint.ErrInvalid, "leads to another root"},
		refusal{"leaves of other indices", bent(func(m *sprintv1.MsgOpen) {
			l := m.Logs[0].Leaves
			m.Logs[0].Leaves = append(slices.Clone(l[40:80]),
				append(slices.Clone(l[:40]), l[80:]...)...)
		}), sprint.ErrInvalid, "leads to another root"},
		refusal{"a leaf left out", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[0].Leaves = m.Logs[0].Leaves[40:]
		}), sprint.ErrInvalid, "leaves were drawn"},
		refusal{"a leaf too many", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[0].Leaves = append(m.Logs[0].Leaves, make([]byte, 40)...)
		}), sprint.ErrInvalid, "leaves were drawn"},
		refusal{"half a leaf", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[0].Leaves = m.Logs[0].Leaves[:60]
		}), sprint.ErrInvalid, "leaves were drawn"},
		refusal{"truncated proof", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[longest].Proof = m.Logs[longest].Proof[32:]
		}), sprint.ErrInvalid, "too short"},
		refusal{"half a hash", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[longest].Proof = m.Logs[longest].Proof[1:]
		}), sprint.ErrInvalid, "proof of log"},
		refusal{"a hash too many", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[longest].Proof = append(m.Logs[longest].Proof, make([]byte, 32)...)
		}), sprint.ErrInvalid, "log gpu-"},
		refusal{"a proof of a million hashes", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[longest].Proof = make([]byte, 32<<20)
		}), sprint.ErrInvalid, "proof of log"},
		refusal{"a log left out", bent(func(m *sprintv1.MsgOpen) {
			m.Logs = m.Logs[1:]
		}), sprint.ErrInvalid, "logs opened"},
		refusal{"a log too many", bent(func(m *sprintv1.MsgOpen) {
			m.Logs = append(m.Logs, m.Logs[0])
		}), sprint.ErrInvalid, "logs opened"},
		refusal{"logs out of order", bent(func(m *sprintv1.MsgOpen) {
			slices.Reverse(m.Logs)
		}), sprint.ErrInvalid, "the draw wants"},
		refusal{"a log under another node's name", bent(func(m *sprintv1.MsgOpen) {
			m.Logs[0].Node = "gpu-2"
		}), sprint.ErrInvalid, "the draw wants"},
		refusal{"another's opening", bent(func(m *sprintv1.MsgOpen) {
			m.Participant = n.host("p2").addr
		}), sprint.ErrInvalid, "opening refused"},
		refusal{"nothing at all", &sprintv1.MsgOpen{Participant: p1.addr, Epoch: 1},
			sprint.ErrInvalid, "0 logs opened"},
		refusal{"by one that committed nothing", bent(func(m *sprintv1.MsgOpen) {
			m.Participant = idle.addr
		}), sprint.ErrNotDrawn, "committed no leaves in the Sprint of epoch 1"},
		refusal{"by a stranger", bent(func(m *sprintv1.MsgOpen) {
			m.Participant = newHost("stranger").addr
		}), sprint.ErrNotDrawn, "committed no leaves"},
		refusal{"commit of a segment long over", p1.commitMsg(e, "gpu-1", 1), sprint.ErrPhase,
			"is committed in blocks"},
	)
	n.host("p2").cheat.open = adversary.WithholdOpening // keeps the phase open
	n.step()
	n.refuses(t, refusal{"second opening", good, sprint.ErrDone, "opened its leaves already"})
}

func or[T any](f, g func(string, uint32) T) func(string, uint32) T {
	if f != nil {
		return f
	}
	return g
}

// Holds spec J-8.
func TestDisputesRefused(t *testing.T) {
	n := crowd(t)
	p1, p2, mute := n.host("p1"), n.host("p2"), n.host("p4")
	mute.cheat.reveal = never
	n.host("p3").cheat.opinion = abstain
	e := n.phase(1, sprintv1.PhaseDispute)
	checked := n.checks(e, p1.addr, false).Leaves
	at := slices.IndexFunc(checked, func(l courtv1.LeafRef) bool {
		return l.Participant == p2.addr
	})
	if at < 0 {
		t.Fatal("the set-up: p1 opened no middle digest of p2")
	}
	good := &sprintv1.MsgDispute{Participant: p1.addr, Epoch: 1, Leaf: checked[at]}
	voter := func(of string) *sprintv1.MsgDispute {
		return with(good, func(m *sprintv1.MsgDispute) { m.Voter = n.host(of).addr })
	}
	moved := func(change func(*courtv1.LeafRef)) *sprintv1.MsgDispute {
		return with(good, func(m *sprintv1.MsgDispute) { change(&m.Leaf) })
	}
	for _, m := range []*sprintv1.MsgDispute{good, voter("p1")} {
		if err := n.handle(n.scratch(), m); err != nil {
			t.Fatalf("the set-up: %v", err)
		}
	}
	undrawn := uint64(0)
	for slices.ContainsFunc(n.samples(1, p2.addr, false),
		func(l courtv1.LeafRef) bool { return l.Segment == 1 && l.Nonce == undrawn }) {
		undrawn++
	}
	unchecked := n.samples(1, p2.addr, false)
	unchecked = slices.DeleteFunc(unchecked,
		func(l courtv1.LeafRef) bool { return slices.Contains(checked, l) })
	const undrawnText = "was not drawn and opened"
	n.refuses(t,
		refusal{"an undrawn leaf", moved(func(l *courtv1.LeafRef) {
			l.Segment, l.Nonce = 1, undrawn
		}), sprint.ErrInvalid, undrawnText},
		refusal{"a leaf beyond the log", moved(func(l *courtv1.LeafRef) {
			l.Nonce = 1 << 60
		}), sprint.ErrInvalid, undrawnText},
		refusal{"a segment that does not exist",
			moved(func(l *courtv1.LeafRef) { l.Segment = 0 }), sprint.ErrInvalid, undrawnText},
		refusal{"a node that does not exist",
			moved(func(l *courtv1.LeafRef) { l.Node = "" }), sprint.ErrInvalid, undrawnText},
		refusal{"one that opened nothing", moved(func(l *courtv1.LeafRef) {
			l.Participant = n.host("jailed").addr
		}), sprint.ErrInvalid, undrawnText},
		refusal{"nobody", moved(func(l *courtv1.LeafRef) {
			l.Participant = ""
		}), sprint.ErrInvalid, undrawnText},
		refusal{"a middle digest that was not drawn",
			with(voter("p1"), func(m *sprintv1.MsgDispute) {
				m.Leaf = unchecked[0]
			}), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"a voter that revealed nothing", voter("p4"), sprint.ErrInvalid,
			"opened no middle digest"},
		refusal{"a voter that abstained", voter("p3"), sprint.ErrInvalid,
			"opened no middle digest"},
		refusal{"a voter about its own leaf", voter("p2"), sprint.ErrInvalid,
			"opened no middle digest"},
		refusal{"a voter without a vote", voter("fresh"), sprint.ErrInvalid,
			"opened no middle digest"},
		refusal{"a voter that nobody knows", with(good, func(m *sprintv1.MsgDispute) {
			m.Voter = "nobody"
		}), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"another epoch", with(good, func(m *sprintv1.MsgDispute) {
			m.Epoch = 0
		}), sprint.ErrPhase, "the chain is in epoch 1"},
		refusal{"by a stranger without a deposit", with(good, func(m *sprintv1.MsgDispute) {
			m.Participant = newHost("stranger").addr
		}), court.ErrBond, "has raised 0 of 0 claims"},
		refusal{"by a newcomer without a deposit", with(good, func(m *sprintv1.MsgDispute) {
			m.Participant = n.host("fresh").addr
		}), court.ErrBond, "has raised 0 of 0 claims"},
	)
	ctx := n.scratch()
	budget := court.Budget(1000, e.TotalWeight)
	for range budget {
		if err := n.handle(ctx, good); err != nil {
			t.Fatal(err)
		}
	}
	n.refusesIn(t, ctx, refusal{"over the budget", good, court.ErrBond,
		fmt.Sprintf("has raised %d of %d claims", budget, budget)})
	late := n.scratch().WithBlockHeight(e.Round.DisputeUntil + 1)
	n.refusesIn(t, late, refusal{"after the window", good, sprint.ErrPhase, "dispute window"})
}

// Holds spec S-29.
func TestParametersRefused(t *testing.T) {
	n := start(t, 2)
	n.step()
	update := func(change func(*sprintv1.Params)) *sprintv1.MsgUpdateParams {
		p := n.params
		change(&p)
		return &sprintv1.MsgUpdateParams{Authority: app.Authority(), Params: p}
	}
	if err := n.handle(n.scratch(), update(func(p *sprintv1.Params) {
		p.Samples = 33
	})); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t, refusal{"by a participant",
		with(update(func(*sprintv1.Params) {}), func(m *sprintv1.MsgUpdateParams) {
			m.Authority = n.host("p1").addr
		}), sdkerrors.ErrUnauthorized, "only governance"})
	for name, change := range map[string]func(*sprintv1.Params){
		"class":                   func(p *sprintv1.Params) { p.Class = "huge" },
		"what the chain can":      func(p *sprintv1.Params) { p.Class = "base" },
		"samples 15":              func(p *sprintv1.Params) { p.Samples = 15 },
		"samples 1001":            func(p *sprintv1.Params) { p.Samples = 1001 },
		"segments 0":              func(p *sprintv1.Params) { p.Segments = 0 },
		"segments 65":             func(p *sprintv1.Params) { p.Segments = 65 },
		"segment_blocks 1":        func(p *sprintv1.Params) { p.SegmentBlocks = 1 },
		"prepare_blocks 1":        func(p *sprintv1.Params) { p.PrepareBlocks = 1 },
		"commit_blocks 1":         func(p *sprintv1.Params) { p.CommitBlocks = 1 },
		"proof_blocks 2":          func(p *sprintv1.Params) { p.ProofBlocks = 2 },
		"opening_bytes_per_block": func(p *sprintv1.Params) { p.OpeningBytesPerBlock = 1 << 16 },
		"validate_blocks 2":       func(p *sprintv1.Params) { p.ValidateBlocks = 2 },
		"reveal_blocks 2":         func(p *sprintv1.Params) { p.RevealBlocks = 2 },
		"dispute_blocks 1":        func(p *sprintv1.Params) { p.DisputeBlocks = 1 },
		"slots 15":                func(p *sprintv1.Params) { p.Slots = 15 },
		"replicas 3":              func(p *sprintv1.Params) { p.Replicas = 3 },
		"replicas 17":             func(p *sprintv1.Params) { p.Replicas = 17 },
		"full_committee 3":        func(p *sprintv1.Params) { p.FullCommittee = 3 },
		"fault_rate_ppm 0":        func(p *sprintv1.Params) { p.FaultRatePpm = 0 },
		"fault_rate_ppm 1001":     func(p *sprintv1.Params) { p.FaultRatePpm = 1001 },
		"fail_p_inverse 999":      func(p *sprintv1.Params) { p.FailPInverse = 999 },
		"credit_eps_ppm 50001":    func(p *sprintv1.Params) { p.CreditEpsPpm = 50_001 },
		"credit_eps_ppm 0":        func(p *sprintv1.Params) { p.CreditEpsPpm = 0 },
		"min_live_bps 4999":       func(p *sprintv1.Params) { p.MinLiveBps = 4999 },
		"ready_bps 10001":         func(p *sprintv1.Params) { p.ReadyBps = 10_001 },
		"silence_epochs 1":        func(p *sprintv1.Params) { p.SilenceEpochs = 1 },
		"min_claim_leaves 15":     func(p *sprintv1.Params) { p.MinClaimLeaves = 15 },
		"min_claim_leaves 100001": func(p *sprintv1.Params) { p.MinClaimLeaves = 100_001 },
		"whole_unit_miops 1025":   func(p *sprintv1.Params) { p.WholeUnitMiops = 1025 },
		"keep_epochs 0":           func(p *sprintv1.Params) { p.KeepEpochs = 0 },
		"one opening must fit": func(p *sprintv1.Params) {
			p.Samples, p.OpeningBytesPerBlock = 200, 128<<10
		},
		"a verdict names 4": func(p *sprintv1.Params) {
			p.Samples, p.FaultRatePpm, p.OpeningBytesPerBlock = 1000, 1000, 16<<20
		},
	} {
		n.refuses(t, refusal{name, update(change), sprint.ErrInvalid, name})
	}
}

// Parameters voted in an epoch act from the second one after it, so that class and windows are
// known one ahead.
// Holds spec S-2.
func TestParametersActFromTheSecondEpochOn(t *testing.T) {
	n := start(t, 2)
	n.step()
	p := n.params
	p.Segments = 3
	if err := n.handle(n.ctx(), &sprintv1.MsgUpdateParams{Authority: app.Authority(),
		Params: p}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 2, 3} {
		if e, _ := n.finish(uint64(i + 1)); len(e.Segments) != want {
			t.Errorf("epoch %d has %d segments; want %d", i+1, len(e.Segments), want)
		}
	}
}
