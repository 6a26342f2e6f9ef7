// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"path/filepath"
	"strings"
	"testing"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/worker"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// Everything that a device leaves of its work for a pool stands in the worker's table.
func TestWhatADeviceKeeps(t *testing.T) {
	if faults := kept.Faults(workerpool.Kept); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	flips.Held(t, "../..", workerpool.Kept)
	honest := bent(mpocv1.PathAccount, func(_ []byte, a *mpocv1.Account) {
		s := mpoc.Transfer{
			Version: mpoc.TransferVersion, Chain: chain, HostKey: signed.KeyOf(keyOf(1)),
			DeviceKey: a.DeviceKey,
			Payout:    "cpc1test", Amount: "1", TxHash: strings.Repeat("AB", 32), Time: 1,
		}
		s.Sign(keyOf(1))
		a.Settlements = []mpocv1.Settlement{{TxHash: s.TxHash, Payout: s.Payout, Amount: s.Amount,
			Time: s.Time, HostSignature: s.HostSignature}}
	})
	n := newNetwork(t, func(n *network) { n.bend = honest })
	home := t.TempDir()
	device := filepath.Join(home, "devices", "cpu")
	w := n.work(keyOf(2), device, nil)
	n.events.wait(t, "an accepted one, and a transfer",
		func() bool { s := w.Snapshot(); return s.Accepted >= 1 && s.Proofs.Transfers > 0 })
	w.kill()
	// Another host, which cheats.
	m := newNetwork(t, func(n *network) {
		n.bend = bent(mpocv1.PathCommits, func(_ []byte,
			a *mpocv1.CommitAnswer) {
			a.Picks[0].Tile ^= 1
		})
	})
	_ = m.over(m.work(keyOf(2), device, nil))
	unlisted, err := kept.Unlisted(home, worker.Kept())
	if err != nil || len(unlisted) > 0 {
		t.Errorf("left and not in the table: %q, %v", unlisted, err)
	}
	for _, pattern := range []string{"receipts/*.json", "transfers/*.json", "evidence/*.json",
		"mpoc/state.json", "mpoc/paid.json", "mpoc/units"} {
		if found, _ := filepath.Glob(filepath.Join(device, pattern)); len(found) == 0 {
			t.Errorf("%s: nothing was left, so this test sees nothing", pattern)
		}
	}
}
