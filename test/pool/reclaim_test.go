// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"os"
	"path/filepath"
	"testing"

	workerpool "github.com/assaynet/assay/worker/pool"
)

// A host is put back from a backup. Its machine brings what it has lost, by itself, each once.
func TestMachinesBringBackWhatABackupLacks(t *testing.T) {
	n := newNetwork(t, nil)
	files := []string{"pool.db", "ledger.db"}
	home := t.TempDir()
	gate := new(workerpool.Gate)
	work := func(more uint64) {
		t.Helper()
		w := n.work(keyOf(2), home, func(c *workerpool.Config) { c.Gate = gate })
		n.events.wait(t, "accepted ones", func() bool { return w.Snapshot().Accepted >= more })
		w.kill()
	}
	work(1)
	n.stop()
	backup := map[string][]byte{}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(n.dir, f))
		if err != nil {
			t.Fatal(err)
		}
		backup[f] = raw
	}
	n.start()
	work(12) // more than one claim brings
	want := n.standing(keyOf(2))
	n.stop()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(n.dir, f), backup[f], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.start()
	if have := n.standing(keyOf(2)); have.Entries >= want.Entries {
		t.Fatalf("the backup lacks nothing: %d entries", have.Entries)
	}
	gate.Close("nothing new is computed", "")
	w := n.work(keyOf(2), home, func(c *workerpool.Config) { c.Gate = gate })
	n.events.wait(t, "the entries are back",
		func() bool { return n.standing(keyOf(2)).Entries >= want.Entries })
	w.kill()
	have := n.standing(keyOf(2))
	if have.Entries != want.Entries || have.Ops.Cmp(want.Ops) != 0 ||
		have.Locked.Add(have.Due).Cmp(want.Locked.Add(want.Due)) != 0 {
		t.Errorf("the account is %+v, and was %+v", have, want)
	}
}
