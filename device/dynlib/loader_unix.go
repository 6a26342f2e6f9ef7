// SPDX-License-Identifier: Apache-2.0

//go:build !nogpu && (linux || darwin || freebsd) && (amd64 || arm64)

package dynlib

import (
	"runtime"

	"github.com/ebitengine/purego"
)

// open stays on one thread: the loader keeps the text of an error per thread.
func open(name string) (uintptr, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func unload(handle uintptr) error { return purego.Dlclose(handle) }

func lookup(handle uintptr, symbol string) (uintptr, error) { return purego.Dlsym(handle, symbol) }

func register(variable any, address uintptr) { purego.RegisterFunc(variable, address) }
