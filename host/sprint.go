// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// act does this participant's part of the phase that the chain is in.
func (h *Host) act(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	if e.Number == 0 {
		h.board.Say(now, "waiting", now.Reason)
		return h.idle(now)
	}
	me, err := h.member(ctx, e.Number)
	if err != nil {
		return err
	}
	if err := h.binder.Step(ctx, now.Height); err != nil {
		return err
	}
	if me == nil && e.Phase == sprintv1.PhasePrepare {
		me, err = h.candidate(ctx, e)
		if err != nil {
			return err
		}
	}
	if me == nil {
		h.board.Say(now, "waiting", "takes no part in epoch "+fmt.Sprint(e.Number)+": "+h.whyNot(ctx))
		return h.idle(now)
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return fmt.Errorf("the chain runs model class %q, which this version does not know: %w", e.Params.Class, err)
	}
	switch e.Phase {
	case sprintv1.PhasePrepare:
		return h.prepare(ctx, now, class, me)
	case sprintv1.PhaseCompute, sprintv1.PhaseWrapUp:
		return h.compute(ctx, g, now, class, me)
	case sprintv1.PhaseProof:
		if err := h.idle(now); err != nil {
			return err
		}
		return h.open(ctx, g, now)
	case sprintv1.PhaseValidate:
		if err := h.idle(now); err != nil {
			return err
		}
		return h.voter.Validate(ctx, g, now, class)
	case sprintv1.PhaseReveal:
		return h.voter.Reveal(now)
	case sprintv1.PhaseCheck:
		return errors.Join(h.voter.OpenMiddles(ctx, now), h.voter.Dispute(ctx, now))
	case sprintv1.PhaseDispute:
		return h.voter.Dispute(ctx, now)
	case sprintv1.PhaseFinalised:
		return h.finalised(ctx, now)
	default:
		h.board.Say(now, "waiting", now.Reason)
		return h.idle(now)
	}
}

// member returns this participant's place in an epoch, nil if it has none.
func (h *Host) member(ctx context.Context, epoch uint64) (*sprintv1.Member, error) {
	res, err := h.sprint.Member(ctx, &sprintv1.QueryMemberRequest{Epoch: epoch, Participant: h.config.Participant})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking for this participant's place in epoch %d: %w", epoch, err)
	}
	return &res.Member, nil
}

// candidate is the member that a registered participant without weight becomes once it reports ready; nil where it
// cannot.
func (h *Host) candidate(ctx context.Context, e sprintv1.Epoch) (*sprintv1.Member, error) {
	res, err := h.registry.Participant(ctx, &registryv1.QueryParticipantRequest{Address: h.config.Participant})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("asking for this participant's registration: %w", err)
	}
	p := res.Participant
	if !p.TakesPart(e.Number) || p.JailedUntil > e.Number || p.LotteryFrom > e.Number {
		return nil, nil
	}
	m := &sprintv1.Member{Participant: p.Address, Role: sprintv1.RoleNewcomer}
	for _, n := range p.NodesAt(e.Number) {
		m.Nodes = append(m.Nodes, n.Id)
	}
	return m, nil
}

// whyNot says in a sentence what the chain makes of this participant.
func (h *Host) whyNot(ctx context.Context) string {
	res, err := h.sprint.Standing(ctx, &sprintv1.QueryStandingRequest{Participant: h.config.Participant})
	if err != nil {
		return status.Convert(err).Message()
	}
	return res.Reason
}

func (h *Host) idle(now sprintv1.QueryCurrentResponse) error {
	return h.idleFor(now, fmt.Sprintf("epoch %d, %s: %s", now.Epoch.Number, now.Epoch.Phase.Word(), now.Reason))
}

// idleFor has the workers idle for a reason of this host's.
func (h *Host) idleFor(now sprintv1.QueryCurrentResponse, reason string) error {
	until := ""
	if now.Until > 0 {
		until = fmt.Sprintf("block %d", now.Until)
	}
	return h.fleet.SetGoal(fleet.Goal{Kind: fleet.Idle, Reason: reason, Until: until})
}

// prepare has the workers build the model and reports readiness with a fresh heartbeat.
func (h *Host) prepare(ctx context.Context, now sprintv1.QueryCurrentResponse, class transformer.Class, me *sprintv1.Member) error {
	e := now.Epoch
	if len(e.Seed1) == 0 {
		h.board.Say(now, "waiting", now.Reason)
		return h.idle(now)
	}
	all := h.fleet.Status()
	nodes := preparing(all, me.Nodes, h.machines.Stranger)
	if err := h.fleet.SetGoals(nodes, fleet.Goal{Kind: fleet.Prepare, Epoch: e.Number, Class: class, Seed1: seed.From(e.Seed1),
		Reason: "build the model", Until: fmt.Sprintf("block %d", e.PrepareUntil)}, late(e.Number)); err != nil {
		return err
	}
	if me.Live {
		h.board.Say(now, "ready", now.Reason)
		return nil
	}
	counted, load := counted(all, nodes, h.machines.Stranger), uint64(0)
	for _, w := range counted {
		load = max(load, w.LoadMS)
	}
	connected, ready := len(counted), 0
	for _, node := range h.fleet.Ready(e.Number) {
		if _, ok := counted[node]; ok {
			ready++
		}
	}
	switch {
	case connected == 0 && slices.ContainsFunc(all, func(w fleet.WorkerStatus) bool { return w.Connected }):
		h.board.Say(now, "waiting for workers", fmt.Sprintf("all workers that are connected take part from epoch %d on", e.Number+1))
		return nil
	case connected == 0:
		h.board.Say(now, "waiting for workers", "no worker is connected; start one with: assay-worker start --host "+h.fleet.URL())
		return nil
	case ready < connected && (ready == 0 || now.Height < e.PrepareUntil-voter.MarginBlocks): // one slow worker does not cost the epoch
		h.board.Say(now, "preparing", fmt.Sprintf("%d of %d workers have built the model", ready, connected))
		return nil
	}
	id := fmt.Sprintf("ready/%d", e.Number)
	if h.queue.Done(id) {
		return nil
	}
	beat, err := h.local.Heartbeat(ctx, &registryv1.HeartbeatRequest{Participant: h.config.Participant, Epoch: e.Number})
	if err != nil {
		return fmt.Errorf("asking the node at %s for a heartbeat (it must be this participant's own validator): %w", h.config.GRPC, err)
	}
	h.board.Say(now, "reporting ready", "")
	h.queue.Want(id, e.PrepareUntil+10, &sprintv1.MsgReady{Participant: h.config.Participant, Epoch: e.Number, LoadMs: load, Height: beat.Height, Signature: beat.Signature})
	return nil
}

// preparing are the nodes that build the model: those whose leaves the chain takes in this epoch, and the owner's that
// came too late for it, since this host votes by what they compute. A stranger that came too late goes on with its loops.
func preparing(all []fleet.WorkerStatus, members []string, stranger func(node string) bool) []string {
	nodes := slices.Clone(members)
	for _, w := range all {
		if w.Connected && !stranger(w.Node) {
			nodes = append(nodes, w.Node)
		}
	}
	return nodes
}

// late is the goal of nodes that were bound after an epoch had begun: the chain takes no commitment of theirs.
func late(epoch uint64) fleet.Goal {
	return fleet.Goal{Kind: fleet.Idle, Until: fmt.Sprintf("epoch %d", epoch+1),
		Reason: fmt.Sprintf("takes part from epoch %d on: epoch %d began before the chain knew this machine", epoch+1, epoch)}
}

// counted are the workers by which this host is ready, of the nodes that prepare and are connected: its owner's, and
// the pool's only where there are no others, because a stranger may take its time to no end.
func counted(all []fleet.WorkerStatus, nodes []string, stranger func(node string) bool) map[string]fleet.WorkerStatus {
	own, connected := map[string]fleet.WorkerStatus{}, map[string]fleet.WorkerStatus{}
	for _, w := range all {
		if !w.Connected || !slices.Contains(nodes, w.Node) {
			continue
		}
		connected[w.Node] = w
		if !stranger(w.Node) {
			own[w.Node] = w
		}
	}
	if len(own) > 0 {
		return own
	}
	return connected
}

// compute keeps the workers on the running segment and commits each one that is over.
func (h *Host) compute(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class, me *sprintv1.Member) error {
	e := now.Epoch
	var running *sprintv1.Segment
	for i := range e.Segments {
		if s := &e.Segments[i]; len(s.Seed) > 0 && now.Height < s.End {
			running = s // the last one whose seed is out and whose time is not over
		}
	}
	if me.Jailed {
		h.board.Say(now, "jailed", "no vote and no credit until the jail term ends")
		return h.idle(now)
	}
	if me.Role == sprintv1.RoleNewcomer && !me.Taken {
		h.board.Say(now, "waiting", h.whyNot(ctx))
		return h.idle(now)
	}
	most := sprintv1.MayCommit(me.Credited, e.Params.Segments, class.MiOps())
	if why := h.full(); why != "" {
		if err := h.idleFor(now, "no leaves are taken: "+h.fullFor()); err != nil {
			return err
		}
		h.board.Say(now, "waiting", "no leaves are taken: "+why)
	} else if running == nil {
		if err := h.idle(now); err != nil {
			return err
		}
		h.board.Say(now, "waiting", now.Reason)
	} else {
		g := computing(e, class, *running)
		g.Reason, g.Until = fmt.Sprintf("segment %d of %d", running.Index, len(e.Segments)), fmt.Sprintf("block %d", running.End)
		g.Most, g.Spent = most, fmt.Sprintf("all %d leaves that this participant may commit in segment %d are computed or under way; the bound grows to %d times what was credited last", most, running.Index, sprintv1.Growth)
		if err := h.fleet.SetGoals(me.Nodes, g, late(e.Number)); err != nil {
			return err
		}
		stored := uint64(0)
		for _, p := range h.portions(e.Number, *running, now.Height, class, me.Nodes, most) {
			stored += p.log.Size()
		}
		if stored >= most {
			h.board.Say(now, "waiting", fmt.Sprintf("segment %d of %d: %s; until block %d", running.Index, len(e.Segments), g.Spent, running.End))
		} else {
			h.board.Say(now, "computing", fmt.Sprintf("segment %d of %d", running.Index, len(e.Segments)))
		}
	}
	return h.commit(ctx, g, now, class, me.Nodes, most)
}

// computing is the goal of a segment.
func computing(e sprintv1.Epoch, class transformer.Class, s sprintv1.Segment) fleet.Goal {
	return fleet.Goal{Kind: fleet.Compute, Epoch: e.Number, Class: class, Seed1: seed.From(e.Seed1), Segment: s.Index, SegmentSeed: seed.From(s.Seed), Samples: e.Params.Samples}
}

// portion is a node's log of a segment, and how many of its leaves are committed.
type portion struct {
	log         *leaflog.Log
	size, count uint64
}

// portions divides what may be committed of a segment, all nodes together, among its logs, by the names of their nodes.
// The fleet grants no more than that. Where logs hold more anyway, because the list of nodes or the host's version
// changed, the first that does not fit is cut where one of its machine's batches ends, as every log ends, and those
// behind it are left out. It depends on nothing but what is stored, so it is the same one after a restart. A log that
// cannot be read is left out by itself.
func (h *Host) portions(epoch uint64, s sprintv1.Segment, height int64, class transformer.Class, nodes []string, most uint64) []portion {
	var all []portion
	for _, node := range slices.Sorted(slices.Values(nodes)) {
		key := leaflog.Key{Epoch: epoch, Node: node, Segment: s.Index}
		if !h.leaves.Has(key) { // nothing was stored
			continue
		}
		log, ok := h.openLog(key, class.ID)
		if !ok {
			continue
		}
		p := portion{log: log, size: log.Size()}
		if height >= s.End {
			p.size = h.pin(key, p.size)
		}
		if p.count = p.size; p.count > most {
			cut, err := log.Batch(most)
			if err != nil {
				f := logFault(key)
				f.Reason = err.Error()
				h.board.Fault(f)
				continue
			}
			p.count, most = cut.First, 0
		}
		most -= min(most, p.count)
		all = append(all, p)
	}
	return all
}

// pin is the size of a log whose segment is over, as it was first seen then: a batch for which the disk took too long
// must not change what is audited and committed.
func (h *Host) pin(key leaflog.Key, size uint64) uint64 {
	if pinned, ok := h.pinned[key]; ok {
		return pinned
	}
	if h.pinned == nil {
		h.pinned = map[leaflog.Key]uint64{}
	}
	h.pinned[key] = size
	return size
}

// commit wants a commitment for every log of a segment that is over and still accepted, together of no more leaves than
// the chain takes. A log of which no commitment can be made stops no other.
func (h *Host) commit(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class, nodes []string, most uint64) error {
	sizes := map[string]uint64{}
	for _, s := range now.Epoch.Segments {
		for _, p := range h.portions(now.Epoch.Number, s, now.Height, class, nodes, most) {
			sizes[p.log.Key().Node] += p.size
			if now.Height < s.End || now.Height >= s.CommitUntil {
				continue
			}
			if p.count < p.size {
				h.exceeds(p, most)
			}
			if p.count == 0 {
				continue
			}
			if err := h.commitLog(ctx, g, now, class, s, p); err != nil {
				h.board.Fault(Fault{Epoch: now.Epoch.Number, What: "committing leaves", Node: p.log.Key().Node, Segment: s.Index, Reason: err.Error()})
			}
		}
	}
	h.board.Set(func(st *Status) { st.Leaves = sizes })
	return nil
}

// commitID names the wish for a log's commitment.
func commitID(key leaflog.Key) string {
	return fmt.Sprintf("commit/%d/%s/%d", key.Epoch, key.Node, key.Segment)
}

// commitLog wants one log's commitment, once it is audited.
func (h *Host) commitLog(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse, class transformer.Class, s sprintv1.Segment, p portion) error {
	e, key := now.Epoch, p.log.Key()
	if h.queue.Done(commitID(key)) || !h.clean(ctx, g, now, class, p.log, s, p.count) {
		return nil
	}
	root, err := p.log.Root(p.count)
	if err != nil {
		return err
	}
	st := commit.Statement{Chain: h.config.Chain, Epoch: e.Number, Segment: s.Index, Participant: h.config.Participant, Node: key.Node, Class: class.Name, Seed1: commit.Hash(seed.From(e.Seed1)), SegmentSeed: commit.Hash(seed.From(s.Seed)), Root: root, Count: p.count}
	h.queue.Want(commitID(key), s.CommitUntil, &sprintv1.MsgCommit{Participant: h.config.Participant, Epoch: e.Number, Segment: s.Index, Node: key.Node,
		Count: p.count, Root: root[:], Signature: st.Sign(h.o.HostKey)})
	h.books.Promise(e, class, key, p.count)
	return nil
}

// exceeds says, once, that a log is not committed as a whole.
func (h *Host) exceeds(p portion, most uint64) {
	key := p.log.Key()
	x := Excess{Epoch: key.Epoch, Node: key.Node, Segment: key.Segment, Stored: p.size, Committed: p.count,
		Reason: fmt.Sprintf("%d of %d leaves are committed: this participant may commit %d in segment %d, all machines together", p.count, p.size, most, key.Segment)}
	if slices.Contains(h.board.Get().Excess, x) {
		return
	}
	h.log.Warn("leaves are not committed", "node", x.Node, "epoch", x.Epoch, "segment", x.Segment, "reason", x.Reason)
	h.board.Set(func(s *Status) { s.Excess = append(slices.Clone(s.Excess), x) })
}

// open posts every drawn leaf of this participant.
func (h *Host) open(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	id := fmt.Sprintf("open/%d", e.Number)
	if h.queue.Done(id) {
		h.board.Say(now, "waiting", "opened; others still open their leaves")
		return nil
	}
	samples, err := h.sprint.Samples(ctx, &sprintv1.QuerySamplesRequest{Epoch: e.Number, Participant: h.config.Participant})
	if err != nil {
		return fmt.Errorf("asking for the drawn leaves: %w", err)
	}
	if len(samples.Leaves) == 0 {
		h.board.Say(now, "waiting", "nothing was committed in this epoch, so nothing is drawn")
		return nil
	}
	commits, err := client.Commits(ctx, h.sprint, e.Number, h.config.Participant)
	if err != nil {
		return fmt.Errorf("asking for the commitments: %w", err)
	}
	msg, err := h.opening(ctx, g, e, samples.Leaves, commits)
	if err != nil {
		return err
	}
	if t := h.o.Tamper; t != nil && t.Open != nil {
		if msg = t.Open(msg); msg == nil {
			h.board.Say(now, "withholding", "an adversary does not open")
			return nil
		}
	}
	h.board.Say(now, "opening", fmt.Sprintf("%d drawn leaves", len(samples.Leaves)))
	h.queue.Want(id, e.ProofUntil, msg)
	return nil
}

// opening reads the drawn leaves from the logs, one multiproof per log. The chain takes the opening of all logs or none,
// so a log that cannot be opened withholds the others too. What is lost of it is computed again meanwhile; where that is
// too much its file is named, for whoever can restore it.
func (h *Host) opening(ctx context.Context, g *errgroup.Group, e sprintv1.Epoch, leaves []courtv1.LeafRef, commits []sprintv1.Commit) (*sprintv1.MsgOpen, error) {
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return nil, err
	}
	msg := &sprintv1.MsgOpen{Participant: h.config.Participant, Epoch: e.Number}
	lost := 0
	for _, c := range commits {
		var nonces []uint64
		for _, l := range leaves {
			if l.Node == c.Node && l.Segment == c.Segment {
				nonces = append(nonces, l.Nonce)
			}
		}
		if len(nonces) == 0 {
			continue
		}
		var o sprintv1.LogOpening
		if !h.board.Attempt(Fault{Epoch: e.Number, What: "opening leaves", Node: c.Node, Segment: c.Segment}, func() (err error) {
			if o, err = h.openingOf(e.Number, class, c, nonces); err != nil {
				err = fmt.Errorf("%w; %s", err, h.restore(ctx, g, e, class, c))
			}
			return err
		}) {
			lost++
		}
		msg.Logs = append(msg.Logs, o)
	}
	if lost > 0 {
		return nil, fmt.Errorf("%d of %d logs cannot be opened, and the chain takes all or none: see the faults for their files", lost, len(msg.Logs))
	}
	return msg, nil
}

// openingOf opens the drawn leaves of one log. What would not fit the commitment is not sent.
func (h *Host) openingOf(epoch uint64, class transformer.Class, c sprintv1.Commit, nonces []uint64) (o sprintv1.LogOpening, err error) {
	key := leaflog.Key{Epoch: epoch, Node: c.Node, Segment: c.Segment}
	if !h.leaves.Has(key) {
		return o, fmt.Errorf("the log of node %s, segment %d, is not below %s, and %d leaves of it were committed", c.Node, c.Segment, filepath.Join(h.o.Home, leavesName), c.Count)
	}
	log, err := h.leaves.Log(key, class.ID)
	if err != nil {
		return o, err
	}
	if damage := log.Damage(); damage != nil && log.Size() < c.Count {
		return o, damage
	}
	if log.Size() < c.Count {
		return o, fmt.Errorf("%s holds %d leaves but %d were committed", log.Path(), log.Size(), c.Count)
	}
	root, err := log.Root(c.Count)
	if err != nil {
		return o, err
	}
	if !bytes.Equal(root[:], c.Root) {
		return o, fmt.Errorf("%s does not give the root that was committed", log.Path())
	}
	o.Node, o.Segment = c.Node, c.Segment
	for _, nonce := range nonces {
		r, err := log.Record(nonce)
		if err != nil {
			return o, err
		}
		o.Leaves = r.Append(o.Leaves)
	}
	proof, err := commit.Multi(log, c.Count, nonces)
	for _, hash := range proof {
		o.Proof = append(o.Proof, hash[:]...)
	}
	return o, err
}

// finalised notes the outcome and writes evidence of what was proven.
func (h *Host) finalised(ctx context.Context, now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	if err := h.idle(now); err != nil {
		return err
	}
	o, found, err := client.Outcome(ctx, h.sprint, e.Number, h.config.Participant)
	if err != nil {
		return err
	}
	if found {
		h.log.Info("epoch finalised", "epoch", e.Number, "reason", o.Reason, "weight", o.WeightAfter)
		h.board.Set(func(s *Status) {
			s.LeftOut = nil
			s.Outcome = &Outcome{Epoch: e.Number, Result: o.Result.String(), Reason: o.Reason, Weight: o.WeightAfter, Power: o.PowerAfter}
		})
	}
	h.board.Say(now, "waiting", now.Reason)
	return h.writeEvidence(ctx, e)
}
