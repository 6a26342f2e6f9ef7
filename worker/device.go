// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assaynet/assay/poc/work"
)

// gaugeTime is how often sensors are read.
const gaugeTime = time.Second

// Device is something to compute with.
type Device struct {
	ID   string // as its owner names it: cpu, cuda:0
	Name string // the vendor's
	// Engine computes. It is nil where Fault says why the device is out of use from
	// the start; its owner sees it all the same.
	Engine work.Engine
	Fault  string
	// Threads is how many slices the engine gets at a time; 0 is one per core, right
	// for engines whose Run stays on its caller's goroutine.
	Threads int
	// Gauges reads the device's sensors, by one goroutine at a time. Optional.
	Gauges func(now time.Time) (Gauges, error)
	// NoGauges is why there are none.
	NoGauges string
	// From TempLimit °C on the device pauses, until it is below TempResume; 0 is no
	// limit.
	TempLimit, TempResume int64
}

// Gauges is one reading of a device's sensors. A nil field is not known.
type Gauges struct {
	TemperatureC       *int64   `json:"temperature_c,omitempty"`  // of the hottest sensor
	Hottest            string   `json:"hottest_sensor,omitempty"` // its label, where there are several
	PowerMilliwatt     *int64   `json:"power_mw,omitempty"`
	PowerLimit         *int64   `json:"power_limit_mw,omitempty"` // mW
	EnergyMillijoule   *int64   `json:"energy_mj,omitempty"`      // a counter: only differences mean something
	UtilisationPercent *int64   `json:"utilisation_percent,omitempty"`
	MemoryUsed         *int64   `json:"memory_used,omitempty"`  // bytes
	MemoryTotal        *int64   `json:"memory_total,omitempty"` // bytes
	ClockMHz           *int64   `json:"clock_mhz,omitempty"`
	MemoryClockMHz     *int64   `json:"memory_clock_mhz,omitempty"`
	FanPercent         *int64   `json:"fan_percent,omitempty"`
	FanRPM             *int64   `json:"fan_rpm,omitempty"`
	Throttle           []string `json:"throttle,omitempty"` // why the clocks are held back
}

func (d Device) valid() error {
	switch {
	case d.ID == "":
		return fmt.Errorf("%w: a device without an id", ErrConfig)
	case d.Engine == nil && d.Fault == "":
		return fmt.Errorf("%w: device %s has no engine", ErrConfig, d.ID)
	case d.TempLimit != 0 && d.TempResume >= d.TempLimit:
		return fmt.Errorf("%w: device %s would pause at %d °C and resume below %d °C; the limit must be the higher one", ErrConfig, d.ID, d.TempLimit, d.TempResume)
	}
	return nil
}

// describe names a device to the host's owner.
func (d Device) describe() string {
	if d.Name == "" {
		return d.ID
	}
	return d.ID + " " + d.Name
}

// test compares all engines with published answers, side by side.
func (m *machine) test(ctx context.Context) {
	var running sync.WaitGroup
	for _, b := range m.benches {
		if b.out != "" {
			continue
		}
		running.Go(func() {
			if err := work.SelfTest(ctx, b.Engine); err != nil && ctx.Err() == nil {
				m.drop(b, fmt.Errorf("%w: %s: %w; nothing is computed with it", ErrSelfTest, b.Engine.Name(), err))
			}
		})
	}
	running.Wait()
	m.mu.Lock()
	m.testing = false
	m.mu.Unlock()
	m.changed()
}

// drop takes a device out of use for good. Who asks for work after it gets what
// it left undone; where nobody does, the worker ends.
func (m *machine) drop(b *bench, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.changed()
	b.out = err.Error()
	m.failed = append(m.failed, fmt.Errorf("device %s: %w", b.ID, err))
	m.config.Logger.Error("a device is out of use", "device", b.ID, "err", err, "next", "assay-worker doctor tests it again")
	for _, j := range slices.Clone(m.jobs) {
		m.refuse(j)
	}
}

// live are the devices in use. The caller holds mu.
func (m *machine) live() (live []*bench) {
	for _, b := range m.benches {
		if b.out == "" {
			live = append(live, b)
		}
	}
	return live
}

// left is an error when no device is left.
func (m *machine) left() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.live()) > 0 {
		return nil
	}
	var out []error
	for _, b := range m.benches {
		if b.Engine == nil {
			out = append(out, fmt.Errorf("device %s: %s", b.ID, b.Fault))
		}
	}
	return fmt.Errorf("%w: %w", ErrDevices, errors.Join(append(out, m.failed...)...))
}

// watch reads sensors until ctx ends.
func (m *machine) watch(ctx context.Context) {
	tick := time.NewTicker(gaugeTime)
	defer tick.Stop()
	for now := time.Now(); ; {
		for _, b := range m.benches {
			if b.Gauges == nil {
				continue
			}
			g, err := b.Gauges(now)
			if err != nil {
				g = Gauges{} // nothing is known now; a device that was too hot stays paused
			}
			if b.feel(g, err, now) {
				m.changed()
			}
		}
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
	}
}

// blindTime is how long a device computes on when its temperature cannot be read any more.
const blindTime = time.Minute

// readable ends the pause of a device whose temperature cannot be read.
const readable = "it can be read again"

// feel takes a reading, or why there is none, and tells whether it pauses or resumes the device.
func (b *bench) feel(g Gauges, why error, now time.Time) (turned bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gauges = g
	if b.TempLimit == 0 {
		return false
	}
	hot, until := b.hot, fmt.Sprintf("it is below %d °C", b.TempResume)
	t := g.TemperatureC
	switch {
	case t == nil && !b.felt:
		b.unguarded = cmp.Or(reasonOf(why), "its sensors do not show a temperature")
	case t == nil && b.blind.IsZero():
		b.blind = now
		b.unguarded = fmt.Sprintf("its temperature cannot be read since %s%s", now.Format(time.TimeOnly), inBrackets(why))
		b.config.Logger.Warn("temperature", "device", b.ID, "lost", true, "reason", b.unguarded, "pauses in", blindTime)
	case t == nil && now.Sub(b.blind) >= blindTime && hot == "":
		hot, until = b.unguarded+", so its limit could not act", readable
	case t == nil:
		until = b.hotUntil
	case *t >= b.TempLimit:
		hot = fmt.Sprintf("%s reached %d °C, the limit is %d °C", cmp.Or(g.Hottest, "it"), *t, b.TempLimit)
	case *t < b.TempResume || b.hotUntil == readable:
		hot = ""
	}
	if t != nil {
		b.felt, b.blind, b.unguarded = true, time.Time{}, ""
	}
	turned = (hot == "") != (b.hot == "")
	b.hot, b.hotUntil = hot, until
	if turned {
		b.config.Logger.Warn("temperature", "device", b.ID, "paused", hot != "", "reason", hot)
	}
	return turned
}

// tooHot says why a device pauses. The caller holds mu.
func (b *bench) tooHot() string {
	if b.hotUntil == readable {
		return b.ID + ": " + b.hot
	}
	return b.ID + " is too hot: " + b.hot
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func inBrackets(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// warning is what protects a device less than its owner may think; empty is nothing. The caller holds
// mu.
func (b *bench) warning() string {
	if b.TempLimit == 0 || b.Engine == nil {
		return ""
	}
	why := b.unguarded
	if b.Gauges == nil {
		why = cmp.Or(b.NoGauges, "no sensors are known")
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("its limit of %d °C cannot act: %s", b.TempLimit, why)
}

// engines are the names of the engines in use, each one once. The caller holds mu.
func (m *machine) engines() string {
	var names []string
	seen := make(map[string]bool)
	for _, b := range m.benches {
		if b.out == "" && !seen[b.Engine.Name()] {
			seen[b.Engine.Name()] = true
			names = append(names, b.Engine.Name())
		}
	}
	return strings.Join(names, "+")
}
