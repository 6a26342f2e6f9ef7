// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// open posts every drawn leaf of this participant.
func (sp *Sprint) open(ctx context.Context, g *errgroup.Group,
	now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	id := fmt.Sprintf("open/%d", e.Number)
	if sp.c.Queue.Done(id) {
		sp.c.Board.Say(now, "waiting", "opened; others still open their leaves")
		return nil
	}
	samples, err := sp.c.Sprint.Samples(ctx, &sprintv1.QuerySamplesRequest{Epoch: e.Number,
		Participant: sp.c.Participant})
	if err != nil {
		return fmt.Errorf("asking for the drawn leaves: %w", err)
	}
	if len(samples.Leaves) == 0 {
		sp.c.Board.Say(now, "waiting", "nothing was committed in this epoch, so nothing is drawn")
		return nil
	}
	commits, err := client.Commits(ctx, sp.c.Sprint, e.Number, sp.c.Participant)
	if err != nil {
		return fmt.Errorf("asking for the commitments: %w", err)
	}
	msg, err := sp.Openings.Opening(ctx, g, e, samples.Leaves, commits)
	if err != nil {
		return err
	}
	if t := sp.c.Tamper; t != nil && t.Open != nil {
		if msg = t.Open(msg); msg == nil {
			sp.c.Board.Say(now, "withholding", "an adversary does not open")
			return nil
		}
	}
	sp.c.Board.Say(now, "opening", fmt.Sprintf("%d drawn leaves", len(samples.Leaves)))
	sp.c.Queue.Want(id, e.ProofUntil, msg)
	return nil
}

// openStream posts every drawn leaf of this participant's stream of the epoch before.
func (sp *Sprint) openStream(ctx context.Context, g *errgroup.Group,
	now sprintv1.QueryCurrentResponse) error {
	e := now.Epoch
	id := fmt.Sprintf("open-stream/%d", e.Number)
	if e.Streams == 0 || sp.c.Queue.Done(id) {
		return nil
	}
	samples, err := sp.c.Sprint.Samples(ctx, &sprintv1.QuerySamplesRequest{Epoch: e.Number,
		Participant: sp.c.Participant, Stream: true})
	if err != nil {
		return fmt.Errorf("asking for the drawn leaves of the stream: %w", err)
	}
	if len(samples.Leaves) == 0 {
		return nil
	}
	of, err := sp.c.Sprint.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: e.Number - 1})
	if err != nil {
		return fmt.Errorf("asking for epoch %d: %w", e.Number-1, err)
	}
	logs, err := client.StreamCommits(ctx, sp.c.Stream, of.Epoch.Number, sp.c.Participant)
	if err != nil {
		return fmt.Errorf("asking for the logs of the stream: %w", err)
	}
	commits := make([]sprintv1.Commit, len(logs))
	for i, l := range logs {
		segment := sprintv1.StreamSegments + l.Number
		commits[i] = sprintv1.Commit{Participant: l.Participant, Node: l.Node, Segment: segment,
			Count: l.Count, Root: l.Root}
		sp.Openings.seeds[leaflog.Key{Epoch: of.Epoch.Number, Node: l.Node,
			Segment: segment}] = seed.From(l.Seed)
	}
	msg, err := sp.Openings.Opening(ctx, g, of.Epoch, samples.Leaves, commits)
	if err != nil {
		return err
	}
	msg.Epoch, msg.Stream = e.Number, true
	if t := sp.c.Tamper; t != nil && t.Open != nil {
		if msg = t.Open(msg); msg == nil {
			return nil
		}
	}
	sp.c.Queue.Want(id, e.ProofUntil, msg)
	return nil
}

// Openings open the leaves that the chain drew.
type Openings struct {
	c        *Config
	own      *auditor
	restores map[leaflog.Key]*restoring
	// of logs of a stream
	seeds map[leaflog.Key]seed.Seed
}

// segmentSeed is that of a log of an epoch.
func (op *Openings) segmentSeed(e sprintv1.Epoch, key leaflog.Key) seed.Seed {
	if s, ok := op.seeds[key]; ok {
		return s
	}
	return seed.From(e.Segments[key.Segment-1].Seed)
}

// forget deletes what is kept of epochs before one.
func (op *Openings) forget(before uint64) {
	for key := range op.seeds {
		if key.Epoch < before {
			delete(op.seeds, key)
		}
	}
}

// Opening reads the drawn leaves from the logs, one multiproof per log. The chain takes the opening
// of all logs or none, so a log that cannot be opened withholds the others too. What is lost of it
// is computed again meanwhile; where that is too much its file is named, for whoever can restore
// it.
func (op *Openings) Opening(ctx context.Context, g *errgroup.Group, e sprintv1.Epoch,
	leaves []courtv1.LeafRef, commits []sprintv1.Commit) (*sprintv1.MsgOpen, error) {
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return nil, err
	}
	msg := &sprintv1.MsgOpen{Participant: op.c.Participant, Epoch: e.Number}
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
		if !op.c.Board.Attempt(board.Fault{Epoch: e.Number, What: "opening leaves", Node: c.Node,
			Segment: c.Segment}, func() (err error) {
			if o, err = op.of(e.Number, class, c, nonces); err != nil {
				err = fmt.Errorf("%w; %s", err, op.restore(ctx, g, e, class, c))
			}
			return err
		}) {
			lost++
		}
		msg.Logs = append(msg.Logs, o)
	}
	if lost > 0 {
		return nil, fmt.Errorf("%d of %d logs cannot be opened, and the chain takes all or none: "+
			"see the faults for their files", lost, len(msg.Logs))
	}
	return msg, nil
}

// of opens the drawn leaves of one log. What would not fit the commitment is not sent.
func (op *Openings) of(epoch uint64, class transformer.Class, c sprintv1.Commit,
	nonces []uint64) (o sprintv1.LogOpening, err error) {
	key := leaflog.Key{Epoch: epoch, Node: c.Node, Segment: c.Segment}
	if !op.c.Leaves.Has(key) {
		return o, fmt.Errorf("the log of node %s, segment %d, is not below %s, and %d leaves of "+
			"it were committed", c.Node, c.Segment, op.c.LeavesDir, c.Count)
	}
	log, err := op.c.Leaves.Log(key, class.ID)
	if err != nil {
		return o, err
	}
	if damage := log.Damage(); damage != nil && log.Size() < c.Count {
		return o, damage
	}
	if log.Size() < c.Count {
		return o, fmt.Errorf("%s holds %d leaves but %d were committed", log.Path(),
			log.Size(), c.Count)
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
		body, err := log.Body(nonce)
		if err != nil {
			return o, err
		}
		o.Leaves = append(o.Leaves, body...)
	}
	proof, err := commit.Multi(log, c.Count, nonces)
	for _, hash := range proof {
		o.Proof = append(o.Proof, hash[:]...)
	}
	return o, err
}
