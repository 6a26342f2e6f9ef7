// SPDX-License-Identifier: Apache-2.0

//go:build !unix && !windows

package worker

import "os"

// lockFile only opens the file: on this system nothing keeps two workers apart.
func lockFile(path string) (f *os.File, held bool, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	return f, false, err
}
