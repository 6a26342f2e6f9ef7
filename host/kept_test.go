// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/internal/kept"
)

// Everything that a host keeps has a place, a bound and a pruner; what it leaves in a
// running network is held against this too (test/network).
func TestKept(t *testing.T) {
	if f := kept.Faults(Kept()); len(f) > 0 {
		t.Error(f)
	}
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	h.prove(t, device(1))
	closeAll()
	if list, err := kept.Unlisted(home, Kept()); err != nil || len(list) > 0 {
		t.Errorf("not in the table: %v, %v", list, err)
	}
}

// Of evidence the latest epochs' stays.
func TestOldEvidenceGoes(t *testing.T) {
	h := &Host{o: Options{Home: t.TempDir()}}
	dir := filepath.Join(h.o.Home, EvidenceName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range keepEvidence + 3 {
		name := fmt.Sprintf("epoch-%d-cpc1x-w1-segment-1-leaf-7-forged.json", 5+i)
		if i%2 == 0 {
			name = fmt.Sprintf("left-out-epoch-%d-m-1-segment-1.json", 5+i)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.pruneEvidence(); err != nil {
			t.Fatal(err)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, e := range list {
		left[e.Name()] = true
	}
	if len(left) != keepEvidence+1 || !left["notes.txt"] || left["left-out-epoch-5-m-1-segment-1.json"] || !left["left-out-epoch-9-m-1-segment-1.json"] {
		t.Errorf("%d files are left: %s", len(left), cmp.Diff(true, left["notes.txt"]))
	}
}
