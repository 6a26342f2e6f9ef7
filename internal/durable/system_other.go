// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package durable

import (
	"errors"
	"os"
)

func rename(from, to string) error { return os.Rename(from, to) }

// moveNew is not possible here; link makes new names.
func moveNew(from, to string) error { return errors.ErrUnsupported }

// syncDir tries: whether a folder can be synced is not known here.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

// lockFile only opens the file: there is no lock on this system.
func lockFile(path string) (f *os.File, held bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	return f, false, err
}
