// SPDX-License-Identifier: Apache-2.0

// Package kinds shows that a new kind of work is files of its own and one line.
package kinds

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
)

// table is that of the network and the one line.
var table = append(work.Kinds(),
	collatz{},
)

// maker is an engine that has something for the new kind.
type maker struct {
	work.Engine
	off   uint64 // from what is right
	asked int
}

func (m *maker) Offer(ctx context.Context, job work.Job) (work.Computer, error) {
	if job.Kind != (collatz{}) {
		return m.Engine.Offer(ctx, job)
	}
	m.asked++
	return steps{job, m.off}, nil
}

var (
	hostKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	machineKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

const leaves = 100

// An engine's offer goes through wrappers that know nothing of the kind, is tested by itself, and
// engines without one leave the work to the definition.
func TestEnginesOfferANewKindThroughWrappersThatDoNotKnowIt(t *testing.T) {
	ctx := t.Context()
	sound := &maker{Engine: work.Reference()}
	wrapped := device.Plain(sound)
	if err := table.SelfTest(ctx, wrapped); err != nil || sound.asked != 1 {
		t.Errorf("%v, asked %d times", err, sound.asked)
	}
	if err := table.SelfTest(ctx,
		device.Plain(&maker{Engine: work.Reference(), off: 1})); !errors.Is(err,
		work.ErrSelfTest) || !strings.Contains(err.Error(), "collatz/1") {
		t.Errorf("an engine that is wrong: %v", err)
	}
	kind, spec, err := table.Find("collatz-32")
	if err != nil {
		t.Fatal(err)
	}
	job := work.Job{Kind: kind, Spec: spec, Seeds: []seed.Seed{{1}, {2}, {3}}}
	got := make([][]byte, 2)
	for i, e := range []work.Engine{wrapped, work.Reference()} {
		c, err := work.On(ctx, e, job)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = make([]byte, 3*spec.Body)
		if err := c.Units(ctx, got[i], []uint64{5, 6, 7}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got[0], got[1]) || bytes.Equal(got[0], make([]byte, 24)) {
		t.Errorf("the engine has %x, the definition %x", got[0], got[1])
	}
}

// computed is a machine's log, of which it made so many leaves up.
func computed(t *testing.T, job work.Job, forged int) []byte {
	t.Helper()
	c, err := work.On(t.Context(), &maker{Engine: work.Reference()}, job)
	if err != nil {
		t.Fatal(err)
	}
	packed, units := make([]byte, leaves*job.Spec.Body), make([]uint64, leaves)
	for i := range units {
		units[i] = uint64(i)
	}
	if err := c.Units(t.Context(), packed, units); err != nil {
		t.Fatal(err)
	}
	for i := range forged {
		packed[i*job.Spec.Body] ^= 1
	}
	return packed
}

// From a machine's signature over batches to the host's log, its root, an audit, and a document
// that opens by the front door: nothing on the way knows what is in a body.
// Holds spec C-17.
func TestANewKindIsHandedOverKeptCommittedAndJudged(t *testing.T) {
	ctx := t.Context()
	order := delivery.Announce(hostKey,
		delivery.Order{Chain: "assay-test", DeviceKey: signed.KeyOf(machineKey),
			Participant: "cpc1test", Epoch: 3, Node: "m-1",
			Class: "collatz-16", Seed1: signed.Hash{1}, Segment: 2, SegmentSeed: signed.Hash{3}},
		leaves)
	job, err := order.Job(table)
	if err != nil {
		t.Fatal(err)
	}
	size := job.Spec.Body
	for forged, want := range map[int]delivery.Claim{0: "", 1: delivery.Faulty,
		leaves: delivery.Fraud} {
		packed := computed(t, job, forged)

		// The machine signs, the host keeps, and has a receipt for it.
		statement := delivery.Statement{Order: order,
			Batch: delivery.BatchOfBodies(0, size, packed)}
		signature := statement.Sign(machineKey)
		store, err := leaflog.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		log, err := store.LogOf(leaflog.Key{Epoch: 3, Node: "m-1", Segment: 2},
			leaflog.Form{Kind: job.Spec.Kind, Spec: job.Spec.ID, Body: size})
		if err == nil {
			err = log.Append(0, packed, leaflog.Signature(signature))
		}
		if err != nil {
			t.Fatal(err)
		}
		receipt := delivery.Receipt{Version: delivery.ReceiptVersion, Order: order,
			Batch: statement.Batch, DeviceSignature: signature,
			HostSignature: delivery.Acknowledge(statement.Digest(), hostKey)}
		if r, err := opened(t, ctx, receipt, poc.Options{Kinds: table}); err != nil || !r.Proven {
			t.Errorf("the receipt: %+v, %v", r, err)
		}

		// The host commits, and opens a leaf.
		root, err := log.Root(leaves)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := log.Leaf(42)
		path, also := commit.Inclusion(log, 42, leaves)
		if err = errors.Join(err, also); err != nil ||
			commit.VerifyInclusion(root, leaves, 42, leaf.Hash(), path) != nil {
			t.Errorf("leaf 42 is not in the log: %v", err)
		}
		if back, err := commit.ParseLeaf(leaf.Append(nil)); err != nil ||
			!bytes.Equal(back.Body, packed[42*size:][:size]) || back.Kind != 3 || back.Spec != 16 {
			t.Errorf("leaf 42 is read as %+v, %v", back, err)
		}

		// The host audits, and shows what it found.
		judge := work.NewJudge(&maker{Engine: work.Reference()})
		last, nonce := delivery.Signed{Batch: statement.Batch, Signature: signature},
			delivery.Nonce(hostKey, order)
		asked := delivery.Questions(order, nonce, leaves, last)
		claims := make([][]byte, len(asked))
		for i, unit := range asked {
			if claims[i], err = log.Body(unit); err != nil {
				t.Fatal(err)
			}
		}
		bodies, err := judge.Bodies(ctx, job, asked, claims)
		if err != nil {
			t.Fatal(err)
		}
		var found []delivery.Found
		for i, unit := range asked {
			if !bytes.Equal(bodies[i], claims[i]) {
				found = append(found, delivery.Found{Leaf: unit, Records: packed, Body: size,
					Signature: signature})
			}
		}
		if len(found) != forged {
			t.Errorf("%d leaves are found wrong, %d were made up", len(found), forged)
		}
		if want == "" { // a host that lies
			found = append(found, delivery.Found{Leaf: 7, Records: packed, Body: size,
				Signature: signature})
		}
		e, err := delivery.Accuse(order, nonce, leaves, last, found, "")
		if err != nil {
			t.Fatal(err)
		}
		r, err := opened(t, ctx, e, poc.Options{Kinds: table})
		if want == "" {
			if !errors.Is(err, delivery.ErrClaim) || r.Proven {
				t.Errorf("an honest machine: %+v, %v", r, err)
			}
			continue
		}
		if err != nil || !r.Proven || r.Claim != string(want) ||
			(r.Accused != "") != (want == delivery.Fraud) || r.Got == r.Want ||
			len(r.Got) != 2*size {
			t.Errorf("%d made up: %+v, %v", forged, r, err)
		}
		if n := len(e.Wrong); r.Cost.Work != "collatz/1" || r.Cost.Units != n ||
			r.Cost.Ops != uint64(160*n) {
			t.Errorf("it cost %+v", r.Cost)
		}
		if _, err := opened(t, ctx, e, poc.Options{}); !errors.Is(err, work.ErrSpec) {
			t.Errorf("to who has no such kind: %v", err)
		}
		judge.Kinds = table
		finding, err := e.Verify(ctx, judge)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := opened(t, ctx, delivery.FileOf(e, finding),
			poc.Options{Kinds: table}); err != nil || r.Kind != poc.KindLeftOut || !r.Proven {
			t.Errorf("as a log that was left out: %+v, %v", r, err)
		}
	}
}

// opened writes a document, opens it and verifies it.
func opened(t *testing.T, ctx context.Context, v any, o poc.Options) (poc.Report, error) {
	t.Helper()
	text, err := document.Write(v)
	if err != nil {
		t.Fatal(err)
	}
	d, err := poc.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	return d.Verify(ctx, nil, o)
}
