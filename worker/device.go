// SPDX-License-Identifier: Apache-2.0

package worker

import (
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
	// From TempLimit °C on the device pauses, until it is below TempResume; 0 is no
	// limit.
	TempLimit, TempResume int64
}

// Gauges is one reading of a device's sensors. A nil field is not known.
type Gauges struct {
	TemperatureC       *int64   `json:"temperature_c,omitempty"`
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
			if b.feel(g) {
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

// feel takes a reading, and tells whether it pauses or resumes the device.
func (b *bench) feel(g Gauges) (turned bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gauges = g
	hot := b.hot
	if t := g.TemperatureC; t != nil && b.TempLimit != 0 {
		switch {
		case *t >= b.TempLimit:
			hot = fmt.Sprintf("it reached %d °C, the limit is %d °C", *t, b.TempLimit)
		case *t < b.TempResume:
			hot = ""
		}
	}
	turned = (hot == "") != (b.hot == "")
	if turned {
		b.hot = hot
		b.config.Logger.Warn("temperature", "device", b.ID, "paused", hot != "", "reason", hot)
	}
	return turned
}

// until is when a device that is too hot goes on.
func (d Device) until() string { return fmt.Sprintf("it is below %d °C", d.TempResume) }

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
