// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	osexec "os/exec"
	"testing"

	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/internal/fulldisk"
)

// N5: a node whose disk is full ends, and goes on when there is space again.
// Holds spec H-18.
func TestN5ANodeEndsWhenItsDiskIsFull(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	dir, _, _ := alone(t)
	small := t.TempDir()
	fulldisk.Mount(t, small, "24m")
	if out, err := osexec.Command("cp", "-a", dir+"/.", small).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := runs(t, small)
	n.goesOn(t, 3)
	free := fulldisk.Stuff(t, small, 0)
	n.ends(t, node.Disk, 0, "data cannot be written")
	runs(t, small).ends(t, node.Disk, 0, "data cannot be written")
	free()
	n = runs(t, small)
	n.goesOn(t, 3)
}
