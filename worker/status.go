// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
)

// Status is what the worker is doing, or why it does nothing and until when.
type Status struct {
	// State is testing, connecting, idle, building, ready, computing, rerunning
	// or faulted.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why; always there when nothing is computed
	Until  string `json:"until,omitempty"`
	Next   string `json:"next,omitempty"` // what the owner can do about it

	Host        string `json:"host"`
	Connected   bool   `json:"connected"`
	Chain       string `json:"chain,omitempty"`
	Participant string `json:"participant,omitempty"`
	Node        string `json:"node,omitempty"`
	Key         string `json:"key"` // hex
	Engine      string `json:"engine"`
	Threads     int    `json:"threads"`

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
}

// snapshot derives the status from the machine. The caller holds mu.
func (m *machine) snapshot(now time.Time) Status {
	o := m.order
	s := Status{
		Until: o.until, Next: m.next,
		Host: m.address.HostPort, Connected: m.welcome != nil,
		Key: hex.EncodeToString(m.key.Public().(ed25519.PublicKey)), Engine: m.config.Engine.Name(), Threads: m.config.Threads,
		Epoch: o.epoch, Segment: o.segment, Class: o.model.class.Name,
		Computed: m.ledger.end(), Stored: m.ledger.base, Rate1m: m.rate.milli(now),
		BuildDone: m.build.done, BuildTotal: m.build.total, LoadMS: uint64(m.build.took.Milliseconds()),
		Reruns: m.reruns,
	}
	if w := m.welcome; w != nil {
		s.Chain, s.Participant, s.Node = w.Chain, w.Participant, w.Node
	}
	switch {
	case m.testing:
		s.State, s.Reason = "testing", "comparing the engine with published answers"
	case m.fault != "":
		s.State, s.Reason = "faulted", m.fault
	case m.running != nil:
		s.State = "rerunning"
	case o.idle() && !s.Connected:
		s.State, s.Reason = "connecting", m.trouble
		if s.Reason == "" {
			s.Reason = "dialling the host"
		}
	case o.idle():
		s.State, s.Reason = "idle", o.reason
	case !m.build.built:
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
	return s
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
	var last Status
	for minute := false; ; {
		m.mu.Lock()
		s := m.snapshot(time.Now())
		m.mu.Unlock()
		if minute || s.gist() != last.gist() {
			last = s
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

// gist is the status without what moves all the time.
func (s Status) gist() Status {
	s.Computed, s.Stored, s.Rate1m, s.Reruns = 0, 0, 0, 0
	s.BuildDone, s.BuildTotal = tenths(s.BuildDone, s.BuildTotal), 0
	return s
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
	return b.String()
}
