// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/mpoc"
)

// A machine whose own disk fails says that it is its disk, sends nothing that it could forget, and
// goes on by itself when the disk does.
func TestTheMachinesDiskFails(t *testing.T) {
	for _, folder := range []string{"mpoc", "receipts"} {
		n := newNetwork(t, nil)
		w := n.work(keyOf(2), t.TempDir(), nil)
		n.events.wait(t, "an accepted one", func() bool { return w.Snapshot().Accepted >= 1 })
		away := filepath.Join(w.home, "away")
		if err := os.Rename(filepath.Join(w.home, folder), away); err != nil {
			t.Fatal(err)
		}
		n.events.wait(t, "it says that its disk fails", func() bool {
			s := w.Snapshot()
			return s.State == "idle" && strings.Contains(s.Reason, "this machine's disk")
		})
		s := w.Snapshot()
		if strings.Contains(s.Next, "host runs") || !strings.Contains(s.Next, "disk") ||
			s.Until == "" {
			t.Errorf("%s: it blames %q, until %q", folder, s.Next, s.Until)
		}
		if err := os.Rename(away, filepath.Join(w.home, folder)); err != nil {
			t.Fatal(err)
		}
		before := s.Accepted
		n.events.wait(t, "it goes on", func() bool { return w.Snapshot().Accepted > before })
		w.kill()
		if a := n.standing(keyOf(2)); a.Strikes != 0 {
			t.Errorf("%s: %d strikes", folder, a.Strikes)
		}
		accepted := uint64(0)
		for _, r := range receipts(t, w.home) {
			if r.Outcome.Status == mpoc.Accepted {
				accepted++
			}
		}
		if s := w.Snapshot(); s.Accepted != accepted || s.Rejected+s.Faulty != 0 {
			t.Errorf("%s: %d receipts, %+v", folder, accepted, s.Counts)
		}
		n.stop()
	}
}
