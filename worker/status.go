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
	"github.com/assaynet/assay/worker/pool"
)

// Status is what the worker is doing, or why it does nothing and until when.
type Status struct {
	// State is testing, connecting, registering (the host does not know this machine
	// yet), idle, building, ready, computing, rerunning, proving (loops for the pool,
	// while the Sprint does not need it), paused or faulted.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why; always there when nothing is computed
	Until  string `json:"until,omitempty"`
	Next   string `json:"next,omitempty"` // what the owner can do about it
	// Paused is since when it is by its owner, whatever the state.
	Paused string `json:"paused,omitempty"`

	Host        string `json:"host"`
	Connected   bool   `json:"connected"`         // for the Sprint, or with its pool
	Trouble     string `json:"trouble,omitempty"` // why not
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

	// Payout is the account on the chain that this machine asks to be paid to.
	Payout string `json:"payout"`
	// Earnings are those of all devices; nil where the host has shown none.
	Earnings *pool.Money `json:"earnings,omitempty"`

	Devices []DeviceStatus `json:"devices"`
}

// DeviceStatus is one device's line.
type DeviceStatus struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Engine string `json:"engine,omitempty"`
	// State is the worker's, or what keeps this device from it: building, paused (too hot), faulted (cannot carry out this order), disabled (for good).
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Until  string `json:"until,omitempty"`
	// Warning is a protection that cannot act: a limit without a sensor.
	Warning string `json:"warning,omitempty"`
	// Computed units of segments since the start; Rate1m as above.
	Computed uint64 `json:"computed"`
	Rate1m   uint64 `json:"rate_1m_milli"`
	// Units of segments that were computed twice since the start, and those that
	// came out differently; of loops Pool has the same.
	SelfChecks       uint64 `json:"self_checks"`
	FailedSelfChecks uint64 `json:"failed_self_checks"`
	Gauges
	// Pool is what it does for the host between sprints; nil where the host has no pool.
	Pool *pool.Status `json:"pool,omitempty"`
}

// snapshot derives the status from the machine. The caller holds mu.
func (m *machine) snapshot(now time.Time) Status {
	o := m.order
	s := Status{
		Until: m.ends, Next: m.next,
		Host: m.address.HostPort, Connected: m.welcome != nil, Trouble: m.trouble, Payout: m.config.Payout,
		Key: hex.EncodeToString(m.key.Public().(ed25519.PublicKey)), Engine: m.engines(),
		Epoch: o.epoch, Segment: o.segment, Class: o.model.class.Name,
		Computed: m.ledger.end(), Stored: m.ledger.base, Reruns: m.reruns,
	}
	if w := m.welcome; w != nil {
		s.Chain, s.Participant, s.Node = w.Chain, w.Participant, w.Node
	}
	if !m.paused.IsZero() {
		s.Paused = m.paused.UTC().Format(time.RFC3339)
	}
	live := m.live()
	for _, b := range m.benches {
		d := b.row(now)
		if p := d.Pool; p != nil {
			s.Connected = s.Connected || m.answered && p.Connected
			s.Earnings = s.Earnings.Plus(p.Account)
		}
		s.Rate1m += d.Rate1m
		s.Devices = append(s.Devices, d)
	}
	build := fastest(live)
	s.BuildDone, s.BuildTotal, s.LoadMS = build.done, build.total, uint64(build.took.Milliseconds())
	all := func(is func(*bench) bool) bool {
		return len(live) > 0 && !slices.ContainsFunc(live, func(b *bench) bool { return !is(b) })
	}
	if m.stranger {
		s.Trouble = m.untaken(s)
	}
	switch {
	case m.testing:
		s.State, s.Reason = "testing", "comparing the engines with published answers"
	case len(live) == 0:
		s.State, s.Reason = "faulted", "no device is left to compute with"
	case !m.paused.IsZero():
		s.State, s.Reason, s.Until, s.Next = "paused", m.ownerPaused(), ownerResumes, "assay-worker resume --home "+m.config.Home
	case all(func(b *bench) bool { return b.fault != "" }):
		s.State, s.Reason = "faulted", live[0].fault
	case all(func(b *bench) bool { return b.hot != "" }):
		s.State, s.Reason, s.Until = "paused", live[0].tooHot(), live[0].hotUntil
	case all(func(b *bench) bool { reason, _ := b.halted(); return reason != "" }):
		s.State = "paused"
		s.Reason, s.Until = live[0].halted()
		s.Reason = live[0].ID + ": " + s.Reason
	case slices.ContainsFunc(live, func(b *bench) bool { return b.rerunning }):
		s.State = "rerunning"
	case o.idle() && m.welcome == nil:
		m.away(&s)
	case o.idle():
		s.State, s.Reason = "idle", o.reason
		if s.proves() {
			s.State = "proving"
		}
	case !build.built:
		s.State, s.Reason = "building", "the epoch's model is being built"
	case o.segment == 0 && m.welcome == nil:
		m.away(&s)
	case o.segment == 0:
		s.State, s.Reason = "ready", "waiting for the segment to open"
	default:
		s.State = "computing"
		if s.Computed-s.Stored >= maxUnacked {
			s.Reason = fmt.Sprintf("paused: the host has not stored the last %d units", maxUnacked)
		} else if !s.Connected {
			s.Reason = "the host is away: " + m.trouble
		}
		s.Reason = m.waits(s.Reason)
	}
	for i, b := range m.benches {
		b.place(&s.Devices[i], s)
	}
	return s
}

// waits adds to a reason why nothing more of the segment is computed, where the host
// wants no more of it so far. The caller holds mu.
func (m *machine) waits(reason string) string {
	l := &m.ledger
	was, signed := m.book.at(m.order.signed, l.sent)
	why := ""
	switch {
	case l.sent >= l.stop:
		why = fmt.Sprintf("waits for the host: the %d units that it asked for so far are computed", l.stop)
	case l.full() && signed && was.End() > l.stop:
		why = fmt.Sprintf("waits for the host: units %d to %d were signed as one batch, and it asked for none from %d on", was.First, was.End()-1, l.stop)
	default:
		return reason
	}
	if reason != "" {
		why = reason + "; " + why
	}
	return why
}

// untaken is what keeps a machine that the Sprint does not know from its pool,
// which is no trouble while it registers there. The caller holds mu.
func (m *machine) untaken(s Status) string {
	if s.Connected {
		return ""
	}
	for _, d := range s.Devices {
		if p := d.Pool; p != nil {
			if p.Next == "" { // it is under way
				return ""
			}
			return p.Reason
		}
	}
	if m.config.NoPool || m.poolless {
		return m.trouble
	}
	return ""
}

// away is what a worker does that the Sprint has no session with. The caller
// holds mu.
func (m *machine) away(s *Status) {
	s.Until = ""
	allow := "ask the host's owner to run: assay host allow " + s.Key
	asked := slices.ContainsFunc(m.benches, func(b *bench) bool { return b.pool != nil })
	switch {
	case !m.stranger && m.trouble == "":
		s.State, s.Reason = "connecting", "dialling the host"
	case !m.stranger:
		s.State, s.Reason = "connecting", m.trouble
	case m.config.NoPool:
		s.State, s.Reason, s.Next = "registering", "the host does not know this machine's key", allow
	case s.proves():
		s.State, s.Next = "proving", ""
		s.Reason = "the host takes machines of its pool into its Sprints after their first accepted proof, while it has room"
	case asked:
		s.State, s.Reason, s.Next = "registering", "with the host's pool", ""
	case m.poolless:
		s.State, s.Reason, s.Next = "registering", "the host does not know this machine's key, and has no pool that takes any machine", allow
	default:
		s.State, s.Reason, s.Next = "registering", "asking the host whether it has a pool", ""
	}
}

// proves tells whether a device computes loops, or will as soon as it sees that
// nothing else needs it.
func (s *Status) proves() bool { return slices.ContainsFunc(s.Devices, DeviceStatus.proves) }

func (d DeviceStatus) proves() bool {
	return d.Pool != nil && (d.Pool.Working() || d.Pool.State == "paused")
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

// row is a device's figures. The caller holds mu.
func (b *bench) row(now time.Time) DeviceStatus {
	d := DeviceStatus{ID: b.ID, Name: b.Name, Computed: b.units, Rate1m: b.rate.milli(now), SelfChecks: b.selfChecks, FailedSelfChecks: b.failedSelfChecks, Gauges: b.gauges, Warning: b.warning()}
	if b.Engine != nil {
		d.Engine = b.Engine.Name()
	}
	if b.out != "" {
		d.Rate1m = 0
	}
	if b.pool == nil && b.waits != "" {
		d.Pool = &pool.Status{Device: b.ID, Name: b.Name, Host: b.address.HostPort, State: "idle", Reason: b.waits, Until: "it can be written", Next: b.waitsNext}
	}
	if b.pool != nil {
		p := b.pool.Snapshot()
		if b.ended != "" {
			p.State, p.Reason = "ended", b.ended
		}
		d.Pool = &p
	}
	return d
}

// place says what a device does below the worker's state. The caller holds mu.
func (b *bench) place(d *DeviceStatus, s Status) {
	d.State = s.State
	switch {
	case b.out != "":
		d.State, d.Reason = "disabled", b.out
	case b.hot != "" || b.rest.why != "":
		d.State = "paused"
		d.Reason, d.Until = b.halted()
	case b.fault != "":
		d.State, d.Reason = "faulted", b.fault
	case b.rerunning:
		d.State = "rerunning"
	case (s.State == "computing" || s.State == "rerunning" || s.State == "ready") && s.Epoch != 0 && !b.build.built:
		d.State, d.Reason = "building", "the epoch's model is being built"
	case s.State == "rerunning" && s.Segment != 0:
		d.State = "computing"
	case s.State == "rerunning", s.State == "proving" && !d.proves():
		d.State = "idle"
	case s.State == "connecting" && d.Pool != nil && d.Pool.Working():
		d.State = "proving"
	}
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

// report hands the status out on every change, and once a minute, and tells what
// happened.
func (m *machine) report(ctx context.Context) {
	if m.config.Status == nil && m.config.Event == nil {
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
			if m.config.Status != nil {
				m.config.Status(s)
			}
			m.follow(minute)
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
			d.Reason += fmt.Sprintln(p.State, p.Reason, p.Connected, p.Accepted, p.Late, p.Faulty, p.Rejected, p.Failed, p.Dropped, p.Abstained, p.Account, p.Still)
		}
		d.Computed, d.Rate1m, d.SelfChecks, d.Gauges, d.Pool = 0, 0, 0, Gauges{}, nil
	}
	s.Devices, s.Earnings = devices, nil
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
	text := s.State + s.order()
	switch s.State {
	case "computing":
		text += fmt.Sprintf(", %d units, %d stored by the host, %d.%d/s", s.Computed, s.Stored, s.Rate1m/1000, s.Rate1m%1000/100)
	case "building":
		if s.BuildTotal > 0 {
			text += fmt.Sprintf(", %d of %d MiB", s.BuildDone>>20, s.BuildTotal>>20)
		}
	}
	text += because(s.Reason, s.Until, s.Next)
	if len(s.Devices) > 1 {
		for _, d := range s.Devices {
			text += "; " + d.line(s)
		}
	}
	for _, d := range s.Devices {
		if d.Pool != nil {
			text += "; pool, " + d.ID + ": " + d.Pool.Line()
		}
	}
	if s.Earnings != nil {
		text += "; " + s.Earnings.Text()
	}
	return text
}

// order is what the host wants, where it wants something.
func (s Status) order() string {
	if s.Epoch == 0 {
		return ""
	}
	text := fmt.Sprintf(" epoch %d", s.Epoch)
	if s.Segment != 0 {
		text += fmt.Sprintf(" segment %d", s.Segment)
	}
	return text + " (" + s.Class + ")"
}

// because is a reason, how long it holds, and what to do about it.
func because(reason, until, next string) (text string) {
	if reason != "" {
		text = ": " + reason
	}
	if until != "" {
		text += ", until " + until
	}
	if next != "" {
		text += "; " + next
	}
	return text
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
