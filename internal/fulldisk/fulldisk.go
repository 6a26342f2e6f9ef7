// SPDX-License-Identifier: Apache-2.0

// Package fulldisk makes a disk full at a chosen write, for tests, and empty again. What a program
// makes of it must be an error that names the path and what helps, or it goes on with what it can;
// and once there is space everything goes on, with nothing lost that was acknowledged.
package fulldisk

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/assaynet/assay/internal/durable"
)

// Disk is that below some folders. Every write, sync, rename and new name on it goes through
// internal/durable, and from a chosen one on all fail.
type Disk struct {
	below []string

	mu     sync.Mutex
	writes int // since Fill
	at     int // the first that fails; 0: none
	failed []string
}

// disks are those of the tests that run.
var disks struct {
	sync.RWMutex
	all  []*Disk
	stop func()
}

// Below counts the writes below folders until the test ends.
func Below(t testing.TB, folders ...string) *Disk {
	d := &Disk{below: folders}
	disks.Lock()
	defer disks.Unlock()
	if disks.all = append(disks.all, d); len(disks.all) == 1 {
		disks.stop = durable.Inject(write)
	}
	t.Cleanup(func() {
		disks.Lock()
		defer disks.Unlock()
		if disks.all = slices.DeleteFunc(disks.all,
			func(e *Disk) bool { return e == d }); len(disks.all) == 0 {
			disks.stop()
		}
	})
	return d
}

func write(op, path string) error {
	disks.RLock()
	defer disks.RUnlock()
	for _, d := range disks.all {
		if err := d.write(op, path); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) write(op, path string) error {
	within := false
	for _, folder := range d.below {
		within = within || path == folder ||
			strings.HasPrefix(path, folder+string(os.PathSeparator))
	}
	if !within {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.at == 0 || d.writes < d.at {
		return nil
	}
	d.failed = append(d.failed, op+" "+path)
	return syscall.ENOSPC
}

// Fill makes write k, counted from now on, fail and all after it.
func (d *Disk) Fill(k int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes, d.at, d.failed = 0, k, nil
}

// Free lets writes through again.
func (d *Disk) Free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = 0
}

// Writes counts the writes since Fill, or Below.
func (d *Disk) Writes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// First names the first write that failed, none if all went well.
func (d *Disk) First() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.failed) == 0 {
		return ""
	}
	return d.failed[0]
}

// Each runs a subtest, beside others, for the writes 1 to n in turn: all of them with ASSAY_LONG=1
// (make full-disk), else about as many as quick says, the first and the last among them.
func Each(t *testing.T, n, quick int, test func(t *testing.T, k int)) {
	step := 1
	if os.Getenv("ASSAY_LONG") == "" {
		step = max(1, (n-1)/max(1, quick-1))
	}
	for k := 1; k <= n; k += step {
		if k+step > n && step > 1 {
			k = n
		}
		t.Run(fmt.Sprint("write ", k), func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}
