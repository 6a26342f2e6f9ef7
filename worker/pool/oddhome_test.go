// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"math/big"
	"testing"

	"github.com/assaynet/assay/internal/oddhome"
	"github.com/assaynet/assay/poc/mpoc"
)

// A device's challenge, receipts and transfers are written, read again and pruned whatever its home
// is called.
func TestAnyHome(t *testing.T) {
	oddhome.Each(t, func(t *testing.T, home string) {
		s, err := openStore(home, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.begin(offer(1), Counts{}); err != nil {
			t.Fatal(err)
		}
		if err := s.add([][32]byte{{1}, {2}}, 0); err != nil {
			t.Fatal(err)
		}
		s.proofs.mostPaid = 1
		var list []mpoc.Receipt
		for n := range byte(3) {
			list = append(list, judged(1, n, "10", 1))
			if _, err := s.proofs.receipt(list[n]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.proofs.transfer(paid(1, 1, "20"), new(big.Int)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.evidence(offer(1).Terms.ChallengeID, "forged", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		again, err := openStore(home, false)
		if err != nil {
			t.Fatal(err)
		}
		defer again.close()
		if again.current == nil || len(again.digests) != 2 {
			t.Errorf("of the challenge there are %d digests", len(again.digests))
		}
		for n, kept := range []string{"pruned", "paid", "owed"} {
			r, err := again.proofs.kept(list[n].Terms.ChallengeID)
			if err != nil || (r == nil) != (kept == "pruned") ||
				again.proofs.has(list[n]) != (kept == "owed") {
				t.Errorf("receipt %d is not %s: %v, %v", n, kept, r != nil, err)
			}
		}
		if n := paidOnes(t, home); n != 1 {
			t.Errorf("%d paid receipts are left, and one may be", n)
		}
	})
}
