// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/assaynet/assay/device/profile"
)

// Devices returns the GPUs and accelerators of all platforms, in the drivers'
// order. Processors are not among them: package cpu serves those better. Errors
// wrap ErrRuntime.
func Devices() ([]profile.Device, error) { return list(deviceTypeGPU | deviceTypeAccelerator) }

// Open opens one of Devices, compiles its kernels and returns an engine, which
// is an io.Closer and not yet self-tested. Errors wrap ErrRuntime, ErrDevice,
// ErrBuild or ErrMemory, or are the context's.
func Open(ctx context.Context, index int) (profile.Engine, error) {
	return open(ctx, deviceTypeGPU|deviceTypeAccelerator, index)
}

// Processors returns what OpenCL offers of the machine's own processor. It is
// for tests of this package's kernels on machines without a GPU.
func Processors() ([]profile.Device, error) { return list(deviceTypeCPU) }

// OpenProcessor is Open for one of Processors.
func OpenProcessor(ctx context.Context, index int) (profile.Engine, error) {
	return open(ctx, deviceTypeCPU, index)
}

// ask asks the driver for the devices of a kind.
func ask(kind uint64) (*api, []device, error) {
	a, err := load()
	if err != nil {
		return nil, nil, err
	}
	all, err := a.find(kind)
	return a, all, err
}

func list(kind uint64) ([]profile.Device, error) {
	_, all, err := ask(kind)
	if err != nil {
		return nil, err
	}
	devices := make([]profile.Device, len(all))
	for i := range all {
		devices[i] = all[i].Device
	}
	return devices, nil
}

func open(ctx context.Context, kind uint64, index int) (profile.Engine, error) {
	a, all, err := ask(kind)
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= len(all) {
		return nil, fmt.Errorf("%w: number %d of %d", ErrDevice, index, len(all))
	}
	e, err := newEngine(ctx, a, &all[index])
	if err != nil { // a nil *engine must not become an Engine
		return nil, err
	}
	return e, nil
}

// device is one of a platform's, and what there is to know before it is used.
type device struct {
	profile.Device
	id          handle
	extensions  []string
	maxGroup    int    // work-items of a group
	maxAlloc    uint64 // bytes of a buffer
	localMemory uint64 // bytes of a group
	unusable    string // why, if it is
}

func (d *device) has(extension string) bool {
	for _, e := range d.extensions {
		if e == extension {
			return true
		}
	}
	return false
}

// platforms are the vendors' drivers, one at least.
func (a *api) platforms() ([]handle, error) {
	var n uint32
	c := a.getPlatformIDs(0, nil, &n)
	if c == codePlatformNotFound || c == 0 && n == 0 {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, codePlatformNotFound)
	}
	if c != 0 {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, failed("listing platforms", c))
	}
	platforms := make([]handle, n)
	if c := a.getPlatformIDs(n, &platforms[0], nil); c != 0 {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, failed("listing platforms", c))
	}
	return platforms, nil
}

// find lists the devices of a kind on all platforms. A platform that cannot be
// asked is an error only if no other has devices.
func (a *api) find(kind uint64) ([]device, error) {
	platforms, err := a.platforms()
	if err != nil {
		return nil, err
	}
	var all []device
	var broken error
	for _, platform := range platforms {
		devices, err := a.findOn(platform, kind)
		all, broken = append(all, devices...), errors.Join(broken, err)
	}
	if len(all) == 0 && broken != nil {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, broken)
	}
	return all, nil
}

func (a *api) findOn(platform handle, kind uint64) ([]device, error) {
	ask := func(what uint32) string {
		value, _ := info(func(size uintptr, value *byte, needs *uintptr) code {
			return a.getPlatformInfo(platform, what, size, value, needs)
		})
		return text(value)
	}
	name := ask(platformName)
	var n uint32
	c := a.getDeviceIDs(platform, kind, 0, nil, &n)
	if c == codeDeviceNotFound || c == 0 && n == 0 {
		return nil, nil
	}
	if c != 0 {
		return nil, failed("listing devices of "+name, c)
	}
	ids := make([]handle, n)
	if c := a.getDeviceIDs(platform, kind, n, &ids[0], nil); c != 0 {
		return nil, failed("listing devices of "+name, c)
	}
	devices := make([]device, n)
	for i, id := range ids {
		devices[i] = a.describe(id)
		devices[i].Driver = name + ": " + devices[i].Driver
	}
	return devices, nil
}

// describe asks for what is known of a device. What a driver does not say stays
// empty, and number makes 0 of it.
func (a *api) describe(id handle) device {
	ask := func(what uint32) []byte {
		value, _ := info(func(size uintptr, value *byte, needs *uintptr) code {
			return a.getDeviceInfo(id, what, size, value, needs)
		})
		return value
	}
	d := device{
		id:          id,
		extensions:  strings.Fields(text(ask(deviceExtensions))),
		maxGroup:    int(number(ask(deviceMaxGroup))),
		maxAlloc:    number(ask(deviceMaxAlloc)),
		localMemory: number(ask(deviceLocalMemory)),
		Device: profile.Device{
			Name:   text(ask(deviceName)),
			Driver: text(ask(deviceVersion)) + ", driver " + text(ask(driverVersion)),
			Memory: number(ask(deviceMemory)),
			Units:  int(number(ask(deviceMaxComputeUnits))),
		},
	}
	switch {
	case d.has("cl_khr_pci_bus_info"):
		d.PCI = pciKHR(ask(devicePCIKHR))
	case d.has("cl_nv_device_attribute_query"):
		d.PCI = pciNV(number(ask(deviceDomainNV)), number(ask(deviceBusNV)),
			number(ask(deviceSlotNV)))
	case d.has("cl_amd_device_attribute_query"):
		d.PCI = pciAMD(ask(deviceTopologyAMD))
	}
	switch {
	case number(ask(deviceAvailable)) == 0:
		d.unusable = "the driver says that it is not available"
	case number(ask(deviceHasCompiler)) == 0:
		d.unusable = "its driver comes without a compiler; install the full driver"
	case number(ask(deviceLittleEndian)) == 0:
		d.unusable = "it is big-endian"
	case strings.HasPrefix(text(ask(deviceVersion)), "OpenCL 1.0"),
		strings.HasPrefix(text(ask(deviceVersion)), "OpenCL 1.1"):
		d.unusable = "its driver is older than OpenCL 1.2; update it"
	}
	return d
}

// number is an unsigned property of 4 or 8 bytes. Devices and hosts with
// different byte orders are not dealt with.
func number(value []byte) uint64 {
	switch len(value) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(value))
	case 8:
		return binary.NativeEndian.Uint64(value)
	}
	return 0
}

func pci(domain, bus, slot, function uint64) string {
	return fmt.Sprintf("%04x:%02x:%02x.%x", domain, bus, slot, function)
}

// pciKHR reads a cl_device_pci_bus_info_khr: domain, bus, device and function.
func pciKHR(value []byte) string {
	if len(value) != 16 {
		return ""
	}
	at := func(i int) uint64 { return number(value[4*i : 4*i+4]) }
	return pci(at(0), at(1), at(2), at(3))
}

// pciNV takes NVIDIA's numbers; slots hold the device and, in three bits, the
// function.
func pciNV(domain, bus, slot uint64) string { return pci(domain, bus, slot>>3, slot&7) }

// pciAMD reads a cl_device_topology_amd of type PCIe (1), whose last three bytes
// are bus, device and function.
func pciAMD(value []byte) string {
	if len(value) != 24 || number(value[:4]) != 1 {
		return ""
	}
	return pci(0, uint64(value[21]), uint64(value[22]), uint64(value[23]))
}
