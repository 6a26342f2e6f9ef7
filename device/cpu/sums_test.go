// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/device/enginetest"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/work/matmul"
)

// checkSums compares with crypto/sha256 and with package commit.
func checkSums(t testing.TB, msgs []byte, count, size int) {
	t.Helper()
	got, want := make([][32]byte, count), make([][32]byte, count)
	Sums(got, msgs, size)
	for i := range want {
		want[i] = sha256.Sum256(msgs[i*size : (i+1)*size])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%d messages of %d bytes: %s", count, size, d)
	}
	LeafHashes(got, msgs, size)
	for i := range want {
		want[i] = commit.LeafHash(msgs[i*size : (i+1)*size])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%d leaves of %d bytes: %s", count, size, d)
	}
	children := got[:count/2*2]
	for i := range len(children) / 2 {
		want[i] = commit.NodeHash(got[2*i], got[2*i+1])
	}
	NodeHashes(got[:count/2], children)
	if d := cmp.Diff(want[:count/2], got[:count/2]); d != "" {
		t.Fatalf("%d nodes: %s", count/2, d)
	}
}

func TestSums(t *testing.T) {
	for size := range 600 {
		for _, count := range []int{0, 1, 2, 3, 8} {
			msgs := make([]byte, count*size)
			for i := range msgs {
				msgs[i] = byte(i*i + i>>7 + size)
			}
			checkSums(t, msgs, count, size)
		}
	}
}

func TestRootIsMatmuls(t *testing.T) {
	r := enginetest.Random(t)
	for _, n := range []int{1, 2, 3, 4, 5, 7, 64, 100, 255, 1000} {
		tiles := make([][32]byte, n)
		for i := range tiles {
			tiles[i] = enginetest.Digest(r)
		}
		if got, want := Root(tiles), matmul.Root(tiles); got != want {
			t.Errorf("%d tiles: %x, want %x", n, got, want)
		}
	}
}

func TestSumsWantRoom(t *testing.T) {
	for name, f := range map[string]func(){
		"sums":   func() { Sums(make([][32]byte, 2), make([]byte, 7), 4) },
		"leaves": func() { LeafHashes(make([][32]byte, 2), make([]byte, 9), 4) },
		"nodes":  func() { NodeHashes(make([][32]byte, 2), make([][32]byte, 3)) },
	} {
		func() {
			defer func() {
				if recover() != errRoom {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func FuzzSums(f *testing.F) {
	f.Add([]byte("abcabd"), uint16(3))
	f.Add(make([]byte, 300), uint16(55))
	f.Add(make([]byte, 300), uint16(64))
	f.Fuzz(func(t *testing.T, msgs []byte, size uint16) {
		if size == 0 {
			return
		}
		count := len(msgs) / int(size)
		checkSums(t, msgs[:count*int(size)], count, int(size))
	})
}
