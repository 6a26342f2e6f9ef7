// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// dead is a host's engine that fails at everything.
type dead struct{}

var errDead = errors.New("the device is gone")

func (dead) Tile(context.Context, seed.Seed, matmul.Shape, uint64, uint32) ([32]byte, error) {
	return [32]byte{}, errDead
}

func (dead) Unit(context.Context, seed.Seed, matmul.Shape, uint64) ([32]byte, error) {
	return [32]byte{}, errDead
}

// A host whose engine broke pays all the same, and convicts all the same.
// Holds spec H-14.
func TestHostWithoutEngine(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Engine = dead{} })
	h := n.hand(keyOf(2)).register()
	if r := h.judged(h.compute(12, nil)); r.Outcome.Status != mpoc.Accepted ||
		r.Outcome.Pay != r.Terms.Pay(r.Outcome.Ops) {
		t.Errorf("honest: %+v", r.Outcome)
	}
	if r := h.judged(h.compute(12, spoil)); r.Outcome.Status != mpoc.Rejected {
		t.Errorf("forged: %+v", r.Outcome)
	}
}

// stuck is an engine that waits for a word before it begins.
type stuck struct {
	looker
	began, free chan struct{} // began has a word for each tile that waited
	calls       atomic.Int64
}

func newStuck() *stuck {
	return &stuck{began: make(chan struct{}, 1024), free: make(chan struct{})}
}

func (s *stuck) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	s.calls.Add(1)
	select {
	case s.began <- struct{}{}:
	default: // it waits no more
	}
	select {
	case <-s.free:
	case <-ctx.Done():
		return [32]byte{}, ctx.Err()
	}
	return s.looker.Tile(ctx, challenge, shape, unit, tile)
}

// hangUp commits, sends a proof, and goes when its audit is under way.
func (h *hand) hangUp(s *submission, under <-chan struct{}) {
	h.t.Helper()
	if err := h.commit(s); err != nil {
		h.t.Fatal(err)
	}
	text, err := json.Marshal(h.proving(s, h.opened(s, 0)))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+h.n.at+mpocv1.PathProofs,
		bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if a, err := h.http.Do(r); err == nil {
			a.Body.Close()
			h.t.Error("the host answered")
		}
	}()
	<-under
	cancel()
	<-gone
}

// Who hangs up in the middle of the audit gets the verdict, and does not make the
// host look again: there is nothing to be gained by provoking one that is open.
func TestHangingUpDecidesNothing(t *testing.T) {
	e := newStuck()
	n := newNetwork(t, func(n *network) { n.config.Engine = e })
	h := n.hand(keyOf(2)).register()
	s := h.compute(12, spoil)
	h.hangUp(s, e.began)
	close(e.free)
	n.events.wait(t, "the verdict", func() bool { return n.status().Rejected == 1 })
	looked := e.calls.Load()
	for range 2 {
		h.same(*must[mpocv1.ProofAnswer](h)(h.send(s, h.opened(s, 0))).Receipt)
	}
	if e.calls.Load() != looked {
		t.Error("it was audited again")
	}
	if a := n.standing(h.key); a.Strikes != 1 {
		t.Errorf("%+v", a)
	}
}

// An answer that holds and finds no core is not late: it stays open, and is judged
// when it comes again. It is not accepted because the host is busy.
func TestNoCoreIsNoSilence(t *testing.T) {
	e := newStuck()
	n := newNetwork(t, func(n *network) { n.config.Engine = e })
	cores := max(1, runtime.NumCPU()-1)
	for i := range (cores + 1) / 2 { // all that newcomers have
		h := n.hand(keyOf(byte(100 + i))).register()
		h.hangUp(h.compute(1, nil), e.began)
	}
	waited, done := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer done()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	wait := func(h *hand, s *submission) {
		t.Helper()
		if err := h.commit(s); err != nil {
			t.Fatal(err)
		}
		_, err := n.pool.Proof(waited, h.proving(s, h.opened(s, 0)))
		refused(t, mpocv1.CodeBusy, err)
	}
	honest, forger, lost, mute := n.hand(keyOf(2)).register(), n.hand(keyOf(3)).register(),
		n.hand(keyOf(4)).register(), n.hand(keyOf(5)).register()
	a, b, c, d := honest.compute(12, nil), forger.compute(12, spoil), lost.compute(12, nil),
		mute.compute(12, spoil)
	wait(honest, a)
	wait(forger, b)
	wait(lost, c)
	// Who hangs up while he waits has the time that he had, however often.
	if err := mute.commit(d); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := n.pool.Proof(gone, mute.proving(d, mute.opened(d, 0))); !errors.Is(err,
			context.Canceled) {
			t.Errorf("hanging up: %v", err)
		}
	}
	n.clock.Pass(10 * time.Minute)
	// nor does waiting again give more
	if _, err := n.pool.Proof(waited, forger.proving(b, forger.opened(b, 0))); err == nil {
		t.Error("an answer was judged without a core")
	}
	close(e.free)
	if r := mute.answer(d); r.Outcome.Status != mpoc.Failed {
		t.Errorf("hung up: %+v, %s", r.Outcome, r.Reason)
	}
	if r := honest.answer(a); r.Outcome.Status != mpoc.Accepted {
		t.Errorf("honest: %+v, %s", r.Outcome, r.Reason)
	}
	if r := forger.answer(b); r.Outcome.Status != mpoc.Rejected {
		t.Errorf("forged: %+v, %s", r.Outcome, r.Reason)
	}
	n.clock.Pass(2 * time.Hour)
	r := must[mpocv1.FindAnswer](lost)(lost.find(c.Terms.ChallengeID)).Receipt
	if r.Outcome.Status != mpoc.Failed || !strings.Contains(r.Reason, "did not come again") {
		t.Errorf("never sent again: %+v, %s", r.Outcome, r.Reason)
	}
}
