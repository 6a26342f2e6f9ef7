// SPDX-License-Identifier: Apache-2.0

package mpoc

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
	poc "github.com/assaynet/assay/poc/mpoc"
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
	r = read{ID: s.id, Current: *s.current, Counts: s.saved, Missing: s.missing, Digests: s.digests, TookMS: s.tookMS, Accounts: map[string]account{}}
	r.Names = slices.Sorted(maps.Values(s.names))
	for host, d := range s.hosts {
		r.Accounts[host] = d.account
	}
	return r, s, s.close()
}

// Whatever bit of a device's files has flipped, and wherever one ends early: the machine goes on from what was there, or
// names the file and the way out; of the loops under way it computes again those behind the damage. A receipt that was
// changed shows nothing, and accuses no host of having given two.
func TestFlipsInADevice(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "device")
	s, err := openStore(whole, false)
	if err != nil {
		t.Fatal(err)
	}
	first, second := judged(1, 1, "10", 1), judged(1, 2, "10", 2)
	for _, r := range []poc.Receipt{first, second} {
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
	if err != nil || len(want.Digests) != 5 || len(want.Names) != 2 || len(want.Missing) != 1 {
		t.Fatalf("%+v, %v", want, err)
	}
	many, cuts := flips.Rounds(3000, 300)
	refused, lost := 0, 0
	flips.Each(t, whole, many, cuts, nil, func(home string, d flips.Damage) error {
		if strings.HasPrefix(d.Path, transfersDir+"/") {
			p, err := poc.ParseTransfer(d.Is)
			if err == nil {
				err = p.Verify()
			}
			if err == nil && !d.Space() {
				return errors.New("the transfer holds")
			}
		}
		got, s, err := readStore(home)
		if err != nil {
			if refused++; !d.Explains(err, "--accept-loss") {
				return err
			}
			return nil
		}
		if n := len(got.Digests); d.Path == "mpoc/units" && n < 5 && slices.Equal(got.Digests, want.Digests[:n]) && (n == 0 || n == 3) {
			got.Digests, got.TookMS = want.Digests, want.TookMS
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("taken silently:\n%s", diff)
		}
		named := ""
		s.damaged = func(path string, _ error) { named = filepath.Base(path) }
		for _, r := range []poc.Receipt{first, second} {
			switch k, err := s.kept(r.Terms.ChallengeID); {
			case err != nil:
				return err
			case k != nil && k.Digest() != r.Digest():
				return errors.New("it is another receipt of the host's")
			case k == nil && named != filepath.Base(d.Path):
				return fmt.Errorf("a receipt is gone, and %q was named", named)
			case k == nil:
				lost++
			}
		}
		return nil
	})
	if refused == 0 || lost == 0 {
		t.Errorf("%d were refused and %d receipts lost, so this test sees nothing", refused, lost)
	}
}
