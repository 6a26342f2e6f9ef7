// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/leaflog/leaflogtest"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/host/voter/votertest"
	"github.com/assaynet/assay/internal/fulldisk"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// lateLeaves delivers a fourth machine's leaves in two batches, as far as the disk takes them, and
// returns how many it acknowledged.
func lateLeaves(t *testing.T, h *Host, model transformer.Model) uint64 {
	t.Helper()
	now, machine := votertest.SegmentOver(), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32))
	out, nonces := make([]transformer.Output, 8), make([]uint64, 8)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := model.Run(out, seed.Node(h.config.Chain, h.config.Participant, "w4", "nano"),
		seed.Seed{3}, nonces); err != nil {
		t.Fatal(err)
	}
	order := sprint.Computing(now.Epoch, transformer.Nano, now.Epoch.Segments[0]).Order(h.o.HostKey,
		h.config.Chain, h.config.Participant, "w4", signed.KeyOf(machine))
	log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: "w4", Segment: 1}, transformer.Nano.ID)
	if err == nil {
		err = log.Ready()
	}
	for err == nil && log.Size() < 8 {
		err = leaflogtest.Try(log, order, machine, out[log.Size():][:4])
	}
	if err != nil && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), h.o.Home)) {
		t.Errorf("leaves are refused: %v", err)
	}
	if log == nil {
		return 0
	}
	return log.Size()
}

// A host's disk is full from the k-th write of an epoch on: every message that it owes is wanted
// all the same, what fails is named with its path, and with space the rest is done without a
// restart.
func TestAnEpochsDiskFillsAtEachWrite(t *testing.T) {
	home, workers := delivered(t)
	model := reference(t)
	run := func(t *testing.T, k int) int {
		here := t.TempDir()
		if err := os.CopyFS(here, os.DirFS(home)); err != nil {
			t.Fatal(err)
		}
		h, _ := poolHost(t, here)
		h.owns(workers)
		conn, err := grpc.NewClient("127.0.0.1:1",
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		h.conn, h.court, h.sprint = conn, contested{}, proving{votertest.Judging{}}
		h.duties = h.newDuties()
		judges := h.newVoter()
		now := votertest.SegmentOver()
		now.Epoch.Round = sprintv1.Round{ValidateUntil: 30, RevealUntil: 40}
		g := new(errgroup.Group)
		step := func(first bool) {
			t.Helper()
			for range 2 { // the first one begins the audit of the logs
				if err := h.duties.Commits.Commit(t.Context(), g, now, transformer.Nano,
					three, 1000); err != nil {
					t.Error(err)
				}
				_ = g.Wait()
			}
			for range 2 { // the first one begins the re-runs
				if err := judges.Validate(t.Context(), g, now); err != nil &&
					first {
					t.Error(err)
				}
				_ = g.Wait()
			}
			if err := errors.Join(judges.Reveal(now),
				h.duties.Evidence.Write(t.Context(), now.Epoch)); err != nil {
				t.Error(err)
			}
			h.pay.books.Strike(leaflog.Key{Epoch: 1, Node: "w1", Segment: 1}, "a test", false)
		}
		disk := fulldisk.Below(t, here)
		if k > 0 {
			disk.Fill(k)
		}
		acknowledged := lateLeaves(t, h, model)
		step(true)
		got, _ := h.queue.Status()
		if diff := cmp.Diff([]string{"commit/1/w1/1", "commit/1/w2/1", "commit/1/w3/1", "reveal/1",
			"verdict/1"}, got); diff != "" {
			t.Errorf("wanted, after %s (-want +got):\n%s", disk.First(), diff)
		}
		for _, f := range h.board.Get().Faults {
			if !strings.Contains(f.Reason, here) ||
				!strings.Contains(f.Reason, "no space left on device") ||
				strings.Contains(f.Reason, ".unfinished-") {
				t.Errorf("a fault that does not name the path: %+v", f)
			}
		}
		writes := disk.Writes()
		disk.Free()
		if n := lateLeaves(t, h, model); n != 8 || n < acknowledged {
			t.Errorf("%d leaves were acknowledged, and with space there are %d of 8",
				acknowledged, n)
		}
		step(false)
		if f := h.board.Get().Faults; len(f) > 0 {
			t.Errorf("with space again, after %s: %+v", disk.First(), f)
		}
		if v, err := verdicts(h.o.Home).Load(1); err != nil || v == nil || len(v.Salt) != 32 {
			t.Errorf("the verdict on disk: %+v, %v", v, err)
		}
		for _, target := range votertest.Targets {
			if _, err := os.Stat(filepath.Join(here, EvidenceName,
				sprint.EvidenceFile(1, courtv1.Judgement{Leaf: votertest.Leaves(target)[0],
					Mismatch: true}))); err != nil {
				t.Error(err)
			}
		}
		return writes
	}
	n := 0
	t.Run("counted", func(t *testing.T) { n = run(t, 0) })
	if n < 25 {
		t.Fatalf("%d writes only", n)
	}
	fulldisk.Each(t, n, 6, func(t *testing.T, k int) { run(t, k) })
}
