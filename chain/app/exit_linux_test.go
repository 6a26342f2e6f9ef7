// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/assaynet/assay/chain/node"
)

// N5: a node whose disk is full ends, and goes on when there is space again.
// Holds spec H-18.
func TestN5ANodeEndsWhenItsDiskIsFull(t *testing.T) {
	dir, _, _ := alone(t)
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if out, err := osexec.Command("cp", "-a", dir+"/.", small).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := runs(t, small)
	n.goesOn(t, 3)
	ballast, err := os.Create(filepath.Join(small, "ballast"))
	must(t, err)
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	must(t, ballast.Close())
	n.ends(t, node.Disk, 0, "data cannot be written")
	runs(t, small).ends(t, node.Disk, 0, "data cannot be written")
	must(t, os.Remove(ballast.Name()))
	n = runs(t, small)
	n.goesOn(t, 3)
}
