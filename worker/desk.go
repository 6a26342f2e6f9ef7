// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/runner"
)

// desk is where session and devices meet: what the host and the owner want, and what is done of it.
// Its lock is also over what the session says of itself, and is taken before a runner's and a
// pool's.
type desk struct {
	log    *slog.Logger
	places []*place // one per device; never changes

	sendWake   chan struct{} // capacity 1: something for the host
	reportWake chan struct{} // capacity 1: the status may have changed

	mu      sync.Mutex
	order   *order
	ends    string  // until when order is, as the host said last
	backlog backlog // of order's segment
	epoch   uint64  // the latest that an order named

	jobs    []*job                  // samples to run again, this session's, in order of arrival
	results []*workerv1.RerunResult // for this session's host
	ready   *workerv1.ModelReady    // to be sent
	told    bool                    // this session's host was told of order's model
	reruns  uint64

	testing bool      // the first self-test is not over
	paused  time.Time // since then by the owner; zero: not
	failed  []error
}

// job is samples to run again. All of it belongs to desk.mu but rerun and need, which do not
// change.
type job struct {
	rerun *workerv1.Rerun
	need  runner.Need
	share share
	out   []transformer.Output // so far, in order
	// refused says which devices cannot build the model, and why.
	refused map[*place]error
}

func newDesk(log *slog.Logger) *desk {
	return &desk{
		log: log, sendWake: make(chan struct{}, 1), reportWake: make(chan struct{}, 1),
		order: &order{reason: "waiting for the host's orders"}, testing: true,
	}
}

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// changed wakes the parts that look at the state. Callers hold mu or not.
func (d *desk) changed() {
	for _, b := range d.places {
		b.Wake()
	}
	poke(d.sendWake)
	poke(d.reportWake)
}

// live are the devices in use. The caller holds mu.
func (d *desk) live() (live []*place) {
	for _, b := range d.places {
		if b.out == "" {
			live = append(live, b)
		}
	}
	return live
}

// engines are the names of the engines in use, each one once. The caller holds mu.
func (d *desk) engines() string {
	var names []string
	for _, b := range d.live() {
		if name := b.Engine.Name(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// drop takes a device out of use for good. Who asks for work after it gets what
// it left undone; where nobody does, the worker ends.
func (d *desk) drop(b *place, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.changed()
	b.out = err.Error()
	d.failed = append(d.failed, fmt.Errorf("device %s: %w", b.ID, err))
	d.log.Error("a device is out of use", "device", b.ID, "err", err, "next",
		"assay-worker doctor tests it again")
	for _, j := range slices.Clone(d.jobs) {
		d.refuse(j)
	}
}

// left is an error when no device is left.
func (d *desk) left() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.live()) > 0 {
		return nil
	}
	var out []error
	for _, b := range d.places {
		if b.Engine == nil {
			out = append(out, fmt.Errorf("device %s: %s", b.ID, b.Fault))
		}
	}
	return fmt.Errorf("%w: %w", ErrDevices, errors.Join(append(out, d.failed...)...))
}

// listen takes the owner's word until ctx ends.
func (d *desk) listen(ctx context.Context, pause <-chan bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case paused := <-pause:
			d.mu.Lock()
			switch {
			case !paused:
				d.paused = time.Time{}
			case d.paused.IsZero():
				d.paused = time.Now()
			}
			d.mu.Unlock()
			d.changed()
		}
	}
}

const ownerResumes = "it is resumed"

// ownerPaused is why nothing is computed. The caller holds mu.
func (d *desk) ownerPaused() string { return "by its owner at " + d.paused.Format(time.TimeOnly) }

// setOrder replaces the order. The same segment again, after a reconnect, goes
// on without a break. Of a segment nonces first..stop-1 are wanted. The caller
// holds mu.
func (d *desk) setOrder(o *order, first, stop uint64) {
	d.ends = o.until
	if o.Epoch != 0 && o.Epoch != d.epoch {
		d.epoch = o.Epoch
		for _, b := range d.places {
			b.loops.begin(o.Epoch)
		}
	}
	if !d.order.sameSegment(o) {
		d.order, d.told = o, false
		d.backlog = backlog{}
		d.ready = nil
	}
	if o.segment != 0 {
		d.backlog.restart(first, stop)
	}
}

// abstain stops computing for an order whose leaves the machine would not sign. The
// host is told, and may have it do other things. The caller holds mu.
func (d *desk) abstain(why error) {
	d.log.Error("nothing is signed", "err", why)
	d.setOrder(&order{reason: why.Error()}, 0, 0)
	d.changed()
}

// take gets the next slice of the most urgent work that a device has the model for, nil when there
// is none. The caller holds mu.
func (d *desk) take(a runner.Ask) *runner.Piece {
	for _, j := range d.jobs {
		model := a.Models[&j.need]
		if model == nil {
			continue // it is being built, or came a moment ago and the next step sees it
		}
		r := j.rerun
		s := j.share.take(a.Most, uint64(len(r.Nonces)))
		if s == nil {
			continue
		}
		return &runner.Piece{
			Model: model, Node: seed.Seed(r.NodeSeed), Segment: seed.Seed(r.SegmentSeed),
			Nonces: r.Nonces[s.first : s.first+s.n],
			What:   fmt.Sprintf("job %d", r.Job), Sample: true,
			Done: func(out []transformer.Output) bool { return d.again(j, s, out) },
		}
	}
	o := d.order
	model := a.Models[&o.Need]
	if o.segment == 0 || model == nil {
		return nil
	}
	s := d.backlog.share.take(a.Most, min(d.backlog.base+maxUnacked, d.backlog.stop))
	if s == nil {
		return nil
	}
	p := &runner.Piece{
		Model: model, Node: o.nodeSeed, Segment: o.segmentSeed, Nonces: make([]uint64, s.n),
		What: fmt.Sprintf("epoch %d segment %d", o.Epoch, o.segment),
		Done: func(out []transformer.Output) bool { return d.put(o, s, out) },
	}
	for i := range p.Nonces {
		p.Nonces[i] = s.first + uint64(i)
	}
	return p
}

// put takes results of a segment, or gives their slice back; those of an order that is over are
// dropped.
func (d *desk) put(o *order, s *slice, out []transformer.Output) (counts bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if out == nil {
		d.backlog.share.giveBack(s)
		return false
	}
	if d.order != o {
		return false
	}
	// Where the host moved the resume point meanwhile, the slice is not the backlog's.
	d.backlog.put(s, out)
	poke(d.sendWake)
	return true
}

// again takes results of a job, or gives their slice back, and reports whether they were the last.
func (d *desk) again(j *job, s *slice, out []transformer.Output) (last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if out == nil {
		j.share.giveBack(s)
		return false
	}
	d.reruns += uint64(len(out))
	j.out = append(j.out, j.share.put(s, out)...)
	if last = len(j.out) == len(j.rerun.Nonces); last {
		d.answer(j, nil)
	}
	return last
}

// answer ends a job, with its results or an error. The caller holds mu. A job
// that is over already is not answered again.
func (d *desk) answer(j *job, err error) {
	i := slices.Index(d.jobs, j)
	if i < 0 {
		return
	}
	d.jobs = slices.Delete(d.jobs, i, i+1)
	result := &workerv1.RerunResult{Job: j.rerun.Job}
	if err != nil {
		result.Error = workerv1.Clip(err.Error(), workerv1.MaxText)
	} else {
		for i := range j.out {
			o := &j.out[i]
			result.Outputs = o.Append(result.Outputs)
		}
	}
	d.results = append(d.results, result)
	d.changed()
}

// refuse ends a job that no device can do any longer. The caller holds mu.
func (d *desk) refuse(j *job) {
	var reasons []error
	for _, b := range d.live() {
		if j.refused[b] == nil {
			return
		}
		reasons = append(reasons, j.refused[b])
	}
	if len(reasons) > 0 { // with no device the worker ends
		d.answer(j, errors.Join(reasons...))
	}
}
