// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
)

// watching is a node's Local service that says of its chain what a test has it say.
type watching struct {
	registryv1.UnimplementedLocalServer
	says atomic.Pointer[registryv1.ProgressResponse]
}

func (w *watching) Progress(context.Context,
	*registryv1.ProgressRequest) (*registryv1.ProgressResponse, error) {
	if p := w.says.Load(); p != nil {
		return p, nil
	}
	return nil, status.Error(codes.Unimplemented, "not known")
}

// watched is a host whose node is that service.
func watched(t *testing.T) (h *Host, node *watching, stop func()) {
	t.Helper()
	h, _ = poolHost(t, t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	node = &watching{}
	server := grpc.NewServer()
	registryv1.RegisterLocalServer(server, node)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := client.DialNode(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	h.local = registryv1.NewLocalClient(conn)
	h.still.local = h.local
	h.board.Say(sprintv1.QueryCurrentResponse{Height: 45, Until: 60,
		Epoch: sprintv1.Epoch{Number: 1}}, "computing", "segment 1 of 3")
	return h, node, server.Stop
}

// pass lets the host work for a while without a block.
func (h *Host) pass(ctx context.Context, d time.Duration) {
	for range d / time.Second {
		h.still.clock.Pass(time.Second)
		h.still.tick()
		h.still.standsStill(ctx)
	}
}

// A chain whose height does not change is not computed for until some block: the status has the
// node's reason.
func TestAChainThatStandsStillIsNotComputing(t *testing.T) {
	h, node, _ := watched(t)
	node.says.Store(&registryv1.ProgressResponse{Height: 45})
	h.pass(t.Context(), 8*time.Second)
	if s := h.board.Get(); s.Doing != "computing" || s.Still != "" || s.Until != 60 {
		t.Errorf("while the node sees nothing wrong: %q, %q, until %d", s.Doing, s.Still, s.Until)
	}
	const why = "no block since 14:41:55 UTC, a third of the power or more is away: 2 of 4 " +
		"validators are seen"
	node.says.Store(&registryv1.ProgressResponse{Height: 45, Cause: "power",
		Reason: why + "; the chain goes on by itself"})
	h.pass(t.Context(), 3*time.Second)
	if s := h.board.Get(); s.Doing != standing || s.Until != 0 ||
		s.Reason != why+"; the chain goes on by itself" || s.Still != s.Reason {
		t.Errorf("%q, %q, until %d", s.Doing, s.Reason, s.Until)
	}
	// told is what a machine of the pool reads in any answer.
	told := func() string {
		w := httptest.NewRecorder()
		h.pay.pool.Handler().ServeHTTP(w,
			httptest.NewRequest(http.MethodGet, mpocv1.PathStatus, nil))
		return w.Header().Get(mpocv1.HeaderStill)
	}
	if h.still.why != why || told() != why {
		t.Errorf("machines are told %q, those of the pool %q", h.still.why, told())
	}
	h.still.goesOn(46)
	if s := h.board.Get(); s.Still != "" || h.still.why != "" || told() != "" {
		t.Errorf("with a block: %q, machines %q", s.Still, h.still.why)
	}
}

// What a node says of its disk is in the status while it lasts, and stays when the node goes away:
// it may be why.
func TestTheNodesFullDiskIsNamed(t *testing.T) {
	h, node, stop := watched(t)
	const why = "the disk of /data is nearly full: 1.0 MiB of 24.0 MiB are free; free 0.5 MiB: a " +
		"node whose disk is full ends"
	h.still.askNode(t.Context())
	node.says.Store(&registryv1.ProgressResponse{Height: 45, Disk: why})
	h.still.askNode(t.Context())
	if s := h.board.Get(); s.NodeDisk != "" {
		t.Errorf("asked too often: %q", s.NodeDisk)
	}
	h.still.clock.Pass(askDisk)
	h.still.askNode(t.Context())
	if s := h.board.Get(); s.NodeDisk != why {
		t.Errorf("%q", s.NodeDisk)
	}
	node.says.Store(&registryv1.ProgressResponse{Height: 45})
	h.pass(t.Context(), 8*time.Second)
	if s := h.board.Get(); s.NodeDisk != "" {
		t.Errorf("with room, while no block comes: %q", s.NodeDisk)
	}
	node.says.Store(&registryv1.ProgressResponse{Height: 45, Disk: why})
	h.still.clock.Pass(askDisk)
	h.still.askNode(t.Context())
	stop()
	_, err := h.local.Progress(t.Context(), &registryv1.ProgressRequest{})
	h.still.noAnswer(err)
	if s := h.board.Get(); !strings.Contains(s.Reason, "does not answer") ||
		!strings.Contains(s.Reason, why) {
		t.Errorf("the node is gone: %q", s.Reason)
	}
}

// A node that cannot say why there is no block is one more reason to say so, after longer.
func TestAnOlderNodeDoesNotHideThatTheChainStandsStill(t *testing.T) {
	h, _, _ := watched(t)
	h.pass(t.Context(), patience-time.Second)
	if s := h.board.Get(); s.Still != "" {
		t.Errorf("before its time: %q", s.Still)
	}
	h.pass(t.Context(), 4*time.Second)
	if s := h.board.Get(); !strings.Contains(s.Still, "no block since") || s.Doing != standing {
		t.Errorf("%q, %q", s.Doing, s.Still)
	}
}

// A node that is away is named with the cause, the next step and, where the disk may be why, the
// disk; machines learn it.
func TestMachinesLearnThatTheNodeIsAway(t *testing.T) {
	h, _, stop := watched(t)
	stop()
	_, err := h.local.Progress(t.Context(), &registryv1.ProgressRequest{})
	h.still.noAnswer(err)
	s := h.board.Get()
	for _, part := range []string{"does not answer", "connection refused", "no block since",
		"assay node --home"} {
		if !strings.Contains(s.Reason, part) {
			t.Errorf("%q does not say %q", s.Reason, part)
		}
	}
	if s.Reachable || s.Until != 0 || h.still.why != "" {
		t.Errorf("reachable %t, until %d, machines %q", s.Reachable, s.Until, h.still.why)
	}
	h.pass(t.Context(), 5*time.Second)
	h.still.noAnswer(err)
	if !strings.Contains(h.still.why, "the host's node does not answer") {
		t.Errorf("machines are told %q", h.still.why)
	}
	h.still.nodeBack()
	if s := h.board.Get(); s.Still != "" || strings.Contains(s.Reason, "does not answer") {
		t.Errorf("the node is back: %q", s.Reason)
	}
}
