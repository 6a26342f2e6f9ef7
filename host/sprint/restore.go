// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A leaf follows from its seeds. So what a disk lost of a log that this host committed to is
// computed again, and the committed root says whether it is what was there.

// restoring is one log's restoration. err is there once done is closed.
type restoring struct {
	done chan struct{}
	err  error
}

// restore begins to make a log whole that cannot be opened, beside the loop, and says how far that
// is. It is tried once.
func (op *Openings) restore(ctx context.Context, g *errgroup.Group, e sprintv1.Epoch,
	class transformer.Class, c sprintv1.Commit) (says string) {
	key := leaflog.Key{Epoch: e.Number, Node: c.Node, Segment: c.Segment}
	r := op.restores[key]
	if r == nil {
		r = &restoring{done: make(chan struct{})}
		for old := range op.restores {
			if old.Epoch != e.Number {
				delete(op.restores, old)
			}
		}
		op.restores[key] = r
		alone := op.c.Alone()
		g.Go(func() error {
			defer close(r.done)
			r.err = op.c.Leaves.Restore(key, leaflog.Transformer(class.ID), commit.Hash(c.Root),
				c.Count, func(first uint64, n int) ([]byte, error) {
					recs, err := op.computeAgain(ctx, e, class, key, first, n, alone)
					return record.Pack(recs...), err
				})
			if r.err == nil {
				op.c.Logger.Warn("a damaged log was made whole by computing its lost leaves again",
					"node", key.Node, "epoch", key.Epoch, "segment", key.Segment)
			}
			return nil
		})
	}
	select {
	case <-r.done:
		if r.err == nil {
			return "it was made whole, and is read again at the next block"
		}
		return r.err.Error() + "; put the file back from a copy below " + op.c.LeavesDir +
			" and start the host again before the proof window ends"
	default:
		return "what is lost is being computed again"
	}
}

// computeAgain computes leaves of a node of this host, on the workers or, where there is none to be
// trusted, here.
func (op *Openings) computeAgain(ctx context.Context, e sprintv1.Epoch, class transformer.Class,
	key leaflog.Key, first uint64, n int, alone bool) ([]record.Record, error) {
	units := make([]fleet.Unit, n)
	for i := range units {
		units[i] = fleet.Unit{Epoch: e.Number, Class: class, Seed1: seed.From(e.Seed1),
			Nonce:       first + uint64(i),
			NodeSeed:    seed.Node(op.c.Chain, op.c.Participant, key.Node, class.Name),
			SegmentSeed: op.segmentSeed(e, key)}
	}
	out := make([]transformer.Output, n)
	var err error
	if !alone {
		out, err = op.c.Workers.Rerun(ctx, units)
	}
	recs := make([]record.Record, n)
	for i, u := range units {
		if alone && err == nil {
			op.own.turn.Lock()
			out[i], err = op.own.judge.Unit(ctx, u.Class, u.Seed1, u.NodeSeed, u.SegmentSeed,
				u.Nonce, record.Record{})
			op.own.turn.Unlock()
		}
		if err != nil {
			return nil, err
		}
		recs[i] = out[i].Record
	}
	return recs, nil
}
