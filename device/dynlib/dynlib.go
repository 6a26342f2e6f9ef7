// SPDX-License-Identifier: Apache-2.0

// Package dynlib loads a vendor's shared library at run time, without cgo and
// without its headers: a program that offers GPUs starts on machines that have
// none, and says what is missing.
//
//	library, err := dynlib.Open("libcuda.so.1", "nvcuda.dll")
//	var initialise func(flags uint32) int32
//	err = library.Bind(map[string]any{"cuInit": &initialise})
//
// Built with the tag nogpu, or for a platform that the loader does not know,
// every Open fails with ErrUnsupported, and the program is fully static.
//
// What lies behind a symbol is trusted: a wrong signature or a broken driver
// can do whatever the process can.
package dynlib

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

var (
	// ErrNotFound reports that none of a library's names is installed.
	ErrNotFound = errors.New("dynlib: library not found")
	// ErrSymbol reports a library that lacks functions that are needed.
	ErrSymbol = errors.New("dynlib: function not found")
	// ErrUnsupported reports a program that was built without a loader.
	ErrUnsupported = errors.New("dynlib: this program was built without the loader of GPU " +
		"libraries")
)

// Library is one that is loaded. One that drives something stays so until the
// program ends: drivers start threads of their own and do not survive being
// unloaded. See Close for the others.
type Library struct {
	// Name is the one of Open's that was found.
	Name   string
	handle uintptr
}

// Open loads the first of the names that there is. Errors wrap ErrNotFound, with
// what the system said of each name, or ErrUnsupported.
func Open(names ...string) (Library, error) {
	var tried []string
	for _, name := range names {
		handle, err := open(name)
		switch {
		case err == nil:
			return Library{Name: name, handle: handle}, nil
		case errors.Is(err, ErrUnsupported):
			return Library{}, err
		}
		tried = append(tried, err.Error())
	}
	return Library{}, fmt.Errorf("%w: %s", ErrNotFound, strings.Join(tried, "; "))
}

// Close unloads a library that found nothing to drive, so that the next Open
// starts it again: most look for their devices once. What was bound to it must
// not be called again.
func (l Library) Close() error { return unload(l.handle) }

// Once returns a function that loads something until that succeeds, and gives the
// same from then on: a driver may come after the program's start. It may be called
// on several goroutines.
func Once[T any](load func() (T, error)) func() (T, error) {
	var mu sync.Mutex
	var loaded bool
	var value T
	return func() (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if loaded {
			return value, nil
		}
		v, err := load()
		if err == nil {
			value, loaded = v, true
		}
		return v, err
	}
}

// Bind points function variables at the library's functions: functions maps a
// symbol to a pointer to a variable of function type. Where symbols are missing
// it binds nothing and returns an error that wraps ErrSymbol and names them all.
func (l Library) Bind(functions map[string]any) error {
	var missing []string
	addresses := make(map[string]uintptr, len(functions))
	for symbol := range functions {
		address, err := lookup(l.handle, symbol)
		if err != nil {
			missing = append(missing, symbol)
		}
		addresses[symbol] = address
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("%w: %s has no %s", ErrSymbol, l.Name, strings.Join(missing, ", "))
	}
	for symbol, variable := range functions {
		register(variable, addresses[symbol])
	}
	return nil
}
