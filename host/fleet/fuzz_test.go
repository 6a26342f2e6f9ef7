// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"log/slog"
	"testing"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// FuzzHandle feeds arbitrary messages to a connection that computes and has a
// sample to run again: it never panics, and its log grows only by the batch
// that continues it.
func FuzzHandle(f *testing.F) {
	logs, err := leaflog.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { logs.Close() })
	host, device := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)),
		ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	fleet := &Fleet{config: Config{HostKey: host, Chain: "c", Participant: "p", Logs: logs},
		log: slog.New(slog.NewTextHandler(io.Discard, nil)), desk: newDesk()}
	key := device.Public().(ed25519.PublicKey)
	signed := Goal{Kind: Compute, Epoch: 1, Class: transformer.Nano, Segment: 1}.Order(host, "c",
		"p", "alpha", signed.Key(key))
	epoch := uint64(0)
	seed := func(e *workerv1.Envelope) {
		b, err := workerv1.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	sig := delivery.Statement{Order: signed,
		Batch: delivery.BatchOf(0, make([]byte, 80))}.Sign(device)
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_Batch{Batch: &workerv1.Batch{Epoch: 1,
		Segment: 1, Records: make([]byte, 80), Signature: sig[:]}}})
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_RerunResult{
		RerunResult: &workerv1.RerunResult{Job: 1, Outputs: make([]byte, 72)}}})
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_RerunResult{
		RerunResult: &workerv1.RerunResult{Job: 1, Error: "no"}}})
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_ModelReady{
		ModelReady: &workerv1.ModelReady{Epoch: 1}}})
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_Status{Status: &workerv1.Status{State: 3,
		Reason: "r"}}})
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_NodeProof{
		NodeProof: &workerv1.NodeProof{Signature: make([]byte, 64)}}})
	seed(&workerv1.Envelope{Message: &workerv1.Envelope_Hello{Hello: &workerv1.Hello{Engine: "e",
		Key: key}}})
	f.Fuzz(func(t *testing.T, message []byte) {
		if epoch++; epoch%64 == 0 { // one log per run; old ones make room
			if err := logs.Prune(epoch); err != nil {
				t.Fatal(err)
			}
		}
		c := newConn(fleet, "alpha", key, nil, &workerv1.Hello{})
		fleet.desk.join(c)
		defer fleet.desk.leave(c)
		call := fleet.desk.begin([]Unit{{Class: transformer.Nano}})
		defer fleet.desk.cancel(call, ErrRerun)
		// Batches of epoch 1 are the ones the corpus is about.
		c.aim(Goal{Kind: Compute, Epoch: 1, Class: transformer.Nano, Segment: uint32(epoch)},
			newAllowance(1000, 32))
		for e, _ := c.next(); e != nil; e, _ = c.next() {
		}
		c.order.goal.Segment, c.order.signed = 1, signed
		err := c.handle(message)
		if size := c.order.log.Size(); size != c.accepted || err != nil && size != 0 {
			t.Fatalf("the log has %d leaves, %d accepted, %v", size, c.accepted, err)
		}
		_ = c.status()
	})
}

// Many small messages slow down their sender; a few a second do not.
func TestThrottle(t *testing.T) {
	c := newConn(nil, "alpha", nil, nil, &workerv1.Hello{})
	c.stop(nil) // what would be waited is not
	now := time.Unix(1000, 0)
	for range 10 * smallBurst {
		now = now.Add(smallTime)
		c.throttle(now)
		if c.idleFrom.After(now) {
			t.Fatal("an honest pace has to wait")
		}
	}
	for range 2 * smallBurst {
		c.throttle(now)
	}
	if wait := c.idleFrom.Sub(now); wait < smallBurst*smallTime/2 {
		t.Errorf("a flood has to wait %v only", wait)
	}
}
