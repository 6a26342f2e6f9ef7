// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// Two machines have one key, and so one challenge. The second one's commit does not
// count, and it accuses nobody: both commits are this key's.
func TestCopiedKey(t *testing.T) {
	dead := make(chan struct{})
	var heard atomic.Bool
	n := newNetwork(t, func(n *network) {
		n.bend = func(h http.Handler) http.Handler {
			first := sync.OnceFunc(func() { close(dead) })
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == mpocv1.PathCommits && !heard.Load() {
					first()
					panic(http.ErrAbortHandler)
				}
				h.ServeHTTP(w, r)
			})
		}
	})
	home := t.TempDir()
	w := n.work(keyOf(2), home, nil)
	<-dead // its commit is on its disk, and not with the host
	w.kill()
	heard.Store(true)
	other := n.hand(keyOf(2))
	other.count = 1 << 20 // behind the machine's askings
	other.judged(other.compute(12, nil))

	var l told
	w = n.work(keyOf(2), home, func(c *workerpool.Config) { c.Event = l.take })
	n.events.wait(t, "it rests", func() bool {
		return strings.Contains(w.Snapshot().Reason,
			"another machine works with this machine's key")
	})
	s := w.Snapshot()
	if s.State != "idle" || !strings.Contains(s.Next, "--home") || s.Until == "" ||
		s.Dropped != 1 || s.EvidenceSaved != "" || len(receipts(t, home)) != 0 {
		t.Errorf("%+v", s)
	}
	types := l.types()
	if !slices.Contains(types, workerpool.WasDropped) ||
		slices.Contains(types, workerpool.HostCheats) {
		t.Errorf("told %+v", l.all)
	}
}
