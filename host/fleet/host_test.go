// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"path/filepath"
	"sync"
	"testing"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/enginetest"
)

const (
	chain       = "assay-test-1"
	participant = "cpc1test"
)

var epochSeed = seedOf(77)

// quick stands for the arithmetic; units take long enough for tests to see a
// segment begin and end.
var quick work.Engine = &enginetest.Engine{Rounds: 500}

func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func seedOf(b byte) (s seed.Seed) {
	for i := range s {
		s[i] = b
	}
	return s
}

func goal(segment uint32) fleet.Goal {
	return fleet.Goal{
		Kind: fleet.Compute, Epoch: 3, Class: transformer.Nano, Seed1: epochSeed,
		Segment: segment, SegmentSeed: seedOf(10 + byte(segment)), Until: "height 120",
		Most: workerv1.MaxCount - 1,
	}
}

// host is a fleet that runs until the test, or stop, ends it.
type host struct {
	*fleet.Fleet
	t    testing.TB
	logs *leaflog.Store
	stop func()

	mu    sync.Mutex
	nodes map[string]string // by key
}

func newHost(t testing.TB, dir, listen string) *host {
	t.Helper()
	return newHostWith(t, dir, listen, func(*fleet.Config) {})
}

// newHostWith is newHost with a configuration of the test's own.
func newHostWith(t testing.TB, dir, listen string, change func(*fleet.Config)) *host {
	t.Helper()
	h := &host{t: t, nodes: map[string]string{}}
	var err error
	if h.logs, err = leaflog.Open(dir); err != nil {
		t.Fatal(err)
	}
	c := fleet.Config{
		HostKey: hostKey, Listen: listen, Chain: chain, Participant: participant, Logs: h.logs,
		Allow: func(key ed25519.PublicKey) (string, bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			node, ok := h.nodes[string(key)]
			return node, ok
		},
	}
	change(&c)
	if h.Fleet, err = fleet.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("host: %v", err)
		}
		if err := h.logs.Close(); err != nil {
			t.Errorf("logs: %v", err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

func (h *host) allow(key ed25519.PublicKey, node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes[string(key)] = node
}

func (h *host) aim(g fleet.Goal) {
	h.t.Helper()
	if err := h.SetGoal(g); err != nil {
		h.t.Fatal(err)
	}
}

// log is a node's log of a segment of epoch 3.
func (h *host) log(node string, segment uint32) *leaflog.Log {
	h.t.Helper()
	l, err := h.logs.Log(leaflog.Key{Epoch: 3, Node: node, Segment: segment}, transformer.Nano.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// until waits for a condition that other goroutines bring about.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !met() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// machine is a running worker.
type machine struct {
	stop func()
	end  chan error // what Run returned

	mu   sync.Mutex
	seen []worker.Status
}

// newKey makes a worker's home and returns it with its key.
func newKey(t testing.TB) (home string, key ed25519.PublicKey) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "worker")
	private, err := worker.Key(home)
	if err != nil {
		t.Fatal(err)
	}
	return home, private.Public().(ed25519.PublicKey)
}

func startWorker(t testing.TB, url, home string, engine work.Engine) *machine {
	t.Helper()
	m := &machine{end: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		m.end <- worker.Run(ctx, worker.Config{URL: url, Home: home, Engine: engine, Threads: 2,
			Agent: "test", Status: func(s worker.Status) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.seen = append(m.seen, s)
			}})
	}()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-m.end; err != nil {
			t.Errorf("worker: %v", err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

// saw reports whether some status so far satisfies is.
func (m *machine) saw(is func(worker.Status) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.seen {
		if is(s) {
			return true
		}
	}
	return false
}

// checkLog compares a log with what an engine gives.
func checkLog(t *testing.T, l *leaflog.Log, engine work.Engine) {
	t.Helper()
	size := l.Size()
	if size == 0 {
		t.Fatal("the log is empty")
	}
	model, err := engine.Transformer(context.Background(), transformer.Nano, epochSeed, nil)
	if err != nil {
		t.Fatal(err)
	}
	nonces := make([]uint64, size)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	out := make([]transformer.Output, size)
	node := seed.Node(chain, participant, l.Key().Node, "nano")
	if err := model.Run(out, node, seedOf(10+byte(l.Key().Segment)), nonces); err != nil {
		t.Fatal(err)
	}
	var f commit.Frontier
	for i, o := range out {
		f.Append(record.Leaf{Class: transformer.Nano.ID, Node: l.Key().Node, Index: uint64(i),
			Record: o.Record}.Hash())
	}
	root, err := l.Root(size)
	if err != nil || root != f.Root() {
		t.Fatalf("root of %d leaves is %x, want %x, %v", size, root, f.Root(), err)
	}
}
