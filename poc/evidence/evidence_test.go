// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

var (
	testSeed1   = seed.Sprint1("assay-test", 7, seed.Seed{1})
	testSegment = seed.Sprint2("assay-test", 7, seed.Seed{2})
	hostKey     = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
)

var nano = sync.OnceValues(func() (*transformer.ReferenceModel, error) {
	return transformer.Build(context.Background(), transformer.Nano, testSeed1, nil)
})

func build(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
	if class != transformer.Nano || seed1 != testSeed1 {
		return transformer.Build(context.Background(), class, seed1, nil)
	}
	return nano()
}

// evidence signs a log of five leaves in which forge may change leaf 3, and
// returns the file about it. The epoch has three commits; this one is the second.
func evidence(t testing.TB, claim string, forge func(*record.Leaf)) File {
	t.Helper()
	model, err := nano()
	if err != nil {
		t.Fatal(err)
	}
	node := seed.Node("assay-test", "cpc1host", "gpu-0", "nano")
	out := make([]transformer.Output, 5)
	if err := model.Run(out, node, testSegment, []uint64{0, 1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	var log commit.Log
	var leaves []record.Leaf
	for i, o := range out {
		leaf := record.Leaf{Class: 1, Node: "gpu-0", Index: uint64(i), Record: o.Record}
		if i == 3 && forge != nil {
			forge(&leaf)
		}
		leaves = append(leaves, leaf)
		log.Append(leaf.Hash())
	}
	root := log.Root()
	s := commit.Statement{
		Chain: "assay-test", Epoch: 7, Segment: 1, Participant: "cpc1host",
		Node: "gpu-0", Class: "nano",
		Seed1: commit.Hash(testSeed1), SegmentSeed: commit.Hash(testSegment),
		Root: root, Count: log.Size(),
	}
	path, err := commit.Inclusion(&log, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	key := hostKey.Public().(ed25519.PublicKey)
	var archive commit.Log
	for _, participant := range []string{"cpc1ghost", "cpc1host", "cpc1most"} {
		archive.Append(commit.ArchiveLeaf{Participant: participant, Node: s.Node, Segment: 1,
			Root: root, Count: 5, HostKey: [32]byte(key)}.Hash())
	}
	archived := archive.Root()
	up, err := commit.Inclusion(&archive, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	return File{
		Version: Version, Claim: claim, Chain: s.Chain, Epoch: s.Epoch, Class: s.Class,
		Seed1: testSeed1.String(), SegmentSeed: testSegment.String(),
		Participant: s.Participant, Node: s.Node, Segment: s.Segment, Nonce: 3,
		Norm: leaves[3].Norm, Digest: hex.EncodeToString(leaves[3].Digest[:]),
		Count: s.Count, Root: hex.EncodeToString(root[:]),
		HostKey: hex.EncodeToString(key), Signature: hex.EncodeToString(s.Sign(hostKey)),
		Path: texts(path),
		Archive: &Archive{Root: hex.EncodeToString(archived[:]), Commits: 3,
			Index: 1, Path: texts(up)},
	}
}

func texts(path []commit.Hash) []string {
	out := []string{}
	for _, h := range path {
		out = append(out, hex.EncodeToString(h[:]))
	}
	return out
}

// version1 makes the file that version 1 would have been, signature included.
func version1(t testing.TB, f File) File {
	t.Helper()
	c, err := f.decode()
	if err != nil {
		t.Fatal(err)
	}
	f.Version, f.Archive, f.State = Version1, nil, nil
	f.Signature = hex.EncodeToString(ed25519.Sign(hostKey, c.statement.SignBytes1()))
	return f
}

// Holds spec F-9.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name   string
		claim  string
		forge  func(*record.Leaf)
		forged bool
		reason string
	}{
		{"honest", Honest, nil, false, "the leaf is what the unit gives"},
		{"a digest bit", Forged, func(l *record.Leaf) {
			l.Digest[7] ^= 1
		}, true, "the leaf's digest is not the unit's"},
		{"the norm alone", Forged, func(l *record.Leaf) {
			l.Norm++
		}, true, "the leaf's norm is not the unit's"},
		{"both", Forged, func(l *record.Leaf) {
			l.Norm++
			l.Digest[0]++
		}, true, "the leaf's norm and digest are not the unit's"},
	} {
		f := evidence(t, c.claim, c.forge)
		data, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		read, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, read); diff != "" {
			t.Errorf("%s: through a file:\n%s", c.name, diff)
		}
		finding, err := Verify(read, build)
		if err != nil || finding.Forged != c.forged || finding.Reason != c.reason ||
			finding.Unbound {
			t.Errorf("%s: %+v, %v", c.name, finding, err)
		}
		if got := finding.GotNorm == finding.WantNorm &&
			finding.GotDigest == finding.WantDigest; got == c.forged {
			t.Errorf("%s: got and want agree: %v", c.name, got)
		}

		// The opposite claim is refused, and the finding says why.
		f.Claim = map[string]string{Honest: Forged, Forged: Honest}[c.claim]
		finding, err = Verify(f, build)
		if !errors.Is(err, ErrClaim) || finding.Forged != c.forged {
			t.Errorf("%s, claimed %s: %+v, %v", c.name, f.Claim, finding, err)
		}
	}
}

// C23. The seeds are under the signature: no digit of them can be changed, nor can
// they change places, to make an honest leaf look forged. Of version 1 that was
// possible, and such a file says so.
// Holds spec C-12.
func TestC23AnEditedSeedConvictsNobody(t *testing.T) {
	honest := evidence(t, Honest, nil)
	first := version1(t, honest)
	for name, edit := range map[string]func(*File){
		"a digit of Seed_1":       func(f *File) { f.Seed1 = digit(f.Seed1) },
		"a digit of segment seed": func(f *File) { f.SegmentSeed = digit(f.SegmentSeed) },
		"seeds swapped": func(f *File) {
			f.Seed1, f.SegmentSeed = f.SegmentSeed, f.Seed1
		},
	} {
		f := honest
		f.Claim = Forged
		edit(&f)
		if finding, err := Verify(f, build); !errors.Is(err, commit.ErrStatement) ||
			finding != (Finding{}) {
			t.Errorf("%s: %+v, %v", name, finding, err)
		}
		old := first
		old.Claim = Forged
		edit(&old)
		if finding, err := Verify(old, build); err != nil || !finding.Forged || !finding.Unbound {
			t.Errorf("%s in version 1, which this package has to call unbound: %+v, %v",
				name, finding, err)
		}
	}
	if finding, err := Verify(first, build); err != nil || finding.Forged || !finding.Unbound {
		t.Errorf("version 1: %+v, %v", finding, err)
	}
	if _, err := first.Anchor(); !errors.Is(err, ErrFile) {
		t.Errorf("version 1 has an anchor: %v", err)
	}
}

// digit changes the last digit.
func digit(hexes string) string {
	last := hexes[len(hexes)-1] ^ 1
	if last == '`' || last == '/' {
		last = '0'
	}
	return hexes[:len(hexes)-1] + string(last)
}

func TestAnchor(t *testing.T) {
	f := evidence(t, Forged, func(l *record.Leaf) { l.Norm++ })
	got, err := f.Anchor()
	if err != nil {
		t.Fatal(err)
	}
	root, err := seed.Parse(f.Archive.Root)
	if err != nil {
		t.Fatal(err)
	}
	want := Anchor{Chain: "assay-test", Epoch: 7, Class: "nano", Seed1: commit.Hash(testSeed1),
		SegmentSeed: commit.Hash(testSegment), Root: commit.Hash(root), Commits: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every field is bound by something: the signature, the path or the work.
// Holds spec F-8.
func TestVerifyBindsEveryField(t *testing.T) {
	good := evidence(t, Honest, nil)
	for name, c := range map[string]struct {
		change func(*File)
		want   error
	}{
		"chain":        {func(f *File) { f.Chain = "other" }, commit.ErrStatement},
		"epoch":        {func(f *File) { f.Epoch++ }, commit.ErrStatement},
		"class":        {func(f *File) { f.Class = "small" }, commit.ErrStatement},
		"participant":  {func(f *File) { f.Participant = "cpc1other" }, commit.ErrStatement},
		"node":         {func(f *File) { f.Node = "gpu-1" }, commit.ErrStatement},
		"segment":      {func(f *File) { f.Segment++ }, commit.ErrStatement},
		"count":        {func(f *File) { f.Count++ }, commit.ErrStatement},
		"root":         {func(f *File) { f.Root = f.Digest }, commit.ErrStatement},
		"host key":     {func(f *File) { f.HostKey = f.Digest }, commit.ErrStatement},
		"signature":    {func(f *File) { f.Signature = f.Digest + f.Digest }, commit.ErrStatement},
		"nonce":        {func(f *File) { f.Nonce = 2 }, commit.ErrProof},
		"nonce beyond": {func(f *File) { f.Nonce = 5 }, commit.ErrSize},
		"norm":         {func(f *File) { f.Norm++ }, commit.ErrProof},
		"digest":       {func(f *File) { f.Digest = f.Root }, commit.ErrProof},
		"path":         {func(f *File) { f.Path = f.Path[1:] }, commit.ErrProof},
		"path longer": {func(f *File) {
			f.Path = append([]string{f.Root}, f.Path...)
		}, commit.ErrProof},
		"seed 1":       {func(f *File) { f.Seed1 = f.Root }, commit.ErrStatement},
		"segment seed": {func(f *File) { f.SegmentSeed = f.Root }, commit.ErrStatement},
		"archive": {func(f *File) {
			f.Archive = &Archive{f.Root, 3, 1, f.Archive.Path}
		}, commit.ErrProof},
		"index in it": {func(f *File) {
			f.Archive = &Archive{f.Archive.Root, 3, 0, f.Archive.Path}
		}, commit.ErrProof},
		"its size": {func(f *File) {
			f.Archive = &Archive{f.Archive.Root, 1, 0, f.Archive.Path}
		}, commit.ErrProof},
		"its path": {func(f *File) {
			f.Archive = &Archive{f.Archive.Root, 3, 1, f.Path}
		}, commit.ErrProof},
		"no archive": {func(f *File) { f.Archive = nil }, ErrFile},
		"claim":      {func(f *File) { f.Claim = Forged }, ErrClaim},
		"version 1": {func(f *File) {
			f.Version, f.Archive = Version1, nil
		}, commit.ErrStatement},
		"version": {func(f *File) { f.Version = "assay-evidence/3" }, ErrFile},
	} {
		f := good
		c.change(&f)
		if _, err := Verify(f, build); !errors.Is(err, c.want) {
			t.Errorf("another %s: %v, want %v", name, err, c.want)
		}
	}
}

func TestVerifyReportsTheEngine(t *testing.T) {
	lost := errors.New("device lost")
	_, err := Verify(evidence(t, Honest, nil),
		func(transformer.Class, seed.Seed) (transformer.Model, error) { return nil, lost })
	if !errors.Is(err, lost) {
		t.Error(err)
	}
}

// Holds spec F-1, F-4.
func TestParseRefuses(t *testing.T) {
	f := evidence(t, Honest, nil)
	data, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, text := range map[string]string{
		"nothing":         "",
		"not JSON":        "evidence",
		"null":            "null",
		"a list":          "[]",
		"empty":           "{}",
		"two files":       good + good,
		"bytes after":     good + "x",
		"unknown key":     strings.Replace(good, "{", `{"extra": 1,`, 1),
		"missing key":     strings.Replace(good, `"epoch": 7,`, "", 1),
		"repeated key":    strings.Replace(good, `"epoch": 7,`, `"epoch": 7, "epoch": 7,`, 1),
		"key in capitals": strings.Replace(good, `"epoch"`, `"Epoch"`, 1),
		"other order": strings.Replace(strings.Replace(good, `"epoch": 7,`, "", 1),
			`"version"`, `"epoch": 7, "version"`, 1),
		"version":          strings.Replace(good, "evidence/2", "evidence/3", 1),
		"claim":            strings.Replace(good, `"honest"`, `"maybe"`, 1),
		"class":            strings.Replace(good, `"nano"`, `"tiny"`, 1),
		"capital hex":      strings.Replace(good, f.Digest, strings.ToUpper(f.Digest), 1),
		"short hash":       strings.Replace(good, f.Root, f.Root[2:], 1),
		"short seed":       strings.Replace(good, f.Seed1, f.Seed1[2:], 1),
		"segment seed":     strings.Replace(good, f.SegmentSeed, f.SegmentSeed[2:], 1),
		"short key":        strings.Replace(good, f.HostKey, f.HostKey[2:], 1),
		"not hex":          strings.Replace(good, f.Signature, "zz"+f.Signature[2:], 1),
		"path":             strings.Replace(good, f.Path[0], f.Path[0][2:], 1),
		"norm as a number": strings.Replace(good, `"norm": "`, `"norm": `, 1),
		"negative nonce":   strings.Replace(good, `"nonce": 3`, `"nonce": -3`, 1),
		"nonce 3.0":        strings.Replace(good, `"nonce": 3`, `"nonce": 3.0`, 1),
		"segment 0":        strings.Replace(good, `"segment": 1`, `"segment": 0`, 1),
		"node":             strings.Replace(good, `"gpu-0"`, `"GPU"`, 1),
		"version 1, path":  strings.Replace(good, "evidence/2", "evidence/1", 1),
		"archive's root":   strings.Replace(good, f.Archive.Root, f.Archive.Root[2:], 1),
		"archive's path":   strings.Replace(good, f.Archive.Path[0], f.Archive.Path[0][2:], 1),
		"empty state": strings.Replace(good, "\n}",
			`, "state": {"header": "", "app": "00", "store": "00"}}`, 1),
		"state too long": strings.Replace(good, "\n}",
			`, "state": {"header": "00", "app": "`+strings.Repeat("00",
				maxState+1)+`", "store": "00"}}`, 1),
		"escaped letters": strings.Replace(good, `"honest"`, `"h\u006fnest"`, 1),
		"far too long":    good + strings.Repeat(" ", MaxFileSize),
	} {
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte(strings.ReplaceAll(good, "\n", "\r\n\t"))); err != nil {
		t.Errorf("white space: %v", err)
	}
	if _, err := Parse([]byte(strings.Replace(good, "\n}",
		`, "state": {"header": "00", "app": "00", "store": "00"}}`, 1))); err != nil {
		t.Errorf("bytes of state: %v", err)
	}
	first := version1(t, f)
	first.State = &State{"00", "00", "00"}
	if _, err := first.Marshal(); !errors.Is(err, ErrFile) {
		t.Errorf("version 1 with state: %v", err)
	}
	f.Path = nil
	f.Archive = &Archive{Root: f.Archive.Root, Commits: 1}
	empty, err := f.Marshal()
	if err != nil || !strings.Contains(string(empty), `"path": []`) {
		t.Errorf("an empty path: %v\n%s", err, empty)
	}
	for n := range 2 {
		parts := strings.SplitAfter(string(empty), `"path": []`)
		parts[n] = strings.Replace(parts[n], `[]`, `null`, 1)
		if _, err := Parse([]byte(strings.Join(parts, ""))); len(parts) != 3 ||
			!errors.Is(err, ErrFile) {
			t.Errorf("path null, number %d of %d: %v", n, len(parts)-1, err)
		}
	}
	f.Claim = "maybe"
	if _, err := f.Marshal(); !errors.Is(err, ErrFile) {
		t.Errorf("written malformed: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	file := evidence(f, Honest, nil)
	data, err := file.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	first, err := version1(f, file).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(first)
	f.Add([]byte(`{"version":"assay-evidence/1","path":[]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		again, err := file.Marshal()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := Parse(again)
		if err != nil || !cmp.Equal(file, back) {
			t.Errorf("%+v became %+v, %v", file, back, err)
		}
	})
}
