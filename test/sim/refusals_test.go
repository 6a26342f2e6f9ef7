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
	"github.com/assaynet/assay/poc/audit"
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

// refuses gives each message to the state as it is. The handler itself must have written nothing: that the
// transaction around it would be rolled back is no excuse here.
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
	return startNamed(t, []string{"p1", "p2", "p3", "p4", "fresh", "jailed"}, func(name string) uint64 {
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
	n.refuses(t, refusal{"before Seed_1", p1.ready(n.now()), sprint.ErrPhase, "between Seed_1 and the compute window"})
	n.finish(1)
	e := n.until("Seed_1 of epoch 2", func(e sprintv1.Epoch) bool { return e.Number == 2 && len(e.Seed1) > 0 })
	good := p1.ready(n.now())
	if err := n.handle(n.scratch(), good); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	old, err := n.app.Beacon.Value(n.ctx(), 2)
	if err != nil {
		t.Fatal(err)
	}
	beat := func(key ed25519.PrivateKey, epoch uint64, height int64, value seed.Seed) func(*sprintv1.MsgReady) {
		return func(m *sprintv1.MsgReady) {
			if m.Signature, err = registry.Beat(key, chainID, p1.addr, epoch, height, value); err != nil {
				t.Fatal(err)
			}
			m.Height = height
		}
	}
	n.refuses(t,
		refusal{"stale heartbeat", with(good, beat(p1.consensus, 2, 2, old)), sprint.ErrInvalid, "at most 20 blocks old"},
		refusal{"heartbeat of a block to come", with(good, beat(p1.consensus, 2, n.height+1, n.value)), sprint.ErrInvalid, "heartbeat over height"},
		refusal{"heartbeat over a value that is not the block's", with(good, beat(p1.consensus, 2, n.height, old)), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"another's consensus key", with(good, beat(p2.consensus, 2, n.height, n.value)), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"the host's key in the consensus key's place", with(good, beat(p1.key, 2, n.height, n.value)), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"another's heartbeat", with(p2.ready(n.now()), func(m *sprintv1.MsgReady) { m.Participant = p1.addr }), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"heartbeat of another epoch", with(good, beat(p1.consensus, 1, n.height, n.value)), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"no signature", with(good, func(m *sprintv1.MsgReady) { m.Signature = nil }), sprint.ErrInvalid, "did not sign epoch 2"},
		refusal{"height below 0", with(good, func(m *sprintv1.MsgReady) { m.Height = -5 }), sprint.ErrInvalid, "heartbeat over height"},
		refusal{"another epoch", with(good, func(m *sprintv1.MsgReady) { m.Epoch = 1 }), sprint.ErrPhase, "the chain is in epoch 2"},
		refusal{"unknown participant", with(good, func(m *sprintv1.MsgReady) { m.Participant = newHost("stranger").addr }), registry.ErrUnknown, "not a participant"},
		refusal{"commit before the window", p2.signCommit(e, &sprintv1.MsgCommit{Participant: p2.addr, Epoch: 2, Segment: 1, Node: "gpu-1", Count: 1, Root: make([]byte, 32)}), sprint.ErrPhase, "has no segment 1 yet"},
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
		return h.signCommit(e, &sprintv1.MsgCommit{Participant: h.addr, Epoch: 1, Segment: segment, Node: "gpu-1", Count: 10, Root: bytes.Repeat([]byte{7}, 32)})
	}
	signed := func(h *host, change func(*sprintv1.MsgCommit)) *sprintv1.MsgCommit {
		return h.signCommit(e, with(commit(h, 1), change))
	}
	if n.height+1 != e.Segments[0].Start {
		t.Fatalf("the set-up: the next block is %d, segment 1 starts with %d", n.height+1, e.Segments[0].Start)
	}
	n.refuses(t, refusal{"in the segment's first block, whose end only makes its seed known", commit(p1, 1), sprint.ErrPhase, "is committed in blocks"})
	n.step()
	e = n.now().Epoch
	if err := n.handle(n.scratch(), commit(p1, 1)); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t,
		refusal{"segment to come", commit(p1, 2), sprint.ErrPhase, "is committed in blocks"},
		refusal{"segment 0", signed(p1, func(m *sprintv1.MsgCommit) { m.Segment = 0 }), sprint.ErrPhase, "no segment 0"},
		refusal{"segment beyond the last", signed(p1, func(m *sprintv1.MsgCommit) { m.Segment = 3 }), sprint.ErrPhase, "no segment 3"},
		refusal{"unknown participant", signed(newHostOf(n, "stranger"), func(*sprintv1.MsgCommit) {}), sprint.ErrNotMember, "takes no part"},
		refusal{"unknown node", signed(p1, func(m *sprintv1.MsgCommit) { m.Node = "gpu-9" }), sprint.ErrNotMember, "has no node \"gpu-9\""},
		refusal{"jailed", commit(n.host("jailed"), 1), sprint.ErrNotMember, "is jailed"},
		refusal{"count 0", signed(p1, func(m *sprintv1.MsgCommit) { m.Count = 0 }), sprint.ErrInvalid, "count 0"},
		refusal{"count 2^48", signed(p1, func(m *sprintv1.MsgCommit) { m.Count = 1 << 48 }), sprint.ErrInvalid, "2^48"},
		refusal{"count 2^64-1", signed(p1, func(m *sprintv1.MsgCommit) { m.Count = 1<<64 - 1 }), sprint.ErrInvalid, "2^48"},
		refusal{"short root", signed(p1, func(m *sprintv1.MsgCommit) { m.Root = m.Root[:31] }), sprint.ErrInvalid, "root has 31 bytes"},
		refusal{"long root", signed(p1, func(m *sprintv1.MsgCommit) { m.Root = append(m.Root[:32:32], 1) }), sprint.ErrInvalid, "root has 33 bytes"},
		refusal{"signed by another host", with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
			m.Signature = with(p2, func(h *host) { h.addr = p1.addr }).signCommit(e, with(m, func(*sprintv1.MsgCommit) {})).Signature
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"signed for another count", with(commit(p1, 1), func(m *sprintv1.MsgCommit) { m.Count++ }), sprint.ErrInvalid, "host key does not sign"},
		refusal{"signed for another root", with(commit(p1, 1), func(m *sprintv1.MsgCommit) { m.Root = make([]byte, 32) }), sprint.ErrInvalid, "host key does not sign"},
		refusal{"C23: signed for another Seed_1", p1.signCommit(*with(&e, func(e *sprintv1.Epoch) { e.Seed1 = e.Seed2 }), commit(p1, 1)), sprint.ErrInvalid, "host key does not sign"},
		refusal{"C23: signed for another segment's seed", p1.signCommit(*with(&e, func(e *sprintv1.Epoch) {
			e.Segments = []sprintv1.Segment{{Seed: e.Seed1}}
		}), commit(p1, 1)), sprint.ErrInvalid, "host key does not sign"},
		refusal{"C23: signed without seeds, as version 1", with(commit(p1, 1), func(m *sprintv1.MsgCommit) {
			st := statement.Statement{Chain: chainID, Epoch: 1, Segment: 1, Participant: p1.addr, Node: "gpu-1", Class: e.Params.Class, Root: statement.Hash(m.Root), Count: m.Count}
			m.Signature = ed25519.Sign(p1.key, st.SignBytes1())
		}), sprint.ErrInvalid, "host key does not sign"},
		refusal{"another's commit as one's own", with(commit(p2, 1), func(m *sprintv1.MsgCommit) { m.Participant = p1.addr }), sprint.ErrInvalid, "host key does not sign"},
		refusal{"no signature", with(commit(p1, 1), func(m *sprintv1.MsgCommit) { m.Signature = nil }), sprint.ErrInvalid, "host key does not sign"},
		refusal{"another epoch", signed(p1, func(m *sprintv1.MsgCommit) { m.Epoch = 2 }), sprint.ErrPhase, "the message is for epoch 2"},
		refusal{"opening outside its phase", &sprintv1.MsgOpen{Participant: p1.addr, Epoch: 1}, sprint.ErrPhase, "proof phase"},
		refusal{"verdict outside its phase", &sprintv1.MsgCommitVerdict{Participant: p1.addr, Epoch: 1, Hash: make([]byte, 32)}, sprint.ErrPhase, "taken in validate"},
		refusal{"dispute outside its phase", &sprintv1.MsgDispute{Participant: p1.addr, Epoch: 1}, sprint.ErrPhase, "dispute window"},
	)
	n.until("commits of segment 1", func(sprintv1.Epoch) bool { return p1.sent["commit/gpu-1/1"] })
	n.refuses(t, refusal{"second commit", commit(p1, 1), sprint.ErrDone, "committed once"})
	n.until("the last block for segment 1", func(sprintv1.Epoch) bool { return n.height == e.Segments[0].CommitUntil })
	n.refuses(t, refusal{"after its window", commit(n.host("fresh"), 1), sprint.ErrPhase, "is committed in blocks"})
}

// newHostOf makes a host that knows the network but is unknown to it.
func newHostOf(n *network, name string) *host {
	h := newHost(name, "gpu-1")
	h.net = n
	return h
}

// Holds spec S-13.
func TestOpeningsRefused(t *testing.T) {
	n := startNamed(t, []string{"p1", "p2", "p3", "p4"}, func(string) uint64 { return 1000 }, withNodes("p1", "gpu-1", "gpu-2"))
	p1, idle := n.host("p1"), n.host("p4")
	idle.cheat.count = func(string, uint32) int { return 0 }
	for _, h := range n.hosts {
		h.cheat.count = or(h.cheat.count, func(string, uint32) int { return 40 })
	}
	e := n.phase(1, sprintv1.PhaseProof)
	good := p1.opening(e)
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
		refusal{"wrong leaf", bent(func(m *sprintv1.MsgOpen) { m.Logs[0].Leaves[9] ^= 1 }), sprint.ErrInvalid, "leads to another root"},
		refusal{"wrong norm", bent(func(m *sprintv1.MsgOpen) { m.Logs[0].Leaves[0] ^= 1 }), sprint.ErrInvalid, "leads to another root"},
		refusal{"leaves of other indices", bent(func(m *sprintv1.MsgOpen) {
			l := m.Logs[0].Leaves
			m.Logs[0].Leaves = append(slices.Clone(l[40:80]), append(slices.Clone(l[:40]), l[80:]...)...)
		}), sprint.ErrInvalid, "leads to another root"},
		refusal{"a leaf left out", bent(func(m *sprintv1.MsgOpen) { m.Logs[0].Leaves = m.Logs[0].Leaves[40:] }), sprint.ErrInvalid, "leaves were drawn"},
		refusal{"a leaf too many", bent(func(m *sprintv1.MsgOpen) { m.Logs[0].Leaves = append(m.Logs[0].Leaves, make([]byte, 40)...) }), sprint.ErrInvalid, "leaves were drawn"},
		refusal{"half a leaf", bent(func(m *sprintv1.MsgOpen) { m.Logs[0].Leaves = m.Logs[0].Leaves[:60] }), sprint.ErrInvalid, "leaves were drawn"},
		refusal{"truncated proof", bent(func(m *sprintv1.MsgOpen) { m.Logs[longest].Proof = m.Logs[longest].Proof[32:] }), sprint.ErrInvalid, "too short"},
		refusal{"half a hash", bent(func(m *sprintv1.MsgOpen) { m.Logs[longest].Proof = m.Logs[longest].Proof[1:] }), sprint.ErrInvalid, "proof of log"},
		refusal{"a hash too many", bent(func(m *sprintv1.MsgOpen) { m.Logs[longest].Proof = append(m.Logs[longest].Proof, make([]byte, 32)...) }), sprint.ErrInvalid, "log gpu-"},
		refusal{"a proof of a million hashes", bent(func(m *sprintv1.MsgOpen) { m.Logs[longest].Proof = make([]byte, 32<<20) }), sprint.ErrInvalid, "proof of log"},
		refusal{"a log left out", bent(func(m *sprintv1.MsgOpen) { m.Logs = m.Logs[1:] }), sprint.ErrInvalid, "logs opened"},
		refusal{"a log too many", bent(func(m *sprintv1.MsgOpen) { m.Logs = append(m.Logs, m.Logs[0]) }), sprint.ErrInvalid, "logs opened"},
		refusal{"logs out of order", bent(func(m *sprintv1.MsgOpen) { slices.Reverse(m.Logs) }), sprint.ErrInvalid, "the draw wants"},
		refusal{"a log under another node's name", bent(func(m *sprintv1.MsgOpen) { m.Logs[0].Node = "gpu-2" }), sprint.ErrInvalid, "the draw wants"},
		refusal{"another's opening", bent(func(m *sprintv1.MsgOpen) { m.Participant = n.host("p2").addr }), sprint.ErrInvalid, "opening refused"},
		refusal{"nothing at all", &sprintv1.MsgOpen{Participant: p1.addr, Epoch: 1}, sprint.ErrInvalid, "0 logs opened"},
		refusal{"by one that committed nothing", bent(func(m *sprintv1.MsgOpen) { m.Participant = idle.addr }), sprint.ErrNotDrawn, "committed 0 leaves in epoch 1"},
		refusal{"by a stranger", bent(func(m *sprintv1.MsgOpen) { m.Participant = newHost("stranger").addr }), sprint.ErrNotMember, "takes no part"},
		refusal{"commit of a segment long over", p1.commitMsg(e, "gpu-1", 1), sprint.ErrPhase, "is committed in blocks"},
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

// Holds spec S-18.
func TestVerdictsRefused(t *testing.T) {
	n := crowd(t)
	p1 := n.host("p1")
	slow := n.host("p4") // keeps the phase open
	slow.cheat.commitVerdict = never
	n.phase(1, sprintv1.PhaseValidate)
	commit := func(h *host) *sprintv1.MsgCommitVerdict {
		return &sprintv1.MsgCommitVerdict{Participant: h.addr, Epoch: 1, Hash: bytes.Repeat([]byte{3}, 32)}
	}
	if err := n.handle(n.scratch(), commit(p1)); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t,
		refusal{"a newcomer", commit(n.host("fresh")), sprint.ErrNotDrawn, "nothing fell to"},
		refusal{"one in jail", commit(n.host("jailed")), sprint.ErrNotDrawn, "nothing fell to"},
		refusal{"a stranger", commit(newHostOf(n, "stranger")), sprint.ErrNotDrawn, "nothing fell to"},
		refusal{"short hash", with(commit(p1), func(m *sprintv1.MsgCommitVerdict) { m.Hash = m.Hash[1:] }), sprint.ErrInvalid, "hash has 31 bytes"},
		refusal{"no hash", with(commit(p1), func(m *sprintv1.MsgCommitVerdict) { m.Hash = nil }), sprint.ErrInvalid, "hash has 0 bytes"},
		refusal{"another epoch", with(commit(p1), func(m *sprintv1.MsgCommitVerdict) { m.Epoch = 0 }), sprint.ErrPhase, "the chain is in epoch 1"},
		refusal{"reveal before all have committed", &sprintv1.MsgRevealVerdict{Participant: p1.addr, Epoch: 1, Salt: make([]byte, 32)}, sprint.ErrPhase, "taken in reveal"},
		refusal{"middle digests before all have revealed", &sprintv1.MsgOpenMiddles{Participant: p1.addr, Epoch: 1}, sprint.ErrPhase, "taken in check"},
	)
	n.step()
	n.refuses(t, refusal{"second commitment", commit(p1), sprint.ErrDone, "committed its verdict"})
	e := n.phase(1, sprintv1.PhaseReveal)
	v := p1.said
	good := &sprintv1.MsgRevealVerdict{Participant: p1.addr, Epoch: 1, Salt: v.salt.Bytes(), Body: v.body}
	if err := n.handle(n.scratch(), good); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t,
		refusal{"another salt", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Salt = make([]byte, 32) }), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"short salt", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Salt = m.Salt[1:] }), sprint.ErrInvalid, "salt of 31"},
		refusal{"another body", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Body = append(slices.Clone(m.Body), 0) }), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"no body", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Body = nil }), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"a body larger than any duty", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Body = make([]byte, sprintv1.MaxVerdictBytes+1) }), sprint.ErrInvalid, "body of 65537"},
		refusal{"another's reveal", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Participant = n.host("p2").addr }), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"by a member that did not commit", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Participant = slow.addr }), sprint.ErrNotDrawn, "committed to no verdict"},
		refusal{"by one without a vote", with(good, func(m *sprintv1.MsgRevealVerdict) { m.Participant = n.host("fresh").addr }), sprint.ErrNotDrawn, "nothing fell to"},
		refusal{"a commitment that comes late", commit(slow), sprint.ErrPhase, "taken in validate"},
	)
	ctx := n.scratch()
	if err := n.handle(ctx, good); err != nil {
		t.Fatal(err)
	}
	n.refusesIn(t, ctx, refusal{"second reveal", good, sprint.ErrDone, "revealed its verdict"})
	if e.Eligible != 4 {
		t.Errorf("%d eligible voters; want the four that are live, have weight and are free", e.Eligible)
	}
}

// revealed lets a member commit to a body and reveal it, in a scratch copy of a state in Validate.
func (n *network) revealed(h *host, body []byte) (ctx sdk.Context, reveal *sprintv1.MsgRevealVerdict) {
	n.t.Helper()
	e := n.now().Epoch
	salt := seed.Seed{1}
	hash := seed.VerdictCommit(chainID, e.Number, 1, h.addr, salt, body)
	ctx = n.scratch()
	if err := n.handle(ctx, &sprintv1.MsgCommitVerdict{Participant: h.addr, Epoch: e.Number, Hash: hash[:]}); err != nil {
		n.t.Fatal(err)
	}
	ctx = ctx.WithBlockHeight(e.Round.ValidateUntil)
	if err := n.app.Sprint.EndBlock(ctx); err != nil {
		n.t.Fatal(err)
	}
	return ctx, &sprintv1.MsgRevealVerdict{Participant: h.addr, Epoch: e.Number, Salt: salt.Bytes(), Body: body}
}

// A verdict is held against its voter's duties; whatever does not fit them, or may be written in two ways, is refused.
// Holds spec S-18.
func TestVerdictBodiesRefused(t *testing.T) {
	n := crowd(t)
	p1 := n.host("p1")
	e := n.phase(1, sprintv1.PhaseValidate)
	duties := n.duties(e, p1.addr)
	if len(duties) != 4 { // p2, p3, p4 and fresh
		t.Fatalf("the set-up: p1 judges %d", len(duties))
	}
	said := p1.opinions(e, duties)
	const fail, abstain = byte(sprintv1.VoteFail), byte(sprintv1.VoteAbstain)
	name := func(b *sprintv1.VerdictBody, duty uint32, leaves ...uint32) {
		for _, l := range leaves {
			b.Mismatches = append(b.Mismatches, sprintv1.Mismatch{Duty: duty, Leaf: l})
		}
	}
	// what faulty hardware does, and one more
	least := audit.Threshold(uint64(len(duties[1].Leaves)), audit.Rate{Num: uint64(e.Params.FaultRatePpm), Den: 1_000_000}, audit.Rate{Num: 1, Den: e.Params.FailPInverse})
	for _, c := range []struct {
		name string
		bend func(*sprintv1.VerdictBody)
		text string // empty: accepted
	}{
		{"honest", func(*sprintv1.VerdictBody) {}, ""},
		{"the last two left out", func(b *sprintv1.VerdictBody) { b.Votes = b.Votes[:2] }, ""},
		{"one in the middle left out", func(b *sprintv1.VerdictBody) { b.Votes[1] = 0 }, ""},
		{"abstentions only", func(b *sprintv1.VerdictBody) { b.Votes, b.Middles = bytes.Repeat([]byte{abstain}, 4), nil }, ""},
		{"nothing at all", func(b *sprintv1.VerdictBody) { b.Votes, b.Middles = nil, nil }, ""},
		{"a pass with a name", func(b *sprintv1.VerdictBody) { name(b, 0, 3) }, ""},
		{"four names of one node", func(b *sprintv1.VerdictBody) { name(b, 0, 0, 3, 6, 9); b.Votes[0] = fail }, ""},
		{"five names of one node", func(b *sprintv1.VerdictBody) { name(b, 0, 0, 1, 2, 3, 4); b.Votes[0] = fail }, "more than 4 mismatches named of node gpu-1"},
		{"more votes than duties", func(b *sprintv1.VerdictBody) { b.Votes = append(b.Votes, 1) }, "5 votes on 4 duties"},
		{"a vote of nothing at the end", func(b *sprintv1.VerdictBody) { b.Votes[3] = 0 }, "left out at the end are not written"},
		{"a fail that names nothing", func(b *sprintv1.VerdictBody) { b.Votes[1] = fail }, "it must name what it rests on"},
		{"a fail that names what hardware does", func(b *sprintv1.VerdictBody) {
			b.Votes[1] = fail
			for l := range least - 1 {
				name(b, 1, uint32(l))
			}
		}, "it must name what it rests on"},
		{"a fail that names one more", func(b *sprintv1.VerdictBody) {
			b.Votes[1] = fail
			for l := range least {
				name(b, 1, uint32(l))
			}
		}, ""},
		{"an unknown vote", func(b *sprintv1.VerdictBody) { b.Votes[0] = 9 }, "vote 9"},
		{"an abstention with names", func(b *sprintv1.VerdictBody) { b.Votes[0] = abstain; name(b, 0, 1) }, "names leaves"},
		{"names of one left out", func(b *sprintv1.VerdictBody) { b.Votes[1] = 0; name(b, 1, 1) }, "names leaves"},
		{"names of one left out at the end", func(b *sprintv1.VerdictBody) { b.Votes = b.Votes[:2]; name(b, 2, 1) }, "has no vote"},
		{"names of a duty that does not exist", func(b *sprintv1.VerdictBody) { name(b, 4, 1) }, "has no vote"},
		{"a leaf that is not its own", func(b *sprintv1.VerdictBody) { name(b, 0, uint32(len(duties[0].Leaves))) }, "which has 32"},
		{"one leaf twice", func(b *sprintv1.VerdictBody) { name(b, 0, 2, 2) }, "named rising"},
		{"leaves out of order", func(b *sprintv1.VerdictBody) { name(b, 0, 2, 1) }, "named rising"},
		{"duties out of order", func(b *sprintv1.VerdictBody) { name(b, 1, 2); name(b, 0, 1) }, "out of order"},
		{"a short root", func(b *sprintv1.VerdictBody) { b.Middles = b.Middles[1:] }, "root of middle digests of 31 bytes"},
		{"a long root", func(b *sprintv1.VerdictBody) { b.Middles = append(b.Middles, 0) }, "root of middle digests of 33 bytes"},
		{"no root", func(b *sprintv1.VerdictBody) { b.Middles = nil }, "root of middle digests of 0 bytes"},
		{"a root over nothing", func(b *sprintv1.VerdictBody) { b.Votes = nil }, "root of middle digests of 32 bytes over 0 leaves"},
	} {
		var body sprintv1.VerdictBody
		if err := body.Unmarshal(p1.compose(e, said).body); err != nil {
			t.Fatal(err)
		}
		c.bend(&body)
		raw, err := body.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		ctx, reveal := n.revealed(p1, raw)
		if c.text != "" {
			n.refusesIn(t, ctx, refusal{c.name, reveal, sprint.ErrInvalid, c.text})
		} else if err := n.handle(ctx, reveal); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for name, raw := range map[string][]byte{
		"bytes that are no verdict": {0x0a, 0xff, 0xff},
		"an unknown field":          append(p1.compose(e, said).body, 0x7a, 1, 0),
		"an empty field written":    append(p1.compose(e, said).body, 0x0a, 0),
	} {
		ctx, reveal := n.revealed(p1, raw)
		n.refusesIn(t, ctx, refusal{name, reveal, sprint.ErrInvalid, "verdict: "})
	}
}

// Middle digests are those that were drawn, under the root that was revealed, once.
func TestMiddlesRefused(t *testing.T) {
	n := crowd(t)
	p1, p2, mute, shy := n.host("p1"), n.host("p2"), n.host("p3"), n.host("p4")
	mute.cheat.reveal = never
	shy.cheat.opinion = abstain
	p2.cheat.middles = never // keeps the phase open
	n.phase(1, sprintv1.PhaseCheck)
	open := func(h *host) *sprintv1.MsgOpenMiddles {
		return &sprintv1.MsgOpenMiddles{Participant: h.addr, Epoch: 1, Middles: make([]byte, 64)}
	}
	n.refuses(t, refusal{"before they are drawn", open(p1), sprint.ErrNotDrawn, "the beacon of epoch 1 may still be awaited"})
	e := n.until("the draw", func(e sprintv1.Epoch) bool { return len(e.Round.CheckMix) > 0 })
	good := p1.drawnMiddles(e)
	if len(good.Middles) != 64 {
		t.Fatalf("the set-up: %d bytes are drawn of p1", len(good.Middles))
	}
	if err := n.handle(n.scratch(), good); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	bent := func(change func(*sprintv1.MsgOpenMiddles)) *sprintv1.MsgOpenMiddles {
		return with(good, func(m *sprintv1.MsgOpenMiddles) {
			m.Middles, m.Proof = slices.Clone(m.Middles), slices.Clone(m.Proof)
			change(m)
		})
	}
	n.refuses(t,
		refusal{"a wrong digest", bent(func(m *sprintv1.MsgOpenMiddles) { m.Middles[9] ^= 1 }), sprint.ErrInvalid, "middle digests: "},
		refusal{"two digests in each other's place", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Middles = append(slices.Clone(m.Middles[8:16]), append(slices.Clone(m.Middles[:8]), m.Middles[16:]...)...)
		}), sprint.ErrInvalid, "middle digests: "},
		refusal{"one too few", bent(func(m *sprintv1.MsgOpenMiddles) { m.Middles = m.Middles[8:] }), sprint.ErrInvalid, "56 bytes of middle digests; want 8 for each of 8"},
		refusal{"one too many", bent(func(m *sprintv1.MsgOpenMiddles) { m.Middles = append(m.Middles, make([]byte, 8)...) }), sprint.ErrInvalid, "72 bytes of middle digests"},
		refusal{"none", bent(func(m *sprintv1.MsgOpenMiddles) { m.Middles, m.Proof = nil, nil }), sprint.ErrInvalid, "0 bytes of middle digests"},
		refusal{"truncated proof", bent(func(m *sprintv1.MsgOpenMiddles) { m.Proof = m.Proof[32:] }), sprint.ErrInvalid, "middle digests: "},
		refusal{"half a hash", bent(func(m *sprintv1.MsgOpenMiddles) { m.Proof = m.Proof[16:] }), sprint.ErrInvalid, "proof of"},
		refusal{"a hash too many", bent(func(m *sprintv1.MsgOpenMiddles) { m.Proof = append(m.Proof, make([]byte, 32)...) }), sprint.ErrInvalid, ""},
		refusal{"a proof of a million hashes", bent(func(m *sprintv1.MsgOpenMiddles) { m.Proof = make([]byte, 32<<20) }), sprint.ErrInvalid, "proof of 33554432 bytes"},
		refusal{"another's", bent(func(m *sprintv1.MsgOpenMiddles) { m.Participant = p2.addr }), sprint.ErrInvalid, "middle digests: "},
		refusal{"of another epoch", bent(func(m *sprintv1.MsgOpenMiddles) { m.Epoch = 2 }), sprint.ErrPhase, "the chain is in epoch 1"},
		refusal{"by one that revealed nothing", open(mute), sprint.ErrNotDrawn, "no middle digests of"},
		refusal{"by one that abstained", open(shy), sprint.ErrNotDrawn, "no middle digests of"},
		refusal{"by one without a vote", open(n.host("fresh")), sprint.ErrNotDrawn, "nothing fell to"},
		refusal{"by a stranger", open(newHostOf(n, "stranger")), sprint.ErrNotDrawn, "nothing fell to"},
	)
	n.step()
	n.refuses(t, refusal{"twice", good, sprint.ErrDone, "opened its middle digests already"})
	n.phase(1, sprintv1.PhaseDispute)
	n.refuses(t, refusal{"late", p2.drawnMiddles(e), sprint.ErrPhase, "taken in check"})
}

// Holds spec J-8.
func TestDisputesRefused(t *testing.T) {
	n := crowd(t)
	p1, p2, mute := n.host("p1"), n.host("p2"), n.host("p4")
	mute.cheat.reveal = never
	n.host("p3").cheat.opinion = abstain
	e := n.phase(1, sprintv1.PhaseDispute)
	checked := n.checks(e, p1.addr).Leaves
	at := slices.IndexFunc(checked, func(l courtv1.LeafRef) bool { return l.Participant == p2.addr })
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
	for slices.ContainsFunc(n.samples(1, p2.addr), func(l courtv1.LeafRef) bool { return l.Segment == 1 && l.Nonce == undrawn }) {
		undrawn++
	}
	unchecked := n.samples(1, p2.addr)
	unchecked = slices.DeleteFunc(unchecked, func(l courtv1.LeafRef) bool { return slices.Contains(checked, l) })
	const undrawnText = "was not drawn and opened"
	n.refuses(t,
		refusal{"an undrawn leaf", moved(func(l *courtv1.LeafRef) { l.Segment, l.Nonce = 1, undrawn }), sprint.ErrInvalid, undrawnText},
		refusal{"a leaf beyond the log", moved(func(l *courtv1.LeafRef) { l.Nonce = 1 << 60 }), sprint.ErrInvalid, undrawnText},
		refusal{"a segment that does not exist", moved(func(l *courtv1.LeafRef) { l.Segment = 0 }), sprint.ErrInvalid, undrawnText},
		refusal{"a node that does not exist", moved(func(l *courtv1.LeafRef) { l.Node = "" }), sprint.ErrInvalid, undrawnText},
		refusal{"one that opened nothing", moved(func(l *courtv1.LeafRef) { l.Participant = n.host("jailed").addr }), sprint.ErrInvalid, undrawnText},
		refusal{"nobody", moved(func(l *courtv1.LeafRef) { l.Participant = "" }), sprint.ErrInvalid, undrawnText},
		refusal{"a middle digest that was not drawn", with(voter("p1"), func(m *sprintv1.MsgDispute) { m.Leaf = unchecked[0] }), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"a voter that revealed nothing", voter("p4"), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"a voter that abstained", voter("p3"), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"a voter about its own leaf", voter("p2"), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"a voter without a vote", voter("fresh"), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"a voter that nobody knows", with(good, func(m *sprintv1.MsgDispute) { m.Voter = "nobody" }), sprint.ErrInvalid, "opened no middle digest"},
		refusal{"another epoch", with(good, func(m *sprintv1.MsgDispute) { m.Epoch = 0 }), sprint.ErrPhase, "the chain is in epoch 1"},
		refusal{"by a stranger without a deposit", with(good, func(m *sprintv1.MsgDispute) { m.Participant = newHost("stranger").addr }), court.ErrBond, "has raised 0 of 0 claims"},
		refusal{"by a newcomer without a deposit", with(good, func(m *sprintv1.MsgDispute) { m.Participant = n.host("fresh").addr }), court.ErrBond, "has raised 0 of 0 claims"},
	)
	ctx := n.scratch()
	budget := court.Budget(1000, e.TotalWeight)
	for range budget {
		if err := n.handle(ctx, good); err != nil {
			t.Fatal(err)
		}
	}
	n.refusesIn(t, ctx, refusal{"over the budget", good, court.ErrBond, fmt.Sprintf("has raised %d of %d claims", budget, budget)})
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
	if err := n.handle(n.scratch(), update(func(p *sprintv1.Params) { p.Samples = 33 })); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t, refusal{"by a participant", with(update(func(*sprintv1.Params) {}), func(m *sprintv1.MsgUpdateParams) { m.Authority = n.host("p1").addr }), sdkerrors.ErrUnauthorized, "only governance"})
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
		"one opening must fit":    func(p *sprintv1.Params) { p.Samples, p.OpeningBytesPerBlock = 200, 128<<10 },
		"a verdict names 4":       func(p *sprintv1.Params) { p.Samples, p.FaultRatePpm, p.OpeningBytesPerBlock = 1000, 1000, 16<<20 },
	} {
		n.refuses(t, refusal{name, update(change), sprint.ErrInvalid, name})
	}
}

// Parameters voted in an epoch act from the second one after it, so that class and windows are known one ahead.
// Holds spec S-2.
func TestParametersActFromTheSecondEpochOn(t *testing.T) {
	n := start(t, 2)
	n.step()
	p := n.params
	p.Segments = 3
	if err := n.handle(n.ctx(), &sprintv1.MsgUpdateParams{Authority: app.Authority(), Params: p}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 2, 3} {
		if e, _ := n.finish(uint64(i + 1)); len(e.Segments) != want {
			t.Errorf("epoch %d has %d segments; want %d", i+1, len(e.Segments), want)
		}
	}
}
