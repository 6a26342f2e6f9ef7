// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/internal/fulldisk"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/worker"
)

// working is a worker whose disk may be full from the beginning: one that ends says why, and is
// started again by work.
type working struct {
	t       *testing.T
	home    string
	h       *host
	key     ed25519.PublicKey
	ended   chan error
	stop    context.CancelFunc
	mu      sync.Mutex
	reasons []string // of its statuses
}

// work starts the worker, as a program does: with its key, which is made at the first time.
func (w *working) work() error {
	private, err := worker.Key(w.home)
	if err != nil {
		return err
	}
	w.key = private.Public().(ed25519.PublicKey)
	w.h.allow(w.key, "alpha")
	ctx, cancel := context.WithCancel(context.Background())
	w.ended, w.stop = make(chan error, 1), cancel
	go func() {
		w.ended <- worker.Run(ctx, worker.Config{URL: w.h.URL(), Home: w.home, Engine: quick,
			Threads: 1, Agent: "test", Status: func(s worker.Status) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.reasons = append(w.reasons, s.Reason+" "+s.Trouble+" "+s.Next)
				for _, d := range s.Devices {
					if d.Pool != nil {
						w.reasons = append(w.reasons, d.Pool.Reason+" "+d.Pool.Next)
					}
				}
			}})
	}()
	return nil
}

// says reports whether a status so far names the full disk, a path on it, and what helps.
func (w *working) says() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.reasons {
		if strings.Contains(r, "this machine's disk is full") && strings.Contains(r, w.home) &&
			strings.Contains(r, "free some space") {
			return true
		}
	}
	return false
}

// explains checks the error with which the program ends.
func (w *working) explains(err error) {
	w.t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), w.home) ||
		strings.Contains(err.Error(), ".unfinished-") {
		w.t.Errorf("the worker ends with %v", err)
	}
}

// receipt is the host's for a segment as it is on the worker's disk.
func (w *working) receipt(segment uint32) (r delivery.Receipt, found bool) {
	list, _ := filepath.Glob(filepath.Join(w.home, worker.ReceiptsName, "leaves-*.json"))
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err == nil {
			r, err = delivery.ParseReceipt(text)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Order.Segment == segment {
			return r, true
		}
	}
	return r, false
}

// A worker's disk is full from its k-th write on, its key the first: it ends with a reason, or
// lives, says so, and goes on by itself once there is space. Its key stays the same, and what it
// signed is what it computed.
func TestAWorkersDiskFillsAtEachWrite(t *testing.T) {
	run := func(t *testing.T, k int) int {
		h := newHost(t, t.TempDir(), "127.0.0.1:0")
		w := &working{t: t, home: filepath.Join(t.TempDir(), "worker"), h: h, stop: func() {}}
		disk := fulldisk.Below(t, w.home)
		if k > 0 {
			disk.Fill(k)
		}
		h.aim(goal(1))
		err := w.work()
		if err == nil {
			until(t, "it ends, says why it does not work, or works", func() bool {
				select {
				case err = <-w.ended:
					return true
				default:
				}
				_, kept := w.receipt(1)
				return k > 0 && w.says() || kept && h.log("alpha", 1).Size() > 1000 ||
					disk.First() != "" && h.log("alpha", 1).Size() > 20_000
			})
		}
		writes, key := disk.Writes(), w.key
		disk.Free()
		if err != nil {
			w.explains(err)
			if list, _ := filepath.Glob(filepath.Join(w.home, "*.key")); key != nil &&
				len(list) != 1 {
				t.Errorf("keys: %v", list)
			}
			if err := w.work(); err != nil {
				t.Fatalf("with space again, after %s: %v", disk.First(), err)
			}
		}
		if key != nil && !key.Equal(w.key) {
			t.Error("it has another key")
		}
		until(t, "it goes on in the same segment, after "+disk.First(),
			func() bool { return h.log("alpha", 1).Size() > 0 })
		h.aim(goal(2))
		until(t, "it goes on in the next segment, after "+disk.First(), func() bool {
			_, kept := w.receipt(2)
			return kept && h.log("alpha", 2).Size() > 1000
		})
		h.aim(fleet.Goal{Kind: fleet.Idle, Reason: "the window is over"})
		for segment := uint32(1); segment <= 2; segment++ {
			checkLog(t, h.log("alpha", segment), quick)
			if r, kept := w.receipt(segment); kept &&
				r.Batch.End() > h.log("alpha", segment).Size() {
				t.Errorf("segment %d: a receipt for leaf %d, and the host has %d", segment,
					r.Batch.End(), h.log("alpha", segment).Size())
			}
		}
		w.stop()
		if err := <-w.ended; err != nil {
			t.Errorf("the worker: %v", err)
		}
		if private, err := worker.Key(w.home); err != nil ||
			!private.Public().(ed25519.PublicKey).Equal(w.key) {
			t.Errorf("its key: %v", err)
		}
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = run(t, 0) })
	if n < 50 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 3, func(t *testing.T, k int) { run(t, k) })
}
