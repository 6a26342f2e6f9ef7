// SPDX-License-Identifier: Apache-2.0

// Package telemetry reads what devices say of themselves while they work:
// temperature, power, energy, utilisation, memory, clocks, fans and why they
// hold back. It needs neither cgo nor a vendor's program:
//
//	NVIDIA        the driver's own library (NVML), loaded at run time
//	AMD, Intel    files that Linux offers below /sys/class/drm
//	processors    Linux's hwmon or thermal zones, and the energy counters of
//	              powercap (RAPL), which newer kernels show to root only
//
// What a device does not tell is nil, never 0. Sensors are for their owner's
// eyes and for temperature limits; nothing is credited by them.
//
// A Reader belongs to one goroutine at a time.
package telemetry

import (
	"errors"
	"time"
)

// ErrUnknown reports a device that has no sensors, or none that can be read.
var ErrUnknown = errors.New("telemetry: no sensors")

// Sample is one reading. A nil field is not known.
type Sample struct {
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

// Sensors finds the sensors of this machine's devices.
type Sensors struct {
	sys string
	// nvml loads NVIDIA's library when it is first needed.
	nvml func() (*library, error)
}

// Open looks below sys, which is /sys on Linux; tests have a tree of their own.
func Open(sys string) *Sensors { return &Sensors{sys: sys, nvml: nvml} }

// Reader reads one device's sensors.
type Reader struct {
	read func(*Sample) error

	// Of the reading before, for a power that is only known as energy.
	last   *int64
	lastAt time.Time
}

// Read takes a reading at a time. Where the device tells its energy but not its
// power, power is the average since the reading before. Errors wrap ErrUnknown:
// nothing could be read, and the reason may be over by the next time.
func (r *Reader) Read(now time.Time) (Sample, error) {
	var s Sample
	if err := r.read(&s); err != nil {
		return Sample{}, err
	}
	if e := s.EnergyMillijoule; e != nil {
		if seconds := now.Sub(r.lastAt).Seconds(); s.PowerMilliwatt == nil && r.last != nil &&
			*e >= *r.last && seconds > 0 {
			s.PowerMilliwatt = new(int64(float64(*e-*r.last) / seconds))
		}
		r.last, r.lastAt = e, now
	}
	return s, nil
}

// GPU finds the sensors of the device at a place on the PCI bus, like
// 0000:17:00.0. Errors wrap ErrUnknown and tell what is missing.
func (s *Sensors) GPU(pci string) (*Reader, error) {
	if card := s.card(pci); card != "" && vendorOf(card) != nvidia {
		return &Reader{read: func(to *Sample) error { return readCard(to, card) }}, nil
	}
	return s.nvidia(pci)
}
