// SPDX-License-Identifier: Apache-2.0

//go:build !nogpu && windows && (amd64 || arm64)

package dynlib

import (
	"fmt"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/windows"
)

// open looks in the system's folder only: a library beside the program, or in
// the current folder, is not the driver's.
func open(name string) (uintptr, error) {
	handle, err := windows.LoadLibraryEx(name, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return uintptr(handle), nil
}

func unload(handle uintptr) error { return windows.FreeLibrary(windows.Handle(handle)) }

func lookup(handle uintptr, symbol string) (uintptr, error) {
	return windows.GetProcAddress(windows.Handle(handle), symbol)
}

func register(variable any, address uintptr) { purego.RegisterFunc(variable, address) }
