// SPDX-License-Identifier: Apache-2.0

package fulldisk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inside says, to a test's second run, that it may mount.
const inside = "ASSAY_MAY_MOUNT"

// Alone reports whether the test may mount disks. Without the right to, the test runs once more in
// name spaces of its own, in which it has it; that run's result is this one's, and Alone reports
// false. Where the system forbids that, too, the test is skipped.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() == 0 || os.Getenv(inside) != "" {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch ran := new(exec.ExitError); {
	case err != nil && !errors.As(err, &ran):
		t.Skipf("a small disk needs the right to mount one, and this system allows no user name "+
			"spaces: %v", err)
	case err != nil:
		t.Fatalf("in name spaces of its own: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in name spaces of its own:\n%s", out)
	}
	t.Logf("in name spaces of its own:\n%s", out)
	return false
}

// Mount puts a disk of so many bytes in a folder's place until the test ends, with what is in the
// folder.
func Mount(t testing.TB, folder, size string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	aside := t.TempDir()
	copied := func(from, to string) {
		if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	copied(folder, aside)
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=700,size="+size); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	copied(aside, folder)
}

// Stuff fills the disk of a folder to the last page but so many, and returns what makes room again.
func Stuff(t testing.TB, folder string, pages int) (free func()) {
	t.Helper()
	path := filepath.Join(folder, ".ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	size, page := int64(0), make([]byte, os.Getpagesize())
	for err == nil {
		var n int
		n, err = f.Write(page)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(max(0, size-int64(pages*len(page)))), f.Close()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
