// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// judged is a rerun of n leaves on so many nodes that workers are done with; forge tells which leaves were opened wrong.
func judged(t *testing.T, model transformer.Model, target string, weight uint64, n, nodes int, forge func(i int) bool) *rerun {
	t.Helper()
	r := &rerun{duty: duty{target: target, weight: weight, perNode: map[string]uint64{}}, done: make(chan struct{}), outputs: make([]transformer.Output, n)}
	for i := range n {
		node := fmt.Sprintf("gpu-%02d", i*nodes/n)
		u := fleet.Unit{Epoch: 1, Class: transformer.Nano, Seed1: seed.Seed{1}, NodeSeed: seed.Seed{2}, SegmentSeed: seed.Seed{3}, Nonce: uint64(i)}
		if model != nil {
			if err := model.Run(r.outputs[i:i+1], u.NodeSeed, u.SegmentSeed, []uint64{u.Nonce}); err != nil {
				t.Fatal(err)
			}
		}
		l := opened{ref: sprintv1.LeafRef{Participant: target, Node: node, Segment: 1, Nonce: u.Nonce}, norm: r.outputs[i].Norm, digest: r.outputs[i].Digest}
		if forge(i) {
			l.digest[3] ^= 1
		}
		r.units, r.leaves = append(r.units, u), append(r.leaves, l)
		r.perNode[node]++
	}
	close(r.done)
	return r
}

var honestParams = sprintv1.Params{FaultRatePpm: 100, FailPInverse: 100_000}

func never(int) bool  { return false }
func always(int) bool { return true }

func reference(t *testing.T) transformer.Model {
	t.Helper()
	model, err := work.Reference().Transformer(context.Background(), transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// A worker with a faulty device must not make its host accuse anyone: the host repairs its findings, also those that
// it had trusted before the worker was caught.
func TestAFaultyWorkerIsNotBelieved(t *testing.T) {
	h := &Host{log: slog.New(slog.DiscardHandler), judge: work.NewJudge(nil)}
	model := reference(t)
	order := []*rerun{judged(t, model, "first", 2, 9, 1, never), judged(t, model, "second", 1, 9, 1, never)}
	var want [][]transformer.Output
	for _, r := range order {
		want = append(want, slices.Clone(r.outputs))
	}
	order[0].outputs[8].Middle[3] ^= 1 // would convict this host; no spot check falls on it
	order[1].outputs[5].Digest[0] ^= 1 // would accuse an honest leaf
	h.trust(context.Background(), order, false)
	for i, r := range order {
		if diff := cmp.Diff(want[i], r.outputs); diff != "" || !r.trusted {
			t.Errorf("%s, trusted %v:\n%s", r.target, r.trusted, diff)
		}
	}
}

// When time is over, a member abstains on what is left and stands by what it has, those with most weight first.
func TestWhatIsNotDoneInTimeIsAbstainedOn(t *testing.T) {
	h := &Host{log: slog.New(slog.DiscardHandler), judge: work.NewJudge(nil)}
	model := reference(t)
	light, heavy, late := judged(t, model, "a", 0, 4, 1, never), judged(t, model, "b", 10, 4, 1, never), judged(t, model, "c", 5, 4, 1, never)
	late.err = context.Canceled
	order := []*rerun{heavy, late, light}
	h.trust(context.Background(), order, false)
	body, found := h.verdictOn(sprintv1.Epoch{Params: honestParams}, []*rerun{light, heavy, late}, order)
	var votes []sprintv1.Vote
	for _, v := range body.Verdicts {
		votes = append(votes, v.Vote)
	}
	if diff := cmp.Diff([]sprintv1.Vote{sprintv1.VotePass, sprintv1.VotePass, sprintv1.VoteAbstain}, votes); diff != "" {
		t.Errorf("votes (-want +got):\n%s", diff)
	}
	if len(found) != 8 || len(body.Verdicts[2].Middles) != 0 {
		t.Errorf("%d outputs known; the abstention carries %d bytes", len(found), len(body.Verdicts[2].Middles))
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	heavy.trusted = false
	heavy.leaves[2].digest[0] ^= 1 // to be confirmed, and there is no time for it
	h.trust(over, order, false)
	if heavy.trusted {
		t.Error("an accusation that was not confirmed stands")
	}
}

// Whatever a crowd opens, a verdict stays one that the chain takes: its names within the gas that a participant has in
// a block, its bytes within a body. Those with weight are judged, the crowd as far as there is room.
func TestAVerdictFitsWhateverACrowdOpens(t *testing.T) {
	const quotaGas, maxBody = 60_000_000, 512 << 10 // chain/app, chain/x/sprint
	h := &Host{log: slog.New(slog.DiscardHandler), judge: work.NewJudge(nil)}
	for name, nodes := range map[string]int{"four of one node each": 1, "three of each of 66 nodes": 66} {
		all := []*rerun{judged(t, nil, "honest", 100, 200, 1, never), judged(t, nil, "forger", 50, 198, nodes, always)}
		for i := range 400 {
			all = append(all, judged(t, nil, fmt.Sprintf("crowd-%03d", i), 0, 198, nodes, always))
		}
		for _, r := range all {
			r.trusted = true
		}
		body, _ := h.verdictOn(sprintv1.Epoch{Params: honestParams}, all, all)
		raw, err := body.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if gas := sprintv1.GasBound(&sprintv1.MsgRevealVerdict{Body: raw}); gas > quotaGas || len(raw) > maxBody || gas < quotaGas/3 {
			t.Errorf("%s: %d bytes, %d gas", name, len(raw), gas)
		}
		if body.Verdicts[0].Vote != sprintv1.VotePass || body.Verdicts[1].Vote != sprintv1.VoteFail {
			t.Errorf("%s: honest: %v; forger: %v", name, body.Verdicts[0].Vote, body.Verdicts[1].Vote)
		}
		if got, want := len(body.Verdicts[1].Mismatches), map[int]int{1: 4, 66: 198}[nodes]; got != want {
			t.Errorf("%s: %d leaves of the forger named, want %d", name, got, want)
		}
		if last := body.Verdicts[len(all)-1]; last.Vote != sprintv1.VoteAbstain || len(last.Mismatches)+len(last.Middles) != 0 {
			t.Errorf("%s: the last of the crowd: %v", name, last.Vote)
		}
	}
}
