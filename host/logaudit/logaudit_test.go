// SPDX-License-Identifier: Apache-2.0

package logaudit

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// bench is a store of logs and an auditor that does not run yet.
type bench struct {
	t     *testing.T
	store *leaflog.Store
	model transformer.Model
	*Auditor
	out chan Result
}

func newBench(t *testing.T, fast work.Engine) *bench {
	t.Helper()
	store, err := leaflog.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	model, err := work.Reference().Transformer(t.Context(), transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: store, model: model, out: make(chan Result, 10)}
	b.Auditor = New(fast, func(_ Log, r Result) { b.out <- r })
	return b
}

// log makes a node's log, forged where forge says so.
func (b *bench) log(node string, count, samples int, forge func(nonce int) bool) Log {
	b.t.Helper()
	key := leaflog.Key{Epoch: 1, Node: node, Segment: 1}
	leaves, err := b.store.Log(key, transformer.Nano.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	l := Log{Key: key, Leaves: leaves, Count: uint64(count), Class: transformer.Nano, Seed1: seed.Seed{1}, Seed: seed.Node("chain", "cpc1", node, "nano"), Segment: seed.Seed{3}, Samples: samples, Until: 10}
	out := make([]transformer.Output, count)
	nonces := make([]uint64, count)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := b.model.Run(out, l.Seed, l.Segment, nonces); err != nil {
		b.t.Fatal(err)
	}
	records := make([]leaflog.Record, count)
	for i, o := range out {
		records[i] = leaflog.Record{Norm: o.Norm, Digest: o.Digest}
		if forge(i) {
			records[i].Digest[7] ^= 1
		}
	}
	if err := leaves.Append(0, records); err != nil {
		b.t.Fatal(err)
	}
	return l
}

// run audits until every log's audit is over.
func (b *bench) run() {
	for b.step(b.t.Context()) {
	}
}

func (b *bench) results() map[string]Result {
	all := map[string]Result{}
	for _, r := range b.Results() {
		all[r.Node] = r
	}
	return all
}

func never(int) bool  { return false }
func always(int) bool { return true }

// A forging worker's log is out, a faulty one's too but it is no fraud, and the honest ones' are clean.
func TestAForgedLogIsOutAndTheOthersAreClean(t *testing.T) {
	b := newBench(t, nil)
	logs := []Log{
		b.log("forger", 40, 16, always),
		b.log("honest", 40, 16, never),
		b.log("small", 3, 16, never),
		b.log("faulty", 60, 60, func(i int) bool { return i == 41 }),
	}
	for _, l := range logs {
		if r := b.Look(l); r.State != Running || r.Checked != 0 {
			t.Errorf("%s: %+v at the beginning", l.Node, r)
		}
	}
	b.run()
	all := b.results()
	want := map[string]Result{
		"honest": {Epoch: 1, Node: "honest", Segment: 1, Count: 40, Checked: 16, State: Clean},
		"small":  {Epoch: 1, Node: "small", Segment: 1, Count: 3, Checked: 3, State: Clean},
	}
	for node, w := range want {
		if diff := cmp.Diff(w, all[node]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", node, diff)
		}
	}
	if r := all["forger"]; !r.Fraud() || r.Checked != 3 || r.Wrong != 3 || r.First == nil || r.First.Got == r.First.Want {
		t.Errorf("forger: %+v", r)
	}
	if r := all["faulty"]; r.State != Out || r.Fraud() || r.Wrong != 1 || r.Checked != 60 || r.First.Nonce != 41 {
		t.Errorf("faulty: %+v", r)
	}
	close(b.out)
	told := map[string][]Result{}
	for r := range b.out {
		told[r.Node] = append(told[r.Node], r)
	}
	for _, node := range []string{"forger", "faulty"} { // of the first wrong leaf, and of the end
		if diff := cmp.Diff(all[node], told[node][len(told[node])-1]); diff != "" || told[node][0].Wrong != 1 {
			t.Errorf("%s: told %+v", node, told[node])
		}
	}
	if len(told) != 2 {
		t.Errorf("told of %d logs", len(told))
	}
	for _, l := range logs { // asking again begins nothing
		if diff := cmp.Diff(all[l.Node], b.Look(l)); diff != "" {
			t.Error(diff)
		}
	}
}

// wrong is an engine whose results are all wrong.
type wrong struct{ work.Engine }

type wrongModel struct{ transformer.Model }

func (w wrong) Name() string { return "wrong" }

func (w wrong) Transformer(ctx context.Context, c transformer.Class, s seed.Seed, progress func(done, total uint64)) (transformer.Model, error) {
	m, err := w.Engine.Transformer(ctx, c, s, progress)
	return wrongModel{m}, err
}

func (m wrongModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	for i := range dst {
		dst[i].Digest[0] ^= 1
	}
	return err
}

// The host's own broken engine leaves no honest log out.
func TestABrokenEngineLeavesNobodyOut(t *testing.T) {
	b := newBench(t, wrong{work.Reference()})
	b.Look(b.log("honest", 20, 16, never))
	b.Look(b.log("forger", 20, 16, always))
	b.run()
	if all := b.results(); all["honest"].State != Clean || !all["forger"].Fraud() {
		t.Errorf("%+v", all)
	}
}

// Without time for all, what was looked at counts: a log in which nothing is wrong so far is partial, one with a wrong
// leaf is out and stays so.
func TestWhatThereIsNoTimeFor(t *testing.T) {
	b := newBench(t, nil)
	honest, forger := b.log("honest", 30, 16, never), b.log("forger", 30, 16, always)
	b.Look(honest)
	b.Look(forger)
	for range 5 { // one of the forger's, and then the honest one's turn comes first
		b.step(t.Context())
	}
	for _, l := range []Log{honest, forger} {
		b.Stop(l.Key)
	}
	all := b.results()
	if r := all["honest"]; r.State != Partial || r.Checked != 4 || r.Wrong != 0 || r.Reason == "" {
		t.Errorf("honest: %+v", r)
	}
	if r := all["forger"]; r.State != Out || r.Checked != 1 || r.Decision != "continue" {
		t.Errorf("forger: %+v", r)
	}
	b.run() // what is out is looked at further
	if r := b.results()["forger"]; !r.Fraud() {
		t.Errorf("forger: %+v", r)
	}
	if r := b.results()["honest"]; r.State != Partial || r.Checked != 4 {
		t.Errorf("honest: %+v", r)
	}
}

// Run takes up what comes while it waits.
func TestRunWaitsForLogs(t *testing.T) {
	b := newBench(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	for _, node := range []string{"first", "second"} {
		b.Look(b.log(node, 3, 16, always))
		for _, over := range []bool{false, true} {
			if r := <-b.out; r.Node != node || r.Fraud() != over {
				t.Errorf("%+v", r)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The epoch's end ends what is open, and says so; what is restored is not looked at again.
func TestTheEpochsEndAndARestart(t *testing.T) {
	b := newBench(t, nil)
	b.Look(b.log("faulty", 30, 3, always))
	j := b.next()
	b.mark(j, j.order[0], Leaf{Norm: 1}, Leaf{Norm: 2}, nil)
	old := b.results()["faulty"]
	<-b.out
	b.Keep(2)
	if r := <-b.out; r.Fraud() || r.State != Out || len(b.Results()) != 0 {
		t.Errorf("%+v; %d kept", r, len(b.Results()))
	}
	b.Restore(old)
	if !b.Known(old.Key()) || b.next() != nil {
		t.Error("a restored result is looked at again")
	}
	if diff := cmp.Diff(old, b.Look(Log{Key: old.Key()})); diff != "" {
		t.Error(diff)
	}
}

// An engine that fails makes no log clean.
func TestAnEngineThatFailsShowsNothing(t *testing.T) {
	b := newBench(t, nil)
	b.Look(b.log("a", 5, 16, never))
	j := b.next()
	b.mark(j, 0, Leaf{}, Leaf{}, errors.New("out of memory"))
	if r := b.results()["a"]; r.State != Partial || r.Checked != 0 || r.Reason != "out of memory" {
		t.Errorf("%+v", r)
	}
}
