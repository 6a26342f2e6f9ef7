// SPDX-License-Identifier: Apache-2.0

//go:build unix

package worker

import (
	"errors"
	"os"
	"syscall"
)

// lockFile opens a file that nobody else holds, until it is closed or the process
// ends. held tells whether somebody does.
func lockFile(path string) (f *os.File, held bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Is(err, syscall.EWOULDBLOCK), errors.Join(err, f.Close())
	}
	return f, false, nil
}
