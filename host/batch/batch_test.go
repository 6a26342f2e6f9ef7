// SPDX-License-Identifier: Apache-2.0

package batch

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
)

var counter = []byte("counter")

func open(t *testing.T) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "file"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(counter)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return db
}

// add counts, and fails afterwards if it shall.
func add(fail error) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b := tx.Bucket(counter)
		n := uint64(0)
		if raw := b.Get(counter); raw != nil {
			n = binary.BigEndian.Uint64(raw)
		}
		return errors.Join(b.Put(counter, binary.BigEndian.AppendUint64(nil, n+1)), fail)
	}
}

func count(t *testing.T, db *bolt.DB) (n uint64) {
	t.Helper()
	if err := db.View(func(tx *bolt.Tx) error {
		n = binary.BigEndian.Uint64(tx.Bucket(counter).Get(counter))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// Every change happens once, those that fail not at all, and each caller hears
// of its own.
func TestEachOnce(t *testing.T) {
	db := open(t)
	w := New(db)
	bad := errors.New("bad")
	var running sync.WaitGroup
	for i := range 200 {
		running.Go(func() {
			var want error
			if i%7 == 0 {
				want = bad
			}
			if err := w.Do(add(want)); !errors.Is(err, want) {
				t.Errorf("change %d: %v, want %v", i, err, want)
			}
		})
	}
	running.Go(func() {
		if err := w.Do(func(*bolt.Tx) error {
			panic("at the wheel")
		}); err == nil || !strings.Contains(err.Error(), "at the wheel") {
			t.Errorf("a change that panics: %v", err)
		}
	})
	running.Wait()
	if n := count(t, db); n != 200-29 {
		t.Errorf("%d changes happened, want %d", n, 200-29)
	}
}

// What comes during a flush is flushed together.
func TestOneFlushForAllThatWait(t *testing.T) {
	db := open(t)
	w := New(db)
	begun, release := make(chan struct{}), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Do(func(*bolt.Tx) error { close(begun); <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-begun
	ids := make([]int, 100)
	for i := range ids {
		running.Go(func() {
			if err := w.Do(func(tx *bolt.Tx) error { ids[i] = tx.ID(); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	for n := 0; n < len(ids); runtime.Gosched() {
		w.mu.Lock()
		n = len(w.waiting)
		w.mu.Unlock()
	}
	close(release)
	running.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("flushes %d and %d for changes that waited together", ids[0], id)
		}
	}
}

func TestClosedFile(t *testing.T) {
	db := open(t)
	w := New(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Do(add(nil)); err == nil {
		t.Fatal("a change of a closed file")
	}
}
