// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// childEnv makes the test binary a machine of its own: address and home.
const childEnv = "ASSAY_POOL_CHILD"

func TestMain(m *testing.M) {
	if f := strings.Fields(os.Getenv(childEnv)); len(f) == 2 {
		os.Exit(machineAlone(f[0], f[1]))
	}
	os.Exit(m.Run())
}

var steps = []string{
	mpocv1.PathNonce, mpocv1.PathDevices, mpocv1.PathChallenge, mpocv1.PathCommits,
	mpocv1.PathProofs, mpocv1.PathReceipts,
}

// cut drops one request to a path, before the host has it or the answer after,
// and says so.
func cut(path string, after bool, cutted func()) func(http.Handler) http.Handler {
	var once atomic.Bool
	return func(honest http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || !once.CompareAndSwap(false, true) {
				honest.ServeHTTP(w, r)
				return
			}
			if after {
				honest.ServeHTTP(httptest.NewRecorder(), r)
			}
			cutted()
			panic(http.ErrAbortHandler)
		})
	}
}

// A machine that is killed at any step, with its request lost or the answer to
// it, goes on when it is started again: nothing fails, nothing is paid twice.
func TestMachineKilledAtEveryStep(t *testing.T) {
	for _, path := range steps {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s answered=%t", filepath.Base(path), after), func(t *testing.T) {
				dead := make(chan struct{})
				n := newNetwork(t, func(n *network) {
					n.bend = cut(path, after, func() { close(dead) })
				})
				home := t.TempDir()
				w := n.work(keyOf(2), home, nil)
				<-dead
				w.kill()
				lives(t, n, n.work(keyOf(2), home, nil))
			})
		}
	}
}

// lives waits for two accepted submissions and checks that nothing else was.
func lives(t *testing.T, n *network, w *machine) {
	t.Helper()
	n.events.wait(t, "two accepted", func() bool {
		return n.status().Accepted >= 2 && w.Snapshot().Accepted >= 1
	})
	w.kill()
	if s, m := n.status(), w.Snapshot(); s.Failed+s.Late+s.Rejected+s.Faulty != 0 ||
		m.Failed+m.Late+m.Dropped+m.Abstained != 0 {
		t.Errorf("host %+v, machine %+v", s, m)
	}
	if a := n.standing(keyOf(2)); a.Entries != n.status().Accepted || a.Strikes != 0 {
		t.Errorf("standing %+v of %d accepted", a, n.status().Accepted)
	}
}

// The same of the host, which the machine waits for.
// Holds spec M-20.
func TestHostKilledAtEveryStep(t *testing.T) {
	for _, path := range steps {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s answered=%t", filepath.Base(path), after), func(t *testing.T) {
				dead := make(chan struct{})
				n := newNetwork(t, func(n *network) {
					n.bend = cut(path, after, func() { close(dead) })
				})
				w := n.work(keyOf(2), t.TempDir(), nil)
				<-dead
				n.restart()
				lives(t, n, w)
			})
		}
	}
}

// counted is an engine that calls back before each of its calls.
type counted struct {
	work.Engine
	calls  atomic.Int64
	before func(call int64)
	// wrong tells which units come out wrong, at the first time of asking.
	wrong func(unit uint64) bool
}

func (c *counted) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed,
	shape matmul.Shape, units []uint64) error {
	if c.before != nil {
		c.before(c.calls.Add(1))
	}
	err := c.Engine.Matmul(ctx, dst, challenge, shape, units)
	for i, unit := range units {
		if c.wrong != nil && c.wrong(unit) {
			dst[i][0] ^= 1
		}
	}
	return err
}

// Killed while it computes, a machine goes on behind its last slice, also where
// the disk has half a slice more.
func TestMachineKilledComputing(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = 100 * time.Millisecond })
	home := t.TempDir()
	stuck := make(chan struct{})
	e := &counted{Engine: engine()}
	first, cancel := context.WithCancel(t.Context())
	defer cancel()
	e.before = func(call int64) {
		if call == 3 {
			close(stuck)
			<-first.Done()
		}
	}
	w := n.work(keyOf(2), home, func(c *workerpool.Config) { c.Engine = e; c.SelfAudit = 1 << 40 })
	<-stuck
	cancel()
	w.kill()
	loops := w.Snapshot().Loops // two were done before the third began
	f, err := os.OpenFile(filepath.Join(home, "mpoc", "units"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	// its sum is wrong
	if _, err := f.Write(append([]byte{1, 0, 0, 0, 9, 0, 0, 0}, make([]byte, 48)...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	w = n.work(keyOf(2), home, nil)
	n.events.wait(t, "an accepted one", func() bool { return w.Snapshot().Accepted >= 1 })
	w.kill()
	if r := receipts(t, home)[0]; loops == 0 || r.Commit.Loops < loops {
		t.Errorf("%d loops before, %d in all", loops, r.Commit.Loops)
	}
	if s := n.status(); s.Rejected+s.Faulty+s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// One that comes back too late drops its challenge and says why.
func TestExpiredIsDropped(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = time.Minute })
	home := t.TempDir()
	gate := new(workerpool.Gate)
	e := &counted{Engine: engine(), before: func(int64) { gate.Close("a Sprint", "12:00") }}
	w := n.work(keyOf(2), home, func(c *workerpool.Config) { c.Engine, c.Gate = e, gate })
	n.events.wait(t, "a challenge", func() bool { return w.Snapshot().State == "paused" })
	w.kill()
	n.clock.Pass(10 * time.Minute)
	w = n.work(keyOf(2), home, nil)
	n.events.wait(t, "it is dropped, and why", func() bool {
		s := w.Snapshot()
		return s.Dropped == 1 && strings.Contains(s.LastReason, "expired at ")
	})
}

// machineAlone is a machine in a process of its own.
func machineAlone(address, home string) int {
	m, err := workerpool.New(machineConfig(address, keyOf(2), home))
	if err == nil {
		err = m.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, "machine:", err)
	return 1
}

// The same with real processes and kill -9, at moments that have nothing to do
// with what the machine is at.
func TestMachineKilledByTheSystem(t *testing.T) {
	requests := make(chan struct{})
	n := newNetwork(t, func(n *network) {
		n.config.Duration = 40 * time.Millisecond
		n.bend = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case requests <- struct{}{}:
				default:
				}
				h.ServeHTTP(w, r)
			})
		}
	})
	home := t.TempDir()
	for kill := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", childEnv, n.address(), home))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 4 + 3*kill {
			select {
			case <-requests:
			case <-time.After(30 * time.Second):
				t.Error("the machine does nothing")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
	}
	lives(t, n, n.work(keyOf(2), home, nil))
}
