// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/types/query"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

const (
	// streamAudit is how many leaves of a log of a stream a host audits before it commits to it.
	streamAudit = 10
	// streamParts is into how many logs the time between two compute windows is cut.
	streamParts = 20
	// streamClose is how many blocks before the next epoch the last log ends, so that its commit
	// gets into a block in time.
	streamClose = 3
)

// Streams have the owner's machines prove between the compute windows of two epochs, and commit
// what they made: one log after the other, the same number for all nodes. A log that is under way
// when the host stops is given up; its number is not used again.
type Streams struct {
	c      *Config
	audits *Audits

	epoch   uint64
	params  streamv1.Params
	leaves  map[string]uint64 // of the nodes' Sprint, by node
	used    uint32            // the largest number that a log was begun under
	running *streamLog        // machines fill it; nil between two
	closed  []*streamLog      // to be committed, oldest first
	proving bool
}

// streamLog is one log of each node.
type streamLog struct {
	number     uint32
	seedHeight int64
	seed       seed.Seed
	nodes      []string
	sizes      map[string]uint64 // once it is closed
}

func (l *streamLog) segment() uint32 { return sprintv1.StreamSegments + l.number }

// Busy reports whether machines prove, and need no other goal.
func (st *Streams) Busy() bool { return st.proving }

// stop has the machines free for something else. A log that they fill is given up.
func (st *Streams) stop() { st.proving, st.running = false, nil }

// Act begins, closes and commits logs, as the chain's window allows. It belongs to the loop.
func (st *Streams) Act(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, me *sprintv1.Member) error {
	w, err := st.c.Stream.Window(ctx, &streamv1.QueryWindowRequest{})
	switch {
	case status.Code(err) == codes.Unimplemented: // a node of before there were streams
		st.stop()
		return nil
	case err != nil:
		return fmt.Errorf("asking for the window of streams: %w", err)
	}
	if !w.Open || w.Epoch != now.Epoch.Number {
		st.stop()
		st.show(now, w.Reason, nil)
		return nil
	}
	if st.epoch != now.Epoch.Number {
		if err := st.enter(ctx, now.Epoch, w.Params); err != nil {
			return err
		}
	}
	nodes, err := st.nodes(ctx)
	if err != nil {
		return err
	}
	if why := st.idle(now, me, nodes); why != "" {
		st.stop()
		st.show(now, why, nodes)
	} else if err := st.turn(ctx, now, class, nodes); err != nil {
		return err
	}
	for st.commit(ctx, g, now, class, nodes) {
		st.closed = st.closed[1:]
	}
	return nil
}

// enter begins with an epoch: which machines of the owner's have a Sprint in it, and which numbers
// are taken.
func (st *Streams) enter(ctx context.Context, e sprintv1.Epoch, p streamv1.Params) error {
	commits, err := client.Commits(ctx, st.c.Sprint, e.Number, st.c.Participant)
	if err != nil {
		return fmt.Errorf("asking for the commitments of epoch %d: %w", e.Number, err)
	}
	st.stop()
	st.epoch, st.params, st.closed, st.used = e.Number, p, nil, 0
	st.leaves = map[string]uint64{}
	for _, c := range commits {
		if !st.c.Machines.Stranger(c.Node) {
			st.leaves[c.Node] += c.Count
		}
	}
	for _, key := range st.c.Leaves.Keys() {
		if key.Epoch == e.Number && key.Segment > sprintv1.StreamSegments {
			st.used = max(st.used, key.Segment-sprintv1.StreamSegments)
		}
	}
	return nil
}

// nodes are how far the chain says that this participant's nodes are.
func (st *Streams) nodes(ctx context.Context) (map[string]streamv1.Node, error) {
	all := map[string]streamv1.Node{}
	err := client.Pages(0, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := st.c.Stream.Nodes(ctx, &streamv1.QueryNodesRequest{Epoch: st.epoch,
			Participant: st.c.Participant, Pagination: page})
		if err != nil {
			return nil, err
		}
		for _, n := range res.Nodes {
			all[n.Node] = n
			st.used = max(st.used, n.Number)
		}
		return res.Pagination, nil
	})
	if err != nil {
		return nil, fmt.Errorf("asking for this participant's stream: %w", err)
	}
	return all, nil
}

// idle says why nothing is proven; empty: something is.
func (st *Streams) idle(now sprintv1.QueryCurrentResponse, me *sprintv1.Member,
	nodes map[string]streamv1.Node) string {
	switch {
	case len(st.leaves) == 0:
		return fmt.Sprintf("no machine of the owner's has leaves in the Sprint of epoch %d",
			st.epoch)
	case me.Jailed || me.Fraud || me.ProvenFalse:
		return "jailed or convicted in this epoch"
	case st.c.Full() != "":
		return "no leaves are taken: " + st.c.Full()
	case now.Height+streamClose >= now.Epoch.NextStart() &&
		now.Epoch.Phase >= sprintv1.PhaseFinalised:
		return "the next epoch is about to begin"
	case len(st.able(nodes)) == 0:
		return "all commits of this epoch are made"
	}
	return ""
}

// able are the nodes that may commit further logs.
func (st *Streams) able(nodes map[string]streamv1.Node) (able []string) {
	for node := range st.leaves {
		if nodes[node].Commits+uint32(len(st.closed)) < st.params.MaxCommitsPerEpoch {
			able = append(able, node)
		}
	}
	slices.Sort(able)
	return able
}

// interval is for how many blocks machines fill a log.
func (st *Streams) interval(e sprintv1.Epoch) int64 {
	return max(2, (e.NextStart()-e.ComputeEnd)/streamParts)
}

// turn keeps the machines on a log, and begins the next one when its time is over.
func (st *Streams) turn(ctx context.Context, now sprintv1.QueryCurrentResponse,
	class transformer.Class, nodes map[string]streamv1.Node) error {
	e, every := now.Epoch, st.interval(now.Epoch)
	last := now.Epoch.NextStart() - streamClose
	if l := st.running; l == nil || now.Height-l.seedHeight >= every {
		value, err := st.c.Beacon.Output(ctx, &beaconv1.QueryOutputRequest{Height: now.Height})
		if err != nil {
			return fmt.Errorf("asking for the beacon of block %d: %w", now.Height, err)
		}
		st.close(class)
		st.used++
		st.running = &streamLog{number: st.used, seedHeight: now.Height, nodes: st.able(nodes),
			seed: seed.Segment(seed.From(e.Seed2), sprintv1.StreamSegments+st.used,
				seed.From(value.Output.Value))}
	}
	l := st.running
	goal, bounds := st.goal(e, class, l), fleet.Bounds{}
	for _, node := range l.nodes {
		bounds[node] = streamv1.MayCommit(st.params, st.leaves[node], e.WindowBlocks(), every, 0)
		goal.Most += bounds[node]
	}
	goal.Bounds, goal.Spent = &bounds, fmt.Sprintf("all %d leaves that may be committed of log "+
		"%d are computed", goal.Most, l.number)
	goal.Until = fmt.Sprintf("block %d", l.seedHeight+every)
	if goal.Most == 0 {
		st.stop()
		st.show(now, "the Sprint was too small for a stream", nodes)
		return nil
	}
	st.proving = true
	st.show(now, fmt.Sprintf("proves between Sprints: log %d, until block %d", l.number,
		max(last, l.seedHeight+every)), nodes)
	return st.c.Fleet.SetGoals(l.nodes, goal, fleet.Goal{Kind: fleet.Idle,
		Reason: "only machines of the owner's that took part in the Sprint prove between Sprints",
		Until:  fmt.Sprintf("epoch %d", e.Number+1)})
}

// goal is what machines do for a log.
func (st *Streams) goal(e sprintv1.Epoch, class transformer.Class, l *streamLog) fleet.Goal {
	return fleet.Goal{Kind: fleet.Compute, Epoch: e.Number, Class: class,
		Seed1: seed.From(e.Seed1), Segment: l.segment(), SegmentSeed: l.seed,
		Samples: streamAudit, Reason: fmt.Sprintf("log %d between Sprints", l.number)}
}

// close ends the log that machines fill; what arrives later does not count.
func (st *Streams) close(class transformer.Class) {
	l := st.running
	if l == nil {
		return
	}
	st.running, l.sizes = nil, map[string]uint64{}
	for _, node := range l.nodes {
		if log, ok := st.log(l, node, class); ok {
			l.sizes[node] = log.Size()
		}
	}
	st.closed = append(st.closed, l)
}

// log opens a node's log, if anything was stored.
func (st *Streams) log(l *streamLog, node string, class transformer.Class) (*leaflog.Log, bool) {
	key := leaflog.Key{Epoch: st.epoch, Node: node, Segment: l.segment()}
	if !st.c.Leaves.Has(key) {
		return nil, false
	}
	var log *leaflog.Log
	ok := st.c.Board.Attempt(logFault(key), func() (err error) {
		log, err = st.c.Leaves.Log(key, class.ID)
		return err
	})
	return log, ok
}

// commit wants the commits of the oldest closed log, and reports whether nothing of it is left to
// do.
func (st *Streams) commit(ctx context.Context, g *errgroup.Group,
	now sprintv1.QueryCurrentResponse, class transformer.Class,
	nodes map[string]streamv1.Node) (over bool) {
	if len(st.closed) == 0 {
		return false
	}
	l := st.closed[0]
	until := l.seedHeight + int64(st.params.MaxSeedAgeBlocks)
	if now.Height >= until {
		st.c.Logger.Warn("a log of the stream did not get on chain in time and is given up",
			"epoch", st.epoch, "number", l.number)
		return true
	}
	over = true
	for _, node := range l.nodes {
		if l.sizes[node] < uint64(st.params.MinNoncesPerCommit) || nodes[node].Number >= l.number {
			continue
		}
		over = st.one(ctx, g, now, class, l, node, nodes[node], until) && over
	}
	return over
}

// one wants a node's commit, once it is audited and within the bound, and reports whether nothing
// is left to do.
func (st *Streams) one(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, l *streamLog, node string, n streamv1.Node, until int64) (over bool) {
	id := fmt.Sprintf("stream/%d/%s/%d", st.epoch, node, l.number)
	if st.c.Queue.Done(id) || st.c.Queue.Failed(id) {
		return true
	}
	log, ok := st.log(l, node, class)
	if !ok {
		return true
	}
	// the chain counts from the node's last commit: what was late leaves less time to this one
	most := streamv1.MayCommit(st.params, st.leaves[node], now.Epoch.WindowBlocks(),
		now.Height+1-max(l.seedHeight, n.Height), 0)
	size := l.sizes[node]
	if most < size {
		return false
	}
	audited := now
	audited.Epoch.Params.Samples = streamAudit
	s := sprintv1.Segment{Index: l.segment(), Seed: l.seed.Bytes(), CommitUntil: until}
	if !st.audits.Clean(ctx, g, audited, class, log, s, size) {
		return st.audits.Failed(log.Key())
	}
	root, err := log.Root(size)
	if err != nil {
		st.c.Board.Fault(board.Fault{Epoch: st.epoch, What: "committing a stream", Node: node,
			Segment: l.segment(), Reason: err.Error()})
		return true
	}
	e := now.Epoch
	statement := commit.Statement{Chain: st.c.Chain, Epoch: e.Number, Segment: l.segment(),
		Participant: st.c.Participant, Node: node, Class: class.Name,
		Seed1: commit.Hash(seed.From(e.Seed1)), SegmentSeed: commit.Hash(l.seed),
		Root: root, Count: size}
	st.c.Queue.Want(id, until, &streamv1.MsgSubmitContinuousPoCCommit{Creator: st.c.Participant,
		EpochIndex: e.Number, NonceCount: uint32(min(size, 1<<32-1)), RootHash: root[:], Node: node,
		Number: l.number, SeedHeight: l.seedHeight, Signature: statement.Sign(st.c.HostKey)})
	return false
}

// show puts on the board what the stream does, and why.
func (st *Streams) show(now sprintv1.QueryCurrentResponse, reason string,
	nodes map[string]streamv1.Node) {
	s := &board.Stream{Epoch: now.Epoch.Number, Proving: st.proving, Reason: reason,
		Waiting: len(st.closed)}
	if st.proving {
		s.Until = now.Epoch.NextStart()
	}
	for _, n := range nodes {
		s.Commits, s.Leaves = s.Commits+n.Commits, s.Leaves+n.Leaves
	}
	st.c.Board.Set(func(b *board.Status) { b.Stream = s })
}
