// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A slice of work takes about sliceTime: between slices orders are looked at.
const (
	sliceTime = 100 * time.Millisecond
	sliceMax  = 8192 // units
)

// job is samples to run again.
type job struct {
	rerun   *workerv1.Rerun
	session uint64
	claim   *claim // owned by the bench
	err     error  // known before the work: the message names no known class
	out     []transformer.Output
}

// bench owns the engine until ctx ends or the engine proves broken.
func (m *machine) bench(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer m.models.close()
	defer cancel()
	b := &benchState{machine: m, slice: m.config.Threads}
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
		case <-m.benchWake:
		}
	}
}

// benchState is what only the bench's goroutine sees.
type benchState struct {
	*machine
	order *order // the one claim belongs to
	claim *claim // nil when idle
	slice int    // units in a slice
}

// step does one slice of the most urgent work; false when there is none.
func (b *benchState) step(ctx context.Context) (busy bool, err error) {
	if err := b.follow(ctx); err != nil {
		return false, err
	}
	if j := b.urgent(ctx); j != nil {
		return true, b.rerun(ctx, j)
	}
	return b.compute()
}

// follow takes up a new order and watches its model being built.
func (b *benchState) follow(ctx context.Context) error {
	b.mu.Lock()
	o := b.machine.order
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
				b.slice = b.config.Threads
			}
		}
		b.order = o
	}
	if b.claim == nil {
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
	if model != nil && !b.told {
		b.told = true
		b.ready = &workerv1.ModelReady{Epoch: o.epoch, LoadMs: uint64(state.took.Milliseconds())}
	}
	poke(b.sendWake)
	poke(b.reportWake)
	return nil
}

// urgent returns the first job whose model is there, and starts the build of
// those whose model is not. Jobs of an earlier connection are forgotten.
func (b *benchState) urgent(ctx context.Context) *job {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := 0; i < len(b.jobs); {
		j := b.jobs[i]
		if j.session != b.session {
			b.jobs = append(b.jobs[:i:i], b.jobs[i+1:]...)
			if j.claim != nil {
				b.models.release(j.claim)
			}
			if b.running == j {
				b.running = nil
			}
			continue
		}
		if j.claim == nil && j.err == nil {
			var key modelKey
			if key, j.err = parseModel(j.rerun.Class, j.rerun.Seed1); j.err == nil {
				j.claim = b.models.claim(ctx, key)
			}
		}
		if j.err == nil {
			var model transformer.Model
			if model, _, j.err = b.models.look(j.claim); model == nil && j.err == nil {
				i++
				continue
			}
		}
		b.running = j
		return j
	}
	return nil
}

// rerun does one slice of a job, and answers it when it is done.
func (b *benchState) rerun(ctx context.Context, j *job) error {
	if errors.Is(j.err, ErrSelfTest) {
		return j.err
	}
	if j.err == nil {
		model, _, _ := b.models.look(j.claim)
		r := j.rerun
		from := len(j.out)
		to := min(len(r.Nonces), from+b.slice)
		out := make([]transformer.Output, to-from)
		j.err = b.run(model, out, seed.Seed(r.NodeSeed), seed.Seed(r.SegmentSeed), r.Nonces[from:to])
		j.out = append(j.out, out...)
		if j.err == nil && to < len(r.Nonces) {
			return nil
		}
	}
	result := &workerv1.RerunResult{Job: j.rerun.Job}
	if j.err != nil {
		result.Error = workerv1.Clip(j.err.Error(), workerv1.MaxText)
	}
	for i := range j.out {
		if j.err == nil {
			o := &j.out[i]
			result.Outputs = workerv1.AppendOutput(result.Outputs, o.Norm, &o.Digest, &o.Middle)
		}
	}
	if j.claim != nil {
		b.models.release(j.claim)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.jobs {
		if b.jobs[i] == j {
			b.jobs = append(b.jobs[:i], b.jobs[i+1:]...)
			break
		}
	}
	if b.session == j.session {
		b.results = append(b.results, result)
	}
	b.running = nil
	b.reruns += uint64(len(j.out))
	b.changed()
	return nil
}

// compute does one slice of the segment; false when there is nothing to compute
// or no room for more.
func (b *benchState) compute() (busy bool, err error) {
	o := b.order
	if b.claim == nil || o.segment == 0 {
		return false, nil
	}
	model, _, _ := b.models.look(b.claim)
	if model == nil {
		return false, nil
	}
	b.mu.Lock()
	start := b.ledger.end()
	n := min(uint64(b.slice), maxUnacked-(start-b.ledger.base), workerv1.MaxCount-1-min(start, workerv1.MaxCount-1))
	stale := b.machine.order != o
	b.mu.Unlock()
	if stale {
		return true, nil
	}
	if n == 0 {
		return false, nil
	}
	nonces := make([]uint64, n)
	for i := range nonces {
		nonces[i] = start + uint64(i)
	}
	out := make([]transformer.Output, n)
	began := time.Now()
	if err := b.run(model, out, o.nodeSeed, o.segmentSeed, nonces); err != nil {
		return false, fmt.Errorf("worker: compute epoch %d segment %d on %s: %w", o.epoch, o.segment, b.config.Engine.Name(), err)
	}
	took := time.Since(began)
	switch {
	case took < sliceTime/2 && int(n) == b.slice:
		b.slice = min(2*b.slice, sliceMax)
	case took > 2*sliceTime:
		b.slice = max(b.slice/2, b.config.Threads)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// Where the host moved the resume point meanwhile, the slice is not the next one.
	if b.machine.order != o || b.ledger.end() != start {
		return true, nil
	}
	for i := range out {
		b.ledger.records = workerv1.AppendRecord(b.ledger.records, out[i].Norm, &out[i].Digest)
	}
	b.rate.add(time.Now(), n)
	poke(b.sendWake)
	return true, nil
}

// run computes units, split over the configured threads.
func (b *benchState) run(model transformer.Model, out []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	threads := min(b.config.Threads, len(nonces))
	errs := make([]error, threads)
	var running sync.WaitGroup
	for t := range threads {
		from, to := len(nonces)*t/threads, len(nonces)*(t+1)/threads
		running.Go(func() { errs[t] = model.Run(out[from:to], node, segment, nonces[from:to]) })
	}
	running.Wait()
	return errors.Join(errs...)
}
