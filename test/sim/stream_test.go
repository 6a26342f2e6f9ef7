// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/poc/work/transformer"
)

// flowCredit is as how many leaves of a Sprint a clean stream counts: per node what the audit
// bounds, a part of it, at most a part of the node's Sprint; and together at most that part of what
// was credited to the Sprint.
func flowCredit(p streamv1.Params, nodes []streamv1.Node, samples, sprint uint64) (sum uint64) {
	for _, n := range nodes {
		credited := uint64(math.Floor(float64(n.Leaves) * math.Pow(0.05, 1/float64(samples))))
		sum += min(credited/uint64(p.NonceWeight), n.SprintLeaves*uint64(p.StreamCapBps)/10_000)
	}
	return min(sum, sprint*uint64(p.StreamCapBps)/10_000)
}

// paid fails the test unless the streams of an epoch count what an honest stream does, in the
// weight of the next epoch beside its Sprint.
func paid(t *testing.T, n *network, epoch uint64, names ...string) {
	t.Helper()
	judged := n.streamOutcomes(epoch + 1)
	before, after := n.outcomes(epoch), n.outcomes(epoch+1)
	for _, name := range names {
		nodes, sum, o := n.streamNodes(epoch, name), n.summary(epoch, name), judged[name]
		want := flowCredit(n.stream, nodes, o.Samples, before[name].Credited)
		if o.Result != sprintv1.ResultCredited || o.Credited != want || want == 0 ||
			o.WeightAfter != want*transformer.Nano.MiOps() {
			t.Errorf("stream of %s: %s with %d units and weight %d (%s); want %d units", name,
				o.Result, o.Credited, o.WeightAfter, o.Reason, want)
		}
		leaves, commits := uint64(0), uint32(0)
		for _, node := range nodes {
			leaves, commits = leaves+node.Leaves, commits+node.Commits
		}
		if !sum.Settled || sum.EffectivePocWeight != want || sum.Reason != o.Reason ||
			sum.TotalNonces != leaves || o.Count != leaves || sum.CommitCount != commits ||
			sum.TotalInferences != 3*uint64(commits) {
			t.Errorf("summary of %s: %v; want %d of %d leaves in %d commits", name, sum, want,
				leaves, commits)
		}
		h, sprint := n.holding(name), after[name].Credited*transformer.Nano.MiOps()
		if h.Credited != sprint || h.Weight != sprint+o.WeightAfter {
			t.Errorf("%s weighs %d, of its Sprint %d; want %d and %d", name, h.Weight, h.Credited,
				sprint+o.WeightAfter, sprint)
		}
	}
}

func every(n *network) (all []string) {
	for _, h := range n.hosts {
		all = append(all, h.name)
	}
	return all
}

// What an honest stream counts is added to the Sprint when the next epoch is finalised, to the
// unit: of three participants, who all judge each other, one of them with two machines; and of 20,
// of whom a drawn committee judges each.
// Holds spec T-6, T-7.
func TestHonestStreamsAreCreditedWithWhatTheAuditBounds(t *testing.T) {
	for _, members := range []int{3, 20} {
		n := start(t, members, withStreams(), withNodes("p2", "gpu-1", "gpu-2")).flowing()
		n.finish(1)
		for _, name := range every(n) {
			if h, o := n.holding(name), n.outcomes(1)[name]; h.Weight != h.Credited ||
				o.Credited == 0 {
				t.Errorf("%s weighs %d before any stream is judged, its Sprint %d", name, h.Weight,
					h.Credited)
			}
		}
		for epoch := uint64(1); epoch <= 2 && (epoch == 1 || members == 3); epoch++ {
			e, _ := n.finish(epoch + 1)
			if e.Void || int(e.Streams) != members {
				t.Fatalf("epoch %d void %v (%s), with %d streams", e.Number, e.Void, e.VoidReason,
					e.Streams)
			}
			paid(t, n, epoch, every(n)...)
		}
	}
}

// A stream counts no more than its part of the Sprint, however long it is.
// Holds spec T-7.
func TestAStreamIsCapped(t *testing.T) {
	n := start(t, 3, withStreams(func(p *streamv1.Params) {
		p.NonceWeight, p.StreamCapBps = 1, 5_000
	})).flowing()
	n.finish(2)
	paid(t, n, 1, every(n)...)
	sum, sprint := n.summary(1, "p1"), n.outcomes(1)["p1"]
	if sum.TotalNonces <= sprint.Count/2 || sum.EffectivePocWeight != sprint.Credited/2 {
		t.Errorf("%d leaves count %d beside a Sprint of %d", sum.TotalNonces,
			sum.EffectivePocWeight, sprint.Credited)
	}
}

// Nobody is there to judge a lone participant: the chain judges its stream, too.
// Holds spec S-23, T-6.
func TestTheChainJudgesALoneStream(t *testing.T) {
	n := start(t, 1, withStreams()).flowing()
	n.finish(2)
	out := n.streamOutcomes(2)["p1"]
	if out.Result != sprintv1.ResultCredited || out.ChainSamples == 0 ||
		out.Credited != flowCredit(n.stream, n.streamNodes(1, "p1"), out.ChainSamples,
			n.outcomes(1)["p1"].Credited) {
		t.Errorf("%v", out)
	}
	if h := n.holding("p1"); h.Weight != h.Credited+out.WeightAfter || out.WeightAfter == 0 {
		t.Errorf("weighs %d, of its Sprint %d, of its stream %d", h.Weight, h.Credited,
			out.WeightAfter)
	}
}

// Machines that are gone in the next epoch are paid for what they streamed, if it is opened.
// Holds spec T-6.
func TestAStreamIsPaidWhoseMachinesAreGone(t *testing.T) {
	n := start(t, 4, withStreams()).flowing()
	n.host("p4").cheat.gone = func(epoch uint64) bool { return epoch >= 2 }
	n.finish(2)
	paid(t, n, 1, "p1", "p2", "p3")
	sprint, o, h := n.outcomes(2)["p4"], n.streamOutcomes(2)["p4"], n.holding("p4")
	if want := flowCredit(n.stream, n.streamNodes(1, "p4"), o.Samples,
		n.outcomes(1)["p4"].Credited); sprint.Result != sprintv1.ResultAbsent ||
		o.Result != sprintv1.ResultCredited || o.Credited != want ||
		h.Weight != want*transformer.Nano.MiOps() || h.Credited != 0 {
		t.Errorf("its Sprint is %s, its stream %s (%s) with %d units of %d; weighs %d and %d",
			sprint.Result, o.Result, o.Reason, o.Credited, want, h.Weight, h.Credited)
	}
	n.finish(3)
	if h := n.holding("p4"); h.Weight != 0 {
		t.Errorf("weighs %d an epoch later", h.Weight)
	}
}

// A void epoch pays no stream, neither that of the epoch before, which it would have judged, nor
// its own; those before and after are paid.
// Holds spec T-6.
func TestAVoidEpochPaysNoStream(t *testing.T) {
	n := start(t, 4, withStreams()).flowing()
	n.finish(2)
	paid(t, n, 1, every(n)...)
	for _, name := range []string{"p2", "p3", "p4"} {
		n.host(name).cheat.absent = func(epoch uint64) bool { return epoch == 3 }
	}
	if e, _ := n.finish(3); !e.Void {
		t.Fatal("epoch 3 is not void")
	}
	for name, o := range n.streamOutcomes(3) {
		if sum := n.summary(2, name); o.WeightAfter != 0 || sum.EffectivePocWeight != 0 ||
			!sum.Settled {
			t.Errorf("stream of %s in epoch 2: %s with %d (%s), %v", name, o.Result, o.WeightAfter,
				o.Reason, sum)
		}
	}
	if len(n.streamOutcomes(3)) != 4 {
		t.Errorf("%d outcomes of streams", len(n.streamOutcomes(3)))
	}
	if e, _ := n.finish(4); e.Void || e.Streams != 0 {
		t.Fatalf("epoch 4: void %v, %d streams of a void epoch", e.Void, e.Streams)
	}
	n.finish(5)
	paid(t, n, 4, every(n)...)
}

// The terms of a stream are fixed when its epoch begins: switched on by a vote in the middle of
// one, it begins in the next.
func TestStreamsBeginWithTheEpochAfterTheVote(t *testing.T) {
	n := start(t, 3, withStreams(func(p *streamv1.Params) { p.EnableContinuousPoc = false }))
	n.flowing()
	n.finish(1)
	on := n.stream
	on.EnableContinuousPoc = true
	n.voted(&streamv1.MsgUpdateParams{Authority: authority(), Params: on})
	n.phase(2, sprintv1.PhasePrepare)
	if open := n.streamNodes(1, "p1"); len(open) != 0 {
		t.Errorf("commits in the epoch of the vote: %v", open)
	}
	n.finish(3)
	paid(t, n, 2, every(n)...)
}

// An export in the middle of the window, or of judging, ends as it would have.
func TestExportedStreamsEndAsTheyWouldHave(t *testing.T) {
	fresh := func() *network {
		n := start(t, 4, withStreams()).flowing()
		n.host("p4").cheat.leaf = forgeStream(4)
		return n
	}
	n := fresh()
	n.finish(2)
	want, sprint := n.streamOutcomes(2), n.outcomes(2)
	_, after := n.finish(3)
	for _, at := range []struct {
		epoch uint64
		phase sprintv1.Phase
	}{{1, sprintv1.PhaseServe}, {2, sprintv1.PhaseReveal}, {2, sprintv1.PhaseDispute}} {
		n := fresh()
		n.phase(at.epoch, at.phase)
		if at.phase == sprintv1.PhaseServe {
			n.step()
		}
		n.reborn()
		n.finish(2)
		same(t, at.phase.Word()+", streams", want, n.streamOutcomes(2))
		same(t, at.phase.Word()+", Sprints", sprint, n.outcomes(2))
		_, got := n.finish(3)
		same(t, at.phase.Word()+", after", after, got)
	}
}

// Every phase waits for both subjects, so an epoch with streams takes no longer than one without.
// Holds spec S-32.
func TestStreamsAreJudgedInTheSamePhases(t *testing.T) {
	length := func(n *network) int64 {
		e, _ := n.finish(2)
		return e.FinalisedHeight - e.Start
	}
	with := length(start(t, 4, withStreams()).flowing())
	if without := length(start(t, 4, withStreams())); with != without {
		t.Errorf("an epoch takes %d blocks with streams and %d without", with, without)
	}
}
