// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/record"
)

// find is what was found of one kind of file.
func find(t *testing.T, list []Checked, what string) Checked {
	t.Helper()
	for _, c := range list {
		if c.What == what {
			return c
		}
	}
	t.Fatalf("no %s in %+v", what, list)
	return Checked{}
}

func check(t *testing.T, home string, repair bool) []Checked {
	t.Helper()
	list, err := Check(home, repair)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The check names every damaged file of a host, and its repair makes one that opens
// with what can be read; nothing is thrown away.
func TestCheckAndRepair(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	d := device(1)
	h.prove(t, d)
	pay, err := ledger.ParseAmount("70")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"a", "b", "c"} {
		if _, err := h.pay.ledger.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: source,
			Ops: 1, Pay: pay, At: time.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	log, err := h.leaves.Log(leaflog.Key{Epoch: 1, Node: "w1", Segment: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Append(0, make([]byte, 3*record.Size), leaflog.Signature{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(home, false); err == nil {
		t.Error("a running host is checked")
	}
	closeAll()
	for _, c := range check(t, home, false) {
		if !c.Sound {
			t.Errorf("%+v", c)
		}
	}
	if c := find(t, check(t, home, false), "leaves"); !strings.Contains(c.Found,
		"1 logs, 3 leaves") {
		t.Errorf("%+v", c)
	}
	spoil := func(path string, change func([]byte) []byte) []byte {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(append([]byte(nil), raw...)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	books := filepath.Join(home, ledgerName)
	spoil(books, func(b []byte) []byte { // both pages that tell the state of the file
		b[20], b[4096+20] = b[20]^1, b[4096+20]^1
		return b
	})
	spoil(log.Path(), func(b []byte) []byte {
		copy(b[len(b)-60:], bytes.Repeat([]byte{0xaa}, 20))
		return b
	})
	if err := os.WriteFile(filepath.Join(home, verdictName, "1.json"), []byte("{"),
		0o600); err != nil {
		if err = errors.Join(os.MkdirAll(filepath.Join(home, verdictName), 0o700),
			os.WriteFile(filepath.Join(home, verdictName, "1.json"), []byte("{"),
				0o600)); err != nil {
			t.Fatal(err)
		}
	}
	list := check(t, home, false)
	for _, what := range []string{"ledger", "leaves", "verdicts"} {
		if c := find(t, list, what); c.Sound || c.Next == "" {
			t.Errorf("%+v", c)
		}
	}
	if c := find(t, list, "ledger"); !strings.Contains(c.Next, "--repair") ||
		!strings.Contains(c.Found, books) {
		t.Errorf("%+v", c)
	}
	if c := find(t, check(t, home, true), "ledger"); !c.Sound {
		t.Errorf("%+v", c)
	}
	if _, err := os.Stat(books + ".damaged1"); err != nil {
		t.Error(err)
	}
	again, _ := poolHost(t, home)
	if a := again.standing(t, d); a.Locked.String() != "210" || a.Entries != 3 {
		t.Errorf("after a repair: %+v", a)
	}
}

// An account of which both records are damaged is set aside, the check says so and how to go on,
// and its repair makes it again from its entries: what it earned is owed again.
func TestCheckMakesALostAccountAnew(t *testing.T) {
	home := t.TempDir()
	h, closeAll := poolHost(t, home)
	d := device(1)
	h.prove(t, d)
	pay, err := ledger.ParseAmount("70")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.pay.ledger.Credit(ledger.Entry{Device: d, Kind: ledger.Loops, Source: "a",
		Ops: 1, Pay: pay, At: time.Now().UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	closeAll()
	db, err := bolt.Open(filepath.Join(home, ledgerName), 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			for _, bucket := range []string{"accounts", "copies"} {
				b := tx.Bucket([]byte(bucket))
				raw := bytes.Clone(b.Get(d[:]))
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
	_, closeAgain := poolHost(t, home) // a start sets it aside
	closeAgain()
	if c := find(t, check(t, home, false), "ledger"); c.Sound ||
		!strings.Contains(c.Found, d.String()) || !strings.Contains(c.Next, "--repair") {
		t.Errorf("%+v", c)
	}
	if c := find(t, check(t, home, true), "ledger"); !c.Sound ||
		!strings.Contains(c.Found, d.String()+" is made again") {
		t.Errorf("%+v", c)
	}
	again, _ := poolHost(t, home)
	if a := again.standing(t, d); a.Locked.String() != "70" || a.Entries != 1 {
		t.Errorf("after a repair: %+v", a)
	}
}
