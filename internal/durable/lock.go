// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Held reports a lock that another process holds, or this one already.
type Held struct {
	// Path of the lock's file.
	Path string
	// PID is the holder's process, 0 where the file does not name it.
	PID int
}

func (h *Held) Error() string { return h.Path + " is held by " + h.Holder() }

// Holder names the holder for a sentence: "process 123", or "another process".
func (h *Held) Holder() string {
	if h.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d", h.PID)
}

// Lock takes the lock of a file, which it makes if there is none, until unlock is called or the
// process ends, however it does. The file stays; it holds the process id for people. Errors are
// *Held or a *fs.PathError.
//
// On systems other than Windows, Linux, macOS and the BSDs there is no lock to take, and nothing
// keeps two processes apart.
func Lock(path string) (unlock func() error, err error) {
	f, held, err := lockFile(path)
	if held {
		return nil, &Held{Path: path, PID: holder(path)}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: cause(err)}
	}
	// The name is a courtesy, which a full disk may deny.
	if f.Truncate(0) == nil {
		fmt.Fprintln(f, os.Getpid())
	}
	return f.Close, nil
}

func holder(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
