// SPDX-License-Identifier: Apache-2.0

//go:build !nogpu

package device

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/device/cuda"
	"github.com/assaynet/assay/device/dynlib"
	"github.com/assaynet/assay/device/opencl"
	"github.com/assaynet/assay/device/profile"
)

// Backends are all that this program was built with, the preferred one first. All that is said of a
// kind of devices elsewhere comes from its entry.
func Backends() []Backend {
	return []Backend{
		Processor(),
		{Name: "cuda", Devices: missing(cuda.Devices), Open: cuda.Open, Vendors: []Vendor{
			{Name: "NVIDIA", All: true, Hint: "install NVIDIA's driver, version 450 or newer, " +
				"until nvidia-smi lists it"},
		}},
		// A loader of OpenCL without a vendor's driver is as good as none.
		{Name: "opencl", Devices: missing(opencl.Devices, opencl.ErrRuntime), Open: opencl.Open,
			Vendors: []Vendor{
				{Name: "AMD", Hint: "install ROCm's OpenCL runtime, until clinfo lists it; " +
					"graphics " +
					"in a processor may be too small to compute"},
				{Name: "Intel", Hint: "install Intel's compute runtime (intel-opencl-icd), until " +
					"clinfo lists it; graphics in a processor may be too small to compute"},
			}},
	}
}

// missing marks errors that say no more than that a driver is not installed.
func missing(list func() ([]profile.Device, error), also ...error) func() ([]profile.Device,
	error) {
	return func() ([]profile.Device, error) {
		all, err := list()
		for _, target := range append(also, dynlib.ErrNotFound, dynlib.ErrUnsupported) {
			if errors.Is(err, target) {
				return all, fmt.Errorf("%w: %w", ErrMissing, err)
			}
		}
		return all, err
	}
}
