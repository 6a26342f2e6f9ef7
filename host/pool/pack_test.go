// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// old is a file that version 0.2 of the program wrote, opened by this one.
func old(t *testing.T) (s *state, path string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "pool.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	fast := options
	fast.NoSync = true
	s, _, damaged, err := openStateAs(path, func([]byte) { t.Error("a new secret") }, fast)
	if err != nil || len(damaged) > 0 {
		t.Fatal(damaged, err)
	}
	return s, path
}

// all are the receipts of every key.
func (s *state) all(t *testing.T) (list []mpoc.Receipt) {
	t.Helper()
	var keys []signed.Key
	if _, err := s.devices(func(k signed.Key, _ device) { keys = append(keys, k) }); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		for from := uint64(0); ; {
			page, next, err := s.receipts(k, from, 10)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, page...)
			if from = next; next == 0 {
				break
			}
		}
	}
	return list
}

// Receipts of an older file are the same to the byte, and take less room.
func TestVersion1IsBroughtOver(t *testing.T) {
	s, path := old(t)
	defer s.file.Close()
	list := s.all(t)
	if len(list) < 3 {
		t.Fatalf("%d receipts", len(list))
	}
	for _, r := range list {
		if err := r.Verify(t.Context(), mpoc.Reference()); err != nil {
			t.Error(err)
		}
		kept, known, err := s.challenge(r.Terms.ChallengeID)
		if err != nil || !known || kept.Phase != judged || !cmp.Equal(kept.Terms, r.Terms) ||
			kept.Signature != r.TermsSignature || kept.Commit != r.Commit || kept.Draw != *r.Draw {
			t.Errorf("%+v, %v, %v", kept, known, err)
		}
		raw, err := pack(&kept)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 2000 {
			t.Errorf("a judged challenge takes %d bytes", len(raw))
		}
	}
	if _, err := os.Stat(store.Old(path)); err != nil {
		t.Error(err)
	}
}

// Whichever bit changes: the others' receipts are as they were, or the file is
// refused and a new one made of what is there.
func TestFlipsLoseOneRecord(t *testing.T) {
	s, path := old(t)
	want := map[signed.Hash]signed.Hash{}
	for _, r := range s.all(t) {
		want[r.Terms.ChallengeID] = r.Digest()
	}
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	fast := options
	fast.NoSync = true
	skip := func(name string) bool { return name != "pool.db" } // the old file beside it
	flips.Each(t, filepath.Dir(path), 2000, 200, skip,
		func(dir string, d flips.Damage) (outcome flips.Outcome, err error) {
			path := filepath.Join(dir, "pool.db")
			s, _, damaged, err := openStateAs(path, func([]byte) {}, fast)
			if errors.Is(err, store.ErrDamaged) {
				if outcome = flips.Refused; d.Cut {
					return outcome, nil
				}
				if !strings.Contains(err.Error(), path) {
					return outcome, fmt.Errorf("the file is not named: %w", err)
				}
				if _, _, err := Salvage(path); err != nil {
					return outcome, err
				}
				s, _, damaged, err = openStateAs(path, func([]byte) {}, fast)
			}
			if err != nil {
				return outcome, err
			}
			if len(damaged) > 0 && outcome == flips.Unchanged {
				outcome = flips.Mended
			}
			have := 0
			for _, r := range s.all(t) {
				if want[r.Terms.ChallengeID] != r.Digest() {
					return outcome, errors.New("another receipt")
				}
				have++
			}
			if have < len(want)-1 && outcome == flips.Unchanged && len(d.Is) > 0 {
				// a device's own record is said
				return outcome, fmt.Errorf("%d of %d receipts, in silence", have, len(want))
			}
			return outcome, s.file.Close()
		}).Saw(t, "pool.db")
}

// A file of version 1 has no checksums, and its receipts are signed: one that is brought over
// holds, or the file is refused.
func TestFlipsInVersion1(t *testing.T) {
	raw, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		t.Fatal(err)
	}
	whole := t.TempDir()
	if err := os.WriteFile(filepath.Join(whole, "pool.db"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	fast := options
	fast.NoSync = true
	flips.Each(t, whole, 500, 50, nil, func(dir string, d flips.Damage) (flips.Outcome, error) {
		path := filepath.Join(dir, "pool.db")
		s, _, _, err := openStateAs(path, func([]byte) {}, fast)
		switch {
		case err != nil && !strings.Contains(err.Error(), path):
			return flips.Refused, err
		case err != nil:
			return flips.Refused, nil
		}
		outcome := flips.Unchanged
		for _, r := range s.all(t) {
			if r.Authentic() != nil {
				outcome = flips.Mended // whoever is shown it sees that
			}
		}
		return outcome, s.file.Close()
	}).Saw(t, "pool.db")
}

// BenchmarkDisk tells what a machine costs on disk: a submission's bytes in the pool's
// file, and how large the file is with 20 machines at their bound.
func BenchmarkDisk(b *testing.B) {
	raw, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "pool.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		b.Fatal(err)
	}
	fast := options
	fast.NoSync = true
	s, _, _, err := openStateAs(path, func([]byte) {}, fast)
	if err != nil {
		b.Fatal(err)
	}
	defer s.file.Close()
	var model record
	if err := s.file.View(func(tx *store.Tx) error {
		return tx.Each(bucketChallenges, nil, func(r store.Record) (bool, error) {
			text, err := r.Raw()
			if err == nil {
				err = unpack(text, &model)
			}
			return model.Phase != judged && err == nil, err
		})
	}); err != nil || model.Receipt == nil {
		b.Fatal(err)
	}
	const machines = 20
	r := rand.New(rand.NewPCG(1, 1))
	random := func(p []byte) {
		for i := range p {
			p[i] = byte(r.Uint32())
		}
	}
	for b.Loop() {
		devices := make([]device, machines)
		for n := range keepReceipts + 20 {
			for m := range devices {
				d := &devices[m]
				d.Accepted, d.Judged = 1, d.Judged+1
				one, receipt := model, *model.Receipt
				key := signed.Key{byte(m), 1}
				for _, p := range [][]byte{receipt.Terms.ChallengeID[:], receipt.TermsSignature[:],
					receipt.CommitSignature[:], receipt.HostSignature[:], receipt.Terms.Seed[:],
					receipt.Commit.MerkleRoot[:]} {
					random(p)
				}
				receipt.Terms.DeviceKey = key
				one.Receipt, one.Terms, one.Number, one.Ended = &receipt, receipt.Terms,
					d.Judged, uint64(n)
				if err := s.save(key, d, &one); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.ReportMetric(float64(s.file.Size())/1e6, "MB")
	b.ReportMetric(float64(s.file.Size())/machines/keepReceipts, "bytes/receipt")
}
