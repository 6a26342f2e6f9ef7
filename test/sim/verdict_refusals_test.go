// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"slices"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/seed"
)

// Holds spec S-18.
func TestVerdictsRefused(t *testing.T) {
	n := crowd(t)
	p1 := n.host("p1")
	slow := n.host("p4") // keeps the phase open
	slow.cheat.commitVerdict = never
	n.phase(1, sprintv1.PhaseValidate)
	commit := func(h *host) *sprintv1.MsgCommitVerdict {
		return &sprintv1.MsgCommitVerdict{Participant: h.addr, Epoch: 1,
			Hash: bytes.Repeat([]byte{3}, 32)}
	}
	if err := n.handle(n.scratch(), commit(p1)); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t,
		refusal{"a newcomer", commit(n.host("fresh")), sprint.ErrNotDrawn, "no Sprint fell to"},
		refusal{"one in jail", commit(n.host("jailed")), sprint.ErrNotDrawn, "no Sprint fell to"},
		refusal{"a stranger", commit(newHostOf(n, "stranger")), sprint.ErrNotDrawn,
			"no Sprint fell to"},
		refusal{"short hash", with(commit(p1), func(m *sprintv1.MsgCommitVerdict) {
			m.Hash = m.Hash[1:]
		}), sprint.ErrInvalid, "hash has 31 bytes"},
		refusal{"no hash", with(commit(p1), func(m *sprintv1.MsgCommitVerdict) {
			m.Hash = nil
		}), sprint.ErrInvalid, "hash has 0 bytes"},
		refusal{"another epoch", with(commit(p1), func(m *sprintv1.MsgCommitVerdict) {
			m.Epoch = 0
		}), sprint.ErrPhase, "the chain is in epoch 1"},
		refusal{"reveal before all have committed", &sprintv1.MsgRevealVerdict{Participant: p1.addr,
			Epoch: 1, Salt: make([]byte, 32)}, sprint.ErrPhase, "taken in reveal"},
		refusal{"middle digests before all have revealed",
			&sprintv1.MsgOpenMiddles{Participant: p1.addr, Epoch: 1}, sprint.ErrPhase,
			"taken in check"},
	)
	n.step()
	n.refuses(t, refusal{"second commitment", commit(p1), sprint.ErrDone, "committed its verdict"})
	e := n.phase(1, sprintv1.PhaseReveal)
	v := p1.said[false]
	good := &sprintv1.MsgRevealVerdict{Participant: p1.addr, Epoch: 1,
		Salt: v.salt.Bytes(), Body: v.body}
	if err := n.handle(n.scratch(), good); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refuses(t,
		refusal{"another salt", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Salt = make([]byte, 32)
		}), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"short salt", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Salt = m.Salt[1:]
		}), sprint.ErrInvalid, "salt of 31"},
		refusal{"another body", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Body = append(slices.Clone(m.Body), 0)
		}), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"no body", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Body = nil
		}), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"a body larger than any duty", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Body = make([]byte, sprintv1.MaxVerdictBytes+1)
		}), sprint.ErrInvalid, "body of 65537"},
		refusal{"another's reveal", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Participant = n.host("p2").addr
		}), sprint.ErrInvalid, "does not match what was committed to"},
		refusal{"by a member that did not commit", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Participant = slow.addr
		}), sprint.ErrNotDrawn, "committed to no verdict"},
		refusal{"by one without a vote", with(good, func(m *sprintv1.MsgRevealVerdict) {
			m.Participant = n.host("fresh").addr
		}), sprint.ErrNotDrawn, "no Sprint fell to"},
		refusal{"a commitment that comes late", commit(slow), sprint.ErrPhase, "taken in validate"},
	)
	ctx := n.scratch()
	if err := n.handle(ctx, good); err != nil {
		t.Fatal(err)
	}
	n.refusesIn(t, ctx, refusal{"second reveal", good, sprint.ErrDone, "revealed its verdict"})
	if e.Eligible != 4 {
		t.Errorf("%d eligible voters; want the four that are live, have weight and are free",
			e.Eligible)
	}
}

// revealed lets a member commit to a body and reveal it, in a scratch copy of a state in Validate.
func (n *network) revealed(h *host, body []byte) (ctx sdk.Context,
	reveal *sprintv1.MsgRevealVerdict) {
	n.t.Helper()
	e := n.now().Epoch
	salt := seed.Seed{1}
	hash := seed.VerdictCommit(chainID, e.Number, 1, h.addr, salt, body)
	ctx = n.scratch()
	if err := n.handle(ctx, &sprintv1.MsgCommitVerdict{Participant: h.addr, Epoch: e.Number,
		Hash: hash[:]}); err != nil {
		n.t.Fatal(err)
	}
	ctx = ctx.WithBlockHeight(e.Round.ValidateUntil)
	if err := n.app.Sprint.EndBlock(ctx); err != nil {
		n.t.Fatal(err)
	}
	return ctx, &sprintv1.MsgRevealVerdict{Participant: h.addr, Epoch: e.Number,
		Salt: salt.Bytes(), Body: body}
}

// A verdict is held against its voter's duties; whatever does not fit them, or may be written in
// two ways, is refused.
// Holds spec S-18.
func TestVerdictBodiesRefused(t *testing.T) {
	n := crowd(t)
	p1 := n.host("p1")
	e := n.phase(1, sprintv1.PhaseValidate)
	duties := n.duties(e, p1.addr, false)
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
	least := audit.Threshold(uint64(len(duties[1].Leaves)),
		audit.Rate{Num: uint64(e.Params.FaultRatePpm), Den: 1_000_000},
		audit.Rate{Num: 1, Den: e.Params.FailPInverse})
	for _, c := range []struct {
		name string
		bend func(*sprintv1.VerdictBody)
		text string // empty: accepted
	}{
		{"honest", func(*sprintv1.VerdictBody) {}, ""},
		{"the last two left out", func(b *sprintv1.VerdictBody) { b.Votes = b.Votes[:2] }, ""},
		{"one in the middle left out", func(b *sprintv1.VerdictBody) { b.Votes[1] = 0 }, ""},
		{"abstentions only", func(b *sprintv1.VerdictBody) {
			b.Votes, b.Middles = bytes.Repeat([]byte{abstain}, 4), nil
		}, ""},
		{"nothing at all", func(b *sprintv1.VerdictBody) { b.Votes, b.Middles = nil, nil }, ""},
		{"a pass with a name", func(b *sprintv1.VerdictBody) { name(b, 0, 3) }, ""},
		{"four names of one node", func(b *sprintv1.VerdictBody) {
			name(b, 0, 0, 3, 6, 9)
			b.Votes[0] = fail
		}, ""},
		{"five names of one node", func(b *sprintv1.VerdictBody) {
			name(b, 0, 0, 1, 2, 3, 4)
			b.Votes[0] = fail
		}, "more than 4 mismatches named of node gpu-1"},
		{"more votes than duties", func(b *sprintv1.VerdictBody) {
			b.Votes = append(b.Votes, 1)
		}, "5 votes on 4 duties"},
		{"a vote of nothing at the end", func(b *sprintv1.VerdictBody) {
			b.Votes[3] = 0
		}, "left out at the end are not written"},
		{"a fail that names nothing", func(b *sprintv1.VerdictBody) {
			b.Votes[1] = fail
		}, "it must name what it rests on"},
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
		{"an abstention with names", func(b *sprintv1.VerdictBody) {
			b.Votes[0] = abstain
			name(b, 0, 1)
		}, "names leaves"},
		{"names of one left out", func(b *sprintv1.VerdictBody) {
			b.Votes[1] = 0
			name(b, 1, 1)
		}, "names leaves"},
		{"names of one left out at the end",
			func(b *sprintv1.VerdictBody) { b.Votes = b.Votes[:2]; name(b, 2, 1) }, "has no vote"},
		{"names of a duty that does not exist",
			func(b *sprintv1.VerdictBody) { name(b, 4, 1) }, "has no vote"},
		{"a leaf that is not its own", func(b *sprintv1.VerdictBody) {
			name(b, 0, uint32(len(duties[0].Leaves)))
		}, "which has 32"},
		{"one leaf twice", func(b *sprintv1.VerdictBody) { name(b, 0, 2, 2) }, "named rising"},
		{"leaves out of order", func(b *sprintv1.VerdictBody) { name(b, 0, 2, 1) }, "named rising"},
		{"duties out of order", func(b *sprintv1.VerdictBody) {
			name(b, 1, 2)
			name(b, 0, 1)
		}, "out of order"},
		{"a short root", func(b *sprintv1.VerdictBody) {
			b.Middles = b.Middles[1:]
		}, "root of middle digests of 31 bytes"},
		{"a long root", func(b *sprintv1.VerdictBody) {
			b.Middles = append(b.Middles, 0)
		}, "root of middle digests of 33 bytes"},
		{"no root", func(b *sprintv1.VerdictBody) {
			b.Middles = nil
		}, "root of middle digests of 0 bytes"},
		{"a root over nothing", func(b *sprintv1.VerdictBody) {
			b.Votes = nil
		}, "root of middle digests of 32 bytes over 0 leaves"},
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
	n.refuses(t, refusal{"before they are drawn", open(p1), sprint.ErrNotDrawn,
		"the beacon of epoch 1 may still be awaited"})
	e := n.until("the draw", func(e sprintv1.Epoch) bool { return len(e.Round.CheckMix) > 0 })
	good := p1.drawnMiddles(e, false)
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
		refusal{"a wrong digest", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Middles[9] ^= 1
		}), sprint.ErrInvalid, "middle digests: "},
		refusal{"two digests in each other's place", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Middles = append(slices.Clone(m.Middles[8:16]),
				append(slices.Clone(m.Middles[:8]), m.Middles[16:]...)...)
		}), sprint.ErrInvalid, "middle digests: "},
		refusal{"one too few", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Middles = m.Middles[8:]
		}), sprint.ErrInvalid, "56 bytes of middle digests; want 8 for each of 8"},
		refusal{"one too many", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Middles = append(m.Middles, make([]byte, 8)...)
		}), sprint.ErrInvalid, "72 bytes of middle digests"},
		refusal{"none", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Middles, m.Proof = nil, nil
		}), sprint.ErrInvalid, "0 bytes of middle digests"},
		refusal{"truncated proof", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Proof = m.Proof[32:]
		}), sprint.ErrInvalid, "middle digests: "},
		refusal{"half a hash", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Proof = m.Proof[16:]
		}), sprint.ErrInvalid, "proof of"},
		refusal{"a hash too many", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Proof = append(m.Proof, make([]byte, 32)...)
		}), sprint.ErrInvalid, ""},
		refusal{"a proof of a million hashes", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Proof = make([]byte, 32<<20)
		}), sprint.ErrInvalid, "proof of 33554432 bytes"},
		refusal{"another's", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Participant = p2.addr
		}), sprint.ErrInvalid, "middle digests: "},
		refusal{"of another epoch", bent(func(m *sprintv1.MsgOpenMiddles) {
			m.Epoch = 2
		}), sprint.ErrPhase, "the chain is in epoch 1"},
		refusal{"by one that revealed nothing", open(mute), sprint.ErrNotDrawn,
			"no middle digests of"},
		refusal{"by one that abstained", open(shy), sprint.ErrNotDrawn, "no middle digests of"},
		refusal{"by one without a vote", open(n.host("fresh")), sprint.ErrNotDrawn,
			"no Sprint fell to"},
		refusal{"by a stranger", open(newHostOf(n, "stranger")), sprint.ErrNotDrawn,
			"no Sprint fell to"},
	)
	n.step()
	n.refuses(t, refusal{"twice", good, sprint.ErrDone, "opened its middle digests already"})
	n.phase(1, sprintv1.PhaseDispute)
	n.refuses(t, refusal{"late", p2.drawnMiddles(e, false), sprint.ErrPhase, "taken in check"})
}
