// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// However much is written, two files of the bound hold the latest lines, in order and whole, also
// over restarts.
func TestBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "host.log")
	const most, lines = 100, 57
	for i := range lines {
		f, err := Open(path, most) // each line is of a process of its own
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, "line %d\n", i); err != nil || f.Err() != nil {
			t.Fatal(err, f.Err())
		}
	}
	older, newer := read(t, path+Older), read(t, path)
	if len(older) > most || len(newer) > most || len(older)+len(newer) <= most {
		t.Errorf("%d and %d bytes, of at most %d each", len(older), len(newer), most)
	}
	all := strings.Fields(strings.ReplaceAll(older+newer, "line ", ""))
	for i, n := range all {
		if want := fmt.Sprint(lines - len(all) + i); n != want {
			t.Fatalf("line %s, want %s of\n%s%s", n, want, older, newer)
		}
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 2 {
		t.Errorf("%d files, %v", len(list), err)
	}
}

// A line that is longer than the bound is written, and nothing else with it.
func TestLongLine(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "host.log"), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"a\n", "a line of more than ten\n", "b\n"} {
		if _, err := f.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, f.Path()+Older) + read(t, f.Path()); got != "a line of more than ten\nb\n" {
		t.Errorf("%q", got)
	}
}

// What cannot be written is said, and the log goes on once it can.
func TestGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.log")
	f, err := Open(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("lost\n")); err == nil || f.Err() == nil ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("into a folder: %v, %v", err, f.Err())
	}
	if _, err := Open(path, 1000); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a folder as a log: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("there\n")); err != nil || f.Err() != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "there\n" {
		t.Errorf("%q", got)
	}
}
