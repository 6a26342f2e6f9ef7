// SPDX-License-Identifier: Apache-2.0

// Package oddhome gives tests homes whose names have a meaning for patterns, shells, settings files
// or printf, and are ordinary names for a file system.
package oddhome

import (
	"path/filepath"
	"runtime"
	"testing"
)

// names are of folders. Windows takes no quotes and stars.
func names() []string {
	all := []string{"rig[12] 家", "rig [a größe", "-v #1; 50%d {a,b} $HOME"}
	if runtime.GOOS != "windows" {
		all = append(all, "the \"best\" 'rig*?' back\\slash `tick`")
	}
	return all
}

// Each runs a test in each of the homes, side by side. Their folders do not exist yet.
func Each(t *testing.T, test func(t *testing.T, home string)) {
	t.Helper()
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, filepath.Join(t.TempDir(), name))
		})
	}
}
