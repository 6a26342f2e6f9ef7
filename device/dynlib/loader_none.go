// SPDX-License-Identifier: Apache-2.0

//go:build nogpu || !((linux || darwin || freebsd || windows) && (amd64 || arm64))

package dynlib

func open(string) (uintptr, error) { return 0, ErrUnsupported }

func unload(uintptr) error { return ErrUnsupported }

func lookup(uintptr, string) (uintptr, error) { return 0, ErrUnsupported }

func register(any, uintptr) { panic(ErrUnsupported) } // lookup refused before
