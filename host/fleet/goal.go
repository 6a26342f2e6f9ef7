// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Kind is what the host wants of its workers.
type Kind uint8

const (
	Idle    Kind = iota // nothing; Reason says why
	Prepare             // build the epoch's model
	Compute             // fill the logs of a segment
)

// Goal is what a worker shall do. Idle uses Reason and Until only, Prepare
// all but the segment's fields.
type Goal struct {
	Kind        Kind
	Epoch       uint64
	Class       transformer.Class
	Seed1       seed.Seed
	Segment     uint32 // from 1
	SegmentSeed seed.Seed
	// Samples is how many leaves of each log the host will look at.
	Samples uint32
	// Most is how many leaves of the segment all nodes that the goal is for may have
	// together, at least 1; Spent says for people why there are no more. A node that
	// has what it was granted, where nothing is left, is told so and idles.
	Most  uint64
	Spent string
	// Bounds are how many leaves each node may have, of those where that is bounded; optional.
	Bounds *Bounds
	// Reason and Until are for people: why there is nothing to do, and until when
	// the goal stands. Longer texts than 256 and 128 bytes are clipped.
	Reason string
	Until  string
}

func (g Goal) valid() error {
	switch g.Kind {
	case Idle:
		return nil
	case Compute:
		if g.Segment == 0 {
			return fmt.Errorf("%w: segments are counted from 1", ErrGoal)
		}
		if g.Most == 0 {
			return fmt.Errorf("%w: no leaf of segment %d may be computed", ErrGoal, g.Segment)
		}
	case Prepare:
	default:
		return fmt.Errorf("%w: kind %d", ErrGoal, g.Kind)
	}
	if err := g.Class.Valid(); err != nil {
		return fmt.Errorf("%w: %w", ErrGoal, err)
	}
	return nil
}

// same reports whether a worker on g goes on as it does on h. Of another Until it is told.
func (g Goal) same(h Goal) bool {
	if g.Kind != Idle {
		g.Reason, g.Until, h.Reason, h.Until = "", "", "", ""
	}
	g.Most, g.Spent, g.Bounds = 0, "", nil
	h.Most, h.Spent, h.Bounds = 0, "", nil
	return g == h
}

// Bounds are how many leaves of a segment a node may have.
type Bounds map[string]uint64

// of is a node's bound.
func (b *Bounds) of(node string) uint64 {
	if b == nil {
		return math.MaxUint64
	}
	return (*b)[node]
}

// during is a goal while the chain stands still.
func (g Goal) during(halt string) Goal {
	if halt == "" {
		return g
	}
	if g.Kind == Idle {
		g.Reason, g.Until = halt, "the chain makes blocks again"
	} else {
		g.Until = "the chain makes blocks again: " + halt
	}
	return g
}

// segment names a log of this node.
type segment struct {
	epoch  uint64
	number uint32
}

// Order is a goal to compute as a node's machine signs it with its leaves.
func (g Goal) Order(host ed25519.PrivateKey, chain, participant, node string,
	device signed.Key) delivery.Order {
	return delivery.Announce(host, delivery.Order{
		Chain: chain, DeviceKey: device, Participant: participant, Epoch: g.Epoch, Node: node,
		Class: g.Class.Name,
		Seed1: signed.Hash(g.Seed1), Segment: g.Segment, SegmentSeed: signed.Hash(g.SegmentSeed),
	}, g.Samples)
}

// order is a goal as one worker gets it. What stands behind goal is there for
// Compute only; what stands behind allowance is guarded by the connection's lock.
type order struct {
	goal      Goal
	log       *leaflog.Log
	signed    delivery.Order // what its batches are signed with
	allowance *allowance
	stop      uint64 // the node may have the leaves below it
	told      uint64 // the stop that its worker knows
	fault     error  // why the node's leaves cannot be stored; the goal is Idle then
	over      bool   // its worker knows all that there is to say, for now
	until     bool   // but for goal.Until
}

// draft turns a goal into a node's order. It may have to read a long log.
func (f *Fleet) draft(g Goal, a *allowance, node string, key ed25519.PublicKey) *order {
	if g.Kind != Compute {
		return &order{goal: g}
	}
	log, err := f.config.Logs.Log(leaflog.Key{Epoch: g.Epoch, Node: node, Segment: g.Segment},
		g.Class.ID)
	if err == nil {
		err = log.Ready()
	}
	if err != nil {
		return f.blocked(g, node, err)
	}
	if n := log.Mended(); n > 0 {
		f.log.Warn("a bit of a log has changed on disk and is read as it was; check the disk",
			"node", node, "path", log.Path(), "batches", n)
	}
	signed := g.Order(f.config.HostKey, f.config.Chain, f.config.Participant, node, signed.Key(key))
	return &order{goal: g, log: log, signed: signed, allowance: a}
}

// blocked is the order of a node whose leaves cannot be stored: it idles, connected,
// and is drafted again, unless its log is damaged, which is for the whole segment.
// Others do not notice.
func (f *Fleet) blocked(g Goal, node string, err error) *order {
	idle := Goal{Kind: Idle, Reason: "the host's disk takes no leaves of this machine now; it " +
		"tries again by itself", Until: g.Until}
	switch {
	case lasting(err):
		idle.Reason = fmt.Sprintf("the log of this machine on the host's disk is damaged; it "+
			"goes on after segment %d", g.Segment)
	case disk.Full(err):
		idle.Reason = "the host's disk is full; it tries again by itself"
	}
	f.log.Error("leaves of a node cannot be stored; other nodes go on", "node", node, "epoch",
		g.Epoch, "segment", g.Segment, "err", err)
	return &order{goal: idle, fault: err}
}

// lasting reports whether a log is beyond trying again.
func lasting(err error) bool {
	return errors.Is(err, leaflog.ErrDamaged) || errors.Is(err, leaflog.ErrOrder)
}

// begin has a node take part in its segment. From here on nobody else grows its log.
func (o *order) begin(node string) {
	if o.log != nil {
		o.told = o.log.Size()
		o.stop = o.allowance.arrive(node, o.told)
	}
}

// grant lets the worker go on up to stop, and reports whether it is to be told.
func (o *order) grant(stop uint64) bool {
	if stop <= o.stop {
		return false
	}
	o.stop, o.over = stop, false
	return true
}

// spent reports whether the node has all leaves that it may have.
func (o *order) spent() bool { return o.log != nil && o.log.Size() >= o.stop }

// next is what the worker has to be told, nil where there is nothing: of a segment
// that it may go on, or that it may not. The latter ends its order, so it waits for
// what is acknowledged under it.
func (o *order) next(f *Fleet, node string, acknowledged bool) *workerv1.Envelope {
	until := workerv1.Clip(o.goal.Until, workerv1.MaxUntil)
	if o.until && o.over {
		o.over = false // all of it is said again, and nothing else of it is new
	}
	switch g := o.goal; {
	case o.over, o.fault != nil && !acknowledged:
		return nil
	case g.Kind == Prepare:
		o.over, o.until = true, false
		return &workerv1.Envelope{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{
			Epoch: g.Epoch, Class: g.Class.Name, Seed1: g.Seed1.Bytes(), Until: until,
		}}}
	case g.Kind != Compute:
		o.over, o.until = true, false
		return idle(g.Reason, until)
	case o.stop > o.told, o.until && !o.spent():
		o.told, o.until = o.stop, false
		nodeSeed := seed.Node(f.config.Chain, f.config.Participant, node, g.Class.Name)
		return &workerv1.Envelope{Message: &workerv1.Envelope_Compute{Compute: &workerv1.Compute{
			Epoch: g.Epoch, Class: g.Class.Name, Seed1: g.Seed1.Bytes(), Until: until,
			Segment: g.Segment, NodeSeed: nodeSeed.Bytes(), SegmentSeed: g.SegmentSeed.Bytes(),
			First: o.log.Size(), Stop: o.stop, Audit: o.signed.Audit[:],
		}}}
	case acknowledged && o.spent():
		o.over, o.until = true, false
		return idle(g.Spent, until)
	}
	return nil
}

func idle(reason, until string) *workerv1.Envelope {
	if reason == "" {
		reason = "the host has nothing to do"
	}
	return &workerv1.Envelope{Message: &workerv1.Envelope_Idle{
		Idle: &workerv1.Idle{Reason: workerv1.Clip(reason, workerv1.MaxText), Until: until}}}
}

// SetGoal puts every worker, present and future, on a goal. When it returns, no
// leaf that belongs to an earlier goal is taken any longer. What was being written is
// waited for, up to diskTime in all: a disk that hangs holds up one batch of a node,
// which nobody was told is stored, and nothing else. Stating the same goal again
// disturbs nobody. Errors wrap ErrGoal.
func (f *Fleet) SetGoal(g Goal) error { return f.setGoals(nil, g, Goal{}) }

// SetGoals is SetGoal for some nodes, and puts all others on another goal, which is
// not to compute. It is for one goroutine.
func (f *Fleet) SetGoals(nodes []string, g, others Goal) error {
	chosen := make(map[string]bool, len(nodes))
	for _, node := range nodes {
		chosen[node] = true
	}
	return f.setGoals(chosen, g, others)
}

func (f *Fleet) setGoals(chosen map[string]bool, g, others Goal) error {
	if err := errors.Join(g.valid(), others.valid()); err != nil {
		return err
	}
	if others.Kind == Compute {
		return fmt.Errorf("%w: the nodes that the goal is not for compute too", ErrGoal)
	}
	share := f.shareOf(chosen, g)
	enough := time.After(diskTime)
	for name, storing := range f.aimAll(chosen, g, others, share) {
		select {
		case <-storing:
		case <-enough:
			f.log.Error("the disk does not take a batch in time; it is left out", "node", name)
			enough = time.After(0) // nor are others waited for
		}
	}
	return nil
}

// aimAll puts the nodes on their goals, and returns what is being written.
func (f *Fleet) aimAll(chosen map[string]bool, g, others Goal,
	share *allowance) map[string]<-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goal, f.others, f.chosen, f.share = g, others, chosen, share
	writing := map[string]<-chan struct{}{}
	for name, n := range f.nodes {
		if n.conn == nil {
			continue
		}
		if storing := n.conn.aim(f.goalOf(name)); storing != nil {
			writing[name] = storing
		}
	}
	f.refill()
	return writing
}

// shareOf is the allowance of a goal: the one that there is, for the same segment, or
// a new one that knows what the nodes have stored. It may have to read long logs, so
// the caller does not hold the lock; of a segment without an allowance no log grows.
func (f *Fleet) shareOf(chosen map[string]bool, g Goal) *allowance {
	if g.Kind != Compute {
		return nil
	}
	f.mu.Lock()
	share, known := f.share, f.chosen
	if share == nil || !f.goal.same(g) {
		share, known = newAllowance(g.Most, g.Class.MiOps()), map[string]bool{}
	}
	f.mu.Unlock()
	share.bound(g.Most, g.Bounds)
	if known == nil || chosen != nil && maps.Equal(chosen, known) {
		return share
	}
	for _, key := range f.config.Logs.Keys() {
		if key.Epoch != g.Epoch || key.Segment != g.Segment || known[key.Node] || chosen != nil &&
			!chosen[key.Node] {
			continue
		}
		log, err := f.config.Logs.Log(key, g.Class.ID)
		if err != nil {
			f.log.Error("a log cannot be read, and is not counted", "node", key.Node, "epoch",
				key.Epoch, "segment", key.Segment, "err", err)
			continue
		}
		share.know(key.Node, log.Size())
	}
	return share
}

// refill has all workers go on with what is left. The caller holds the lock.
func (f *Fleet) refill() {
	for _, n := range f.nodes {
		if n.conn != nil {
			n.conn.refill()
		}
	}
}

// goalOf is a node's goal, and what it has a share of. The caller holds the lock.
func (f *Fleet) goalOf(node string) (Goal, *allowance) {
	if f.chosen == nil || f.chosen[node] {
		return f.goal.during(f.halt), f.share
	}
	return f.others.during(f.halt), nil
}
