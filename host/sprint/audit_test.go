// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slices"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/leaflog/leaflogtest"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
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
	host, machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)),
		ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	goal := fleet.Goal{Kind: fleet.Compute, Epoch: 3, Class: transformer.Nano, Seed1: seed.Seed{1},
		Segment: 2, SegmentSeed: seed.Seed{3}, Samples: 200}
	order := goal.Order(host, "assay-test", "cpc1test", "m-1", signed.KeyOf(machine))
	node, segment := seed.Node("assay-test", "cpc1test", "m-1", "nano"), seed.Seed{3}
	const n = 40
	nonces, out := make([]uint64, n), make([]transformer.Output, n)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	model, err := work.Reference().Transformer(t.Context(), transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Run(out, node, segment, nonces); err != nil {
		t.Fatal(err)
	}
	out[7].Digest[31] ^= 1
	out[31].Norm += 1 << 20
	leaflogtest.Deliver(t, log, order, machine, out[:25])
	leaflogtest.Deliver(t, log, order, machine, out[25:])
	fast, err := cpu.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, engine := range map[string]work.Engine{"reference": nil, "fast": fast,
		"broken": broken{work.Reference()}} {
		a := &logAudit{done: make(chan struct{})}
		a.run(t.Context(), &auditor{judge: work.NewJudge(engine)}, transformer.Nano, order,
			delivery.Nonce(host, order), log, n, 200)
		<-a.done
		var leaves []uint64
		for _, w := range a.wrong {
			leaves = append(leaves, w.leaf)
		}
		if d := cmp.Diff([]uint64{7, 31}, leaves); d != "" || a.err != nil || a.checked != n {
			t.Errorf("%s: %s, %v, %d checked", name, d, a.err, a.checked)
		}
		if a.evidence == nil || a.evidence.Claim != delivery.Faulty || len(a.evidence.Wrong) != 2 ||
			a.hidden != nil {
			t.Errorf("%s: evidence %+v, %v", name, a.evidence, a.hidden)
		}
	}
	// What another key signed is found wrong, and is no evidence.
	other := goal.Order(host, "assay-test", "cpc1test", "m-1", signed.KeyOf(host))
	a := &logAudit{done: make(chan struct{})}
	a.run(t.Context(), &auditor{judge: work.NewJudge(nil)}, transformer.Nano, other,
		delivery.Nonce(host, other), log, n, 200)
	if len(a.wrong) != 2 || a.evidence != nil || !errors.Is(a.hidden, signed.ErrSignature) {
		t.Errorf("leaves of another key: %d wrong, evidence %v, %v", len(a.wrong),
			a.evidence, a.hidden)
	}
}

// broken is an engine that is wrong about every second unit.
type broken struct{ work.Engine }

func (b broken) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
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

// A stranger may take its time to no end: this host is ready without it, unless it has no other
// machines.
func TestStrangersDoNotHoldUpReadiness(t *testing.T) {
	stranger := func(node string) bool { return node[0] == 'm' }
	all := []fleet.WorkerStatus{{Node: "m-1", Connected: true}, {Node: "w1"},
		{Node: "w2", Connected: true}, {Node: "m-2"}, {Node: "m-3", Connected: true}}
	members := []string{"m-1", "m-2", "w1"} // m-3 and w2 came later
	nodes := func(all []fleet.WorkerStatus) (list []string) {
		for node := range counted(all, preparing(all, members, stranger), stranger) {
			list = append(list, node)
		}
		slices.Sort(list)
		return list
	}
	if diff := cmp.Diff([]string{"w2"}, nodes(all)); diff != "" {
		t.Error(diff)
	}
	all[2].Connected = false
	if diff := cmp.Diff([]string{"m-1"}, nodes(all)); diff != "" {
		t.Error(diff)
	}
}
