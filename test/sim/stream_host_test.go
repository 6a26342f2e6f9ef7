// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A host with streams on commits a log of each of its nodes every streamBlocks blocks, of at most
// streamLeaves leaves.
const (
	streamBlocks = 6
	streamLeaves = 240
)

// streamCommit is a commit of a stream.
type streamCommit = streamv1.MsgSubmitContinuousPoCCommit

// withStreams switches streams on, and every member's host commits them. Epochs are long enough
// for some commits after the epoch is final.
func withStreams(change ...func(*streamv1.Params)) option {
	return func(n *network) {
		n.params.EpochBlocks = 60
		n.stream = stream.LocalnetParams()
		for _, f := range change {
			f(&n.stream)
		}
	}
}

// flowing starts a network all of whose hosts commit streams.
func (n *network) flowing() *network {
	for _, h := range n.hosts {
		h.streams = true
	}
	return n
}

// about names what is done about a Sprint or a stream.
func about(what string, stream bool) string {
	if stream {
		what += " of a stream"
	}
	return what
}

func isStream(ref courtv1.LeafRef) bool { return ref.Segment > sprintv1.StreamSegments }

// flow is what a host keeps of its stream of an epoch until it is judged in the next one.
type flow struct {
	e     sprintv1.Epoch
	logs  map[logID]*leafLog
	nodes map[string]*tap
}

// tap is how far the stream of a node is.
type tap struct {
	number       uint32
	seed, height int64 // of its last commit
}

func (f *flow) log(node string, segment uint32) *leafLog { return f.logs[logID{node, segment}] }

// bounded is how many leaves a node may commit after so many blocks, by the formula of the design,
// for numbers that fit into 64 bits.
func bounded(p streamv1.Params, c, window uint64, blocks int64, utilization uint32) uint64 {
	return c * uint64(p.GrowthBps) * uint64(blocks) / 10_000 * uint64(p.PocUtilizationTargetBps) /
		10_000 * uint64(10_000-utilization) / 10_000 / window
}

// stream commits one log of each node every few blocks of the window.
func (h *host) stream(now sprintv1.QueryCurrentResponse, me *sprintv1.Member) []sdk.Msg {
	e := now.Epoch
	if !h.streams || e.Void || e.ComputeEnd == 0 || now.Height+1 <= e.WrapupUntil ||
		e.Phase == sprintv1.PhaseWrapUp || e.Phase == sprintv1.PhaseCompute || me.Leaves == 0 ||
		me.Jailed || h.pays {
		return nil
	}
	p := h.net.terms(e.Number)
	if !p.EnableContinuousPoc {
		return nil
	}
	if h.flow == nil {
		h.flow = &flow{e: e, logs: map[logID]*leafLog{}, nodes: map[string]*tap{}}
	}
	var msgs []sdk.Msg
	for _, node := range me.Nodes {
		t := h.flow.nodes[node]
		if t == nil {
			t = &tap{}
			h.flow.nodes[node] = t
		}
		since := max(t.height, e.ComputeEnd)
		if now.Height+1-since < streamBlocks {
			continue
		}
		if msg := bend(h.cheat.stream, h.nextLog(e, p, node, t, now.Height+1)); msg != nil {
			t.number, t.seed, t.height = msg.Number, msg.SeedHeight, now.Height+1
			msgs = append(msgs, msg)
		}
	}
	return msgs
}

// nextLog computes the next log of a node's stream, begun when its last one was closed.
func (h *host) nextLog(e sprintv1.Epoch, p streamv1.Params, node string, t *tap,
	height int64) *streamCommit {
	number, from := t.number+1, max(t.height, e.ComputeEnd)
	if oldest := height - int64(p.MaxSeedAgeBlocks); from < oldest {
		from = oldest
	}
	s := h.net.logSeed(e, number, from)
	var sprint uint64
	for i := range e.Segments {
		sprint += h.log(e, node, uint32(i)+1).tree.Size()
	}
	most := bounded(p, sprint, uint64(e.ComputeEnd-e.ComputeStart+1), height-max(from, t.height), 0)
	count := min(most, streamLeaves)
	if h.cheat.streamCount != nil {
		count = h.cheat.streamCount(node, number, most)
	}
	if count == 0 {
		return nil
	}
	used := s
	if h.cheat.streamSeed != nil {
		used = h.cheat.streamSeed(e, number)
	}
	segment := sprintv1.StreamSegments + number
	l := h.compute(e, node, segment, int(count), used)
	h.flow.logs[logID{node, segment}] = l
	root := l.tree.Root()
	return h.signStream(e, s, &streamCommit{Creator: h.addr,
		EpochIndex: e.Number, NonceCount: uint32(count), RootHash: root[:], InferenceCount: 3,
		Node: node, Number: number, SeedHeight: from})
}

// logSeed is that of a log of a stream, begun at a height.
func (n *network) logSeed(e sprintv1.Epoch, number uint32, height int64) seed.Seed {
	n.t.Helper()
	value, err := n.app.Beacon.Value(n.ctx(), height)
	if err != nil {
		n.t.Fatal(err)
	}
	return seed.Segment(seed.From(e.Seed2), sprintv1.StreamSegments+number, value)
}

// signStream signs a commit of a stream as it stands, with the host's key.
func (h *host) signStream(e sprintv1.Epoch, s seed.Seed, msg *streamCommit) *streamCommit {
	st := commit.Statement{Chain: chainID, Epoch: msg.EpochIndex,
		Segment: sprintv1.StreamSegments + msg.Number, Participant: msg.Creator, Node: msg.Node,
		Class: e.Params.Class, Count: uint64(msg.NonceCount), SegmentSeed: commit.Hash(s)}
	copy(st.Seed1[:], e.Seed1)
	copy(st.Root[:], msg.RootHash)
	msg.Signature = st.Sign(h.key)
	return msg
}

// leftOpen opens the stream of the epoch before when nothing else is left of a participant.
func (h *host) leftOpen(e sprintv1.Epoch) []sdk.Msg {
	if e.Phase != sprintv1.PhaseProof || !h.once("open") {
		return nil
	}
	return h.open(e, true)
}

// streamUnit is what a leaf of a stream should hold that an epoch judges.
func (n *network) streamUnit(judge sprintv1.Epoch, ref courtv1.LeafRef) transformer.Output {
	n.t.Helper()
	made := n.record(judge.Number - 1)
	s, ok, err := n.app.Stream.Seed(n.ctx(), made.Number, ref)
	if err != nil || !ok {
		n.t.Fatalf("no log of leaf %v: %v", ref, err)
	}
	return n.unitOf(made, ref, s)
}

// record is that of an epoch.
func (n *network) record(number uint64) sprintv1.Epoch {
	n.t.Helper()
	res, err := n.query().Epoch(context.Background(), &sprintv1.QueryEpochRequest{Number: number})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Epoch
}

// streamQuery asks x/stream through the routes that gRPC uses.
func (n *network) streamQuery() streamv1.QueryClient {
	return streamv1.NewQueryClient(conn{n.app, n.ctx()})
}

// terms are the parameters of the stream of the epoch that runs.
func (n *network) terms(epoch uint64) streamv1.Params {
	n.t.Helper()
	res, err := n.streamQuery().Window(context.Background(), &streamv1.QueryWindowRequest{})
	if err != nil {
		n.t.Fatal(err)
	}
	if res.Epoch != epoch {
		n.t.Fatal(fmt.Sprintf("the window is of epoch %d, the chain is in %d", res.Epoch, epoch))
	}
	return res.Params
}

// summary of a participant's stream of an epoch.
func (n *network) summary(epoch uint64, name string) streamv1.Summary {
	n.t.Helper()
	res, err := n.streamQuery().Summary(context.Background(),
		&streamv1.QuerySummaryRequest{Epoch: epoch, Participant: n.host(name).addr})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Summary
}

// streamNodes are how far a participant's nodes were in an epoch.
func (n *network) streamNodes(epoch uint64, name string) []streamv1.Node {
	n.t.Helper()
	res, err := n.streamQuery().Nodes(context.Background(),
		&streamv1.QueryNodesRequest{Epoch: epoch, Participant: n.host(name).addr})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Nodes
}

// streamOutcomes are what an epoch found of the streams of the epoch before, by name.
func (n *network) streamOutcomes(epoch uint64) map[string]sprintv1.Outcome {
	n.t.Helper()
	res, err := n.query().Outcomes(context.Background(),
		&sprintv1.QueryOutcomesRequest{Epoch: epoch, Stream: true})
	if err != nil {
		n.t.Fatal(err)
	}
	out := map[string]sprintv1.Outcome{}
	for _, o := range res.Outcomes {
		out[n.byAddr[o.Participant].name] = o
	}
	return out
}
