// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/assaynet/assay/internal/flips"
)

var options = Options{Kind: "test", Version: 2, Buckets: []string{"a", "b", "c"}}

func open(t testing.TB, path string) (*File, []Damage) {
	t.Helper()
	f, damaged, err := Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	return f, damaged
}

// fill writes a file over many transactions, with records replaced and deleted, and
// one large value. It returns what the last two transactions left.
func fill(t testing.TB, path string) (last, before map[string]string) {
	t.Helper()
	f, _ := open(t, path)
	last = map[string]string{}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 120 {
		before = maps.Clone(last)
		if err := f.Update(func(tx *Tx) error {
			for range 4 {
				bucket, key := options.Buckets[r.IntN(3)], fmt.Sprintf("key%03d", r.IntN(90))
				if r.IntN(4) == 0 {
					if err := tx.Delete(bucket, []byte(key)); err != nil {
						return err
					}
					delete(last, bucket+key)
					continue
				}
				value := fmt.Sprintf("%d-%x", n, make([]byte, r.IntN(60)))
				if n == 100 {
					value += string(make([]byte, 9000))
				}
				if err := tx.PutRaw(bucket, []byte(key), []byte(value)); err != nil {
					return err
				}
				last[bucket+key] = value
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return last, before
}

// all reads a file; damaged records are left out.
func all(t testing.TB, f *File) map[string]string {
	t.Helper()
	have := map[string]string{}
	err := f.View(func(tx *Tx) error {
		for _, bucket := range options.Buckets {
			if err := tx.Each(bucket, nil, func(r Record) (bool, error) {
				if raw, err := r.Raw(); err == nil {
					have[bucket+string(r.Key)] = string(raw)
				}
				return true, nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// The rule of the whole package: whichever bit changes and wherever the file ends,
// what is read is what was written, or it is said which record is damaged, or that
// the file is; never a panic, and never another value in silence. A new file of
// what is left has all but the record that was hit.
func TestFlipsAndTruncations(t *testing.T) {
	dir := t.TempDir()
	last, before := fill(t, filepath.Join(dir, "f"))
	flips.Each(t, dir, 3000, 300, nil, func(dir string, d flips.Damage) (flips.Outcome, error) {
		path := filepath.Join(dir, d.Path)
		f, damaged, err := Open(path, options)
		if errors.Is(err, ErrDamaged) {
			if !d.Cut {
				salvaged(t, path, last, before)
			}
			return flips.Refused, nil
		} else if err != nil {
			return flips.Refused, err
		}
		have, outcome := all(t, f), flips.Unchanged
		switch {
		case len(d.Is) == 0:
			outcome = flips.Mended // as a file that was never begun
		case len(damaged) > 0:
			outcome = flips.Mended
			damaged = slices.DeleteFunc(slices.Clone(damaged), Damage.State)
			if len(have) != len(last)-len(damaged) && len(have) != len(before)-len(damaged) {
				return outcome, fmt.Errorf("%d records and %d damaged of %d", len(have),
					len(damaged), len(last))
			}
			for k, v := range have {
				if last[k] != v && before[k] != v {
					return outcome, fmt.Errorf("%s is %q", k, v)
				}
			}
			if err := f.Update(func(tx *Tx) error {
				return tx.PutRaw("a", []byte("new"), []byte("x"))
			}); err != nil {
				return outcome, err
			}
		case maps.Equal(have, last):
		default:
			return outcome, errors.New("other records, in silence")
		}
		if err := f.Close(); err != nil || outcome == flips.Unchanged || len(d.Is) == 0 {
			return outcome, err
		}
		f, again := open(t, path) // said once; what it was is beside it
		_, err = os.Stat(path + ".damaged1")
		if err = errors.Join(err, f.Close()); len(again) != 0 || err != nil {
			return outcome, fmt.Errorf("damaged %v, then %v; %w", damaged, again, err)
		}
		return outcome, nil
	})
}

// A bucket whose few records lie within a page is checked like all others: bolt panics over the
// flags of such a page, once it is read.
func TestAPageWithinAPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, _ := open(t, path)
	if err := errors.Join(f.Update(func(tx *Tx) error {
		return tx.PutRaw("a", []byte("key"), []byte("value"))
	}), f.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("key" + string(magic)) // behind the page's header and its one element
	for at := 0; ; at++ {
		next := bytes.Index(whole[at:], key)
		if next < 0 {
			break
		}
		at += next
		bad := bytes.Clone(whole)
		bad[at-element-pageHeader+8] ^= 0x40
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, _, err := Open(path, options); err == nil {
			if have := all(t, f); have["akey"] != "value" { // it was an older state's page
				t.Errorf("at %d: it opens, and has %v", at, have)
			}
			_ = f.Close()
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

// salvaged: of the records at most one is lost or older than it was.
func salvaged(t *testing.T, path string, last, before map[string]string) {
	t.Helper()
	_, old, err := Salvage(path, options, func(bucket string, key,
		_ []byte) bool {
		_, ok := last[bucket+string(key)]
		return ok
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, damaged := open(t, path)
	have, off := all(t, f), 0
	for k, v := range last {
		if have[k] != v && have[k] != before[k] {
			off++
		}
	}
	if off > 1 || len(damaged) > 0 {
		t.Fatalf("after Salvage %d of %d records are missing or older, damaged: %v",
			off, len(last), damaged)
	}
	if err := errors.Join(f.Close(), os.Remove(old)); err != nil {
		t.Fatal(err)
	}
}

func TestKindsAndVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, _ := open(t, path)
	if _, _, err := Open(path, options); !errors.Is(err, ErrInUse) {
		t.Errorf("twice: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Kind: "other", Version: 2, Buckets: options.Buckets},
		{Kind: "test", Version: 3, Buckets: options.Buckets}} {
		if _, _, err := Open(path, o); !errors.Is(err, ErrVersion) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	old := filepath.Join(t.TempDir(), "old")
	db, err := bolt.Open(old, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte("things"))
			if err != nil {
				return err
			}
			return b.Put([]byte("k"), []byte("v"))
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(old, options); !errors.Is(err, ErrVersion) {
		t.Errorf("an old file: %v", err)
	}
	o := options
	o.Migrate = func(*bolt.Tx, *Tx) error { return errors.New("not this one") }
	if _, _, err := Open(old, o); err == nil {
		t.Error("a migration that fails")
	}
	o.Migrate = func(from *bolt.Tx, to *Tx) error {
		return to.PutRaw("a", []byte("k"), from.Bucket([]byte("things")).Get([]byte("k")))
	}
	g, _, err := Open(old, o)
	if err != nil {
		t.Fatal(err)
	}
	if have := all(t, g); have["ak"] != "v" || len(have) != 1 {
		t.Errorf("after a migration: %v", have)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(Old(old)); err != nil {
		t.Error(err)
	}
}

func TestNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, _ := open(t, path)
	failed := errors.New("no")
	next := func(fail error) (n uint64) {
		err := f.Do(func(tx *Tx) (err error) {
			if n, err = tx.Next("a"); err != nil {
				return err
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
		return n
	}
	if next(nil) != 1 || next(failed) != 2 || next(nil) != 2 {
		t.Error("a number of a change that failed is used up")
	}
	if err := errors.Join(f.Update(func(tx *Tx) error {
		return tx.Skip("a", 10)
	}), f.Close()); err != nil {
		t.Fatal(err)
	}
	f, _ = open(t, path)
	if n := next(nil); n != 11 {
		t.Errorf("behind 10 comes %d", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
