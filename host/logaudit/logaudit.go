// SPDX-License-Identifier: Apache-2.0

package logaudit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// deeper is how many times the usual sample is looked at, at most, to tell a
// faulty machine from a forging one.
const deeper = 10

// Log is a log to audit, of a segment that is over.
type Log struct {
	leaflog.Key
	Leaves  *leaflog.Log
	Count   uint64 // leaves of it to be committed
	Class   transformer.Class
	Seed1   seed.Seed // of the epoch
	Seed    seed.Seed // of the node
	Segment seed.Seed // of the segment
	Samples int       // how many leaves are drawn
	Until   int64     // height by which the answer is needed; the earliest come first
}

// State is how far an audit has come.
type State string

const (
	Running State = "running"
	Clean   State = "clean"   // every drawn leaf is right
	Partial State = "partial" // no time left; every leaf looked at is right
	Out     State = "out"     // a leaf is wrong: the log is left out
)

// Leaf is a unit's norm and digest.
type Leaf struct {
	Norm   uint64 `json:"norm,string"`
	Digest string `json:"digest"` // hex
}

func leaf(norm uint64, digest [32]byte) Leaf { return Leaf{norm, hex.EncodeToString(digest[:])} }

// Finding is a wrong leaf.
type Finding struct {
	Nonce uint64 `json:"nonce"`
	Got   Leaf   `json:"got"`  // as the worker sent it
	Want  Leaf   `json:"want"` // what the unit gives
}

// Result is where the audit of one log stands.
type Result struct {
	Epoch   uint64 `json:"epoch"`
	Node    string `json:"node"`
	Segment uint32 `json:"segment"`
	Count   uint64 `json:"count"`
	Checked uint64 `json:"checked"`
	Wrong   uint64 `json:"wrong"`
	State   State  `json:"state"`
	// Decision of the sequential test on a log that is out: continue while it is
	// open, faulty, or fraud.
	Decision string `json:"decision,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// First is the first wrong leaf that was found.
	First *Finding `json:"first,omitempty"`
}

// Key names the log.
func (r Result) Key() leaflog.Key {
	return leaflog.Key{Epoch: r.Epoch, Node: r.Node, Segment: r.Segment}
}

// Fraud tells whether no faulty machine errs as often as this one did.
func (r Result) Fraud() bool { return r.State == Out && r.Decision == audit.Fraud.String() }

// Auditor audits logs beside the host's loop. Run is one goroutine; the other
// methods are for any.
type Auditor struct {
	judge *work.Judge // owned by Run
	found func(Log, Result)
	wake  chan struct{} // capacity 1

	mu   sync.Mutex
	jobs map[leaflog.Key]*job
}

// job is one log. Its fields are guarded by Auditor.mu.
type job struct {
	log    Log
	order  []uint64 // leaves in the order in which they are looked at
	result Result
	over   bool // the result is final
}

// New returns an auditor that asks the fast engine first; nil is the definition
// alone. found is called, from Run or Keep, for every log that is out: at its
// first wrong leaf, and again when nothing more will be found about it.
func New(fast work.Engine, found func(Log, Result)) *Auditor {
	return &Auditor{judge: work.NewJudge(fast), found: found, wake: make(chan struct{}, 1), jobs: map[leaflog.Key]*job{}}
}

// Look returns where the audit of a log stands, and begins it the first time.
func (a *Auditor) Look(l Log) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[l.Key]
	if j == nil {
		j = &job{log: l, result: Result{Epoch: l.Epoch, Node: l.Node, Segment: l.Key.Segment, Count: l.Count, State: Running}}
		var fresh seed.Seed
		_, _ = rand.Read(fresh[:]) // never fails
		j.order = audit.Distinct(fresh, l.Count, deeper*l.Samples)
		a.jobs[l.Key] = j
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	return j.result
}

// Known tells whether a log's audit has begun or was restored.
func (a *Auditor) Known(key leaflog.Key) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.jobs[key] != nil
}

// Restore takes up what is known of a log from before a restart.
func (a *Auditor) Restore(r Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs[r.Key()] = &job{result: r, over: true}
}

// Stop ends the audit of a log for want of time, unless a leaf is wrong: then it
// goes on, and the log is out anyway. It returns where it stands.
func (a *Auditor) Stop(key leaflog.Key) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[key]
	if j == nil {
		return Result{Epoch: key.Epoch, Node: key.Node, Segment: key.Segment, State: Running}
	}
	if !j.over && j.result.State == Running {
		j.over, j.result.State = true, Partial
		j.result.Reason = fmt.Sprintf("there was time for %d of %d leaves", j.result.Checked, j.sample())
	}
	return j.result
}

// Keep forgets the logs of all other epochs.
func (a *Auditor) Keep(epoch uint64) {
	a.mu.Lock()
	var open []*job
	for key, j := range a.jobs {
		if key.Epoch != epoch {
			delete(a.jobs, key)
			if !j.over && j.result.State == Out {
				j.over = true
				open = append(open, j)
			}
		}
	}
	a.mu.Unlock()
	for _, j := range open {
		a.found(j.log, j.result)
	}
}

// Results lists all logs by epoch, segment and node.
func (a *Auditor) Results() []Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Result, 0, len(a.jobs))
	for _, j := range a.jobs {
		list = append(list, j.result)
	}
	slices.SortFunc(list, func(x, y Result) int {
		return cmp.Or(cmp.Compare(x.Epoch, y.Epoch), cmp.Compare(x.Segment, y.Segment), cmp.Compare(x.Node, y.Node))
	})
	return list
}

// Run audits until ctx ends.
func (a *Auditor) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if a.step(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-a.wake:
		}
	}
	return nil
}

// step looks at one leaf, and tells whether there was one.
func (a *Auditor) step(ctx context.Context) bool {
	j := a.next()
	if j == nil {
		return false
	}
	nonce := j.order[j.result.Checked] // only this goroutine changes Checked
	got, want, err := a.recompute(ctx, j.log, nonce)
	if ctx.Err() == nil {
		a.mark(j, nonce, got, want, err)
	}
	return true
}

// next picks the log to look at.
func (a *Auditor) next() *job {
	a.mu.Lock()
	defer a.mu.Unlock()
	var best *job
	for _, j := range a.jobs {
		if !j.over && (best == nil || j.before(best)) {
			best = j
		}
	}
	return best
}

func (j *job) before(o *job) bool {
	rank := func(j *job) int64 { return int64(min(j.result.Wrong, 1)) }
	return cmp.Or(
		cmp.Compare(rank(j), rank(o)),
		cmp.Compare(j.log.Until, o.log.Until),
		cmp.Compare(j.result.Checked, o.result.Checked),
		cmp.Compare(j.log.Node, o.log.Node),
	) < 0
}

// recompute looks at one leaf.
func (a *Auditor) recompute(ctx context.Context, l Log, nonce uint64) (got, want Leaf, err error) {
	r, err := l.Leaves.Record(nonce)
	if err != nil {
		return got, want, err
	}
	got = leaf(r.Norm, r.Digest)
	out, err := a.judge.Unit(ctx, l.Class, l.Seed1, l.Seed, l.Segment, nonce, work.Claim{Norm: r.Norm, Digest: r.Digest})
	return got, leaf(out.Norm, out.Digest), err
}

// mark takes one look into account.
func (a *Auditor) mark(j *job, nonce uint64, got, want Leaf, err error) {
	first := false
	a.mu.Lock()
	r := &j.result
	if j.over {
		a.mu.Unlock()
		return // its time is over
	}
	if err != nil {
		j.over = true
		r.Reason = err.Error()
		if r.State == Running {
			r.State = Partial
		}
	} else {
		r.Checked++
		if got != want {
			r.Wrong++
		}
		if got != want && r.First == nil {
			r.State, r.First, first = Out, &Finding{nonce, got, want}, true
		}
		j.judge()
	}
	tell := r.State == Out && (first || j.over)
	result := *r
	a.mu.Unlock()
	if tell {
		a.found(j.log, result)
	}
}

// judge sees whether enough was looked at.
func (j *job) judge() {
	r := &j.result
	all := r.Checked == uint64(len(j.order))
	if r.State == Running {
		if all || r.Checked >= j.sample() {
			j.over, r.State = true, Clean
		}
		return
	}
	decision := audit.Flaky().Decide(r.Checked, r.Wrong)
	r.Decision = decision.String()
	r.Reason = fmt.Sprintf("leaf %d is wrong, and %d of %d looked at", r.First.Nonce, r.Wrong, r.Checked)
	j.over = all || decision != audit.Continue
}

// sample is how many leaves a clean log has to show.
func (j *job) sample() uint64 { return min(uint64(j.log.Samples), j.log.Count) }
