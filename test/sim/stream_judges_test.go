// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/work/transformer"
)

// lax has the judge p4 of four do something about streams only, in epoch 2, and returns what became
// of its Sprint.
func lax(t *testing.T, bend func(h *host)) (*network, sprintv1.Outcome) {
	t.Helper()
	n := start(t, 4, withStreams()).flowing()
	bend(n.host("p4"))
	n.finish(2)
	paid(t, n, 1, "p1", "p2", "p3") // whatever it says or does not say of them
	return n, n.outcomes(2)["p4"]
}

// Middle digests of a verdict on streams are drawn, opened and disputed as those of one on Sprints,
// and keyed to the epoch that judges: who did not re-run the leaves is proven false.
// Holds spec S-32.
func TestALazyVerdictOnStreamsIsProvenFalse(t *testing.T) {
	n, o := lax(t, func(h *host) {
		h.cheat.opinion = func(said []opinion) {
			if h.sent[about("verdict", true)] {
				for i := range said {
					for at := range said[i].middles {
						said[i].middles[at] ^= 0x55
					}
				}
			}
		}
	})
	if s := n.streamOutcomes(2)["p4"]; o.Result != sprintv1.ResultFalseVerdict ||
		s.Result != sprintv1.ResultJailed || n.holding("p4").Weight != 0 {
		t.Errorf("its Sprint is %s (%s), its stream %s (%s), it weighs %d", o.Result, o.Reason,
			s.Result, s.Reason, n.holding("p4").Weight)
	}
}

// Who does not open what was drawn of its verdict on streams loses its Sprint of the epoch, and
// nothing of its stream.
func TestAVerdictOnStreamsIsOpenedOrCostsTheSprint(t *testing.T) {
	n, o := lax(t, func(h *host) {
		h.cheat.middles = func(m *sprintv1.MsgOpenMiddles) *sprintv1.MsgOpenMiddles {
			if m.Stream {
				return nil
			}
			return m
		}
	})
	if o.Result != sprintv1.ResultUnopened || n.participant("p4").UnopenedEpoch != 2 {
		t.Errorf("its Sprint is %s (%s)", o.Result, o.Reason)
	}
	paidAlone(t, n, "p4")
}

// Who judges Sprints and says nothing of streams is cut to the part of its duties that it did, and
// is not silent.
// Holds spec S-32, S-22.
func TestDutiesTowardsStreamsAreOwed(t *testing.T) {
	n, o := lax(t, func(h *host) {
		h.cheat.commitVerdict = func(m *sprintv1.MsgCommitVerdict) *sprintv1.MsgCommitVerdict {
			if m.Stream {
				return nil
			}
			return m
		}
	})
	all := n.outcomes(2)
	var did, owed uint64
	for _, name := range []string{"p1", "p2", "p3"} {
		did += all[name].Credited * transformer.Nano.MiOps()
		owed += n.streamOutcomes(2)[name].WeightAfter
	}
	owed += did
	whole := creditOf(o.Count, o.Samples) * transformer.Nano.MiOps()
	want := whole * did / owed
	if got := n.holding("p4").Credited; o.Result != sprintv1.ResultCredited || got != want ||
		want == whole || n.participant("p4").SilentEpochs != 0 {
		t.Errorf("its Sprint is %s with %d (%s), want %d; judged %d of %d, did %d of %d", o.Result,
			got, o.Reason, want, o.Judged, o.Owed, did, owed)
	}
	if s := n.streamOutcomes(2)["p4"]; s.Result != sprintv1.ResultCredited ||
		n.holding("p4").Weight != want+s.WeightAfter {
		t.Errorf("its stream is %s, it weighs %d", s.Result, n.holding("p4").Weight)
	}
}

// A stream is judged, and weighs, by the class of the epoch in which it was made. Whom nobody
// judges, as members owe less of a larger class and the chain judges only its own, keeps a part.
// Holds spec T-7.
func TestAStreamIsOfTheClassOfItsEpoch(t *testing.T) {
	n := start(t, 4, withStreams()).flowing()
	n.finish(1)
	p := n.params
	p.Class = transformer.Small.Name
	n.voted(&sprintv1.MsgUpdateParams{Authority: authority(), Params: p})
	e, _ := n.finish(2)
	next, _ := n.finish(3)
	if e.Params.Class != transformer.Nano.Name || next.Params.Class != p.Class || next.Void {
		t.Fatalf("the set-up: %s, then %s, void %v (%s)", e.Params.Class, next.Params.Class,
			next.Void, next.VoidReason)
	}
	judged := 0
	for _, name := range every(n) {
		o, h := n.streamOutcomes(3)[name], n.holding(name)
		want := flowCredit(n.stream, n.streamNodes(2, name), o.Samples,
			n.outcomes(2)[name].Credited)
		weight := want * transformer.Nano.MiOps()
		if o.Result == sprintv1.ResultUnjudged {
			weight = n.streamNodes(2, name)[0].Leaves / 10 * transformer.Nano.MiOps() * 829 / 1000
			want = weight / transformer.Nano.MiOps()
		} else if o.Result == sprintv1.ResultCredited {
			judged++
		} else {
			want = 0
		}
		if o.Credited != want || want == 0 ||
			o.WeightAfter != weight || h.Weight != h.Credited+o.WeightAfter {
			t.Errorf("stream of %s is %s with %d (%s), want %d; weighs %d and %d", name, o.Result,
				o.Credited, o.Reason, want, h.Weight, h.Credited)
		}
	}
	if judged == 0 {
		t.Error("no stream was judged")
	}
}
