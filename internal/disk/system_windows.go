// SPDX-License-Identifier: Apache-2.0

package disk

import "golang.org/x/sys/windows"

var noRoom = []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL,
	windows.ERROR_DISK_QUOTA_EXCEEDED}

func of(folder string) (s Space, err error) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return s, err
	}
	return s, windows.GetDiskFreeSpaceEx(name, &s.Free, &s.Total, nil)
}
