// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/poc/work"
)

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
	TemperatureC *int64 `json:"temperature_c,omitempty"` // of the hottest sensor
	// its label, where there are several
	Hottest        string `json:"hottest_sensor,omitempty"`
	PowerMilliwatt *int64 `json:"power_mw,omitempty"`
	PowerLimit     *int64 `json:"power_limit_mw,omitempty"` // mW
	// a counter: only differences mean something
	EnergyMillijoule   *int64   `json:"energy_mj,omitempty"`
	UtilisationPercent *int64   `json:"utilisation_percent,omitempty"`
	MemoryUsed         *int64   `json:"memory_used,omitempty"`  // bytes
	MemoryTotal        *int64   `json:"memory_total,omitempty"` // bytes
	ClockMHz           *int64   `json:"clock_mhz,omitempty"`
	MemoryClockMHz     *int64   `json:"memory_clock_mhz,omitempty"`
	FanPercent         *int64   `json:"fan_percent,omitempty"`
	FanRPM             *int64   `json:"fan_rpm,omitempty"`
	Throttle           []string `json:"throttle,omitempty"` // why the clocks are held back
}

// Valid tells what is wrong with how a device was described.
func (d Device) Valid() error {
	switch {
	case d.ID == "":
		return errors.New("a device without an id")
	case d.Engine == nil && d.Fault == "":
		return fmt.Errorf("device %s has no engine", d.ID)
	case d.TempLimit != 0 && d.TempResume >= d.TempLimit:
		return fmt.Errorf("device %s would pause at %d °C and resume below %d °C; the limit must "+
			"be the higher one", d.ID, d.TempLimit, d.TempResume)
	}
	return nil
}

// Describe names a device to the host's owner.
func (d Device) Describe() string {
	if d.Name == "" {
		return d.ID
	}
	return d.ID + " " + d.Name
}
