// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// pushover fails everybody and names the first leaves that it was to judge, as package adversary
// does.
func pushover(said []opinion) {
	for i := range said {
		said[i].vote, said[i].named = sprintv1.VoteFail, nil
		for l := range min(4, said[i].leaves) {
			said[i].named = append(said[i].named, l)
		}
	}
}

// passAll passes everybody, whatever it found.
func passAll(said []opinion) {
	for i := range said {
		said[i].vote, said[i].named = sprintv1.VotePass, nil
	}
}

// lazy passes everyone and makes up the middle digests that it did not compute.
func lazy(said []opinion) {
	passAll(said)
	for i := range said {
		for j := range said[i].middles {
			said[i].middles[j] = sha256.New().Sum([]byte{byte(i), byte(j)})[0]
		}
	}
}

func abstain(said []opinion) {
	for i := range said {
		said[i] = opinion{target: said[i].target, vote: sprintv1.VoteAbstain}
	}
}

// copycat waits for another's commitment and reveal and says the same.
func copycat(h *host, of string) cheat {
	copied := false
	return cheat{
		refused: func(sdk.Msg, string) {},
		instead: func(now sprintv1.QueryCurrentResponse) ([]sdk.Msg, bool) {
			e := now.Epoch
			if e.Phase != sprintv1.PhaseValidate && e.Phase != sprintv1.PhaseReveal {
				copied = copied && e.Phase == sprintv1.PhaseDraw
				return nil, false
			}
			for _, record := range h.net.verdictsOf(e.Number, false) {
				if h.net.byAddr[record.Voter].name != of {
					continue
				}
				victim := h.net.host(of).said[false]
				switch {
				case e.Phase == sprintv1.PhaseValidate && len(record.Hash) > 0 && !copied:
					copied = true
					return []sdk.Msg{&sprintv1.MsgCommitVerdict{Participant: h.addr,
						Epoch: e.Number, Hash: record.Hash}}, true
				case e.Phase == sprintv1.PhaseReveal && record.Body != nil:
					return []sdk.Msg{&sprintv1.MsgRevealVerdict{Participant: h.addr,
						Epoch: e.Number, Salt: victim.salt.Bytes(), Body: victim.body}}, true
				}
			}
			return nil, true
		},
	}
}

// One bad voter among four changes no honest outcome, pays as the table says (spec J-6, S-22), and
// the network goes on with the three that are left, epoch after epoch.
func TestOneBadVoterAmongFour(t *testing.T) {
	const jailed, silent, fine, unopened = "jailed", "silent", "fine", "unopened"
	for _, c := range []struct {
		name   string
		cheat  func(*host) cheat
		result sprintv1.Result
		reason string
		costs  string
	}{
		{"always fails, naming honest leaves",
			func(*host) cheat { return cheat{opinion: pushover} },
			sprintv1.ResultFalseVerdict, "named the honest leaf", jailed},
		{"always passes with made-up middle digests",
			func(*host) cheat { return cheat{opinion: lazy} },
			sprintv1.ResultFalseVerdict, "it was not re-run", jailed},
		{"copies another's commitment and reveal", func(h *host) cheat { return copycat(h, "p1") },
			sprintv1.ResultSilent, "had participants to judge and revealed no verdict", silent},
		{"commits and never reveals", func(*host) cheat {
			return cheat{reveal: never[sprintv1.MsgRevealVerdict]}
		},
			sprintv1.ResultSilent, "had participants to judge and revealed no verdict", silent},
		{"never commits", func(*host) cheat {
			return cheat{commitVerdict: never[sprintv1.MsgCommitVerdict]}
		},
			sprintv1.ResultSilent, "had participants to judge and revealed no verdict", silent},
		{"abstains from everything", func(*host) cheat { return cheat{opinion: abstain} },
			sprintv1.ResultSilent, "cut to what it judged of what it owed: 0 of", fine},
		{"commits, reveals, and opens no middle digests",
			func(*host) cheat { return cheat{middles: never[sprintv1.MsgOpenMiddles]} },
			sprintv1.ResultUnopened, "did not open the middle digests", unopened},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, 4)
			p4 := n.host("p4")
			p4.cheat = c.cheat(p4)
			for epoch := uint64(1); epoch <= 3; epoch++ {
				e, out := n.finish(epoch)
				if e.Void {
					t.Fatalf("epoch %d is void: %s", epoch, e.VoidReason)
				}
				credited(t, out, "p1", "p2", "p3")
				want := c.result
				switch {
				case epoch > 1 && c.costs == jailed:
					if isMember(out, "p4") || n.holding("p4").Weight > 0 {
						t.Errorf("epoch %d: p4 is in jail and %s", epoch, out["p4"].Result)
					}
					continue
				case epoch == 2:
					// without weight it is no voter any longer, so what it claims is judged like a
					// newcomer's
					want = sprintv1.ResultCredited
				}
				o := out["p4"]
				if o.Result != want || o.Result == c.result &&
					!strings.Contains(o.Reason, c.reason) {
					t.Errorf("epoch %d: p4 is %s (%s); want %s (%s)", epoch, o.Result,
						o.Reason, want, c.reason)
				}
				if (o.WeightAfter == 0) != (o.Result != sprintv1.ResultCredited) {
					t.Errorf("epoch %d: %s with weight %d", epoch, o.Result, o.WeightAfter)
				}
			}
			p := n.participant("p4")
			if got, want := p.JailedUntil,
				map[string]uint64{jailed: 1 + 1 + 4, unopened: 3 + 1 + 4}[c.costs]; got != want {
				t.Errorf("jailed until %d (%s); want %d", got, p.JailReason, want)
			}
		})
	}
}

// A liar that comes back lies again and is caught again; between, it is credited like anybody who
// computes.
func TestALiarComesBackAfterFourEpochs(t *testing.T) {
	n := start(t, 4)
	n.host("p4").cheat.opinion = pushover
	const absent = sprintv1.ResultUnspecified // in jail, and no member
	want := []sprintv1.Result{sprintv1.ResultFalseVerdict, absent, absent, absent, absent,
		sprintv1.ResultCredited, sprintv1.ResultFalseVerdict}
	for i, w := range want {
		_, out := n.finish(uint64(i + 1))
		credited(t, out, "p1", "p2", "p3")
		if got := out["p4"].Result; got != w {
			t.Errorf("epoch %d: p4 is %s; want %s", i+1, got, w)
		}
	}
}

// Whom one of two voters passes and the other does not judge is passed: abstention decides nothing,
// and costs who abstains its own credit.
func TestAbstentionDecidesNothing(t *testing.T) {
	n := start(t, 3)
	n.host("p3").cheat.opinion = abstain
	_, out := n.finish(1)
	credited(t, out, "p1", "p2")
	for _, name := range []string{"p1", "p2"} {
		if o := out[name]; o.CommitteeWeight == 0 || o.CommitteeWeight-2*o.PassWeight+1 > 2 ||
			o.ChainSamples != 0 {
			t.Errorf("%s passed by %d of %d, %d leaves judged by the chain", name, o.PassWeight,
				o.CommitteeWeight, o.ChainSamples)
		}
	}
	if o := out["p3"]; o.WeightAfter != 0 || o.Judged != 0 || o.Owed == 0 {
		t.Errorf("p3 said nothing and keeps weight %d: %s", o.WeightAfter, o.Reason)
	}
}

// Two liars of four take nothing from the two honest ones, who still pass each other.
func TestTwoLiarsOfFour(t *testing.T) {
	n := start(t, 4)
	n.host("p3").cheat.opinion, n.host("p4").cheat.opinion = pushover, lazy
	n.host("p3").cheat.blind = true // its claims end with the first that is refuted
	for epoch := uint64(1); epoch <= 3; epoch++ {
		e, out := n.finish(epoch)
		if e.Void {
			t.Fatalf("epoch %d is void: %s", epoch, e.VoidReason)
		}
		credited(t, out, "p1", "p2")
		for _, name := range []string{"p3", "p4"} {
			if o := out[name]; o.Credited != 0 {
				t.Errorf("epoch %d: %s", epoch, fmt.Sprint(o))
			}
		}
	}
}
