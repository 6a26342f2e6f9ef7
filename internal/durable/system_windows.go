// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// rename waits until the new name is on disk, which takes the place of a folder's sync.
func rename(from, to string) error { return move(from, to, windows.MOVEFILE_REPLACE_EXISTING) }

// moveNew fails if the new name is taken.
func moveNew(from, to string) error { return move(from, to, 0) }

// move renames a file. A virus scanner or an indexer that reads the file at this moment makes the
// rename fail, so it is tried for up to a second.
func move(from, to string, flags uint32) error {
	old, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	for wait := time.Millisecond; ; wait *= 2 {
		err := windows.MoveFileEx(old, name, flags|windows.MOVEFILE_WRITE_THROUGH)
		inUse := errors.Is(err, windows.ERROR_SHARING_VIOLATION) ||
			errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !inUse || wait > 512*time.Millisecond {
			return err
		}
		time.Sleep(wait)
	}
}

// syncDir does nothing: Windows refuses to flush a folder.
func syncDir(string) error { return nil }

// lockFile opens a file that nobody else can open for writing until it is closed. held reports that
// somebody else has it. Others may read it.
func lockFile(path string) (f *os.File, held bool, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, false, err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_SHARE_READ, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, errors.Is(err, windows.ERROR_SHARING_VIOLATION), err
	}
	return os.NewFile(uintptr(handle), path), false, nil
}
