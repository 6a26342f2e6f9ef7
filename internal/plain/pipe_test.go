// SPDX-License-Identifier: Apache-2.0

//go:build unix

package plain

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes to keeps nobody waiting.
func TestReadOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); !errors.Is(err, ErrKind) ||
		!strings.Contains(err.Error(), "is a pipe") {
		t.Errorf("got %v", err)
	}
}
