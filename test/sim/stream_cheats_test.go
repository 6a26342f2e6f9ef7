// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/google/go-cmp/cmp"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

func authority() string { return app.Authority() }

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// ofStreams bends leaves of streams, and none of a Sprint.
func ofStreams(bend func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output) func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output {
	return func(e sprintv1.Epoch, ref courtv1.LeafRef, out transformer.Output) transformer.Output {
		if !isStream(ref) {
			return out
		}
		return bend(e, ref, out)
	}
}

// forgeStream makes up one leaf of so many of a stream.
func forgeStream(k uint64) func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output {
	return ofStreams(forgeEvery(k))
}

// cheaters of a stream, and what becomes of it. An honest stream stands beside each, of as many
// leaves.
func cheaters(n *network, h *host) []struct {
	name string
	cheat
	want sprintv1.Result
} {
	victim := n.host("p1")
	return []struct {
		name string
		cheat
		want sprintv1.Result
	}{
		{"half of the leaves forged", cheat{leaf: forgeStream(2)}, sprintv1.ResultFraud},
		{"all of one commit forged", cheat{leaf: ofStreams(func(_ sprintv1.Epoch,
			ref courtv1.LeafRef, out transformer.Output) transformer.Output {
			if ref.Segment == sprintv1.StreamSegments+3 {
				out.Norm++
			}
			return out
		})}, sprintv1.ResultRejected}, // two of 16 drawn leaves, of which one in 8 is forged
		{"computed with an old seed", cheat{streamSeed: func(e sprintv1.Epoch,
			number uint32) seed.Seed {
			return n.logSeed(e, number, e.ComputeEnd)
		}}, sprintv1.ResultFraud},
		{"leaves of another's node", cheat{leaf: ofStreams(func(_ sprintv1.Epoch,
			ref courtv1.LeafRef, _ transformer.Output) transformer.Output {
			return victim.flow.log("gpu-1", ref.Segment).outputs[ref.Nonce]
		})}, sprintv1.ResultFraud},
		{"forged, then withheld", cheat{leaf: forgeStream(2), open: streamsOf(
			func(*sprintv1.MsgOpen) *sprintv1.MsgOpen { return nil })}, sprintv1.ResultWithheld},
		// the roots bind what was committed
		{"forged, honest when it is opened", cheat{leaf: forgeStream(2), open: streamsOf(
			func(m *sprintv1.MsgOpen) *sprintv1.MsgOpen {
				if err := n.handle(n.scratch(), honestly(n, m)); !errors.Is(err,
					sprint.ErrInvalid) {
					n.t.Errorf("an opening of other leaves than were committed: %v", err)
				}
				return nil
			})}, sprintv1.ResultWithheld},
	}
}

// streamsOf bends what opens a stream.
func streamsOf(bend func(*sprintv1.MsgOpen) *sprintv1.MsgOpen) func(
	*sprintv1.MsgOpen) *sprintv1.MsgOpen {
	return func(m *sprintv1.MsgOpen) *sprintv1.MsgOpen {
		if !m.Stream {
			return m
		}
		return bend(m)
	}
}

// honestly replaces what is opened of a stream by what its leaves should hold.
func honestly(n *network, m *sprintv1.MsgOpen) *sprintv1.MsgOpen {
	e := n.record(m.Epoch)
	refs := n.samples(m.Epoch, m.Participant, true)
	for i := range m.Logs {
		b := m.Logs[i].Leaves
		for ; len(b) > 0; b, refs = b[40:], refs[1:] {
			out := n.unit(e, refs[0])
			for at := range 8 {
				b[at] = byte(out.Norm >> (8 * at))
			}
			copy(b[8:40], out.Digest[:])
		}
	}
	return m
}

// No way to cheat in a stream gains. What is found wrong of a stream never touches the Sprint,
// unless it is fraud, which takes both; and nobody else loses anything.
// Holds spec T-6, T-8.
func TestCheatingInAStreamGainsNothing(t *testing.T) {
	probe := start(t, 4, withStreams())
	for i := range cheaters(probe, probe.host("p4")) {
		n := start(t, 4, withStreams()).flowing()
		h := n.host("p4")
		tc := cheaters(n, h)[i]
		h.cheat = tc.cheat
		n.finish(2)
		sprint, o, honest := n.outcomes(2)["p4"], n.streamOutcomes(2)["p4"],
			n.streamOutcomes(2)["p1"]
		t.Logf("%s: stream %s, %d of %d units of an honest one; its Sprint %s, %d units", tc.name,
			o.Result, o.Credited, honest.Credited, sprint.Result, sprint.Credited)
		if o.Result != tc.want || o.WeightAfter != 0 || n.summary(1, "p4").EffectivePocWeight != 0 {
			t.Errorf("%s: %s with %d (%s)", tc.name, o.Result, o.WeightAfter, o.Reason)
		}
		weight, credited := n.holding("p4").Weight, n.outcomes(2)["p1"].Credited
		if fraud := tc.want == sprintv1.ResultFraud; fraud {
			if sprint.Result != sprintv1.ResultFraud || weight != 0 ||
				!strings.Contains(sprint.Reason, "segment 10") ||
				n.participant("p4").JailedUntil != 2+1+4 {
				t.Errorf("%s: its Sprint is %s (%s), it weighs %d, jailed until %d", tc.name,
					sprint.Result, sprint.Reason, weight, n.participant("p4").JailedUntil)
			}
		} else if sprint.Result != sprintv1.ResultCredited || sprint.Credited != credited ||
			weight != credited*transformer.Nano.MiOps() {
			t.Errorf("%s: its Sprint is %s with %d (%s), it weighs %d", tc.name, sprint.Result,
				sprint.Credited, sprint.Reason, weight)
		}
		silent := uint64(0)
		if tc.want == sprintv1.ResultWithheld {
			silent = 1
		}
		if got := n.participant("p4").SilentEpochs; got != silent {
			t.Errorf("%s: silent for %d epochs, want %d", tc.name, got, silent)
		}
		paid(t, n, 1, "p1", "p2", "p3")
	}
}

// A few forged leaves are found now and then. What is lost then is more than what is gained in all
// other epochs: less is credited than was computed.
func TestFewForgedLeavesLoseOnAverage(t *testing.T) {
	const epochs = 8
	n := start(t, 5, withStreams()).flowing()
	forged := map[string]uint64{"p4": 100, "p5": 20} // one leaf in so many
	for name, k := range forged {
		n.host(name).cheat.leaf = forgeStream(k)
	}
	got := map[string]uint64{}
	for epoch := uint64(2); epoch < 2+epochs; epoch++ {
		n.finish(epoch)
		for name, o := range n.streamOutcomes(epoch) {
			got[name] += o.Credited
		}
	}
	for name, k := range forged {
		t.Logf("one leaf in %d forged: %d units of %d of an honest one, %.2f %%", k, got[name],
			got["p1"], 100*float64(got[name])/float64(got["p1"]))
		if k*got[name] > (k-1)*got["p1"] {
			t.Errorf("one leaf in %d forged: %d units of %d", k, got[name], got["p1"])
		}
	}
}

// A commit over the bound, to the leaf, and one with a seed that is too old are refused, whoever
// pays for it; what is refused has no part in the stream.
// Holds spec T-3, T-4.
func TestCommitsBeyondTheBoundAreRefused(t *testing.T) {
	n := start(t, 3, withStreams()).flowing()
	h := n.host("p3")
	var reasons []string
	h.cheat.refused = func(_ sdk.Msg, why string) { reasons = append(reasons, why) }
	h.cheat.streamCount = func(_ string, number uint32, most uint64) uint64 {
		return most + uint64(number%2) // every other one is over
	}
	h.cheat.stream = func(m *streamCommit) *streamCommit {
		if m.Number == 4 { // an old seed; the bound lets more through for it
			m.SeedHeight = n.height - 30
			m = h.signStream(n.now().Epoch, n.logSeed(n.now().Epoch, m.Number, m.SeedHeight), m)
		}
		return m
	}
	n.finish(2)
	bound, old := 0, 0
	for _, why := range reasons {
		switch {
		case strings.Contains(why, stream.ErrGrowth.Error()):
			bound++
		case strings.Contains(why, stream.ErrSeed.Error()):
			old++
		default:
			t.Errorf("refused: %s", why)
		}
	}
	if bound < 3 || old != 1 {
		t.Errorf("%d refused for the bound, %d for their seed", bound, old)
	}
	var leaves uint64
	for _, node := range n.streamNodes(1, "p3") {
		leaves += node.Leaves
	}
	e := n.record(1)
	if most := bounded(n.stream, n.outcomes(1)["p3"].Count, uint64(e.ComputeEnd-e.ComputeStart+1),
		n.record(2).Start-e.ComputeEnd, 0); leaves > most || leaves < most/4 {
		t.Errorf("%d leaves in all, the bound over the whole window is %d", leaves, most)
	}
	paid(t, n, 1, every(n)...)
}

// flipped makes up just these leaves.
func flipped(refs []courtv1.LeafRef) func(sprintv1.Epoch, courtv1.LeafRef,
	transformer.Output) transformer.Output {
	return func(_ sprintv1.Epoch, ref courtv1.LeafRef, out transformer.Output) transformer.Output {
		if slices.Contains(refs, ref) {
			out.Norm++
		}
		return out
	}
}

// Short of fraud, a stream that fails costs its Sprint nothing, and a Sprint that fails costs the
// stream of the epoch before nothing; neither does silence about one of them.
// Holds spec T-8.
func TestAStreamAndASprintFailEachForItself(t *testing.T) {
	dry := start(t, 4, withStreams()).flowing()
	dry.phase(2, sprintv1.PhaseProof)
	p4 := dry.host("p4").addr
	for _, failing := range []bool{true, false} { // the stream; the Sprint
		n := start(t, 4, withStreams()).flowing()
		n.host("p4").cheat.leaf = flipped(dry.samples(2, p4, failing)[:2])
		n.finish(2)
		sprint, o := n.outcomes(2)["p4"], n.streamOutcomes(2)["p4"]
		if failing {
			sprint, o = o, sprint
		}
		if sprint.Result != sprintv1.ResultRejected || sprint.Credited != 0 ||
			o.Result != sprintv1.ResultCredited || o.Credited == 0 {
			t.Errorf("stream fails %v: that is %s, the other %s (%s)", failing, sprint.Result,
				o.Result, o.Reason)
		}
		if h := n.holding("p4"); h.Weight != o.Credited*transformer.Nano.MiOps() {
			t.Errorf("stream fails %v: weighs %d", failing, h.Weight)
		}
		if n.participant("p4").JailedUntil != 0 {
			t.Errorf("stream fails %v: jailed", failing)
		}
		if !failing {
			paidAlone(t, n, "p4")
		}
	}
	n := start(t, 4, withStreams()).flowing()
	n.host("p4").cheat.open = func(m *sprintv1.MsgOpen) *sprintv1.MsgOpen {
		if m.Stream || m.Epoch < 2 {
			return m
		}
		return nil
	}
	n.finish(2)
	if o := n.outcomes(2)["p4"]; o.Result != sprintv1.ResultWithheld ||
		n.participant("p4").SilentEpochs != 1 {
		t.Errorf("its Sprint is %s, silent for %d epochs", o.Result,
			n.participant("p4").SilentEpochs)
	}
	paidAlone(t, n, "p4")
}

// paidAlone: the stream of epoch 1 counts in full, where the Sprint of epoch 2 counts nothing.
func paidAlone(t *testing.T, n *network, name string) {
	t.Helper()
	o := n.streamOutcomes(2)[name]
	if want := flowCredit(n.stream, n.streamNodes(1, name), o.Samples,
		n.outcomes(1)[name].Credited); o.Credited != want || want == 0 ||
		n.holding(name).Credited != 0 {
		t.Errorf("stream of %s is %s with %d of %d", name, o.Result, o.Credited, want)
	}
}

// What is proven of a person takes both parts: fraud in a Sprint, and a false verdict on a stream.
// Holds spec T-8.
func TestFraudAndFalseVerdictsTakeBothParts(t *testing.T) {
	for name, bend := range map[string]func(*host){
		"fraud": func(h *host) {
			forge := forgeEvery(1)
			h.cheat.leaf = func(e sprintv1.Epoch, ref courtv1.LeafRef,
				out transformer.Output) transformer.Output {
				if e.Number == 2 {
					return forge(e, ref, out)
				}
				return out
			}
		},
		"a false verdict on a stream": func(h *host) {
			h.cheat.opinion = func(said []opinion) {
				if h.epoch == 2 && h.sent[about("verdict", true)] {
					said[0].vote, said[0].named = sprintv1.VoteFail, []int{0, 1, 2, 3}
				}
			}
		},
	} {
		n := start(t, 4, withStreams()).flowing()
		bend(n.host("p4"))
		n.finish(2)
		sprint, o := n.outcomes(2)["p4"], n.streamOutcomes(2)["p4"]
		if h := n.holding("p4"); sprint.Credited != 0 || o.Credited != 0 || h.Weight != 0 ||
			o.Result != sprintv1.ResultJailed || n.participant("p4").JailedUntil != 2+1+4 {
			t.Errorf("%s: Sprint %s with %d, stream %s with %d (%s), weighs %d", name,
				sprint.Result, sprint.Credited, o.Result, o.Credited, o.Reason, h.Weight)
		}
		paid(t, n, 1, "p1", "p2", "p3")
	}
}

// Who forged a stream and left is convicted, once. Who left and did not is paid.
// Holds spec T-6.
func TestWhoLeavesIsStillJudgedByItsStream(t *testing.T) {
	for _, forges := range []bool{false, true} {
		n := start(t, 5, withStreams(), withNodes("p5", "gpu-1", "gpu-2")).flowing()
		h := n.host("p5")
		if forges {
			h.cheat.leaf = forgeStream(1)
		}
		h.cheat.gone = func(epoch uint64) bool { return epoch >= 2 }
		n.finish(1)
		n.phase(1, sprintv1.PhaseServe)
		n.queue = append(n.queue, h.sign(h.operator, h.account, &h.sequence,
			&registryv1.MsgLeave{Address: h.addr}))
		frauds := 0
		n.until("end of epoch 2", func(e sprintv1.Epoch) bool {
			for _, event := range n.events {
				if event.Type == "sprint_fraud" {
					frauds++
				}
			}
			return e.Number == 2 && e.Phase == sprintv1.PhaseFinalised
		})
		if forges && frauds != 1 || !forges && frauds != 0 {
			t.Errorf("forges %v: punished for fraud %d times", forges, frauds)
		}
		if _, member := n.members(2)["p5"]; member {
			t.Fatal("who left is a member")
		}
		o, weight := n.streamOutcomes(2)["p5"], n.holding("p5").Weight
		p, err := n.app.Registry.Record(n.ctx(), h.addr)
		if err != nil {
			t.Fatal(err)
		}
		if forges && (o.Result != sprintv1.ResultFraud || weight != 0 || p.JailedUntil != 2+1+4) {
			t.Errorf("a forger that left: %s (%s), weighs %d, jailed until %d", o.Result, o.Reason,
				weight, p.JailedUntil)
		}
		if !forges {
			paidAlone(t, n, "p5")
			if weight != o.WeightAfter || n.holding("p5").Power != 0 {
				t.Errorf("weighs %d of %d, with power %d", weight, o.WeightAfter,
					n.holding("p5").Power)
			}
		}
		paid(t, n, 1, "p1", "p2", "p3", "p4")
		n.finish(3)
	}
}

// An epoch to which nobody comes, only what was streamed before is opened, is void and ends.
func TestNobodyComesAndStreamsAreOpened(t *testing.T) {
	n := start(t, 3, withStreams()).flowing()
	for _, h := range n.hosts {
		h.cheat.gone = func(epoch uint64) bool { return epoch == 2 }
	}
	if e, _ := n.finish(2); !e.Void || e.Streams != 3 {
		t.Errorf("void %v, with %d streams", e.Void, e.Streams)
	}
	for name, o := range n.streamOutcomes(2) {
		if o.WeightAfter != 0 {
			t.Errorf("%s has %d of its stream", name, o.WeightAfter)
		}
	}
	if e, _ := n.finish(3); e.Void {
		t.Errorf("and the next is void: %s", e.VoidReason)
	}
}

// Who is jailed in the middle of an epoch commits no more of its stream, paying or not.
func TestWhoIsJailedCommitsNoMore(t *testing.T) {
	n := start(t, 4, withStreams()).flowing()
	h := n.host("p4")
	n.phase(1, sprintv1.PhaseServe)
	e, member := n.now().Epoch, n.members(1)["p4"]
	tap := h.flow.nodes["gpu-1"]
	for n.height+1-tap.height < 2 {
		n.step()
	}
	msg := h.nextLog(e, n.stream, member.Nodes[0], tap, n.height+1)
	if err := n.handle(n.scratch(), msg); err != nil {
		t.Fatalf("the set-up: %v", err)
	}
	n.doubleSigns(h, n.height)
	n.step()
	if n.members(1)["p4"].Jailed {
		t.Fatal("the set-up: it is jailed as a member")
	}
	msg = h.nextLog(e, n.stream, member.Nodes[0], tap, n.height+1)
	if err := n.handle(n.scratch(), msg); !errors.Is(err, stream.ErrNode) {
		t.Errorf("%v, want code %d", err, stream.ErrNode.ABCICode())
	}
}

// A commit is cheap and short, also sent by the host's own key; a commit that is not free any
// longer pays.
func TestWhatACommitCosts(t *testing.T) {
	n := start(t, 3, withStreams(), withNodes("p1", machines(8)...)).flowing()
	sent, measured := map[int]int64{}, map[int]int{}
	for e := n.now().Epoch; e.Number < 2; e = n.now().Epoch {
		w, queued := n.listen(), len(n.queue)
		n.deliver(w)
		for i, msgs := range w.msgs {
			if m, ok := msgs[0].(*streamCommit); ok && m != nil {
				r := n.results[queued+i]
				sent[len(msgs)] = max(sent[len(msgs)], r.GasUsed)
				measured[len(msgs)] = max(measured[len(msgs)], len(w.txs[i]))
				if may := int64(sprintv1.GasBound(msgs...)); r.GasUsed+viaGrant > may {
					t.Errorf("%d commits use %d gas, a host allows %d", len(msgs), r.GasUsed, may)
				}
			}
		}
	}
	if sent[1] == 0 || sent[8] == 0 {
		t.Fatalf("commits were sent by %v", sent)
	}
	t.Logf("one commit: %d gas, %d bytes; 8 in one transaction: %d gas, %d bytes each", sent[1],
		measured[1], sent[8]/8, measured[8]/8)
	if sent[1] > 120_000 || measured[1] > 500 {
		t.Errorf("one commit uses %d gas and %d bytes", sent[1], measured[1])
	}
	if sent[8]/8 > 120_000 || measured[8]/8 > 500 {
		t.Errorf("one of 8 commits uses %d gas and %d bytes", sent[8]/8, measured[8]/8)
	}
}

// A participant commits 100 times an epoch for free, and in proportion to its weight more often;
// the one beyond pays.
// Holds spec T-5.
func TestCommitsBeyondTheFreeOnesPay(t *testing.T) {
	n := startNamed(t, []string{"big", "small"}, func(name string) uint64 {
		return map[string]uint64{"big": 1_000_000, "small": 12}[name]
	}, withStreams(), withNodes("small", machines(4)...))
	h := n.host("small")
	n.phase(1, sprintv1.PhaseProof)
	e := n.record(1)
	h.flow = &flow{e: e, logs: map[logID]*leafLog{}, nodes: map[string]*tap{}}
	h.cheat.streamCount = func(string, uint32, uint64) uint64 { return 10 }
	free, made := 100+200_000*12/1_000_012, 0
	commit := func(node string) []byte {
		t.Helper()
		tap := h.flow.nodes[node]
		msg := h.nextLog(e, n.stream, node, tap, n.height+1)
		tap.number, tap.seed, tap.height = msg.Number, msg.SeedHeight, n.height+1
		return h.tx(msg)
	}
	for _, node := range h.nodes {
		h.flow.nodes[node] = &tap{height: n.height}
	}
	for made < free {
		w := n.listen()
		for _, node := range h.nodes {
			if made < free {
				w.txs, w.from = append(w.txs, commit(node)), append(w.from, h)
				w.msgs = append(w.msgs, []sdk.Msg{&streamCommit{}})
				made++
			}
		}
		n.deliver(w)
	}
	if got := n.summary(1, "small").CommitCount; int(got) != free {
		t.Fatalf("%d free commits, want %d", got, free)
	}
	n.unjudged = true // a block with it would be rejected
	n.block(commit(h.nodes[0]))
	if r := n.results[0]; r.Code == 0 || !strings.Contains(r.Log, fmt.Sprintf("made %d commits",
		free)) {
		t.Errorf("one beyond is free: %s", r.Log)
	}
	n.unjudged, h.pays = false, true
	h.sequence-- // what was refused before it ran used none
	n.block(commit(h.nodes[0]))
	if r := n.results[0]; r.Code != 0 || int(n.summary(1, "small").CommitCount) != free+1 {
		t.Errorf("one that pays: %s", r.Log)
	}
}
