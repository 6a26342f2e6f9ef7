// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/assaynet/assay/host/store"
)

// spoilAccount damages records of an account, past the store.
func spoilAccount(t *testing.T, path string, d Device, buckets ...string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			for _, bucket := range buckets {
				b := tx.Bucket([]byte(bucket))
				raw := append([]byte(nil), b.Get(d[:])...)
				raw[len(raw)-1] ^= 1
				if err := b.Put(d[:], raw); err != nil {
					return err
				}
			}
			return nil
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An account of which both records are damaged is set aside: its promises wait and hold up nobody
// else's. Made again, it is owed what its entries say, less what was transferred; its promise is
// kept, it is paid once, and what its entries have is not claimed again.
func TestALostAccountIsMadeAnew(t *testing.T) {
	rules := Rules{Unlock: 2, Strikes: 1}
	l, path := quick(t, rules, Amount{})
	d, other := Device{1}, Device{2}
	register(t, l, d, other)
	earn := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if _, err := l.Credit(Entry{Device: d, Kind: Loops, Source: fmt.Sprint(i),
				Order: uint64(i), Pay: coins(10), At: int64(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	earn(1, 6) // three are due, two are locked
	if s, n := settle(t, l, 9); n == 0 || s.Payments[0].Amount.String() != "30" {
		t.Fatalf("%+v", s)
	}
	earn(6, 9) // three more are due
	for _, p := range []Promise{{Device: d, Source: "1-w1-1", Epoch: 1, Node: "w1", Count: 8,
		Ops: 1 << 40, Rate: coins(1)}, {Device: other, Source: "1-w2-1", Epoch: 1, Node: "w2",
		Count: 8, Ops: 1 << 40, Rate: coins(1)}} {
		if err := l.Promise(p); err != nil {
			t.Fatal(err)
		}
	}
	want := standing(t, l, d)
	if want.Due.String() != "30" || want.Locked.String() != "20" || want.Settled.String() != "30" {
		t.Fatalf("%+v", want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	spoilAccount(t, path, d, accounts, copies)
	l = reopen(t, path, rules, Amount{})
	if set, err := l.Aside(9); err != nil || len(set) != 1 || set[d] == "" {
		t.Fatalf("%v, %v", set, err)
	}
	list, err := l.Promises(9, 1)
	if err != nil || len(list) != 1 || list[0].Device != other {
		t.Fatalf("the other's promise waits behind: %+v, %v", list, err)
	}

	again, err := l.Restore()
	if err != nil || len(again) != 1 || again[0].Device != d || !again[0].Lost {
		t.Fatalf("%+v, %v", again, err)
	}
	// The transfer paid three sources of before it; by the times of the entries it may have paid
	// later ones too.
	if a := standing(t, l, d); a.Locked.String() != "20" || a.Due.String() != "30" ||
		a.Entries != 8 || a.Payout != "" {
		t.Errorf("%+v", a)
	}
	if list, err := l.Lacks([]Entry{{Device: d, Kind: Loops, Source: "3", Order: 3}}); err != nil ||
		len(list) != 0 {
		t.Errorf("what was paid is claimed again: %+v, %v", list, err)
	}
	if list, err = l.Promises(9, 9); err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, p := range list {
		if err := l.Fulfil(p, 8<<40, noon); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := l.Promises(9, 9); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := l.Payable(9); err != nil || len(list) != 0 {
		t.Errorf("it is paid without an address: %+v, %v", list, err)
	}
	register(t, l, d)
	if s, n := settle(t, l, 9); n != 1 || s.Payments[0].Device != d {
		t.Errorf("%+v", s)
	}
	if err := errors.Join(l.Check(), l.Close()); err != nil {
		t.Error(err)
	}
	l = reopen(t, path, rules, Amount{})
	if set, err := l.Aside(9); err != nil || len(set) != 0 {
		t.Errorf("after the next start: %v, %v", set, err)
	}
}

// Of a lost account of which sources were forgotten, what is older than those that are left counts
// as paid; where nothing was ever paid, receipts bring it.
func TestALostAccountForgetsNoPayment(t *testing.T) {
	for name, c := range map[string]struct {
		paid    bool
		lacking int
	}{"paid": {true, 0}, "never paid": {false, 1}} {
		t.Run(name, func(t *testing.T) {
			rules := Rules{Unlock: 0, Strikes: 1}
			l, path := quick(t, rules, Amount{})
			d := Device{1}
			register(t, l, d)
			b, err := l.Books()
			if err != nil {
				t.Fatal(err)
			}
			first := b.Since + 1
			for i := range uint64(keepPast + 5) {
				if _, err := l.Credit(Entry{Device: d, Kind: Loops, Source: fmt.Sprint(i),
					Order: first + i, Pay: coins(1), At: int64(first + i)}); err != nil {
					t.Fatal(err)
				}
				if i == 3 && c.paid {
					settle(t, l, 9)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			spoilAccount(t, path, d, accounts, copies)
			l = reopen(t, path, rules, Amount{})
			if _, err := l.Restore(); err != nil {
				t.Fatal(err)
			}
			if list, err := l.Lacks([]Entry{{Device: d, Kind: Loops, Source: "1",
				Order: first + 1}}); err != nil || len(list) != c.lacking {
				t.Errorf("%+v, %v", list, err)
			}
			if err := errors.Join(l.Check(), l.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A new file of what can be read of a damaged one has an account for each that has entries.
func TestSalvageMakesLostAccountsAnew(t *testing.T) {
	l, path := quick(t, Rules{Unlock: 2, Strikes: 1}, Amount{})
	d := Device{1}
	register(t, l, d)
	for i := range 4 {
		credit(t, l, d, fmt.Sprint(i), 10)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hurt := filepath.Join(t.TempDir(), "ledger.db")
	all := 0
	// every version of both records: the key, and behind it the mark of a record of theirs
	for at := range raw {
		for bucket := range byte(2) {
			if at >= len(d) && at+5 <= len(raw) &&
				string(raw[at:at+5]) == "\xa5\x5a\xc3\x01"+string(bucket+1) &&
				string(raw[at-len(d):at]) == string(d[:]) {
				raw[at] ^= 1
				all++
			}
		}
	}
	if all < 2 {
		t.Fatalf("%d records were found", all)
	}
	if err := os.WriteFile(hurt, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Salvage(hurt); err != nil {
		t.Fatal(err)
	}
	l = reopen(t, hurt, Rules{Unlock: 2, Strikes: 1}, Amount{})
	if set, err := l.Aside(9); err != nil || len(set) > 0 {
		t.Errorf("%v, %v", set, err)
	}
	if a := standing(t, l, d); a.Locked.String() != "20" || a.Due.String() != "20" {
		t.Errorf("%+v", a)
	}
}

// An account whose sums in a file of version 1 are not those of its entries is set aside, and made
// again by these.
func TestAnAccountOfVersion1IsMadeAnew(t *testing.T) {
	raw, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	d := Device{2} // 83 locked, 70 due, 140 settled
	db, err := bolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(accounts))
			text := string(b.Get(d[:]))
			changed := strings.Replace(text, `"due":"70"`, `"due":"78"`, 1)
			if changed == text {
				return fmt.Errorf("no 70 due in %s", text)
			}
			return b.Put(d[:], []byte(changed))
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	l := reopen(t, path, Rules{Unlock: 2, Strikes: 2}, Amount{})
	if set, err := l.Aside(9); err != nil || len(set) != 1 || set[d] == "" {
		t.Fatalf("%v, %v", set, err)
	}
	if _, err := l.Restore(); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, d); a.Locked.String() != "83" || a.Due.String() != "70" {
		t.Errorf("%+v", a)
	}
	if _, err := os.Stat(store.Old(path)); err != nil {
		t.Error(err)
	}
}
