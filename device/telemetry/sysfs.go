// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// vendor is a maker's number on the PCI bus.
type vendor uint16

const (
	amd    vendor = 0x1002
	intel  vendor = 0x8086
	nvidia vendor = 0x10de
)

func (v vendor) String() string {
	switch v {
	case amd:
		return "AMD"
	case intel:
		return "Intel"
	case nvidia:
		return "NVIDIA"
	}
	return fmt.Sprintf("vendor %04x", uint16(v))
}

// Card is a graphics device that Linux sees on the PCI bus, whether or not a
// driver offers it for computing.
type Card struct {
	PCI    string // like 0000:17:00.0
	Vendor string // AMD, Intel or NVIDIA; others make no GPUs that compute
	Module string // the kernel's driver, empty where none has taken it
}

// Cards lists them. Elsewhere than on Linux there are none to be seen.
func (s *Sensors) Cards() (cards []Card) {
	folders, _ := filepath.Glob(filepath.Join(s.sys, "bus/pci/devices/*"))
	for _, folder := range folders {
		class, ok := hex(filepath.Join(folder, "class"))
		// display controllers; accelerators without a display are among them
		if !ok || class>>16 != 0x03 {
			continue
		}
		v := vendorOf(folder)
		if v != amd && v != intel && v != nvidia {
			continue
		}
		c := Card{PCI: filepath.Base(folder), Vendor: v.String()}
		if module, err := os.Readlink(filepath.Join(folder, "driver")); err == nil {
			c.Module = filepath.Base(module)
		}
		cards = append(cards, c)
	}
	return cards
}

func vendorOf(folder string) vendor {
	n, _ := hex(filepath.Join(folder, "vendor"))
	return vendor(n)
}

// card is the folder of the DRM device at a place on the PCI bus, or "".
func (s *Sensors) card(pci string) string {
	if pci == "" {
		return ""
	}
	folders, _ := filepath.Glob(filepath.Join(s.sys, "class/drm/card*/device"))
	for _, folder := range folders {
		for line := range strings.Lines(text(filepath.Join(folder, "uevent"))) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PCI_SLOT_NAME="); ok &&
				strings.EqualFold(name, pci) {
				return folder
			}
		}
	}
	return ""
}

// readCard reads what amdgpu offers, and of it what i915 and xe do.
func readCard(s *Sample, card string) error {
	at := func(name string) string { return filepath.Join(card, name) }
	s.UtilisationPercent = number(at("gpu_busy_percent"), 1)
	s.MemoryUsed = number(at("mem_info_vram_used"), 1)
	s.MemoryTotal = number(at("mem_info_vram_total"), 1)
	s.ClockMHz = activeClock(text(at("pp_dpm_sclk")))
	s.MemoryClockMHz = activeClock(text(at("pp_dpm_mclk")))
	monitors, _ := filepath.Glob(at("hwmon/hwmon*"))
	first := func(unit int64, names ...string) *int64 {
		for _, m := range monitors {
			for _, name := range names {
				if n := number(filepath.Join(m, name), unit); n != nil {
					return n
				}
			}
		}
		return nil
	}
	for _, m := range monitors {
		s.hottest(m)
	}
	s.PowerMilliwatt = first(1000, "power1_average", "power1_input") // the latter on newer devices
	s.PowerLimit = first(1000, "power1_cap")
	s.EnergyMillijoule = first(1000, "energy1_input")
	s.FanRPM = first(1, "fan1_input")
	if s.empty() {
		return fmt.Errorf("%w: nothing below %s can be read", ErrUnknown, card)
	}
	return nil
}

// hottest takes the temperature of whichever of a card's sensors is the hottest, by its label:
// edge, junction and mem of amdgpu, pkg and vram of xe, which has no first one. The limit is for
// all of them.
func (s *Sample) hottest(monitor string) {
	inputs, _ := filepath.Glob(filepath.Join(monitor, "temp*_input"))
	for _, input := range inputs {
		t := number(input, 1000)
		if t == nil || *t < -40 || *t > 200 { // what a sensor without power shows
			continue
		}
		if s.TemperatureC == nil || *t > *s.TemperatureC {
			s.TemperatureC, s.Hottest = t, text(strings.TrimSuffix(input, "input")+"label")
		}
	}
}

func (s *Sample) empty() bool {
	for _, f := range []*int64{
		s.TemperatureC, s.PowerMilliwatt, s.PowerLimit, s.EnergyMillijoule,
		s.UtilisationPercent, s.MemoryUsed,
		s.MemoryTotal, s.ClockMHz, s.MemoryClockMHz, s.FanPercent, s.FanRPM,
	} {
		if f != nil {
			return false
		}
	}
	return len(s.Throttle) == 0
}

// activeClock reads amdgpu's tables of clocks, in which a star marks the one in
// use: "1: 1200Mhz *".
func activeClock(table string) *int64 {
	for line := range strings.Lines(table) {
		clock, starred := strings.CutSuffix(strings.TrimSpace(line), "*")
		if !starred {
			continue
		}
		_, clock, _ = strings.Cut(clock, ":")
		clock = strings.TrimSpace(clock)
		if digits := strings.TrimRight(clock, "MmHhZz"); digits != clock {
			if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
				return &n
			}
		}
	}
	return nil
}

// The kernel's names of what measures a processor's temperature, and the labels
// of the readings of a whole package, the best first: Tctl, by which some Ryzens
// and Threadrippers steer their fans, is up to 27 degrees above Tdie.
var (
	processorMonitors = []string{"k10temp", "zenpower", "coretemp", "cpu_thermal"}
	processorZones    = []string{"x86_pkg_temp", "cpu-thermal", "cpu_thermal", "cpu0-thermal",
		"soc-thermal", "soc_thermal"}
	packageLabels = []string{"Tdie", "Package id", "Tctl"}
)

// CPU is the processor's sensors, with all sockets taken together. Errors wrap
// ErrUnknown.
func (s *Sensors) CPU() (*Reader, error) {
	c := &processor{sys: s.sys, before: make(map[string]int64)}
	if err := c.read(new(Sample)); err != nil {
		return nil, err
	}
	return &Reader{read: c.read}, nil
}

// processor remembers its energy counters, which begin again from 0 when they
// reach the end of their range.
type processor struct {
	sys    string
	before map[string]int64 // microjoules, by counter
	energy int64            // microjoules, since the first reading
}

func (c *processor) read(s *Sample) error {
	s.TemperatureC = c.temperature()
	s.EnergyMillijoule = c.joules()
	s.ClockMHz = c.clock()
	if s.empty() {
		return fmt.Errorf("%w of the processor below %s", ErrUnknown, c.sys)
	}
	return nil
}

// temperature is the hottest socket's.
func (c *processor) temperature() (hottest *int64) {
	take := func(path string) {
		if t := number(path, 1000); t != nil && (hottest == nil || *t > *hottest) {
			hottest = t
		}
	}
	monitors, _ := filepath.Glob(filepath.Join(c.sys, "class/hwmon/hwmon*"))
	for _, m := range monitors {
		if !slices.Contains(processorMonitors, text(filepath.Join(m, "name"))) {
			continue
		}
		inputs, _ := filepath.Glob(filepath.Join(m, "temp*_input"))
		whole := inputs
		for _, label := range packageLabels {
			if some := slices.DeleteFunc(slices.Clone(inputs), func(input string) bool {
				return !strings.HasPrefix(text(strings.TrimSuffix(input, "input")+"label"), label)
			}); len(some) > 0 {
				whole = some
				break
			}
		}
		for _, input := range whole {
			take(input)
		}
	}
	if hottest != nil {
		return hottest
	}
	zones, _ := filepath.Glob(filepath.Join(c.sys, "class/thermal/thermal_zone*"))
	for _, z := range zones {
		if slices.Contains(processorZones, text(filepath.Join(z, "type"))) {
			take(filepath.Join(z, "temp"))
		}
	}
	return hottest
}

// joules adds up what all packages have used since the first reading, in
// millijoules. Intel's and AMD's counters have the same names.
func (c *processor) joules() *int64 {
	zones, _ := filepath.Glob(filepath.Join(c.sys, "class/powercap/intel-rapl:*"))
	known := false
	for _, z := range zones {
		if strings.Count(filepath.Base(z), ":") != 1 {
			continue // a part of a package
		}
		if name := text(filepath.Join(z, "name")); name != "" &&
			!strings.HasPrefix(name, "package") {
			continue // psys holds the packages and the rest of the board
		}
		now := number(filepath.Join(z, "energy_uj"), 1)
		if now == nil {
			continue
		}
		if last, ok := c.before[z]; ok {
			used := *now - last
			if end := number(filepath.Join(z, "max_energy_range_uj"), 1); used < 0 && end != nil {
				used += *end + 1
			}
			c.energy += max(0, used)
		}
		c.before[z], known = *now, true
	}
	if !known {
		return nil
	}
	return new(c.energy / 1000)
}

// clock is the average of all cores.
func (c *processor) clock() *int64 {
	cores, _ := filepath.Glob(filepath.Join(c.sys,
		"devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"))
	sum, n := int64(0), int64(0)
	for _, core := range cores {
		if mhz := number(core, 1000); mhz != nil {
			sum, n = sum+*mhz, n+1
		}
	}
	if n == 0 {
		return nil
	}
	return new(sum / n)
}

// text is a file's content without the blanks around it, empty where there is none.
func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number is a file's decimal number divided by unit, towards zero.
func number(path string, unit int64) *int64 {
	n, err := strconv.ParseInt(text(path), 10, 64)
	if err != nil || n == math.MinInt64 {
		return nil
	}
	return new(n / unit)
}

// hex is a file's number with 0x before it.
func hex(path string) (uint64, bool) {
	n, err := strconv.ParseUint(text(path), 0, 32)
	return n, err == nil
}
