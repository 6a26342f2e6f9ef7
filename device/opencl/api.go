// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/assaynet/assay/device/dynlib"
)

// handle is any of OpenCL's opaque pointers, 0 is none.
type handle = uintptr

// api is the part of OpenCL 1.2 that is used. Its fields are C functions; in
// all of them events to wait for are none, so their number is 0 and their list 0.
type api struct {
	getPlatformIDs  func(n uint32, platforms *handle, count *uint32) code
	getPlatformInfo func(platform handle, what uint32, size uintptr, value *byte,
		needs *uintptr) code
	getDeviceIDs  func(platform handle, kind uint64, n uint32, devices *handle, count *uint32) code
	getDeviceInfo func(device handle, what uint32, size uintptr, value *byte, needs *uintptr) code

	createContext func(properties *uintptr, n uint32, devices *handle, notify,
		data uintptr, err *code) handle
	releaseContext func(handle) code
	createQueue    func(context, device handle, properties uint64, err *code) handle
	releaseQueue   func(handle) code
	flush          func(queue handle) code
	finish         func(queue handle) code

	createProgram func(context handle, n uint32, sources **byte, sizes *uintptr, err *code) handle
	buildProgram  func(program handle, n uint32, devices *handle, options *byte,
		notify, data uintptr) code
	getBuildInfo func(program, device handle, what uint32, size uintptr, value *byte,
		needs *uintptr) code
	releaseProgram   func(handle) code
	createKernel     func(program handle, name *byte, err *code) handle
	getWorkGroupInfo func(kernel, device handle, what uint32, size uintptr, value *byte,
		needs *uintptr) code
	setArg        func(kernel handle, i uint32, size uintptr, value unsafe.Pointer) code
	releaseKernel func(handle) code

	createBuffer func(context handle, flags uint64, size uintptr, host unsafe.Pointer,
		err *code) handle
	releaseBuffer func(handle) code
	fillBuffer    func(queue, buffer handle, pattern unsafe.Pointer, patternSize, at, size uintptr,
		waits uint32, list uintptr, event *handle) code
	readBuffer func(queue, buffer handle, blocking uint32, at, size uintptr, host unsafe.Pointer,
		waits uint32, list uintptr, event *handle) code
	writeBuffer func(queue, buffer handle, blocking uint32, at, size uintptr, host unsafe.Pointer,
		waits uint32, list uintptr, event *handle) code
	run func(queue, kernel handle, dimensions uint32, from, global, local *uintptr, waits uint32,
		list uintptr, event *handle) code

	waitForEvents    func(n uint32, events *handle) code
	getProfilingInfo func(event handle, what uint32, size uintptr, value *uint64,
		needs *uintptr) code
	releaseEvent func(handle) code
}

// The constants of CL/cl.h and its extensions that are used.
const (
	deviceTypeCPU         = 1 << 1
	deviceTypeGPU         = 1 << 2
	deviceTypeAccelerator = 1 << 3

	platformVersion = 0x0901
	platformName    = 0x0902

	deviceMaxComputeUnits = 0x1002
	deviceMaxGroup        = 0x1004
	deviceMaxAlloc        = 0x1010
	deviceMemory          = 0x101f
	deviceLocalMemory     = 0x1023
	deviceLittleEndian    = 0x1026
	deviceAvailable       = 0x1027
	deviceHasCompiler     = 0x1028
	deviceName            = 0x102b
	driverVersion         = 0x102d
	deviceVersion         = 0x102f
	deviceExtensions      = 0x1030
	deviceBusNV           = 0x4008
	deviceSlotNV          = 0x4009
	deviceDomainNV        = 0x400a
	deviceTopologyAMD     = 0x4037
	devicePCIKHR          = 0x410f
	programBuildLog       = 0x1183
	kernelMaxGroup        = 0x11b0
	profilingStart        = 0x1282
	profilingEnd          = 0x1283
	queueProfiling        = 1 << 1
	bufferReadWrite       = 1 << 0
)

var (
	// ErrRuntime reports a machine without a usable OpenCL runtime.
	ErrRuntime = errors.New("opencl: no runtime")
	// ErrDevice reports a device that there is not, or one that cannot be used.
	ErrDevice = errors.New("opencl: no such device")
	// ErrMemory reports a device whose memory does not suffice.
	ErrMemory = errors.New("opencl: not enough device memory")
	// ErrBuild reports kernels that the device's compiler refuses.
	ErrBuild = errors.New("opencl: kernels do not compile")
	// ErrClosed reports the use of an engine or a model after its Close.
	ErrClosed = errors.New("opencl: closed")
)

// install is what to do where there is no runtime.
const install = "install what the maker of the device offers: the ROCm or Adrenalin driver for " +
	"AMD, the compute runtime for Intel graphics, " +
	"NVIDIA's driver; on Linux also the OpenCL loader, on Debian the package ocl-icd-libopencl1; " +
	"Apple's is part of macOS"

// code is a status of OpenCL, an error where it is not 0.
type code int32

const (
	codeAllocation       code = -4
	codeResources        code = -5
	codeHostMemory       code = -6
	codeDeviceNotFound   code = -1
	codeBuildFailure     code = -11
	codeBufferSize       code = -61
	codePlatformNotFound code = -1001
)

var codeNames = map[code]string{
	-1: "CL_DEVICE_NOT_FOUND", -2: "CL_DEVICE_NOT_AVAILABLE", -3: "CL_COMPILER_NOT_AVAILABLE",
	-4: "CL_MEM_OBJECT_ALLOCATION_FAILURE", -5: "CL_OUT_OF_RESOURCES", -6: "CL_OUT_OF_HOST_MEMORY",
	-7: "CL_PROFILING_INFO_NOT_AVAILABLE", -11: "CL_BUILD_PROGRAM_FAILURE", -12: "CL_MAP_FAILURE",
	-14: "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST", -30: "CL_INVALID_VALUE",
	-33: "CL_INVALID_DEVICE",
	-34: "CL_INVALID_CONTEXT", -36: "CL_INVALID_COMMAND_QUEUE", -38: "CL_INVALID_MEM_OBJECT",
	-43: "CL_INVALID_BUILD_OPTIONS",
	-44: "CL_INVALID_PROGRAM", -45: "CL_INVALID_PROGRAM_EXECUTABLE", -46: "CL_INVALID_KERNEL_NAME",
	-48: "CL_INVALID_KERNEL",
	-49: "CL_INVALID_ARG_INDEX", -50: "CL_INVALID_ARG_VALUE", -51: "CL_INVALID_ARG_SIZE",
	-52: "CL_INVALID_KERNEL_ARGS",
	-54: "CL_INVALID_WORK_GROUP_SIZE", -55: "CL_INVALID_WORK_ITEM_SIZE", -58: "CL_INVALID_EVENT",
	-59: "CL_INVALID_OPERATION",
	-61: "CL_INVALID_BUFFER_SIZE", -63: "CL_INVALID_GLOBAL_WORK_SIZE",
	-1001: "CL_PLATFORM_NOT_FOUND_KHR",
}

// codeHints says what an operator can do about some of them.
var codeHints = map[code]string{
	-2: "the driver has taken the device away; see whether the system's log knows why, and " +
		"start the worker again",
	-3: "the driver comes without its compiler; install the full driver",
	-4: "the device's memory is full; close what else uses it or choose a smaller class",
	-5: "the device gave up: its memory is full, or the driver's watchdog stopped a kernel; " +
		"close what else uses it",
	-6: "this machine's memory is full",
	-14: "a kernel failed on the device; see whether the system's log knows why, and start the " +
		"worker again",
	-36:   "the driver has lost the device; start the worker again",
	-1001: "the OpenCL loader is there, but no vendor's driver has registered with it; " + install,
}

func (c code) Error() string {
	text, known := codeNames[c]
	if !known {
		text = "OpenCL error"
	}
	text = fmt.Sprintf("%s (%d)", text, int32(c))
	if hint := codeHints[c]; hint != "" {
		text += ": " + hint
	}
	return text
}

// memory reports whether a status speaks of memory that does not suffice.
func (c code) memory() bool {
	return c == codeAllocation || c == codeResources || c == codeHostMemory || c == codeBufferSize
}

// failed is the error of a call that returned c, or nil.
func failed(call string, c code) error {
	if c == 0 {
		return nil
	}
	return fmt.Errorf("opencl: %s: %w", call, c)
}

// load finds the machine's OpenCL loader and a vendor's driver, once they are there: they may come
// after the program.
var load = dynlib.Once(func() (*api, error) {
	return loadFrom(libraryName(runtime.GOOS))
})

// libraryName is the loader's on a system. An error names it: another system's
// would only puzzle.
func libraryName(goos string) string {
	switch goos {
	case "windows":
		return "OpenCL.dll"
	case "darwin":
		return "/System/Library/Frameworks/OpenCL.framework/OpenCL"
	}
	return "libOpenCL.so.1"
}

func loadFrom(names ...string) (*api, error) {
	library, err := dynlib.Open(names...)
	if errors.Is(err, dynlib.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w; %s", ErrRuntime, err, install)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, err)
	}
	a, err := bind(library)
	if err == nil {
		_, err = a.platforms()
	}
	if err != nil { // a loader looks for drivers once
		return nil, errors.Join(err, library.Close())
	}
	return a, nil
}

func bind(library dynlib.Library) (*api, error) {
	a := new(api)
	err := library.Bind(map[string]any{
		"clGetPlatformIDs":          &a.getPlatformIDs,
		"clGetPlatformInfo":         &a.getPlatformInfo,
		"clGetDeviceIDs":            &a.getDeviceIDs,
		"clGetDeviceInfo":           &a.getDeviceInfo,
		"clCreateContext":           &a.createContext,
		"clReleaseContext":          &a.releaseContext,
		"clCreateCommandQueue":      &a.createQueue,
		"clReleaseCommandQueue":     &a.releaseQueue,
		"clFlush":                   &a.flush,
		"clFinish":                  &a.finish,
		"clCreateProgramWithSource": &a.createProgram,
		"clBuildProgram":            &a.buildProgram,
		"clGetProgramBuildInfo":     &a.getBuildInfo,
		"clReleaseProgram":          &a.releaseProgram,
		"clCreateKernel":            &a.createKernel,
		"clGetKernelWorkGroupInfo":  &a.getWorkGroupInfo,
		"clSetKernelArg":            &a.setArg,
		"clReleaseKernel":           &a.releaseKernel,
		"clCreateBuffer":            &a.createBuffer,
		"clReleaseMemObject":        &a.releaseBuffer,
		"clEnqueueFillBuffer":       &a.fillBuffer,
		"clEnqueueReadBuffer":       &a.readBuffer,
		"clEnqueueWriteBuffer":      &a.writeBuffer,
		"clEnqueueNDRangeKernel":    &a.run,
		"clWaitForEvents":           &a.waitForEvents,
		"clGetEventProfilingInfo":   &a.getProfilingInfo,
		"clReleaseEvent":            &a.releaseEvent,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w; %s is older than OpenCL 1.2 or broken; %s", ErrRuntime,
			err, library.Name, install)
	}
	return a, nil
}

// info reads a property of any length: get is one of the get...Info functions
// without what it asks.
func info(get func(size uintptr, value *byte, needs *uintptr) code) ([]byte, error) {
	var needs uintptr
	if c := get(0, nil, &needs); c != 0 || needs == 0 {
		return nil, failed("reading a property's length", c)
	}
	value := make([]byte, needs)
	if c := get(needs, &value[0], nil); c != 0 {
		return nil, failed("reading a property", c)
	}
	return value, nil
}

// text is the string in a property: it ends at a NUL, and some drivers pad.
func text(value []byte) string {
	s, _, _ := strings.Cut(string(value), "\x00")
	return strings.Join(strings.Fields(s), " ")
}

// cstring is s as C wants it.
func cstring(s string) *byte { return &append([]byte(s), 0)[0] }
