// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/adversary"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// memory lends the units that are known already to an engine from package adversary.
type memory struct{ work.Engine }

func (memory) Transformer(_ context.Context, class transformer.Class, seed1 seed.Seed,
	_ func(done, total uint64)) (transformer.Model, error) {
	return memoryModel{class, seed1}, nil
}

type memoryModel struct {
	class transformer.Class
	seed1 seed.Seed
}

func (m memoryModel) Class() transformer.Class { return m.class }

func (m memoryModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) (err error) {
	for i, nonce := range nonces {
		if dst[i], err = reference.Unit(context.Background(), m.class, m.seed1, node, segment,
			nonce, record.Record{}); err != nil {
			return err
		}
	}
	return nil
}

// leaves has a host's worker run on a cheating engine.
func leaves(n *network, cheat string, h, victim *host) func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output {
	who := func(h *host) adversary.Who {
		return adversary.Who{Chain: chainID, Participant: h.addr, Node: h.nodes[0]}
	}
	engine := adversary.Engine(memory{work.Reference()}, cheat, who(h), who(victim))
	models := map[uint64]transformer.Model{}
	return func(e sprintv1.Epoch, ref courtv1.LeafRef, _ transformer.Output) transformer.Output {
		m := models[e.Number]
		if m == nil {
			var err error
			if m, err = engine.Transformer(context.Background(), n.class(e), seed.Seed(e.Seed1),
				nil); err != nil {
				n.t.Fatal(err)
			}
			models[e.Number] = m
		}
		var out [1]transformer.Output
		node := seed.Node(chainID, ref.Participant, ref.Node, e.Params.Class)
		if err := m.Run(out[:], node, seed.Seed(e.Segments[ref.Segment-1].Seed),
			[]uint64{ref.Nonce}); err != nil {
			n.t.Fatal(err)
		}
		return out[0]
	}
}

// proven are the leaves of a participant that the chain found forged.
func (n *network) proven(epoch uint64, h *host) []courtv1.Judgement {
	n.t.Helper()
	var out []courtv1.Judgement
	for _, j := range n.judgements(epoch) {
		if j.Leaf.Participant == h.addr && j.Mismatch {
			out = append(out, j)
		}
	}
	return out
}

// A worker that forges, skips or borrows makes its host a fraud: cut in the block that proves it,
// jailed for four epochs, with evidence that stands on its own. Nobody else loses anything.
// Holds spec S-26.
func TestForgedLeavesAreFraudInTheBlockThatProvesThem(t *testing.T) {
	for _, cheat := range []string{adversary.Forge, adversary.Skip, adversary.Reuse} {
		t.Run(cheat, func(t *testing.T) {
			n := start(t, 4, withUnits(reference))
			p4 := n.host("p4")
			p4.cheat.leaf = leaves(n, cheat, p4, n.host("p1"))
			cutAt, zeroAt := int64(0), int64(0)
			n.until("end of epoch 1", func(e sprintv1.Epoch) bool {
				if cutAt == 0 && n.holding("p4").Power == 0 {
					cutAt = n.height
				}
				for _, u := range n.updates {
					if n.owner(u) == "p4" && u.Power == 0 && zeroAt == 0 {
						zeroAt = n.height
					}
				}
				return e.Phase == sprintv1.PhaseFinalised
			})
			e, out := n.finish(1)
			credited(t, out, "p1", "p2", "p3")
			o := out["p4"]
			if o.Result != sprintv1.ResultFraud || o.WeightAfter != 0 || o.PowerAfter != 0 {
				t.Fatalf("p4 %s: %v", cheat, o)
			}
			if o.Forged == nil || !strings.HasPrefix(o.Reason, "fraud: leaf ") ||
				!strings.Contains(o.Reason, "of node gpu-1, segment ") {
				t.Errorf("the reason names no leaf: %q", o.Reason)
			}
			judged := n.proven(1, p4)
			if len(judged) < 4 {
				t.Fatalf("fraud with %d proven leaves; 4 are needed", len(judged))
			}
			if fourth := judged[3].Height; cutAt != fourth || zeroAt != fourth {
				t.Errorf("the fourth leaf was proven at block %d, power went at %d and CometBFT "+
					"heard at %d", fourth, cutAt, zeroAt)
			}
			if zeroAt >= e.FinalisedHeight {
				t.Errorf("fraud waited for the end of the epoch: block %d of %d",
					zeroAt, e.FinalisedHeight)
			}
			p := n.participant("p4")
			if p.JailedUntil != 1+1+4 ||
				!strings.Contains(p.JailReason, "forged leaves of node gpu-1") {
				t.Errorf("jailed until epoch %d (%s); want 4 epochs from 2 on",
					p.JailedUntil, p.JailReason)
			}
			if other := n.holding("p1"); other.Power == 0 {
				t.Error("an honest participant lost its power")
			}
			evidenceStands(t, n, e, judged[0])
		})
	}
}

// evidenceStands assembles evidence as a host does and verifies it offline.
func evidenceStands(t *testing.T, n *network, e sprintv1.Epoch, j courtv1.Judgement) {
	t.Helper()
	f, err := client.Evidence(context.Background(), n.query(), chainID, e, j)
	if err != nil {
		t.Fatalf("evidence: %v", err)
	}
	raw, err := f.Marshal()
	if err != nil {
		t.Fatalf("evidence: %v", err)
	}
	if f, err = evidence.Parse(raw); err != nil {
		t.Fatalf("evidence: %v", err)
	}
	build := func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
		return memoryModel{class, seed1}, nil
	}
	finding, err := evidence.Verify(f, build)
	if err != nil || !finding.Forged {
		t.Fatalf("evidence shows forged %v: %v", finding.Forged, err)
	}
	f.Claim = evidence.Honest
	if _, err := evidence.Verify(f, build); err == nil {
		t.Error("the same evidence also shows the opposite")
	}
}

// An accomplice that passes a forger neither saves it nor is harmed: votes do not decide what is
// true.
// Holds spec J-1.
func TestVotesDoNotSaveAForger(t *testing.T) {
	n := start(t, 4)
	p4 := n.host("p4")
	p4.cheat.leaf = forgeEvery(4)
	for _, name := range []string{"p1", "p2"} { // a majority of those who judge p4
		n.host(name).cheat.opinion = passAll
	}
	_, out := n.finish(1)
	if out["p4"].Result != sprintv1.ResultFraud {
		t.Errorf("two of three voters passed a forger and it was %s", out["p4"].Result)
	}
	credited(t, out, "p1", "p2", "p3")
}

// forgeEvery makes up one leaf of so many.
func forgeEvery(k uint64) func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output {
	return func(_ sprintv1.Epoch, ref courtv1.LeafRef, out transformer.Output) transformer.Output {
		if ref.Nonce%k == k-1 {
			out.Norm++
			out.Digest[0] ^= 1
		}
		return out
	}
}

// Holds spec J-1.
func TestANormAloneOrADigestAloneIsAMismatch(t *testing.T) {
	for name, bend := range map[string]func(*transformer.Output){
		"norm":   func(o *transformer.Output) { o.Norm++ },
		"digest": func(o *transformer.Output) { o.Digest[31] ^= 0x80 },
	} {
		n := start(t, 4)
		n.host("p3").cheat.leaf = func(_ sprintv1.Epoch, _ courtv1.LeafRef,
			out transformer.Output) transformer.Output {
			bend(&out)
			return out
		}
		if _, out := n.finish(1); out["p3"].Result != sprintv1.ResultFraud {
			t.Errorf("a wrong %s in every leaf was %s", name, out["p3"].Result)
		}
	}
}

// Holds spec S-27.
func TestWithholdingCostsCreditAndRepeatedJails(t *testing.T) {
	n := start(t, 4)
	n.finish(1)
	p4 := n.host("p4")
	p4.cheat.open = adversary.WithholdOpening
	e, out := n.finish(2)
	credited(t, out, "p1", "p2", "p3")
	o := out["p4"]
	if o.Result != sprintv1.ResultWithheld || o.WeightAfter != 0 ||
		!strings.Contains(o.Reason,
			"opened none of "+fmt.Sprint(e.Samples)+" drawn leaves by block") {
		t.Errorf("p4 withheld: %v", o)
	}
	if p := n.participant("p4"); p.JailedUntil != 0 || p.SilentEpochs != 1 {
		t.Errorf("one silence jails nobody: until %d, %d silent epochs",
			p.JailedUntil, p.SilentEpochs)
	}
	_, out = n.finish(3)
	if out["p4"].Result != sprintv1.ResultWithheld {
		t.Errorf("p4 withheld again: %v", out["p4"])
	}
	if p := n.participant("p4"); p.JailedUntil != 3+1+4 ||
		!strings.Contains(p.JailReason, "silent for 2 epochs") {
		t.Errorf("after %d silent epochs: jailed until %d, %q", e.Params.SilenceEpochs,
			p.JailedUntil, p.JailReason)
	}
	p4.cheat.open = nil
	for epoch := uint64(4); epoch <= 7; epoch++ {
		if _, out := n.finish(epoch); isMember(out, "p4") || n.holding("p4").Weight != 0 {
			t.Errorf("epoch %d of the jail: %v", epoch, out["p4"])
		}
	}
	if _, out = n.finish(8); out["p4"].Result != sprintv1.ResultCredited {
		t.Errorf("after its term p4 is %v", out["p4"])
	}
}

// Holds spec S-27.
func TestSilenceThatIsBrokenDoesNotJail(t *testing.T) {
	n := start(t, 4)
	n.host("p4").cheat.open = func(msg *sprintv1.MsgOpen) *sprintv1.MsgOpen {
		if msg.Epoch%2 == 1 {
			return nil
		}
		return msg
	}
	for epoch := uint64(1); epoch <= 4; epoch++ {
		_, out := n.finish(epoch)
		want := map[uint64]sprintv1.Result{1: sprintv1.ResultWithheld,
			0: sprintv1.ResultCredited}[epoch%2]
		if out["p4"].Result != want {
			t.Errorf("epoch %d: p4 is %s; want %s", epoch, out["p4"].Result, want)
		}
	}
}

// C22. Forging spread thin over many nodes was rejected and never fraud. Six forged leaves of a
// participant are, on six nodes as on one; five are not.
// Holds spec S-26.
func TestC22SixForgedLeavesOverSixNodesAreFraud(t *testing.T) {
	nodes := machines(6)
	fresh := func() *network { return start(t, 4, withNodes("p1", nodes...)) }
	var spread []courtv1.LeafRef
	for _, ref := range drawnIn(t, "p1", fresh) {
		if !slices.ContainsFunc(spread, func(l courtv1.LeafRef) bool {
			return l.Node == ref.Node
		}) {
			spread = append(spread, ref)
		}
	}
	if len(spread) != 6 {
		t.Fatalf("the set-up: leaves of %d nodes are drawn", len(spread))
	}
	for _, c := range []struct {
		forged int
		result sprintv1.Result
	}{{5, sprintv1.ResultRejected}, {6, sprintv1.ResultFraud}} {
		n := fresh()
		n.host("p1").cheat.leaf = flip(spread[:c.forged])
		_, out := n.finish(1)
		credited(t, out, "p2", "p3", "p4")
		p := n.participant("p1")
		if o := out["p1"]; o.Result != c.result || o.WeightAfter != 0 ||
			o.Mismatches != uint64(c.forged) {
			t.Errorf("%d forged leaves: %s (%s)", c.forged, o.Result, o.Reason)
		}
		if fraud := c.result == sprintv1.ResultFraud; (p.JailedUntil > 0) != fraud || fraud &&
			!strings.Contains(p.JailReason, "6 forged leaves proven in epoch 1") {
			t.Errorf("%d forged leaves: jailed until %d (%s)", c.forged,
				p.JailedUntil, p.JailReason)
		}
	}
}
