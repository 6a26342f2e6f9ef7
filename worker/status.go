// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/worker/mpoc"
)

// Status is what the worker is doing, or why it does nothing and until when.
type Status struct {
	// State is testing, connecting, idle, building, ready, computing, rerunning,
	// paused or faulted.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why; always there when nothing is computed
	Until  string `json:"until,omitempty"`
	Next   string `json:"next,omitempty"` // what the owner can do about it

	Host        string `json:"host"`
	Connected   bool   `json:"connected"`
	Chain       string `json:"chain,omitempty"`
	Participant string `json:"participant,omitempty"`
	Node        string `json:"node,omitempty"`
	Key         string `json:"key"`    // hex
	Engine      string `json:"engine"` // of the devices in use

	Epoch   uint64 `json:"epoch,omitempty"`
	Segment uint32 `json:"segment,omitempty"`
	Class   string `json:"class,omitempty"`
	// Computed units of the segment, and how many of them the host has stored.
	Computed uint64 `json:"computed"`
	Stored   uint64 `json:"stored"`
	// Rate1m is units per 1,000 seconds over the last minute, this machine's own figure.
	Rate1m uint64 `json:"rate_1m_milli"`
	// Build progress in bytes of weights, and how long the build took.
	BuildDone  uint64 `json:"build_done,omitempty"`
	BuildTotal uint64 `json:"build_total,omitempty"`
	LoadMS     uint64 `json:"load_ms,omitempty"`
	Reruns     uint64 `json:"reruns"`

	Devices []DeviceStatus `json:"devices"`
}

// DeviceStatus is one device's line.
type DeviceStatus struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Engine string `json:"engine,omitempty"`
	// State is the worker's; proving (loops for the pool, while the worker has no
	// order); or what keeps this device from it: building, paused (too hot), faulted (cannot carry out this order), disabled (for good).
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Until  string `json:"until,omitempty"`
	// Computed units of segments since the start; Rate1m as above.
	Computed uint64 `json:"computed"`
	Rate1m   uint64 `json:"rate_1m_milli"`
	Gauges
	// Pool is what it does for the host between sprints; nil where the host has no pool.
	Pool *mpoc.Status `json:"pool,omitempty"`
}

// snapshot derives the status from the machine. The caller holds mu.
func (m *machine) snapshot(now time.Time) Status {
	o := m.order
	s := Status{
		Until: o.until, Next: m.next,
		Host: m.address.HostPort, Connected: m.welcome != nil,
		Key: hex.EncodeToString(m.key.Public().(ed25519.PublicKey)), Engine: m.engines(),
		Epoch: o.epoch, Segment: o.segment, Class: o.model.class.Name,
		Computed: m.ledger.end(), Stored: m.ledger.base, Reruns: m.reruns,
	}
	if w := m.welcome; w != nil {
		s.Chain, s.Participant, s.Node = w.Chain, w.Participant, w.Node
	}
	live := m.live()
	build := fastest(live)
	s.BuildDone, s.BuildTotal, s.LoadMS = build.done, build.total, uint64(build.took.Milliseconds())
	all := func(is func(*bench) bool) bool {
		return len(live) > 0 && !slices.ContainsFunc(live, func(b *bench) bool { return !is(b) })
	}
	switch {
	case m.testing:
		s.State, s.Reason = "testing", "comparing the engines with published answers"
	case len(live) == 0:
		s.State, s.Reason = "faulted", "no device is left to compute with"
	case m.paused:
		s.State, s.Reason, s.Until = "paused", ownerPaused, ownerResumes
	case all(func(b *bench) bool { return b.fault != "" }):
		s.State, s.Reason = "faulted", live[0].fault
	case all(func(b *bench) bool { return b.hot != "" }):
		s.State, s.Reason, s.Until = "paused", live[0].ID+" is too hot: "+live[0].hot, live[0].until()
	case slices.ContainsFunc(live, func(b *bench) bool { return b.rerunning }):
		s.State = "rerunning"
	case o.idle() && !s.Connected:
		s.State, s.Reason = "connecting", m.trouble
		if s.Reason == "" {
			s.Reason = "dialling the host"
		}
	case o.idle():
		s.State, s.Reason = "idle", o.reason
	case !build.built:
		s.State, s.Reason = "building", "the epoch's model is being built"
	case o.segment == 0:
		s.State, s.Reason = "ready", "waiting for the segment to open"
	default:
		s.State = "computing"
		if s.Computed-s.Stored >= maxUnacked {
			s.Reason = fmt.Sprintf("paused: the host has not stored the last %d units", maxUnacked)
		} else if !s.Connected {
			s.Reason = "the host is away: " + m.trouble
		}
	}
	for _, b := range m.benches {
		d := b.row(s, now)
		s.Rate1m += d.Rate1m
		s.Devices = append(s.Devices, d)
	}
	return s
}

// fastest is the build that is furthest on.
func fastest(live []*bench) (first progress) {
	for _, b := range live {
		if p := b.build; p.built && !first.built || p.built == first.built && p.done > first.done {
			first = p
		}
	}
	return first
}

// row is a device's line below the worker's status. The caller holds mu.
func (b *bench) row(s Status, now time.Time) DeviceStatus {
	d := DeviceStatus{ID: b.ID, Name: b.Name, State: s.State, Computed: b.units, Rate1m: b.rate.milli(now), Gauges: b.gauges}
	if b.Engine != nil {
		d.Engine = b.Engine.Name()
	}
	if b.pool != nil {
		p := b.pool.Snapshot()
		if b.ended != "" {
			p.State, p.Reason = "ended", b.ended
		}
		d.Pool = &p
	}
	loops := d.Pool != nil && (d.Pool.State == "computing" || d.Pool.State == "answering")
	switch {
	case loops && b.out == "" && b.hot == "" && !b.rerunning && (s.State == "idle" || s.State == "connecting"):
		d.State = "proving"
	case b.out != "":
		d.State, d.Reason, d.Rate1m = "disabled", b.out, 0
	case b.hot != "":
		d.State, d.Reason, d.Until = "paused", b.hot, b.until()
	case b.fault != "":
		d.State, d.Reason = "faulted", b.fault
	case b.rerunning:
		d.State = "rerunning"
	case (s.State == "computing" || s.State == "rerunning" || s.State == "ready") && s.Epoch != 0 && !b.build.built:
		d.State, d.Reason = "building", "the epoch's model is being built"
	case s.State == "rerunning" && s.Segment != 0:
		d.State = "computing"
	case s.State == "rerunning":
		d.State = "idle"
	}
	return d
}

// wireStatus is the snapshot as the host gets it.
func (m *machine) wireStatus(now time.Time) *workerv1.Status {
	s := m.snapshot(now)
	state, ok := workerv1.State_value["STATE_"+strings.ToUpper(s.State)]
	if !ok {
		state = int32(workerv1.State_STATE_IDLE)
	}
	return &workerv1.Status{
		State: workerv1.State(state), Reason: workerv1.Clip(s.Reason, workerv1.MaxText), Until: s.Until,
		Epoch: s.Epoch, Segment: s.Segment, Rate_1MMilli: s.Rate1m, Computed: s.Computed,
		BuildDone: s.BuildDone, BuildTotal: s.BuildTotal,
	}
}

// report hands the status out on every change, and once a minute.
func (m *machine) report(ctx context.Context) {
	if m.config.Status == nil {
		return
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	last := ""
	for minute := false; ; {
		m.mu.Lock()
		s := m.snapshot(time.Now())
		m.mu.Unlock()
		if gist := s.gist(); minute || gist != last {
			last = gist
			m.config.Status(s)
			pace := time.NewTimer(statusPace)
			select {
			case <-ctx.Done():
			case <-pace.C:
			}
			pace.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-m.reportWake:
			minute = false
		case <-tick.C:
			minute = true
		}
	}
}

// gist is the status without what moves all the time, in a form that compares.
func (s Status) gist() string {
	s.Computed, s.Stored, s.Rate1m, s.Reruns = 0, 0, 0, 0
	s.BuildDone, s.BuildTotal = tenths(s.BuildDone, s.BuildTotal), 0
	devices := slices.Clone(s.Devices)
	for i := range devices {
		d := &devices[i]
		if p := d.Pool; p != nil {
			d.Reason += p.Line()
		}
		d.Computed, d.Rate1m, d.Gauges, d.Pool = 0, 0, Gauges{}, nil
	}
	s.Devices = devices
	return fmt.Sprintf("%+v", s)
}

// meter counts units in one-second slots over the last minute.
type meter struct {
	slots [60]struct {
		second int64
		units  uint64
	}
	since int64 // the second counting began, or began again after a minute's pause
}

func (r *meter) add(now time.Time, units uint64) {
	second := now.Unix()
	if r.sum(second) == 0 {
		r.since = second
	}
	slot := &r.slots[second%60]
	if slot.second != second {
		slot.second, slot.units = second, 0
	}
	slot.units += units
}

func (r *meter) sum(second int64) (units uint64) {
	for _, s := range r.slots {
		if s.second > second-60 && s.second <= second {
			units += s.units
		}
	}
	return units
}

// milli is units per 1,000 seconds over the last minute, or since counting began.
func (r *meter) milli(now time.Time) uint64 {
	second := now.Unix()
	span := min(60, second-r.since+1)
	if span < 1 {
		return 0 // the clock was set back
	}
	return r.sum(second) * 1000 / uint64(span)
}

// Line is the status in one line for a log.
func (s Status) Line() string {
	var b strings.Builder
	b.WriteString(s.State)
	if s.Epoch != 0 || s.Class != "" {
		fmt.Fprintf(&b, "  epoch %d", s.Epoch)
		if s.Segment != 0 {
			fmt.Fprintf(&b, " segment %d", s.Segment)
		}
		if s.Class != "" {
			fmt.Fprintf(&b, " (%s)", s.Class)
		}
	}
	switch s.State {
	case "computing":
		fmt.Fprintf(&b, ", %d units, %d stored by the host, %d.%d/s", s.Computed, s.Stored, s.Rate1m/1000, s.Rate1m%1000/100)
	case "building":
		if s.BuildTotal > 0 {
			fmt.Fprintf(&b, ", %d of %d MiB", s.BuildDone>>20, s.BuildTotal>>20)
		}
	case "ready":
		fmt.Fprintf(&b, ", model built in %d ms", s.LoadMS)
	}
	if s.Reason != "" {
		b.WriteString(": " + s.Reason)
	}
	if s.Until != "" {
		b.WriteString(", until " + s.Until)
	}
	if s.Next != "" {
		b.WriteString("; " + s.Next)
	}
	if len(s.Devices) > 1 {
		for _, d := range s.Devices {
			b.WriteString("; " + d.line(s))
		}
	}
	for _, d := range s.Devices {
		if d.Pool != nil {
			b.WriteString("; pool, " + d.ID + ": " + d.Pool.Line())
		}
	}
	return b.String()
}

// line is a device among several: what it does differently from the others, or
// how fast it is.
func (d DeviceStatus) line(s Status) string {
	text := d.ID
	if d.State != s.State {
		text += " " + d.State
	}
	if d.Reason != "" {
		text += " (" + d.Reason + ")"
	}
	if d.Until != "" {
		text += " until " + d.Until
	}
	if d.State == "computing" {
		text += fmt.Sprintf(" %d.%d/s", d.Rate1m/1000, d.Rate1m%1000/100)
	}
	if t := d.TemperatureC; t != nil {
		text += fmt.Sprintf(" %d °C", *t)
	}
	if p := d.PowerMilliwatt; p != nil {
		text += fmt.Sprintf(" %d W", *p/1000)
	}
	return text
}
