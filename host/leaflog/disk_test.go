// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/commit"
)

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
				if err := l.Append(1310, records(1310, 50), Signature{}); !errors.Is(err,
					syscall.ENOSPC) || !strings.Contains(err.Error(), logPath(dir)) {
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
	if _, err := s.Log(Key{2, "a", 1}, testClass); err == nil ||
		!strings.Contains(err.Error(), odd) {
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
	again := func(asked *uint64) func(uint64, int) ([]byte, error) {
		return func(first uint64, n int) ([]byte, error) {
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
				if err := s.Restore(testKey, Transformer(testClass), commit.Hash{1}, sizes[2],
					again(&asked)); !errors.Is(err, ErrDamaged) {
					t.Fatalf("another root: %v", err)
				}
				if now, err := os.ReadFile(logPath(dir)); err != nil || !bytes.Equal(now, bad) {
					t.Fatal("the file has changed although it could not be restored")
				}
				asked = 0
				if err := s.Restore(testKey, Transformer(testClass), root, sizes[2],
					again(&asked)); err != nil {
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
				if kept, err := os.ReadFile(logPath(dir) + DamagedSuffix); err != nil ||
					!bytes.Equal(kept, bad) {
					t.Errorf("the damaged file is not kept: %v", err)
				}
			})
		}
	}
}
