// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/internal/kept"
)

// Everything that a worker leaves in its home stands in the table, with a bound and a pruner. The
// files of a device's work for a pool are held by test/pool.
func TestKept(t *testing.T) {
	table := Kept()
	if faults := kept.Faults(table); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	flips.Held(t, "..", table)
	home := t.TempDir()
	served(t, home)
	unlisted, err := kept.Unlisted(home, table)
	if err != nil || len(unlisted) > 0 {
		t.Errorf("left and not in the table: %q, %v", unlisted, err)
	}
	for _, pattern := range []string{SignedName + "/*", ReceiptsName + "/leaves-*.json", KeyFile,
		HomeFile, LockFile} {
		if found, _ := filepath.Glob(filepath.Join(home, pattern)); len(found) == 0 {
			t.Errorf("%s: nothing was left, so this test sees nothing", pattern)
		}
	}
}
