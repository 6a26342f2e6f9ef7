// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A log on disk with two forged leaves: the audit of all of it names exactly
// these, also on an engine, and what a broken engine says convicts nobody.
// Holds spec M-25.
func TestLogAudit(t *testing.T) {
	logs, err := leaflog.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	log, err := logs.Log(leaflog.Key{Epoch: 3, Node: "m-1", Segment: 2}, transformer.Nano.ID)
	if err != nil {
		t.Fatal(err)
	}
	host, machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	goal := fleet.Goal{Kind: fleet.Compute, Epoch: 3, Class: transformer.Nano, Seed1: seed.Seed{1}, Segment: 2, SegmentSeed: seed.Seed{3}, Samples: 200}
	order := goal.Order(host, "assay-test", "cpc1test", "m-1", mpoc.KeyOf(machine))
	node, segment := seed.Node("assay-test", "cpc1test", "m-1", "nano"), seed.Seed{3}
	const n = 40
	nonces, out := make([]uint64, n), make([]transformer.Output, n)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := reference(t).Run(out, node, segment, nonces); err != nil {
		t.Fatal(err)
	}
	out[7].Digest[31] ^= 1
	out[31].Norm += 1 << 20
	deliver(t, log, order, machine, out[:25])
	deliver(t, log, order, machine, out[25:])
	fast, err := cpu.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, engine := range map[string]work.Engine{"reference": nil, "fast": fast, "broken": broken{work.Reference()}} {
		a := &logAudit{done: make(chan struct{})}
		a.run(t.Context(), &auditor{judge: work.NewJudge(engine)}, transformer.Nano, order, delivery.Nonce(host, order), log, n, 200)
		<-a.done
		var leaves []uint64
		for _, w := range a.wrong {
			leaves = append(leaves, w.leaf)
		}
		if d := cmp.Diff([]uint64{7, 31}, leaves); d != "" || a.err != nil || a.checked != n {
			t.Errorf("%s: %s, %v, %d checked", name, d, a.err, a.checked)
		}
		if a.evidence == nil || a.evidence.Claim != delivery.Faulty || len(a.evidence.Wrong) != 2 || a.hidden != nil {
			t.Errorf("%s: evidence %+v, %v", name, a.evidence, a.hidden)
		}
	}
	// What another key signed is found wrong, and is no evidence.
	other := goal.Order(host, "assay-test", "cpc1test", "m-1", mpoc.KeyOf(host))
	a := &logAudit{done: make(chan struct{})}
	a.run(t.Context(), &auditor{judge: work.NewJudge(nil)}, transformer.Nano, other, delivery.Nonce(host, other), log, n, 200)
	if len(a.wrong) != 2 || a.evidence != nil || !errors.Is(a.hidden, delivery.ErrSignature) {
		t.Errorf("leaves of another key: %d wrong, evidence %v, %v", len(a.wrong), a.evidence, a.hidden)
	}
}

// deliver stores outputs behind a log's end as one batch of a machine's.
func deliver(t *testing.T, log *leaflog.Log, o delivery.Order, machine ed25519.PrivateKey, out []transformer.Output) {
	t.Helper()
	if err := tryDeliver(log, o, machine, out); err != nil {
		t.Fatal(err)
	}
}

func tryDeliver(log *leaflog.Log, o delivery.Order, machine ed25519.PrivateKey, out []transformer.Output) error {
	var packed []byte
	records := make([]record.Record, len(out))
	for i, o := range out {
		records[i] = o.Record
		packed = o.Record.Append(packed)
	}
	first := log.Size()
	sig := delivery.Statement{Order: o, Batch: delivery.BatchOf(first, packed)}.Sign(machine)
	return log.Append(first, records, leaflog.Signature(sig))
}

// broken is an engine that is wrong about every second unit.
type broken struct{ work.Engine }

func (b broken) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed, progress func(done, total uint64)) (transformer.Model, error) {
	m, err := b.Engine.Transformer(ctx, class, seed1, progress)
	return brokenModel{m}, err
}

type brokenModel struct{ transformer.Model }

func (m brokenModel) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	for i := range dst {
		dst[i].Norm += uint64(i % 2)
	}
	return err
}
