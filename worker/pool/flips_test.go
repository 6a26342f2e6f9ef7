// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/poc/mpoc"
)

// read is what a machine that starts knows of its work and of what it is owed.
type read struct {
	ID       string
	Current  challenge
	Counts   Counts
	Missing  []challenge
	Digests  [][32]byte
	TookMS   uint64
	Names    []string
	Accounts map[string]account
}

func readStore(home string) (r read, s *store, err error) {
	if s, err = openStore(home, false); err != nil {
		return r, nil, err
	}
	r = read{ID: s.id, Current: *s.current, Counts: s.saved, Missing: s.missing, Digests: s.digests,
		TookMS: s.tookMS, Accounts: map[string]account{}}
	r.Names = slices.Sorted(maps.Values(s.names))
	for host, d := range s.hosts {
		r.Accounts[host] = d.account
	}
	return r, s, s.close()
}

// Whatever bit of a device's files has flipped, and wherever one ends early: the machine goes on
// from what was there, or names the file and the way out; of the loops under way it computes again
// those behind the damage. A receipt that was changed shows nothing, and accuses no host of having
// given two.
func TestFlipsInADevice(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "device")
	s, err := openStore(whole, false)
	if err != nil {
		t.Fatal(err)
	}
	first, second, third := judged(1, 1, "10", 1), judged(1, 2, "10", 2), judged(1, 3, "1", 3)
	for _, r := range []mpoc.Receipt{third, first, second} {
		if _, err := s.receipt(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, do := range []func() error{
		func() error { _, err := s.transfer(paid(1, 1, "3"), new(big.Int)); return err },
		func() error { return s.miss(offer(7)) },
		func() error { return s.begin(offer(1), Counts{Accepted: 3}) },
		func() error { return s.add(make([][32]byte, 3), time.Second) },
		func() error { return s.add([][32]byte{{1}, {2}}, time.Second) },
		s.close,
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	want, _, err := readStore(whole)
	if err != nil || len(want.Digests) != 5 || len(want.Names) != 3 || len(want.Missing) != 1 {
		t.Fatalf("%+v, %v", want, err)
	}
	flips.Each(t, whole, 2000, 200, nil, func(home string, d flips.Damage) (flips.Outcome, error) {
		if strings.HasPrefix(d.Path, transfersDir+"/") {
			p, err := mpoc.ParseTransfer(d.Is)
			if err == nil {
				err = p.Verify()
			}
			if err == nil && !d.Space() {
				return flips.Unchanged, errors.New("the transfer holds")
			}
		}
		outcome := flips.Unchanged
		got, s, err := readStore(home)
		switch {
		case err != nil && d.Explains(err, "--accept-loss"):
			return flips.Refused, nil
		case err != nil:
			return flips.Refused, err
		}
		if n := len(got.Digests); d.Path == "mpoc/units" && n < 5 &&
			slices.Equal(got.Digests, want.Digests[:n]) && (n == 0 || n == 3) {
			outcome, got.Digests, got.TookMS = flips.Mended, want.Digests, want.TookMS
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return outcome, fmt.Errorf("taken silently:\n%s", diff)
		}
		named := ""
		s.damaged = func(path string, _ error) { named = filepath.Base(path) }
		for _, r := range []mpoc.Receipt{first, second, third} {
			switch k, err := s.kept(r.Terms.ChallengeID); {
			case err != nil:
				return outcome, err
			case k != nil && k.Digest() != r.Digest():
				return outcome, errors.New("it is another receipt of the host's")
			case k == nil && named != filepath.Base(d.Path):
				return outcome, fmt.Errorf("a receipt is gone, and %q was named", named)
			case k == nil:
				outcome = flips.Mended // the host has it, and the rest of the receipts are here
			}
		}
		return outcome, nil
	}).Covers(t, "worker/pool", Kept)
}
