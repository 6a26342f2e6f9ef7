// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/fulldisk"
	"github.com/assaynet/assay/localnet"
)

// status waits until a member's host says something.
func (n *net) status(i int, what string, is func(host.Status) bool) {
	n.t.Helper()
	err := localnet.Until(n.ctx, what, func() (bool, error) {
		s, err := n.Members[i].Status(n.ctx)
		return err == nil && is(s), nil
	})
	if err != nil {
		s, _ := n.Members[i].Status(context.Background())
		n.t.Fatalf("%v; it says %s: %s; disk %+v; node's disk %s", err, s.Doing,
			s.Reason, s.Disk, s.NodeDisk)
	}
}

// logged waits until the log of a process says something.
func (n *net) logged(i int, role localnet.Role, parts ...string) {
	n.t.Helper()
	path := filepath.Join(n.Members[i].Home, string(role)+".log")
	err := localnet.Until(n.ctx, path+" says "+strings.Join(parts, ", "), func() (bool, error) {
		text, err := os.ReadFile(path)
		for _, part := range parts {
			if !strings.Contains(string(text), part) {
				return false, err
			}
		}
		return true, err
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// next waits for a later epoch's first segment, and returns its number.
func (n *net) next() uint64 {
	n.t.Helper()
	first := uint64(0)
	return n.until(0, "the next epoch", func(now *sprintv1.QueryCurrentResponse) bool {
		if first == 0 {
			first = now.Epoch.Number
		}
		return now.Epoch.Number > first && len(now.Epoch.Segments) > 0
	}).Epoch.Number
}

// In a network whose second node, third host and fourth worker have disks of a few megabytes each
// of these is full for a while. Host and worker live, say so and go on when there is space; the
// node says it before, ends with the folder's name, and goes on when it is started.
func TestFullDisksOfANodeAHostAndAWorker(t *testing.T) {
	if os.Getenv("ASSAY_LONG") == "" {
		t.Skip("ASSAY_LONG=1 runs a local network for some epochs (two minutes): make full-disk")
	}
	if !fulldisk.Alone(t) {
		return
	}
	var data, leaves, worker string
	n := launch(t, localnet.Options{Cheat: adversary.None}, 8*time.Minute,
		func(n *localnet.Network, ctx context.Context) error {
			data, leaves, worker = filepath.Join(n.Members[1].Home, "data"),
				filepath.Join(n.Members[2].Home, "data", "leaves"),
				filepath.Join(n.Members[3].Home, "worker")
			fulldisk.Mount(t, data, "96m")
			fulldisk.Mount(t, leaves, "16m")
			fulldisk.Mount(t, worker, "4m")
			return n.Start(ctx)
		})
	for i := range 4 {
		n.credited(1, i)
	}

	// The host's: its leaves are not taken, what it has is committed and opened.
	n.next()
	free := fulldisk.Stuff(t, leaves, 0)
	n.status(2, "the host to say that its disk is full", func(s host.Status) bool {
		return s.Disk != nil && s.Disk.Full &&
			strings.Contains(s.Disk.Reason, "the disk of "+leaves+" is nearly full")
	})
	n.status(2, "the host to take part all the same",
		func(s host.Status) bool { return s.Reachable && s.Phase == "validate" })
	free()
	n.status(2, "the host to have room", func(s host.Status) bool {
		return s.Disk != nil && !s.Disk.Full
	})
	n.credited(n.next(), 2)

	// The worker's: it signs nothing that it could forget.
	free = fulldisk.Stuff(t, worker, 0)
	n.logged(3, localnet.Worker, "this machine's disk is full", worker)
	free()
	n.next()
	n.credited(n.next(), 3)
	if err := n.Check(); err != nil {
		t.Errorf("host and worker live: %v", err)
	}

	// The node's: it warns, ends, and names the folder; its host lives and says why.
	pages := 3 << 20 / os.Getpagesize() // below the mark, and some blocks
	free = fulldisk.Stuff(t, data, pages)
	n.status(1, "the host to pass on what its node says", func(s host.Status) bool {
		return strings.Contains(s.NodeDisk, "the disk of "+data+" is nearly full")
	})
	n.logged(1, localnet.Node, "the disk is nearly full", data)
	free()
	free = fulldisk.Stuff(t, data, 0)
	n.logged(1, localnet.Node, data+" cannot be written", "Free some space")
	err := localnet.Until(n.ctx, "the node to end", func() (bool,
		error) {
		return n.Check() != nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Check(); !strings.Contains(err.Error(), "p2 node") ||
		!strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("%v", err)
	}
	n.status(1, "the host to say that its node is away, and why", func(s host.Status) bool {
		return !s.Reachable && strings.Contains(s.Reason, "does not answer") &&
			strings.Contains(s.Reason, "is nearly full")
	})
	free()
	n.restart(1, localnet.Node)
	n.until(1, "the node to go on", heightPassed(n, 5))
	n.status(1, "the host to see that", func(s host.Status) bool {
		return s.Reachable && s.NodeDisk == ""
	})
	n.next()
	n.credited(n.next(), 1)
}
