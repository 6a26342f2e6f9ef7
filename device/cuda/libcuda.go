// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/assaynet/assay/device/dynlib"
)

// ErrDriver reports that NVIDIA's driver is missing, broken, or refused what it
// was asked. The text says what to do.
var ErrDriver = errors.New("cuda: NVIDIA's driver")

// library is the part of the driver API that is used. Results of functions are
// CUresult, 0 for success; sizes are size_t, contexts and the like pointers.
type library struct {
	cuInit             func(flags uint32) result
	cuDriverGetVersion func(version *int32) result
	cuGetErrorName     func(result, **byte) result

	cuDeviceGetCount           func(count *int32) result
	cuDeviceGet                func(device *int32, ordinal int32) result
	cuDeviceGetName            func(name *byte, size int32, device int32) result
	cuDeviceGetAttribute       func(value *int32, attribute attribute, device int32) result
	cuDeviceTotalMem           func(bytes *uintptr, device int32) result
	cuDeviceGetPCIBusId        func(id *byte, size int32, device int32) result
	cuDevicePrimaryCtxSetFlags func(device int32, flags uint32) result
	cuDevicePrimaryCtxRetain   func(context *uintptr, device int32) result
	cuDevicePrimaryCtxRelease  func(device int32) result
	cuCtxSetCurrent            func(context uintptr) result
	cuMemGetInfo               func(free, total *uintptr) result
	cuMemAlloc                 func(address *uint64, bytes uintptr) result
	cuMemFree                  func(address uint64) result
	cuMemAllocHost             func(memory *unsafe.Pointer, bytes uintptr) result
	cuMemFreeHost              func(memory unsafe.Pointer) result
	cuMemcpyHtoDAsync          func(dst uint64, src unsafe.Pointer, bytes, stream uintptr) result
	cuMemcpyDtoHAsync          func(dst unsafe.Pointer, src uint64, bytes, stream uintptr) result
	cuModuleLoadDataEx         func(module *uintptr, image *byte, options uint32, option *jitOption,
		value *uintptr) result
	cuModuleUnload      func(module uintptr) result
	cuModuleGetFunction func(function *uintptr, module uintptr, name *byte) result
	cuFuncSetAttribute  func(function uintptr, attribute int32, value int32) result
	cuLaunchKernel      func(function uintptr, gridX, gridY, gridZ, blockX, blockY, blockZ,
		shared uint32, stream uintptr, parameters, extra *uintptr) result
	cuStreamCreate      func(stream *uintptr, flags uint32) result
	cuStreamSynchronize func(stream uintptr) result
	cuStreamDestroy     func(stream uintptr) result
	cuEventCreate       func(event *uintptr, flags uint32) result
	cuEventRecord       func(event, stream uintptr) result
	cuEventElapsedTime  func(milliseconds *float32, from, to uintptr) result
	cuEventDestroy      func(event uintptr) result
}

type (
	attribute int32
	jitOption int32
)

// Numbers from cuda.h, which never change.
const (
	attributeClock      attribute = 13 // kHz
	attributeUnits      attribute = 16
	attributeMajor      attribute = 75
	attributeMinor      attribute = 76
	jitInfoLog          jitOption = 3
	jitInfoLogBytes     jitOption = 4
	jitErrorLog         jitOption = 5
	jitErrorLogBytes    jitOption = 6
	scheduleBlocking              = 4 // waiting threads sleep
	streamNonBlocking             = 1 // no order with the default stream
	functionShared                = 8 // most dynamic shared memory
	launchBuffer                  = 1 // extra: where the parameters are
	launchBufferSize              = 2
	launchEnd                     = 0
	pciBytes, nameBytes           = 32, 256
	logBytes                      = 8192
)

// oldest is the driver interface that the kernels need: PTX 7.0 came with 11.0.
const oldest = 11000

// load binds the driver's library and initialises it, once it can: the driver may come after the
// program.
var load = dynlib.Once(func() (*library, error) { return loadLibrary(libraryName(runtime.GOOS)) })

// errEmpty reports a driver that has no device.
var errEmpty = fmt.Errorf("%w has no device", ErrDriver)

// libraryName is the library's on a system. An error names it: another system's
// would only puzzle.
func libraryName(goos string) string {
	if goos == "windows" {
		return "nvcuda.dll"
	}
	return "libcuda.so.1"
}

func loadLibrary(names ...string) (*library, error) {
	loaded, err := dynlib.Open(names...)
	switch {
	case errors.Is(err, dynlib.ErrUnsupported):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w is not installed (version 450 or newer; on Debian and Ubuntu "+
			"the package nvidia-driver, "+
			"in a container the NVIDIA container toolkit and --gpus all; nvidia-smi must list "+
			"the device): %w", ErrDriver, err)
	}
	l, err := begin(loaded)
	if err != nil { // it would not look for devices again
		return nil, errors.Join(err, loaded.Close())
	}
	var version int32
	if err := l.check(l.cuDriverGetVersion(&version), "asking for its version"); err != nil {
		return nil, err
	}
	if version < oldest {
		return nil, fmt.Errorf("%w is too old: it speaks CUDA %s, install version 450 or newer",
			ErrDriver, versionText(version))
	}
	return l, nil
}

// begin starts a driver. Errors are errEmpty or wrap ErrDriver.
func begin(loaded dynlib.Library) (*library, error) {
	l := new(library)
	err := loaded.Bind(map[string]any{
		"cuInit": &l.cuInit, "cuDriverGetVersion": &l.cuDriverGetVersion,
		"cuGetErrorName":   &l.cuGetErrorName,
		"cuDeviceGetCount": &l.cuDeviceGetCount, "cuDeviceGet": &l.cuDeviceGet,
		"cuDeviceGetName":      &l.cuDeviceGetName,
		"cuDeviceGetAttribute": &l.cuDeviceGetAttribute, "cuDeviceTotalMem_v2": &l.cuDeviceTotalMem,
		"cuDeviceGetPCIBusId":           &l.cuDeviceGetPCIBusId,
		"cuDevicePrimaryCtxSetFlags_v2": &l.cuDevicePrimaryCtxSetFlags,
		"cuDevicePrimaryCtxRetain":      &l.cuDevicePrimaryCtxRetain,
		"cuDevicePrimaryCtxRelease_v2":  &l.cuDevicePrimaryCtxRelease,
		"cuCtxSetCurrent":               &l.cuCtxSetCurrent,
		"cuMemGetInfo_v2":               &l.cuMemGetInfo, "cuMemAlloc_v2": &l.cuMemAlloc,
		"cuMemFree_v2":      &l.cuMemFree,
		"cuMemAllocHost_v2": &l.cuMemAllocHost, "cuMemFreeHost": &l.cuMemFreeHost,
		"cuMemcpyHtoDAsync_v2": &l.cuMemcpyHtoDAsync, "cuMemcpyDtoHAsync_v2": &l.cuMemcpyDtoHAsync,
		"cuModuleLoadDataEx": &l.cuModuleLoadDataEx, "cuModuleUnload": &l.cuModuleUnload,
		"cuModuleGetFunction": &l.cuModuleGetFunction,
		"cuFuncSetAttribute":  &l.cuFuncSetAttribute, "cuLaunchKernel": &l.cuLaunchKernel,
		"cuStreamCreate": &l.cuStreamCreate, "cuStreamSynchronize": &l.cuStreamSynchronize,
		"cuStreamDestroy_v2": &l.cuStreamDestroy,
		"cuEventCreate":      &l.cuEventCreate, "cuEventRecord": &l.cuEventRecord,
		"cuEventElapsedTime": &l.cuEventElapsedTime, "cuEventDestroy_v2": &l.cuEventDestroy,
	})
	if err != nil {
		return nil, fmt.Errorf("%w is too old, install version 450 or newer: %w", ErrDriver, err)
	}
	switch r := l.cuInit(0); r {
	case success:
		return l, nil
	case noDevice:
		return nil, errEmpty
	default:
		return nil, l.failed(r, "starting")
	}
}

func versionText(v int32) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// result is a CUresult.
type result int32

const (
	success     result = 0
	outOfMemory result = 2
	noDevice    result = 100
)

// advice is what the owner of a machine can do about a result.
var advice = map[result]string{
	4: "the driver is shutting down; start this program again",
	34: "the library found is the toolkit's stub; take it out of the library path and install " +
		"the driver",
	35: "update the driver to version 450 or newer",
	46: "another process has the device for itself; end it, or set the compute mode to Default " +
		"with nvidia-smi -c 0",
	214: "the device's memory has an error that ECC cannot correct; reset it with nvidia-smi -r, " +
		"and replace it if that returns",
	218: "this driver cannot compile the kernels; update it",
	222: "this driver does not know the kernels' PTX version; update it to version 450 or newer",
	700: "a kernel left its memory; start this program again, and report it with the driver's " +
		"version if it returns",
	702: "the display's watchdog ended a kernel; use a device without a display, or raise the " +
		"time limit",
	719: "a kernel failed; start this program again, and look for Xid messages in the system's log",
	802: "the system is not ready; if it has NVSwitch, start nvidia-fabricmanager",
	803: "the kernel module and the library have different versions; reboot, or install the " +
		"driver again",
	804: "the compatibility library does not support this device; use the library of the " +
		"installed driver",
	999: "the kernel module may not be loaded; run nvidia-smi, or modprobe nvidia-uvm, as root",
}

func (l *library) check(r result, doing string) error {
	if r == success {
		return nil
	}
	return l.failed(r, doing)
}

func (l *library) failed(r result, doing string) error {
	name := fmt.Sprint("error ", int32(r))
	var text *byte
	if l.cuGetErrorName(r, &text) == success && text != nil {
		n := 0
		for *(*byte)(unsafe.Add(unsafe.Pointer(text), n)) != 0 {
			n++
		}
		name = fmt.Sprintf("%s (%d)", unsafe.Slice(text, n), int32(r))
	}
	err := fmt.Errorf("%w failed %s: %s", ErrDriver, doing, name)
	if r == outOfMemory {
		return errors.Join(ErrMemory, err)
	}
	if what, ok := advice[r]; ok {
		return fmt.Errorf("%w: %s", err, what)
	}
	return err
}

// cString is a terminated copy.
func cString(s string) *byte { return &append([]byte(s), 0)[0] }

// goString reads up to the terminator.
func goString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return strings.TrimSpace(string(b))
}

// card is a driver: one device in its primary context, which every user of the
// device in this process shares.
type card struct {
	*library
	device  int32
	context uintptr

	mu        sync.Mutex // what close gives back
	allocated map[uint64]bool
	pins      map[*byte]bool
	modules   []uintptr
	streams   []uintptr
	events    []uintptr
}

func (l *library) open(ordinal int) (*card, error) {
	c := &card{library: l, allocated: map[uint64]bool{}, pins: map[*byte]bool{}}
	if err := l.check(l.cuDeviceGet(&c.device, int32(ordinal)),
		fmt.Sprintf("finding device %d", ordinal)); err != nil {
		return nil, err
	}
	// Only a wish: without it threads that wait keep a core busy.
	_ = l.cuDevicePrimaryCtxSetFlags(c.device, scheduleBlocking)
	if err := l.check(l.cuDevicePrimaryCtxRetain(&c.context, c.device),
		fmt.Sprintf("opening device %d", ordinal)); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *card) bind() error {
	return c.check(c.cuCtxSetCurrent(c.context), "binding a thread to the device")
}

func (c *card) memory() (free, total uint64, err error) {
	var f, t uintptr
	err = c.check(c.cuMemGetInfo(&f, &t), "asking for the device's memory")
	return uint64(f), uint64(t), err
}

func (c *card) alloc(bytes uint64) (address, error) {
	var at uint64
	if err := c.check(c.cuMemAlloc(&at, uintptr(bytes)),
		fmt.Sprintf("allocating %d bytes", bytes)); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allocated[at] = true
	return address(at), nil
}

func (c *card) free(at address) error {
	c.mu.Lock()
	delete(c.allocated, uint64(at))
	c.mu.Unlock()
	return c.check(c.cuMemFree(uint64(at)), "freeing memory")
}

func (c *card) pin(bytes int) ([]byte, error) {
	var memory unsafe.Pointer
	if err := c.check(c.cuMemAllocHost(&memory, uintptr(bytes)),
		fmt.Sprintf("pinning %d bytes of the host's memory", bytes)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pins[(*byte)(memory)] = true
	return unsafe.Slice((*byte)(memory), bytes), nil
}

func (c *card) unpin(b []byte) error {
	c.mu.Lock()
	delete(c.pins, &b[0])
	c.mu.Unlock()
	return c.check(c.cuMemFreeHost(unsafe.Pointer(&b[0])), "unpinning the host's memory")
}

func (c *card) load(name, ptx string) (handle, error) {
	image := cString(ptx)
	var info, failure [logBytes]byte
	options := [...]jitOption{jitInfoLog, jitInfoLogBytes, jitErrorLog, jitErrorLogBytes}
	var pinner runtime.Pinner // the values hold addresses as integers
	defer pinner.Unpin()
	pinner.Pin(&info)
	pinner.Pin(&failure)
	values := [...]uintptr{uintptr(unsafe.Pointer(&info)), logBytes,
		uintptr(unsafe.Pointer(&failure)), logBytes}
	var module uintptr
	r := c.cuModuleLoadDataEx(&module, image, uint32(len(options)), &options[0], &values[0])
	if r != success {
		err := c.failed(r, "compiling the kernels "+name)
		if said := strings.TrimSpace(goString(failure[:]) + "\n" + goString(info[:])); said != "" {
			err = fmt.Errorf("%w; its compiler said: %s", err, said)
		}
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modules = append(c.modules, module)
	return handle(module), nil
}

func (c *card) kernel(module handle, name string, shared uint32) (handle, error) {
	var function uintptr
	if err := c.check(c.cuModuleGetFunction(&function, uintptr(module), cString(name)),
		"finding the kernel "+name); err != nil {
		return 0, err
	}
	if shared > 0 {
		if err := c.check(c.cuFuncSetAttribute(function, functionShared, int32(shared)),
			fmt.Sprintf("giving the kernel %s %d bytes of shared memory", name,
				shared)); err != nil {
			return 0, err
		}
	}
	return handle(function), nil
}

func (c *card) stream() (handle, error) {
	var stream uintptr
	if err := c.check(c.cuStreamCreate(&stream, streamNonBlocking), "making a stream"); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = append(c.streams, stream)
	return handle(stream), nil
}

func (c *card) launch(stream, kernel handle, l launch) error {
	size := uintptr(len(l.parameters))
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(&l.parameters[0])
	pinner.Pin(&size)
	extra := [...]uintptr{launchBuffer, uintptr(unsafe.Pointer(&l.parameters[0])), launchBufferSize,
		uintptr(unsafe.Pointer(&size)), launchEnd}
	return c.check(c.cuLaunchKernel(uintptr(kernel), l.ctas, 1, 1, l.threads, 1, 1, l.shared,
		uintptr(stream), nil, &extra[0]), "launching a kernel")
}

func (c *card) upload(stream handle, dst address, src []byte) error {
	return c.check(c.cuMemcpyHtoDAsync(uint64(dst), unsafe.Pointer(&src[0]), uintptr(len(src)),
		uintptr(stream)), "copying to the device")
}

func (c *card) download(stream handle, dst []byte, src address) error {
	return c.check(c.cuMemcpyDtoHAsync(unsafe.Pointer(&dst[0]), uint64(src), uintptr(len(dst)),
		uintptr(stream)), "copying from the device")
}

func (c *card) wait(stream handle) error {
	return c.check(c.cuStreamSynchronize(uintptr(stream)), "computing")
}

func (c *card) mark(stream handle) (handle, error) {
	var event uintptr
	if err := c.check(c.cuEventCreate(&event, 0), "making an event"); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.events = append(c.events, event)
	c.mu.Unlock()
	return handle(event), c.check(c.cuEventRecord(event, uintptr(stream)), "recording an event")
}

func (c *card) elapsed(from, to handle) (float64, error) {
	var ms float32
	err := c.check(c.cuEventElapsedTime(&ms, uintptr(from), uintptr(to)), "reading the time "+
		"between two events")
	return float64(ms) / 1000, err
}

// close frees what this driver took and leaves the rest of the primary context to
// its other users.
func (c *card) close() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.bind()
	keep := func(r result, doing string) {
		if e := c.check(r, doing); err == nil {
			err = e
		}
	}
	if err == nil { // on a context that is lost every one of these fails
		for _, e := range c.events {
			keep(c.cuEventDestroy(e), "giving an event back")
		}
		for _, s := range c.streams {
			keep(c.cuStreamDestroy(s), "giving a stream back")
		}
		for at := range c.allocated {
			keep(c.cuMemFree(at), "freeing memory")
		}
		for p := range c.pins {
			keep(c.cuMemFreeHost(unsafe.Pointer(p)), "unpinning the host's memory")
		}
		for _, m := range c.modules {
			keep(c.cuModuleUnload(m), "unloading kernels")
		}
		keep(c.cuCtxSetCurrent(0), "leaving the device")
	}
	keep(c.cuDevicePrimaryCtxRelease(c.device), "closing the device")
	return err
}
