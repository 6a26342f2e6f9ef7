// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for text, want := range map[string]string{
		"":                     "",
		"a = 1":                "a = 1",
		"\xef\xbb\xbfa = 1":    "a = 1",
		"\xef\xbb":             "\xef\xbb",
		"a\xef\xbb\xbf":        "a\xef\xbb\xbf",
		"\xef\xbb\xbf\xef\xbb": "\xef\xbb",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || string(got) != want {
			t.Errorf("%q is read as %q, %v", text, got, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Read(dir); !errors.Is(err, ErrKind) ||
		!strings.Contains(err.Error(), dir+" is a folder") {
		t.Errorf("a folder: %v", err)
	}
	socket := filepath.Join(dir, "s")
	if len(socket) > 100 {
		t.Skip("this folder's name is too long for a socket")
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Read(socket); !errors.Is(err, ErrKind) {
		t.Errorf("a socket: %v", err)
	}
}
