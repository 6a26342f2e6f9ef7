// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"fmt"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/poc/work/transformer"
)

// invented commits to a count behind a root of nothing, in the first segment, on its first machine.
func invented(h *host, count uint64) cheat {
	done := uint64(0)
	return cheat{instead: func(now sprintv1.QueryCurrentResponse) (msgs []sdk.Msg, _ bool) {
		e := now.Epoch
		if e.Phase == sprintv1.PhasePrepare {
			return nil, false
		}
		m := h.member(e.Number)
		if m == nil || len(e.Segments) == 0 || m.Role == sprintv1.RoleNewcomer && !m.Taken ||
			done == e.Number || now.Height < e.Segments[0].End ||
			now.Height >= e.Segments[0].CommitUntil {
			return nil, true
		}
		done = e.Number
		return []sdk.Msg{h.signCommit(e, &sprintv1.MsgCommit{Participant: h.addr, Epoch: e.Number,
			Segment: 1, Node: h.nodes[0], Count: count, Root: bytes.Repeat([]byte{9}, 32)})}, true
	}}
}

// C9. A participant commits at most 2^57 operations a segment before it was credited with as many,
// all nodes together; before, 2^48-1 leaves behind an invented root were taken from anybody.
// Holds spec S-9.
func TestC9CountsAreBounded(t *testing.T) {
	n := start(t, 3, withNodes("p1", "gpu-1", "gpu-2"))
	most := uint64(1<<57) / transformer.Nano.Ops()
	n.phase(1, sprintv1.PhaseCompute)
	n.step()
	e, p1 := n.now().Epoch, n.host("p1")
	commit := func(node string, count uint64) *sprintv1.MsgCommit {
		return p1.signCommit(e, &sprintv1.MsgCommit{Participant: p1.addr, Epoch: 1, Segment: 1,
			Node: node, Count: count, Root: make([]byte, 32)})
	}
	text := fmt.Sprintf("may commit %d", most)
	n.refuses(t,
		refusal{"one leaf beyond the bound", commit("gpu-1", most+1), sprint.ErrInvalid, text},
		refusal{"2^48-1 leaves", commit("gpu-1", 1<<48-1), sprint.ErrInvalid, text},
	)
	if err := n.handle(n.scratch(), commit("gpu-1", most)); err != nil {
		t.Errorf("as many as the bound: %v", err)
	}
	ctx := n.scratch()
	if err := n.handle(ctx, commit("gpu-1", most-10)); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.refusesIn(t, ctx, refusal{"the rest and one leaf on another node", commit("gpu-2", 11),
		sprint.ErrInvalid, text})
	if err := n.handle(ctx, commit("gpu-2", 10)); err != nil {
		t.Errorf("the rest on another node: %v", err)
	}
}

// C9. Invented counts, never opened, sized everybody's proof window: 60 identities turned 24 blocks
// into 46. The window is the same whatever is claimed, and nobody waits longer than a quarter of it
// for those without weight.
// Holds spec S-13.
func TestC9WindowsDoNotGrowWithClaims(t *testing.T) {
	window := func(count uint64) (offered, took int64) {
		all := []string{"p1", "p2", "p3"}
		for i := range 12 {
			all = append(all, fmt.Sprintf("empty-%d", i))
		}
		n := startNamed(t, all, func(name string) uint64 {
			if name[0] == 'p' {
				return 1_000
			}
			return 0
		}, withParams(func(p *sprintv1.Params) { p.OpeningBytesPerBlock = 128 << 10 }))
		for _, h := range n.hosts[3:] {
			h.cheat = invented(h, count)
		}
		e := n.phase(1, sprintv1.PhaseProof)
		if e.Targets != 15 {
			t.Fatalf("the set-up: %d targets", e.Targets)
		}
		offered = e.ProofUntil - e.ChallengeHeight
		e, out := n.finish(1)
		credited(t, out, "p1", "p2", "p3")
		return offered, e.ProofUntil - e.ChallengeHeight
	}
	few, fewTook := window(32)
	many, manyTook := window(uint64(1<<57) / transformer.Nano.Ops())
	if few != many || fewTook != manyTook {
		t.Errorf("the proof window has %d blocks with small counts and %d with the largest; it "+
			"took %d and %d", few, many, fewTook, manyTook)
	}
	if want := max(3, many/4); many < 8 || manyTook > want {
		t.Errorf("of %d blocks the proofs took %d; want at most %d", many, manyTook, want)
	}
}

// C19. One silent newcomer stretched every epoch to its full proof window. It is waited for during
// a quarter of it; a silent holder, whose weight was proven, for all of it.
// Holds spec S-13.
func TestC19ASilentNewcomerCostsAQuarter(t *testing.T) {
	for _, c := range []struct {
		name   string
		silent string
		took   int64
	}{{"nobody", "", 1}, {"a newcomer", "fresh", 10}, {"a holder", "p3", 40}} {
		n := startNamed(t, []string{"p1", "p2", "p3", "fresh"}, func(name string) uint64 {
			if name == "fresh" {
				return 0
			}
			return 1_000
		}, withParams(func(p *sprintv1.Params) { p.ProofBlocks = 40 }))
		if c.silent != "" {
			n.host(c.silent).cheat.open = adversary.WithholdOpening
		}
		e, out := n.finish(1)
		if took := e.ProofUntil - e.ChallengeHeight; took != c.took {
			t.Errorf("with %s silent, proofs took %d blocks of 40; want %d", c.name, took, c.took)
		}
		for name, o := range out {
			if want := map[bool]sprintv1.Result{true: sprintv1.ResultWithheld,
				false: sprintv1.ResultCredited}[name == c.silent]; o.Result != want {
				t.Errorf("with %s silent, %s: %s (%s)", c.name, name, o.Result, o.Reason)
			}
		}
	}
}

// C11. Each registration was copied into every epoch for ever: 2,000 idle identities took 281 ms of
// one block. What an epoch's begin, its turns and its state take follows those who announced
// themselves. (Once in lapse_epochs a registration is checked, of at most 1,000 a turn; x/registry
// tests that.)
func TestC11IdleIdentitiesCostNoEpoch(t *testing.T) {
	idle := 2_000
	if testing.Short() {
		idle = 200
	}
	run := func(idle int) (gas []uint64, members, state int) {
		all := []string{"p1", "p2", "p3", "p4"}
		for i := range idle {
			all = append(all, fmt.Sprintf("idle-%d", i))
		}
		n := startNamed(t, all, func(name string) uint64 {
			if name[0] == 'p' {
				return 1_000
			}
			return 0
		})
		n.hosts = n.hosts[:4] // the others never say a word
		n.step()
		n.until("epoch 2 in Compute", func(e sprintv1.Epoch) bool {
			// the block that was, over the state it left: its beacon is known
			ctx, _ := n.ctx().CacheContext()
			ctx = ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
			if err := n.app.Sprint.EndBlock(ctx); err != nil {
				t.Fatal(err)
			}
			gas = append(gas, ctx.GasMeter().GasConsumed())
			return e.Number == 2 && e.Phase == sprintv1.PhaseCompute
		})
		g, err := n.app.Sprint.ExportGenesis(n.ctx())
		if err != nil {
			t.Fatal(err)
		}
		return gas, len(n.members(2)), g.Size()
	}
	few, fewMembers, fewState := run(0)
	many, manyMembers, manyState := run(idle)
	if fewMembers != 4 || manyMembers != 4 {
		t.Errorf("%d members of epoch 2, and %d beside %d idle identities; want 4",
			fewMembers, manyMembers, idle)
	}
	if len(few) != len(many) || len(few) == 0 {
		t.Fatalf("%d and %d blocks", len(few), len(many))
	}
	dearest := uint64(0)
	for i := range few {
		dearest = max(dearest, few[i])
		if many[i] > few[i]+few[i]/10 {
			t.Errorf("block %d: the end of the block uses %d gas, and %d beside %d idle identities",
				i+1, few[i], many[i], idle)
		}
	}
	if dearest < 10_000 {
		t.Errorf("the dearest end of a block uses %d gas: nothing was measured", dearest)
	}
	if manyState != fewState {
		t.Errorf("x/sprint holds %d bytes, and %d beside %d idle identities",
			fewState, manyState, idle)
	}
}
