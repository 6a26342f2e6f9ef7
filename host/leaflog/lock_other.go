// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package leaflog

import "os"

// lockDir only makes the file: on this system nothing keeps two hosts apart.
func lockDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
