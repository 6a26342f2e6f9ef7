// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/pool"
)

// ErrSelfTest reports an engine that does not reproduce published answers.
var ErrSelfTest = errors.New("worker: the engine failed its self-test")

// A slice of work takes a device about sliceTime: between slices orders are
// looked at.
const (
	sliceTime = 100 * time.Millisecond
	sliceMax  = 8192 // units
	// selfAudit is N where its owner has not chosen: one unit in N is computed twice.
	selfAudit = 256
)

// Config is what a Runner is made of.
type Config struct {
	Device
	// SelfAudit is N: one unit in N is computed twice. 0 is 256.
	SelfAudit uint64
	Desk      Desk
	// Changed is called where State gives something else that its owner would notice. It must not
	// wait, nor call back.
	Changed func()
	// Differs is called with what a unit's second result says about the device.
	Differs func(error)
	Logger  *slog.Logger
}

// Runner is one device at work.
type Runner struct {
	Device
	desk      Desk
	changed   func()
	differs   func(error)
	logger    *slog.Logger
	selfAudit uint64
	models    *models
	wake      chan struct{} // capacity 1: orders, room, models, samples

	// What only the Runner's goroutine sees.
	segment *Need            // the one claim belongs to
	claim   *claim           // nil when idle
	claims  map[*Need]*claim // of samples
	slice   int              // units in a slice

	mu sync.Mutex // over what follows
	heat
	rest      rest
	built     *Need    // the one that build and fault are of
	build     Progress // of its model
	fault     string   // why it cannot be built
	rerunning bool
	rate      meter
	units     uint64 // of segments, since the start
	// Units computed twice, and those of them that came out differently.
	selfChecks, failedSelfChecks uint64
}

// New returns a Runner for a device that is valid.
func New(c Config) *Runner {
	if c.SelfAudit == 0 {
		c.SelfAudit = selfAudit
	}
	r := &Runner{
		Device: c.Device, desk: c.Desk, changed: c.Changed, differs: c.Differs, logger: c.Logger,
		selfAudit: c.SelfAudit,
		wake:      make(chan struct{}, 1), claims: make(map[*Need]*claim), slice: c.Threads,
	}
	r.models = newModels(c.Engine, r.Wake)
	return r
}

// Wake has the Runner look at its desk. It never waits.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// State is what a Runner is at.
type State struct {
	// Halted is why it takes no work, and Until what ends that; TooHot says the first for the whole
	// worker, where it is the device's temperature.
	Halted, Until, TooHot string
	Fault                 string // why it cannot do what the segment needs
	Build                 Progress
	Rerunning             bool
	// of segments, since the start, and per 1,000 seconds over the last minute
	Units, Rate1m uint64
	// Units computed twice, and those of them that came out differently.
	SelfChecks, FailedSelfChecks uint64
	Gauges                       Gauges
	Warning                      string // what protects it less than its owner may think
}

// State tells what the Runner is at, for a segment's need.
func (r *Runner) State(now time.Time, segment *Need) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := State{
		Rerunning: r.rerunning, Units: r.units, Rate1m: r.rate.milli(now),
		SelfChecks: r.selfChecks, FailedSelfChecks: r.failedSelfChecks, Gauges: r.gauges,
		Warning: r.warning(),
	}
	s.Halted, s.Until = r.halted()
	if r.hot != "" {
		s.TooHot = r.tooHot()
	}
	if r.built == segment {
		s.Build, s.Fault = r.build, r.fault
	}
	return s
}

// Run owns the device until ctx ends or the device proves broken.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.models.close()
	defer cancel()
	for {
		busy, err := r.step(ctx)
		if err != nil {
			return err
		}
		if busy && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.wake:
		}
	}
}

// step does one slice of the most urgent work; false when there is none.
func (r *Runner) step(ctx context.Context) (busy bool, err error) {
	if err := r.follow(ctx); err != nil {
		return false, err
	}
	p := r.take()
	if p == nil {
		return false, nil
	}
	out := make([]transformer.Output, len(p.Nonces))
	began := time.Now()
	err = r.compute(p.Model, out, p.Node, p.Segment, p.Nonces)
	if err == nil {
		err = r.audit(p, out)
	}
	if err != nil {
		r.reruns(false)
		p.Done(nil)
		if errors.Is(err, pool.ErrUnstable) && r.unstable(err) {
			return false, nil
		}
		return false, fmt.Errorf("worker: compute %s on %s: %w", p.What, r.Engine.Name(), err)
	}
	if !p.Sample {
		r.pace(time.Since(began), len(out))
	}
	switch counts := p.Done(out); {
	case p.Sample && counts:
		r.reruns(false)
		r.changed() // nothing else may wake those who are told
	case !p.Sample && counts:
		r.mu.Lock()
		r.units += uint64(len(out))
		r.rate.add(time.Now(), uint64(len(out)))
		r.mu.Unlock()
	}
	return true, nil
}

func (r *Runner) reruns(on bool) {
	r.mu.Lock()
	r.rerunning = on
	r.mu.Unlock()
}

// audit computes one unit in selfAudit again, in another batch, before anything
// of the slice is handed in: a device that gives two results for one unit is
// found by its owner's own machine.
func (r *Runner) audit(p *Piece, out []transformer.Output) error {
	var at []int
	var nonces []uint64
	for i := range out {
		if rand.Uint64N(r.selfAudit) == 0 {
			at, nonces = append(at, i), append(nonces, p.Nonces[i])
		}
	}
	if len(at) == 0 {
		return nil
	}
	again := make([]transformer.Output, len(at))
	if err := r.compute(p.Model, again, p.Node, p.Segment, nonces); err != nil {
		return err
	}
	wrong := uint64(0)
	var err error
	for i, o := range again {
		if o != out[at[i]] {
			wrong++
			err = fmt.Errorf("%w: %s gave two results for unit %d", pool.ErrUnstable,
				r.Describe(), nonces[i])
		}
	}
	r.mu.Lock()
	r.selfChecks += uint64(len(at))
	r.failedSelfChecks += wrong
	if r.rest.same += len(at); wrong == 0 && r.rest.same >= sameUnits {
		r.rest.times = 0
	}
	r.mu.Unlock()
	if err != nil {
		r.differs(err)
	}
	return err
}

// pace makes slices longer or shorter.
func (r *Runner) pace(took time.Duration, n int) {
	switch {
	case took < sliceTime/2 && n == r.slice:
		r.slice = min(2*r.slice, sliceMax)
	case took > 2*sliceTime:
		r.slice = max(r.slice/2, r.Threads)
	}
}

// follow takes up new orders and samples, and watches their models being built.
func (r *Runner) follow(ctx context.Context) error {
	segment, samples := r.desk.Needs()
	if segment != r.segment {
		old := r.claim
		r.claim = nil
		if segment.Model != (ModelKey{}) {
			r.claim = r.models.claim(ctx, segment.Model)
		}
		if old != nil { // after the new claim, which may be on the same model
			r.models.release(old)
			if r.claim == nil || r.claim.key.Class != old.key.Class {
				r.slice = r.Threads
			}
		}
		r.segment = segment
	}
	for _, s := range samples {
		if r.claims[s] == nil {
			r.claims[s] = r.models.claim(ctx, s.Model)
		}
	}
	for s, c := range r.claims {
		if !slices.Contains(samples, s) {
			r.models.release(c)
			delete(r.claims, s)
			continue
		}
		if _, _, err := r.models.look(c); errors.Is(err, ErrSelfTest) {
			return err
		} else if err != nil {
			r.desk.Refuse(s, err)
		}
	}
	if r.claim == nil {
		r.builds(segment, Progress{}, "")
		return nil
	}
	_, state, err := r.models.look(r.claim)
	if errors.Is(err, ErrSelfTest) {
		return err
	}
	fault := ""
	if err != nil {
		fault = fmt.Sprintf("the model of epoch %d (class %s) could not be built: %v",
			segment.Epoch, segment.Model.Class.Name, err)
	}
	r.builds(segment, state, fault)
	r.desk.Building(segment, state)
	return nil
}

func (r *Runner) builds(need *Need, state Progress, fault string) {
	r.mu.Lock()
	r.built, r.build, r.fault = need, state, fault
	r.mu.Unlock()
}

// take gets the next piece of the most urgent work that the device has the model
// for, nil when there is none or it has to cool down.
func (r *Runner) take() *Piece {
	ask := Ask{Most: uint64(r.slice), Models: make(map[*Need]transformer.Model)}
	r.mu.Lock()
	ask.Halted, ask.Until = r.halted()
	r.mu.Unlock()
	for s, c := range r.claims {
		if model, _, _ := r.models.look(c); model != nil {
			ask.Models[s] = model
		}
	}
	if r.claim != nil {
		if model, _, _ := r.models.look(r.claim); model != nil {
			ask.Models[r.segment] = model
		}
	}
	p := r.desk.Take(ask)
	r.reruns(p != nil && p.Sample)
	return p
}

// compute runs units, split over the device's threads.
func (r *Runner) compute(model transformer.Model, out []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	threads := min(r.Threads, len(nonces))
	errs := make([]error, threads)
	var running sync.WaitGroup
	for t := range threads {
		from, to := len(nonces)*t/threads, len(nonces)*(t+1)/threads
		running.Go(func() { errs[t] = model.Run(out[from:to], node, segment, nonces[from:to]) })
	}
	running.Wait()
	return errors.Join(errs...)
}
