// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
)

var testKey = Key{Epoch: 7, Node: "node-1", Segment: 2}

const testClass = 1

// record is the record a test expects at index i.
func made(i uint64) record.Record {
	d := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, i))
	return record.Record{Norm: i*i + 1, Digest: d}
}

func records(first uint64, n int) []byte {
	var packed []byte
	for i := range n {
		packed = made(first + uint64(i)).Append(packed)
	}
	return packed
}

// signature is the one a test gives the batch that begins at leaf i.
func signature(i uint64) (s Signature) {
	copy(s[:], binary.LittleEndian.AppendUint64(nil, ^i))
	return s
}

// model is the in-memory tree over the same leaves.
func model(size uint64) *commit.Log {
	var m commit.Log
	for i := range size {
		r := made(i)
		m.Append(record.Leaf{Class: testClass, Node: testKey.Node, Index: i, Record: r}.Hash())
	}
	return &m
}

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openTestLog(t testing.TB, s *Store) *Log {
	t.Helper()
	l, err := s.Log(testKey, testClass)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendAll(t testing.TB, l *Log, sizes ...int) {
	t.Helper()
	for _, n := range sizes {
		if err := l.Append(l.Size(), records(l.Size(), n), signature(l.Size())); err != nil {
			t.Fatal(err)
		}
	}
}

func checkContents(t testing.TB, l *Log, size uint64) {
	t.Helper()
	if l.Size() != size {
		t.Fatalf("size %d, want %d", l.Size(), size)
	}
	root, err := l.Root(size)
	if err != nil {
		t.Fatal(err)
	}
	if want := model(size).Root(); root != want {
		t.Fatalf("root of %d leaves is %x, want %x", size, root, want)
	}
}

func TestAppendAndReopen(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	l := openTestLog(t, s)
	checkContents(t, l, 0)
	appendAll(t, l, 1, 999, 1000, 24, 24, 1000, 1)
	checkContents(t, l, 3049)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(3049, records(3049, 1), Signature{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}

	s = openStore(t, dir)
	if diff := cmp.Diff([]Key{testKey}, s.Keys()); diff != "" {
		t.Fatal(diff)
	}
	l = openTestLog(t, s)
	checkContents(t, l, 3049)
	appendAll(t, l, 5)
	checkContents(t, l, 3054)
	for _, i := range []uint64{0, 1, 1023, 1024, 3048, 3049, 3053} {
		got, err := l.Body(i)
		if err != nil || record.At(got, 0) != made(i) {
			t.Fatalf("record %d: %v %v", i, got, err)
		}
	}
	for leaf, want := range map[uint64][2]uint64{0: {0, 1}, 1: {1, 999}, 999: {1, 999},
		1000: {1000, 1000}, 1999: {1000, 1000}, 2000: {2000, 24}, 2047: {2024, 24},
		2048: {2048, 1000}, 3047: {2048, 1000}, 3048: {3048, 1}, 3053: {3049, 5}} {
		b, err := l.Batch(leaf)
		if err != nil || b.First != want[0] || len(b.Records) != int(want[1])*record.Size ||
			b.Signature != signature(want[0]) {
			t.Fatalf("batch with leaf %d: first %d, %d bytes, %v; want %v", leaf, b.First,
				len(b.Records), err, want)
		}
		if r := record.At(b.Records, int(leaf-b.First)); r != made(leaf) {
			t.Fatalf("leaf %d in its batch is %v", leaf, r)
		}
	}
	if _, err := l.Batch(3054); !errors.Is(err, ErrRange) {
		t.Fatalf("a batch behind the end: %v", err)
	}
	if _, err := l.Body(3054); !errors.Is(err, ErrRange) {
		t.Fatalf("record behind the end: %v", err)
	}
	if _, err := s.Log(testKey, testClass+1); !errors.Is(err, ErrOrder) {
		t.Fatalf("another class: %v", err)
	}
}

func TestAppendOrder(t *testing.T) {
	l := openTestLog(t, openStore(t, t.TempDir()))
	appendAll(t, l, 10, 10)
	changed := records(10, 10)
	changed[9*record.Size]++
	for name, c := range map[string]struct {
		first uint64
		recs  []byte
		want  error
	}{
		"again":         {10, records(10, 10), nil},
		"part again":    {3, records(3, 9), nil},
		"differs":       {10, changed, ErrOrder},
		"overlaps":      {15, records(15, 10), ErrOrder},
		"gap":           {21, records(21, 1), ErrOrder},
		"empty":         {20, nil, ErrOrder},
		"half a body":   {20, records(20, 2)[:60], ErrOrder},
		"too many":      {20, records(20, MaxBatch+1), ErrOrder},
		"beyond counts": {commit.MaxSize, records(0, 1), ErrOrder},
		"wraps":         {^uint64(0), records(0, 2), ErrOrder},
	} {
		if err := l.Append(c.first, c.recs, Signature{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	checkContents(t, l, 20)
}

func TestStoreKeysAndPrune(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	keys := []Key{{1, "a", 1}, {1, "b", 1}, {2, "a", 1}, {2, "a", 2}, {10, "a", 1}}
	for _, k := range keys {
		l, err := s.Log(k, testClass)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(0, records(0, 3), Signature{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []Key{{1, "../a", 1}, {1, "", 1}, {1, "a", 0}} {
		if _, err := s.Log(bad, testClass); err == nil {
			t.Errorf("key %v was accepted", bad)
		}
	}
	pruned, err := s.Log(keys[0], testClass)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(2); err != nil {
		t.Fatal(err)
	}
	if err := pruned.Append(3, records(3, 1), Signature{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a pruned log: %v", err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrInUse) ||
		!strings.Contains(err.Error(),
			fmt.Sprintf("(process %d) works with %s", os.Getpid(), dir)) {
		t.Errorf("the store is opened twice: %v", err)
	}
	s.Close()
	if diff := cmp.Diff(keys[2:], openStore(t, dir).Keys()); diff != "" {
		t.Fatal(diff)
	}
}

// Any sequence of batches gives the tree that the in-memory log gives: roots,
// proofs and subtrees, for every earlier size too, before and after a restart.
func TestTreeEqualsModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "leaflog")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s := openStore(t, dir)
		l := openTestLog(t, s)
		for range rapid.IntRange(1, 6).Draw(r, "batches") {
			appendAll(t, l, rapid.SampledFrom([]int{1, 2, 23, 24, 25, 500, 999, 1000}).Draw(r,
				"records"))
		}
		size := l.Size()
		want := model(size)
		check := func() {
			for range 4 {
				n := rapid.Uint64Range(0, size).Draw(r, "size")
				a, err := commit.Root(l, n)
				b, _ := commit.Root(want, n)
				if err != nil || a != b {
					r.Fatalf("root of %d: %x, want %x, %v", n, a, b, err)
				}
			}
			indices := rapid.SliceOfNDistinct(rapid.Uint64Range(0, size-1), 1, 5,
				rapid.ID[uint64]).Draw(r, "indices")
			sortU64(indices)
			a, err := commit.Multi(l, size, indices)
			b, _ := commit.Multi(want, size, indices)
			if err != nil || !cmp.Equal(a, b) {
				r.Fatalf("multiproof of %v in %d differs: %v", indices, size, err)
			}
			level := uint(rapid.IntRange(0, 12).Draw(r, "level"))
			if n := size >> level; n > 0 {
				i := rapid.Uint64Range(0, n-1).Draw(r, "index")
				a, err := l.Subtree(level, i)
				b, _ := want.Subtree(level, i)
				if err != nil || a != b {
					r.Fatalf("subtree (%d, %d): %x, want %x, %v", level, i, a, b, err)
				}
			}
			if _, err := l.Subtree(level, size>>level); !errors.Is(err, ErrRange) {
				r.Fatalf("an incomplete subtree was answered: %v", err)
			}
		}
		check()
		s.Close()
		s = openStore(t, dir)
		defer s.Close()
		l = openTestLog(t, s)
		check()
	})
}

func sortU64(s []uint64) {
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
}

func TestConcurrentReadersWhileAppending(t *testing.T) {
	s := openStore(t, t.TempDir())
	l := openTestLog(t, s)
	appendAll(t, l, 1000, 1000)
	want := model(2000)
	wantProof, _ := commit.Multi(want, 2000, []uint64{3, 1500})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 20 {
				if root, err := l.Root(2000); err != nil || root != want.Root() {
					t.Errorf("root: %v", err)
				}
				proof, err := commit.Multi(l, 2000, []uint64{3, 1500})
				if err != nil || !cmp.Equal(proof, wantProof) {
					t.Errorf("proof: %v", err)
				}
			}
		})
	}
	for range 30 {
		appendAll(t, l, 100)
	}
	wg.Wait()
	checkContents(t, l, 5000)
}
