// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func exampleArchiveLeaf() ArchiveLeaf {
	return ArchiveLeaf{Participant: "cpc1example", Node: "gpu-0", Segment: 2, Root: Hash{1},
		Count: 0x0102, HostKey: [32]byte{9, 31: 8}}
}

// Holds spec C-13.
func TestArchiveLeafLayout(t *testing.T) {
	part := func(hexes string) string {
		return hex.EncodeToString([]byte{byte(len(hexes) / 2), 0, 0, 0}) + hexes
	}
	text := func(s string) string { return part(hex.EncodeToString([]byte(s))) }
	want := text("assay/1/archive-leaf") + text("cpc1example") + text("gpu-0") +
		part("0200000000000000") +
		part("01"+strings.Repeat("00", 31)) + part("0201000000000000") +
		part("09"+strings.Repeat("00", 30)+"08")
	if got := hex.EncodeToString(exampleArchiveLeaf().Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := exampleArchiveLeaf().Hash(); got != LeafHash(exampleArchiveLeaf().Append(nil)) {
		t.Errorf("hash %x", got)
	}
}

func drawArchiveLeaf(t *rapid.T) ArchiveLeaf {
	bytes32 := func(what string) [32]byte {
		return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, what))
	}
	return ArchiveLeaf{
		Participant: rapid.StringMatching(`[a-z0-9]{1,90}`).Draw(t, "participant"),
		Node:        rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "node"),
		Segment:     rapid.Uint32Min(1).Draw(t, "segment"),
		Root:        bytes32("root"), Count: rapid.Uint64Range(1, MaxSize).Draw(t, "count"),
		HostKey: bytes32("host key"),
	}
}

// Two commits share no bytes, so one cannot pass for another.
func TestPropertyArchiveLeavesDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawArchiveLeaf(t), drawArchiveLeaf(t)
		if rapid.Bool().Draw(t, "moved") { // a character from one field to the next
			b = a
			b.Participant, b.Node = a.Participant+"x", a.Node
			a.Node = "x" + a.Node
		}
		if a != b && a.Hash() == b.Hash() {
			t.Fatal("two leaves with one hash")
		}
	})
}

// Every field of a commit, and every hash of its path, is bound by the archive's root.
// Holds spec C-14.
func TestPropertyArchivePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := rapid.SliceOfN(rapid.Custom(drawArchiveLeaf), 1, 40).Draw(t, "leaves")
		var log Log
		for _, l := range leaves {
			log.Append(l.Hash())
		}
		at := rapid.IntRange(0, len(leaves)-1).Draw(t, "at")
		path, err := Inclusion(&log, uint64(at), log.Size())
		if err != nil {
			t.Fatal(err)
		}
		p := ArchivePath{Root: log.Root(), Commits: log.Size(), Index: uint64(at), Path: path}
		leaf := leaves[at]
		if err := p.Verify(leaf); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(l *ArchiveLeaf, p *ArchivePath){
			"participant": func(l *ArchiveLeaf, _ *ArchivePath) { l.Participant += "x" },
			"node":        func(l *ArchiveLeaf, _ *ArchivePath) { l.Node = "another" },
			"segment":     func(l *ArchiveLeaf, _ *ArchivePath) { l.Segment ^= 1 },
			"root":        func(l *ArchiveLeaf, _ *ArchivePath) { l.Root[7] ^= 1 },
			"count":       func(l *ArchiveLeaf, _ *ArchivePath) { l.Count ^= 1 },
			"host key":    func(l *ArchiveLeaf, _ *ArchivePath) { l.HostKey[0] ^= 1 },
			"archive":     func(_ *ArchiveLeaf, p *ArchivePath) { p.Root[31] ^= 1 },
			"index":       func(_ *ArchiveLeaf, p *ArchivePath) { p.Index++ },
			"no commits":  func(_ *ArchiveLeaf, p *ArchivePath) { p.Commits = 0 },
			"a hash more": func(_ *ArchiveLeaf, p *ArchivePath) {
				p.Path = append(slices.Clone(p.Path), Hash{})
			},
		} {
			l, q := leaf, p
			if change(&l, &q); q.Verify(l) == nil {
				t.Fatalf("another %s is taken", name)
			}
		}
	})
}

func TestArchiveLeafValid(t *testing.T) {
	for name, change := range map[string]func(*ArchiveLeaf){
		"no participant":       func(l *ArchiveLeaf) { l.Participant = "" },
		"participant too long": func(l *ArchiveLeaf) { l.Participant = strings.Repeat("c", 129) },
		"node":                 func(l *ArchiveLeaf) { l.Node = "GPU" },
		"segment 0":            func(l *ArchiveLeaf) { l.Segment = 0 },
		"count 0":              func(l *ArchiveLeaf) { l.Count = 0 },
		"count 2^48":           func(l *ArchiveLeaf) { l.Count = MaxSize + 1 },
	} {
		l := exampleArchiveLeaf()
		if err := l.Valid(); err != nil {
			t.Fatal(err)
		}
		change(&l)
		if err := (ArchivePath{Root: l.Hash(), Commits: 1}).Verify(l); !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
