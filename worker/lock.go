// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrInUse reports a home that another worker works with: they would take each
// other's place at the host, and write into each other's files.
var ErrInUse = errors.New("worker: this home is in use")

// LockFile is held by the worker of a home while it runs, and names its process.
const LockFile = "worker.lock"

// lock holds a home until the result is called or the process ends, however it
// does.
func lock(home string) (unlock func() error, err error) {
	path := filepath.Join(home, LockFile)
	f, held, err := lockFile(path)
	if held {
		return nil, fmt.Errorf("%w: another worker%s works with %s; stop it, or give this one a --home of its own", ErrInUse, holder(path), home)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, errors.Join(err, f.Close()))
	}
	return f.Close, nil
}

// holder is " (process N)", where the file tells.
func holder(path string) string {
	text, _ := os.ReadFile(path)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		return fmt.Sprintf(" (process %d)", pid)
	}
	return ""
}
