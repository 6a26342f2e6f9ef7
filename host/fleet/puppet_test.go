// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/signed"
)

// puppet is a worker that does what the test tells it.
type puppet struct {
	t   testing.TB
	key ed25519.PrivateKey
	*link.Socket
}

func dial(t testing.TB, h *host, key ed25519.PrivateKey) *puppet {
	t.Helper()
	address, err := link.ParseAddress(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	s, err := link.Dial(t.Context(), address, workerv1.Path, key,
		link.Limits{Message: workerv1.MaxMessage, Write: 5 * time.Second, Ping: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Abort)
	return &puppet{t, key, s}
}

// join connects an allowed puppet and hears the welcome.
func join(t testing.TB, h *host, key byte, node string) *puppet {
	t.Helper()
	private := keyOf(key)
	h.allow(private.Public().(ed25519.PublicKey), node)
	p := dial(t, h, private)
	p.say(p.hello())
	if w := p.hear().GetWelcome(); w.GetNode() != node || w.GetChain() != chain ||
		w.GetParticipant() != participant {
		t.Fatalf("welcome: %v", w)
	}
	return p
}

func (p *puppet) hello() *workerv1.Envelope {
	return &workerv1.Envelope{Message: &workerv1.Envelope_Hello{Hello: &workerv1.Hello{
		Protocol: workerv1.Protocol, Agent: "puppet", Engine: "none", SelfTestOk: true,
		Key: p.key.Public().(ed25519.PublicKey),
	}}}
}

func (p *puppet) say(e *workerv1.Envelope) {
	p.t.Helper()
	message, err := workerv1.Encode(e)
	if err != nil {
		p.t.Fatal(err)
	}
	p.sayRaw(message)
}

func (p *puppet) sayRaw(message []byte) {
	p.t.Helper()
	if err := p.Send(p.t.Context(), message); err != nil {
		p.t.Fatal(err)
	}
}

// hear waits for the next message.
func (p *puppet) hear() *workerv1.Envelope {
	p.t.Helper()
	message, err := p.Receive(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	e, err := workerv1.FromHost(message)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// hearUntil skips messages until pick takes one.
func hearUntil[M any](p *puppet, pick func(*workerv1.Envelope) *M) *M {
	p.t.Helper()
	for {
		if m := pick(p.hear()); m != nil {
			return m
		}
	}
}

// closed waits for the connection's end and returns the reason given.
func (p *puppet) closed() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, err := p.Receive(ctx); err != nil {
			if !errors.Is(err, link.ErrClosed) || ctx.Err() != nil {
				p.t.Fatalf("not closed: %v", err)
			}
			return err.Error()
		}
	}
}

var hostKey, alphaKey = keyOf(99), keyOf(2)

// batch is one of the node alpha, whose key is alphaKey, and signed by it.
func batch(epoch uint64, segment uint32, first uint64, n int) *workerv1.Envelope {
	var records []byte
	for i := range n {
		digest := [32]byte{byte(first) + byte(i)}
		records = record.Record{Norm: first + uint64(i), Digest: digest}.Append(records)
	}
	sig := statement(epoch, segment, first, records).Sign(alphaKey)
	return &workerv1.Envelope{Message: &workerv1.Envelope_Batch{Batch: &workerv1.Batch{Epoch: epoch,
		Segment: segment, First: first, Records: records, Signature: sig[:]}}}
}

// statement is what alpha has to sign about a batch.
func statement(epoch uint64, segment uint32, first uint64, records []byte) delivery.Statement {
	g := goal(segment)
	g.Epoch = epoch
	return delivery.Statement{Order: g.Order(hostKey, chain, participant, "alpha",
		signed.KeyOf(alphaKey)), Batch: delivery.BatchOf(first, records)}
}
