// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Commits are the commitments to logs.
type Commits struct {
	c      *Config
	logs   *Logs
	audits *Audits
}

// Commit wants a commitment for every log of a segment that is over and still accepted, together of
// no more leaves than the chain takes. A log of which no commitment can be made stops no other.
func (cs *Commits) Commit(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, nodes []string, most uint64) error {
	sizes := map[string]uint64{}
	for _, s := range now.Epoch.Segments {
		for _, p := range cs.logs.Portions(now.Epoch.Number, s, now.Height, class, nodes, most) {
			sizes[p.Log.Key().Node] += p.Size
			if now.Height < s.End || now.Height >= s.CommitUntil {
				continue
			}
			if p.Count < p.Size {
				cs.exceeds(p, most)
			}
			if p.Count == 0 {
				continue
			}
			if err := cs.one(ctx, g, now, class, s, p); err != nil {
				cs.c.Board.Fault(board.Fault{Epoch: now.Epoch.Number, What: "committing leaves",
					Node: p.Log.Key().Node, Segment: s.Index, Reason: err.Error()})
			}
		}
	}
	cs.c.Board.Set(func(st *board.Status) { st.Leaves = sizes })
	return nil
}

// commitID names the wish for a log's commitment.
func commitID(key leaflog.Key) string {
	return fmt.Sprintf("commit/%d/%s/%d", key.Epoch, key.Node, key.Segment)
}

// one wants one log's commitment, once it is audited.
func (cs *Commits) one(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, s sprintv1.Segment, p Portion) error {
	e, key := now.Epoch, p.Log.Key()
	if cs.c.Queue.Done(commitID(key)) || !cs.audits.Clean(ctx, g, now, class, p.Log, s, p.Count) {
		return nil
	}
	root, err := p.Log.Root(p.Count)
	if err != nil {
		return err
	}
	st := commit.Statement{Chain: cs.c.Chain, Epoch: e.Number, Segment: s.Index,
		Participant: cs.c.Participant, Node: key.Node, Class: class.Name,
		Seed1: commit.Hash(seed.From(e.Seed1)), SegmentSeed: commit.Hash(seed.From(s.Seed)),
		Root: root, Count: p.Count}
	cs.c.Queue.Want(commitID(key), s.CommitUntil, &sprintv1.MsgCommit{Participant: cs.c.Participant,
		Epoch: e.Number, Segment: s.Index, Node: key.Node,
		Count: p.Count, Root: root[:], Signature: st.Sign(cs.c.HostKey)})
	cs.c.Books.Promise(e, class, key, p.Count)
	return nil
}

// exceeds says, once, that a log is not committed as a whole.
func (cs *Commits) exceeds(p Portion, most uint64) {
	key := p.Log.Key()
	x := board.Excess{Epoch: key.Epoch, Node: key.Node, Segment: key.Segment, Stored: p.Size,
		Committed: p.Count,
		Reason: fmt.Sprintf("%d of %d leaves are committed: this participant may commit %d in "+
			"segment %d, all machines together", p.Count, p.Size, most, key.Segment)}
	if slices.Contains(cs.c.Board.Get().Excess, x) {
		return
	}
	cs.c.Logger.Warn("leaves are not committed", "node", x.Node, "epoch", x.Epoch, "segment",
		x.Segment, "reason", x.Reason)
	cs.c.Board.Set(func(s *board.Status) { s.Excess = append(slices.Clone(s.Excess), x) })
}
