// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/assaynet/assay/internal/fulldisk"
)

// A new file is there whole or not at all, whichever write of it fails.
func TestANewFileFillsAtEachWrite(t *testing.T) {
	o := Options{Kind: "test", Version: 2, Buckets: []string{"a", "b"}}
	dir := t.TempDir()
	path := filepath.Join(dir, "file.db")
	disk := fulldisk.Below(t, dir)
	for k := 1; ; k++ {
		disk.Fill(k)
		f, _, err := Open(path, o)
		if err == nil {
			if k < 3 {
				t.Errorf("%d writes only", k-1)
			}
			// What changes nothing needs no disk.
			disk.Fill(1)
			if err := f.Update(func(tx *Tx) error {
				return tx.Delete("a", []byte("none"))
			}); err != nil {
				t.Error(err)
			}
			if err := f.Update(func(tx *Tx) error {
				return tx.PutRaw("a", []byte("one"), nil)
			}); !errors.Is(err, syscall.ENOSPC) {
				t.Error(err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if f, _, err = Open(path, o); err != nil {
				t.Fatalf("on a full disk: %v", err)
			}
			disk.Free()
			if n, err := f.Records("a"); err != nil || n != 0 {
				t.Errorf("%d records, %v", n, err)
			}
			if err := errors.Join(f.Update(func(tx *Tx) error {
				return tx.PutRaw("a", []byte("one"), nil)
			}), f.Close()); err != nil {
				t.Error(err)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Fatalf("%s: %v", disk.First(), err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) > 0 &&
			!strings.HasPrefix(disk.First(), "sync folder") {
			t.Fatalf("%s leaves %v, %v", disk.First(), list, err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Bolt leaves a piece of a file where a real disk is full.
func TestANewFileOnASmallDisk(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	o := Options{Kind: "test", Version: 2, Buckets: []string{"a", "b"}}
	dir := t.TempDir()
	fulldisk.Mount(t, dir, "1m")
	path := filepath.Join(dir, "file.db")
	refused := 0
	for pages := range 64 {
		free := fulldisk.Stuff(t, dir, pages)
		f, _, err := Open(path, o)
		free()
		if err != nil {
			refused++
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
				t.Errorf("%d pages: %v", pages, err)
			}
			if f, _, err = Open(path, o); err != nil {
				t.Fatalf("with space again, after %d pages: %v", pages, err)
			}
		}
		if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
	if refused < 4 {
		t.Errorf("refused on %d disks only", refused)
	}
}
