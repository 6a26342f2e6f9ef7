// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
	"github.com/assaynet/assay/worker/pool"
)

// A worker's life as a newcomer reads it in a log: each thing once, in order.
func TestJournal(t *testing.T) {
	device := func(state, reason string, p *pool.Status) []DeviceStatus {
		return []DeviceStatus{{ID: "cuda:0", State: state, Reason: reason,
			Until: "it is below 75 °C", Pool: p}, {ID: "cuda:1", State: "computing"}}
	}
	proving := &pool.Status{State: "computing", Connected: true}
	var j history
	for _, c := range []struct {
		what string
		s    Status
		want []string
	}{
		{"begins", Status{State: "testing", Reason: "comparing"}, []string{"testing: comparing"}},
		{"dials", Status{State: "connecting", Reason: "nothing listens at h:1", Next: "start it"},
			[]string{"connecting: nothing listens at h:1; start it"}},
		{"again", Status{State: "connecting", Reason: "nothing listens at h:1", Next: "start it"},
			nil},
		{"is a stranger", Status{State: "registering", Reason: "with the host's pool", Host: "h:1"},
			[]string{"registering: with the host's pool"}},
		{"works for the pool", Status{State: "mining", Reason: "not admitted yet", Connected: true,
			Host: "h:1", Devices: device("mining", "", proving)},
			[]string{"connected to h:1", "loops for the pool (not admitted yet)"}},
		{"is admitted", Status{State: "computing", Connected: true, Chain: "c", Node: "n", Epoch: 3,
			Segment: 1, Class: "nano", Until: "block 9", Computed: 5,
			Devices: device("computing", "", proving)},
			[]string{"joined the Sprints of chain c as node n", "computing epoch 3 segment 1 " +
				"(nano), until block 9"}},
		{"computes on", Status{State: "computing", Connected: true, Node: "n", Epoch: 3, Segment: 1,
			Class: "nano", Until: "block 9", Computed: 50,
			Devices: device("computing", "", proving)}, nil},
		{"is hot", Status{State: "computing", Connected: true, Node: "n", Epoch: 3, Segment: 1,
			Devices: device("paused", "88 °C", proving)}, []string{"cuda:0: paused: 88 °C, until " +
			"it is below 75 °C"}},
		{"cools down", Status{State: "computing", Connected: true, Node: "n", Epoch: 3, Segment: 1,
			Devices: device("computing", "", proving)}, []string{"cuda:0: resumed"}},
		{"is paused", Status{State: "paused", Reason: "by its owner at 19:35:35",
			Until: "it is resumed", Next: "assay-worker resume", Connected: true, Node: "n"},
			[]string{"paused: by its owner at 19:35:35, until it is resumed; assay-worker resume"}},
		{"stays paused in the next segment",
			Status{State: "paused", Reason: "by its owner at 19:35:35", Until: "it is resumed",
				Next: "assay-worker resume", Connected: true, Node: "n", Epoch: 4, Segment: 2},
			nil},
		{"goes on", Status{State: "idle", Reason: "nothing to do", Until: "block 20",
			Connected: true, Node: "n"},
			[]string{"resumed", "idle: nothing to do, until block 20"}},
		{"builds in a moment", Status{State: "building", BuildDone: 1, BuildTotal: 100, Epoch: 4,
			Class: "nano", Connected: true, Node: "n"}, nil},
		{"builds for long", Status{State: "building", BuildDone: 30, BuildTotal: 100, Epoch: 4,
			Class: "base", Connected: true, Node: "n"}, []string{"building epoch 4 (base)"}},
		{"builds on", Status{State: "building", BuildDone: 60, BuildTotal: 100, Epoch: 4,
			Class: "base", Connected: true, Node: "n"}, nil},
		{"rests", Status{State: "idle", Reason: "over", Connected: true, Node: "n",
			Devices: device("idle", "", &pool.Status{State: "unstable", Reason: "two results",
				Until: "12:00", Next: "cool it", Connected: true})},
			[]string{"idle: over", "cuda:0: unstable: two results, until 12:00; cool it"}},
		{"has no work", Status{State: "idle", Reason: "over", Connected: true, Node: "n",
			Devices: device("idle", "", &pool.Status{State: "idle", Reason: "no work now",
				Connected: true})}, []string{"cuda:0: waiting: no work now"}},
		{"hears that the chain stands still", Status{State: "idle", Reason: "over", Connected: true,
			Node: "n", Devices: device("idle", "",
				&pool.Status{State: "idle", Reason: "no work now", Connected: true,
					Still: "no block since 14:41:55 UTC"})},
			[]string{"cuda:0: warning: pay waits until the chain makes blocks again: no block " +
				"since 14:41:55 UTC"}},
		{"hears it again", Status{State: "idle", Reason: "over", Connected: true, Node: "n",
			Devices: device("idle", "", &pool.Status{State: "idle", Reason: "no work now",
				Connected: true, Still: "no block since 14:41:55 UTC"})}, nil},
		{"loses a device", Status{State: "idle", Reason: "over", Connected: true, Node: "n",
			Devices: device("disabled", "wrong answers", nil)}, []string{"cuda:0: disabled: " +
			"wrong answers, until it is below 75 °C"}},
		{"loses the host", Status{State: "connecting", Reason: "the connection broke off",
			Trouble: "the connection broke off", Next: "look", Host: "h:1",
			Devices: device("disabled", "wrong answers", nil)},
			[]string{"disconnected from h:1: the connection broke off; look"}},
		{"finds out why", Status{State: "connecting", Reason: "nothing listens at h:1",
			Trouble: "nothing listens at h:1", Host: "h:1",
			Devices: device("disabled", "wrong answers", nil)}, []string{"connecting: nothing " +
			"listens at h:1"}},
	} {
		var got []string
		for _, e := range j.follow(c.s) {
			got = append(got, e.Text())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("it %s:\n%s", c.what, d)
		}
	}
}

func TestEventText(t *testing.T) {
	challenge := pool.Event{Challenge: "0x89ab01f2cd55", Shape: "4096x4096x4096", Loops: 1200,
		Ops: 9_000_000_000, Pay: "4164874553678", Receipt: "r.json"}
	with := func(kind, reason string) Event {
		e := challenge
		e.Type, e.Reason = kind, reason
		return Event{Device: "cpu", Event: e}
	}
	account := &pool.Money{Estimated: "0", Pending: "5", Settled: "1000000000000000000"}
	for _, c := range []struct {
		e    Event
		want string
	}{
		{with("accepted", ""), "cpu: accepted 0x89ab01f2: 1200 loops, 9 GOP verified, 4.164 µCPC " +
			"more pending"},
		{with("rejected", "3 of 90 tiles are wrong"), "cpu: REJECTED 0x89ab01f2, 1200 loops: 3 " +
			"of 90 tiles are wrong; assay verify r.json"},
		{with("abstained", "abstained: two results"), "cpu: abstained: two results"},
		{with("self_check_failed", "two results for loop 7"), "cpu: SELF CHECK FAILED: two " +
			"results for loop 7"},
		{with("progress", ""), ""},
		{with("committed", ""), ""},
		{Event{Device: "cpu", Event: pool.Event{Type: "paid", Pay: "1000000000000000000",
			TxHash: "AB01", Account: account}}, "cpu: paid 1.000000 CPC in transaction AB01: " +
			"estimated 0 CPC, pending 5 acpc, settled 1.000000 CPC"},
		{event("stopped", "", "", ""), "stopped"},
		{Event{Event: pool.Event{Type: "snapshot"}, Status: &Status{State: "idle", Reason: "over",
			Until: "block 3", Earnings: account}}, "idle: over, until block 3; estimated 0 CPC, " +
			"pending 5 acpc, settled 1.000000 CPC"},
	} {
		if d := cmp.Diff(c.want, c.e.Text()); d != "" {
			t.Error(d)
		}
	}
	for kind := range strings.FieldsFuncSeq("registered challenge late faulty unanswered dropped "+
		"host_cheats", func(r rune) bool { return r == ' ' }) {
		if e := with(kind, "why"); e.Text() == "" || !strings.Contains(Events, kind) {
			t.Errorf("%s: %q", kind, e.Text())
		}
	}
}

// Who stops a worker reads what stays open and until when, and what is owed.
func TestStoppedSaysWhatIsLeft(t *testing.T) {
	at := time.Date(2026, 11, 25, 19, 42, 33, 0, time.Local)
	s := Status{
		Earnings: &pool.Money{Estimated: "0", Pending: "5", Settled: "0"},
		Devices: []DeviceStatus{{ID: "cpu",
			Pool: &pool.Status{Challenge: &pool.Progress{ID: "0x89ab01f2cd55",
				Deadline: at.UTC().Format(time.RFC3339)}}}},
	}
	want := "stopped; challenge 0x89ab01f2 is kept and goes on at the next start before " +
		"19:42:33; " + s.Earnings.Text()
	if d := cmp.Diff(want, event("stopped", "", "", s.left()).Text()); d != "" {
		t.Error(d)
	}
	if left := (Status{Devices: []DeviceStatus{{ID: "cpu"}}}).left(); left != "" {
		t.Error(left)
	}
}

// listening runs a worker and waits for events.
func listening(t *testing.T, url string, c Config) (wait func(is func(Event) bool) Event) {
	t.Helper()
	var mu sync.Mutex
	var all []Event
	come := sync.NewCond(&mu)
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	c.URL, c.Engine = url, new(enginetest.Engine)
	if c.Home == "" {
		c.Home = t.TempDir()
	}
	c.Event = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, e)
		come.Broadcast()
	}
	over.Go(func() {
		if err := Run(ctx, c); err != nil && !errors.Is(err, pool.ErrUnstable) {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); over.Wait() })
	return func(is func(Event) bool) Event {
		mu.Lock()
		defer mu.Unlock()
		for {
			for i, e := range all {
				if is(e) {
					all = all[i+1:]
					return e
				}
			}
			all = nil
			come.Wait()
		}
	}
}

// A host goes over to another connection with the same key: it is another machine
// with a copy of the key, and its owner is told so.
func TestTakenOver(t *testing.T) {
	h := newFakeHost(t)
	defer h.stop()
	wait := listening(t, h.url, Config{})
	s := h.accept()
	wait(func(e Event) bool { return e.Type == "joined" && e.Node == "alpha" })
	s.Close("another connection of this node took over")
	close(s.over)
	e := wait(func(e Event) bool { return e.Type == "disconnected" })
	if !strings.Contains(e.Reason, "another machine connected with this machine's key") ||
		!strings.Contains(e.Next, "--home") {
		t.Errorf("%+v", e)
	}
}

// refusing is a host without a pool that refuses every worker, with what says says of its key.
func refusing(t *testing.T, says func(key string) (reason, next string)) (url string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32)))
	config, err := link.ServerTLS(key)
	if err != nil {
		t.Fatal(err)
	}
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != workerv1.Path {
			http.NotFound(w, r) // no pool
			return
		}
		c, err := link.Accept(w, r, limits)
		if err != nil {
			return
		}
		defer c.Abort()
		if _, err := c.Receive(r.Context()); err != nil {
			return
		}
		peer, _ := link.PeerKey(*r.TLS)
		reason, next := says(hex.EncodeToString(peer))
		message, err := workerv1.Encode(&workerv1.Envelope{
			Message: &workerv1.Envelope_Refuse{Refuse: &workerv1.Refuse{Reason: reason,
				NextStep: next}}})
		if err == nil {
			err = c.Send(r.Context(), message)
		}
		if err != nil {
			t.Error(err)
		}
		c.Close("refused")
	})
	s := httptest.NewUnstartedServer(refuse)
	s.TLS, s.Config.ConnContext, s.Config.ErrorLog = config, link.ConnContext,
		slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return link.Address{HostPort: s.Listener.Addr().String(),
		Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}.String()
}

// A refusal is said with its reason each time, and since when.
func TestRefusalsAreSaid(t *testing.T) {
	url := refusing(t, func(string) (string, string) {
		return "its disk is full", "wait until the host's owner has made room"
	})
	wait := listening(t, url, Config{NoPool: true})
	e := wait(func(e Event) bool {
		return e.Type == "connecting" && strings.Contains(e.Reason, "trying again in")
	})
	if !strings.HasPrefix(e.Reason, "refused by the host: its disk is full; trying again in ") ||
		strings.Contains(e.Reason, "00:00:00") ||
		strings.Contains(e.Reason, "(1st time)") || !strings.Contains(e.Next, "made room") {
		t.Errorf("%+v", e)
	}
}

// A full disk of this machine is not blamed on the host.
func TestOwnDiskIsNotTheHosts(t *testing.T) {
	s := newMachine(Config{}, link.Address{HostPort: "pool.example:4711"},
		ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32))), nil).session
	full := fmt.Errorf("worker: %w", &fs.PathError{Op: "write", Path: "/home/rig/signed/01",
		Err: syscall.ENOSPC})
	if reason, next, _ := s.why(full); !strings.Contains(reason, "this machine's disk is full: "+
		"/home/rig/signed/01") || strings.Contains(next, "host") {
		t.Errorf("%s; %s", reason, next)
	}
}

// A machine that the host does not know is told what there is to do: nothing while
// the host's pool takes it, and to ask the host's owner where there is none.
func TestStranger(t *testing.T) {
	url := refusing(t, func(key string) (string, string) {
		return "this host does not know key " + key,
			"ask the host's owner to run: assay host allow KEY"
	})
	wait := listening(t, url, Config{})
	e := wait(func(e Event) bool { return e.Type == "registering" && e.Next != "" })
	if !strings.Contains(e.Reason, "has no pool that takes any machine") ||
		!strings.Contains(e.Next, "assay host allow ") {
		t.Errorf("%+v", e)
	}
	wait = listening(t, url, Config{NoPool: true})
	e = wait(func(e Event) bool { return e.Type == "registering" })
	if e.Reason != "the host does not know this machine's key" ||
		!strings.Contains(e.Next, "assay host allow ") {
		t.Errorf("%+v", e)
	}
}

// A reader that stands still keeps nobody from working; it learns later that it
// missed something.
func TestSlowReader(t *testing.T) {
	m := newMachine(Config{Event: func(Event) {}}, link.Address{},
		ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32))), nil).teller
	m.history.begun = true
	for range eventRoom + 10 {
		m.tell(event("idle", "", "", "")) // nobody listens yet
	}
	var all []Event
	m.event = func(e Event) { all = append(all, e) }
	for range 2 { // room for what follows
		all = append(all, <-m.events)
	}
	over := m.listener()
	m.stopped(nil)
	<-over
	n := len(all)
	if n != eventRoom+2 || all[n-2].Type != "missed" ||
		!strings.Contains(all[n-2].Reason, "events before this one") || all[n-1].Type != "stopped" {
		t.Errorf("%d events, the last %+v", n, all[n-2:])
	}
}

// flaky is an engine of which one unit comes out wrong, once.
type flaky struct {
	*enginetest.Engine
	unit uint64
	done atomic.Bool
}

type flakyModel struct {
	transformer.Model
	engine *flaky
}

func (e *flaky) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.Engine.Transformer(ctx, class, seed1, progress)
	if err != nil || seed1 == seedOf(1) { // the self-test's
		return m, err
	}
	return &flakyModel{m, e}, nil
}

func (m *flakyModel) Close() error { return m.Model.(io.Closer).Close() }

func (m *flakyModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	for i, nonce := range nonces {
		if nonce == m.engine.unit && m.engine.done.CompareAndSwap(false, true) {
			dst[i].Digest[0] ^= 1
		}
	}
	return err
}

// A device that errs once is found by its own machine before the host sees the
// unit: it is named, and not used any longer.
func TestSelfAudit(t *testing.T) {
	h := newFakeHost(t)
	defer h.stop()
	bad := &flaky{Engine: new(enginetest.Engine), unit: 0}
	wait := listening(t, h.url, Config{SelfAudit: 1,
		Devices: []Device{{ID: "cuda:0", Name: "Bad Card", Engine: bad, Threads: 1}}})
	s := h.accept()
	s.say(compute(4, 1, 0))
	e := wait(func(e Event) bool { return e.Type == "self_check_failed" })
	if e.Device != "cuda:0" || !strings.Contains(e.Reason, "cuda:0 Bad Card gave two results for "+
		"unit 0") || !strings.Contains(e.Next, "memory") {
		t.Errorf("%+v", e)
	}
	rests := wait(func(e Event) bool {
		return e.Type == "paused" && strings.HasPrefix(e.Reason, "cuda:0: it rests")
	})
	if until, err := time.Parse(time.RFC3339, rests.Until); err != nil ||
		time.Until(until) > time.Minute {
		t.Errorf("%+v", rests)
	}
	for {
		e, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if e.GetBatch() != nil {
			t.Fatal("the unit was sent")
		}
		if strings.Contains(e.GetStatus().GetReason(), "it rests") {
			break
		}
	}
	close(s.over)
}
