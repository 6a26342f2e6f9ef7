// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/device/dynlib"
	"github.com/assaynet/assay/device/profile"
)

// Where the driver is missing its owner is told what to install; where it is
// there, there is a list, which may be empty.
func TestDevices(t *testing.T) {
	_, missing := dynlib.Open("libcuda.so.1", "nvcuda.dll")
	all, err := Devices()
	switch {
	case errors.Is(missing, dynlib.ErrUnsupported):
		if !errors.Is(err, dynlib.ErrUnsupported) {
			t.Errorf("without a loader: %v", err)
		}
	case missing != nil:
		if !errors.Is(err, ErrDriver) || !errors.Is(err, dynlib.ErrNotFound) ||
			!strings.Contains(err.Error(), "nvidia-driver") {
			t.Errorf("without a driver: %v", err)
		}
	case err != nil && !errors.Is(err, ErrDriver):
		t.Error(err)
	}
	e, operr := Open(t.Context(), len(all))
	if e != nil || err != nil && operr == nil || err == nil && !errors.Is(operr, ErrNoDevice) {
		t.Errorf("a device beyond the last: %v, %v", e, operr)
	}
	for _, d := range all {
		if d.Name == "" || !strings.HasPrefix(d.Driver, "CUDA 1") || d.Memory == 0 ||
			d.Units == 0 || !strings.Contains(d.PCI, ":") {
			t.Errorf("%+v", d)
		}
	}
}

func TestLibraryOfAnotherKind(t *testing.T) {
	if _, err := dynlib.Open("libc.so.6"); err != nil {
		t.Skipf("no C library: %v", err)
	}
	_, err := loadLibrary("libc.so.6")
	if !errors.Is(err, ErrDriver) || !errors.Is(err, dynlib.ErrSymbol) ||
		!strings.Contains(err.Error(), "450") {
		t.Errorf("%v", err)
	}
}

// compiled is the driver of a machine without a device.
func compiled(t *testing.T, options ...string) (path string) {
	t.Helper()
	compiler, err := exec.LookPath("clang-19")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no clang-19 here")
	}
	path = filepath.Join(t.TempDir(), "libpaper.so")
	options = append(options, "-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-o",
		path, "testdata/driver.c")
	if out, err := exec.Command(compiler, options...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// A driver that is installed, or finds its devices, after the program's start is used from then on.
func TestADriverThatComesLate(t *testing.T) {
	devices := filepath.Join(t.TempDir(), "devices")
	driver, path := compiled(t, "-DDEVICES=\""+devices+"\""),
		filepath.Join(t.TempDir(), "libcome-late.so")
	load := dynlib.Once(func() (*library, error) { return loadLibrary(path) })
	if _, err := load(); !errors.Is(err, ErrDriver) || !errors.Is(err, dynlib.ErrNotFound) {
		t.Fatalf("before it is installed: %v", err)
	}
	if err := os.Rename(driver, path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := load(); !errors.Is(err, errEmpty) {
			t.Fatalf("before it has a device: %v", err)
		}
	}
	if err := os.WriteFile(devices, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := load()
	if err != nil {
		t.Fatalf("with a device: %v", err)
	}
	if all, err := first.devices(); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	if second, err := load(); err != nil || second != first {
		t.Errorf("a driver that works is started again: %v", err)
	}
}

// paper compiles and loads the driver of a machine without a device.
func paper(t *testing.T) (*library, func() int32) {
	t.Helper()
	path := compiled(t)
	l, err := loadLibrary(path)
	if err != nil {
		t.Fatal(err)
	}
	same, err := dynlib.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var live func() int32
	if err := same.Bind(map[string]any{"paperLive": &live}); err != nil {
		t.Fatal(err)
	}
	return l, live
}

func TestBinding(t *testing.T) {
	l, live := paper(t)
	all, err := l.devices()
	if err != nil {
		t.Fatal(err)
	}
	want := []figures{
		{profile.Device{Name: "Paper 40", Driver: "CUDA 12.4", Memory: 40 << 30, Units: 100,
			PCI: "0000:a8:00.0"}, 8, 0, 1500000},
		{profile.Device{Name: "Paper 41", Driver: "CUDA 12.4", Memory: 41 << 30, Units: 100,
			PCI: "0000:a9:00.0"}, 7, 0, 1500000},
	}
	if d := cmp.Diff(want, all, cmp.AllowUnexported(figures{})); d != "" {
		t.Error(d)
	}
	if _, err := l.open(2); !errors.Is(err, ErrDriver) ||
		!strings.Contains(err.Error(), "finding device 2: error 1") {
		t.Errorf("a device that is not there: %v", err)
	}
	if err := l.failed(999, "starting"); !errors.Is(err, ErrDriver) ||
		!strings.Contains(err.Error(), "failed starting: error 999: the kernel module may not be "+
			"loaded") {
		t.Errorf("advice: %v", err)
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := l.open(0)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.bind())
	free, total, err := c.memory()
	if err != nil || free != 5<<30 || total != 6<<30 {
		t.Errorf("memory: %d of %d, %v", free, total, err)
	}
	if _, err := c.alloc(5<<30 + 1); !errors.Is(err, ErrMemory) || !errors.Is(err, ErrDriver) ||
		!strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY (2)") {
		t.Errorf("more than there is: %v", err)
	}
	if _, err := c.load("a", "bad text"); !errors.Is(err, ErrDriver) ||
		!strings.Contains(err.Error(), "compiling the kernels a: CUDA_ERROR_NO_BINARY_FOR_GPU "+
			"(209); its compiler said: line 1: it is bad, and the log has 8192 bytes") {
		t.Errorf("a module that does not compile: %v", err)
	}
	module, err := c.load("b", "here is norm")
	must(err)
	if _, err := c.kernel(module, "absent", 0); !errors.Is(err, ErrDriver) {
		t.Errorf("a kernel that is not there: %v", err)
	}
	kernel, err := c.kernel(module, "norm", 98304)
	must(err)
	stream, err := c.stream()
	must(err)
	at, err := c.alloc(4096)
	must(err)
	other, err := c.alloc(64)
	must(err)
	host, err := c.pin(4096)
	must(err)
	spare, err := c.pin(1)
	must(err)
	from, err := c.mark(stream)
	must(err)
	must(c.launch(stream, kernel, launch{ctas: 70000, threads: 256, shared: 98304,
		parameters: parameters(at, uint32(0xa1), []uint32{1, 2}, uint64(0xb2), uint32(0xc3))}))
	to, err := c.mark(stream)
	must(err)
	must(c.download(stream, host, at))
	must(c.wait(stream))
	text := goString(host)
	if want := "norm: 70000 1 1 by 256 1 1, shared 98304 of 98304, bound 1, flags 4:" +
		" a1 00 00 00 01 00 00 00 02 00 00 00 00 00 00 00" +
		" b2 00 00 00 00 00 00 00 c3 00 00 00"; text != want {
		t.Errorf("launched with\n%s, want\n%s", text, want)
	}
	copy(host, "back and forth")
	must(c.upload(stream, at, host[:14]))
	clear(host)
	must(c.download(stream, host[:14], at))
	if text := goString(host); text != "back and forth" {
		t.Errorf("memory holds %q", text)
	}
	if seconds, err := c.elapsed(from, to); err != nil || seconds != 0.0015 {
		t.Errorf("elapsed %g, %v", seconds, err)
	}
	must(c.free(other))
	must(c.unpin(spare))
	must(c.close())
	if n := live(); n != 0 {
		t.Errorf("%d things are left after close", n)
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		major, minor int
		want         string
	}{{7, 5, "sm_75"}, {8, 0, "sm_80"}, {8, 6, "sm_80"}, {8, 9, "sm_80"}, {9, 0, "sm_80"},
		{10, 0, "sm_80"}, {12, 1, "sm_80"}} {
		if g, err := targetFor(c.major, c.minor); err != nil || g.name != c.want {
			t.Errorf("%d.%d: %s, %v", c.major, c.minor, g.name, err)
		}
	}
	for _, c := range [][2]int{{3, 5}, {6, 1}, {7, 0}, {7, 2}} {
		if _, err := targetFor(c[0], c[1]); !errors.Is(err, ErrCapability) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// The figures are those of datasheets.
func TestPeak(t *testing.T) {
	for _, c := range []struct {
		name                       string
		major, minor, units, clock int
		tops                       float64
	}{
		{"RTX 2080 Ti", 7, 5, 68, 1545000, 215}, {"A100", 8, 0, 108, 1410000, 624},
		{"RTX 3090", 8, 6, 82, 1695000, 284},
		{"RTX 4090", 8, 9, 128, 2520000, 660}, {"H100 SXM", 9, 0, 132, 1830000, 1979},
		{"RTX 5090", 12, 0, 170, 2407000, 838},
	} {
		f := figures{profile.Device{Units: c.units}, c.major, c.minor, c.clock}
		p, err := f.peak()
		if err != nil || p.Ops < c.tops*0.99e12 || p.Ops > c.tops*1.01e12 ||
			!strings.Contains(p.How, "datasheet") {
			t.Errorf("%s: %+v, %v, want %g TOPS", c.name, p, err, c.tops)
		}
	}
	if p, err := (figures{major: 99}).peak(); !errors.Is(err, ErrPeak) {
		t.Errorf("a device of the future: %+v, %v", p, err)
	}
}
