// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Swapped indices, truncated and borrowed paths, openings not asked for: the
// known ways to answer something else.
// Holds spec M-14.
func TestProofRefused(t *testing.T) {
	terms := testTerms(testNonce)
	d := newDevice(terms, nil)
	draw := full(terms, testNonce)
	q := draw.Questions(d.log)
	if err := q.Verify(d.answer(t, q, 0)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Proof){
		"chosen sample": func(p *Proof) {
			s, err := d.log.OpenSample(&d.tree, (p.Samples[0].Index+1)%testLoops,
				matmul.Root(d.tiles[(p.Samples[0].Index+1)%testLoops]))
			if err != nil {
				t.Fatal(err)
			}
			p.Samples[0] = s
		},
		"one sample less": func(p *Proof) { p.Samples = p.Samples[1:] },
		"one tile less":   func(p *Proof) { p.Tiles = p.Tiles[1:] },
		"a sample twice":  func(p *Proof) { p.Samples[1] = p.Samples[0] },
		"a tile twice":    func(p *Proof) { p.Tiles[1] = p.Tiles[0] },
		"other order":     func(p *Proof) { p.Tiles[0], p.Tiles[1] = p.Tiles[1], p.Tiles[0] },
		"swapped index": func(p *Proof) {
			p.Samples[0].Index, p.Samples[1].Index = p.Samples[1].Index, p.Samples[0].Index
		},
		"swapped digest":  func(p *Proof) { p.Samples[0].Digest = p.Samples[1].Digest },
		"leaf of another": func(p *Proof) { p.Samples[0].Leaf = p.Samples[1].Leaf },
		"truncated path":  func(p *Proof) { p.Samples[0].Proof = p.Samples[0].Proof[1:] },
		"longer path": func(p *Proof) {
			p.Samples[0].Proof = append(Path{{}}, p.Samples[0].Proof...)
		},
		"truncated tile path":   func(p *Proof) { p.Tiles[5].TileProof = p.Tiles[5].TileProof[:3] },
		"no tile path":          func(p *Proof) { p.Tiles[5].TileProof = nil },
		"tile of another":       func(p *Proof) { p.Tiles[5].TileDigest = p.Tiles[6].TileDigest },
		"unit digest under it":  func(p *Proof) { p.Tiles[5].Digest[0]++ },
		"tile's own path":       func(p *Proof) { p.Tiles[5].Proof[0][0]++ },
		"tile out of the shape": func(p *Proof) { p.Tiles[89].Tile = 64 },
		"a later round":         func(p *Proof) { p.Round = 1 },
		"no such round":         func(p *Proof) { p.Round = 1 << 20 },
		"nothing":               func(p *Proof) { *p = Proof{} },
	} {
		p := d.answer(t, q, 0)
		change(&p)
		if err := q.Verify(p); !errors.Is(err, ErrOpening) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same openings under another nonce, device or challenge are no answer.
	p := d.answer(t, q, 0)
	sig := p.Sign(d.log, draw, deviceKey)
	if err := p.VerifySignature(d.log, draw, sig); err != nil {
		t.Fatal(err)
	}
	other := draw
	other.HostNonce[0]++
	if err := other.Questions(d.log).Verify(p); !errors.Is(err, ErrOpening) {
		t.Errorf("another nonce: %v", err)
	}
	if err := p.VerifySignature(d.log, other, sig); !errors.Is(err, signed.ErrSignature) {
		t.Errorf("signed for another nonce: %v", err)
	}
	copied := d.log
	copied.Terms.DeviceKey = signed.KeyOf(otherKey)
	copied.Terms = Offer(copied.Terms, testFresh, testNonce)
	if err := copied.VerifySample(p.Samples[0]); !errors.Is(err, ErrOpening) {
		t.Errorf("a copied submission: %v", err)
	}
	for name, change := range map[string]func(*Proof){
		"round": func(p *Proof) {
			p.Round = 1
		}, "sample": func(p *Proof) {
			p.Samples[0].Digest[0]++
		}, "path": func(p *Proof) { p.Samples[0].Proof[0][0]++ },
		"tile": func(p *Proof) {
			p.Tiles[0].TileDigest[0]++
		}, "tile path": func(p *Proof) {
			p.Tiles[0].TileProof[0][0]++
		}, "number": func(p *Proof) { p.Tiles[0].Tile++ },
	} {
		p := d.answer(t, q, 0)
		change(&p)
		if err := p.VerifySignature(d.log, draw, sig); !errors.Is(err, signed.ErrSignature) {
			t.Errorf("another %s has the signature: %v", name, err)
		}
	}
}

// The definition and what the tests look up are the same.
func TestReferenceRecomputes(t *testing.T) {
	terms := testTerms(testNonce)
	d := newDevice(terms, nil)
	o, wrong := judge(t, d, full(terms, testNonce), Reference())
	if o.Status != Accepted || len(wrong.Samples)+len(wrong.Tiles) != 0 {
		t.Errorf("%+v, %d wrong", o, len(wrong.Tiles))
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	q := full(terms, testNonce).Questions(d.log)
	if _, err := q.Recompute(done, Reference(), d.answer(t, q, 0), 0); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Reference().Tile(t.Context(), seed.Seed{}, matmul.Shape{}, 0, 0); !errors.Is(err,
		matmul.ErrShape) {
		t.Error(err)
	}
	if _, err := Reference().Tile(t.Context(), seed.Seed{}, Shapes()[0], 0, 64); !errors.Is(err,
		matmul.ErrTile) {
		t.Error(err)
	}
}

// counted counts what is recomputed.
type counted struct {
	Recompute
	tiles, units int
}

func (c *counted) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	c.tiles++
	return c.Recompute.Tile(ctx, challenge, shape, unit, tile)
}

func (c *counted) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	c.units++
	return c.Recompute.Unit(ctx, challenge, shape, unit)
}

// Who forges costs the host no more than what decides, however much is wrong.
func TestForgerCostsLittle(t *testing.T) {
	draw := full(testTerms(testNonce), testNonce)
	for _, c := range []struct {
		name         string
		bad          func(u, tile int) bool
		before       int
		tiles, units int
	}{
		{"honest", nil, 0, 90, 3},
		{"all forged", func(int, int) bool { return true }, 0, 3, 0},
		{"all forged, two found before", func(int, int) bool { return true }, 2, 1, 0},
	} {
		d := newDevice(testTerms(testNonce), c.bad)
		q := draw.Questions(d.log)
		by := &counted{Recompute: cached{t}}
		if _, err := q.Recompute(t.Context(), by, d.answer(t, q, 0), c.before); err != nil {
			t.Fatal(err)
		}
		if by.tiles != c.tiles || by.units != c.units {
			t.Errorf("%s: %d tiles and %d units recomputed, want %d and %d", c.name, by.tiles,
				by.units, c.tiles, c.units)
		}
	}
}

// cases are receipts of every kind, from real openings.
func cases(t *testing.T) map[string]Receipt {
	terms := testTerms(testNonce)
	draw := full(terms, testNonce)
	honest := newDevice(terms, nil)
	out := map[string]Receipt{
		"accepted": receipt(t, honest, draw, cached{t}),
		"light": receipt(t, honest, Draw{HostNonce: draw.HostNonce, AuditQ32: 0,
			Deadline: draw.Deadline}, cached{t}),
		"rejected": receipt(t, newDevice(terms, func(u,
			_ int) bool {
			return u >= 6
		}), draw, cached{t}),
	}
	// Changing a leaf changes the root and so the picks: forge until one is met.
	for i := range testLoops * 64 {
		d := newDevice(terms, func(u, j int) bool { return u*64+j == i })
		if r := receipt(t, d, draw, cached{t}); r.Outcome.Status == Faulty &&
			len(r.WrongTiles) == 1 && r.WrongSamples == nil {
			out["faulty"] = r
			break
		}
	}
	failed := out["accepted"]
	failed.Outcome, failed.Proved, failed.DeviceSignature = NoAnswer(), 0, nil
	failed.Sign(hostKey)
	out["failed"] = failed
	late := failed
	late.Outcome, late.Draw, late.Committed = TooLate(), nil, terms.Expiry+1
	late.Sign(hostKey)
	out["late"] = late
	return out
}

// Holds spec F-17, M-17.
func TestReceipt(t *testing.T) {
	all := cases(t)
	for name, want := range map[string]Outcome{
		"accepted": {Status: Accepted, Rounds: 1, Checked: 90, CreditedLoops: 12, Ops: 12 << 27,
			Pay: "1464843750000000"},
		"light": {Status: Accepted, Rounds: 1, Checked: 3, CreditedLoops: 12, Ops: 12 << 27,
			Pay: "1464843750000000"},
		"rejected": {Status: Rejected, Rounds: 1, Checked: 90, Pay: "0"},
		"faulty": {Status: Faulty, Rounds: 5, Checked: 450, CreditedLoops: 11, Ops: 11 << 27,
			Pay: "1342773437500000"},
		"failed": {Status: Failed, Pay: "0"},
		"late":   {Status: Late, Pay: "0"},
	} {
		r := all[name]
		got := r.Outcome
		if got.Status == Faulty && got.BadShare == 0 {
			t.Errorf("%s: no bound", name)
		}
		got.BadShare, got.Detection = 0, ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if err := r.Verify(t.Context(), cached{t}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		data, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseReceipt(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Errorf("%s through a file:\n%s", name, diff)
		}
	}
	if got := len(all["rejected"].WrongTiles); got != 3 {
		t.Errorf("a rejection lists %d wrong tiles, 3 decide", got)
	}
	if got := all["accepted"].Outcome.Detection; got != "0.993221" {
		t.Errorf("detection %s", got)
	}
}

// A host that cheats in a receipt is shown to cheat; what was altered by others
// shows nothing.
// Holds spec M-17.
func TestHostCheatsInReceipt(t *testing.T) {
	all := cases(t)
	right := func(r Receipt) TileOpening { // an opening that is asked and right
		d := newDevice(r.Terms, nil)
		return d.answer(t, r.Draw.Questions(d.log), 0).Tiles[0]
	}
	for name, c := range map[string]struct {
		of     string
		change func(*Receipt)
	}{
		"rejects without evidence": {"accepted",
			func(r *Receipt) { r.Outcome = all["rejected"].Outcome }},
		"rejects what is right": {"rejected",
			func(r *Receipt) { r.WrongTiles[1] = right(all["accepted"]) }},
		"rejects by two": {"rejected", func(r *Receipt) { r.WrongTiles = r.WrongTiles[:2] }},
		"counts one tile thrice": {"rejected", func(r *Receipt) {
			r.WrongTiles[1], r.WrongTiles[2] = r.WrongTiles[0], r.WrongTiles[0]
		}},
		"calls faulty fraud": {"faulty",
			func(r *Receipt) { r.Outcome = all["rejected"].Outcome }},
		"faulty without wrong tiles": {"faulty", func(r *Receipt) { r.WrongTiles = nil }},
		"asks on after deciding": {"faulty",
			func(r *Receipt) { r.Outcome = r.outcomeAfter(6) }},
		"stops before deciding":    {"faulty", func(r *Receipt) { r.Outcome.Rounds = 2 }},
		"pays less":                {"accepted", func(r *Receipt) { r.Outcome.Pay = "1" }},
		"credits less":             {"accepted", func(r *Receipt) { r.Outcome.CreditedLoops-- }},
		"checked more than it did": {"light", func(r *Receipt) { r.Outcome.Checked = 90 }},
		"prints more detection":    {"light", func(r *Receipt) { r.Outcome.Detection = "0.999" }},
		"a bound on the honest":    {"accepted", func(r *Receipt) { r.Outcome.BadShare = 1 }},
		"another nonce": {"accepted",
			func(r *Receipt) { d := *r.Draw; d.HostNonce[0]++; r.Draw = &d }},
		"late before the expiry":  {"late", func(r *Receipt) { r.Committed = r.Terms.Expiry }},
		"late and pays":           {"late", func(r *Receipt) { r.Outcome.Pay = "1" }},
		"accepted without a draw": {"accepted", func(r *Receipt) { r.Draw = nil }},
		"draws for a late one": {"accepted",
			func(r *Receipt) { r.Committed = r.Terms.Expiry + 1 }},
		"committed before the terms": {"accepted",
			func(r *Receipt) { r.Committed = r.Terms.Issued - 1 }},
		"no time to answer": {"failed", func(r *Receipt) {
			r.Committed = r.Draw.Deadline + 1 - 40_000
			d := *r.Draw
			d.Deadline = r.Committed - 1
			r.Draw = &d
		}},
		"failed with findings": {"failed",
			func(r *Receipt) { r.WrongTiles = all["rejected"].WrongTiles }},
		"proved before it committed": {"accepted", func(r *Receipt) { r.Proved = r.Committed - 1 }},
		"a loop not to be checked": {"rejected", func(r *Receipt) {
			d := newDevice(r.Terms, nil)
			for i := range uint64(testLoops) {
				s, err := d.log.OpenSample(&d.tree, i, matmul.Root(d.tiles[i]))
				if err != nil {
					t.Fatal(err)
				}
				r.WrongSamples = []Sample{s}
			}
		}},
	} {
		r := all[c.of]
		r.WrongTiles = append([]TileOpening(nil), r.WrongTiles...)
		c.change(&r)
		r.DeviceSignature = nil
		if err := r.Verify(t.Context(), cached{t}); !errors.Is(err, signed.ErrSignature) {
			t.Errorf("%s, not signed: %v", name, err)
		}
		r.Sign(hostKey)
		if err := r.Verify(t.Context(), cached{t}); !errors.Is(err, ErrHost) {
			t.Errorf("%s: %v, want that the host cheats", name, err)
		}
	}
	r := all["accepted"]
	for name, c := range map[string]struct {
		change func(*Receipt)
		want   error
	}{
		"terms' signature": {func(r *Receipt) { r.TermsSignature[0]++ }, signed.ErrSignature},
		"commit":           {func(r *Receipt) { r.Commit.Loops-- }, signed.ErrSignature},
		"commit by another": {func(r *Receipt) {
			r.CommitSignature = r.Log().Sign(otherKey)
		}, signed.ErrSignature},
		"countersignature": {func(r *Receipt) {
			s := r.Countersign(otherKey)
			r.DeviceSignature = &s
		}, signed.ErrSignature},
		"seed":    {func(r *Receipt) { r.Terms.Seed[0]++ }, ErrTerms},
		"loops":   {func(r *Receipt) { r.Commit.Loops = 0 }, ErrCommit},
		"version": {func(r *Receipt) { r.Version = "2" }, ErrFile},
		"status":  {func(r *Receipt) { r.Outcome.Status = "fine" }, ErrFile},
		"reason":  {func(r *Receipt) { r.Reason = "\x1b[31m" }, ErrFile},
	} {
		bad := r
		c.change(&bad)
		bad.HostSignature = signed.Sign(hostKey, bad.SignBytes())
		if err := bad.Verify(t.Context(), cached{t}); !errors.Is(err, c.want) ||
			errors.Is(err, ErrHost) {
			t.Errorf("another %s: %v, want %v", name, err, c.want)
		}
	}
	lost := errors.New("device lost")
	if err := all["rejected"].Verify(t.Context(), broken{lost}); !errors.Is(err, lost) ||
		errors.Is(err, ErrHost) {
		t.Errorf("an engine that fails: %v", err)
	}
}

// outcomeAfter is the outcome as it would be after so many rounds.
func (r Receipt) outcomeAfter(rounds uint32) Outcome {
	o, _ := r.Draw.Questions(r.Log()).Outcome(rounds, len(r.WrongSamples), len(r.WrongTiles))
	return o
}

type broken struct{ err error }

func (b broken) Tile(context.Context, seed.Seed, matmul.Shape, uint64, uint32) ([32]byte, error) {
	return [32]byte{}, b.err
}

func (b broken) Unit(context.Context, seed.Seed, matmul.Shape, uint64) ([32]byte, error) {
	return [32]byte{}, b.err
}

// A wrong unit among the samples starts the test also where picks miss it.
func TestWrongSampleStartsTheTest(t *testing.T) {
	q := full(testTerms(testNonce), testNonce).Questions(newDevice(testTerms(testNonce), nil).log)
	if _, decided := q.Outcome(1, 1, 0); decided {
		t.Error("a wrong sample decides after 90 clean tiles")
	}
	o, decided := q.Outcome(4, 1, 0)
	if !decided || o.Status != Faulty || o.CreditedLoops != 11 {
		t.Errorf("%+v, %v", o, decided)
	}
	if _, decided := q.Outcome(0, 0, 0); decided {
		t.Error("decided before looking")
	}
	// The whole log is checked, and the test cannot tell: nobody is convicted.
	if o, decided := q.Outcome(9, 0, 5); !decided || o.Status != Faulty || o.Checked != 768 {
		t.Errorf("%+v, %v", o, decided)
	}
}

func TestParseRefuses(t *testing.T) {
	terms := testTerms(testNonce)
	data, err := receipt(t, newDevice(terms, nil), full(terms, testNonce), cached{t}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, text := range map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "empty": "{}", "two": good + good,
		"bytes after":     good + "x",
		"unknown key":     strings.Replace(good, "{", `{"extra": 1,`, 1),
		"missing key":     strings.Replace(good, `"entry": 7,`, "", 1),
		"repeated key":    strings.Replace(good, `"entry": 7,`, `"entry": 7, "entry": 7,`, 1),
		"key in capitals": strings.Replace(good, `"entry"`, `"Entry"`, 1),
		"other order": strings.Replace(strings.Replace(good, `"entry": 7,`, "", 1), `"version"`,
			`"entry": 7, "version"`, 1),
		"empty list": strings.Replace(good, `"host_signature"`,
			`"wrong_tiles": [], "host_signature"`, 1),
		"null list": strings.Replace(good, `"host_signature"`,
			`"wrong_tiles": null, "host_signature"`, 1),
		"capital hex":  strings.Replace(good, "0x", "0X", 1),
		"ops a number": strings.Replace(good, `"ops": "1610612736"`, `"ops": 1610612736`, 1),
		"seconds":      strings.Replace(good, "14.21", "14.210", 1),
		"shape":        strings.Replace(good, "512x256x512", "256x256x1024", 1),
		"time":         strings.Replace(good, `"entry": 7`, `"entry": 9007199254740992`, 1),
		"status":       strings.Replace(good, `"accepted"`, `"excepted"`, 1),
		"far too long": good + strings.Repeat(" ", MaxFileSize),
	} {
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := ParseReceipt([]byte(text)); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseReceipt([]byte(strings.ReplaceAll(good, "\n", "\r\n\t"))); err != nil {
		t.Errorf("white space: %v", err)
	}
	if _, err := Parse(data); !errors.Is(err, ErrFile) {
		t.Errorf("a receipt read as evidence: %v", err)
	}
}

// A path may be empty, but not null.
func TestPathOfOneLeaf(t *testing.T) {
	terms := testTerms(testNonce)
	var tree commit.Log
	digest := [32]byte{1}
	tree.Append(terms.LeafHash(0, digest))
	l := Log{terms, Commit{Loops: 1, MerkleRoot: tree.Root()}}
	s, err := l.OpenSample(&tree, 0, digest)
	if err != nil || l.VerifySample(s) != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	e := Evidence{Version: EvidenceVersion, Claim: Honest, Terms: &SignedTerms{Terms: terms},
		Commit: &SignedCommit{Commit: l.Commit}, Sample: &s}
	data, err := e.Marshal()
	if err != nil || !bytes.Contains(data, []byte(`"proof": []`)) {
		t.Fatalf("%s, %v", data, err)
	}
	if _, err := Parse(bytes.Replace(data, []byte(`"proof": []`), []byte(`"proof": null`),
		1)); !errors.Is(err, ErrFile) {
		t.Errorf("null for a path: %v", err)
	}
}

func FuzzParseReceipt(f *testing.F) {
	terms := testTerms(testNonce)
	data, err := receipt(f, newDevice(terms, func(u,
		_ int) bool {
		return u > 5
	}), full(terms, testNonce), cached{}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":"assay-mpoc-receipt/1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		if err != nil {
			return
		}
		again, err := r.Marshal()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := ParseReceipt(again)
		if err != nil || !cmp.Equal(r, back) {
			t.Errorf("%+v became %+v, %v", r, back, err)
		}
		// Whatever it says, verifying it ends and never panics.
		_ = r.Verify(t.Context(), broken{context.Canceled})
	})
}

func FuzzParse(f *testing.F) {
	terms := testTerms(testNonce)
	d := newDevice(terms, nil)
	o, err := d.log.OpenTile(&d.tree, Pick{3, 5}, d.tiles[3])
	if err != nil {
		f.Fatal(err)
	}
	data, err := Evidence{
		Version: EvidenceVersion, Claim: Honest, Terms: &SignedTerms{terms, terms.Sign(hostKey)},
		Commit: &SignedCommit{d.log.Commit, d.log.Sign(deviceKey)}, Tile: &o,
	}.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":"assay-mpoc-evidence/1","claim":"two-terms"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		again, err := e.Marshal()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := Parse(again)
		if err != nil || !cmp.Equal(e, back) {
			t.Errorf("%+v became %+v, %v", e, back, err)
		}
		_, _ = e.Verify(t.Context(), broken{context.Canceled})
	})
}

func FuzzText(f *testing.F) {
	f.Add("0x00", "14.21", "512x256x512", "0")
	f.Fuzz(func(t *testing.T, hex, seconds, shape, amount string) {
		var h signed.Hash
		if h.UnmarshalText([]byte(hex)) == nil && h.String() != hex {
			t.Errorf("hash %q is written %v", hex, h)
		}
		var s Seconds
		if s.UnmarshalJSON([]byte(seconds)) == nil {
			var again Seconds
			if text, err := s.MarshalJSON(); err != nil || again.UnmarshalJSON(text) != nil ||
				again != s {
				t.Errorf("%q is %d and then %d", seconds, s, again)
			}
		}
		var sh Shape
		if sh.UnmarshalText([]byte(shape)) == nil && sh.String() != shape {
			t.Errorf("shape %q is written %v", shape, sh)
		}
		if a := Amount(amount); a.Valid() == nil && AmountOf(a.Big()) != a {
			t.Errorf("amount %q is written %s", a, AmountOf(a.Big()))
		}
	})
}
