// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/bits"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"
)

func testLeaf(i uint64) Hash { return LeafHash(binary.LittleEndian.AppendUint64(nil, i)) }

func testLog(size uint64) *Log {
	var l Log
	for i := range size {
		l.Append(testLeaf(i))
	}
	return &l
}

// mth is RFC 6962, section 2.1, word for word.
func mth(leaves []Hash) Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		return NodeHash(mth(leaves[:k]), mth(leaves[k:]))
	}
}

// The roots of the test tree that Certificate Transparency implementations
// share: eight leaves, all its prefixes.
// Holds spec C-1.
func TestPublishedRoots(t *testing.T) {
	leaves := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
		"606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var l Log
	var f Frontier
	for n, want := range roots {
		if n > 0 {
			data, err := hex.DecodeString(leaves[n-1])
			if err != nil {
				t.Fatal(err)
			}
			l.Append(LeafHash(data))
			f.Append(LeafHash(data))
		}
		if a, b := l.Root(), f.Root(); hex.EncodeToString(a[:]) != want || a != b {
			t.Errorf("%d leaves: log %x, frontier %x, want %s", n, a, b, want)
		}
	}
}

func TestRootsEqualDefinitionAndCompactRange(t *testing.T) {
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	theirs := factory.NewEmptyRange(0)
	var leaves []Hash
	var l Log
	var f Frontier
	for n := range uint64(300) {
		if n > 0 {
			leaf := testLeaf(n - 1)
			leaves = append(leaves, leaf)
			l.Append(leaf)
			f.Append(leaf)
			if err := theirs.Append(leaf[:], nil); err != nil {
				t.Fatal(err)
			}
		}
		want := mth(leaves)
		if n > 0 {
			root, err := theirs.GetRootHash(nil)
			if err != nil || !slices.Equal(root, want[:]) {
				t.Fatalf("%d leaves: compact range %x, %v; definition %x", n, root, err, want)
			}
		}
		if l.Root() != want || f.Root() != want || l.Size() != n || f.Size() != n {
			t.Fatalf("%d leaves: log %x of %d, frontier %x of %d, want %x", n, l.Root(), l.Size(),
				f.Root(), f.Size(), want)
		}
	}
}

func slicesOf(p []Hash) [][]byte {
	out := make([][]byte, len(p))
	for i := range p {
		out[i] = p[i][:]
	}
	return out
}

// Both ways: their verifiers accept our proofs for every position in every
// small tree, and so do ours.
func TestProofsAgreeWithTransparencyDev(t *testing.T) {
	const most = 40
	l := testLog(most)
	h := rfc6962.DefaultHasher
	for size := uint64(1); size <= most; size++ {
		root, err := Root(l, size)
		if err != nil {
			t.Fatal(err)
		}
		for index := range size {
			leaf := testLeaf(index)
			path, err := Inclusion(l, index, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyInclusion(root, size, index, leaf, path); err != nil {
				t.Errorf("leaf %d of %d: %v", index, size, err)
			}
			if err := proof.VerifyInclusion(h, index, size, leaf[:], slicesOf(path),
				root[:]); err != nil {
				t.Errorf("leaf %d of %d, theirs: %v", index, size, err)
			}
			if index+1 < size && VerifyInclusion(root, size, index+1, leaf, path) == nil {
				t.Errorf("leaf %d of %d passes for its neighbour", index, size)
			}
		}
		for old := range size + 1 {
			oldRoot, err := Root(l, old)
			if err != nil {
				t.Fatal(err)
			}
			path, err := Consistency(l, old, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(oldRoot, root, old, size, path); err != nil {
				t.Errorf("%d to %d: %v", old, size, err)
			}
			if err := proof.VerifyConsistency(h, old, size, slicesOf(path), oldRoot[:],
				root[:]); err != nil {
				t.Errorf("%d to %d, theirs: %v", old, size, err)
			}
		}
	}
}

func flip(h Hash, bit int) Hash {
	h[bit/8] ^= 1 << (bit % 8)
	return h
}

func drawLog(t *rapid.T) (*Log, uint64, Hash) {
	size := rapid.Uint64Range(1, 700).Draw(t, "size")
	l := testLog(size)
	return l, size, l.Root()
}

// Holds spec C-2.
func TestPropertyInclusion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, size, root := drawLog(t)
		index := rapid.Uint64Range(0, size-1).Draw(t, "index")
		leaf := testLeaf(index)
		path, err := Inclusion(l, index, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyInclusion(root, size, index, leaf, path); err != nil {
			t.Fatal(err)
		}
		bit := rapid.IntRange(0, 255).Draw(t, "bit")
		bad := func(what string, err error) {
			if !errors.Is(err, ErrProof) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		bad("leaf bit", VerifyInclusion(root, size, index, flip(leaf, bit), path))
		bad("root bit", VerifyInclusion(flip(root, bit), size, index, leaf, path))
		bad("too long", VerifyInclusion(root, size, index, leaf,
			append(slices.Clone(path), Hash{})))
		if len(path) > 0 {
			at := rapid.IntRange(0, len(path)-1).Draw(t, "at")
			broken := slices.Clone(path)
			broken[at] = flip(broken[at], bit)
			bad("path bit", VerifyInclusion(root, size, index, leaf, broken))
			bad("too short", VerifyInclusion(root, size, index, leaf, path[1:]))
			bad("too short", VerifyInclusion(root, size, index, leaf, path[:len(path)-1]))
		}
		other := rapid.Uint64Range(0, size-1).Draw(t, "other")
		if other != index && VerifyInclusion(root, size, other, leaf, path) == nil {
			t.Fatalf("leaf %d passes for %d", index, other)
		}
	})
}

// Holds spec C-3.
func TestPropertyConsistency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, size, root := drawLog(t)
		old := rapid.Uint64Range(0, size).Draw(t, "old")
		oldRoot, err := Root(l, old)
		if err != nil {
			t.Fatal(err)
		}
		path, err := Consistency(l, old, size)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyConsistency(oldRoot, root, old, size, path); err != nil {
			t.Fatal(err)
		}
		bit := rapid.IntRange(0, 255).Draw(t, "bit")
		bad := func(what string, err error) {
			if !errors.Is(err, ErrProof) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		bad("old root bit", VerifyConsistency(flip(oldRoot, bit), root, old, size, path))
		bad("too long", VerifyConsistency(oldRoot, root, old, size,
			append(slices.Clone(path), Hash{})))
		if old > 0 {
			bad("root bit", VerifyConsistency(oldRoot, flip(root, bit), old, size, path))
		}
		if len(path) > 0 {
			at := rapid.IntRange(0, len(path)-1).Draw(t, "at")
			broken := slices.Clone(path)
			broken[at] = flip(broken[at], bit)
			bad("path bit", VerifyConsistency(oldRoot, root, old, size, broken))
			bad("too short", VerifyConsistency(oldRoot, root, old, size, path[1:]))
			bad("too short", VerifyConsistency(oldRoot, root, old, size, path[:len(path)-1]))
		}
	})
}

func drawIndices(t *rapid.T, size uint64) ([]uint64, []Hash) {
	indices := rapid.SliceOfNDistinct(rapid.Uint64Range(0, size-1), 1, int(min(size, 40)),
		rapid.ID[uint64]).Draw(t, "indices")
	slices.Sort(indices)
	leaves := make([]Hash, len(indices))
	for i, index := range indices {
		leaves[i] = testLeaf(index)
	}
	return indices, leaves
}

// Holds spec C-4.
func TestPropertyMulti(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, size, root := drawLog(t)
		indices, leaves := drawIndices(t, size)
		path, err := Multi(l, size, indices)
		if err != nil {
			t.Fatal(err)
		}
		if most := MultiSize(size, len(indices)); len(path) > most {
			t.Fatalf("%d hashes, bound %d", len(path), most)
		}
		if err := VerifyMulti(root, size, indices, leaves, path); err != nil {
			t.Fatal(err)
		}
		for which, index := range indices {
			got, err := ExtractInclusion(size, indices, leaves, path, which)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Inclusion(l, index, size)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("path of %d: %s", index, diff)
			}
		}
		bit := rapid.IntRange(0, 255).Draw(t, "bit")
		at := rapid.IntRange(0, len(leaves)-1).Draw(t, "leaf")
		bad := func(what string, err error) {
			if !errors.Is(err, ErrProof) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		broken := slices.Clone(leaves)
		broken[at] = flip(broken[at], bit)
		bad("leaf bit", VerifyMulti(root, size, indices, broken, path))
		bad("root bit", VerifyMulti(flip(root, bit), size, indices, leaves, path))
		bad("too long", VerifyMulti(root, size, indices, leaves,
			append(slices.Clone(path), Hash{})))
		bad("a leaf too few", VerifyMulti(root, size, indices, leaves[1:], path))
		if len(path) > 0 {
			at := rapid.IntRange(0, len(path)-1).Draw(t, "at")
			broken := slices.Clone(path)
			broken[at] = flip(broken[at], bit)
			bad("path bit", VerifyMulti(root, size, indices, leaves, broken))
			bad("too short", VerifyMulti(root, size, indices, leaves, path[:len(path)-1]))
			_, err := ExtractInclusion(size, indices, leaves, path[:len(path)-1], 0)
			bad("extract from too short", err)
		}
		_, err = ExtractInclusion(size, indices, leaves, append(slices.Clone(path), Hash{}), 0)
		bad("extract from too long", err)
	})
}

// The order of a multiproof is fixed: depth first, left to right, maximal
// subtrees without an opening.
func TestMultiOrder(t *testing.T) {
	l := testLog(7)
	got, err := Multi(l, 7, []uint64{2, 5})
	if err != nil {
		t.Fatal(err)
	}
	sub := func(level uint, index uint64) Hash {
		h, err := l.Subtree(level, index)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	want := []Hash{sub(1, 0), sub(0, 3), sub(0, 4), sub(0, 6)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// MultiSize is reached: k = 2^j leaves spread evenly over a perfect tree.
// Holds spec C-5.
func TestMultiSizeIsTight(t *testing.T) {
	for depth := range 9 {
		size := uint64(1) << depth
		l := testLog(size)
		for j := range depth + 1 {
			k := 1 << j
			var indices []uint64
			for i := range uint64(k) {
				indices = append(indices, i*size/uint64(k))
			}
			path, err := Multi(l, size, indices)
			if err != nil {
				t.Fatal(err)
			}
			if len(path) != MultiSize(size, k) {
				t.Errorf("%d of %d: %d hashes, bound %d", k, size, len(path), MultiSize(size, k))
			}
		}
	}
	for _, c := range []struct {
		size uint64
		k    int
		want int
	}{{0, 5, 0}, {5, 0, 0}, {5, -1, 0}, {1, 1, 0}, {3, 99, 0}, {MaxSize + 1, 1, 0},
		{MaxSize, 1, 48}} {
		if got := MultiSize(c.size, c.k); got != c.want {
			t.Errorf("MultiSize(%d, %d) = %d, want %d", c.size, c.k, got, c.want)
		}
	}
}

// Holds spec C-6.
func TestRefusals(t *testing.T) {
	l := testLog(8)
	root := l.Root()
	leaf := testLeaf(3)
	path, err := Inclusion(l, 3, 8)
	if err != nil {
		t.Fatal(err)
	}
	one := []Hash{leaf}
	for name, err := range map[string]error{
		"inclusion, size 0":       VerifyInclusion(EmptyRoot, 0, 0, leaf, nil),
		"inclusion, index = size": VerifyInclusion(root, 8, 8, leaf, path),
		"inclusion, huge size":    VerifyInclusion(root, 1<<48, 3, leaf, path),
		"consistency, shrinking":  VerifyConsistency(root, root, 9, 8, nil),
		"consistency, huge size":  VerifyConsistency(root, root, 8, 1<<48, nil),
		"multi, size 0":           VerifyMulti(EmptyRoot, 0, []uint64{0}, one, nil),
		"multi, no index":         VerifyMulti(root, 8, nil, nil, []Hash{root}),
		"multi, index = size":     VerifyMulti(root, 8, []uint64{8}, one, path),
		"multi, unsorted": VerifyMulti(root, 8, []uint64{4, 3},
			[]Hash{leaf, leaf}, path),
		"multi, repeated": VerifyMulti(root, 8, []uint64{3, 3},
			[]Hash{leaf, leaf}, path),
		"multi, huge size":           VerifyMulti(root, 1<<48, []uint64{3}, one, path),
		"prove, index = size":        second(Inclusion(l, 8, 8)),
		"prove, more than there is":  second(Inclusion(l, 3, 9)),
		"prove, size 0":              second(Inclusion(l, 0, 0)),
		"prove, consistency":         second(Consistency(l, 9, 8)),
		"prove, multi":               second(Multi(l, 8, []uint64{1, 1})),
		"prove, multi of too much":   second(Multi(l, 9, []uint64{1})),
		"extract, no such opening":   second(ExtractInclusion(8, []uint64{3}, one, path, 1)),
		"extract, negative":          second(ExtractInclusion(8, []uint64{3}, one, path, -1)),
		"root, more than there is":   secondRoot(Root(l, 9)),
		"root, huge":                 secondRoot(Root(l, 1<<48)),
		"subtree, not yet complete":  secondRoot(l.Subtree(3, 1)),
		"subtree, no such level":     secondRoot(l.Subtree(60, 0)),
		"consistency, more than all": second(Consistency(l, 3, 9)),
	} {
		if !errors.Is(err, ErrSize) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"no leaves but a root":    VerifyConsistency(root, root, 0, 8, nil),
		"same size, hashes":       VerifyConsistency(root, root, 8, 8, path),
		"same size, another root": VerifyConsistency(EmptyRoot, root, 8, 8, nil),
		"empty proof":             VerifyConsistency(root, root, 3, 8, nil),
		"multi, far too long": VerifyMulti(root, 8, []uint64{3},
			one, make([]Hash, 1<<16)),
		"multi, a proof for all opened": VerifyMulti(leaf, 1, []uint64{0}, one, []Hash{root}),
		"a hash passed for leaf data":   VerifyInclusion(root, 8, 3, LeafHash(leaf[:]), path),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ []Hash, err error) error   { return err }
func secondRoot(_ Hash, err error) error { return err }

// An inner node's children, offered as the data of a leaf in a smaller tree, do
// not hash to the node: the prefixes differ.
// Holds spec C-1.
func TestNodeIsNoLeaf(t *testing.T) {
	l := testLog(4)
	left, err1 := l.Subtree(1, 0)
	right, err2 := l.Subtree(1, 1)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	a, b := testLeaf(0), testLeaf(1)
	if NodeHash(a, b) != left {
		t.Fatal("the subtree is not what this test takes it for")
	}
	data := slices.Concat(a[:], b[:])
	for _, leaf := range []Hash{LeafHash(data), LeafHash(append([]byte{1}, data...))} {
		if err := VerifyInclusion(l.Root(), 2, 0, leaf, []Hash{right}); !errors.Is(err, ErrProof) {
			t.Errorf("two leaves passed for one: %v", err)
		}
	}
}

// Two trees in which one has its last leaf twice have different roots.
// Holds spec C-1.
func TestNoDuplicateLastLeaf(t *testing.T) {
	three, four := testLog(3), testLog(3)
	four.Append(testLeaf(2))
	if three.Root() == four.Root() {
		t.Error("three leaves and the same with the last one twice have one root")
	}
}

// A verifier hashes no more than its inputs allow.
// Holds spec C-6.
func TestDeepTreesAreCheap(t *testing.T) {
	const index = MaxSize - 1
	path := make([]Hash, 48)
	leaf := Hash{1}
	h, used := leaf, 0
	for fn, sn := uint64(index), uint64(MaxSize-1); sn > 0; fn, sn = fn>>1, sn>>1 {
		if fn&1 == 1 {
			h = NodeHash(path[used], h)
			used++
		}
	}
	if err := VerifyInclusion(h, MaxSize, index, leaf, path[:used]); err != nil {
		t.Error(err)
	}
	if used != bits.OnesCount64(index) {
		t.Errorf("%d hashes", used)
	}
}
