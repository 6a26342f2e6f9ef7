// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
)

// Whatever order devices finish and fail in, every unit's result comes once and
// in order, and no unit is handed to two devices at a time.
func TestEveryUnitComesOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, limit := rapid.Uint64Range(0, 10).Draw(t, "from"),
			rapid.Uint64Range(10, 200).Draw(t, "limit")
		s := share{end: from, next: from}
		var busy []*slice
		held := make(map[uint64]bool)
		expect := from
		put := func(i int) {
			x := busy[i]
			busy = slices.Delete(busy, i, i+1)
			results := make([]transformer.Output, x.n)
			for k := range results {
				results[k].Norm = x.first + uint64(k)
			}
			for _, o := range s.put(x, results) {
				if o.Norm != expect {
					t.Fatalf("unit %d, want %d", o.Norm, expect)
				}
				expect++
			}
			if s.end != expect {
				t.Fatalf("end %d, want %d", s.end, expect)
			}
		}
		take := func(n uint64) bool {
			x := s.take(n, limit)
			if x == nil {
				return false
			}
			if x.n == 0 || x.n > n || x.first+x.n > limit {
				t.Fatalf("slice of %d from %d", x.n, x.first)
			}
			for k := range x.n {
				if held[x.first+k] {
					t.Fatalf("unit %d is handed out twice", x.first+k)
				}
				held[x.first+k] = true
			}
			busy = append(busy, x)
			return true
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(busy) == 0 || rapid.Bool().Draw(t, "take") {
				take(rapid.Uint64Range(1, 30).Draw(t, "n"))
				continue
			}
			i := rapid.IntRange(0, len(busy)-1).Draw(t, "which")
			if rapid.IntRange(0, 2).Draw(t, "fails") > 0 {
				put(i)
				continue
			}
			x := busy[i]
			for k := range x.n {
				held[x.first+k] = false
			}
			s.giveBack(x)
			busy = slices.Delete(busy, i, i+1)
		}
		for take(7) || len(busy) > 0 {
			put(0)
		}
		if expect != max(limit, from) || len(s.out) != 0 {
			t.Fatalf("%d of %d units, %d slices left", expect, limit, len(s.out))
		}
		stranger := &slice{n: 1}
		s.giveBack(stranger)
		if ready := s.put(stranger, make([]transformer.Output, 1)); ready != nil ||
			s.end != expect {
			t.Fatal("a stranger's slice was taken")
		}
	})
}

// failing is an engine that computes until it is told to fail. Answers to the
// self-test stay right unless rotten.
type failing struct {
	*enginetest.Engine
	slow         bool
	fail, rotten atomic.Bool
	units        atomic.Uint64
}

var errFell = errors.New("the device has fallen off the bus")

func (e *failing) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	if e.rotten.Load() && seed1 == seedOf(1) {
		// another model's answers
		return (&enginetest.Engine{}).Transformer(ctx, class, seedOf(99), nil)
	}
	m, err := e.Engine.Transformer(ctx, class, seed1, progress)
	if err != nil || seed1 == seedOf(1) { // the self-test's
		return m, err
	}
	return &failingModel{m, e}, nil
}

type failingModel struct {
	transformer.Model
	engine *failing
}

func (m *failingModel) Close() error { return m.Model.(io.Closer).Close() }

func (m *failingModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	if m.engine.fail.Load() {
		return errFell
	}
	m.engine.units.Add(uint64(len(nonces)))
	if m.engine.slow {
		for _, nonce := range nonces {
			(&enginetest.Engine{Rounds: 200}).Output(node, node, segment, nonce)
		}
	}
	return m.Model.Run(dst, node, segment, nonces)
}

// several runs a worker of h with devices. last waits until what it says of them
// is so; nil is anything.
func several(t *testing.T, h *fakeHost, devices ...Device) (last func(is func(Status) bool) Status,
	end <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	home := t.TempDir()
	var mu sync.Mutex
	told := sync.NewCond(&mu)
	var status Status
	var over sync.WaitGroup
	over.Go(func() {
		ended <- Run(ctx, Config{URL: h.url, Home: home, Devices: devices, Status: func(s Status) {
			mu.Lock()
			defer mu.Unlock()
			status = s
			told.Broadcast()
		}})
	})
	t.Cleanup(func() { h.stop(); cancel(); over.Wait() })
	return func(is func(Status) bool) Status {
		mu.Lock()
		defer mu.Unlock()
		for is != nil && !is(status) {
			told.Wait()
		}
		return status
	}, ended
}

// nextBatch acknowledges the next batch, which must follow the one before.
func (s *socket) nextBatch(first uint64) uint64 {
	s.t.Helper()
	b := hear(s, (*workerv1.Envelope).GetBatch)
	end := checkBatch(s.t, b, first)
	s.ack(b)
	return end
}

// Two devices of different speeds share a segment; one fails in the middle of
// it. No leaf is lost, the order is kept, the other goes on, and the owner is
// told. With the last device the worker ends.
func TestDevicesShareAndFail(t *testing.T) {
	quick, slow := &failing{Engine: new(enginetest.Engine)},
		&failing{Engine: new(enginetest.Engine), slow: true}
	h := newFakeHost(t)
	last, end := several(t, h,
		Device{ID: "cuda:0", Name: "Quick", Engine: quick, Threads: 1},
		Device{ID: "cpu", Name: "Slow", Engine: slow, Threads: 1},
		Device{ID: "cuda:1", Name: "Burnt", Fault: "it gave wrong answers"})
	s := h.accept()
	s.say(compute(100, 1, 0))
	at := uint64(0)
	for quick.units.Load() == 0 || slow.units.Load() == 0 || at < 5000 {
		at = s.nextBatch(at)
	}
	quick.fail.Store(true)
	for range 5 {
		at = s.nextBatch(at)
	}
	quicks, slows := quick.units.Load(), slow.units.Load()
	for slow.units.Load() == slows {
		at = s.nextBatch(at)
	}
	if quick.units.Load() != quicks {
		t.Error("a failed device goes on")
	}
	for {
		d := last(nil).Devices
		if len(d) == 3 && d[0].State == "disabled" &&
			strings.Contains(d[0].Reason, "fallen off the bus") &&
			d[1].State == "computing" && d[1].Computed > 0 && d[2].State == "disabled" &&
			d[2].Reason == "it gave wrong answers" {
			break
		}
		at = s.nextBatch(at)
	}
	if line := last(nil).Line(); !strings.Contains(line, "cuda:0 disabled (worker: compute epoch "+
		"100 segment 1") || !strings.Contains(line, "cuda:1 disabled (it gave wrong answers)") {
		t.Errorf("line %s", line)
	}

	s.say(rerun(1, 100, 5, 6, 7)) // the one that is left does it
	if r := hear(s, (*workerv1.Envelope).GetRerunResult); r.Job != 1 || r.Error != "" {
		t.Errorf("rerun: %v", r)
	}
	slow.fail.Store(true)
	close(s.over) // or it waits for the host to agree
	err := <-end
	if !errors.Is(err, ErrDevices) || !errors.Is(err, errFell) {
		t.Fatalf("ended with %v", err)
	}
	for _, part := range []string{"device cuda:0", "device cpu", "device cuda:1: it gave wrong " +
		"answers"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not tell of %s", err, part)
		}
	}
	if quick.Open() != 0 || slow.Open() != 0 {
		t.Errorf("%d and %d models were not closed", quick.Open(), slow.Open())
	}
}

// A job is split among devices, and its outputs are in order.
func TestDevicesShareAJob(t *testing.T) {
	both := make(chan struct{})
	var meet sync.WaitGroup
	meet.Add(2)
	go func() { meet.Wait(); close(both) }()
	h := newFakeHost(t)
	_, _ = several(t, h,
		Device{ID: "a", Engine: meeting{new(enginetest.Engine), sync.OnceFunc(meet.Done), both},
			Threads: 1},
		Device{ID: "b", Engine: meeting{new(enginetest.Engine), sync.OnceFunc(meet.Done), both},
			Threads: 1})
	s := h.accept()
	nonces := []uint64{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1 << 40}
	s.say(rerun(3, 100, nonces...))
	r := hear(s, (*workerv1.Envelope).GetRerunResult)
	if r.Error != "" || len(r.Outputs) != len(nonces)*transformer.OutputSize {
		t.Fatalf("%v", r)
	}
	for i, nonce := range nonces {
		if o := new(enginetest.Engine).Output(seedOf(100), seedOf(40), seedOf(41),
			nonce); o != transformer.OutputAt(r.Outputs, i) {
			t.Fatalf("output %d is wrong", i)
		}
	}
}

// meeting is an engine that computes only when all have been asked to.
type meeting struct {
	*enginetest.Engine
	came func()
	both <-chan struct{}
}

func (e meeting) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.Engine.Transformer(ctx, class, seed1, progress)
	if seed1 == seedOf(1) {
		return m, err
	}
	return meetingModel{m, e}, err
}

type meetingModel struct {
	transformer.Model
	engine meeting
}

func (m meetingModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	m.engine.came()
	<-m.engine.both
	return m.Model.Run(dst, node, segment, nonces)
}

// A device that cannot hold the model leaves it to the others; where none can,
// the host is told of all reasons.
func TestModelFitsOneDevice(t *testing.T) {
	small := &enginetest.Engine{Build: func(context.Context,
		seed.Seed) error {
		return errors.New("out of device memory")
	}}
	large := &enginetest.Engine{Build: func(_ context.Context, s seed.Seed) error {
		if s == seedOf(101) {
			return errors.New("a power cut")
		}
		return nil
	}}
	h := newFakeHost(t)
	last, _ := several(t, h, Device{ID: "small", Engine: small, Threads: 1},
		Device{ID: "large", Engine: large, Threads: 1})
	s := h.accept()
	s.say(prepare(100))
	if r := hear(s, (*workerv1.Envelope).GetModelReady); r.Epoch != 100 {
		t.Fatalf("ready for %d", r.Epoch)
	}
	s.say(compute(100, 1, 0))
	at := s.nextBatch(0)
	for {
		if d := last(nil).Devices; len(d) == 2 && d[0].State == "faulted" &&
			strings.Contains(d[0].Reason, "out of device memory") && d[1].State == "computing" {
			break
		}
		at = s.nextBatch(at)
	}
	s.say(rerun(1, 100, 1))
	if r := hear(s, (*workerv1.Envelope).GetRerunResult); r.Error != "" {
		t.Errorf("rerun: %v", r)
	}
	s.say(rerun(2, 101, 1))
	if r := hear(s, (*workerv1.Envelope).GetRerunResult); !strings.Contains(r.Error,
		"out of device memory") || !strings.Contains(r.Error, "a power cut") {
		t.Errorf("rerun: %v", r)
	}
}

// Each device is proved again with every model: one whose answers have rotted is
// dropped, loudly, and the others go on.
func TestRottenDevice(t *testing.T) {
	sound, rotten := &failing{Engine: new(enginetest.Engine)},
		&failing{Engine: new(enginetest.Engine)}
	h := newFakeHost(t)
	last, _ := several(t, h, Device{ID: "cuda:0", Engine: sound, Threads: 1},
		Device{ID: "cuda:1", Engine: rotten, Threads: 1})
	s := h.accept()
	rotten.rotten.Store(true)
	s.say(compute(100, 1, 0))
	for at := uint64(0); ; at = s.nextBatch(at) {
		if d := last(nil).Devices; len(d) == 2 && d[1].State == "disabled" &&
			strings.Contains(d[1].Reason, "self-test") && d[0].State == "computing" {
			break
		}
	}
	if n := rotten.units.Load(); n != 0 {
		t.Errorf("a rotten device computed %d units", n)
	}
}

// One of two engines is wrong from the start.
func TestBrokenFromTheStart(t *testing.T) {
	h := newFakeHost(t)
	last, _ := several(t, h, Device{ID: "good", Engine: new(enginetest.Engine), Threads: 1},
		Device{ID: "bad", Engine: brokenEngine{work.Reference()}, Threads: 1})
	s := h.accept()
	s.say(compute(100, 1, 0))
	for at := uint64(0); ; at = s.nextBatch(at) {
		if d := last(nil).Devices; len(d) == 2 && d[1].State == "disabled" &&
			strings.Contains(d[1].Reason, "nothing is computed with it") &&
			d[0].State == "computing" {
			break
		}
	}
	if e := last(nil).Engine; e != "test" {
		t.Errorf("engines in use: %s", e)
	}
}

// A device that is too hot pauses until it has cooled down, and says so.
func TestTemperature(t *testing.T) {
	var celsius atomic.Int64
	celsius.Store(85)
	h := newFakeHost(t)
	last, _ := several(t, h, Device{ID: "cuda:0", Engine: new(enginetest.Engine), Threads: 1,
		TempLimit: 85, TempResume: 75,
		Gauges: func(time.Time) (Gauges, error) {
			return Gauges{TemperatureC: new(celsius.Load())}, nil
		}})
	s := h.accept()
	s.say(compute(100, 1, 0))
	hear(s, func(e *workerv1.Envelope) *workerv1.Status {
		if st := e.GetStatus(); strings.Contains(st.GetReason(), "cuda:0 is too hot: it reached "+
			"85 °C, the limit is 85 °C") && st.Until == "it is below 75 °C" {
			return st
		}
		return nil
	})
	if s := last(func(s Status) bool {
		return s.State == "paused"
	}); s.Devices[0].State != "paused" || *s.Devices[0].TemperatureC != 85 {
		t.Errorf("status %+v", s)
	}
	celsius.Store(74)
	s.nextBatch(0)
}

// A limit that cannot act is in the status, and told once.
func TestAWarningIsToldOnce(t *testing.T) {
	m := newMachine(Config{Devices: []Device{
		{ID: "none", Engine: work.Reference(), TempLimit: 85, TempResume: 75,
			NoGauges: "no driver"},
	}, Logger: slog.New(slog.DiscardHandler)}, link.Address{}, nil, nil)
	row, _ := m.desk.places[0].row(time.Now())
	if row.Warning == "" {
		t.Error("the status does not say so")
	}
	j := &history{devices: map[string]string{}, pools: map[string]string{},
		warned: map[string]string{}, still: map[string]string{}}
	s := Status{State: "computing", Devices: []DeviceStatus{row}}
	events := j.device(s, s.Devices[0])
	if len(events) != 1 || events[0].Type != "warning" ||
		!strings.Contains(events[0].Text(), "none: warning: its limit") {
		t.Errorf("%+v", events)
	}
	if again := j.device(s, s.Devices[0]); len(again) != 0 {
		t.Errorf("said again: %+v", again)
	}
}

func TestDeviceErrors(t *testing.T) {
	for name, d := range map[string]Device{
		"no id":     {Engine: work.Reference()},
		"no engine": {ID: "cpu"},
		"limits":    {ID: "cpu", Engine: work.Reference(), TempLimit: 80, TempResume: 80},
	} {
		if err := Run(t.Context(),
			Config{URL: someURL, Home: t.TempDir(), Devices: []Device{d}}); !errors.Is(err,
			ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := Run(t.Context(), Config{URL: someURL, Home: t.TempDir(),
		Devices: []Device{{ID: "cuda:0", Fault: "it burns"}}})
	if !errors.Is(err, ErrDevices) || !strings.Contains(err.Error(), "device cuda:0: it burns") {
		t.Errorf("only broken devices: %v", err)
	}
}
