// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"testing"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/leaflog/leaflogtest"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// streaming is a chain in whose window a host streams, with its queue and its machines.
type streaming struct {
	sprintv1.QueryClient
	t       *testing.T
	params  streamv1.Params
	node    streamv1.Node // of w1, as the chain has it
	goal    fleet.Goal
	nodes   []string
	wanted  []*streamv1.MsgSubmitContinuousPoCCommit
	done    map[string]bool
	machine ed25519.PrivateKey
}

func (s *streaming) Commits(context.Context, *sprintv1.QueryCommitsRequest,
	...grpc.CallOption) (*sprintv1.QueryCommitsResponse, error) {
	return &sprintv1.QueryCommitsResponse{Pagination: &query.PageResponse{},
		Commits: []sprintv1.Commit{
			{Node: "m-1", Segment: 1, Count: 900}, // of the pool
			{Node: "w1", Segment: 1, Count: 100}, {Node: "w1", Segment: 2, Count: 200}}}, nil
}

// onStream is what of it is of x/stream, whose queries have names of x/sprint's.
type onStream struct {
	streamv1.QueryClient
	*streaming
}

func (s onStream) Commits(context.Context, *streamv1.QueryCommitsRequest,
	...grpc.CallOption) (*streamv1.QueryCommitsResponse, error) {
	panic("not asked")
}

func (s onStream) Params(context.Context, *streamv1.QueryParamsRequest,
	...grpc.CallOption) (*streamv1.QueryParamsResponse, error) {
	panic("not asked")
}

func (s onStream) Window(context.Context, *streamv1.QueryWindowRequest,
	...grpc.CallOption) (*streamv1.QueryWindowResponse, error) {
	return &streamv1.QueryWindowResponse{Epoch: 3, Open: true, Params: s.params}, nil
}

func (s onStream) Nodes(context.Context, *streamv1.QueryNodesRequest,
	...grpc.CallOption) (*streamv1.QueryNodesResponse, error) {
	return &streamv1.QueryNodesResponse{Nodes: []streamv1.Node{s.node},
		Pagination: &query.PageResponse{}}, nil
}

// values are the beacon's.
type values struct{ beaconv1.QueryClient }

func (values) Output(_ context.Context, req *beaconv1.QueryOutputRequest,
	_ ...grpc.CallOption) (*beaconv1.QueryOutputResponse, error) {
	value := seed.Seed{byte(req.Height), byte(req.Height >> 8)}
	return &beaconv1.QueryOutputResponse{Output: beaconv1.Output{Height: req.Height,
		Value: value.Bytes()}}, nil
}

func (s *streaming) SetGoal(g fleet.Goal) error { s.goal = g; return nil }
func (s *streaming) SetGoals(nodes []string, g, _ fleet.Goal) error {
	s.goal, s.nodes = g, nodes
	return nil
}
func (s *streaming) Status() []fleet.WorkerStatus      { return nil }
func (s *streaming) Ready(uint64) []string             { return nil }
func (s *streaming) URL() string                       { return "" }
func (s *streaming) Stranger(node string) bool         { return node[0] == 'm' }
func (s *streaming) Key(string) signed.Key             { return signed.KeyOf(s.machine) }
func (s *streaming) LeftOut(string, *workerv1.LeftOut) {}
func (s *streaming) Done(id string) bool               { return s.done[id] }
func (s *streaming) Failed(string) bool                { return false }
func (s *streaming) Rerun(context.Context, []fleet.Unit) ([]transformer.Output, error) {
	return nil, nil
}

func (s *streaming) Want(id string, _ int64, msgs ...sdk.Msg) {
	for _, w := range s.wanted {
		if fmt.Sprintf("stream/3/w1/%d", w.Number) == id {
			return
		}
	}
	s.wanted = append(s.wanted, msgs[0].(*streamv1.MsgSubmitContinuousPoCCommit))
}

// streams are a host's in epoch 3, whose window was of blocks 11 to 40.
func (s *streaming) streams(leaves *leaflog.Store) (*Streams, sprintv1.Epoch) {
	host := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	params := sprint.LocalnetParams()
	c := Config{Chain: "assay-test", Participant: "cpc1test", HostKey: host, Sprint: s,
		Stream: onStream{streaming: s}, Beacon: values{}, Leaves: leaves, Fleet: s, Workers: s,
		Queue: s, Machines: s, Full: func() string { return "" }, Board: &board.Board{},
		Logger: slog.New(slog.DiscardHandler),
		Judge:  func() *work.Judge { return work.NewJudge(nil) }, EvidenceDir: s.t.TempDir()}
	c.Board.Logger = c.Logger
	return New(c).Streams, sprintv1.Epoch{Number: 3, Params: params, Phase: sprintv1.PhaseValidate,
		Start: 1, ComputeStart: 11, ComputeEnd: 40, Seed1: seed.Seed{1}.Bytes(),
		Seed2: seed.Seed{2}.Bytes()}
}

// Between two windows a host cuts the time into logs, grants each machine of the owner's what its
// Sprint shows, and commits to a log once it is audited and within the bound. A log with wrong
// leaves is left out, and a number that a stopped host had begun is not used again.
// Holds spec T-11.
func TestAHostStreams(t *testing.T) {
	leaves, err := leaflog.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer leaves.Close()
	s := &streaming{t: t, params: stream.LocalnetParams(), done: map[string]bool{},
		machine: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)),
		node:    streamv1.Node{Node: "w1"}}
	s.params.MinNoncesPerCommit = 4
	st, e := s.streams(leaves)
	model, err := work.Reference().Transformer(t.Context(), transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	act := func(height int64) {
		t.Helper()
		g := new(errgroup.Group)
		if err := st.Act(t.Context(), g, sprintv1.QueryCurrentResponse{Epoch: e, Height: height},
			transformer.Nano, &sprintv1.Member{Nodes: []string{"w1", "m-1"}}); err != nil {
			t.Fatal(err)
		}
		if err := g.Wait(); err != nil { // audits
			t.Fatal(err)
		}
	}
	// fill has the machine deliver leaves of the log that it is on.
	fill := func(forge bool) {
		t.Helper()
		log, err := leaves.Log(leaflog.Key{Epoch: 3, Node: "w1", Segment: s.goal.Segment},
			transformer.Nano.ID)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]transformer.Output, 5)
		if err := model.Run(out, seed.Node("assay-test", "cpc1test", "w1", "nano"),
			s.goal.SegmentSeed, []uint64{0, 1, 2, 3, 4}); err != nil {
			t.Fatal(err)
		}
		if forge {
			out[3].Norm++
		}
		leaflogtest.Deliver(t, log, s.goal.Order(st.c.HostKey, "assay-test", "cpc1test", "w1",
			signed.KeyOf(s.machine)), s.machine, out)
	}
	act(41)
	// 300 leaves in 30 blocks, for two blocks, half as fast again and 99.5 % of the time
	if g := s.goal; g.Segment != 1001 || len(s.nodes) != 1 || s.nodes[0] != "w1" || g.Most != 29 ||
		(*g.Bounds)["w1"] != 29 || g.Samples != 10 || !st.Busy() {
		t.Fatalf("goal %+v of %v", g, s.nodes)
	}
	fill(false)
	act(42)
	if s.goal.Segment != 1001 || len(s.wanted) > 0 {
		t.Errorf("after a block: segment %d, %d commits", s.goal.Segment, len(s.wanted))
	}
	act(43) // the audit begins
	fill(true)
	act(44)
	if len(s.wanted) != 1 || s.wanted[0].Number != 1 || s.wanted[0].NonceCount != 5 ||
		s.wanted[0].SeedHeight != 41 || s.goal.Segment != 1002 {
		t.Fatalf("commits %v, on segment %d", s.wanted, s.goal.Segment)
	}
	s.node.Number, s.node.Height, s.node.SeedHeight = 1, 45, 41
	s.done["stream/3/w1/1"] = true
	for height := int64(45); height < 50; height++ {
		act(height)
	}
	if len(s.wanted) != 1 || len(st.c.Board.Get().LeftOut) != 1 {
		t.Errorf("%d commits, left out %+v", len(s.wanted), st.c.Board.Get().LeftOut)
	}
	used := s.goal.Segment
	fill(false)
	st, _ = s.streams(leaves) // it was stopped
	act(51)
	if s.goal.Segment != used+1 {
		t.Errorf("on segment %d after %d was begun", s.goal.Segment, used)
	}
	e.Phase, e.FinalisedHeight = sprintv1.PhaseServe, 60
	act(78)
	if st.Busy() || st.c.Board.Get().Stream.Reason != "the next epoch is about to begin" {
		t.Errorf("three blocks before the next epoch: %+v", st.c.Board.Get().Stream)
	}
}
