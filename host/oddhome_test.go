// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/internal/oddhome"
	"github.com/assaynet/assay/poc/record"
)

// A host's books, leaves, settings and evidence are written, read again, pruned and checked
// whatever its home is called.
func TestAnyHome(t *testing.T) {
	oddhome.Each(t, func(t *testing.T, home string) {
		if err := config().Save(home); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(home); err != nil || c.Chain != config().Chain {
			t.Errorf("settings: %+v, %v", c, err)
		}
		h, closeAll := poolHost(t, home)
		h.prove(t, device(1))
		if _, err := h.pay.ledger.Credit(ledger.Entry{Device: device(1), Kind: ledger.Loops,
			Source: "a", Ops: 1, At: 1}); err != nil {
			t.Fatal(err)
		}
		for epoch := range uint64(3) {
			l, err := h.leaves.Log(leaflog.Key{Epoch: epoch, Node: "w1", Segment: 1}, 1)
			if err == nil {
				err = l.Append(0, record.Record{Norm: 1}.Append(nil), leaflog.Signature{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := h.leaves.Prune(2); err != nil {
			t.Fatal(err)
		}
		name := func(epoch int) string {
			return filepath.Join(home, EvidenceName,
				fmt.Sprintf("epoch-%d-cpc1x-w1-segment-1-leaf-7-forged.json", epoch))
		}
		if err := durable.Replace(name(0), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for epoch := 1; epoch <= sprint.KeepEvidence; epoch++ { // a thousand syncs take seconds
			if err := os.WriteFile(name(epoch), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.duties.Evidence.Prune(); err != nil {
			t.Fatal(err)
		}
		if list, err := os.ReadDir(filepath.Join(home, EvidenceName)); err != nil ||
			len(list) != sprint.KeepEvidence {
			t.Errorf("%d files of evidence are left, %v", len(list), err)
		}
		closeAll()
		if list, err := kept.Unlisted(home, Kept()); err != nil || len(list) > 0 {
			t.Errorf("not in the table: %v, %v", list, err)
		}
		for _, c := range check(t, home, false) {
			if c.What == "ledger" && !c.Sound {
				t.Errorf("%+v", c)
			}
		}
		h, _ = poolHost(t, home)
		if diff := cmp.Diff([]leaflog.Key{{Epoch: 2, Node: "w1", Segment: 1}},
			h.leaves.Keys()); diff != "" {
			t.Error(diff)
		}
		if a, err := h.pay.ledger.Account(device(1)); err != nil || a.Payout != "cpc1payout" {
			t.Errorf("%+v, %v", a, err)
		}
	})
}
