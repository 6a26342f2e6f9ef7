// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"
	"slices"

	"github.com/assaynet/assay/worker/pool"
)

// Status is what the worker is doing, or why it does nothing and until when.
type Status struct {
	// State is testing, connecting, registering (the host does not know this machine
	// yet), idle, building, ready, computing, rerunning, mining (loops for the pool,
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
	// State is the worker's, or what keeps this device from it: building, paused (too hot), faulted
	// (cannot carry out this order), disabled (for good).
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

// proves reports whether a device computes loops, or will as soon as it sees that
// nothing else needs it.
func (s *Status) proves() bool { return slices.ContainsFunc(s.Devices, DeviceStatus.proves) }

func (d DeviceStatus) proves() bool {
	return d.Pool != nil && (d.Pool.Working() || d.Pool.State == "paused")
}

// gist is the status without what moves all the time, in a form that compares.
func (s Status) gist() string {
	s.Computed, s.Stored, s.Rate1m, s.Reruns = 0, 0, 0, 0
	s.BuildDone, s.BuildTotal = tenths(s.BuildDone, s.BuildTotal), 0
	devices := slices.Clone(s.Devices)
	for i := range devices {
		d := &devices[i]
		if p := d.Pool; p != nil {
			d.Reason += fmt.Sprintln(p.State, p.Reason, p.Connected, p.Accepted, p.Late, p.Faulty,
				p.Rejected, p.Failed, p.Dropped, p.Abstained, p.Account, p.Still)
		}
		d.Computed, d.Rate1m, d.SelfChecks, d.Gauges, d.Pool = 0, 0, 0, Gauges{}, nil
	}
	s.Devices, s.Earnings = devices, nil
	return fmt.Sprintf("%+v", s)
}

// Line is the status in one line for a log.
func (s Status) Line() string {
	text := s.State + s.order()
	switch s.State {
	case "computing":
		text += fmt.Sprintf(", %d units, %d stored by the host, %d.%d/s", s.Computed, s.Stored,
			s.Rate1m/1000, s.Rate1m%1000/100)
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
