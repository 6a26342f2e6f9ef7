// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

var (
	hostKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	deviceKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

// submission is a log of one loop, forged or not, with its receipt.
func submission(t *testing.T, forge bool) (mpoc.Receipt, mpoc.Evidence) {
	t.Helper()
	nonce := seed.Seed{3}
	terms := mpoc.Offer(mpoc.Terms{
		Chain: "assay-test", HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(deviceKey),
		Shape:      mpoc.Shape(mpoc.Shapes()[0]),
		DurationMS: 10_000, Issued: 1_800_000_000_000, Expiry: 1_800_000_060_000, Whole: 1,
		Picks: 90, Light: 3, MaxLoops: 10, PayPerTebiop: "1000000",
		UnlockAfter: 20, BanAfter: 3,
	}, seed.Seed{4}, nonce)
	tiles, err := matmul.AppendTiles(nil, seed.Seed(terms.Seed), 0, terms.Shape.Matmul())
	if err != nil {
		t.Fatal(err)
	}
	if forge {
		for i := range tiles {
			tiles[i][0] ^= 1
		}
	}
	var tree commit.Log
	tree.Append(terms.LeafHash(0, matmul.Root(tiles)))
	l := mpoc.Log{Terms: terms, Commit: mpoc.Commit{Loops: 1, ComputeTime: 10_000,
		MerkleRoot: tree.Root()}}
	draw := mpoc.Draw{HostNonce: signed.Hash(nonce), AuditQ32: 1 << 32, Deadline: 1_800_000_090_000}
	q := draw.Questions(l)
	var p mpoc.Proof
	s, err := l.OpenSample(&tree, 0, matmul.Root(tiles))
	if err != nil {
		t.Fatal(err)
	}
	p.Samples = append(p.Samples, s)
	for _, pick := range q.Picks(0) {
		o, err := l.OpenTile(&tree, pick, tiles)
		if err != nil {
			t.Fatal(err)
		}
		p.Tiles = append(p.Tiles, o)
	}
	wrong, err := q.Recompute(t.Context(), mpoc.Reference(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := q.Outcome(1, len(wrong.Samples), len(wrong.Tiles))
	r := mpoc.Receipt{
		Version: mpoc.ReceiptVersion, Terms: terms, TermsSignature: terms.Sign(hostKey),
		Commit: l.Commit, CommitSignature: l.Sign(deviceKey),
		Draw: &draw, Outcome: o, Committed: terms.Issued + 1, Proved: terms.Issued + 2, Entry: 1,
	}
	r.SetWrong(wrong)
	r.Sign(hostKey)
	return r, mpoc.Evidence{
		Version: mpoc.EvidenceVersion, Claim: mpoc.Forged,
		Terms:  &mpoc.SignedTerms{Terms: terms, Signature: r.TermsSignature},
		Commit: &mpoc.SignedCommit{Commit: l.Commit, Signature: r.CommitSignature},
		Tile:   &p.Tiles[0],
	}
}

// checked opens, verifies and reports a file.
func checked(t *testing.T, raw []byte) (Report, error) {
	t.Helper()
	d, err := poc.Open(raw)
	if err != nil {
		return Report{}, err
	}
	found, err := d.Verify(t.Context(), nil, poc.Options{})
	r, ours := Of("f.json", d, found, err)
	if !ours {
		t.Fatalf("%T is none of ours", d)
	}
	return r, err
}

func TestReportsSayWhatADocumentOnLoopsShows(t *testing.T) {
	honest, slander := submission(t, false)
	forged, evidence := submission(t, true)
	cheat := honest // the host rejects without evidence
	cheat.Outcome = forged.Outcome
	cheat.Sign(hostKey)
	altered := honest
	altered.Entry++

	write := func(m interface{ Marshal() ([]byte, error) }) []byte {
		data, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, c := range map[string]struct {
		raw     []byte
		claim   string
		want    error
		accused string
		host    bool
		text    string
	}{
		"accepted": {write(honest), "accepted", nil, "", false, "64 tiles were checked, all right"},
		"rejected": {write(forged), "rejected", nil, signed.KeyOf(deviceKey).String(), false,
			"no faulty device explains"},
		"rejected without reason": {write(cheat), "rejected", mpoc.ErrHost,
			signed.KeyOf(hostKey).String(), true, "counts as accepted"},
		"altered": {write(altered), "accepted", signed.ErrSignature, "", false, "not signed"},
		"forged": {write(evidence), "forged", nil, signed.KeyOf(deviceKey).String(), false,
			"is not what the work gives"},
		"slander": {write(slander), "forged", mpoc.ErrClaim, "", false, "is what the work gives"},
	} {
		r, err := checked(t, c.raw)
		if !errors.Is(err, c.want) || r.Proven != (c.want == nil) || r.Claim != c.claim ||
			r.Accused != c.accused || r.HostCheated != c.host {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if !strings.Contains(r.Reason, c.text) {
			t.Errorf("%s: %q says nothing of %q", name, r.Reason, c.text)
		}
		if err == nil {
			var out bytes.Buffer
			r.Text(&out)
			if s := out.String(); !strings.HasPrefix(s, "proven: ") ||
				!strings.Contains(s, r.Reason) || !strings.Contains(s, r.DeviceKey) ||
				r.Kind == "receipt" && !strings.Contains(s, "due after 20 more clean "+
					"submissions; a proven cheat forfeits what is locked, 3 of them ban") {
				t.Errorf("%s:\n%s", name, s)
			}
		}
	}
	if r, ours := Of("f.json", &poc.Evidence{}, poc.Report{}, nil); ours {
		t.Errorf("another document is one of ours: %+v", r)
	}
}
