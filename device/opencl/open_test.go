// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// long is the whole suite; otherwise what takes a minute is cut.
var long = os.Getenv("ASSAY_LONG") != ""

// PoCL keeps compiled kernels on disk; the tests are to see today's.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		cache, err := os.MkdirTemp("", "assay-opencl-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(cache)
		os.Setenv("POCL_CACHE_DIR", cache)
		return m.Run()
	}())
}

// deviceOr is the first GPU, or else a processor's runtime. Where there is
// neither the test is skipped, or with ASSAY_NEED_OPENCL=1 fails.
func deviceOr(t testing.TB) (*api, *device) {
	t.Helper()
	a, err := load()
	for _, kind := range []uint64{deviceTypeGPU, deviceTypeCPU} {
		if err != nil {
			break
		}
		var all []device
		if all, err = a.find(kind); err == nil && len(all) > 0 {
			return a, &all[0]
		}
	}
	const what = "no OpenCL device; on Debian the packages pocl-opencl-icd and " +
		"ocl-icd-libopencl1 make one of the processor"
	if os.Getenv("ASSAY_NEED_OPENCL") == "1" {
		t.Fatal(what, err)
	}
	t.Skip(what, err)
	return nil, nil
}

// openAs opens a variant on the device, until the test ends.
func openAs(t testing.TB, v variant) *engine {
	t.Helper()
	a, d := deviceOr(t)
	e, err := openVariant(a, d, v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if e.held != 0 {
			t.Errorf("%d bytes are held after Close", e.held)
		}
	})
	return e
}

func openWide(t testing.TB) *engine { return openAs(t, variant{geometry: wide}) }

// imitated is a dot product for compilers that have none.
const imitated = `-Ddot_4x8packed_ss_int(a,b)=dot4(convert_int4(as_char4(a)),convert_int4(as_char4(b)),0)`

// everyVariant runs a test on each of the ways to compile. The dot product is
// imitated: the code around it is what is tested.
func everyVariant(t *testing.T, f func(t *testing.T, e *engine)) {
	for name, v := range map[string]variant{
		"wide": {geometry: wide}, "narrow": {geometry: narrow}, "dot": {narrow, packed, imitated},
	} {
		t.Run(name, func(t *testing.T) { f(t, openAs(t, v)) })
	}
}

// What is offered to package device, with a processor for want of a GPU.
func TestOpenProcessor(t *testing.T) {
	if _, d := deviceOr(t); d == nil {
		return
	}
	gpus, err := Devices()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), len(gpus)); !errors.Is(err, ErrDevice) {
		t.Errorf("opening a device too many: %v", err)
	}
	if _, err := OpenProcessor(t.Context(), -1); !errors.Is(err, ErrDevice) {
		t.Errorf("opening number -1: %v", err)
	}
	processors, err := Processors()
	if err != nil || len(processors) == 0 {
		t.Skipf("no runtime for processors: %v", err)
	}
	d := processors[0]
	if d.Name == "" || !strings.Contains(d.Driver, "OpenCL") || d.Memory == 0 || d.Units == 0 {
		t.Errorf("the driver says %+v", d)
	}
	e, err := OpenProcessor(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.Name(), "opencl/") {
		t.Errorf("an engine of name %q", e.Name())
	}
	if err := work.SelfTest(t.Context(), e); err != nil {
		t.Error(err)
	}
	if err := e.(interface{ Close() error }).Close(); err != nil {
		t.Error(err)
	}
}

// A driver whose dot product does not compile, or is wrong, computes without.
func TestFallsBack(t *testing.T) {
	a, d := deviceOr(t)
	broken := variant{narrow, packed, "-Ddot_4x8packed_ss_int=no_such_function"}
	wrong := variant{narrow, packed, "-Ddot_4x8packed_ss_int(a,b)=((int)((a)^(b)))"}
	right := variant{narrow, packed, imitated}
	for _, c := range []struct {
		try  []variant
		want string
		err  error
	}{
		{[]variant{broken, {geometry: narrow}}, "opencl/plain", nil},
		{[]variant{wrong, {geometry: narrow}}, "opencl/plain", nil},
		{[]variant{right, {geometry: narrow}}, "opencl/dot", nil},
		{[]variant{broken}, "", ErrBuild},
		{[]variant{wrong}, "", work.ErrSelfTest},
	} {
		e, err := firstOf(t.Context(), a, d, c.try)
		if !errors.Is(err, c.err) {
			t.Errorf("%v: %v, want %v", c.try, err, c.err)
		}
		if err != nil {
			continue
		}
		if e.Name() != c.want {
			t.Errorf("%v: %s, want %s", c.try, e.Name(), c.want)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBuildErrorsShowTheLog(t *testing.T) {
	a, d := deviceOr(t)
	_, err := openVariant(a, d, variant{narrow, packed, "-Ddot_4x8packed_ss_int=no_such_function"})
	if !errors.Is(err, ErrBuild) || !strings.Contains(err.Error(), "no_such_function") ||
		!strings.Contains(err.Error(), "CL_BUILD_PROGRAM_FAILURE") {
		t.Errorf("%v", err)
	}
}

func TestUnusableDevices(t *testing.T) {
	for _, d := range []device{
		{unusable: "it is big-endian", maxGroup: 256, localMemory: 1 << 16},
		{maxGroup: 32, localMemory: 1 << 16},
		{maxGroup: 1024, localMemory: 1 << 12},
	} {
		if _, err := newEngine(t.Context(), nil, &d); !errors.Is(err, ErrDevice) {
			t.Errorf("%+v: %v, want ErrDevice", d, err)
		}
	}
}

func TestVariants(t *testing.T) {
	for _, c := range []struct {
		device device
		want   []string
	}{
		{device{maxGroup: 1024, localMemory: 1 << 16}, []string{"plain 256", "plain 64"}},
		{device{maxGroup: 256, localMemory: 1 << 15,
			extensions: []string{"cl_khr_integer_dot_product"}},
			[]string{"dot 256", "plain 256", "dot 64", "plain 64"}},
		{device{maxGroup: 255, localMemory: 1 << 15}, []string{"plain 64"}},
		{device{maxGroup: 256, localMemory: 1 << 14}, []string{"plain 256", "plain 64"}},
		{device{maxGroup: 256, localMemory: 1<<14 - 1}, []string{"plain 64"}},
	} {
		var got []string
		for _, v := range c.device.variants() {
			got = append(got, strings.TrimSpace(v.arithmetic.String()+" "+map[int]string{64: "64",
				256: "256"}[v.items()]))
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v: %s", c.device, d)
		}
	}
}

func TestMissingLoader(t *testing.T) {
	_, err := loadFrom("libno-such-thing.so.7")
	if !errors.Is(err, ErrRuntime) {
		t.Fatalf("%v, want ErrRuntime", err)
	}
	if text := err.Error(); !strings.Contains(text, "loader") {
		t.Errorf("%q does not say what is missing", text)
	}
}

// A vendor's driver that is installed after the program's start is used from then on.
func TestADriverThatComesLate(t *testing.T) {
	if folder := os.Getenv("ASSAY_TEST_VENDORS"); folder != "" { // the program
		for range 2 {
			if _, err := Devices(); !errors.Is(err, ErrRuntime) {
				t.Fatalf("before it is installed: %v", err)
			}
		}
		if err := os.Rename(filepath.Join(folder, "late"),
			filepath.Join(folder, "late.icd")); err != nil {
			t.Fatal(err)
		}
		all, err := Processors()
		if err != nil || len(all) == 0 {
			t.Errorf("after it is installed: %v, %v", all, err)
		}
		return
	}
	installed, err := os.ReadFile("/etc/OpenCL/vendors/pocl.icd")
	if err != nil {
		t.Skip("needs the Debian packages pocl-opencl-icd and ocl-icd-libopencl1: ", err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "late"), installed, 0o600); err != nil {
		t.Fatal(err)
	}
	program := exec.Command(os.Args[0], "-test.run=^TestADriverThatComesLate$", "-test.v")
	program.Env = append(os.Environ(), "ASSAY_TEST_VENDORS="+folder, "OCL_ICD_VENDORS="+folder)
	if out, err := program.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCodesAreNamed(t *testing.T) {
	for c, want := range map[code]string{
		-5:    "CL_OUT_OF_RESOURCES (-5): the device gave up",
		-52:   "CL_INVALID_KERNEL_ARGS (-52)",
		-1001: "no vendor's driver",
		-9999: "OpenCL error (-9999)",
	} {
		if !strings.Contains(c.Error(), want) {
			t.Errorf("%q does not contain %q", c.Error(), want)
		}
	}
}

func TestPlaces(t *testing.T) {
	topology := make([]byte, 24)
	topology[0], topology[21], topology[22], topology[23] = 1, 0x83, 0x1f, 2
	bus := make([]byte, 16)
	bus[0], bus[4], bus[8], bus[12] = 1, 0x17, 0x1e, 3
	for got, want := range map[string]string{
		pciAMD(topology):    "0000:83:1f.2",
		pciKHR(bus):         "0001:17:1e.3",
		pciNV(2, 0x65, 9):   "0002:65:01.1",
		pciAMD(nil) + "AMD": "AMD",
		pciKHR(nil) + "KHR": "KHR",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// counted wraps an api so that what it makes and releases is counted.
func counted(a *api) (*api, *atomic.Int64) {
	n, c := new(atomic.Int64), *a
	add := func(h handle) handle {
		if h != 0 {
			n.Add(1)
		}
		return h
	}
	release := func(f func(handle) code) func(handle) code {
		return func(h handle) code { n.Add(-1); return f(h) }
	}
	c.createContext = func(p *uintptr, k uint32, d *handle, x, y uintptr, err *code) handle {
		return add(a.createContext(p, k, d, x, y, err))
	}
	c.createQueue = func(x, d handle, p uint64, err *code) handle {
		return add(a.createQueue(x, d, p, err))
	}
	c.createProgram = func(x handle, k uint32, s **byte, l *uintptr, err *code) handle {
		return add(a.createProgram(x, k, s, l, err))
	}
	c.createKernel = func(p handle, name *byte, err *code) handle {
		return add(a.createKernel(p, name, err))
	}
	c.createBuffer = func(x handle, f uint64, s uintptr, h unsafe.Pointer, err *code) handle {
		return add(a.createBuffer(x, f, s, h, err))
	}
	event := func(e *handle, c code) code {
		if e != nil {
			add(*e)
		}
		return c
	}
	c.run = func(q, k handle, d uint32, from, g, l *uintptr, w uint32,
		list uintptr, e *handle) code {
		return event(e, a.run(q, k, d, from, g, l, w, list, e))
	}
	c.readBuffer = func(q, b handle, block uint32, at, s uintptr, h unsafe.Pointer, w uint32,
		list uintptr, e *handle) code {
		return event(e, a.readBuffer(q, b, block, at, s, h, w, list, e))
	}
	for _, f := range []*func(handle) code{&c.releaseContext, &c.releaseQueue, &c.releaseProgram,
		&c.releaseKernel, &c.releaseBuffer, &c.releaseEvent} {
		*f = release(*f)
	}
	return &c, n
}

// Close frees every object that was made, and models with their engine.
func TestCloseFrees(t *testing.T) {
	a, d := deviceOr(t)
	c, live := counted(a)
	e, err := openVariant(c, d, variant{geometry: narrow})
	if err != nil {
		t.Fatal(err)
	}
	ctx, shape := t.Context(), matmul.Shape{M: 512, K: 256, Q: 512}
	var models []transformer.Model
	for range 3 {
		m, err := e.Transformer(ctx, transformer.Nano, seed.Seed{1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(make([]transformer.Output, 3), seed.Seed{}, seed.Seed{},
			[]uint64{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	closer := models[0].(interface{ Close() error })
	before, held := live.Load(), e.held
	if err := errors.Join(closer.Close(), closer.Close()); err != nil {
		t.Error(err)
	}
	if live.Load() >= before || e.held > held-transformer.Nano.WeightBytes() {
		t.Errorf("closing a model leaves %d of %d objects and %d of %d bytes", live.Load(),
			before, e.held, held)
	}
	if err := e.Matmul(ctx, make([][32]byte, 2), seed.Seed{}, shape, []uint64{1, 2}); err != nil {
		t.Error(err)
	}
	if _, err := e.Parts(ctx, seed.Seed{}, shape, 1); err != nil {
		t.Error(err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	if n := live.Load(); n != 0 || e.held != 0 {
		t.Errorf("%d objects and %d bytes are left", n, e.held)
	}

	err = models[1].Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{}, []uint64{1})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("running a model of a closed engine: %v", err)
	}
	if err := models[1].(interface{ Close() error }).Close(); err != nil {
		t.Errorf("closing it: %v", err)
	}
	_, built := e.Transformer(ctx, transformer.Nano, seed.Seed{1}, nil)
	_, measured := e.Parts(ctx, seed.Seed{}, shape, 1)
	_, peaked := e.Peak(ctx)
	for name, err := range map[string]error{
		"matmul": e.Matmul(ctx, make([][32]byte, 1), seed.Seed{}, shape, []uint64{1}),
		"tiles":  e.Tiles(ctx, make([][32]byte, 64), seed.Seed{}, shape, 1),
		"build":  built, "parts": measured, "peak": peaked,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if n := live.Load(); n != 0 {
		t.Errorf("%d objects were made after Close", n)
	}
}
