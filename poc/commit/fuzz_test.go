// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func FuzzParseLeaf(f *testing.F) {
	good := exampleLeaf().Append(nil)
	f.Add(good)
	f.Add(good[:10])
	f.Add([]byte{1, 1, 1, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		leaf, err := ParseLeaf(b)
		if err == nil && !bytes.Equal(leaf.Append(nil), b) {
			t.Errorf("%x was read as %+v", b, leaf)
		}
	})
}

// hashesOf cuts raw bytes into hashes.
func hashesOf(raw []byte) []Hash {
	var out []Hash
	for ; len(raw) >= 32; raw = raw[32:] {
		out = append(out, Hash(raw))
	}
	return out
}

func flat(h []Hash) []byte {
	var out []byte
	for i := range h {
		out = append(out, h[i][:]...)
	}
	return out
}

// FuzzInclusion: whatever verifies against an honest root is the honest path of
// the honest leaf.
func FuzzInclusion(f *testing.F) {
	const size = 13
	l := testLog(size)
	root := l.Root()
	for _, index := range []uint64{0, 7, 12} {
		path, err := Inclusion(l, index, size)
		if err != nil {
			f.Fatal(err)
		}
		leaf := testLeaf(index)
		f.Add(uint64(size), index, leaf[:], flat(path))
	}
	f.Fuzz(func(t *testing.T, n, index uint64, leaf, path []byte) {
		if len(leaf) != 32 {
			return
		}
		err := VerifyInclusion(root, n, index, Hash(leaf), hashesOf(path))
		if err == nil && n == size && Hash(leaf) != testLeaf(index) {
			t.Errorf("leaf %x was accepted as number %d", leaf, index)
		}
	})
}

func FuzzConsistency(f *testing.F) {
	l := testLog(13)
	root := l.Root()
	for _, old := range []uint64{1, 6, 8, 12} {
		path, err := Consistency(l, old, 13)
		if err != nil {
			f.Fatal(err)
		}
		oldRoot, err := Root(l, old)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(oldRoot[:], old, flat(path))
	}
	f.Fuzz(func(t *testing.T, oldRoot []byte, old uint64, path []byte) {
		if len(oldRoot) != 32 {
			return
		}
		if VerifyConsistency(Hash(oldRoot), root, old, 13, hashesOf(path)) != nil {
			return
		}
		want, err := Root(l, old)
		if err != nil || want != Hash(oldRoot) {
			t.Errorf("root %x was accepted for the first %d leaves", oldRoot, old)
		}
	})
}

func FuzzMulti(f *testing.F) {
	const size = 13
	l := testLog(size)
	root := l.Root()
	for _, indices := range [][]uint64{{0}, {2, 5, 12},
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}} {
		path, err := Multi(l, size, indices)
		if err != nil {
			f.Fatal(err)
		}
		var raw, leaves []byte
		for _, index := range indices {
			raw = binary.LittleEndian.AppendUint64(raw, index)
			leaf := testLeaf(index)
			leaves = append(leaves, leaf[:]...)
		}
		f.Add(uint64(size), raw, leaves, flat(path))
	}
	f.Fuzz(func(t *testing.T, n uint64, raw, leaves, path []byte) {
		var indices []uint64
		for ; len(raw) >= 8; raw = raw[8:] {
			indices = append(indices, binary.LittleEndian.Uint64(raw))
		}
		hashes, proof := hashesOf(leaves), hashesOf(path)
		if VerifyMulti(root, n, indices, hashes, proof) != nil || n != size {
			return
		}
		for i, index := range indices {
			if hashes[i] != testLeaf(index) {
				t.Errorf("leaf %x was accepted as number %d", hashes[i], index)
			}
			one, err := ExtractInclusion(n, indices, hashes, proof, i)
			if err != nil || VerifyInclusion(root, n, index, hashes[i], one) != nil {
				t.Errorf("no path for leaf %d out of a sound multiproof: %v", index, err)
			}
		}
	})
}
