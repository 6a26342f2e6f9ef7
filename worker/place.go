// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"
	"slices"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/worker/pool"
	"github.com/assaynet/assay/worker/runner"
)

// place is a device's place: its runner, for which it is the desk, and its loops between sprints.
type place struct {
	*runner.Runner
	desk    *desk
	session *session
	loops   *loops
	out     string // why it is out of use, for good; belongs to desk.mu
	tended  string // what the gate of its loops was told last; the runner's alone
}

// Needs implements [runner.Desk].
func (b *place) Needs() (segment *runner.Need, samples []*runner.Need) {
	b.desk.mu.Lock()
	defer b.desk.mu.Unlock()
	for _, j := range b.desk.jobs {
		samples = append(samples, &j.need)
	}
	return &b.desk.order.Need, samples
}

// Take implements [runner.Desk]. The gate is closed before a piece is computed.
func (b *place) Take(a runner.Ask) (p *runner.Piece) {
	d := b.desk
	d.mu.Lock()
	if a.Halted == "" && d.paused.IsZero() {
		p = d.take(a)
	}
	reason, until := b.keeps(a, p != nil)
	d.mu.Unlock()
	b.tend(reason, until)
	return p
}

// Building implements [runner.Desk].
func (b *place) Building(segment *runner.Need, state runner.Progress) {
	d := b.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.order
	if segment != &o.Need {
		return // the next step follows the new one
	}
	if state.Built && !d.told { // the first device that is ready can begin
		d.told = true
		d.ready = &workerv1.ModelReady{Epoch: o.Epoch, LoadMs: uint64(state.Took.Milliseconds())}
	}
	poke(d.sendWake)
	poke(d.reportWake)
}

// Refuse implements [runner.Desk].
func (b *place) Refuse(sample *runner.Need, why error) {
	d := b.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range slices.Clone(d.jobs) {
		if &j.need == sample {
			j.refused[b] = why
			d.refuse(j)
		}
	}
}

// keeps says what keeps the device from loops, and until when; "" where nothing is more urgent. The
// caller holds desk.mu.
func (b *place) keeps(a runner.Ask, busy bool) (reason, until string) {
	d := b.desk
	switch o := d.order; {
	case !d.paused.IsZero():
		return d.ownerPaused(), ownerResumes
	case a.Halted != "":
		return a.Halted, a.Until
	case !o.idle() && b.session.welcome == nil:
		return fmt.Sprintf("kept for the Sprint of epoch %d while the host is away", o.Epoch), ""
	case !o.idle():
		return fmt.Sprintf("the Sprint of epoch %d has it", o.Epoch), o.until
	case busy || len(d.jobs) > 0:
		return "the host's verdicts need it", ""
	}
	return "", ""
}

// tend opens the gate for loops where nothing keeps the device.
func (b *place) tend(reason, until string) {
	state := reason + "\n" + until
	if state == b.tended {
		return
	}
	if b.tended = state; reason == "" {
		b.loops.gate.Open()
	} else {
		b.loops.gate.Close(reason, until)
	}
}

// row is a device's figures. The caller holds desk.mu.
func (b *place) row(now time.Time) (DeviceStatus, runner.State) {
	s := b.State(now, &b.desk.order.Need)
	d := DeviceStatus{
		ID: b.ID, Name: b.Name, Computed: s.Units, Rate1m: s.Rate1m, SelfChecks: s.SelfChecks,
		FailedSelfChecks: s.FailedSelfChecks,
		Gauges:           s.Gauges, Warning: s.Warning, Pool: b.loops.status(),
	}
	if b.Engine != nil {
		d.Engine = b.Engine.Name()
	}
	if b.out != "" {
		d.Rate1m = 0
	}
	return d, s
}

// describe says what a device does below the worker's state. The caller holds desk.mu.
func (b *place) describe(d *DeviceStatus, at runner.State, s Status) {
	d.State = s.State
	switch {
	case b.out != "":
		d.State, d.Reason = "disabled", b.out
	case at.Halted != "":
		d.State, d.Reason, d.Until = "paused", at.Halted, at.Until
	case at.Fault != "":
		d.State, d.Reason = "faulted", at.Fault
	case at.Rerunning:
		d.State = "rerunning"
	case (s.State == "computing" || s.State == "rerunning" || s.State == "ready") &&
		s.Epoch != 0 && !at.Build.Built:
		d.State, d.Reason = "building", "the epoch's model is being built"
	case s.State == "rerunning" && s.Segment != 0:
		d.State = "computing"
	case s.State == "rerunning", s.State == "mining" && !d.proves():
		d.State = "idle"
	case s.State == "connecting" && d.Pool != nil && d.Pool.Working():
		d.State = "mining"
	}
}

// differs tells of a unit with two results.
func differs(device string, err error) Event {
	e := event(pool.SelfCheckFailed, err.Error(), "", "lower the device's clocks and temperature "+
		"and test its memory; it goes on by itself after a rest")
	e.Device = device
	return e
}
