// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A limit acts on the hottest sensor of a card, whichever it is and however it is numbered.
func TestHottestSensorCounts(t *testing.T) {
	s := tree(t, "reported")
	for pci, want := range map[string]Sample{
		"0000:03:00.0": {TemperatureC: new(int64(110)), Hottest: "junction"},
		"0000:04:00.0": {TemperatureC: new(int64(97)), Hottest: "pkg",
			EnergyMillijoule: new(int64(9000))},
	} {
		r, err := s.GPU(pci)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Read(start)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", pci, err, diff)
		}
	}
	memory := "class/drm/card0/device/hwmon/hwmon4/temp3_input"
	write(t, s.sys, memory, "112000")
	r, err := s.GPU("0000:03:00.0")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Read(start); err != nil || *got.TemperatureC != 112 || got.Hottest != "mem" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Tctl is not the temperature where Tdie is shown, and psys holds what the package counts already.
func TestProcessorIsNotCountedTwice(t *testing.T) {
	s := tree(t, "reported")
	r, err := s.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(start); err != nil {
		t.Fatal(err)
	}
	write(t, s.sys, "class/powercap/intel-rapl:0/energy_uj", "16000000") // 15 J more
	write(t, s.sys, "class/powercap/intel-rapl:1/energy_uj", "29000000")
	got, err := r.Read(start.Add(time.Second))
	if err != nil || *got.TemperatureC != 68 || *got.PowerMilliwatt != 15_000 {
		t.Errorf("%d °C, %d mW, %v", *got.TemperatureC, *got.PowerMilliwatt, err)
	}
}
