// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
)

func TestOrders(t *testing.T) {
	h := newFakeHost(t)
	stop := startWorker(t, h, new(enginetest.Engine))
	s := h.accept()
	s.say(prepare(100))
	if r := hear(s, (*workerv1.Envelope).GetModelReady); r.Epoch != 100 {
		t.Fatalf("ready for epoch %d", r.Epoch)
	}
	if st := s.state(workerv1.State_STATE_READY); st.Until != "height 9" || st.Reason == "" {
		t.Errorf("ready: %v", st)
	}
	s.say(compute(100, 1, 7))
	first := hear(s, (*workerv1.Envelope).GetBatch)
	next := checkBatch(t, first, 7)
	s.ack(first)
	second := hear(s, (*workerv1.Envelope).GetBatch)
	checkBatch(t, second, next)
	s.ack(second)

	// Another segment begins at its own resume point; batches of the old one that
	// were on their way may still come.
	s.say(compute(100, 2, 0))
	b := hear(s, func(e *workerv1.Envelope) *workerv1.Batch {
		if b := e.GetBatch(); b.GetSegment() == 2 {
			return b
		}
		return nil
	})
	checkBatch(t, b, 0)
	s.say(idle())
	if st := s.state(workerv1.State_STATE_IDLE); st.Reason != "enough" || st.Until != "height 10" {
		t.Errorf("idle: %v", st)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// The worker goes on from what the host has, also after a restart, and signs no
// leaf twice in two ways: a host that has leaves computed again gets the same
// statements, or nothing.
// Holds spec M-24.
func TestResume(t *testing.T) {
	h := newFakeHost(t)
	home := t.TempDir()
	start := func(e work.Engine) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: e, Threads: 2}) }()
		return sync.OnceFunc(func() { cancel(); <-ended })
	}
	stop := start(new(enginetest.Engine))
	t.Cleanup(func() { h.stop(); stop() })
	s := h.accept()
	s.say(compute(100, 1, 7))
	a := hear(s, (*workerv1.Envelope).GetBatch)
	next := checkBatch(t, a, 7)
	s.ack(a)
	b := hear(s, (*workerv1.Envelope).GetBatch)
	end := checkBatch(t, b, next)
	same := func(was *workerv1.Batch) {
		t.Helper()
		got := hear(s, (*workerv1.Envelope).GetBatch)
		if s.statement(got) != s.statement(was) || !bytes.Equal(got.Signature, was.Signature) {
			t.Fatalf("leaves from %d were signed in two ways", was.First)
		}
	}
	// refused waits for the worker's reason; on a new connection it says the old one first.
	refused := func(reason string) {
		hear(s, func(e *workerv1.Envelope) *workerv1.Status {
			if st := e.GetStatus(); st.GetState() == workerv1.State_STATE_IDLE &&
				strings.Contains(st.GetReason(), reason) {
				return st
			}
			return nil
		})
	}
	again := func() { close(s.over); s = h.accept() }
	again()
	s.say(compute(100, 1, next)) // b was lost
	same(b)
	again()
	s.say(compute(100, 1, 7)) // so was a, against a receipt
	same(a)
	same(b)
	for _, first := range []uint64{0, end - 1} {
		again()
		s.say(compute(100, 1, first))
		refused(fmt.Sprintf("goes on from leaf %d of", first))
	}
	again()
	other := compute(100, 1, next)
	other.GetCompute().Audit = seedOf(51).Bytes()
	s.say(other)
	refused("another audit")
	stop() // a restart makes it forget nothing
	s.Abort()
	close(s.over)
	stop = start(new(enginetest.Engine))
	s = h.accept()
	s.say(compute(100, 1, 7))
	same(a)
	same(b)
	again()
	s.say(compute(100, 1, 1<<40)) // forward it goes, and never back
	ahead := hear(s, (*workerv1.Envelope).GetBatch)
	checkBatch(t, ahead, 1<<40)
	again()
	s.say(compute(100, 1, 7))
	refused("where no batch of those signed begins")
	s.say(compute(99, 5, 0))
	refused("after epoch 100 segment 1")
	signed, err := openJournal(home, "c", "p", "alpha", signed.KeyOf(fakeHostKey))
	if err != nil {
		t.Fatal(err)
	}
	faulty := s.statement(ahead)
	faulty.Root[0] ^= 1
	if _, err := signed.check(faulty); !errors.Is(err, errSigned) {
		t.Errorf("other results: %v", err)
	}
}

// Without acknowledgements the worker computes so far and no further, and says so.
func TestUnacknowledgedIsBounded(t *testing.T) {
	h := newFakeHost(t)
	startWorker(t, h, new(enginetest.Engine))
	s := h.accept()
	s.say(compute(100, 1, 0))
	paused := hear(s, func(e *workerv1.Envelope) *workerv1.Status {
		if st := e.GetStatus(); strings.Contains(st.GetReason(), "paused") {
			return st
		}
		return nil
	})
	if paused.Computed != maxUnacked {
		t.Errorf("paused after %d units, want %d", paused.Computed, maxUnacked)
	}
}

// The worker computes what the host wants and nothing beyond, and says so. When the host wants more
// it goes on where it was; what it had signed as one batch it never cuts.
func TestNothingBeyondStop(t *testing.T) {
	h := newFakeHost(t)
	startWorker(t, h, new(enginetest.Engine))
	s := h.accept()
	waits := func(reason string) *workerv1.Status {
		t.Helper()
		return hear(s, func(e *workerv1.Envelope) *workerv1.Status {
			if e.GetBatch() != nil {
				t.Fatalf("leaves from %d on are sent", e.GetBatch().First)
			}
			if st := e.GetStatus(); st.GetState() == workerv1.State_STATE_COMPUTING &&
				strings.Contains(st.Reason, reason) {
				return st
			}
			return nil
		})
	}
	s.say(computeTo(100, 1, 0, 10))
	first := hear(s, (*workerv1.Envelope).GetBatch)
	next := checkBatch(t, first, 0)
	upTo := func(stop uint64) {
		t.Helper()
		for next < stop {
			next = checkBatch(t, hear(s, (*workerv1.Envelope).GetBatch), next)
		}
		if st := waits(fmt.Sprintf("the %d units that it asked for", stop)); next != stop ||
			st.Computed != stop {
			t.Fatalf("%d leaves were sent and %d computed of %d", next, st.Computed, stop)
		}
		s.say(rerun(stop, 100, 1)) // and while it does something else
		for e := (*workerv1.Envelope)(nil); e.GetRerunResult() == nil; {
			var err error
			if e, err = s.next(); err != nil || e.GetBatch() != nil {
				t.Fatalf("after %d leaves: %v, %v", stop, e, err)
			}
		}
	}
	upTo(10)
	s.say(computeTo(100, 1, 4, 2500)) // it has sent leaf 4, and does not send it again
	upTo(2500)

	close(s.over)
	s = h.accept()
	end := s.statement(first).End()
	s.say(computeTo(100, 1, 0, end-1)) // some of what it had was given to others
	waits(fmt.Sprintf("units 0 to %d were signed as one batch, and it asked for none from %d on",
		end-1, end-1))
	s.say(computeTo(100, 1, 0, end))
	if again := hear(s, (*workerv1.Envelope).GetBatch); s.statement(again) != s.statement(first) {
		t.Errorf("leaves from 0 on were signed in two ways")
	}
	waits(fmt.Sprintf("the %d units that it asked for", end))
}

// Samples go before the segment, also those of another epoch.
func TestRerunGoesFirst(t *testing.T) {
	e := new(enginetest.Engine)
	h := newFakeHost(t)
	startWorker(t, h, e)
	s := h.accept()
	s.say(compute(100, 1, 0))
	hear(s, (*workerv1.Envelope).GetBatch)
	nonces := make([]uint64, workerv1.MaxBatch)
	for i := range nonces {
		nonces[i] = uint64(i) << 40
	}
	s.say(rerun(5, 100, nonces...))
	s.say(rerun(6, 101, 1, 2, 3))
	for _, want := range []struct {
		job   uint64
		seed1 byte
		n     []uint64
	}{{5, 100, nonces}, {6, 101, []uint64{1, 2, 3}}} {
		r := hear(s, (*workerv1.Envelope).GetRerunResult)
		if r.Job != want.job || len(r.Outputs) != len(want.n)*transformer.OutputSize {
			t.Fatalf("job %d with %d bytes, want job %d", r.Job, len(r.Outputs), want.job)
		}
		for i, nonce := range want.n {
			if o := e.Output(seedOf(want.seed1), seedOf(40), seedOf(41),
				nonce); o != transformer.OutputAt(r.Outputs, i) {
				t.Fatalf("output %d of job %d is wrong", i, r.Job)
			}
		}
	}
}

// A host that breaks the protocol is told why and left, and met again later.
func TestFaultyHost(t *testing.T) {
	e := new(enginetest.Engine)
	e.Build = func(ctx context.Context, s seed.Seed) error {
		if s == seedOf(150) { // whose jobs stay unanswered
			<-ctx.Done()
		}
		return ctx.Err()
	}
	h := newFakeHost(t)
	startWorker(t, h, e)
	for name, c := range map[string]struct {
		say    []*workerv1.Envelope
		reason string
	}{
		"worker's message": {[]*workerv1.Envelope{
			{Message: &workerv1.Envelope_ModelReady{ModelReady: &workerv1.ModelReady{}}}},
			"other direction"},
		"second welcome": {[]*workerv1.Envelope{
			{Message: &workerv1.Envelope_Welcome{Welcome: &workerv1.Welcome{Chain: "c",
				Participant: "p", Node: "n"}}}}, "a second"},
		"too many jobs": {[]*workerv1.Envelope{rerun(1, 150, 1), rerun(2, 150, 1),
			rerun(3, 150, 1)}, "jobs at once"},
		"acknowledges unsent": {[]*workerv1.Envelope{compute(100, 9, 0),
			ack(100, 9, 1<<40, signed.Signature{})}, "leaves acknowledged"},
		"another node's work": {[]*workerv1.Envelope{
			{Message: &workerv1.Envelope_Compute{Compute: &workerv1.Compute{
				Epoch: 100, Class: "nano", Seed1: seedOf(100).Bytes(), Segment: 9, Stop: 1,
				NodeSeed: seedOf(20).Bytes(), SegmentSeed: seedOf(1).Bytes(),
				Audit: seedOf(50).Bytes(),
			}}}}, "node seed is not that of node alpha"},
		"short seed": {[]*workerv1.Envelope{
			{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{Class: "nano",
				Seed1: []byte{1}}}}}, "prepare.seed1"},
		"class of another age": {
			[]*workerv1.Envelope{
				{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{Class: "giant",
					Seed1: seedOf(100).Bytes()}}}}, "does not know class"},
	} {
		s := h.accept()
		for _, e := range c.say {
			s.say(e)
		}
		for {
			if _, err := s.next(); err != nil {
				if !strings.Contains(err.Error(), c.reason) {
					t.Errorf("%s: closed with %v, want %q", name, err, c.reason)
				}
				break
			}
		}
		close(s.over)
	}
}

// FuzzHandle feeds arbitrary messages to a machine that computes: it never
// panics, and its backlog stays in order.
func FuzzHandle(f *testing.F) {
	for _, e := range []*workerv1.Envelope{prepare(100), compute(100, 1, 0), compute(100, 2, 50),
		idle(), ack(100, 1, 3, signed.Signature{}), ack(100, 1, 4, signed.Signature{}),
		rerun(1, 100, 2)} {
		b, err := workerv1.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	f.Fuzz(func(t *testing.T, message []byte) {
		m := newMachine(Config{Engine: work.Reference(), Logger: slog.New(slog.DiscardHandler)},
			link.Address{}, key, nil)
		d, n := m.desk, m.session
		n.welcome = &workerv1.Welcome{Chain: "c", Participant: "p", Node: "alpha"}
		b, _ := workerv1.Encode(compute(100, 1, 2))
		if err := n.handle(b); err != nil {
			t.Fatal(err)
		}
		d.backlog.records = make([]byte, 3*record.Size)
		d.backlog.sent = 4
		n.journal.wrote(delivery.Statement{Order: d.order.signed,
			Batch: delivery.BatchOf(2, d.backlog.records[:2*record.Size])})
		_ = n.handle(message)
		if l := &d.backlog; l.base > l.sent || l.sent > l.end() {
			t.Fatalf("base %d, sent %d, end %d", l.base, l.sent, l.end())
		}
		_ = m.snapshot(time.Time{}).Line()
	})
}
