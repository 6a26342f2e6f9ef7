// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// Both records of a machine's account are damaged. Once its host has repaired the ledger, the
// machine has its entries, gets its address back by its next request, and claims nothing twice.
func TestALostAccountGoesOn(t *testing.T) {
	n := newNetwork(t, nil)
	a := n.hand(keyOf(2)).register()
	s := a.compute(3, nil)
	must[any](a)(nil, a.commit(s))
	kept := []mpoc.Receipt{a.judged(s)}
	want := n.standing(a.key)
	n.stop()
	path, key := filepath.Join(n.dir, "ledger.db"), signed.KeyOf(a.key)
	db, err := bolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			for _, bucket := range []string{"accounts", "copies"} {
				b := tx.Bucket([]byte(bucket))
				raw := bytes.Clone(b.Get(key[:]))
				raw[len(raw)-1] ^= 1
				if err := b.Put(key[:], raw); err != nil {
					return err
				}
			}
			return nil
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(path, ledger.Rules{Strikes: 1}, ledger.Amount{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Restore()
	if err = errors.Join(err, l.Close()); err != nil || len(again) != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	n.start()
	if have := n.standing(a.key); have.Payout != "" {
		t.Errorf("nobody has said where it is paid, and it is %q", have.Payout)
	}
	if answer, err := a.claim(kept, kept); err != nil || answer.Entered != 0 ||
		len(answer.Lacking) != 0 {
		t.Errorf("%+v, %v", answer, err)
	}
	if have := n.standing(a.key); have.Payout != want.Payout || have.Entries != want.Entries ||
		have.Locked.Add(have.Due).Cmp(want.Locked.Add(want.Due)) != 0 {
		t.Errorf("the account is %+v, and was %+v", have, want)
	}
}
