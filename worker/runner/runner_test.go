// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
)

// one is a desk with one sample, which it hands out once, and holds the given lock in all it does,
// as the worker's does.
type one struct {
	mu     sync.Mutex
	runner *Runner
	sample *Need
	states []State // while the sample was handed in
}

func (d *one) Needs() (*Need, []*Need) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sample == nil {
		return new(Need), nil
	}
	return new(Need), []*Need{d.sample}
}

func (d *one) Take(a Ask) *Piece {
	d.mu.Lock()
	defer d.mu.Unlock()
	model := a.Models[d.sample]
	if d.sample == nil || model == nil {
		return nil
	}
	return &Piece{Model: model, Segment: seed.Seed{1}, Nonces: []uint64{7}, Sample: true,
		Done: func([]transformer.Output) bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.sample, d.states = nil, append(d.states, d.runner.State(time.Now(), nil))
			d.runner.Wake()
			return true
		}}
}

func (*one) Building(*Need, Progress) {}
func (*one) Refuse(*Need, error)      {}

// A sample shows while it is run again, until the last is handed in; then who looks is told, and
// not sooner. The desk may ask with its own lock held.
func TestTheLastSampleIsTold(t *testing.T) {
	d := &one{sample: &Need{Model: ModelKey{Class: transformer.Nano, Seed1: seed.Seed{9}}}}
	told := make(chan bool, 10)
	d.runner = New(Config{
		Device: Device{ID: "cpu", Engine: new(enginetest.Engine), Threads: 1}, Desk: d,
		Logger:  slog.New(slog.DiscardHandler),
		Changed: func() { told <- true },
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = d.runner.Run(ctx) })
	<-told
	if s := d.runner.State(time.Now(), nil); s.Rerunning {
		t.Error("it says that it still runs samples again")
	}
	cancel()
	running.Wait()
	if len(d.states) != 1 || !d.states[0].Rerunning || len(told) != 0 {
		t.Errorf("handed in with %+v, told %d times more", d.states, len(told))
	}
}
