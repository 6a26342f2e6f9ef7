// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/assaynet/assay/device/profile"
)

// ErrNoDevice reports an index at which there is no device.
var ErrNoDevice = errors.New("cuda: no such device")

// figures are what the driver says of a device beyond profile.Device.
type figures struct {
	profile.Device
	major, minor int
	clock        int // kHz, at most
}

// find asks the driver what it has. The library is nil where there is no device.
func find() (*library, []figures, error) {
	l, err := load()
	if errors.Is(err, errEmpty) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := l.devices()
	return l, all, err
}

// Devices lists NVIDIA's devices in the driver's order, also those that Open will
// refuse as too old. Errors wrap ErrDriver, or dynlib.ErrUnsupported, and say what
// to do.
func Devices() ([]profile.Device, error) {
	_, all, err := find()
	if err != nil {
		return nil, err
	}
	list := make([]profile.Device, len(all))
	for i := range all {
		list[i] = all[i].Device
	}
	return list, nil
}

// Open takes a device, compiles the kernels for it and loads them, seconds the
// first time, as the driver keeps what it compiled. The engine is not self-tested
// yet. It is an io.Closer, and so are its models. Errors wrap ErrDriver,
// ErrNoDevice, ErrCapability, ErrMemory or dynlib.ErrUnsupported, or are the
// context's.
func Open(ctx context.Context, index int) (profile.Engine, error) {
	l, all, err := find()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= len(all) {
		return nil, fmt.Errorf("%w: %d of %d; nvidia-smi lists what the driver has, and "+
			"CUDA_VISIBLE_DEVICES may hide some", ErrNoDevice, index, len(all))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cuda: opening device %d: %w", index, err)
	}
	f := all[index]
	t, err := targetFor(f.major, f.minor)
	if err != nil {
		return nil, fmt.Errorf("device %d, %s: %w", index, f.Name, err)
	}
	c, err := l.open(index)
	if err != nil {
		return nil, fmt.Errorf("device %d, %s: %w", index, f.Name, err)
	}
	e, err := newEngine(fmt.Sprintf("cuda/%d", index), t, c)
	if err != nil {
		return nil, fmt.Errorf("device %d, %s: %w", index, f.Name, err)
	}
	e.figures = f
	return e, nil
}

// devices asks the driver for all of them.
func (l *library) devices() ([]figures, error) {
	var count, version int32
	if err := l.check(l.cuDeviceGetCount(&count), "counting devices"); err != nil {
		return nil, err
	}
	if err := l.check(l.cuDriverGetVersion(&version), "asking for its version"); err != nil {
		return nil, err
	}
	all := make([]figures, count)
	for i := range all {
		var err error
		if all[i], err = l.figures(i); err != nil {
			return nil, err
		}
		all[i].Driver = "CUDA " + versionText(version)
	}
	return all, nil
}

func (l *library) figures(ordinal int) (f figures, err error) {
	var device int32
	var memory uintptr
	var name [nameBytes]byte
	var pci [pciBytes]byte
	var units, major, minor, clock int32
	doing := fmt.Sprintf("describing device %d", ordinal)
	if err := l.check(l.cuDeviceGet(&device, int32(ordinal)), doing); err != nil {
		return f, err
	}
	for _, r := range [...]result{
		l.cuDeviceGetName(&name[0], nameBytes, device),
		l.cuDeviceTotalMem(&memory, device),
		l.cuDeviceGetPCIBusId(&pci[0], pciBytes, device),
		l.cuDeviceGetAttribute(&units, attributeUnits, device),
		l.cuDeviceGetAttribute(&major, attributeMajor, device),
		l.cuDeviceGetAttribute(&minor, attributeMinor, device),
		l.cuDeviceGetAttribute(&clock, attributeClock, device),
	} {
		if err := l.check(r, doing); err != nil {
			return f, err
		}
	}
	// as sysfs spells it
	f.Name, f.Memory, f.Units, f.PCI = goString(name[:]), uint64(memory), int(units),
		strings.ToLower(goString(pci[:]))
	f.major, f.minor, f.clock = int(major), int(minor), int(clock)
	return f, nil
}
