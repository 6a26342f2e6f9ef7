// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/device/dynlib"
)

// tree unpacks a machine's files: their names hold colons, which a source tree
// had better not.
func tree(t *testing.T, name string) *Sensors {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("names with colons")
	}
	b, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		path, content, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if !ok {
			t.Fatalf("%s: %q", name, line)
		}
		write(t, root, path, strings.ReplaceAll(content, `\n`, "\n"))
	}
	return &Sensors{sys: root, nvml: func() (*library, error) { return nil, ErrUnknown }}
}

func write(t *testing.T, root, path, content string) {
	t.Helper()
	path = filepath.Join(root, path)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var start = time.Unix(1_800_000_000, 0)

func TestCards(t *testing.T) {
	for _, c := range []struct {
		machine, pci string
		want         Sample
	}{
		{"desktop", "0000:03:00.0", Sample{
			TemperatureC: new(int64(83)), PowerMilliwatt: new(int64(321000)),
			PowerLimit: new(int64(339000)), UtilisationPercent: new(int64(97)),
			MemoryUsed: new(int64(3 << 30)), MemoryTotal: new(int64(25753026560)),
			ClockMHz: new(int64(2371)), MemoryClockMHz: new(int64(1249)), FanRPM: new(int64(1843)),
		}},
		{"server", "0000:17:00.0",
			Sample{TemperatureC: new(int64(-2)), PowerMilliwatt: new(int64(140500)),
				UtilisationPercent: new(int64(0))}},
		{"server", "0000:4D:00.0", Sample{EnergyMillijoule: new(int64(5000))}},
	} {
		r, err := tree(t, c.machine).GPU(c.pci)
		if err != nil {
			t.Errorf("%s, %s: %v", c.machine, c.pci, err)
			continue
		}
		got, err := r.Read(start)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s, %s: %v\n%s", c.machine, c.pci, err, diff)
		}
	}
	for _, c := range []struct{ machine, pci string }{{"desktop", "0000:09:00.0"}, {"desktop", ""},
		{"board", "0000:03:00.0"}} {
		if _, err := tree(t, c.machine).GPU(c.pci); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s, %q: %v", c.machine, c.pci, err)
		}
	}
	r, err := tree(t, "server").GPU("0000:99:00.0")
	if err == nil {
		_, err = r.Read(start)
	}
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("a card without files: %v", err)
	}
}

// Where only energy is told, power is its difference over time.
func TestPowerFromEnergy(t *testing.T) {
	s := tree(t, "server")
	r, err := s.GPU("0000:4d:00.0")
	if err != nil {
		t.Fatal(err)
	}
	counter := "class/drm/card0/device/hwmon/hwmon3/energy1_input"
	for _, c := range []struct {
		after time.Duration
		uj    string
		want  *int64
	}{
		{0, "5000000", nil},
		{2 * time.Second, "305000000", new(int64(150_000))},
		{2 * time.Second, "305000001", nil}, // no time has passed
		{4 * time.Second, "1000000", nil},   // the counter began again
		{5 * time.Second, "76000000", new(int64(75_000))},
	} {
		write(t, s.sys, counter, c.uj)
		got, err := r.Read(start.Add(c.after))
		if diff := cmp.Diff(c.want, got.PowerMilliwatt); diff != "" || err != nil {
			t.Errorf("after %v, %s: %v\n%s", c.after, c.uj, err, diff)
		}
	}
}

func TestProcessors(t *testing.T) {
	for _, c := range []struct {
		machine string
		want    Sample
	}{
		{"desktop", Sample{TemperatureC: new(int64(71)), EnergyMillijoule: new(int64(0)),
			ClockMHz: new(int64(4000))}},
		{"server", Sample{TemperatureC: new(int64(64))}},
		{"board", Sample{TemperatureC: new(int64(48))}},
	} {
		r, err := tree(t, c.machine).CPU()
		if err != nil {
			t.Errorf("%s: %v", c.machine, err)
			continue
		}
		got, err := r.Read(start)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.machine, err, diff)
		}
	}
	if _, err := Open(t.TempDir()).CPU(); !errors.Is(err, ErrUnknown) {
		t.Errorf("no files: %v", err)
	}
}

// An energy counter goes on from 0 when it reaches the end of its range.
func TestEnergyWraps(t *testing.T) {
	s := tree(t, "desktop")
	r, err := s.CPU()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uj   string
		want int64
	}{{"65532610987", 0}, {"29999999", 30_000}, {"129999999", 130_000}} {
		write(t, s.sys, "class/powercap/intel-rapl:0/energy_uj", c.uj)
		got, err := r.Read(start)
		if diff := cmp.Diff(&c.want, got.EnergyMillijoule); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.uj, err, diff)
		}
	}
}

func TestCardsOfTheMachine(t *testing.T) {
	s := tree(t, "desktop")
	if err := os.Symlink("../../../bus/pci/drivers/amdgpu",
		filepath.Join(s.sys, "bus/pci/devices/0000:03:00.0/driver")); err != nil {
		t.Fatal(err)
	}
	want := []Card{{"0000:03:00.0", "AMD", "amdgpu"}, {"0000:09:00.0", "NVIDIA", ""}}
	if diff := cmp.Diff(want, s.Cards()); diff != "" {
		t.Error(diff)
	}
	if cards := Open(t.TempDir()).Cards(); len(cards) != 0 {
		t.Errorf("no files: %v", cards)
	}
}

// The binding is tried on a library of the same signatures.
func TestNVML(t *testing.T) {
	compiler, err := exec.LookPath("clang-19")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no clang-19 here")
	}
	path := filepath.Join(t.TempDir(), "libnvml.so")
	if out, err := exec.Command(compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", path,
		"testdata/nvml.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := loadNVML("libno-such-thing.so.1", path)
	if errors.Is(err, dynlib.ErrUnsupported) {
		t.Skip(err)
	}
	s := tree(t, "desktop")
	s.nvml = func() (*library, error) { return l, err }
	for pci, want := range map[string]Sample{
		"0000:17:00.0": {
			TemperatureC: new(int64(71)), PowerMilliwatt: new(int64(689123)),
			PowerLimit: new(int64(700000)), EnergyMillijoule: new(int64(5e12)),
			UtilisationPercent: new(int64(99)), MemoryUsed: new(int64(10 << 30)),
			MemoryTotal: new(int64(80 << 30)),
			ClockMHz:    new(int64(1755)), MemoryClockMHz: new(int64(2619)),
			FanPercent: new(int64(54)), Throttle: []string{"power limit", "temperature"},
		},
		"0000:65:00.0": {
			TemperatureC: new(int64(71)), PowerMilliwatt: new(int64(689123)),
			PowerLimit:         new(int64(700000)),
			UtilisationPercent: new(int64(99)), MemoryUsed: new(int64(10 << 30)),
			MemoryTotal: new(int64(80 << 30)),
			ClockMHz:    new(int64(1755)), MemoryClockMHz: new(int64(2619)),
		},
	} {
		r, err := s.GPU(pci)
		if err != nil {
			t.Errorf("%s: %v", pci, err)
			continue
		}
		got, err := r.Read(start)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", pci, err, diff)
		}
	}
	r, err := s.GPU("0000:66:00.0")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Read(start); !errors.Is(err, ErrUnknown) ||
		!strings.Contains(err.Error(), "gpu is lost (15)") {
		t.Errorf("a lost device: %+v, %v", got, err)
	}
	if _, err := s.GPU("0000:77:00.0"); !errors.Is(err, ErrUnknown) ||
		!strings.Contains(err.Error(), "0000:77:00.0") {
		t.Errorf("no such device: %v", err)
	}
}

func TestNVMLMissing(t *testing.T) {
	for _, name := range []string{"libno-such-thing.so.1", "libc.so.6"} {
		if _, err := loadNVML(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
