// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Compute keeps the workers on the running segment and commits each one that is over.
func (sp *Sprint) Compute(ctx context.Context, g *errgroup.Group, now sprintv1.QueryCurrentResponse,
	class transformer.Class, me *sprintv1.Member) error {
	e := now.Epoch
	var running *sprintv1.Segment
	for i := range e.Segments {
		if s := &e.Segments[i]; len(s.Seed) > 0 && now.Height < s.End {
			running = s // the last one whose seed is out and whose time is not over
		}
	}
	if me.Jailed {
		sp.c.Board.Say(now, "jailed", "no vote and no credit until the jail term ends")
		return sp.idle(now)
	}
	if me.Role == sprintv1.RoleNewcomer && !me.Taken {
		sp.c.Board.Say(now, "waiting", sp.whyNot(ctx))
		return sp.idle(now)
	}
	most := sprintv1.MayCommit(me.Credited, e.Params.Segments, class.MiOps())
	if why := sp.c.Full(); why != "" {
		if err := sp.idleFor(now, "no leaves are taken: "+sp.c.FullFor()); err != nil {
			return err
		}
		sp.c.Board.Say(now, "waiting", "no leaves are taken: "+why)
	} else if running == nil {
		if err := sp.idle(now); err != nil {
			return err
		}
		sp.c.Board.Say(now, "waiting", now.Reason)
	} else {
		g := Computing(e, class, *running)
		g.Reason, g.Until = fmt.Sprintf("segment %d of %d", running.Index, len(e.Segments)),
			fmt.Sprintf("block %d", running.End)
		g.Most, g.Spent = most, fmt.Sprintf("all %d leaves that this participant may commit in "+
			"segment %d are computed or under way; the bound grows to %d times what was credited "+
			"last", most, running.Index, sprintv1.Growth)
		if err := sp.c.Fleet.SetGoals(me.Nodes, g, late(e.Number)); err != nil {
			return err
		}
		stored := uint64(0)
		for _, p := range sp.Logs.Portions(e.Number, *running, now.Height, class, me.Nodes, most) {
			stored += p.Log.Size()
		}
		if stored >= most {
			sp.c.Board.Say(now, "waiting", fmt.Sprintf("segment %d of %d: %s; until block %d",
				running.Index, len(e.Segments), g.Spent, running.End))
		} else {
			sp.c.Board.Say(now, "computing",
				fmt.Sprintf("segment %d of %d", running.Index, len(e.Segments)))
		}
	}
	return sp.Commits.Commit(ctx, g, now, class, me.Nodes, most)
}

// Computing is the goal of a segment.
func Computing(e sprintv1.Epoch, class transformer.Class, s sprintv1.Segment) fleet.Goal {
	return fleet.Goal{Kind: fleet.Compute, Epoch: e.Number, Class: class, Seed1: seed.From(e.Seed1),
		Segment: s.Index, SegmentSeed: seed.From(s.Seed), Samples: e.Params.Samples}
}
