// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
)

var testKey = Key{Epoch: 7, Node: "node-1", Segment: 2}

const testClass = 1

// record is the artefact a test expects at index i.
func made(i uint64) record.Record {
	d := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, i))
	return record.Record{Norm: i*i + 1, Digest: d}
}

func records(first uint64, n int) []record.Record {
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = made(first + uint64(i))
	}
	return recs
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
		m.Append(commit.Leaf{Class: testClass, Node: testKey.Node, Index: i, Record: r}.Hash())
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
		got, err := l.Record(i)
		if err != nil || got != made(i) {
			t.Fatalf("record %d: %v %v", i, got, err)
		}
	}
	for leaf, want := range map[uint64][2]uint64{0: {0, 1}, 1: {1, 999}, 999: {1, 999}, 1000: {1000, 1000}, 1999: {1000, 1000}, 2000: {2000, 24}, 2047: {2024, 24}, 2048: {2048, 1000}, 3047: {2048, 1000}, 3048: {3048, 1}, 3053: {3049, 5}} {
		b, err := l.Batch(leaf)
		if err != nil || b.First != want[0] || len(b.Records) != int(want[1])*record.Size || b.Signature != signature(want[0]) {
			t.Fatalf("batch with leaf %d: first %d, %d bytes, %v; want %v", leaf, b.First, len(b.Records), err, want)
		}
		if r := record.At(b.Records, int(leaf-b.First)); r != made(leaf) {
			t.Fatalf("leaf %d in its batch is %v", leaf, r)
		}
	}
	if _, err := l.Batch(3054); !errors.Is(err, ErrRange) {
		t.Fatalf("a batch behind the end: %v", err)
	}
	if _, err := l.Record(3054); !errors.Is(err, ErrRange) {
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
	changed[9].Norm++
	for name, c := range map[string]struct {
		first uint64
		recs  []record.Record
		want  error
	}{
		"again":         {10, records(10, 10), nil},
		"part again":    {3, records(3, 9), nil},
		"differs":       {10, changed, ErrOrder},
		"overlaps":      {15, records(15, 10), ErrOrder},
		"gap":           {21, records(21, 1), ErrOrder},
		"empty":         {20, nil, ErrOrder},
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
	if _, err := Open(dir); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("(process %d) works with %s", os.Getpid(), dir)) {
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
			appendAll(t, l, rapid.SampledFrom([]int{1, 2, 23, 24, 25, 500, 999, 1000}).Draw(r, "records"))
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
			indices := rapid.SliceOfNDistinct(rapid.Uint64Range(0, size-1), 1, 5, rapid.ID[uint64]).Draw(r, "indices")
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

func logPath(dir string) string { return filepath.Join(dir, "7", "node-1.2.leaves") }

// damageCase is a store whose log holds three batches; the last two are what
// the tests cut and corrupt.
func damageCase(t *testing.T) (file []byte, dir string, frames []int64, sizes []uint64) {
	dir = t.TempDir()
	s := openStore(t, dir)
	l := openTestLog(t, s)
	frames = append(frames, headerSize)
	for _, n := range []int{5, 11, 40} {
		appendAll(t, l, n)
		frames = append(frames, l.end)
		sizes = append(sizes, l.Size())
	}
	s.Close()
	file, err := os.ReadFile(logPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	return file, dir, frames, sizes
}

// reopen writes a file's bytes and opens the log on them.
func reopen(t *testing.T, dir string, file []byte) (*Store, *Log, error) {
	t.Helper()
	if err := os.WriteFile(logPath(dir), file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log(testKey, testClass)
	return s, l, err
}

// A write that was cut at any byte leaves every earlier batch, and room for the
// next one.
func TestCutAtEveryByte(t *testing.T) {
	file, dir, frames, sizes := damageCase(t)
	for cut := frames[1]; cut <= frames[3]; cut++ {
		want := sizes[0]
		for i := range frames[1:] {
			if cut >= frames[i+1] {
				want = sizes[i]
			}
		}
		s, l, err := reopen(t, dir, file[:cut])
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if l.Size() != want {
			t.Fatalf("cut at %d: %d leaves, want %d", cut, l.Size(), want)
		}
		appendAll(t, l, 3)
		checkContents(t, l, want+3)
		s.Close()
		s = openStore(t, dir)
		checkContents(t, openTestLog(t, s), want+3)
		s.Close()
	}
}

// One bit that changed costs nothing, wherever it is. More of them are never
// mistaken for an interrupted write: they cost the batch and those behind it, the
// reason names the file and the offset, and the file stays as it is.
func TestChangeEveryByte(t *testing.T) {
	file, dir, frames, sizes := damageCase(t)
	for at := int64(0); at < frames[3]; at++ {
		for bit := range 8 {
			if at >= headerSize+frameHead && int64(bit) != at%8 { // the heads whole, of the rest a sample
				continue
			}
			bad := append([]byte(nil), file...)
			bad[at] ^= 1 << bit
			s, l, err := reopen(t, dir, bad)
			if err != nil || l.Damage() != nil || l.Mended() != 1 {
				t.Fatalf("bit %d of byte %d: %v, damage %v", bit, at, err, l.Damage())
			}
			checkContents(t, l, sizes[2])
			if b, err := l.Batch(0); err != nil || b.Signature != signature(0) {
				t.Fatalf("bit %d of byte %d: %v", bit, at, err)
			}
			s.Close()
		}
		bad := append([]byte(nil), file...)
		bad[at] ^= 0xff
		s, l, err := reopen(t, dir, bad)
		if at < headerSize {
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), logPath(dir)) {
				t.Fatalf("byte %d of the header: %v", at, err)
			}
			s.Close()
			continue
		}
		want, begin := uint64(0), frames[0]
		for i := range sizes {
			if at >= frames[i+1] {
				want, begin = sizes[i], frames[i+1]
			}
		}
		if err != nil || !errors.Is(l.Damage(), ErrDamaged) || l.Size() != want {
			t.Fatalf("byte %d: %v, damage %v, %d leaves, want %d", at, err, l.Damage(), l.Size(), want)
		}
		if text := l.Damage().Error(); !strings.Contains(text, logPath(dir)) || !strings.Contains(text, fmt.Sprintf("offset %d ", begin)) {
			t.Fatalf("byte %d: the reason does not say where: %v", at, text)
		}
		checkContents(t, l, want)
		if err := l.Append(want, records(want, 1), Signature{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d: a damaged log takes more: %v", at, err)
		}
		s.Close()
		if after, err := os.ReadFile(logPath(dir)); err != nil || !bytes.Equal(after, bad) {
			t.Fatalf("byte %d: the damaged file was changed", at)
		}
	}
}

// A power cut may leave some sectors of the last write as zeros, in any order.
func TestLostSectors(t *testing.T) {
	file, dir, frames, sizes := damageCase(t)
	last := frames[2]
	first := last / sector
	n := (frames[3]-1)/sector - first + 1
	if n < 3 {
		t.Fatalf("the last frame lies in %d sectors only", n)
	}
	for lost := 1; lost < 1<<n; lost++ {
		bad := append([]byte(nil), file...)
		for i := range n {
			if lost>>i&1 == 1 {
				from, to := max(last, (first+i)*sector), min(frames[3], (first+i+1)*sector)
				clear(bad[from:to])
			}
		}
		s, l, err := reopen(t, dir, bad)
		if err != nil {
			t.Fatalf("lost sectors %b: %v", lost, err)
		}
		checkContents(t, l, sizes[1])
		s.Close()

		// The same with a frame behind it is damage: that one was acknowledged.
		bad = append(bad, appendFrame(nil, frameSum(file), sizes[2], records(sizes[2], 2), new(Signature))...)
		s, l, err = reopen(t, dir, bad)
		if err != nil || !errors.Is(l.Damage(), ErrDamaged) {
			t.Fatalf("lost sectors %b before an intact frame: %v, damage %v", lost, err, l.Damage())
		}
		checkContents(t, l, sizes[1])
		s.Close()
	}
}

func TestFrameOfAnotherLogIsRefused(t *testing.T) {
	file, dir, _, _ := damageCase(t)
	other := appendHeader(nil, Key{Epoch: 7, Node: "node-1", Segment: 3}, testClass)
	copy(file, other)
	s, _, err := reopen(t, dir, file)
	if err == nil {
		t.Fatal("frames were moved to another log")
	}
	defer s.Close()
	// Under its own name too: the header is that log's, the frames are not.
	path := filepath.Join(dir, "7", "node-1.3.leaves")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Log(Key{7, "node-1", 3}, testClass); err != nil || !errors.Is(l.Damage(), ErrDamaged) || l.Size() != 0 {
		t.Fatalf("frames were moved to another log: %v", err)
	}
}

// Damage that comes after opening is found when the leaf is read.
func TestDamageWhileOpen(t *testing.T) {
	dir := t.TempDir()
	l := openTestLog(t, openStore(t, dir))
	appendAll(t, l, 10)
	f, err := os.OpenFile(logPath(dir), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xff}, headerSize+frameHead+5); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Record(0); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a changed record was read: %v", err)
	}
	if _, err := l.Batch(0); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a changed batch was read: %v", err)
	}
}

// failing is a file whose calls fail as a test says.
type failing struct {
	File
	fail func(call string) error
}

func (f *failing) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fail("write"); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], off) // as a full disk does
		return n, err
	}
	return f.File.WriteAt(b, off)
}

func (f *failing) Sync() error {
	if err := f.fail("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *failing) Truncate(size int64) error {
	if err := f.fail("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// A disk that fails costs the batch that it did not take. What is stored is read
// as before, and when the disk works again the log goes on.
func TestDiskFailure(t *testing.T) {
	for _, call := range []string{"write", "sync", "truncate"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			l := openTestLog(t, s)
			appendAll(t, l, 10, 1000, 300)
			broken := map[string]bool{call: true, "sync": true}
			l.file = &failing{l.file, func(c string) error {
				if broken[c] {
					return syscall.ENOSPC
				}
				return nil
			}}
			for range 3 {
				if err := l.Append(1310, records(1310, 50), Signature{}); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), logPath(dir)) {
					t.Fatalf("append to a full disk: %v", err)
				}
				if err := l.Ready(); err == nil {
					t.Error("a disk that does not sync is ready")
				}
				checkContents(t, l, 1310)
			}
			clear(broken)
			if err := l.Ready(); err != nil {
				t.Fatal(err)
			}
			appendAll(t, l, 50, 1)
			checkContents(t, l, 1361)
			s.Close()
			checkContents(t, openTestLog(t, openStore(t, dir)), 1361)
		})
	}
}

// What a pruned epoch leaves because the disk refused goes with the next pruning,
// and one folder that cannot be read keeps nobody from the others.
func TestOneFolderStopsNoOther(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for epoch := range uint64(3) {
		if _, err := s.Log(Key{epoch + 1, "a", 1}, testClass); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	odd := filepath.Join(dir, "2")
	if err := os.RemoveAll(odd); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), odd); err != nil {
		t.Skip(err)
	}
	s = openStore(t, dir)
	if diff := cmp.Diff([]Key{{1, "a", 1}, {3, "a", 1}}, s.Keys()); diff != "" {
		t.Fatal(diff)
	}
	// A folder of which the store knows no log goes too.
	if err := os.Mkdir(filepath.Join(dir, "0"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(2); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0", "1"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("epoch %s is left: %v", name, err)
		}
	}
	if _, err := s.Log(Key{2, "a", 1}, testClass); err == nil || !strings.Contains(err.Error(), odd) {
		t.Errorf("a log below a folder that is none: %v", err)
	}
	if _, err := s.Log(Key{4, "a", 1}, testClass); err != nil {
		t.Error(err)
	}
}

// A disk that is really full: ASSAY_SMALL_DISK names an empty folder on one of a few MB, such as
// mount -t tmpfs -o size=2m none /mnt/small.
func TestFullDisk(t *testing.T) {
	dir := os.Getenv("ASSAY_SMALL_DISK")
	if dir == "" {
		t.Skip("ASSAY_SMALL_DISK names no small disk")
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, filepath.Join(dir, "leaves"))
	l := openTestLog(t, s)
	for range 2 {
		var err error
		for err == nil && l.Size() < 1_000_000 {
			err = l.Append(l.Size(), records(l.Size(), MaxBatch), signature(l.Size()))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not small: %v with %d leaves", err, l.Size())
		}
		size := l.Size()
		checkContents(t, l, size)
		if _, err := s.Log(Key{8, "other", 1}, testClass); err == nil {
			t.Log("another log still has room for its header")
		}
		if err := os.Remove(ballast); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := s.Prune(8); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Log(Key{8, "other", 1}, testClass); err != nil {
		t.Error(err)
	} else {
		appendAll(t, l, 1000)
	}
}

// Whatever is damaged of one batch, the log is made whole by computing its leaves
// again, if they give the root that was committed; the damaged file is kept.
func TestRestore(t *testing.T) {
	file, dir, frames, sizes := damageCase(t)
	root := model(sizes[2]).Root()
	again := func(asked *uint64) func(uint64, int) ([]record.Record, error) {
		return func(first uint64, n int) ([]record.Record, error) {
			*asked += uint64(n)
			return records(first, n), nil
		}
	}
	for i := range sizes {
		for name, spoil := range map[string]func(b []byte){
			"a byte of a record": func(b []byte) { b[frameHead+3] ^= 0xff },
			"its head":           func(b []byte) { copy(b, bytes.Repeat([]byte{0xee}, frameHead)) },
			"all of it":          func(b []byte) { copy(b, bytes.Repeat([]byte{0xee}, len(b))) },
		} {
			t.Run(fmt.Sprintf("%s, batch %d", name, i), func(t *testing.T) {
				bad := bytes.Clone(file)
				spoil(bad[frames[i]:frames[i+1]])
				bad = append(bad, 0xff) // so that the last is no interrupted write
				s, l, err := reopen(t, dir, bad)
				t.Cleanup(func() { s.Close() })
				if err != nil || l.Damage() == nil {
					t.Fatalf("%v, damage %v", err, l.Damage())
				}
				asked := uint64(0)
				if err := s.Restore(testKey, testClass, commit.Hash{1}, sizes[2], again(&asked)); !errors.Is(err, ErrDamaged) {
					t.Fatalf("another root: %v", err)
				}
				if now, err := os.ReadFile(logPath(dir)); err != nil || !bytes.Equal(now, bad) {
					t.Fatal("the file has changed although it could not be restored")
				}
				asked = 0
				if err := s.Restore(testKey, testClass, root, sizes[2], again(&asked)); err != nil {
					t.Fatal(err)
				}
				if want := sizes[i] - append([]uint64{0}, sizes...)[i]; asked != want {
					t.Errorf("%d leaves were computed again, want the %d of the batch", asked, want)
				}
				l = openTestLog(t, s)
				if l.Damage() != nil {
					t.Error(l.Damage())
				}
				checkContents(t, l, sizes[2])
				if kept, err := os.ReadFile(logPath(dir) + DamagedSuffix); err != nil || !bytes.Equal(kept, bad) {
					t.Errorf("the damaged file is not kept: %v", err)
				}
			})
		}
	}
}
