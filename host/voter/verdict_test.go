// SPDX-License-Identifier: Apache-2.0

package voter

import (
	"log/slog"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// voting is a member that has no worker, on a folder for its verdicts.
func voting(folder string) *Voter {
	return New(Config{Chain: "chain", Participant: "cpc1participant", Folder: Folder(folder),
		Queue: &queue{}, Alone: func() bool { return true },
		Judge: work.NewJudge(nil), Board: &board.Board{}, Logger: slog.New(slog.DiscardHandler)})
}

// queue notes what is wanted.
type queue struct{ ids []string }

func (q *queue) Want(id string, _ int64, _ ...sdk.Msg) {
	if !slices.Contains(q.ids, id) {
		q.ids = append(q.ids, id)
		slices.Sort(q.ids)
	}
}

func (q *queue) Done(string) bool { return false }

// judged is a rerun of n leaves on so many nodes that workers are done with; forge tells which
// leaves were opened wrong.
func judged(t *testing.T, model transformer.Model, target string, weight uint64, n, nodes int,
	forge func(i int) bool) *rerun {
	t.Helper()
	r := &rerun{duty: duty{target: target, weight: weight, perNode: map[string]uint64{}},
		done: make(chan struct{}), outputs: make([]transformer.Output, n)}
	for i := range n {
		node := fmt.Sprintf("gpu-%02d", i*nodes/n)
		u := fleet.Unit{Epoch: 1, Class: transformer.Nano, Seed1: seed.Seed{1},
			NodeSeed: seed.Seed{2}, SegmentSeed: seed.Seed{3}, Nonce: uint64(i)}
		if model != nil {
			if err := model.Run(r.outputs[i:i+1], u.NodeSeed, u.SegmentSeed,
				[]uint64{u.Nonce}); err != nil {
				t.Fatal(err)
			}
		}
		l := opened{ref: courtv1.LeafRef{Participant: target, Node: node, Segment: 1,
			Nonce: u.Nonce}, Record: r.outputs[i].Record}
		if forge(i) {
			l.Digest[3] ^= 1
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
	model, err := work.Reference().Transformer(context.Background(), transformer.Nano,
		seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// A worker with a faulty device must not make its host accuse anyone: the host repairs its
// findings, also those that it had trusted before the worker was caught.
// Holds spec H-4.
func TestAFaultyWorkerIsNotBelieved(t *testing.T) {
	w := voting("")
	model := reference(t)
	order := []*rerun{judged(t, model, "first", 2, 9, 1, never),
		judged(t, model, "second", 1, 9, 1, never)}
	var want [][]transformer.Output
	for _, r := range order {
		want = append(want, slices.Clone(r.outputs))
	}
	order[0].outputs[8].Middle[3] ^= 1 // would convict this host; no spot check falls on it
	order[1].outputs[5].Digest[0] ^= 1 // would accuse an honest leaf
	w.trust(context.Background(), order, false)
	for i, r := range order {
		if diff := cmp.Diff(want[i], r.outputs); diff != "" || !r.trusted {
			t.Errorf("%s, trusted %v:\n%s", r.target, r.trusted, diff)
		}
	}
}

// When time is over, a member leaves out what is left and stands by what it has, those with most
// weight first.
// Holds spec M-25.
func TestWhatIsNotDoneInTimeIsLeftOut(t *testing.T) {
	w := voting("")
	model := reference(t)
	light, heavy, late := judged(t, model, "a", 0, 4, 1, never),
		judged(t, model, "b", 10, 4, 1, never), judged(t, model, "c", 5, 4, 1, never)
	late.err = context.Canceled
	order := []*rerun{heavy, late, light}
	w.trust(context.Background(), order, false)
	f := w.verdictOn(sprintv1.Epoch{Params: honestParams}, []*rerun{light, heavy, late}, order, 24)
	if diff := cmp.Diff([]byte{byte(sprintv1.VotePass), byte(sprintv1.VotePass)},
		f.body.Votes); diff != "" {
		t.Errorf("votes (-want +got):\n%s", diff)
	}
	if root := middlesTree(f.middles).Root(); len(f.found) != 8 || len(f.middles) != 8*8 ||
		!bytes.Equal(f.body.Middles, root[:]) {
		t.Errorf("%d outputs known, %d bytes of middle digests under root %x", len(f.found),
			len(f.middles), f.body.Middles)
	}
	f = w.verdictOn(sprintv1.Epoch{Params: honestParams}, []*rerun{late, heavy, light}, order, 24)
	if diff := cmp.Diff([]byte{byte(sprintv1.VoteUnspecified), byte(sprintv1.VotePass),
		byte(sprintv1.VotePass)}, f.body.Votes); diff != "" {
		t.Errorf("votes, the first left out (-want +got):\n%s", diff)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	heavy.trusted = false
	heavy.leaves[2].Digest[0] ^= 1 // to be confirmed, and there is no time for it
	w.trust(over, order, false)
	if heavy.trusted {
		t.Error("an accusation that was not confirmed stands")
	}
}

// C8, C5: whatever a crowd opens, a verdict stays one that the chain takes: its names within the
// budget of claims, its bytes within what a member may say. Those with weight are judged, the crowd
// as far as there are names for it.
func TestAVerdictFitsWhateverACrowdOpens(t *testing.T) {
	const budget = 24 // of a member with a hundredth of the weight
	w := voting("")
	for name, c := range map[string]struct {
		nodes, each, crowd int
		vote               sprintv1.Vote
	}{
		"four of one node each": {1, 4, 5, sprintv1.VoteFail}, // 24 = 4 of the forger + 5 x 4
		// 24 = 6 of the forger + 3 x 6; two nodes less, but six proven are fraud
		"six where no node has four": {66, 6, 3, sprintv1.VotePass},
	} {
		all := []*rerun{judged(t, nil, "honest", 100, 200, 1, never),
			judged(t, nil, "forger", 50, 198, c.nodes, always)}
		for i := range 400 {
			all = append(all, judged(t, nil, fmt.Sprintf("crowd-%03d", i), 0, 198, c.nodes, always))
		}
		all = append(all, judged(t, nil, "newcomer", 0, 198, 1, never)) // needs no names
		for _, r := range all {
			r.trusted = true
		}
		body := w.verdictOn(sprintv1.Epoch{Params: honestParams}, all, all, budget).body
		raw, err := body.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 3<<10 || len(body.Mismatches) > budget {
			t.Errorf("%s: %d bytes, %d leaves named", name, len(raw), len(body.Mismatches))
		}
		want := make([]byte, len(all))
		for d := range 2 + c.crowd {
			want[d] = byte(c.vote)
		}
		want[0], want[len(want)-1] = byte(sprintv1.VotePass), byte(sprintv1.VotePass)
		if diff := cmp.Diff(want, body.Votes); diff != "" {
			t.Errorf("%s: votes (-want +got):\n%s", name, diff)
		}
		named := map[uint32]int{}
		for _, m := range body.Mismatches {
			named[m.Duty]++
		}
		for d := uint32(1); d < uint32(2+c.crowd); d++ {
			if named[d] != c.each {
				t.Errorf("%s: %d leaves of duty %d named, want %d", name, named[d], d, c.each)
			}
		}
	}
}

// Holds spec A-9.
func TestVotesFollowTheFaultBound(t *testing.T) {
	p := sprintv1.Params{FaultRatePpm: 100, FailPInverse: 100_000}
	for name, c := range map[string]struct {
		drawn, wrong map[string]uint64
		want         sprintv1.Vote
	}{
		"clean": {map[string]uint64{"a": 200}, nil, sprintv1.VotePass},
		"two of 200 are hardware": {map[string]uint64{"a": 200}, map[string]uint64{"a": 2},
			sprintv1.VotePass},
		"three of 200 are not": {map[string]uint64{"a": 200}, map[string]uint64{"a": 3},
			sprintv1.VoteFail},
		"a bad node leaves a good one": {map[string]uint64{"a": 100, "b": 100},
			map[string]uint64{"a": 50}, sprintv1.VotePass},
		"all nodes bad": {map[string]uint64{"a": 100, "b": 100}, map[string]uint64{"a": 50, "b": 9},
			sprintv1.VoteFail},
		"one each is within what is drawn": {map[string]uint64{"a": 100, "b": 100},
			map[string]uint64{"a": 1, "b": 1}, sprintv1.VotePass},
	} {
		if got := voteOf(p, c.drawn, c.wrong); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
