// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
			// the heads whole, of the rest a sample
			if at >= headerSize+frameHead && int64(bit) != at%8 {
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
			t.Fatalf("byte %d: %v, damage %v, %d leaves, want %d", at, err,
				l.Damage(), l.Size(), want)
		}
		if text := l.Damage().Error(); !strings.Contains(text, logPath(dir)) ||
			!strings.Contains(text, fmt.Sprintf("offset %d ", begin)) {
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
		bad = append(bad, framesOf(file).append(nil, sizes[2], records(sizes[2], 2),
			new(Signature))...)
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
	other := appendHeader(nil, Key{Epoch: 7, Node: "node-1", Segment: 3}, Transformer(testClass))
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
	if l, err := s.Log(Key{7, "node-1", 3}, testClass); err != nil ||
		!errors.Is(l.Damage(), ErrDamaged) || l.Size() != 0 {
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
	if _, err := l.Body(0); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a changed record was read: %v", err)
	}
	if _, err := l.Batch(0); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a changed batch was read: %v", err)
	}
}
