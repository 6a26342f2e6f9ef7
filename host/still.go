// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
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
}

func newStill(c *clock.Clock) *still {
	return &still{clock: c, moved: c.Lived(), at: c.Wall()}
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
func (h *Host) goesOn(height int64) {
	s := h.still
	if s.why != "" {
		h.log.Info("the chain goes on", "height", height)
	}
	s.moved, s.at, s.asked, s.why = s.clock.Lived(), s.clock.Wall(), 0, ""
	h.halt("")
	h.board.Set(func(st *Status) { st.Still = "" })
}

// standsStill is called when there is no new block.
func (h *Host) standsStill(ctx context.Context) {
	s, now := h.still, h.still.clock.Lived()
	if s.waited() < askStill || time.Duration(now-s.asked)*time.Millisecond < askAgain {
		return
	}
	s.asked = now
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	p, err := h.local.Progress(ctx, &registryv1.ProgressRequest{})
	switch {
	case err == nil && p.Reason == "":
		h.nodeDisk(p)
	case status.Code(err) == codes.Unimplemented && s.waited() > patience:
		h.stands(fmt.Sprintf("no block since %s, as this host sees it; the log of the node at %s may say why", clockTime(s.at), h.config.GRPC))
	case err == nil:
		h.nodeDisk(p)
		h.stands(p.Reason)
	}
}

// askDisk is how often a node whose chain goes on is asked how its disk does.
const askDisk = 10 * time.Second

// lookAtNode asks the node how its disk does.
func (h *Host) lookAtNode(ctx context.Context) {
	s, now := h.still, h.still.clock.Lived()
	if s.disk != 0 && time.Duration(now-s.disk)*time.Millisecond < askDisk {
		return
	}
	s.disk = max(now, 1)
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	if p, err := h.local.Progress(ctx, &registryv1.ProgressRequest{}); err == nil {
		h.nodeDisk(p)
	}
}

// nodeDisk notes what a node says of its disk. It stays while the node is away, since it may be why.
func (h *Host) nodeDisk(p *registryv1.ProgressResponse) {
	if was := h.board.Get().NodeDisk; p.Disk != "" && was == "" {
		h.log.Error("the node's disk is nearly full", "reason", p.Disk)
	} else if p.Disk == "" && was != "" {
		h.log.Info("the node's disk has room again")
	}
	h.board.Set(func(s *Status) { s.NodeDisk = p.Disk })
}

// stands says why there is no block. What helps stands behind the first semicolon: it
// is for whoever runs the node, and machines need not know it.
func (h *Host) stands(reason string) {
	if why, _, _ := strings.Cut(reason, "; "); h.still.why != why {
		h.still.why = why
		h.log.Error("the chain stands still", "reason", reason)
		h.halt(why)
	}
	h.board.Set(func(s *Status) { s.Still, s.Doing, s.Reason, s.Until = reason, standing, reason, 0 })
}

// What a host does that can do nothing.
const (
	standing       = "waiting: the chain stands still"
	waitingForNode = "waiting for the node"
)

// halt tells machines why there is no block: those of the Sprint and those of the pool, in the same words.
func (h *Host) halt(why string) {
	h.fleet.Halt(why)
	if h.pool != nil {
		h.pool.Halt(why)
	}
}

// nodeAway says that the node does not answer, and tells machines after a while.
func (h *Host) nodeAway(cause error) {
	text := status.Convert(cause).Message()
	if i := strings.LastIndex(text, `desc = "`); i >= 0 {
		text = strings.Trim(text[i+len(`desc = "`):], `"`)
	}
	since := clockTime(h.still.at)
	reason := fmt.Sprintf("the node at %s does not answer (%s), and there is no block since %s; see whether it runs: assay node --home %s; if it ends, its last line says why", h.config.GRPC, text, since, h.o.Home)
	if full := h.full(); full != "" {
		reason = fmt.Sprintf("the node at %s does not answer (%s), and there is no block since %s; %s", h.config.GRPC, text, since, full)
	} else if last := h.board.Get().NodeDisk; last != "" {
		reason += "; when it answered last, " + last
	}
	h.board.Set(func(s *Status) {
		s.Reachable, s.Doing, s.Reason, s.Until, s.Still = false, waitingForNode, reason, 0, reason
	})
	if h.still.waited() > askStill {
		h.still.why = "no block since " + since + ": the host's node does not answer"
		h.halt(h.still.why)
	}
}

// nodeBack says that the node answers again, which is no block yet.
func (h *Host) nodeBack() {
	h.log.Info("the node answers again")
	h.board.Set(func(s *Status) {
		if s.Doing == waitingForNode {
			s.Still, s.Reason = "", "the node answers again; its next block is waited for"
		}
	})
}

// clockTime is a time for people.
func clockTime(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
