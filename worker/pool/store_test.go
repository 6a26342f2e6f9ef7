// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/internal/marker"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

// offer is a challenge that a host signed.
func offer(fresh byte) challenge {
	host := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	device := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	t := mpoc.Offer(mpoc.Terms{
		Chain: "assay-test", HostKey: signed.KeyOf(host), DeviceKey: signed.KeyOf(device),
		Shape: mpoc.Shape(mpoc.Shapes()[0]), DurationMS: 1000, Issued: 1_800_000_000_000,
		Expiry: 1_800_000_060_000,
		Picks:  90, Light: 3, MaxLoops: 1000, PayPerTebiop: "1", BanAfter: 1,
	}, seed.Seed{fresh}, seed.Seed{3})
	return challenge{Phase: Computing, Terms: t, Signature: t.Sign(host)}
}

// Whatever a crash leaves of the digests' file, what is loaded is what was
// computed, up to the last record that is whole.
func TestDigestsSurviveCrashes(t *testing.T) {
	home := t.TempDir()
	s, err := openStore(home, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(offer(1), Counts{}); err != nil {
		t.Fatal(err)
	}
	ends := []int64{0} // of the records
	for n := range 4 {
		slice := make([][32]byte, n+1)
		for i := range slice {
			slice[i] = [32]byte{byte(n), byte(i)}
		}
		if err := s.add(slice, 7*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, ends[n]+recordHead+int64(32*len(slice))+recordSum)
	}
	want := s.digests
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "mpoc", "units")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(whole)) != ends[4] {
		t.Fatalf("%d bytes, want %d", len(whole), ends[4])
	}
	check := func(what string, data []byte, records int) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(home, false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		loops := records * (records + 1) / 2
		if len(s.digests) != loops || s.tookMS != uint64(7*records) {
			t.Fatalf("%s: %d loops in %d ms, want %d of %d records", what, len(s.digests),
				s.tookMS, loops, records)
		}
		for i := range s.digests {
			if s.digests[i] != want[i] {
				t.Fatalf("%s: loop %d is another", what, i)
			}
		}
		// The next slice follows what was loaded.
		if err := s.add([][32]byte{{1}}, 0); err != nil {
			t.Fatal(err)
		}
		if info, err := s.units.Stat(); err != nil ||
			info.Size() != ends[records]+recordHead+32+recordSum {
			t.Fatalf("%s: %d bytes then, %v", what, info.Size(), err)
		}
	}
	records := 0
	for size := range int64(len(whole)) + 1 {
		if records < 4 && size == ends[records+1] {
			records++
		}
		if size%5 == 0 || size == ends[records] { // each opening costs a few flushes
			check("cut", whole[:size], records)
		}
	}
	for at := 0; at < len(whole); at += 11 {
		bad := bytes.Clone(whole)
		bad[at] ^= 4
		records := 0
		for int64(at) >= ends[records+1] {
			records++
		}
		check("flipped", bad, records)
	}
}

// Records of one challenge are none of another.
func TestDigestsBelongToTheirChallenge(t *testing.T) {
	home := t.TempDir()
	s, err := openStore(home, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(offer(1), Counts{}); err != nil {
		t.Fatal(err)
	}
	if err := s.add([][32]byte{{1}}, 0); err != nil {
		t.Fatal(err)
	}
	// The crash comes between the new state and the new file.
	c := offer(2)
	s.current = &c
	if err := s.save(Counts{}); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openStore(home, false); err != nil ||
		s.current.Terms.Digest() != c.Terms.Digest() || len(s.digests) != 0 {
		t.Fatalf("%d digests, %v", len(s.digests), err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// What is damaged or missing is no fresh start: it is refused with what was lost and how to go on,
// and set aside once its owner accepts the loss.
func TestLostFiles(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(home string) error
		says string
	}{
		"a state that no host signed": {func(home string) error {
			return os.WriteFile(filepath.Join(home, "mpoc", "state.json"),
				[]byte(`{"phase":"drawn"}`), 0o600)
		}, "no host signed"},
		"an empty state": {func(home string) error {
			return os.Truncate(filepath.Join(home, "mpoc", "state.json"), 0)
		}, "damaged"},
		"a state cut short": {func(home string) error {
			return os.Truncate(filepath.Join(home, "mpoc", "state.json"), 100)
		}, "damaged"},
		"no state": {func(home string) error {
			return os.Remove(filepath.Join(home, "mpoc", "state.json"))
		}, "state.json is missing"},
		"an empty list": {func(home string) error {
			return os.Truncate(filepath.Join(home, "mpoc", "missing.json"), 0)
		}, "still to be asked for"},
		"no account": {func(home string) error {
			return os.Remove(filepath.Join(home, "mpoc", "paid.json"))
		}, "which transfers were counted"},
		"an empty account": {func(home string) error {
			return os.Truncate(filepath.Join(home, "mpoc", "paid.json"), 0)
		}, "which transfers were counted"},
		"no receipts": {func(home string) error {
			return os.RemoveAll(filepath.Join(home, "receipts"))
		}, "receipts is missing"},
		"another's evidence": {func(home string) error {
			return marker.Set(filepath.Join(home, "evidence"), marker.New())
		}, "is another one's"},
		"the folder not mounted": {func(home string) error {
			return errors.Join(os.RemoveAll(filepath.Join(home, "mpoc")),
				os.Mkdir(filepath.Join(home, "mpoc"), 0o700))
		}, "is missing"},
	} {
		home := t.TempDir()
		p := proofsOf(t, home)
		s := &store{home: home, proofs: p}
		if _, err := p.receipt(judged(1, 1, "10", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.transfer(paid(1, 1, "3"), new(big.Int)); err != nil {
			t.Fatal(err)
		}
		if err := s.miss(offer(7)); err != nil {
			t.Fatal(err)
		}
		if err := c.lose(home); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(home, false); !errors.Is(err, ErrLost) ||
			!strings.Contains(err.Error(), c.says) ||
			!strings.Contains(err.Error(), "--accept-loss") {
			t.Errorf("%s: %v", name, err)
		}
		for _, accept := range []bool{true, false} { // and then it is whole again
			s, err := openStore(home, accept)
			if err != nil {
				t.Errorf("%s, accepted: %v", name, err)
				break
			}
			if s.current == nil {
				err = s.begin(offer(1), Counts{})
			}
			if err = errors.Join(err, s.close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Files from before there were versions and checksums are read, and written in the new form.
func TestFilesOfOldForm(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "mpoc"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"state.json": state{offer(1), Counts{Accepted: 3}},
		"missing.json": []challenge{offer(2)}} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "mpoc", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := openStore(home, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.current == nil || s.saved.Accepted != 3 || len(s.missing) != 1 {
		t.Fatalf("%+v, %+v, %d missing", s.current, s.saved, len(s.missing))
	}
	if err := errors.Join(s.save(s.saved), s.miss(offer(3))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"state.json", "missing.json"} {
		text, err := os.ReadFile(filepath.Join(home, "mpoc", name))
		if err != nil || !bytes.HasPrefix(text, []byte(`{"version":"assay-worker-`)) {
			t.Errorf("%s: %.40s, %v", name, text, err)
		}
	}
	// One of a later version is not touched.
	text, err := sealed.Marshal("assay-worker-challenge/2", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(home, false); !errors.Is(err, ErrLost) ||
		!strings.Contains(err.Error(), "assay-worker-challenge/2") {
		t.Errorf("a later version: %v", err)
	}
	if got, err := os.ReadFile(s.path()); err != nil || !bytes.Equal(got, text) {
		t.Errorf("it is %.60s now, %v", got, err)
	}
}

func TestMeter(t *testing.T) {
	var r meter
	begin := time.Unix(1_800_000_000, 0)
	for i := range 120 {
		r.add(begin.Add(time.Duration(i)*time.Second), 2)
	}
	now := begin.Add(119 * time.Second)
	if a, b := r.milli(now, 60), r.milli(now, 900); a != 2000 || b != 2000 {
		t.Errorf("2 a second: %d and %d", a, b)
	}
	if a := r.milli(now.Add(60*time.Second), 60); a != 0 {
		t.Errorf("a minute later %d", a)
	}
}

// The counts of earlier starts come back, with the loops of a challenge that a
// crash cut short, once.
func TestCountsSurviveCrashes(t *testing.T) {
	home := t.TempDir()
	want := Counts{Accepted: 3, Late: 1, Loops: 100, VerifiedOps: 9}
	s, err := openStore(home, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(offer(1), want); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.add(make([][32]byte, 5), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func(want Counts) {
		t.Helper()
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if s, err = openStore(home, false); err != nil {
			t.Fatal(err)
		}
		if got := s.counts(); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	}
	want.Loops = 110 // computed, and not in the state
	reopen(want)
	reopen(want)
	s.current.Phase = Over
	want.Accepted++
	if err := s.save(want); err != nil {
		t.Fatal(err)
	}
	reopen(want)
}

// A fast card's operations fill 64 bits within hours; counted in millions they do
// not, and none is lost.
func TestVerifiedOperations(t *testing.T) {
	var m Machine
	sum := uint64(0)
	for range 3 {
		sum += m.verified(1_500_000_000_000_700_000)
	}
	for range 20 {
		sum += m.verified(1 << 63)
	}
	if sum != 188_967_440_737_097 || m.rest != 616_160 {
		t.Errorf("%d and %d", sum, m.rest)
	}
}
