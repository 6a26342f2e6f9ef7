// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
)

// A power cut tears the last line of a book. It is cut off, what is whole stays, and what follows is
// not garbled by it.
func TestTornBook(t *testing.T) {
	home := t.TempDir()
	open := func() *book {
		t.Helper()
		b, err := openBook(home, "c", "p", "n", mpoc.Key{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	sign := func(first uint64) {
		t.Helper()
		s := delivery.Statement{Order: delivery.Order{Epoch: 1, Segment: 1}, Batch: delivery.Batch{First: first, Count: 10}}
		if err := b.write(s); err != nil {
			t.Fatal(err)
		}
		b.wrote(s)
	}
	sign(0)
	sign(10)
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"first":2`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	want := b.batches
	for range 2 {
		b = open()
		if diff := cmp.Diff(want, b.batches); diff != "" {
			t.Fatal(diff)
		}
		sign(b.end())
		want = b.batches
	}
	// What a killed process left unfinished goes with the next lock.
	left := filepath.Join(home, SignedName, ".unfinished-0123456789abcdef")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}
