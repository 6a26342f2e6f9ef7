// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// forger is an engine that makes everything up, the same each time.
type forger struct{ work.Engine }

func (forger) Tiles(_ context.Context, dst [][32]byte, challenge seed.Seed, _ matmul.Shape,
	unit uint64) error {
	for i := range dst {
		dst[i] = challenge
		dst[i][0], dst[i][1] = byte(unit), byte(i)
	}
	return nil
}

func (f forger) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	units []uint64) error {
	tiles := make([][32]byte, shape.Tiles())
	for i, unit := range units {
		_ = f.Tiles(ctx, tiles, challenge, shape, unit) // never fails
		dst[i] = matmul.Root(tiles)
	}
	return nil
}

// A machine that forges is rejected with evidence that it verifies itself, is
// struck, and rests: its owner has a device that computes wrongly.
func TestForgingEngine(t *testing.T) {
	n := newNetwork(t, nil)
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) {
		c.Engine = forger{engine()}
		c.Device.RateOps = 400_000_000_000 // MaxLoops bounds what it makes up
	})
	n.events.wait(t, "the machine rests", func() bool { return w.Snapshot().State == "unstable" })
	w.kill()
	list := receipts(t, w.home)
	if len(list) != 1 || list[0].Outcome.Status != mpoc.Rejected || list[0].Outcome.Pay != "0" {
		t.Fatalf("%d receipts: %+v", len(list), list)
	}
	if err := list[0].Verify(t.Context(), mpoc.Reference()); err != nil {
		t.Errorf("the evidence does not hold: %v", err)
	}
	if a := n.standing(keyOf(2)); a.Strikes != 1 || a.Banned {
		t.Errorf("standing %+v", a)
	}
	if s := w.Snapshot(); s.Rejected != 1 || s.LastReason == "" {
		t.Errorf("%+v", s)
	}
}

// A device that is wrong in one loop of 200, and right when asked again, is
// found by the machine itself before it commits: it abstains and names the device.
func TestSelfAudit(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = 5 * time.Second })
	var done atomic.Uint64
	var gone atomic.Bool
	e := &counted{Engine: engine(), wrong: func(uint64) bool {
		return done.Add(1)%200 == 0 && gone.CompareAndSwap(false, true)
	}}
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) { c.Engine, c.SelfAudit = e, 1 })
	n.events.wait(t, "it is found", func() bool { return w.Snapshot().State == "unstable" })
	w.kill()
	s := w.Snapshot()
	if s.FailedSelfChecks != 1 || s.Abstained != 1 ||
		!strings.Contains(s.LastReason, "cpu-0 (a processor) gave two results for loop") {
		t.Errorf("%+v", s)
	}
	if h := n.status(); h.Accepted+h.Faulty+h.Rejected != 0 {
		t.Errorf("something was sent: %+v", h)
	}
}

// What the audit does not meet is met where a loop is opened: then, too, nothing
// forged is sent.
func TestSelfCheckBeforeOpening(t *testing.T) {
	n := newNetwork(t, nil)
	e := &counted{Engine: engine(), wrong: func(unit uint64) bool { return unit < 32 }}
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) {
		c.Engine, c.SelfAudit = e, 1<<40
	})
	n.events.wait(t, "it is found", func() bool { return w.Snapshot().State == "unstable" })
	w.kill()
	if s, h := w.Snapshot(), n.status(); s.Abstained != 1 || s.FailedSelfChecks != 3 ||
		h.Rejected+h.Faulty+h.Accepted != 0 {
		t.Errorf("machine %+v, host %+v", s, h)
	}
}

// The gate takes the device away in the middle of a slice, and what was computed
// until then is submitted.
func TestGateClosesInTheMiddle(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = 300 * time.Millisecond })
	gate := new(workerpool.Gate)
	var calls atomic.Int64
	e := &counted{Engine: engine(), before: func(call int64) {
		calls.Store(call)
		if call == 3 {
			gate.Close("a Sprint", "12:00")
		}
	}}
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) {
		c.Engine, c.Gate, c.SelfAudit = e, gate, 1<<40
	})
	n.events.wait(t, "an accepted one", func() bool {
		return w.Snapshot().Accepted == 1 && w.Snapshot().State == "paused"
	})
	if s := w.Snapshot(); s.Reason != "a Sprint" || s.Until != "12:00" ||
		calls.Load() != 3 || s.Loops == 0 {
		t.Errorf("%d calls, %+v", calls.Load(), s)
	}
	gate.Open()
	n.events.wait(t, "another one", func() bool { return w.Snapshot().Accepted >= 2 })
}

// weak is an engine with one wrong tile in every loop, the same each time.
type weak struct{ work.Engine }

func (w weak) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	err := w.Engine.Tiles(ctx, dst, challenge, shape, unit)
	dst[unit%uint64(len(dst))][0] ^= 1
	return err
}

func (w weak) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	units []uint64) error {
	tiles := make([][32]byte, shape.Tiles())
	for i, unit := range units {
		if err := w.Tiles(ctx, tiles, challenge, shape, unit); err != nil {
			return err
		}
		dst[i] = matmul.Root(tiles)
	}
	return nil
}

// A few wrong tiles are met with more questions, which the machine answers until
// it is clear what they are; the receipt, whichever it is, holds.
func TestMoreRounds(t *testing.T) {
	n := newNetwork(t, nil)
	for i := range byte(10) { // one in six is judged in the first round
		w := n.work(keyOf(20+i), t.TempDir(),
			func(c *workerpool.Config) { c.Engine = weak{engine()} })
		n.events.wait(t, "the machine rests",
			func() bool { return w.Snapshot().State == "unstable" })
		w.kill()
		r := receipts(t, w.home)[0]
		if err := r.Verify(t.Context(), mpoc.Reference()); err != nil ||
			r.Outcome.Status == mpoc.Accepted {
			t.Fatalf("%s: %v", r.Outcome.Status, err)
		}
		if r.Outcome.Rounds > 1 {
			return
		}
	}
	t.Error("nobody was asked twice")
}
