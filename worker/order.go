// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/runner"
)

// order is what the host wants now. An order never changes; a new one replaces
// it. Without a model it is idleness.
type order struct {
	runner.Need        // zero when idle
	segment     uint32 // 0 while only preparing
	nodeSeed    seed.Seed
	segmentSeed seed.Seed
	signed      delivery.Order // what records are signed with
	reason      string         // why idle
	until       string
}

func (o *order) idle() bool { return o.Model == runner.ModelKey{} }

// sameSegment reports whether records of o are records of p.
func (o *order) sameSegment(p *order) bool {
	return o.segment != 0 && o.Need == p.Need && o.segment == p.segment &&
		o.nodeSeed == p.nodeSeed && o.segmentSeed == p.segmentSeed && o.signed == p.signed
}

// computeOrder reads an order to compute. What a machine signs must be what it
// computes: a host that says it is this node's work and gives another's seed would
// have honest records that look forged.
func computeOrder(c *workerv1.Compute, w *workerv1.Welcome, host,
	device signed.Key) (*order, error) {
	model, err := parseModel(c.Class, c.Seed1)
	if err != nil {
		return nil, err
	}
	nodeSeed := seed.Node(w.Chain, w.Participant, w.Node, c.Class)
	if nodeSeed != seed.Seed(c.NodeSeed) {
		return nil, fmt.Errorf("%w: the node seed is not that of node %s of %s on chain %s",
			errHost, w.Node, w.Participant, w.Chain)
	}
	return &order{
		Need: runner.Need{Model: model, Epoch: c.Epoch}, segment: c.Segment, until: c.Until,
		nodeSeed: nodeSeed, segmentSeed: seed.Seed(c.SegmentSeed),
		signed: delivery.Order{
			Chain: w.Chain, HostKey: host, DeviceKey: device, Participant: w.Participant,
			Epoch: c.Epoch, Node: w.Node, Class: c.Class,
			Seed1: signed.Hash(c.Seed1), Segment: c.Segment,
			SegmentSeed: signed.Hash(c.SegmentSeed), Audit: signed.Hash(c.Audit),
		},
	}, nil
}

// Seeds of a message that passed its decoder are 32 bytes long.
func parseModel(class string, seed1 []byte) (runner.ModelKey, error) {
	c, err := transformer.ByName(class)
	if err != nil {
		return runner.ModelKey{},
			fmt.Errorf("this worker does not know class %q; run the host's version of assay-worker",
				class)
	}
	return runner.ModelKey{Class: c, Seed1: seed.Seed(seed1)}, nil
}

// backlog is the records of one segment that the host has not acknowledged.
//
//	0 ... base ........ sent ........ base+count ........ share.next
//	durable at host | on their way | not sent yet | devices have them
//
// None at or beyond stop is begun or sent. What was computed before a host took back
// what it wanted is kept, in case it wants it again.
type backlog struct {
	base    uint64
	sent    uint64
	stop    uint64 // nonces below it are wanted
	records []byte // packed, from base on
	open    bool   // the session's host has named its resume point
	share   share  // of the segment among devices; its end is the backlog's
}

func (l *backlog) end() uint64 { return l.base + uint64(record.Count(l.records)) }

// restart goes on from the host's resume point: what lies behind it is kept
// where it fits, and recomputed where it does not. What was signed is sent again as
// it was, or not at all (journal).
func (l *backlog) restart(first, stop uint64) {
	if first < l.base || first > l.end() {
		l.records, l.base, l.share = nil, first, share{end: first, next: first}
	}
	l.drop(first)
	l.sent, l.stop, l.open = first, stop, true
}

// ready is the end of what may be sent.
func (l *backlog) ready() uint64 { return max(l.sent, min(l.end(), l.stop)) }

// full reports whether all that the host wants is computed.
func (l *backlog) full() bool { return l.end() >= l.stop }

// put takes a device's results.
func (l *backlog) put(s *slice, results []transformer.Output) {
	for _, o := range l.share.put(s, results) {
		l.records = o.Record.Append(l.records)
	}
}

// drop forgets what is durable; size lies in base..end.
func (l *backlog) drop(size uint64) {
	l.records = l.records[(size-l.base)*record.Size:]
	l.base = size
	if len(l.records) == 0 {
		l.records = nil // let go of the memory behind
	}
}

// batch returns the next records to send, at most so many of them, a copy.
func (l *backlog) batch(most uint64) (first uint64, records []byte) {
	from := (l.sent - l.base) * record.Size
	n := min(l.ready()-l.sent, most) * record.Size
	return l.sent, append([]byte(nil), l.records[from:from+n]...)
}
