// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"crypto/ed25519"
	"fmt"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
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
	case Prepare:
	default:
		return fmt.Errorf("%w: kind %d", ErrGoal, g.Kind)
	}
	if err := g.Class.Valid(); err != nil {
		return fmt.Errorf("%w: %w", ErrGoal, err)
	}
	return nil
}

// same reports whether a worker on g need not be told of h.
func (g Goal) same(h Goal) bool {
	if g.Kind != Idle {
		g.Reason, g.Until, h.Reason, h.Until = "", "", "", ""
	}
	return g == h
}

// segment names a log of this node.
type segment struct {
	epoch  uint64
	number uint32
}

// Order is a goal to compute as a node's machine signs it with its leaves.
func (g Goal) Order(host ed25519.PrivateKey, chain, participant, node string, device mpoc.Key) delivery.Order {
	return delivery.Announce(host, delivery.Order{
		Chain: chain, DeviceKey: device, Participant: participant, Epoch: g.Epoch, Node: node, Class: g.Class.Name,
		Seed1: mpoc.Hash(g.Seed1), Segment: g.Segment, SegmentSeed: mpoc.Hash(g.SegmentSeed),
	}, g.Samples)
}

// order is a goal as one worker gets it.
type order struct {
	goal   Goal
	log    *leaflog.Log   // Compute only, as is
	signed delivery.Order // what its batches are signed with
}

// draft turns a goal into a node's order and the message that gives it.
func (f *Fleet) draft(g Goal, node string, key ed25519.PublicKey) (*order, *workerv1.Envelope) {
	until := workerv1.Clip(g.Until, workerv1.MaxUntil)
	switch g.Kind {
	case Prepare:
		return &order{goal: g}, &workerv1.Envelope{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{
			Epoch: g.Epoch, Class: g.Class.Name, Seed1: g.Seed1.Bytes(), Until: until,
		}}}
	case Compute:
		log, err := f.config.Logs.Log(leaflog.Key{Epoch: g.Epoch, Node: node, Segment: g.Segment}, g.Class.ID)
		if err != nil {
			f.log.Error("no log for a worker's artefacts", "node", node, "epoch", g.Epoch, "segment", g.Segment, "err", err)
			return f.draft(Goal{Kind: Idle, Reason: "the host cannot store artefacts; its owner finds the cause in its log"}, node, key)
		}
		nodeSeed := seed.Node(f.config.Chain, f.config.Participant, node, g.Class.Name)
		signed := g.Order(f.config.HostKey, f.config.Chain, f.config.Participant, node, mpoc.Key(key))
		return &order{goal: g, log: log, signed: signed}, &workerv1.Envelope{Message: &workerv1.Envelope_Compute{Compute: &workerv1.Compute{
			Epoch: g.Epoch, Class: g.Class.Name, Seed1: g.Seed1.Bytes(), Until: until,
			Segment: g.Segment, NodeSeed: nodeSeed.Bytes(), SegmentSeed: g.SegmentSeed.Bytes(), First: log.Size(), Audit: signed.Audit[:],
		}}}
	default:
		reason := g.Reason
		if reason == "" {
			reason = "the host has nothing to do"
		}
		reason = workerv1.Clip(reason, workerv1.MaxText)
		g.Reason, g.Until = reason, until
		return &order{goal: g}, &workerv1.Envelope{Message: &workerv1.Envelope_Idle{Idle: &workerv1.Idle{Reason: reason, Until: until}}}
	}
}
