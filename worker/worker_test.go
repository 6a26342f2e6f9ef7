// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
	"github.com/assaynet/assay/worker/pool"
	"github.com/assaynet/assay/worker/runner"
)

func TestSelfTestMismatchRefusesToRun(t *testing.T) {
	broken := brokenEngine{work.Reference()}
	err := Run(t.Context(), Config{URL: someURL, Home: t.TempDir(), Engine: broken})
	if !errors.Is(err, ErrSelfTest) || !errors.Is(err, work.ErrSelfTest) || !strings.Contains(err.Error(), "nothing is computed with it") {
		t.Fatalf("ran with a broken engine: %v", err)
	}
}

const someURL = "assay://127.0.0.1:1#00112233445566778899aabbccddeeff"

type brokenEngine struct{ work.Engine }

func (e brokenEngine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed, progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.Engine.Transformer(ctx, class, seed1, progress)
	return brokenModel{m}, err
}

type brokenModel struct{ transformer.Model }

func (m brokenModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	dst[len(dst)-1].Digest[31] ^= 1
	return err
}

// While a machine registers with the host's pool, that the Sprint does not know it
// is no trouble; where there is no pool it is.
func TestRegisteringIsNoTrouble(t *testing.T) {
	address, err := link.ParseAddress(someURL)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(Config{URL: someURL, Home: t.TempDir(), Devices: []Device{{ID: "cpu", Engine: work.Reference()}}}, address, fakeHostKey, nil)
	n := m.session
	m.desk.testing, n.stranger, n.answered, n.trouble = false, true, true, "refused by the host: this host does not know key 00"
	if s := m.snapshot(time.Now()); s.State != "registering" || s.Trouble != "" || s.Connected {
		t.Errorf("asking for a pool: %+v", s)
	}
	l := m.desk.benches[0].loops
	if l.pool, err = poolOf(l, fakeHostKey); err != nil {
		t.Fatal(err)
	}
	if s := m.snapshot(time.Now()); s.State != "registering" || s.Trouble != "" || s.Connected {
		t.Errorf("registering: %+v", s)
	}
	l.pool, l.poolless = nil, true
	if s := m.snapshot(time.Now()); s.State != "registering" || s.Trouble != n.trouble || s.Connected {
		t.Errorf("no pool: %+v", s)
	}
}

// poolOf is a device's work for a pool that is not reached yet.
func poolOf(l *loops, key ed25519.PrivateKey) (*pool.Machine, error) {
	return pool.New(pool.Config{Address: someURL, Key: key, Home: l.folder(), Engine: l.device.Engine, Device: mpoc.Claimed{ID: l.device.ID, Engine: "x", RateOps: 1}})
}

// A host that is away is no reason to say that its orders are waited for.
func TestAwayIsNotReady(t *testing.T) {
	address, err := link.ParseAddress(someURL)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(Config{URL: someURL, Home: t.TempDir(), Devices: []Device{{ID: "cpu", Engine: new(enginetest.Engine)}}}, address, fakeHostKey, nil)
	m.desk.testing, m.session.trouble = false, "nothing listens at 127.0.0.1:1"
	m.desk.order, m.desk.ends = &order{Need: runner.Need{Model: runner.ModelKey{Class: transformer.Nano, Seed1: seedOf(9)}, Epoch: 17}}, "block 9"
	b := m.desk.benches[0]
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	for !b.State(time.Now(), &m.desk.order.Need).Build.Built {
		<-m.desk.reportWake
	}
	cancel()
	running.Wait() // what follows has no other reader
	b.Take(runner.Ask{})
	away := m.snapshot(time.Now())
	if away.State != "connecting" || away.Reason != m.session.trouble || away.Until != "" || !strings.HasPrefix(b.tended, "kept for the Sprint of epoch 17 while the host is away") {
		t.Errorf("away: %+v, %q", away, b.tended)
	}
	m.session.welcome = &workerv1.Welcome{}
	b.Take(runner.Ask{})
	if s := m.snapshot(time.Now()); s.State != "ready" || s.Until != "block 9" || !strings.HasPrefix(b.tended, "the Sprint of epoch 17 has it") {
		t.Errorf("connected: %+v, %q", s, b.tended)
	}
}

// The owner hears of further tries while their pauses grow, and now and then later.
func TestTriesAreTold(t *testing.T) {
	var told []string
	pause := pauseMin
	for tries := 1; tries <= 40; tries++ {
		if worthSaying(tries, pause) {
			told = append(told, ordinal(tries+1))
		}
		pause = min(2*pause, pauseMax)
	}
	if d := cmp.Diff(strings.Fields("5th 6th 7th 8th 9th 17th 33rd"), told); d != "" {
		t.Error(d)
	}
	if got := ordinal(11) + ordinal(21) + ordinal(112); got != "11th21st112th" {
		t.Error(got)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, c := range map[string]Config{
		"no url":  {Home: t.TempDir()},
		"no home": {URL: someURL},
		"nice":    {URL: someURL, Home: t.TempDir(), Nice: 20},
	} {
		if err := Run(t.Context(), c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two workers never share a home; when the first one ends, however it does, the
// next one can have it.
func TestHomeIsLocked(t *testing.T) {
	home := t.TempDir()
	unlock, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), Config{URL: someURL, Home: home, Engine: new(enginetest.Engine)})
	if want := fmt.Sprintf("another worker (process %d) works with %s; stop it", os.Getpid(), home); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = lock(home); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

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
	device mpoc.Key // the worker's
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
		conn := &socket{t, c, make(chan struct{}), mpoc.Key(e.GetHello().Key)}
		conn.say(&workerv1.Envelope{Message: &workerv1.Envelope_Welcome{Welcome: &workerv1.Welcome{Chain: "c", Participant: "p", Node: "alpha"}}})
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
	h.url = link.Address{HostPort: s.Listener.Addr().String(), Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}.String()
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
		Epoch: uint64(seed1), Class: "nano", Seed1: seedOf(seed1).Bytes(), Segment: segment, First: first, Stop: stop,
		NodeSeed: nodeSeed.Bytes(), SegmentSeed: seedOf(byte(30 + segment)).Bytes(), Audit: seedOf(50).Bytes(),
	}}}
}

func idle() *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Idle{Idle: &workerv1.Idle{Reason: "enough", Until: "height 10"}}}
}

func ack(seed1 byte, segment uint32, size uint64, sig mpoc.Signature) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Ack{Ack: &workerv1.Ack{Epoch: uint64(seed1), Segment: segment, Size: size, Signature: sig[:]}}}
}

// statement is what the worker has to sign about a batch.
func (s *socket) statement(b *workerv1.Batch) delivery.Statement {
	return delivery.Statement{Order: delivery.Order{
		Chain: "c", HostKey: mpoc.KeyOf(fakeHostKey), DeviceKey: s.device, Participant: "p", Epoch: b.Epoch, Node: "alpha", Class: "nano",
		Seed1: mpoc.Hash(seedOf(byte(b.Epoch))), Segment: b.Segment, SegmentSeed: mpoc.Hash(seedOf(byte(30 + b.Segment))), Audit: mpoc.Hash(seedOf(50)),
	}, Batch: delivery.BatchOf(b.First, b.Records)}
}

// ack acknowledges a batch whose signature holds.
func (s *socket) ack(b *workerv1.Batch) {
	s.t.Helper()
	st := s.statement(b)
	if err := st.Verify(mpoc.Signature(b.Signature)); err != nil {
		s.t.Fatal(err)
	}
	s.say(ack(byte(b.Epoch), b.Segment, st.End(), delivery.Acknowledge(st.Digest(), fakeHostKey)))
}

func rerun(job uint64, seed1 byte, nonces ...uint64) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Rerun{Rerun: &workerv1.Rerun{
		Job: job, Class: "nano", Seed1: seedOf(seed1).Bytes(), NodeSeed: seedOf(40).Bytes(), SegmentSeed: seedOf(41).Bytes(), Nonces: nonces,
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
		want := new(enginetest.Engine).Output(seedOf(byte(b.Epoch)), nodeSeed, seedOf(byte(30+b.Segment)), first+uint64(i))
		if got != want.Record {
			t.Fatalf("record %d is wrong", first+uint64(i))
		}
	}
	return first + uint64(n)
}

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
			if st := e.GetStatus(); st.GetState() == workerv1.State_STATE_IDLE && strings.Contains(st.GetReason(), reason) {
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
	signed, err := openBook(home, "c", "p", "alpha", mpoc.KeyOf(fakeHostKey))
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

// The worker computes what the host wants and nothing beyond, and says so. When the host wants more it goes on where
// it was; what it had signed as one batch it never cuts.
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
			if st := e.GetStatus(); st.GetState() == workerv1.State_STATE_COMPUTING && strings.Contains(st.Reason, reason) {
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
		if st := waits(fmt.Sprintf("the %d units that it asked for", stop)); next != stop || st.Computed != stop {
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
	waits(fmt.Sprintf("units 0 to %d were signed as one batch, and it asked for none from %d on", end-1, end-1))
	s.say(computeTo(100, 1, 0, end))
	if again := hear(s, (*workerv1.Envelope).GetBatch); s.statement(again) != s.statement(first) {
		t.Errorf("leaves from 0 on were signed in two ways")
	}
	waits(fmt.Sprintf("the %d units that it asked for", end))
}

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
	if st := s.state(workerv1.State_STATE_FAULTED); !strings.Contains(st.Reason, "out of device memory") || !strings.Contains(st.Reason, "nano") {
		t.Errorf("fault: %v", st)
	}
	s.say(rerun(1, 100, 1))
	if r := hear(s, (*workerv1.Envelope).GetRerunResult); r.Job != 1 || !strings.Contains(r.Error, "out of device memory") {
		t.Errorf("rerun: %v", r)
	}
	s.say(rerun(2, 100, 1))
	s.say(&workerv1.Envelope{Message: &workerv1.Envelope_Rerun{Rerun: &workerv1.Rerun{
		Job: 3, Class: "giant", Seed1: seedOf(100).Bytes(), NodeSeed: seedOf(1).Bytes(), SegmentSeed: seedOf(1).Bytes(), Nonces: []uint64{1},
	}}})
	for range 2 {
		if r := hear(s, (*workerv1.Envelope).GetRerunResult); r.Error == "" {
			t.Errorf("rerun: %v", r)
		}
	}
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
			if o := e.Output(seedOf(want.seed1), seedOf(40), seedOf(41), nonce); o != transformer.OutputAt(r.Outputs, i) {
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
		"worker's message":    {[]*workerv1.Envelope{{Message: &workerv1.Envelope_ModelReady{ModelReady: &workerv1.ModelReady{}}}}, "other direction"},
		"second welcome":      {[]*workerv1.Envelope{{Message: &workerv1.Envelope_Welcome{Welcome: &workerv1.Welcome{Chain: "c", Participant: "p", Node: "n"}}}}, "a second"},
		"too many jobs":       {[]*workerv1.Envelope{rerun(1, 150, 1), rerun(2, 150, 1), rerun(3, 150, 1)}, "jobs at once"},
		"acknowledges unsent": {[]*workerv1.Envelope{compute(100, 9, 0), ack(100, 9, 1<<40, mpoc.Signature{})}, "leaves acknowledged"},
		"another node's work": {[]*workerv1.Envelope{{Message: &workerv1.Envelope_Compute{Compute: &workerv1.Compute{
			Epoch: 100, Class: "nano", Seed1: seedOf(100).Bytes(), Segment: 9, Stop: 1, NodeSeed: seedOf(20).Bytes(), SegmentSeed: seedOf(1).Bytes(), Audit: seedOf(50).Bytes(),
		}}}}, "node seed is not that of node alpha"},
		"short seed":           {[]*workerv1.Envelope{{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{Class: "nano", Seed1: []byte{1}}}}}, "prepare.seed1"},
		"class of another age": {[]*workerv1.Envelope{{Message: &workerv1.Envelope_Prepare{Prepare: &workerv1.Prepare{Class: "giant", Seed1: seedOf(100).Bytes()}}}}, "does not know class"},
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

// A host that acknowledges with another's name, or for other leaves, is left; what
// it signed before is on disk, one file a segment, and holds for anybody.
func TestReceipts(t *testing.T) {
	h := newFakeHost(t)
	home := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: new(enginetest.Engine), Threads: 1}) }()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() { h.stop(); stop() })

	s := h.accept()
	s.say(compute(100, 1, 0))
	kept := map[uint32]*workerv1.Batch{}
	for range 3 {
		kept[1] = hear(s, (*workerv1.Envelope).GetBatch)
		s.ack(kept[1])
	}
	s.say(compute(100, 2, 40))
	for kept[2] == nil {
		if b := hear(s, (*workerv1.Envelope).GetBatch); b.Segment == 2 {
			kept[2] = b
		}
	}
	s.ack(kept[2])
	for name, forge := range map[string]func(*workerv1.Batch) mpoc.Signature{
		"signed by the worker itself": func(b *workerv1.Batch) mpoc.Signature { return mpoc.Signature(b.Signature) },
		"of other leaves": func(b *workerv1.Batch) mpoc.Signature {
			st := s.statement(b)
			st.First++
			return delivery.Acknowledge(st.Digest(), fakeHostKey)
		},
	} {
		b := hear(s, (*workerv1.Envelope).GetBatch)
		s.say(ack(100, 2, s.statement(b).End(), forge(b)))
		for {
			if _, err := s.next(); err != nil {
				if !strings.Contains(err.Error(), "the receipt for") {
					t.Errorf("%s: closed with %v", name, err)
				}
				break
			}
		}
		close(s.over)
		s = h.accept()
		s.say(compute(100, 2, s.statement(kept[2]).End()))
	}
	h.stop()
	stop()
	paths, err := filepath.Glob(filepath.Join(home, ReceiptsName, "*.json"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("receipts: %v, %v", paths, err)
	}
	for i, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := delivery.ParseReceipt(raw)
		if err == nil {
			err = r.Verify()
		}
		if want := s.statement(kept[uint32(i+1)]); err != nil || r.Statement() != want {
			t.Errorf("%s: %v, about %+v; want %+v", path, err, r.Statement(), want)
		}
	}
}

func TestReceiptsAreBounded(t *testing.T) {
	k := newReceipts(filepath.Join(t.TempDir(), "rig[12] [a"))
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: delivery.Order{Chain: "c", Participant: "p", Node: "n", Class: "nano", Segment: 1}, Batch: delivery.Batch{Count: 1}}
	write := func(r delivery.Receipt) {
		if err := k.write(document{name(receivedName, r.Order), r.Marshal}); err != nil {
			t.Fatal(err)
		}
	}
	other := r // host's, which a busy one does not push out
	other.Order.HostKey[0]++
	write(other)
	began := time.Now().Add(-time.Hour)
	for i := range uint64(keepReceipts + 3) {
		r.Order.Epoch = 1<<30 + i
		if i > keepReceipts-3 {
			write(r)
			continue
		}
		path, at := filepath.Join(k.home, ReceiptsName, name(receivedName, r.Order)), began.Add(time.Duration(i)*time.Second)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil { // a thousand syncs take seconds
			t.Fatal(err)
		}
	}
	r.Order.Epoch = 5 // the latest is kept, whatever its epoch
	write(r)
	list, err := os.ReadDir(filepath.Join(k.home, ReceiptsName))
	if err != nil || len(list) != keepReceipts+1 || !strings.HasPrefix(list[0].Name(), "leaves-000000000000-") || !strings.HasPrefix(list[1].Name(), "leaves-000000000005-00001-n-") {
		t.Fatalf("%d files, %v", len(list), err)
	}
}

// What a host holds against a machine is kept for its owner to check. It must be
// about leaves of this machine's.
func TestLeftOut(t *testing.T) {
	h := newFakeHost(t)
	home := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: new(enginetest.Engine), Threads: 1}) }()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() { h.stop(); stop() })
	s := h.accept()
	s.say(compute(100, 1, 0))
	b := hear(s, (*workerv1.Envelope).GetBatch)
	evidence := func(change func(*delivery.Order)) *workerv1.Envelope {
		st := s.statement(b)
		change(&st.Order)
		last := delivery.Signed{Batch: st.Batch, Signature: mpoc.Signature(b.Signature)}
		found := []delivery.Found{{First: b.First, Records: b.Records, Signature: last.Signature}}
		e, err := delivery.Accuse(st.Order, mpoc.Hash{}, 10, last, found, "")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return &workerv1.Envelope{Message: &workerv1.Envelope_LeftOut{LeftOut: &workerv1.LeftOut{Epoch: b.Epoch, Segment: b.Segment, Reason: "1 of 10 leaves is wrong", Evidence: raw}}}
	}
	s.say(&workerv1.Envelope{Message: &workerv1.Envelope_LeftOut{LeftOut: &workerv1.LeftOut{Epoch: 1, Segment: 1, Reason: "so it is"}}})
	s.say(evidence(func(*delivery.Order) {}))
	for name, change := range map[string]func(*delivery.Order){
		"another machine":     func(o *delivery.Order) { o.DeviceKey[0] ^= 1 },
		"a log it never made": func(o *delivery.Order) { o.Epoch++ },
	} {
		s.say(evidence(change))
		for {
			if _, err := s.next(); err != nil {
				if !strings.Contains(err.Error(), "evidence") {
					t.Errorf("%s: closed with %v", name, err)
				}
				break
			}
		}
		close(s.over)
		s = h.accept()
	}
	h.stop()
	stop()
	paths, err := filepath.Glob(filepath.Join(home, ReceiptsName, "left-out-*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("on file: %v, %v", paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if e, err := delivery.Parse(raw); err != nil || e.Order != s.statement(b).Order {
		t.Errorf("on file: %+v, %v", e, err)
	}
}

// FuzzHandle feeds arbitrary messages to a machine that computes: it never
// panics, and its ledger stays in order.
func FuzzHandle(f *testing.F) {
	for _, e := range []*workerv1.Envelope{prepare(100), compute(100, 1, 0), compute(100, 2, 50), idle(), ack(100, 1, 3, mpoc.Signature{}), ack(100, 1, 4, mpoc.Signature{}), rerun(1, 100, 2)} {
		b, err := workerv1.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	f.Fuzz(func(t *testing.T, message []byte) {
		m := newMachine(Config{Engine: work.Reference(), Logger: slog.New(slog.DiscardHandler)}, link.Address{}, key, nil)
		d, n := m.desk, m.session
		n.welcome = &workerv1.Welcome{Chain: "c", Participant: "p", Node: "alpha"}
		b, _ := workerv1.Encode(compute(100, 1, 2))
		if err := n.handle(b); err != nil {
			t.Fatal(err)
		}
		d.ledger.records = make([]byte, 3*record.Size)
		d.ledger.sent = 4
		n.book.wrote(delivery.Statement{Order: d.order.signed, Batch: delivery.BatchOf(2, d.ledger.records[:2*record.Size])})
		_ = n.handle(message)
		if l := &d.ledger; l.base > l.sent || l.sent > l.end() {
			t.Fatalf("base %d, sent %d, end %d", l.base, l.sent, l.end())
		}
		_ = m.snapshot(time.Time{}).Line()
	})
}
