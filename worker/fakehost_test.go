// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"github.com/assaynet/assay/worker/enginetest"
)

// fakeHost is a host of one worker, driven by the test.
type fakeHost struct {
	t    *testing.T
	url  string
	in   chan *socket // connections, after the welcome
	stop func()
}

type socket struct {
	t *testing.T
	*link.Socket
	over   chan struct{}
	device signed.Key // the worker's
}

var fakeHostKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))

func newFakeHost(t *testing.T) *fakeHost {
	t.Helper()
	key := fakeHostKey
	config, err := link.ServerTLS(key)
	if err != nil {
		t.Fatal(err)
	}
	h := &fakeHost{t: t, in: make(chan *socket)}
	ended := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := link.Accept(w, r, limits)
		if err != nil {
			return
		}
		defer c.Abort()
		message, err := c.Receive(r.Context())
		if err != nil {
			return
		}
		e, err := workerv1.FromWorker(message)
		if err != nil || e.GetHello() == nil {
			t.Errorf("first message: %v, %v", e, err)
			return
		}
		conn := &socket{t, c, make(chan struct{}), signed.Key(e.GetHello().Key)}
		conn.say(&workerv1.Envelope{
			Message: &workerv1.Envelope_Welcome{Welcome: &workerv1.Welcome{Chain: "c",
				Participant: "p", Node: "alpha"}}})
		select {
		case h.in <- conn:
			select {
			case <-conn.over:
			case <-ended:
			}
		case <-ended:
		}
	}))
	s.TLS, s.Config.ConnContext = config, link.ConnContext
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	h.stop = sync.OnceFunc(func() { close(ended); s.Close() })
	t.Cleanup(h.stop)
	h.url = link.Address{HostPort: s.Listener.Addr().String(),
		Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}.String()
	return h
}

func (h *fakeHost) accept() *socket {
	h.t.Helper()
	select {
	case s := <-h.in:
		return s
	case <-time.After(20 * time.Second):
		h.t.Fatal("no worker came")
		return nil
	}
}

func (s *socket) say(e *workerv1.Envelope) {
	s.t.Helper()
	b, err := workerv1.Encode(e)
	if err == nil {
		err = s.Send(context.Background(), b)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// hear skips messages until pick takes one; nil when the worker closed.
func hear[M any](s *socket, pick func(*workerv1.Envelope) *M) *M {
	s.t.Helper()
	for {
		e, err := s.next()
		if err != nil {
			s.t.Fatal(err)
		}
		if m := pick(e); m != nil {
			return m
		}
	}
}

func (s *socket) next() (*workerv1.Envelope, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	message, err := s.Receive(ctx)
	if err != nil {
		return nil, err
	}
	return workerv1.FromWorker(message)
}

// state waits until the worker reports a state.
func (s *socket) state(want workerv1.State) *workerv1.Status {
	s.t.Helper()
	return hear(s, func(e *workerv1.Envelope) *workerv1.Status {
		if st := e.GetStatus(); st.GetState() == want {
			return st
		}
		return nil
	})
}

func seedOf(b byte) (s seed.Seed) {
	for i := range s {
		s[i] = b
	}
	return s
}

func prepare(seed1 byte) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{
		Epoch: uint64(seed1), Class: "nano", Seed1: seedOf(seed1).Bytes(), Until: "height 9",
	}}}
}

var nodeSeed = seed.Node("c", "p", "alpha", "nano")

// compute asks for all of a segment; computeTo for the nonces before stop.
func compute(seed1 byte, segment uint32, first uint64) *workerv1.Envelope {
	return computeTo(seed1, segment, first, workerv1.MaxCount)
}

func computeTo(seed1 byte, segment uint32, first, stop uint64) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Compute{Compute: &workerv1.Compute{
		Epoch: uint64(seed1), Class: "nano", Seed1: seedOf(seed1).Bytes(), Segment: segment,
		First: first, Stop: stop,
		NodeSeed: nodeSeed.Bytes(), SegmentSeed: seedOf(byte(30 + segment)).Bytes(),
		Audit: seedOf(50).Bytes(),
	}}}
}

func idle() *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Idle{
		Idle: &workerv1.Idle{Reason: "enough", Until: "height 10"}}}
}

func ack(seed1 byte, segment uint32, size uint64, sig signed.Signature) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Ack{
		Ack: &workerv1.Ack{Epoch: uint64(seed1), Segment: segment, Size: size, Signature: sig[:]}}}
}

// statement is what the worker has to sign about a batch.
func (s *socket) statement(b *workerv1.Batch) delivery.Statement {
	return delivery.Statement{Order: delivery.Order{
		Chain: "c", HostKey: signed.KeyOf(fakeHostKey), DeviceKey: s.device, Participant: "p",
		Epoch: b.Epoch, Node: "alpha", Class: "nano",
		Seed1: signed.Hash(seedOf(byte(b.Epoch))), Segment: b.Segment,
		SegmentSeed: signed.Hash(seedOf(byte(30 + b.Segment))), Audit: signed.Hash(seedOf(50)),
	}, Batch: delivery.BatchOf(b.First, b.Records)}
}

// ack acknowledges a batch whose signature holds.
func (s *socket) ack(b *workerv1.Batch) {
	s.t.Helper()
	st := s.statement(b)
	if err := st.Verify(signed.Signature(b.Signature)); err != nil {
		s.t.Fatal(err)
	}
	s.say(ack(byte(b.Epoch), b.Segment, st.End(), delivery.Acknowledge(st.Digest(), fakeHostKey)))
}

func rerun(job uint64, seed1 byte, nonces ...uint64) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Rerun{Rerun: &workerv1.Rerun{
		Job: job, Class: "nano", Seed1: seedOf(seed1).Bytes(), NodeSeed: seedOf(40).Bytes(),
		SegmentSeed: seedOf(41).Bytes(), Nonces: nonces,
	}}}
}

// startWorker runs a worker of h; the test ends it.
func startWorker(t *testing.T, h *fakeHost, e work.Engine) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	home := t.TempDir()
	go func() { ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: e, Threads: 2}) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		h.stop() // first, or the worker waits for it to agree to the end
		stop()
	})
	return stop
}

// checkBatch compares a batch with what the engine computes.
func checkBatch(t *testing.T, b *workerv1.Batch, first uint64) (next uint64) {
	t.Helper()
	if b.First != first {
		t.Fatalf("batch begins at %d, want %d", b.First, first)
	}
	n := len(b.Records) / record.Size
	for i := range n {
		got := record.At(b.Records, i)
		want := new(enginetest.Engine).Output(seedOf(byte(b.Epoch)), nodeSeed,
			seedOf(byte(30+b.Segment)), first+uint64(i))
		if got != want.Record {
			t.Fatalf("record %d is wrong", first+uint64(i))
		}
	}
	return first + uint64(n)
}
