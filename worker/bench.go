// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/pool"
)

// A slice of work takes a device about sliceTime: between slices orders are
// looked at.
const (
	sliceTime = 100 * time.Millisecond
	sliceMax  = 8192 // units
	// selfAudit is N where its owner has not chosen: one unit in N is computed twice.
	selfAudit = 256
)

// job is samples to run again. All of it belongs to machine.mu but rerun and
// model, which do not change.
type job struct {
	rerun *workerv1.Rerun
	model modelKey
	share share
	out   []transformer.Output // so far, in order
	// refused says which devices cannot build the model, and why.
	refused map[*bench]error
}

// bench is one device at work.
type bench struct {
	*machine
	Device
	models *models
	wake   chan struct{} // capacity 1: orders, room, models, samples

	// What only the bench's goroutine sees.
	order  *order          // the one claim belongs to
	claim  *claim          // nil when idle
	claims map[*job]*claim // of jobs
	slice  int             // units in a slice
	tended string          // what the gate was told last
	gate   pool.Gate       // of the loops between sprints

	// What belongs to machine.mu.
	out      string // why it is out of use, for good
	hot      string // why it pauses
	hotUntil string
	// felt says that its temperature could be read, blind since when it cannot be any more, and
	// unguarded why not.
	felt      bool
	blind     time.Time
	unguarded string
	fault     string   // why it cannot carry out the order
	build     progress // of the model that the order needs
	rerunning bool
	gauges    Gauges
	pool      *pool.Machine // nil where the host has none
	ended     string        // why no more challenges are taken
	waits     string        // why none are yet, and what helps
	waitsNext string
	rate      meter
	units     uint64 // of segments, since the start
	// Units computed twice, and those of them that came out differently.
	selfChecks, failedSelfChecks uint64
	rest                         rest
}

// rest is a device's pause after two results for one unit. Memory flips bits, so
// one does not put it out of use; it is longer each time, until enough units were
// the same both times, and the last is for good.
type rest struct {
	why   string // "" while it works
	until time.Time
	times int // in a row
	same  int // units since the last
}

const (
	firstRest = time.Minute
	mostRests = 5
	sameUnits = 16
)

// unstable has the device rest, and tells whether it may go on afterwards. The
// caller holds mu.
func (b *bench) unstable(err error) bool {
	if b.rest.times++; b.rest.times >= mostRests {
		return false
	}
	d := firstRest << (b.rest.times - 1)
	b.rest.why, b.rest.until, b.rest.same = err.Error(), time.Now().Add(d), 0
	time.AfterFunc(d, func() {
		b.mu.Lock()
		b.rest.why = ""
		b.changed()
		b.mu.Unlock()
		poke(b.wake)
	})
	b.changed()
	b.config.Logger.Warn("a device rests", "device", b.ID, "reason", err, "for", d)
	return true
}

// halted says why a device takes no work, and until when; "" if it does. The
// caller holds mu.
func (b *bench) halted() (reason, until string) {
	switch {
	case b.hot != "":
		return b.hot, b.hotUntil
	case b.rest.why != "":
		return "it rests: " + b.rest.why, b.rest.until.UTC().Format(time.RFC3339)
	}
	return "", ""
}

// run owns the device until ctx ends or the device proves broken.
func (b *bench) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer b.models.close()
	defer cancel()
	for {
		busy, err := b.step(ctx)
		if err != nil {
			return err
		}
		if busy && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.wake:
		}
	}
}

// step does one slice of the most urgent work; false when there is none.
func (b *bench) step(ctx context.Context) (busy bool, err error) {
	if err := b.follow(ctx); err != nil {
		return false, err
	}
	p := b.take()
	b.tend(p != nil)
	if p == nil {
		return false, nil
	}
	out := make([]transformer.Output, len(p.nonces))
	began := time.Now()
	err = b.compute(p.model, out, p.node, p.segment, p.nonces)
	if err == nil {
		err = b.audit(p, out)
	}
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.rerunning = false
		p.share.giveBack(p.slice)
		if errors.Is(err, pool.ErrUnstable) && b.unstable(err) {
			return false, nil
		}
		return false, fmt.Errorf("worker: compute %s on %s: %w", p.what, b.Engine.Name(), err)
	}
	if p.job == nil {
		b.pace(time.Since(began), len(out))
	}
	b.put(p, out)
	return true, nil
}

// audit computes one unit in selfAudit again, in another batch, before anything
// of the slice is handed in: a device that gives two results for one unit is
// found by its owner's own machine.
func (b *bench) audit(p *piece, out []transformer.Output) error {
	var at []int
	var nonces []uint64
	for i := range out {
		if rand.Uint64N(b.selfAudit()) == 0 {
			at, nonces = append(at, i), append(nonces, p.nonces[i])
		}
	}
	if len(at) == 0 {
		return nil
	}
	again := make([]transformer.Output, len(at))
	if err := b.compute(p.model, again, p.node, p.segment, nonces); err != nil {
		return err
	}
	wrong := uint64(0)
	var err error
	for i, o := range again {
		if o != out[at[i]] {
			wrong++
			err = fmt.Errorf("%w: %s gave two results for unit %d", pool.ErrUnstable, b.describe(), nonces[i])
		}
	}
	b.mu.Lock()
	b.selfChecks += uint64(len(at))
	b.failedSelfChecks += wrong
	if b.rest.same += len(at); wrong == 0 && b.rest.same >= sameUnits {
		b.rest.times = 0
	}
	b.mu.Unlock()
	if err != nil {
		e := event(pool.SelfCheckFailed, err.Error(), "", "lower the device's clocks and temperature and test its memory; it goes on by itself after a rest")
		e.Device = b.ID
		b.tell(e)
	}
	return err
}

func (m *machine) selfAudit() uint64 {
	if m.config.SelfAudit == 0 {
		return selfAudit
	}
	return m.config.SelfAudit
}

// pace makes slices longer or shorter.
func (b *bench) pace(took time.Duration, n int) {
	switch {
	case took < sliceTime/2 && n == b.slice:
		b.slice = min(2*b.slice, sliceMax)
	case took > 2*sliceTime:
		b.slice = max(b.slice/2, b.Threads)
	}
}

// follow takes up new orders and jobs, and watches their models being built.
func (b *bench) follow(ctx context.Context) error {
	b.mu.Lock()
	o := b.machine.order
	jobs := slices.Clone(b.jobs)
	b.mu.Unlock()
	if o != b.order {
		old := b.claim
		b.claim = nil
		if !o.idle() {
			b.claim = b.models.claim(ctx, o.model)
		}
		if old != nil { // after the new claim, which may be on the same model
			b.models.release(old)
			if b.claim == nil || b.claim.key.class != old.key.class {
				b.slice = b.Threads
			}
		}
		b.order = o
	}
	for _, j := range jobs {
		if b.claims[j] == nil {
			b.claims[j] = b.models.claim(ctx, j.model)
		}
	}
	for j, c := range b.claims {
		if !slices.Contains(jobs, j) {
			b.models.release(c)
			delete(b.claims, j)
			continue
		}
		if _, _, err := b.models.look(c); errors.Is(err, ErrSelfTest) {
			return err
		} else if err != nil {
			b.mu.Lock()
			j.refused[b] = err
			b.refuse(j)
			b.mu.Unlock()
		}
	}
	if b.claim == nil {
		b.mu.Lock()
		b.build, b.fault = progress{}, ""
		b.mu.Unlock()
		return nil
	}
	model, state, err := b.models.look(b.claim)
	if errors.Is(err, ErrSelfTest) {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.machine.order != o {
		return nil // the next step follows it
	}
	b.build, b.fault = state, ""
	if err != nil {
		b.fault = fmt.Sprintf("the model of epoch %d (class %s) could not be built: %v", o.epoch, o.model.class.Name, err)
	}
	if model != nil && !b.told { // the first device that is ready can begin
		b.told = true
		b.ready = &workerv1.ModelReady{Epoch: o.epoch, LoadMs: uint64(state.took.Milliseconds())}
	}
	poke(b.sendWake)
	poke(b.reportWake)
	return nil
}

// piece is a slice with all that it takes to compute it.
type piece struct {
	share         *share
	slice         *slice
	job           *job   // nil for the segment's
	order         *order // of the segment
	model         transformer.Model
	node, segment seed.Seed
	nonces        []uint64
	what          string // for errors
}

// take gets the next piece of the most urgent work that the device has the model
// for, nil when there is none or it has to cool down.
func (b *bench) take() *piece {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rerunning = false
	if reason, _ := b.halted(); reason != "" || !b.paused.IsZero() {
		return nil
	}
	for _, j := range b.jobs {
		c := b.claims[j]
		if c == nil {
			continue // it came a moment ago; the next step sees it
		}
		model, _, _ := b.models.look(c)
		if model == nil {
			continue
		}
		r := j.rerun
		s := j.share.take(uint64(b.slice), uint64(len(r.Nonces)))
		if s == nil {
			continue
		}
		b.rerunning = true
		return &piece{
			share: &j.share, slice: s, job: j, model: model, node: seed.Seed(r.NodeSeed), segment: seed.Seed(r.SegmentSeed),
			nonces: r.Nonces[s.first : s.first+s.n], what: fmt.Sprintf("job %d", r.Job),
		}
	}
	o := b.order
	if b.claim == nil || o.segment == 0 || b.machine.order != o {
		return nil // a new order has poked
	}
	model, _, _ := b.models.look(b.claim)
	if model == nil {
		return nil
	}
	s := b.ledger.share.take(uint64(b.slice), min(b.ledger.base+maxUnacked, b.ledger.stop))
	if s == nil {
		return nil
	}
	p := &piece{
		share: &b.ledger.share, slice: s, order: o, model: model, node: o.nodeSeed, segment: o.segmentSeed,
		nonces: make([]uint64, s.n), what: fmt.Sprintf("epoch %d segment %d", o.epoch, o.segment),
	}
	for i := range p.nonces {
		p.nonces[i] = s.first + uint64(i)
	}
	return p
}

// put hands results in. Those of a job or an order that is over are dropped.
func (b *bench) put(p *piece, out []transformer.Output) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j := p.job; j != nil {
		b.reruns += uint64(len(out))
		j.out = append(j.out, j.share.put(p.slice, out)...)
		if len(j.out) == len(j.rerun.Nonces) {
			b.rerunning = false // nothing else may wake those who are told
			b.answer(j, nil)
		}
		return
	}
	if b.machine.order != p.order {
		return
	}
	b.units += uint64(len(out))
	b.rate.add(time.Now(), uint64(len(out)))
	// Where the host moved the resume point meanwhile, the slice is not the ledger's.
	b.ledger.put(p.slice, out)
	poke(b.sendWake)
}

// answer ends a job, with its results or an error. The caller holds mu. A job
// that is over already is not answered again.
func (m *machine) answer(j *job, err error) {
	i := slices.Index(m.jobs, j)
	if i < 0 {
		return
	}
	m.jobs = slices.Delete(m.jobs, i, i+1)
	result := &workerv1.RerunResult{Job: j.rerun.Job}
	if err != nil {
		result.Error = workerv1.Clip(err.Error(), workerv1.MaxText)
	} else {
		for i := range j.out {
			o := &j.out[i]
			result.Outputs = o.Append(result.Outputs)
		}
	}
	m.results = append(m.results, result)
	m.changed()
}

// refuse ends a job that no device can do any more. The caller holds mu.
func (m *machine) refuse(j *job) {
	var reasons []error
	for _, b := range m.live() {
		if j.refused[b] == nil {
			return
		}
		reasons = append(reasons, j.refused[b])
	}
	if len(reasons) > 0 { // with no device the worker ends
		m.answer(j, errors.Join(reasons...))
	}
}

// compute runs units, split over the device's threads.
func (b *bench) compute(model transformer.Model, out []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	threads := min(b.Threads, len(nonces))
	errs := make([]error, threads)
	var running sync.WaitGroup
	for t := range threads {
		from, to := len(nonces)*t/threads, len(nonces)*(t+1)/threads
		running.Go(func() { errs[t] = model.Run(out[from:to], node, segment, nonces[from:to]) })
	}
	running.Wait()
	return errors.Join(errs...)
}
