// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
)

// disk fails, or hangs, for the files whose path has a text in it.
type disk struct {
	mu   sync.Mutex
	text string
	fail error
	hang chan struct{}
	hung bool
}

func (d *disk) set(text string, fail error, hang chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text, d.fail, d.hang = text, fail, hang
}

func (d *disk) hangs() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hung
}

func (d *disk) through(path string, f leaflog.File) leaflog.File { return diskFile{f, path, d} }

type diskFile struct {
	leaflog.File
	path string
	disk *disk
}

func (f diskFile) Sync() error {
	f.disk.mu.Lock()
	fail, hang := f.disk.fail, f.disk.hang
	concerned := f.disk.text != "" && strings.Contains(f.path, f.disk.text)
	f.disk.hung = f.disk.hung || concerned && hang != nil
	f.disk.mu.Unlock()
	if !concerned {
		return f.File.Sync()
	}
	if hang != nil {
		<-hang
	}
	if fail != nil {
		return fail
	}
	return f.File.Sync()
}

// of is the status of a node.
func (h *host) of(node string) fleet.WorkerStatus {
	for _, w := range h.Status() {
		if w.Node == node {
			return w
		}
	}
	return fleet.WorkerStatus{}
}

var nodes = []string{"alpha", "beta", "gamma"}

// One node's log that cannot be created, is damaged, of another format or on a disk
// that fails stops no other node and ends no connection. It is named, and where the
// cause can go away the node goes on by itself when it has.
func TestALogThatFailsStopsNoOtherNode(t *testing.T) {
	write := func(text string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		sick   string
		spoil  func(t *testing.T, path string)
		fail   error
		mended func(t *testing.T, path string) // nil: not within the segment
		says   string
	}{
		"cannot be created": {
			sick: "alpha",
			spoil: func(t *testing.T, path string) {
				if err := os.Mkdir(path, 0o700); err != nil {
					t.Fatal(err)
				}
			},
			mended: func(t *testing.T, path string) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}},
		"is damaged": {sick: "beta", spoil: write(strings.Repeat("\xff", 200)), says: "damaged"},
		"is of another format": {sick: "gamma",
			spoil: write("ASAYLVS9" + strings.Repeat("\x00", 100)), says: "not a leaf log"},
		"is on a full disk": {sick: "beta", fail: syscall.ENOSPC,
			mended: func(*testing.T, string) {}, says: "no space left"},
		"is on a broken disk": {sick: "gamma", fail: syscall.EIO,
			mended: func(*testing.T, string) {}, says: "input/output error"},
	} {
		sick := c.sick
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := new(disk)
			h := newHostWith(t, dir, "127.0.0.1:0", func(*fleet.Config) {})
			h.logs.Through(d.through)
			path := filepath.Join(dir, "3", sick+".1.leaves")
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				c.spoil(t, path)
			}
			d.set(sick+".1.leaves", c.fail, nil)
			h.aim(goal(1))
			for _, node := range nodes {
				home, key := newKey(t)
				h.allow(key, node)
				startWorker(t, h.URL(), home, quick)
			}
			until(t, "the fault is named", func() bool {
				s := h.of(sick)
				return s.Connected && strings.Contains(s.Fault, path) &&
					strings.Contains(s.Fault, c.says)
			})
			for _, node := range nodes {
				if node != sick {
					until(t, "leaves of "+node,
						func() bool { return h.of(node).Size > 0 && h.of(node).Fault == "" })
				}
			}
			if c.mended == nil {
				h.aim(goal(2))
			} else {
				d.set("", nil, nil)
				c.mended(t, path)
			}
			until(t, "the node goes on", func() bool {
				return h.of(sick).Size > 0 && h.of(sick).Fault == ""
			})
		})
	}
}

// A disk that hangs under one node's log holds up neither a new goal nor the status,
// and the other nodes go on.
func TestADiskThatHangsHoldsUpOneNode(t *testing.T) {
	d, hang := new(disk), make(chan struct{})
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	t.Cleanup(func() { close(hang) }) // before the host stops
	h.logs.Through(d.through)
	h.aim(goal(1))
	for _, node := range nodes {
		home, key := newKey(t)
		h.allow(key, node)
		startWorker(t, h.URL(), home, quick)
	}
	for _, node := range nodes {
		until(t, "leaves of "+node, func() bool { return h.of(node).Size > 0 })
	}
	d.set("beta.", nil, hang)
	stuck := h.log("beta", 1)
	until(t, "the disk hangs", d.hangs)
	at := map[string]uint64{}
	for _, node := range nodes {
		at[node] = h.of(node).Size
	}
	for _, node := range []string{"alpha", "gamma"} {
		until(t, node+" goes on", func() bool { return h.of(node).Size > at[node] })
	}
	done := make(chan error, 1)
	go func() { done <- h.SetGoal(goal(2)) }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(25 * time.Second):
		t.Fatal("a new goal waits for a disk that hangs")
	}
	for _, node := range []string{"alpha", "gamma"} {
		until(t, node+" begins the next segment",
			func() bool { return h.of(node).Segment == 2 && h.of(node).Size > 0 })
	}
	if got := stuck.Size(); got != at["beta"] {
		t.Errorf("beta has %d leaves of segment 1, and had %d", got, at["beta"])
	}
}
