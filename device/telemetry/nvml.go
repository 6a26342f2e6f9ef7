// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/assaynet/assay/device/dynlib"
)

// library is the part of NVML that is used. Functions return an nvmlReturn_t, 0
// for success; devices are opaque pointers.
type library struct {
	initialise  func() int32
	errorString func(int32) *byte
	byPCI       func(pci *byte, device *uintptr) int32
	temperature func(device uintptr, sensor int32, celsius *uint32) int32
	power       func(device uintptr, milliwatt *uint32) int32
	powerLimit  func(device uintptr, milliwatt *uint32) int32
	energy      func(device uintptr, millijoule *uint64) int32
	utilisation func(device uintptr, percent *utilisation) int32
	memory      func(device uintptr, bytes *memory) int32
	clock       func(device uintptr, which int32, mhz *uint32) int32
	fan         func(device uintptr, percent *uint32) int32
	throttle    func(device uintptr, reasons *uint64) int32
}

// utilisation is an nvmlUtilization_t: of the device and of its memory. memory is
// an nvmlMemory_t: total, free and used.
type (
	utilisation [2]uint32
	memory      [3]uint64
)

// Numbers from nvml.h, which never change.
const (
	sensorDie   = 0
	clockSM     = 1
	clockMemory = 2
)

// throttleReasons are the bits of nvmlClocksThrottleReasons. Idle clocks and
// those that somebody has set are no trouble, and left out.
var throttleReasons = []struct {
	bit  uint64
	text string
}{
	{0x04, "power limit"},
	{0x08, "hardware slowdown"},
	{0x20, "temperature"},
	{0x40, "temperature, by hardware"},
	{0x80, "power brake"},
}

// nvml loads NVIDIA's library, once it can: the driver may come after the program.
var nvml = dynlib.Once(func() (*library, error) {
	return loadNVML("libnvidia-ml.so.1", "nvml.dll")
})

func loadNVML(names ...string) (*library, error) {
	loaded, err := dynlib.Open(names...)
	if err != nil {
		return nil, fmt.Errorf("%w: NVIDIA's come with its driver's library: %w", ErrUnknown, err)
	}
	l, err := begin(loaded)
	if err != nil {
		return nil, errors.Join(err, loaded.Close())
	}
	return l, nil
}

func begin(loaded dynlib.Library) (*library, error) {
	l := new(library)
	err := loaded.Bind(map[string]any{
		"nvmlInit_v2":                               &l.initialise,
		"nvmlErrorString":                           &l.errorString,
		"nvmlDeviceGetHandleByPciBusId_v2":          &l.byPCI,
		"nvmlDeviceGetTemperature":                  &l.temperature,
		"nvmlDeviceGetPowerUsage":                   &l.power,
		"nvmlDeviceGetEnforcedPowerLimit":           &l.powerLimit,
		"nvmlDeviceGetTotalEnergyConsumption":       &l.energy,
		"nvmlDeviceGetUtilizationRates":             &l.utilisation,
		"nvmlDeviceGetMemoryInfo":                   &l.memory,
		"nvmlDeviceGetClockInfo":                    &l.clock,
		"nvmlDeviceGetFanSpeed":                     &l.fan,
		"nvmlDeviceGetCurrentClocksThrottleReasons": &l.throttle,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: NVIDIA's library is too old: %w", ErrUnknown, err)
	}
	if code := l.initialise(); code != 0 {
		return nil, l.failed(code, "starting")
	}
	return l, nil
}

func (l *library) failed(code int32, doing string) error {
	reason := "no reason given"
	if text := l.errorString(code); text != nil {
		n := 0
		for *(*byte)(unsafe.Add(unsafe.Pointer(text), n)) != 0 {
			n++
		}
		reason = string(unsafe.Slice(text, n))
	}
	return fmt.Errorf("%w: NVIDIA's library, %s: %s (%d)", ErrUnknown, doing,
		strings.ToLower(reason), code)
}

// nvidia finds a device by its place on the PCI bus.
func (s *Sensors) nvidia(pci string) (*Reader, error) {
	if pci == "" {
		return nil, fmt.Errorf("%w: its driver does not tell the device's place on the PCI bus",
			ErrUnknown)
	}
	l, err := s.nvml()
	if err != nil {
		return nil, err
	}
	var device uintptr
	if code := l.byPCI(&append([]byte(pci), 0)[0], &device); code != 0 {
		return nil, l.failed(code, "looking for device "+pci)
	}
	return &Reader{read: func(s *Sample) error { return l.read(s, device) }}, nil
}

// read asks for everything; a device answers what it can.
func (l *library) read(s *Sample, device uintptr) error {
	var n uint32
	take := func(code int32) *int64 {
		if code != 0 {
			return nil
		}
		return new(int64(n))
	}
	first := l.temperature(device, sensorDie, &n)
	s.TemperatureC = take(first)
	s.PowerMilliwatt = take(l.power(device, &n))
	s.PowerLimit = take(l.powerLimit(device, &n))
	s.ClockMHz = take(l.clock(device, clockSM, &n))
	s.MemoryClockMHz = take(l.clock(device, clockMemory, &n))
	s.FanPercent = take(l.fan(device, &n))
	var joules, reasons uint64
	if l.energy(device, &joules) == 0 {
		s.EnergyMillijoule = new(int64(joules))
	}
	var u utilisation
	if l.utilisation(device, &u) == 0 {
		s.UtilisationPercent = new(int64(u[0]))
	}
	var m memory
	if l.memory(device, &m) == 0 {
		s.MemoryUsed, s.MemoryTotal = new(int64(m[2])), new(int64(m[0]))
	}
	if l.throttle(device, &reasons) == 0 {
		for _, r := range throttleReasons {
			if reasons&r.bit != 0 {
				s.Throttle = append(s.Throttle, r.text)
			}
		}
	}
	if s.empty() {
		return l.failed(first, "reading the temperature")
	}
	return nil
}
