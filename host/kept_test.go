// SPDX-License-Identifier: Apache-2.0

package host

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/internal/kept"
)

// Everything that a host keeps has a place, a bound and a pruner; what it leaves in a
// running network is held against this too (test/network).
func TestKept(t *testing.T) {
	if f := kept.Faults(Kept()); len(f) > 0 {
		t.Error(f)
	}
	flips.Held(t, "..", Kept())
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
	h := newHost(Config{}, Options{Home: t.TempDir()})
	h.pay = h.newPayroll()
	h.duties = h.newDuties()
	dir := filepath.Join(h.o.Home, EvidenceName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range sprint.KeepEvidence + 3 {
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
		if err := h.duties.Evidence.Prune(); err != nil {
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
	if len(left) != sprint.KeepEvidence+1 || !left["notes.txt"] ||
		left["left-out-epoch-5-m-1-segment-1.json"] ||
		!left["left-out-epoch-9-m-1-segment-1.json"] {
		t.Errorf("%d files are left: %s", len(left), cmp.Diff(true, left["notes.txt"]))
	}
}

var update = flag.Bool("update", false, "write docs/disk.md again")

// diskTable is what a host takes on disk, in words and numbers.
func diskTable() string {
	var b strings.Builder
	b.WriteString(`# What a host keeps on disk

Made by ` + "`go test ./host -run DiskTable -update`" + ` from the table in host/kept.go, which a test
compares with the files of a running network. A machine makes a submission to its pool every 20
seconds.

| machines | a day, until the bound is reached | for ever |
|---|---|---|
`)
	for _, n := range []int64{10, 100, 1000} {
		day, ever := int64(0), int64(0)
		for _, t := range Kept() {
			if t.Per == "machine" && t.PerDay > 0 {
				day += min(t.PerDay, t.Most) * t.Record * n
				ever += t.Most * t.Record * n
			}
		}
		fmt.Fprintf(&b, "| %d | %.1f MB | %.1f MB |\n", n, float64(day)/1e6, float64(ever)/1e6)
	}
	b.WriteString(`
Leaves come on top: 40 bytes each, for as long as the chain keeps their epoch (keep_epochs + 1
epochs), deleted before anything new is written. A machine of 389 units a second that computes for
ten minutes of an epoch writes 9.3 MB.

| what | where | most | what prunes it | how damage is noticed |
|---|---|---|---|---|
`)
	for _, t := range Kept() {
		if t.Where != "" {
			fmt.Fprintf(&b, "| %s | `%s` | %d of %d bytes, per %s | %s | %s |\n", t.What, t.Where,
				t.Most, t.Record, t.Per, t.Pruner, t.Sealed)
		}
	}
	b.WriteString("\nIn memory:\n\n| what | most | what prunes it |\n|---|---|---|\n")
	for _, t := range Kept() {
		if t.Memory != "" {
			fmt.Fprintf(&b, "| %s | %d of %d bytes, per %s | %s |\n", t.What, t.Most,
				t.Record, t.Per, t.Pruner)
		}
	}
	return b.String()
}

// 100 machines cost at most 50 MB a day and 5 GB for ever, and the page says so.
// Holds spec H-7.
func TestDiskTable(t *testing.T) {
	day, ever := int64(0), int64(0)
	for _, k := range Kept() {
		if k.Per == "machine" && k.PerDay > 0 {
			day, ever = day+100*k.Record*min(k.PerDay, k.Most), ever+100*k.Record*k.Most
		}
	}
	if day > 50_000_000 || ever > 5_000_000_000 {
		t.Errorf("100 machines: %d bytes a day, %d for ever", day, ever)
	}
	path := filepath.Join("..", "docs", "disk.md")
	if *update {
		if err := os.WriteFile(path, []byte(diskTable()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(diskTable(), string(raw)); diff != "" {
		t.Errorf("docs/disk.md is old; go test ./host -run DiskTable -update:\n%s", diff)
	}
}
