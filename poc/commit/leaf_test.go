// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func exampleLeaf() Leaf {
	body := append([]byte{0x0c, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0xdd}, make([]byte, 31)...)
	body[39] = 0xee
	return Leaf{Kind: 1, Spec: 1, Node: "gpu-0", Index: 0x0102, Body: body}
}

// Holds spec C-8.
func TestLeafLayout(t *testing.T) {
	want := "01" + "01" + "01" + "05" + hex.EncodeToString([]byte("gpu-0")) +
		"0201000000000000" + "0c0b0a0000000000" + "dd" + strings.Repeat("00", 30) + "ee"
	if got := hex.EncodeToString(exampleLeaf().Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := exampleLeaf().Hash(); got != LeafHash(exampleLeaf().Append(nil)) {
		t.Errorf("hash %x", got)
	}
	leaf := exampleLeaf()
	if n := testing.AllocsPerRun(100, func() { leaf.Hash() }); n != 0 {
		t.Errorf("%v allocations per leaf hash", n)
	}
}

// A kind of work that is not the first keeps any body of up to 64 bytes, under the second version
// of the leaf.
// Holds spec C-17.
func TestLeafOfAnyKind(t *testing.T) {
	leaf := Leaf{Kind: 3, Spec: 7, Node: "gpu-0", Index: 0x0102, Body: []byte("any")}
	want := "02" + "03" + "07" + "05" + hex.EncodeToString([]byte("gpu-0")) + "0201000000000000" +
		hex.EncodeToString([]byte("any"))
	if got := hex.EncodeToString(leaf.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for n, valid := range map[int]bool{0: false, 1: true, 40: true, MaxBody: true,
		MaxBody + 1: false} {
		leaf.Body = make([]byte, n)
		back, err := ParseLeaf(leaf.Append(nil))
		if (err == nil) != valid || (leaf.Valid() == nil) != valid || valid &&
			!cmp.Equal(back, leaf) {
			t.Errorf("a body of %d bytes: %+v, %v", n, back, err)
		}
	}
	first := exampleLeaf()
	other := first
	other.Kind = 3
	if first.Hash() == other.Hash() {
		t.Error("two kinds have one leaf")
	}
	for name, b := range map[string][]byte{
		"kind 1 as version 2": append([]byte{2}, first.Append(nil)[1:]...),
		"kind 3 as version 1": append([]byte{1}, other.Append(nil)[1:]...),
		"kind 2":              append([]byte{2, 2}, other.Append(nil)[2:]...),
		"kind 0":              append([]byte{2, 0}, other.Append(nil)[2:]...),
	} {
		if l, err := ParseLeaf(b); !errors.Is(err, ErrLeaf) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

func drawLeaf(t *rapid.T) Leaf {
	l := Leaf{
		Kind:  rapid.Uint8Min(1).Filter(func(kind uint8) bool { return kind != 2 }).Draw(t, "kind"),
		Spec:  rapid.Uint8Min(1).Draw(t, "spec"),
		Node:  rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "node"),
		Index: rapid.Uint64Max(MaxSize-1).Draw(t, "index"),
	}
	length := rapid.IntRange(1, MaxBody).Draw(t, "length")
	if l.Kind == 1 {
		length = 40
	}
	l.Body = rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, "body")
	return l
}

func TestPropertyLeafRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaf := drawLeaf(t)
		b := leaf.Append(nil)
		if len(b) > MaxLeafSize {
			t.Fatalf("%d bytes", len(b))
		}
		back, err := ParseLeaf(b)
		if err != nil || !cmp.Equal(back, leaf) {
			t.Fatalf("%+v, %v", back, err)
		}
		other := drawLeaf(t)
		if !cmp.Equal(other, leaf) && other.Hash() == leaf.Hash() {
			t.Fatal("two leaves with one hash")
		}
	})
}

// Holds spec C-8.
func TestParseLeafRefuses(t *testing.T) {
	good := exampleLeaf().Append(nil)
	change := func(at int, b byte) []byte {
		out := slices.Clone(good)
		out[at] = b
		return out
	}
	long := exampleLeaf()
	long.Node = strings.Repeat("a", 33)
	veryLong := exampleLeaf()
	veryLong.Node = strings.Repeat("a", 300)
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"three bytes":      good[:3],
		"one byte short":   good[:len(good)-1],
		"one byte more":    append(slices.Clone(good), 0),
		"version":          change(0, 2),
		"kind":             change(1, 2),
		"class 0":          change(2, 0),
		"node length":      change(3, 4),
		"node empty":       append([]byte{1, 1, 1, 0}, make([]byte, 48)...),
		"node upper case":  change(4, 'G'),
		"node with zero":   change(4, 0),
		"node too long":    long.Append(nil),
		"node far too":     veryLong.Append(nil),
		"index 2^48":       change(4+5+6, 1),
		"index 2^48 - 1":   slices.Concat(good[:9], bytes.Repeat([]byte{0xff}, 6), good[15:]),
		"length past end":  change(3, 255),
		"length of nought": change(3, 0),
	} {
		if leaf, err := ParseLeaf(b); !errors.Is(err, ErrLeaf) {
			t.Errorf("%s: %+v, %v", name, leaf, err)
		}
	}
}

// Holds spec C-7.
func TestValidNode(t *testing.T) {
	for _, id := range []string{"a", "0", "-", "gpu-0", strings.Repeat("z", 32)} {
		if err := ValidNode(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"", "A", "gpu_0", "gpu 0", "gpu/0", "é",
		strings.Repeat("z", 33), "a\x00"} {
		if err := ValidNode(id); !errors.Is(err, ErrLeaf) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func exampleStatement() Statement {
	return Statement{
		Chain: "assay-test", Epoch: 7, Segment: 1, Participant: "cpc1example", Node: "gpu-0",
		Class: "nano", Seed1: Hash{2}, SegmentSeed: Hash{3}, Root: Hash{1}, Count: 100,
	}
}

// Holds spec C-11.
func TestStatementSignature(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := key.Public().(ed25519.PublicKey)
	s := exampleStatement()
	sig := s.Sign(key)
	if err := s.Verify(public, sig); err != nil {
		t.Fatal(err)
	}
	changed := map[string]func(*Statement){
		"chain":        func(s *Statement) { s.Chain = "assay-tesu" },
		"epoch":        func(s *Statement) { s.Epoch++ },
		"segment":      func(s *Statement) { s.Segment++ },
		"participant":  func(s *Statement) { s.Participant += "x" },
		"node":         func(s *Statement) { s.Node = "gpu-1" },
		"class":        func(s *Statement) { s.Class = "small" },
		"seed 1":       func(s *Statement) { s.Seed1[31]++ },
		"segment seed": func(s *Statement) { s.SegmentSeed[31]++ },
		"seeds swapped": func(s *Statement) {
			s.Seed1, s.SegmentSeed = s.SegmentSeed, s.Seed1
		},
		"root":  func(s *Statement) { s.Root[31]++ },
		"count": func(s *Statement) { s.Count++ },
		"chain | participant": func(s *Statement) {
			s.Chain, s.Participant = s.Chain+"c", s.Participant[1:]
		},
		"node | class": func(s *Statement) { s.Node, s.Class = "gpu-0n", "ano" },
		// Malformed ones are refused before their signature is checked.
		"no chain":      func(s *Statement) { s.Chain = "" },
		"segment 0":     func(s *Statement) { s.Segment = 0 },
		"node id":       func(s *Statement) { s.Node = "GPU" },
		"count 2^48":    func(s *Statement) { s.Count = MaxSize + 1 },
		"none but root": func(s *Statement) { s.Count = 0 },
	}
	for name, change := range changed {
		other := s
		change(&other)
		if err := other.Verify(public, sig); !errors.Is(err, ErrStatement) {
			t.Errorf("another %s: %v", name, err)
		}
		if cmp.Equal(other.SignBytes(), s.SignBytes()) {
			t.Errorf("another %s: the same bytes are signed", name)
		}
	}
	for name, err := range map[string]error{
		"short key":       s.Verify(public[:31], sig),
		"no key":          s.Verify(nil, sig),
		"short signature": s.Verify(public, sig[:63]),
		"no signature":    s.Verify(public, nil),
		"signature bit":   s.Verify(public, append([]byte{sig[0] ^ 1}, sig[1:]...)),
	} {
		if !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := s
	empty.Root, empty.Count = EmptyRoot, 0
	if err := empty.Verify(public, empty.Sign(key)); err != nil {
		t.Errorf("an empty log: %v", err)
	}
}

// C23. What version 1 signed says nothing of the seeds: it is not taken for version 2, nor the
// other way round.
// Holds spec C-12.
func TestC23VersionsOfTheStatementAreApart(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := key.Public().(ed25519.PublicKey)
	s := exampleStatement()
	first := ed25519.Sign(key, s.SignBytes1())
	if err := s.Verify1(public, first); err != nil {
		t.Error(err)
	}
	other := s
	other.Seed1, other.SegmentSeed = s.SegmentSeed, s.Seed1
	if err := other.Verify1(public, first); err != nil {
		t.Errorf("version 1 binds seeds: %v", err)
	}
	for name, err := range map[string]error{
		"version 1 for 2": s.Verify(public, first),
		"version 2 for 1": s.Verify1(public, s.Sign(key)),
		"version 1 of another root": Statement{Chain: s.Chain, Epoch: s.Epoch, Segment: 1,
			Participant: s.Participant, Node: s.Node, Class: s.Class,
			Count: s.Count}.Verify1(public, first),
		"version 1, malformed":         Statement{}.Verify1(public, first),
		"version 1, another signature": s.Verify1(public, s.Sign(key)[:63]),
	} {
		if !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
