// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/work"
)

// Nothing slower is chosen in silence.
func TestWhyNotFaster(t *testing.T) {
	for engine, part := range map[string]string{
		"cpu/avx2": "AVX-512", "cpu/avx512vnni": "", "cpu/neon-dotprod": "", "cuda/sm_75": "8.0",
		"cuda/sm_80": "", "opencl/plain": "cl_khr_integer_dot_product",
		"opencl/dot": "", work.Reference().Name(): "AVX2",
	} {
		if text := slower(engine, "amd64"); !strings.Contains(text, part) ||
			(text == "") != (part == "") {
			t.Errorf("%s: %q", engine, text)
		}
	}
	if text := slower(work.Reference().Name(), "riscv64"); !strings.Contains(text, "riscv64") {
		t.Error(text)
	}
	b := []Backend{{
		Name: CPU,
		Devices: func() ([]profile.Device, error) {
			return []profile.Device{{Name: "a processor"}}, nil
		},
		Open: func(context.Context, int) (profile.Engine, error) {
			return Plain(work.Reference()), nil
		},
	}}
	c, err := Choose(t.Context(), b, []string{CPU}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(c.Notes, "\n"), c.Use[0].Slower()) ||
		c.Use[0].Slower() == "" {
		t.Errorf("the owner is told %q", c.Notes)
	}
	c.Use[0].Warning = errors.New("something else")
	if c.Use[0].Slower() != "" {
		t.Error("the warning says it")
	}
}

// What a driver calls its device is made text where it enters.
func TestNamesAreCleaned(t *testing.T) {
	for name, want := range map[string]string{
		"NVIDIA H200":                     "NVIDIA H200",
		"Grafikkarte für ¥":               "Grafikkarte für ¥",
		"bad \xff\xfe name":               "bad ?? name",
		"with\x00zero\tand\x1b[31m tab":   "withzero?and?[31m tab",
		"\ufeffmark":                      "mark",
		strings.Repeat("x", 3*nameLength): strings.Repeat("x", nameLength),
	} {
		b := []Backend{{Name: "cuda", Devices: func() ([]profile.Device, error) {
			return []profile.Device{{Name: name, Driver: name, PCI: name}}, nil
		}}}
		all, _ := List(b)
		if all[0].Name != want || all[0].Driver != want || all[0].PCI != want ||
			!utf8.ValidString(all[0].String()) {
			t.Errorf("%q became %q", name, all[0].Name)
		}
	}
}
