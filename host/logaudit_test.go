// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A log on disk with two forged leaves: the audit of all of it names exactly
// these, also on an engine, and what a broken engine says convicts nobody.
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
	seed1, node, segment := seed.Seed{1}, seed.Seed{2}, seed.Seed{3}
	const n = 40
	nonces, out := make([]uint64, n), make([]transformer.Output, n)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := reference(t).Run(out, node, segment, nonces); err != nil {
		t.Fatal(err)
	}
	records := make([]leaflog.Record, n)
	for i, o := range out {
		records[i] = leaflog.Record{Norm: o.Norm, Digest: o.Digest}
	}
	records[7].Digest[31] ^= 1
	records[31].Norm += 1 << 20
	if err := log.Append(0, records); err != nil {
		t.Fatal(err)
	}
	fast, err := cpu.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, engine := range map[string]work.Engine{"reference": nil, "fast": fast, "broken": broken{work.Reference()}} {
		a := &logAudit{done: make(chan struct{})}
		a.run(t.Context(), &auditor{judge: work.NewJudge(engine)}, transformer.Nano, seed1, node, segment, log, n, 200)
		<-a.done
		var leaves []uint64
		for _, w := range a.wrong {
			leaves = append(leaves, w.leaf)
		}
		if d := cmp.Diff([]uint64{7, 31}, leaves); d != "" || a.err != nil || a.checked != n {
			t.Errorf("%s: %s, %v, %d checked", name, d, a.err, a.checked)
		}
	}
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
