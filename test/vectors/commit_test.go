// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
)

type leafOut struct {
	Class  uint8  `json:"class"`
	Node   string `json:"node"`
	Index  uint64 `json:"index,string"`
	Norm   uint64 `json:"norm,string"`
	Digest hash   `json:"digest"`
	Hash   hash   `json:"hash"`
	Error  string `json:"error,omitempty"`
}

// Holds spec C-8.
func TestLeaf(t *testing.T) {
	leaf := record.Leaf{Class: 1, Node: "gpu-0", Index: 258,
		Record: record.Record{Norm: 1 << 40, Digest: counted(1)}}
	good := leaf.Append(nil)
	with := func(change func(*record.Leaf)) raw {
		l := leaf
		change(&l)
		return l.Append(nil)
	}
	byteAt := func(at int, b byte) raw {
		out := slices.Clone(good)
		out[at] = b
		return out
	}
	check(t, "leaf.json", "canonical leaves: bytes to fields and leaf hash", []given[raw]{
		{"a leaf", good},
		{"limits", with(func(l *record.Leaf) {
			l.Class, l.Node, l.Index, l.Norm = 255, strings.Repeat("z", 32),
				commit.MaxSize-1, 1<<64-1
		})},
		{"shortest node", with(func(l *record.Leaf) { l.Node = "-" })},
		{"empty", raw{}},
		{"cut", raw(good[:len(good)-1])},
		{"a byte more", append(slices.Clone(good), 0)},
		{"version 2", byteAt(0, 2)},
		{"kind 2", byteAt(1, 2)},
		{"class 0", byteAt(2, 0)},
		{"node length too small", byteAt(3, 4)},
		{"node length too large", byteAt(3, 6)},
		{"no node", with(func(l *record.Leaf) { l.Node = "" })},
		{"node of 33", with(func(l *record.Leaf) { l.Node = strings.Repeat("z", 33) })},
		{"capital in node", byteAt(4, 'G')},
		{"index 2^48-1", with(func(l *record.Leaf) { l.Index = commit.MaxSize })},
	}, func(t testing.TB, in raw) leafOut {
		l, err := record.ParseLeaf(in)
		if err != nil {
			return leafOut{Error: fault(t, err)}
		}
		return leafOut{Class: l.Class, Node: l.Node, Index: l.Index, Norm: l.Norm, Digest: l.Digest,
			Hash: hash(l.Hash())}
	})
}

type statementIn struct {
	Key         seed.Seed `json:"ed25519_seed"`
	Chain       string    `json:"chain"`
	Epoch       uint64    `json:"epoch,string"`
	Segment     uint32    `json:"segment"`
	Participant string    `json:"participant"`
	Node        string    `json:"node"`
	Class       string    `json:"class"`
	Seed1       seed.Seed `json:"seed1"`
	SegmentSeed seed.Seed `json:"segment_seed"`
	Root        hash      `json:"root"`
	Count       uint64    `json:"count,string"`
}

type statementOut struct {
	Message   raw `json:"message"`
	Key       raw `json:"key"`
	Signature raw `json:"signature"`
	// of version 1, which chains refuse
	Message1   raw    `json:"message_1"`
	Signature1 raw    `json:"signature_1"`
	Error      string `json:"error,omitempty"`
}

// Holds spec C-11, C-12.
func TestStatement(t *testing.T) {
	good := statementIn{counted(5), "assay-test", 7, 1, "cpc1example", "gpu-0", "nano", counted(13),
		counted(17), hash(counted(9)), 12345}
	with := func(change func(*statementIn)) statementIn {
		s := good
		change(&s)
		return s
	}
	check(t, "statement.json", "what a host's key signs about a log", []given[statementIn]{
		{"a statement", good},
		{"seeds swapped", with(func(s *statementIn) {
			s.Seed1, s.SegmentSeed = s.SegmentSeed, s.Seed1
		})},
		{"an empty log", with(func(s *statementIn) {
			s.Root, s.Count = hash(commit.EmptyRoot), 0
		})},
		{"the largest log", with(func(s *statementIn) { s.Count = commit.MaxSize })},
		{"count 2^48", with(func(s *statementIn) { s.Count = commit.MaxSize + 1 })},
		{"an empty log with a root", with(func(s *statementIn) { s.Count = 0 })},
		{"segment 0", with(func(s *statementIn) { s.Segment = 0 })},
		{"no chain", with(func(s *statementIn) { s.Chain = "" })},
		{"node id", with(func(s *statementIn) { s.Node = "gpu_0" })},
	}, func(t testing.TB, in statementIn) statementOut {
		s := commit.Statement{
			Chain: in.Chain, Epoch: in.Epoch, Segment: in.Segment, Participant: in.Participant,
			Node: in.Node, Class: in.Class, Seed1: commit.Hash(in.Seed1),
			SegmentSeed: commit.Hash(in.SegmentSeed), Root: commit.Hash(in.Root), Count: in.Count,
		}
		key := ed25519.NewKeyFromSeed(in.Key[:])
		public := key.Public().(ed25519.PublicKey)
		if err := s.Verify(public, s.Sign(key)); err != nil {
			return statementOut{Error: fault(t, err)}
		}
		first := ed25519.Sign(key, s.SignBytes1())
		if err := s.Verify1(public, first); err != nil {
			t.Error(err)
		}
		return statementOut{Message: s.SignBytes(), Key: raw(public), Signature: s.Sign(key),
			Message1: s.SignBytes1(), Signature1: first}
	})
}

type archiveIn struct {
	Participant string    `json:"participant"`
	Node        string    `json:"node"`
	Segment     uint32    `json:"segment"`
	Root        hash      `json:"root"`
	Count       uint64    `json:"count,string"`
	HostKey     seed.Seed `json:"host_key"`
	// where the leaf is said to be in an archive
	Archive hash   `json:"archive"`
	Commits uint64 `json:"commits"`
	Index   uint64 `json:"index"`
	Path    []hash `json:"path"`
}

type archiveOut struct {
	Leaf  raw    `json:"leaf"`
	Hash  hash   `json:"hash"`
	Error string `json:"error,omitempty"`
}

// The archive of an epoch: leaf i of n is that of node gpu-i; the others differ in nothing else.
// Holds spec C-13, C-14.
func TestArchive(t *testing.T) {
	leaf := func(in archiveIn) commit.ArchiveLeaf {
		return commit.ArchiveLeaf{Participant: in.Participant, Node: in.Node, Segment: in.Segment,
			Root: commit.Hash(in.Root), Count: in.Count, HostKey: in.HostKey}
	}
	sound := func(index, commits uint64) archiveIn {
		var log commit.Log
		var out archiveIn
		for i := range commits {
			in := archiveIn{Participant: "cpc1example", Node: fmt.Sprintf("gpu-%d", i), Segment: 2,
				Root: hash(counted(9)), Count: 12345, HostKey: counted(5)}
			if i == index {
				out = in
			}
			log.Append(leaf(in).Hash())
		}
		path, err := commit.Inclusion(&log, index, commits)
		if err != nil {
			t.Fatal(err)
		}
		out.Archive, out.Commits, out.Index, out.Path = hash(log.Root()),
			commits, index, hashes(path)
		return out
	}
	with := func(change func(*archiveIn)) archiveIn {
		in := sound(2, 5)
		change(&in)
		return in
	}
	check(t, "archive.json", "commits in the archive of their epoch: canonical leaves and paths "+
		"to its root", []given[archiveIn]{
		{"the only commit", sound(0, 1)},
		{"third of 5", sound(2, 5)},
		{"last of 5", sound(4, 5)},
		{"another participant", with(func(in *archiveIn) { in.Participant = "cpc1other" })},
		{"another node", with(func(in *archiveIn) { in.Node = "gpu-3" })},
		{"another segment", with(func(in *archiveIn) { in.Segment = 1 })},
		{"another root", with(func(in *archiveIn) { in.Root = hash(counted(10)) })},
		{"another count", with(func(in *archiveIn) { in.Count++ })},
		{"another key", with(func(in *archiveIn) { in.HostKey = counted(6) })},
		{"another archive", with(func(in *archiveIn) { in.Archive = rootOf(5) })},
		{"another index", with(func(in *archiveIn) { in.Index = 3 })},
		{"a bit of the path", with(func(in *archiveIn) { in.Path = flipped(in.Path, 0) })},
		{"segment 0", with(func(in *archiveIn) { in.Segment = 0 })},
		{"no leaves", with(func(in *archiveIn) { in.Count = 0 })},
		{"index = commits", with(func(in *archiveIn) { in.Index = 5 })},
	}, func(t testing.TB, in archiveIn) archiveOut {
		l := leaf(in)
		p := commit.ArchivePath{Root: commit.Hash(in.Archive), Commits: in.Commits, Index: in.Index,
			Path: plain(in.Path)}
		if err := p.Verify(l); err != nil {
			return archiveOut{Error: fault(t, err)}
		}
		return archiveOut{Leaf: l.Append(nil), Hash: hash(l.Hash())}
	})
}

// logOf returns a log of n leaves, LeafHash of the leaf number as LE64.
func logOf(n uint64) *commit.Log {
	var l commit.Log
	for i := range n {
		l.Append(numberLeaf(i))
	}
	return &l
}

func numberLeaf(i uint64) commit.Hash {
	return commit.LeafHash(binary.LittleEndian.AppendUint64(nil, i))
}

func rootOf(n uint64) hash { return hash(logOf(n).Root()) }

type accepted struct {
	Error string `json:"error,omitempty"`
}

func flipped(in []hash, at int) []hash {
	out := slices.Clone(in)
	out[at][31] ^= 1
	return out
}

type inclusionIn struct {
	Root  hash   `json:"root"`
	Size  uint64 `json:"size"`
	Index uint64 `json:"index"`
	Leaf  hash   `json:"leaf"`
	Proof []hash `json:"proof"`
}

// Holds spec C-2.
func TestInclusion(t *testing.T) {
	sound := func(index, size uint64) inclusionIn {
		p, err := commit.Inclusion(logOf(size), index, size)
		if err != nil {
			t.Fatal(err)
		}
		return inclusionIn{rootOf(size), size, index, hash(numberLeaf(index)), hashes(p)}
	}
	with := func(change func(*inclusionIn)) inclusionIn {
		in := sound(4, 7)
		change(&in)
		return in
	}
	check(t, "inclusion.json", "inclusion proofs; leaf i of these logs is the leaf hash of i as "+
		"LE64", []given[inclusionIn]{
		{"one leaf", sound(0, 1)},
		{"first of 7", sound(0, 7)},
		{"fifth of 7", sound(4, 7)},
		{"last of 7", sound(6, 7)},
		{"of a perfect tree", sound(9, 16)},
		{"of 1000", sound(999, 1000)},
		{"another leaf", with(func(in *inclusionIn) { in.Leaf = hash(numberLeaf(5)) })},
		{"another index", with(func(in *inclusionIn) { in.Index = 5 })},
		{"another root", with(func(in *inclusionIn) { in.Root = rootOf(8) })},
		{"another size", with(func(in *inclusionIn) { in.Size = 9 })},
		{"a bit of the path", with(func(in *inclusionIn) { in.Proof = flipped(in.Proof, 1) })},
		{"too short", with(func(in *inclusionIn) { in.Proof = in.Proof[:2] })},
		{"too long", with(func(in *inclusionIn) { in.Proof = append(in.Proof, hash{}) })},
		{"index = size", with(func(in *inclusionIn) { in.Index = 7 })},
		{"size 0", inclusionIn{Root: hash(commit.EmptyRoot)}},
		{"size 2^48", with(func(in *inclusionIn) { in.Size = 1 << 48 })},
	}, func(t testing.TB, in inclusionIn) accepted {
		return accepted{fault(t, commit.VerifyInclusion(commit.Hash(in.Root), in.Size, in.Index,
			commit.Hash(in.Leaf), plain(in.Proof)))}
	})
}

type consistencyIn struct {
	OldRoot hash   `json:"old_root"`
	Root    hash   `json:"root"`
	Old     uint64 `json:"old"`
	Size    uint64 `json:"size"`
	Proof   []hash `json:"proof"`
}

// Holds spec C-3.
func TestConsistency(t *testing.T) {
	sound := func(old, size uint64) consistencyIn {
		p, err := commit.Consistency(logOf(size), old, size)
		if err != nil {
			t.Fatal(err)
		}
		return consistencyIn{rootOf(old), rootOf(size), old, size, hashes(p)}
	}
	with := func(change func(*consistencyIn)) consistencyIn {
		in := sound(5, 7)
		change(&in)
		return in
	}
	check(t, "consistency.json", "consistency proofs between the logs of inclusion.json",
		[]given[consistencyIn]{
			{"0 to 7", sound(0, 7)},
			{"7 to 7", sound(7, 7)},
			{"1 to 7", sound(1, 7)},
			{"4 to 7", sound(4, 7)},
			{"5 to 7", sound(5, 7)},
			{"8 to 9", sound(8, 9)},
			{"300 to 1000", sound(300, 1000)},
			{"another old root", with(func(in *consistencyIn) { in.OldRoot = rootOf(4) })},
			{"another root", with(func(in *consistencyIn) { in.Root = rootOf(8) })},
			{"another old size", with(func(in *consistencyIn) { in.Old = 6 })},
			{"a bit of the path", with(func(in *consistencyIn) {
				in.Proof = flipped(in.Proof, 0)
			})},
			{"too short", with(func(in *consistencyIn) { in.Proof = in.Proof[1:] })},
			{"too long", with(func(in *consistencyIn) { in.Proof = append(in.Proof, hash{}) })},
			{"shrinking", with(func(in *consistencyIn) { in.Old = 8 })},
			{"same size, two roots", consistencyIn{rootOf(6), rootOf(7), 7, 7, nil}},
			{"nothing, but a root", consistencyIn{rootOf(7), rootOf(7), 0, 7, nil}},
		}, func(t testing.TB, in consistencyIn) accepted {
			return accepted{fault(t, commit.VerifyConsistency(commit.Hash(in.OldRoot),
				commit.Hash(in.Root), in.Old, in.Size, plain(in.Proof)))}
		})
}

type multiIn struct {
	Root    hash     `json:"root"`
	Size    uint64   `json:"size"`
	Indices []uint64 `json:"indices"`
	Leaves  []hash   `json:"leaves"`
	Proof   []hash   `json:"proof"`
}

// Holds spec C-4.
func TestMulti(t *testing.T) {
	sound := func(size uint64, indices ...uint64) multiIn {
		p, err := commit.Multi(logOf(size), size, indices)
		if err != nil {
			t.Fatal(err)
		}
		in := multiIn{rootOf(size), size, indices, nil, hashes(p)}
		for _, index := range indices {
			in.Leaves = append(in.Leaves, hash(numberLeaf(index)))
		}
		return in
	}
	with := func(change func(*multiIn)) multiIn {
		in := sound(7, 2, 5)
		change(&in)
		return in
	}
	check(t, "multi.json", "multiproofs over the logs of inclusion.json: depth first, left to "+
		"right, maximal subtrees without an opened leaf", []given[multiIn]{
		{"the only leaf", sound(1, 0)},
		{"two of 7", sound(7, 2, 5)},
		{"all of 5", sound(5, 0, 1, 2, 3, 4)},
		{"last of 9", sound(9, 8)},
		{"some of 1000", sound(1000, 0, 1, 500, 501, 998, 999)},
		{"another leaf", with(func(in *multiIn) { in.Leaves = flipped(in.Leaves, 1) })},
		{"another root", with(func(in *multiIn) { in.Root = rootOf(8) })},
		{"a bit of the proof", with(func(in *multiIn) { in.Proof = flipped(in.Proof, 3) })},
		{"proof out of order", with(func(in *multiIn) { slices.Reverse(in.Proof) })},
		{"too short", with(func(in *multiIn) { in.Proof = in.Proof[:3] })},
		{"too long", with(func(in *multiIn) { in.Proof = append(in.Proof, hash{}) })},
		{"a leaf missing", with(func(in *multiIn) { in.Leaves = in.Leaves[:1] })},
		{"not increasing", with(func(in *multiIn) {
			slices.Reverse(in.Indices)
			slices.Reverse(in.Leaves)
		})},
		{"repeated", with(func(in *multiIn) { in.Indices = []uint64{2, 2} })},
		{"index = size", with(func(in *multiIn) { in.Indices = []uint64{2, 7} })},
		{"none", multiIn{Root: rootOf(7), Size: 7, Proof: []hash{rootOf(7)}}},
		{"size 0", multiIn{Root: hash(commit.EmptyRoot), Indices: []uint64{0}, Leaves: []hash{{}}}},
		{"a hash to spare, within the bound", func() multiIn {
			in := sound(7, 2, 3)
			in.Proof = append(in.Proof, hash{})
			return in
		}()},
	}, func(t testing.TB, in multiIn) accepted {
		return accepted{fault(t, commit.VerifyMulti(commit.Hash(in.Root), in.Size, in.Indices,
			plain(in.Leaves), plain(in.Proof)))}
	})
}
