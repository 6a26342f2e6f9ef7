// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"strings"
	"testing"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/worker/enginetest"
	"github.com/assaynet/assay/worker/runner"
)

// A build that the next order does not need is stopped, one that it needs goes
// on; at most two models are kept, and none is closed while it is used.
func TestModels(t *testing.T) {
	e := new(enginetest.Engine)
	started, released := make(chan seed.Seed, 10), make(chan struct{})
	e.Build = func(ctx context.Context, s seed.Seed) error {
		started <- s
		if s != seedOf(100) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-released:
			return nil
		}
	}
	h := newFakeHost(t)
	stop := startWorker(t, h, e)
	s := h.accept()
	s.say(prepare(100))
	<-started
	s.state(workerv1.State_STATE_BUILDING)
	s.say(idle())
	s.say(prepare(101)) // 100 is given up, or this would wait for it
	if r := hear(s, (*workerv1.Envelope).GetModelReady); r.Epoch != 101 {
		t.Fatalf("ready for %d", r.Epoch)
	}
	<-started
	s.say(prepare(100))
	if got := <-started; got != seedOf(100) {
		t.Fatalf("builds %v", got)
	}
	s.say(compute(100, 1, 0)) // the same build goes on
	close(released)
	checkBatch(t, hear(s, (*workerv1.Envelope).GetBatch), 0)
	if len(started) != 0 {
		t.Fatal("the model was built twice")
	}
	for _, next := range []byte{102, 103, 104} {
		s.say(prepare(next))
		hear(s, func(e *workerv1.Envelope) *workerv1.ModelReady {
			if r := e.GetModelReady(); r.GetEpoch() == uint64(next) {
				return r
			}
			return nil
		})
	}
	if e.Open() != runner.ModelsKept || e.Live(seedOf(104)) != 1 || e.Live(seedOf(103)) != 1 {
		t.Errorf("models kept: %d", e.Open())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := e.Open(); n != 0 {
		t.Errorf("%d models were not closed", n)
	}
}

func TestFaultIsReported(t *testing.T) {
	e := new(enginetest.Engine)
	e.Build = func(context.Context, seed.Seed) error { return errors.New("out of device memory") }
	h := newFakeHost(t)
	startWorker(t, h, e)
	s := h.accept()
	s.say(prepare(100))
	if st := s.state(workerv1.State_STATE_FAULTED); !strings.Contains(st.Reason,
		"out of device memory") || !strings.Contains(st.Reason, "nano") {
		t.Errorf("fault: %v", st)
	}
	s.say(rerun(1, 100, 1))
	if r := hear(s, (*workerv1.Envelope).GetRerunResult); r.Job != 1 ||
		!strings.Contains(r.Error, "out of device memory") {
		t.Errorf("rerun: %v", r)
	}
	s.say(rerun(2, 100, 1))
	s.say(&workerv1.Envelope{Message: &workerv1.Envelope_Rerun{Rerun: &workerv1.Rerun{
		Job: 3, Class: "giant", Seed1: seedOf(100).Bytes(), NodeSeed: seedOf(1).Bytes(),
		SegmentSeed: seedOf(1).Bytes(), Nonces: []uint64{1},
	}}})
	for range 2 {
		if r := hear(s, (*workerv1.Envelope).GetRerunResult); r.Error == "" {
			t.Errorf("rerun: %v", r)
		}
	}
}
