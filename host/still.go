// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"log/slog"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/internal/clock"
)

// A chain that stands still looks well to everybody who does not mind its height: the
// node answers, a phase is running and has an end. So this host minds the height. When
// it does not change for a while the node says why, and status, log and machines have
// that in place of a block that does not come.

const (
	// askStill is how long a block may take before the node is asked, and askAgain how
	// often it is. Whether the chain stands still is the node's to say, which knows how
	// fast its blocks are.
	askStill = 3 * time.Second
	askAgain = 2 * time.Second
	// patience is for nodes that cannot say it, and for those that do not answer at all.
	patience = 30 * time.Second
)

// still follows whether anything moves, in lived time. It belongs to the loop of Run.
type still struct {
	clock *clock.Clock
	moved uint64    // when there was a block last, or when this host began to wait
	at    time.Time // the same for people
	asked uint64
	disk  uint64 // when the node was asked how its disk does; 0: not yet
	why   string // what machines were told; empty while the chain goes on

	local      registryv1.LocalClient
	node, home string // the node's address and this host's home, for people
	board      *board.Board
	log        *slog.Logger
	full       func() string
	halt       func(why string) // tells machines
}

// begin counts from now on.
func (s *still) begin() *still {
	s.moved, s.at = s.clock.Lived(), s.clock.Wall()
	return s
}

// waited is how long there was no block.
func (s *still) waited() time.Duration {
	return time.Duration(s.clock.Lived()-s.moved) * time.Millisecond
}

// tick is called once in a loop. Who stood still has not waited.
func (s *still) tick() {
	if s.clock.Tick().Any() {
		s.moved = s.clock.Lived()
	}
}

// goesOn is called with every block.
func (s *still) goesOn(height int64) {
	if s.why != "" {
		s.log.Info("the chain goes on", "height", height)
	}
	s.moved, s.at, s.asked, s.why = s.clock.Lived(), s.clock.Wall(), 0, ""
	s.halt("")
	s.board.Set(func(st *Status) { st.Still = "" })
}

// standsStill is called when there is no new block.
func (s *still) standsStill(ctx context.Context) {
	now := s.clock.Lived()
	if s.waited() < askStill || time.Duration(now-s.asked)*time.Millisecond < askAgain {
		return
	}
	s.asked = now
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	p, err := s.local.Progress(ctx, &registryv1.ProgressRequest{})
	switch {
	case err == nil && p.Reason == "":
		s.nodeDisk(p)
	case status.Code(err) == codes.Unimplemented && s.waited() > patience:
		s.stands(fmt.Sprintf("no block since %s, as this host sees it; the log of the node at %s "+
			"may say why", clockTime(s.at), s.node))
	case err == nil:
		s.nodeDisk(p)
		s.stands(p.Reason)
	}
}

// askDisk is how often a node whose chain goes on is asked how its disk does.
const askDisk = 10 * time.Second

// askNode asks the node how its disk does.
func (s *still) askNode(ctx context.Context) {
	now := s.clock.Lived()
	if s.disk != 0 && time.Duration(now-s.disk)*time.Millisecond < askDisk {
		return
	}
	s.disk = max(now, 1)
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	if p, err := s.local.Progress(ctx, &registryv1.ProgressRequest{}); err == nil {
		s.nodeDisk(p)
	}
}

// nodeDisk notes what a node says of its disk. It stays while the node is away, since it may be
// why.
func (s *still) nodeDisk(p *registryv1.ProgressResponse) {
	if was := s.board.Get().NodeDisk; p.Disk != "" && was == "" {
		s.log.Error("the node's disk is nearly full", "reason", p.Disk)
	} else if p.Disk == "" && was != "" {
		s.log.Info("the node's disk has room again")
	}
	s.board.Set(func(st *Status) { st.NodeDisk = p.Disk })
}

// stands says why there is no block. What helps stands behind the first semicolon: it
// is for whoever runs the node, and machines need not know it.
func (s *still) stands(reason string) {
	if why, _, _ := strings.Cut(reason, "; "); s.why != why {
		s.why = why
		s.log.Error("the chain stands still", "reason", reason)
		s.halt(why)
	}
	s.board.Set(func(st *Status) {
		st.Still, st.Doing, st.Reason, st.Until = reason, standing, reason, 0
	})
}

// What a host does that can do nothing.
const (
	standing       = "waiting: the chain stands still"
	waitingForNode = "waiting for the node"
)

// noAnswer says that the node cannot be asked where the chain stands: it does not answer, or says
// something else.
func (s *still) noAnswer(err error) {
	if client.Away(err) {
		s.log.Warn("the node does not answer; trying again", "err", err)
		s.nodeAway(err)
		return
	}
	s.log.Error("the node's answer is of no use; trying again", "err", err)
	s.board.Set(func(st *Status) {
		st.Reachable, st.Doing, st.Reason, st.Until = true, waitingForNode, err.Error(), 0
	})
}

// nodeAway says that the node does not answer, and tells machines after a while.
func (s *still) nodeAway(cause error) {
	text := status.Convert(cause).Message()
	if i := strings.LastIndex(text, `desc = "`); i >= 0 {
		text = strings.Trim(text[i+len(`desc = "`):], `"`)
	}
	since := clockTime(s.at)
	reason := fmt.Sprintf("the node at %s does not answer (%s), and there is no block since %s; "+
		"see whether it runs: assay node --home %s; if it ends, its last line says why",
		s.node, text, since, s.home)
	if full := s.full(); full != "" {
		reason = fmt.Sprintf("the node at %s does not answer (%s), and there is no block since "+
			"%s; %s", s.node, text, since, full)
	} else if last := s.board.Get().NodeDisk; last != "" {
		reason += "; when it answered last, " + last
	}
	s.board.Set(func(st *Status) {
		st.Reachable, st.Doing, st.Reason, st.Until, st.Still = false, waitingForNode,
			reason, 0, reason
	})
	if s.waited() > askStill {
		s.why = "no block since " + since + ": the host's node does not answer"
		s.halt(s.why)
	}
}

// nodeBack says that the node answers again, which is no block yet.
func (s *still) nodeBack() {
	s.log.Info("the node answers again")
	s.board.Set(func(st *Status) {
		if st.Doing == waitingForNode {
			st.Still, st.Reason = "", "the node answers again; its next block is waited for"
		}
	})
}

// clockTime is a time for people.
func clockTime(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
