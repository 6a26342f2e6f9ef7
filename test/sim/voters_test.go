// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/adversary"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// pushover turns honest verdicts into what package adversary makes of them.
func pushover(body *sprintv1.VerdictBody, duties []sprintv1.Duty) {
	leaves := map[string][]courtv1.LeafRef{}
	for _, d := range duties {
		leaves[d.Target] = d.Leaves
	}
	adversary.VoteFail(body, leaves)
}

// lazy passes everyone and makes up the middle digests that it did not compute.
func lazy(body *sprintv1.VerdictBody, _ []sprintv1.Duty) {
	for i := range body.Verdicts {
		v := &body.Verdicts[i]
		v.Vote, v.Mismatches = sprintv1.VotePass, nil
		for j := range v.Middles {
			v.Middles[j] = sha256.New().Sum([]byte{byte(i), byte(j)})[0]
		}
	}
}

func abstain(body *sprintv1.VerdictBody, _ []sprintv1.Duty) {
	for i := range body.Verdicts {
		body.Verdicts[i] = sprintv1.TargetVerdict{Target: body.Verdicts[i].Target, Vote: sprintv1.VoteAbstain}
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
			for _, record := range h.net.verdictsOf(e.Number, round(e)) {
				if h.net.byAddr[record.Voter].name != of {
					continue
				}
				victim := h.net.host(of).verdicts[round(e)]
				switch {
				case e.Phase == sprintv1.PhaseValidate && len(record.Hash) > 0 && !copied:
					copied = true
					return []sdk.Msg{&sprintv1.MsgCommitVerdict{Participant: h.addr, Epoch: e.Number, Round: round(e), Hash: record.Hash}}, true
				case e.Phase == sprintv1.PhaseReveal && record.Body != nil:
					return []sdk.Msg{&sprintv1.MsgRevealVerdict{Participant: h.addr, Epoch: e.Number, Round: round(e), Salt: victim.salt.Bytes(), Body: victim.body}}, true
				}
			}
			return nil, true
		},
	}
}

// One bad voter among four changes no honest outcome, pays as DESIGN 4.1.7 says, and the network goes on with the
// three that are left, epoch after epoch.
func TestOneBadVoterAmongFour(t *testing.T) {
	const jailed, silent, fine = "jailed", "silent", "fine"
	for _, c := range []struct {
		name   string
		cheat  func(*host) cheat
		result sprintv1.Result
		reason string
		costs  string
	}{
		{"always fails, naming honest leaves", func(*host) cheat { return cheat{verdict: pushover} },
			sprintv1.ResultFalseVerdict, "named the honest leaf", jailed},
		{"always passes with made-up middle digests", func(*host) cheat { return cheat{verdict: lazy} },
			sprintv1.ResultFalseVerdict, "it was not re-run", jailed},
		{"copies another's commitment and reveal", func(h *host) cheat { return copycat(h, "p1") },
			sprintv1.ResultSilent, "revealed no verdict, not even an abstention", silent},
		{"commits and never reveals", func(*host) cheat {
			return cheat{reveal: func(*sprintv1.MsgRevealVerdict) *sprintv1.MsgRevealVerdict { return nil }}
		}, sprintv1.ResultSilent, "revealed no verdict, not even an abstention", silent},
		{"never commits", func(*host) cheat {
			return cheat{commitVerdict: func(*sprintv1.MsgCommitVerdict) *sprintv1.MsgCommitVerdict { return nil }}
		}, sprintv1.ResultSilent, "revealed no verdict, not even an abstention", silent},
		{"abstains from everything", func(*host) cheat { return cheat{verdict: abstain} },
			sprintv1.ResultCredited, "credited", fine},
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
				if len(e.Rounds) != 1 {
					t.Errorf("epoch %d took %d rounds; with so few voters there is no redraw", epoch, len(e.Rounds))
				}
				credited(t, out, "p1", "p2", "p3")
				want := c.result
				switch {
				case epoch > 1 && c.costs == jailed:
					want = sprintv1.ResultJailed
				case epoch > 1 && c.costs == silent:
					// without weight it is no voter any more, so what it claims is judged like a newcomer's
					want = sprintv1.ResultCredited
				}
				o := out["p4"]
				if epoch == 3 && c.costs == silent {
					want = c.result // it has weight, so a vote, and is silent again
				}
				if o.Result != want || o.Result == c.result && !strings.Contains(o.Reason, c.reason) {
					t.Errorf("epoch %d: p4 is %s (%s); want %s (%s)", epoch, o.Result, o.Reason, want, c.reason)
				}
				if (o.WeightAfter == 0) != (o.Result != sprintv1.ResultCredited) {
					t.Errorf("epoch %d: %s with weight %d", epoch, o.Result, o.WeightAfter)
				}
			}
			p := n.participant("p4")
			if got, want := p.JailedUntil, map[string]uint64{jailed: 1 + 1 + 4}[c.costs]; got != want {
				t.Errorf("jailed until %d (%s); want %d", got, p.JailReason, want)
			}
		})
	}
}

// A liar that comes back lies again and is caught again; between, it is credited like anybody who computes.
func TestALiarComesBackAfterFourEpochs(t *testing.T) {
	n := start(t, 4)
	n.host("p4").cheat.verdict = pushover
	want := []sprintv1.Result{sprintv1.ResultFalseVerdict, sprintv1.ResultJailed, sprintv1.ResultJailed, sprintv1.ResultJailed, sprintv1.ResultJailed,
		sprintv1.ResultCredited, sprintv1.ResultFalseVerdict}
	for i, w := range want {
		_, out := n.finish(uint64(i + 1))
		credited(t, out, "p1", "p2", "p3")
		if got := out["p4"].Result; got != w {
			t.Errorf("epoch %d: p4 is %s; want %s", i+1, got, w)
		}
	}
}

// Half of the weight must pass and not just a part of it: the tie of two voters is none.
func TestATieIsNotAMajority(t *testing.T) {
	n := start(t, 3)
	n.host("p3").cheat.verdict = abstain
	_, out := n.finish(1)
	for _, name := range []string{"p1", "p2"} { // judged by one that passes and one that abstains
		if o := out[name]; o.Result != sprintv1.ResultUndecided || 2*o.PassWeight != o.CommitteeWeight {
			t.Errorf("%s passed by %d of %d: %s", name, o.PassWeight, o.CommitteeWeight, o.Result)
		}
	}
	credited(t, out, "p3")
}

// Two liars of four take nothing from the two honest ones, who still pass each other.
func TestTwoLiarsOfFour(t *testing.T) {
	n := start(t, 4)
	n.host("p3").cheat.verdict, n.host("p4").cheat.verdict = pushover, lazy
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
