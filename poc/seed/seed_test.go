// SPDX-License-Identifier: Apache-2.0

package seed

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Holds spec W-3.
func TestDerivationRule(t *testing.T) {
	// Written out by hand: LE32 lengths, "assay/1/" and the name, then parts.
	msg := "\x12\x00\x00\x00assay/1/xf/weights" + // 8 + 10 characters
		"\x20\x00\x00\x00" + strings.Repeat("\x07", 32) +
		"\x04\x00\x00\x00nano"
	var s1 Seed
	for i := range s1 {
		s1[i] = 7
	}
	if got, want := Weights(s1, "nano"), Seed(sha256.Sum256([]byte(msg))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	msg = "\x0d\x00\x00\x00assay/1/input" +
		"\x20\x00\x00\x00" + strings.Repeat("\x07", 32) +
		"\x20\x00\x00\x00" + strings.Repeat("\x07", 32) +
		"\x08\x00\x00\x00\x02\x01\x00\x00\x00\x00\x00\x00"
	if got, want := Input(s1, s1, 0x102), Seed(sha256.Sum256([]byte(msg))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// named lists every function with arguments that are as alike as types allow,
// so that two functions with one tag would collide.
func named() map[string]Seed {
	z := Seed{}
	middle := Middle("c", 1, "p", "p", "p", 1, 1, z)
	return map[string]Seed{
		"BeaconAlpha":   BeaconAlpha("c", 1, z),
		"BeaconValue":   BeaconValue("c", 1, z, nil, nil),
		"BeaconMix":     BeaconMix("c", 1, []Seed{z}),
		"Sprint1":       Sprint1("c", 1, z),
		"Sprint2":       Sprint2("c", 1, z),
		"Segment":       Segment(z, 2, z),
		"Node":          Node("c", "p", "n", "x"),
		"Input":         Input(z, z, 2),
		"Weights":       Weights(z, "x"),
		"Embed":         Embed(z, "x"),
		"Matrix":        Matrix(z, 1, 'A'),
		"Samples":       Samples("c", 1, "p", z),
		"Committee":     Committee("c", 1, 1, "p", z),
		"Share":         Share(z, 1),
		"Lottery":       Lottery("c", 1, z),
		"Owed":          Owed("c", 1, "p", z),
		"Check":         Check("c", 1, "p", z),
		"Recheck":       Recheck("c", 1, "p", z),
		"VerdictCommit": VerdictCommit("c", 1, 1, "p", z, nil),
		"Middle": {0: middle[0], 1: middle[1], 2: middle[2], 3: middle[3], 4: middle[4],
			5: middle[5], 6: middle[6], 7: middle[7]},
		"Heartbeat":     Heartbeat("c", "p", 1, 1, z),
		"Possession":    Possession("c", "r", "p", nil),
		"MPoCChallenge": MPoCChallenge("c", nil, nil, z),
		"MPoC":          MPoC("c", z, nil, nil, z),
		"MPoCNonce":     MPoCNonce(z, z),
		"MPoCDraw":      MPoCDraw(z, z, 1, z),
		"MPoCSamples":   MPoCSamples(z),
		"MPoCWhole":     MPoCWhole(z),
		"MPoCAudit":     MPoCAudit(z),
		"MPoCPicks":     MPoCPicks(z),
		"LeafNonce":     LeafNonce(nil, "c", "p", nil, "n", 1, 1),
		"LeafAudit":     LeafAudit(z, 1),
		"LeafDraw":      LeafDraw(z, [64]byte{}),
	}
}

// Holds spec W-4.
func TestFunctionsDoNotCollide(t *testing.T) {
	seen := map[[8]byte]string{}
	for name, s := range named() {
		if other, again := seen[[8]byte(s[:8])]; again {
			t.Errorf("%s and %s give the same seed", name, other)
		}
		seen[[8]byte(s[:8])] = name
	}
}

// Every argument of every function matters, and moving a byte from one string
// to its neighbour is another seed.
func TestArgumentsMatter(t *testing.T) {
	a, b := Seed{1}, Seed{2}
	for name, pair := range map[string][2]Seed{
		"BeaconAlpha chain":  {BeaconAlpha("a", 1, a), BeaconAlpha("b", 1, a)},
		"BeaconAlpha height": {BeaconAlpha("a", 1, a), BeaconAlpha("a", 2, a)},
		"BeaconAlpha prev":   {BeaconAlpha("a", 1, a), BeaconAlpha("a", 1, b)},
		"BeaconValue chain":  {BeaconValue("a", 1, a, nil, nil), BeaconValue("b", 1, a, nil, nil)},
		"BeaconValue height": {BeaconValue("a", 1, a, nil, nil), BeaconValue("a", 2, a, nil, nil)},
		"BeaconValue prev":   {BeaconValue("a", 1, a, nil, nil), BeaconValue("a", 1, b, nil, nil)},
		"BeaconValue split": {BeaconValue("a", 1, a, []byte("xy"), []byte("z")),
			BeaconValue("a", 1, a, []byte("x"), []byte("yz"))},
		"BeaconMix chain":    {BeaconMix("a", 1, []Seed{a}), BeaconMix("b", 1, []Seed{a})},
		"BeaconMix deadline": {BeaconMix("a", 1, []Seed{a}), BeaconMix("a", 2, []Seed{a})},
		"BeaconMix values":   {BeaconMix("a", 1, []Seed{a}), BeaconMix("a", 1, []Seed{a, a})},
		"BeaconMix order": {BeaconMix("a", 1, []Seed{a, b}),
			BeaconMix("a", 1, []Seed{b, a})},
		"Sprint1 chain":             {Sprint1("a", 1, a), Sprint1("b", 1, a)},
		"Sprint1 epoch":             {Sprint1("a", 1, a), Sprint1("a", 2, a)},
		"Sprint1 mix":               {Sprint1("a", 1, a), Sprint1("a", 1, b)},
		"Sprint2 chain":             {Sprint2("a", 1, a), Sprint2("b", 1, a)},
		"Sprint2 epoch":             {Sprint2("a", 1, a), Sprint2("a", 2, a)},
		"Sprint2 mix":               {Sprint2("a", 1, a), Sprint2("a", 1, b)},
		"Segment sprint":            {Segment(a, 2, a), Segment(b, 2, a)},
		"Segment number":            {Segment(a, 2, a), Segment(a, 3, a)},
		"Segment value":             {Segment(a, 2, a), Segment(a, 2, b)},
		"Node chain to participant": {Node("ab", "c", "d", "e"), Node("a", "bc", "d", "e")},
		"Node participant to node":  {Node("a", "bc", "d", "e"), Node("a", "b", "cd", "e")},
		"Node node to class":        {Node("a", "b", "cd", "e"), Node("a", "b", "c", "de")},
		"Input node":                {Input(a, a, 1), Input(b, a, 1)},
		"Input segment":             {Input(a, a, 1), Input(a, b, 1)},
		"Input nonce":               {Input(a, a, 1), Input(a, a, 1<<32+1)},
		"Weights seed":              {Weights(a, "x"), Weights(b, "x")},
		"Weights class":             {Weights(a, "x"), Weights(a, "y")},
		"Embed seed":                {Embed(a, "x"), Embed(b, "x")},
		"Embed class":               {Embed(a, "x"), Embed(a, "y")},
		"Matrix challenge":          {Matrix(a, 1, 'A'), Matrix(b, 1, 'A')},
		"Matrix unit":               {Matrix(a, 1, 'A'), Matrix(a, 2, 'A')},
		"Matrix matrix":             {Matrix(a, 1, 'A'), Matrix(a, 1, 'B')},
		"Samples chain":             {Samples("a", 1, "p", a), Samples("b", 1, "p", a)},
		"Samples epoch":             {Samples("a", 1, "p", a), Samples("a", 2, "p", a)},
		"Samples participant":       {Samples("a", 1, "p", a), Samples("a", 1, "q", a)},
		"Samples mix":               {Samples("a", 1, "p", a), Samples("a", 1, "p", b)},
		"Committee chain":           {Committee("a", 1, 1, "p", a), Committee("b", 1, 1, "p", a)},
		"Committee epoch":           {Committee("a", 1, 1, "p", a), Committee("a", 2, 1, "p", a)},
		"Committee round":           {Committee("a", 1, 1, "p", a), Committee("a", 1, 2, "p", a)},
		"Committee target":          {Committee("a", 1, 1, "p", a), Committee("a", 1, 1, "q", a)},
		"Committee mix":             {Committee("a", 1, 1, "p", a), Committee("a", 1, 1, "p", b)},
		"Share of":                  {Share(a, 1), Share(b, 1)},
		"Lottery chain":             {Lottery("a", 1, a), Lottery("b", 1, a)},
		"Lottery epoch":             {Lottery("a", 1, a), Lottery("a", 2, a)},
		"Lottery mix":               {Lottery("a", 1, a), Lottery("a", 1, b)},
		"Owed chain":                {Owed("a", 1, "p", a), Owed("b", 1, "p", a)},
		"Owed epoch":                {Owed("a", 1, "p", a), Owed("a", 2, "p", a)},
		"Owed voter":                {Owed("a", 1, "p", a), Owed("a", 1, "q", a)},
		"Owed mix":                  {Owed("a", 1, "p", a), Owed("a", 1, "p", b)},
		"Check chain":               {Check("a", 1, "p", a), Check("b", 1, "p", a)},
		"Check epoch":               {Check("a", 1, "p", a), Check("a", 2, "p", a)},
		"Check voter":               {Check("a", 1, "p", a), Check("a", 1, "q", a)},
		"Check mix":                 {Check("a", 1, "p", a), Check("a", 1, "p", b)},
		"Recheck chain":             {Recheck("a", 1, "p", a), Recheck("b", 1, "p", a)},
		"Recheck epoch":             {Recheck("a", 1, "p", a), Recheck("a", 2, "p", a)},
		"Recheck participant":       {Recheck("a", 1, "p", a), Recheck("a", 1, "q", a)},
		"Recheck mix":               {Recheck("a", 1, "p", a), Recheck("a", 1, "p", b)},
		"Share index":               {Share(a, 1), Share(a, 2)},
		"VerdictCommit voter": {VerdictCommit("a", 1, 1, "p", a, nil),
			VerdictCommit("a", 1, 1, "q", a, nil)},
		"VerdictCommit round": {VerdictCommit("a", 1, 1, "p", a, nil),
			VerdictCommit("a", 1, 2, "p", a, nil)},
		"VerdictCommit salt": {VerdictCommit("a", 1, 1, "p", a, nil),
			VerdictCommit("a", 1, 1, "p", b, nil)},
		"VerdictCommit body": {VerdictCommit("a", 1, 1, "p", a, nil),
			VerdictCommit("a", 1, 1, "p", a, []byte{1})},
		"Heartbeat participant": {Heartbeat("a", "p", 1, 1, a), Heartbeat("a", "q", 1, 1, a)},
		"Heartbeat epoch":       {Heartbeat("a", "p", 1, 1, a), Heartbeat("a", "p", 2, 1, a)},
		"Heartbeat height":      {Heartbeat("a", "p", 1, 1, a), Heartbeat("a", "p", 1, 2, a)},
		"Heartbeat value":       {Heartbeat("a", "p", 1, 1, a), Heartbeat("a", "p", 1, 1, b)},
		"Possession role": {Possession("a", "vrf", "p", nil),
			Possession("a", "host", "p", nil)},
		"Possession participant": {Possession("a", "vrf", "p", nil),
			Possession("a", "vrf", "q", nil)},
		"Possession key": {Possession("a", "vrf", "p", nil),
			Possession("a", "vrf", "p", []byte{0})},
		"MPoCChallenge chain": {MPoCChallenge("a", a[:], a[:], a),
			MPoCChallenge("b", a[:], a[:], a)},
		"MPoCChallenge host": {MPoCChallenge("a", a[:], a[:], a),
			MPoCChallenge("a", b[:], a[:], a)},
		"MPoCChallenge device": {MPoCChallenge("a", a[:], a[:], a),
			MPoCChallenge("a", a[:], b[:], a)},
		"MPoCChallenge fresh": {MPoCChallenge("a", a[:], a[:], a),
			MPoCChallenge("a", a[:], a[:], b)},
		"MPoC chain":          {MPoC("a", a, a[:], a[:], a), MPoC("b", a, a[:], a[:], a)},
		"MPoC challenge":      {MPoC("a", a, a[:], a[:], a), MPoC("a", b, a[:], a[:], a)},
		"MPoC host":           {MPoC("a", a, a[:], a[:], a), MPoC("a", a, b[:], a[:], a)},
		"MPoC device":         {MPoC("a", a, a[:], a[:], a), MPoC("a", a, a[:], b[:], a)},
		"MPoC fresh":          {MPoC("a", a, a[:], a[:], a), MPoC("a", a, a[:], a[:], b)},
		"MPoCNonce challenge": {MPoCNonce(a, a), MPoCNonce(b, a)},
		"MPoCNonce nonce":     {MPoCNonce(a, a), MPoCNonce(a, b)},
		"MPoCDraw challenge":  {MPoCDraw(a, a, 1, a), MPoCDraw(b, a, 1, a)},
		"MPoCDraw root":       {MPoCDraw(a, a, 1, a), MPoCDraw(a, b, 1, a)},
		"MPoCDraw loops":      {MPoCDraw(a, a, 1, a), MPoCDraw(a, a, 2, a)},
		"MPoCDraw nonce":      {MPoCDraw(a, a, 1, a), MPoCDraw(a, a, 1, b)},
		"MPoCSamples draw":    {MPoCSamples(a), MPoCSamples(b)},
		"MPoCWhole draw":      {MPoCWhole(a), MPoCWhole(b)},
		"MPoCAudit draw":      {MPoCAudit(a), MPoCAudit(b)},
		"MPoCPicks draw":      {MPoCPicks(a), MPoCPicks(b)},
		"LeafNonce secret": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(b[:], "a", "p", a[:], "n", 1, 1)},
		"LeafNonce chain": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(a[:], "b", "p", a[:], "n", 1, 1)},
		"LeafNonce participant": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(a[:], "a", "q", a[:], "n", 1, 1)},
		"LeafNonce device": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(a[:], "a", "p", b[:], "n", 1, 1)},
		"LeafNonce node": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(a[:], "a", "p", a[:], "m", 1, 1)},
		"LeafNonce epoch": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(a[:], "a", "p", a[:], "n", 2, 1)},
		"LeafNonce segment": {LeafNonce(a[:], "a", "p", a[:], "n", 1, 1),
			LeafNonce(a[:], "a", "p", a[:], "n", 1, 2)},
		"LeafAudit nonce":   {LeafAudit(a, 1), LeafAudit(b, 1)},
		"LeafAudit samples": {LeafAudit(a, 1), LeafAudit(a, 2)},
		"LeafDraw nonce":    {LeafDraw(a, [64]byte{}), LeafDraw(b, [64]byte{})},
		"LeafDraw last":     {LeafDraw(a, [64]byte{}), LeafDraw(a, [64]byte{63: 1})},
	} {
		if pair[0] == pair[1] {
			t.Errorf("%s does not matter", name)
		}
	}
	base := Middle("c", 1, "v", "t", "n", 1, 1, a)
	for name, other := range map[string][8]byte{
		"chain":   Middle("d", 1, "v", "t", "n", 1, 1, a),
		"epoch":   Middle("c", 2, "v", "t", "n", 1, 1, a),
		"voter":   Middle("c", 1, "w", "t", "n", 1, 1, a),
		"target":  Middle("c", 1, "v", "u", "n", 1, 1, a),
		"node":    Middle("c", 1, "v", "t", "m", 1, 1, a),
		"segment": Middle("c", 1, "v", "t", "n", 2, 1, a),
		"nonce":   Middle("c", 1, "v", "t", "n", 1, 2, a),
		"middle":  Middle("c", 1, "v", "t", "n", 1, 1, b),
	} {
		if other == base {
			t.Errorf("Middle: %s does not matter", name)
		}
	}
}

// Holds spec W-5.
func TestFirstSegmentIsSprint2(t *testing.T) {
	s2 := Seed{5}
	if got := Segment(s2, 1, Seed{9}); got != s2 {
		t.Errorf("segment 1 has seed %s", got)
	}
	if got := Segment(s2, 2, Seed{9}); got == s2 {
		t.Error("segment 2 has the seed of segment 1")
	}
}

func TestTextAndBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Seed(rapid.SliceOfN(rapid.Byte(), Size, Size).Draw(t, "s"))
		back, err := Parse(s.String())
		if err != nil || back != s {
			t.Fatalf("parsed %v, %v", back, err)
		}
		if back, err = FromBytes(s.Bytes()); err != nil || back != s {
			t.Fatalf("from bytes %v, %v", back, err)
		}
		var text Seed
		raw, _ := s.MarshalText()
		if err := text.UnmarshalText(raw); err != nil || text != s {
			t.Fatalf("from text %v, %v", text, err)
		}
	})
	good := Seed{0xab}.String()
	for _, bad := range []string{"", good[:63], good + "0", strings.ToUpper(good), " " + good[1:],
		good[:63] + "g", "0x" + good[2:]} {
		if _, err := Parse(bad); !errors.Is(err, ErrSeed) {
			t.Errorf("%q: %v", bad, err)
		}
		var s Seed
		if err := s.UnmarshalText([]byte(bad)); !errors.Is(err, ErrSeed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := FromBytes(make([]byte, n)); !errors.Is(err, ErrSeed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Seed{1}.String())
	f.Add(strings.Repeat("F", 64))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := Parse(text); err == nil && s.String() != text {
			t.Errorf("%q was read as %s", text, s)
		}
	})
}
