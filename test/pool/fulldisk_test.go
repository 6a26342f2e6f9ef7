// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/internal/fulldisk"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// agree checks that a machine's receipts and the host's account say the same: what was acknowledged
// is there once, and nobody was judged.
func (n *network) agree(w *machine) {
	n.t.Helper()
	accepted, pay := uint64(0), new(big.Int)
	seen := map[signed.Hash]bool{}
	for _, r := range receipts(n.t, w.home) {
		if seen[r.Terms.ChallengeID] {
			n.t.Errorf("two receipts of challenge %s", r.Terms.ChallengeID)
		}
		seen[r.Terms.ChallengeID] = true
		if r.Outcome.Status != mpoc.Accepted {
			n.t.Errorf("a submission is %s: %s", r.Outcome.Status, r.Reason)
			continue
		}
		accepted++
		pay.Add(pay, r.Outcome.Pay.Big())
	}
	a := n.standing(keyOf(2))
	owed := a.Locked.Add(a.Due).Add(a.Settling)
	// The latest may be on its way.
	open, _ := new(big.Int).SetString(owed.String(), 10)
	open.Sub(open, pay)
	if a.Clean < accepted || a.Clean > accepted+1 || open.Sign() < 0 || a.Clean == accepted &&
		open.Sign() != 0 || a.Strikes != 0 || a.Banned {
		n.t.Errorf("the machine holds %d receipts over %s; the host counts %d and owes %s, with "+
			"%d strikes", accepted, pay, a.Clean, owed, a.Strikes)
	}
	if s := w.Snapshot(); s.InAll.Accepted > accepted || s.InAll.Accepted+1 < accepted ||
		s.Rejected+s.Faulty+s.Failed != 0 {
		n.t.Errorf("%d receipts, and it counts %+v", accepted, s.InAll)
	}
}

// A machine's disk is full from its k-th write on: it says so, names the path, sends nothing that
// it would forget, and goes on by itself once there is space.
func TestAMachinesDiskFillsAtEachWrite(t *testing.T) {
	run := func(t *testing.T, k int) int {
		n := newNetwork(t, nil)
		home := filepath.Join(t.TempDir(), "machine")
		disk := fulldisk.Below(t, home)
		if k > 0 {
			disk.Fill(k)
		}
		w := n.work(keyOf(2), home, nil)
		n.events.wait(t, "it says what its disk does, or works", func() bool {
			s := w.Snapshot()
			return s.Accepted >= 3 || strings.Contains(s.Reason, "this machine's disk is full") &&
				strings.Contains(s.Reason, home) && strings.Contains(s.Next, "free some space")
		})
		writes, before := disk.Writes(), w.Snapshot().Accepted
		disk.Free()
		n.events.wait(t, "it goes on, after "+disk.First(),
			func() bool { return w.Snapshot().Accepted >= before+2 })
		w.kill()
		n.agree(w)
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = run(t, 0) })
	if n < 60 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 3, func(t *testing.T, k int) { run(t, k) })
}

// A pool's disk is full from its k-th write on: it starts not at all and says why, or lives, tells
// machines to come again, and goes on by itself once there is space.
func TestAPoolsDiskFillsAtEachWrite(t *testing.T) {
	run := func(t *testing.T, k int) int {
		n := newNetwork(t, nil)
		disk := fulldisk.Below(t, n.dir)
		if k > 0 {
			disk.Fill(k)
		}
		w := n.work(keyOf(2), t.TempDir(), nil)
		n.events.wait(t, "it is refused, or works", func() bool {
			s := w.Snapshot()
			return s.Accepted >= 3 || disk.First() != "" &&
				(s.State == "idle" || s.State == "asking" || s.Missing > 0 || s.Next != "")
		})
		writes, before := disk.Writes(), w.Snapshot().Accepted
		disk.Free()
		n.events.wait(t, "it goes on, after "+disk.First(),
			func() bool { return w.Snapshot().Accepted >= before+2 })
		w.kill()
		n.agree(w)
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = run(t, 0) })
	if n < 10 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 3, func(t *testing.T, k int) { run(t, k) })
}

// A pool that starts on a full disk names the file, and starts once there is space; on one that is
// full since, it starts.
func TestAPoolStartsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	disk := fulldisk.Below(t, dir)
	open := func() error {
		l, err := ledger.Open(filepath.Join(dir, "ledger.db"), ledger.Rules{Unlock: 2, Strikes: 3},
			ledger.Amount{})
		if err != nil {
			return err
		}
		p, err := pool.New(pool.Config{HostKey: keyOf(1), Chain: chain,
			State: filepath.Join(dir, "pool.db"), Ledger: l,
			Rules: ledger.Rules{Unlock: 2, Strikes: 3}, Engine: new(looker)})
		if err == nil {
			_ = p.Close() // which would note the time
		}
		return errors.Join(err, l.Close())
	}
	for k := 1; ; k++ {
		disk.Fill(k)
		err := open()
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Fatalf("%s: %v", disk.First(), err)
		}
		if k > 100 {
			t.Fatal("it never starts")
		}
	}
	disk.Fill(1)
	if err := open(); err != nil {
		t.Errorf("it wrote before, and does not start on a full disk: %v", err)
	}
	disk.Free()
	if err := open(); err != nil {
		t.Error(err)
	}
}
