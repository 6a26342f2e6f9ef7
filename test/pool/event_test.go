// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	workerpool "github.com/assaynet/assay/worker/pool"
)

// told collects a machine's events.
type told struct {
	mu  sync.Mutex
	all []workerpool.Event
}

func (l *told) take(e workerpool.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *told) types() (types []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		types = append(types, e.Type)
	}
	return types
}

// Each step of a challenge is told once and in order, over a restart too; the
// counts go on where they were, while those of the start begin again.
func TestEventsAndCountsOverARestart(t *testing.T) {
	n := newNetwork(t, nil)
	home := t.TempDir()
	var before workerpool.Status
	for start := range 2 {
		var l told
		w := n.work(keyOf(2), home, func(c *workerpool.Config) { c.Event = l.take })
		n.events.wait(t, "two accepted", func() bool { return w.Snapshot().Accepted >= 2 })
		w.kill()
		s := w.Snapshot()
		if a := s.Account; a == nil || a.Pending.Big().Sign()+a.Settled.Big().Sign() == 0 ||
			a.AsOf == "" {
			t.Errorf("after a receipt the account is shown as %+v", a)
		}
		types := l.types()
		if start == 1 { // what was under way goes on, and is not asked for again
			if i := slices.Index(types, "challenge"); i > 0 &&
				slices.Contains(types[:i], "accepted") {
				types = slices.Delete(types, 1, i)
			}
			if s.InAll.Accepted != before.InAll.Accepted+s.Accepted ||
				s.InAll.Loops != before.InAll.Loops+s.Loops || s.InAll.SelfChecks < s.SelfChecks {
				t.Errorf("in all %+v, before %+v, since the start %+v", s.InAll,
					before.InAll, s.Counts)
			}
		} else if s.InAll != s.Counts {
			t.Errorf("in all %+v, since the start %+v", s.InAll, s.Counts)
		}
		types = slices.DeleteFunc(types, func(kind string) bool {
			return kind == "paid" || kind == "progress" || kind == "rules"
		})
		want := []string{"registered", "challenge", "committed", "accepted", "challenge",
			"committed", "accepted"}
		if n := min(len(types), len(want)); n < 3 || cmp.Diff(want[:n], types[:n]) != "" {
			t.Errorf("start %d: %v", start, types)
		}
		for _, e := range l.all {
			if e.Type == "accepted" && (e.Challenge == "" || e.Loops == 0 || e.Ops == 0 ||
				e.Pay == "" || e.Receipt == "") {
				t.Errorf("%+v", e)
			}
		}
		before = s
	}
}

// What a device does wrong is told by its owner's own machine, and that nothing was sent.
func TestUnstableIsTold(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Duration = 5 * time.Second })
	var done atomic.Uint64
	var gone atomic.Bool
	var l told
	e := &counted{Engine: engine(), wrong: func(uint64) bool {
		return done.Add(1)%50 == 0 && gone.CompareAndSwap(false, true)
	}}
	w := n.work(keyOf(2), t.TempDir(), func(c *workerpool.Config) {
		c.Engine, c.SelfAudit, c.Event = e, 1, l.take
	})
	n.events.wait(t, "it is found", func() bool { return w.Snapshot().State == "unstable" })
	w.kill()
	if d := cmp.Diff([]string{"registered", "rules", "challenge", "self_check_failed", "abstained"},
		l.types()); d != "" {
		t.Fatal(d)
	}
	if e := l.all[3]; !strings.Contains(e.Reason,
		"cpu-0 (a processor) gave two results for loop") || !strings.Contains(e.Next, "clocks") ||
		e.Challenge == "" {
		t.Errorf("%+v", e)
	}
}
