// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"testing"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
)

// BenchmarkBatches stores batches of 1,000 that one worker sends without
// computing: TLS, WebSocket, checks, fsync, acknowledgement.
func BenchmarkBatches(b *testing.B) {
	h := newHost(b, b.TempDir(), "127.0.0.1:0")
	h.aim(goal(1))
	p := join(b, h, 2, "alpha")
	hearUntil(p, (*workerv1.Envelope).GetCompute)
	sent := make(chan struct{})
	b.ResetTimer()
	go func() {
		defer close(sent)
		for i := range b.N { // made and signed here too, as a worker does
			p.say(batch(3, 1, uint64(i)*workerv1.MaxBatch, workerv1.MaxBatch))
		}
	}()
	for hearUntil(p, (*workerv1.Envelope).GetAck).Size < uint64(b.N)*workerv1.MaxBatch {
	}
	<-sent
	b.ReportMetric(float64(b.N)*workerv1.MaxBatch/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkWorker is a real worker whose engine costs next to nothing.
func BenchmarkWorker(b *testing.B) {
	h := newHost(b, b.TempDir(), "127.0.0.1:0")
	home, key := newKey(b)
	h.allow(key, "alpha")
	h.aim(goal(1))
	log := h.log("alpha", 1)
	b.ResetTimer()
	startWorker(b, h.URL(), home, new(enginetest.Engine))
	until(b, "leaves", func() bool { return log.Size() >= uint64(b.N)*workerv1.MaxBatch })
	b.ReportMetric(float64(log.Size())/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkRerun runs 200 samples again, the network's default draw, on one
// worker whose engine costs next to nothing.
func BenchmarkRerun(b *testing.B) {
	h := newHost(b, b.TempDir(), "127.0.0.1:0")
	home, key := newKey(b)
	h.allow(key, "alpha")
	startWorker(b, h.URL(), home, new(enginetest.Engine))
	units := make([]fleet.Unit, 200)
	for i := range units {
		units[i] = fleet.Unit{Epoch: 3, Class: transformer.Nano, Seed1: epochSeed, Nonce: uint64(i)}
	}
	for b.Loop() {
		if _, err := h.Rerun(b.Context(), units); err != nil {
			b.Fatal(err)
		}
	}
}
