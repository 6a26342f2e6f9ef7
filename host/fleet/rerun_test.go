// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// answer computes a job as an honest worker would.
func answer(t *testing.T, r *workerv1.Rerun) *workerv1.Envelope {
	t.Helper()
	m, err := quick.Transformer(t.Context(), transformer.Nano, seed.Seed(r.Seed1), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]transformer.Output, len(r.Nonces))
	if err := m.Run(out, seed.Seed(r.NodeSeed), seed.Seed(r.SegmentSeed), r.Nonces); err != nil {
		t.Fatal(err)
	}
	result := &workerv1.RerunResult{Job: r.Job}
	for _, o := range out {
		result.Outputs = o.Append(result.Outputs)
	}
	return &workerv1.Envelope{Message: &workerv1.Envelope_RerunResult{RerunResult: result}}
}

func failure(r *workerv1.Rerun) *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_RerunResult{
		RerunResult: &workerv1.RerunResult{Job: r.Job, Error: "out of memory"}}}
}

func sampleUnits(n int) []fleet.Unit {
	units := make([]fleet.Unit, n)
	for i := range units {
		units[i] = fleet.Unit{Epoch: 3, Class: transformer.Nano, Seed1: epochSeed,
			NodeSeed: seedOf(5), SegmentSeed: seedOf(6), Nonce: uint64(n - i)}
	}
	return units
}

type rerunResult struct {
	out []transformer.Output
	err error
}

func rerun(t *testing.T, h *host, units []fleet.Unit) <-chan rerunResult {
	done := make(chan rerunResult, 1)
	go func() {
		out, err := h.Rerun(t.Context(), units)
		done <- rerunResult{out, err}
	}()
	return done
}

func checkOutputs(t *testing.T, r rerunResult, units []fleet.Unit) {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	m, _ := quick.Transformer(t.Context(), transformer.Nano, epochSeed, nil)
	want := make([]transformer.Output, len(units))
	for i, u := range units {
		if err := m.Run(want[i:i+1], u.NodeSeed, u.SegmentSeed, []uint64{u.Nonce}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(r.out, want) {
		t.Fatal("outputs differ from the reference")
	}
}

// One worker takes samples and sits on them, one dies with them, one cannot
// compute them: the fourth does them all, and nothing waits for the others.
func TestRerunSurvivesBadWorkers(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	sitter, dier, unable := join(t, h, 2, "sitter"), join(t, h, 3, "dier"), join(t, h, 4, "unable")
	units := sampleUnits(150)
	done := rerun(t, h, units)
	hearUntil(sitter, (*workerv1.Envelope).GetRerun)
	hearUntil(dier, (*workerv1.Envelope).GetRerun)
	dier.Abort()
	unable.say(failure(hearUntil(unable, (*workerv1.Envelope).GetRerun)))
	good := join(t, h, 5, "good")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for {
			message, err := good.Receive(t.Context())
			if err != nil {
				return
			}
			e, err := workerv1.FromHost(message)
			if err != nil {
				t.Error(err)
				return
			}
			if r := e.GetRerun(); r != nil {
				reply, err := workerv1.Encode(answer(t, r))
				if err != nil || good.Send(t.Context(), reply) != nil {
					return
				}
			}
		}
	}()
	// The unable one goes on failing on what it is given.
	go func() {
		for {
			message, err := unable.Receive(t.Context())
			if err != nil {
				return
			}
			if e, err := workerv1.FromHost(message); err == nil && e.GetRerun() != nil {
				reply, _ := workerv1.Encode(failure(e.GetRerun()))
				if unable.Send(t.Context(), reply) != nil {
					return
				}
			}
		}
	}()
	checkOutputs(t, <-done, units)
	good.Abort()
	<-answered
}

func TestRerunGivesUpWhenNobodyCan(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	p := join(t, h, 2, "alpha")
	done := rerun(t, h, sampleUnits(3))
	for range 3 {
		p.say(failure(hearUntil(p, (*workerv1.Envelope).GetRerun)))
	}
	if r := <-done; !errors.Is(r.err, fleet.ErrRerun) ||
		!strings.Contains(r.err.Error(), "out of memory") {
		t.Fatalf("rerun: %v", r.err)
	}
	// A wrong number of outputs is not an answer.
	done = rerun(t, h, sampleUnits(3))
	e := answer(t, hearUntil(p, (*workerv1.Envelope).GetRerun))
	e.GetRerunResult().Outputs = e.GetRerunResult().Outputs[:transformer.OutputSize]
	p.say(e)
	if reason := p.closed(); !strings.Contains(reason, "72 bytes of outputs for 3 units") {
		t.Fatalf("closed with %q", reason)
	}
	p = join(t, h, 2, "alpha")
	p.say(answer(t, hearUntil(p, (*workerv1.Envelope).GetRerun)))
	checkOutputs(t, <-done, sampleUnits(3))
}

func TestRerun(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	units := make([]fleet.Unit, 70)
	for i := range units {
		units[i] = fleet.Unit{
			Epoch: 3, Class: transformer.Nano, Seed1: epochSeed, Nonce: uint64(i * i),
			NodeSeed: seedOf(50 + byte(i%2)), SegmentSeed: seedOf(60),
		}
	}
	type result struct {
		out []transformer.Output
		err error
	}
	done := make(chan result, 1)
	go func() { // asked for before any worker is there
		out, err := h.Rerun(t.Context(), units)
		done <- result{out, err}
	}()
	homeA, a := newKey(t)
	homeB, b := newKey(t)
	h.allow(a, "alpha")
	h.allow(b, "beta")
	startWorker(t, h.URL(), homeA, quick)
	startWorker(t, h.URL(), homeB, quick)
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	model, err := quick.Transformer(t.Context(), transformer.Nano, epochSeed, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]transformer.Output, 1)
	for i, u := range units {
		if err := model.Run(want, u.NodeSeed, u.SegmentSeed, []uint64{u.Nonce}); err != nil {
			t.Fatal(err)
		}
		if r.out[i] != want[0] {
			t.Fatalf("unit %d: %+v, want %+v", i, r.out[i], want[0])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Rerun(ctx, units); !errors.Is(err, context.Canceled) ||
		!errors.Is(err, fleet.ErrRerun) {
		t.Fatalf("cancelled: %v", err)
	}
}

// Samples go before computing, and computing goes on after them.
func TestRerunDuringCompute(t *testing.T) {
	h := newHost(t, t.TempDir(), "127.0.0.1:0")
	home, key := newKey(t)
	h.allow(key, "alpha")
	h.aim(goal(1))
	startWorker(t, h.URL(), home, quick)
	log := h.log("alpha", 1)
	until(t, "leaves arrive", func() bool { return log.Size() > 0 })
	out, err := h.Rerun(t.Context(), []fleet.Unit{{
		Epoch: 3, Class: transformer.Nano, Seed1: epochSeed,
		NodeSeed: seed.Node(chain, participant, "alpha", "nano"), SegmentSeed: seedOf(11),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := log.Body(0); err != nil || record.At(body, 0) != out[0].Record {
		t.Fatalf("leaf 0 run again differs: %v", err)
	}
	at := log.Size()
	until(t, "computing goes on", func() bool { return log.Size() > at })
}
