// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// bendMiddles makes the middle digests at these positions of a verdict wrong.
func bendMiddles(positions []uint32) func([]opinion) {
	return func(said []opinion) {
		first := uint32(0)
		for _, o := range said {
			for _, p := range positions {
				if n := uint32(len(o.middles) / 8); p >= first && p < first+n {
					o.middles[8*(p-first)] ^= 1
				}
			}
			first += uint32(len(o.middles) / 8)
		}
	}
}

// Honest hardware gives a wrong digest now and then: one or two that the check finds cost the
// epoch's credit. Three are a false verdict. Which are checked depends on the beacon and not on the
// verdict, so that a first run tells.
// Holds spec S-20.
func TestWrongMiddleDigests(t *testing.T) {
	first := start(t, 4)
	var drawn []uint32
	first.until("check", func(e sprintv1.Epoch) bool {
		if len(e.Round.CheckMix) > 0 {
			drawn = first.checks(e, first.host("p4").addr, false).Positions
		}
		return len(drawn) > 0
	})
	if len(drawn) != 8 {
		t.Fatalf("%d middle digests of p4 are checked, want 8", len(drawn))
	}
	for wrong := range 4 {
		n := start(t, 4)
		p4 := n.host("p4")
		p4.cheat.opinion = bendMiddles(drawn[:wrong])
		_, out := n.finish(1)
		credited(t, out, "p1", "p2", "p3")
		o, p := out["p4"], n.participant("p4")
		switch wrong {
		case 0:
			credited(t, out, "p4")
		case 1, 2:
			if o.Result != sprintv1.ResultFalseVerdict || o.WeightAfter != 0 || p.JailedUntil != 0 {
				t.Errorf("%d wrong digests: %s (%s), weight %d, jailed until %d; want the credit "+
					"lost and no jail", wrong, o.Result, o.Reason, o.WeightAfter, p.JailedUntil)
			}
			if _, out = n.finish(2); out["p4"].Result != sprintv1.ResultCredited {
				t.Errorf("the epoch after %d wrong digests: %s (%s)", wrong, out["p4"].Result,
					out["p4"].Reason)
			}
		case 3:
			if o.Result != sprintv1.ResultFalseVerdict || p.JailedUntil != 1+1+4 ||
				!strings.Contains(p.JailReason, "it was not re-run") {
				t.Errorf("%d wrong digests: %s (%s), jailed until %d (%s)", wrong, o.Result,
					o.Reason, p.JailedUntil, p.JailReason)
			}
		}
	}
}

// One wrong digest takes the vote out of both sides, too: what it said of others does not count.
func TestAWrongMiddleDigestTakesTheVote(t *testing.T) {
	n := start(t, 4)
	n.host("p4").cheat.opinion = lazy
	_, out := n.finish(1)
	for _, name := range []string{"p1", "p2", "p3"} {
		if o := out[name]; o.PassWeight != o.CommitteeWeight || o.CommitteeWeight == 0 {
			t.Errorf("%s: passed by %d of %d; the lazy one is out of both", name, o.PassWeight,
				o.CommitteeWeight)
		}
	}
}

// Digests that were drawn and not opened cost the epoch's credit; twice within four epochs, they
// jail.
// Holds spec S-20.
func TestUnopenedMiddleDigests(t *testing.T) {
	for again, jailed := range map[uint64]bool{2: false, 3: true, 4: true, 5: false} {
		n := start(t, 4)
		n.host("p4").cheat.middles = func(m *sprintv1.MsgOpenMiddles) *sprintv1.MsgOpenMiddles {
			if m.Epoch == 1 || m.Epoch == again {
				return nil
			}
			return m
		}
		for epoch := uint64(1); epoch <= again; epoch++ {
			_, out := n.finish(epoch)
			credited(t, out, "p1", "p2", "p3")
			want := sprintv1.ResultCredited
			// without weight nothing falls to it in epoch 2
			if epoch == 1 || epoch == again && again > 2 {
				want = sprintv1.ResultUnopened
			}
			if o := out["p4"]; o.Result != want {
				t.Errorf("closed in 1 and %d: epoch %d is %s (%s), want %s", again, epoch,
					o.Result, o.Reason, want)
			}
		}
		if p := n.participant("p4"); (p.JailedUntil > 0) != jailed || jailed &&
			!strings.Contains(p.JailReason, "opened no drawn middle digests in epochs 1 and") {
			t.Errorf("closed in 1 and %d: jailed until %d (%s)", again, p.JailedUntil, p.JailReason)
		}
	}
}
