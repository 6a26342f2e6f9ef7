// SPDX-License-Identifier: Apache-2.0

//go:build darwin || freebsd || linux

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

var noRoom = []error{unix.ENOSPC, unix.EDQUOT}

func of(folder string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: folder, Err: err}
	}
	unit := uint64(s.Bsize)
	return Space{Free: uint64(max(0, int64(s.Bavail))) * unit, Total: s.Blocks * unit}, nil
}
