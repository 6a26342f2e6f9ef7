// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/signed"
)

// A power cut tears the last line of a journal. It is cut off, what is whole stays, and what
// follows is not garbled by it.
func TestTornBook(t *testing.T) {
	home := t.TempDir()
	open := func() *journal {
		t.Helper()
		b, err := openJournal(home, "c", "p", "n", signed.Key{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	sign := func(first uint64) {
		t.Helper()
		s := delivery.Statement{Order: delivery.Order{Epoch: 1, Segment: 1},
			Batch: delivery.Batch{First: first, Count: 10}}
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

// No flipped bit makes a machine sign leaves again: the damaged line is a gap, or the journal is
// refused. Books from before there were checksums are read.
func TestDamagedBook(t *testing.T) {
	home := t.TempDir()
	open := func() (*journal, error) { return openJournal(home, "c", "p", "n", signed.Key{}) }
	b, err := open()
	if err != nil {
		t.Fatal(err)
	}
	order := delivery.Order{Epoch: 1, Segment: 1}
	for first := uint64(0); first < 50; first += 10 {
		s := delivery.Statement{Order: order, Batch: delivery.Batch{First: first, Count: 10}}
		if err := b.write(s); err != nil {
			t.Fatal(err)
		}
		b.wrote(s)
	}
	text, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) != 7 {
		t.Fatalf("%d lines", len(lines))
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(b.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begins, line := 0, 0
	for at := range len(text) {
		if at >= begins+len(lines[line]) {
			begins, line = begins+len(lines[line]), line+1
		}
		bad := bytes.Clone(text)
		bad[at] ^= 1 << (at % 7)
		write(bad)
		got, err := open()
		inLast, inEnd := line == 5, at == len(text)-1
		switch {
		case err != nil && (line == 0 || inLast || at == begins+len(lines[line])-1 && line == 4) &&
			strings.Contains(err.Error(), b.path):
		case err == nil && inEnd && got.end() == 50: // all but the newline is there
		case err == nil && line > 0 && !inLast && got.end() == 50:
			// the others stand, what is before the gap is not signed again
			if _, err := got.check(delivery.Statement{Order: order,
				Batch: delivery.Batch{First: 0, Count: 5}}); err == nil {
				t.Fatalf("bit %d of byte %d: other leaves are signed", at%7, at)
			}
		default:
			t.Fatalf("bit %d of byte %d, line %d: %+v, %v", at%7, at, line, got, err)
		}
	}
	var old []byte
	for _, l := range lines[:6] {
		record, _, _ := bytes.Cut(l, []byte("\t"))
		old = append(append(old, record...), '\n')
	}
	write(old)
	got, err := open()
	if err != nil || got.end() != 50 {
		t.Fatalf("an old journal: %+v, %v", got, err)
	}
	s := delivery.Statement{Order: order, Batch: delivery.Batch{First: 50, Count: 10}}
	if err := got.write(s); err != nil {
		t.Fatal(err)
	}
	if got, err = open(); err != nil || got.end() != 60 {
		t.Fatalf("an old journal, continued: %+v, %v", got, err)
	}
}
