// SPDX-License-Identifier: Apache-2.0

package poc_test

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// published are documents of the test vectors, by name.
func published(t testing.TB, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../test/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			Name string
			In   json.RawMessage // the file, or an object with it
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, c := range v.Cases {
		var in struct{ File string }
		if json.Unmarshal(c.In, &in.File) != nil {
			if err := json.Unmarshal(c.In, &in); err != nil {
				t.Fatal(err)
			}
		}
		files[c.Name] = in.File
	}
	return files
}

// The list of formats is the law's, in both directions.
// Holds spec F-7.
func TestOpenReadsEveryVersionOfTheLaw(t *testing.T) {
	page, err := os.ReadFile("../docs/spec/files.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`assay-[^|]*) \\|").FindAllStringSubmatch(
		string(page), -1) {
		names := regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[1], -1)
		for _, name := range names {
			if strings.HasPrefix(name[1], "/") { // an older version of the first
				name[1] = strings.Split(names[0][1], "/")[0] + name[1]
			}
			want = append(want, name[1])
		}
	}
	if got := slices.Sorted(slices.Values(poc.Versions())); len(want) < 8 ||
		!slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%q, and the law has %q", got, want)
	}
}

// Every kind of document goes in by the front door, and says what it proves, what it assumed and
// what it cost.
func TestEveryKindOfDocumentSaysWhatItProvesAssumedAndCost(t *testing.T) {
	leaf, handed, out, loops, paid := published(t, "evidence.json"),
		published(t, "delivery_files.json"), published(t, "left_out.json"),
		published(t, "mpoc_files.json"), published(t, "mpoc_transfer.json")
	nano, tile := poc.Cost{Work: "transformer/1", Spec: "nano", Units: 1, Ops: 1 << 25,
		Memory: 4 << 20}, poc.Cost{Work: "matmul/1", Spec: "512x256x512", Tiles: 1,
		Plain: true, Ops: 1 << 21}
	wrong := func(n int) poc.Cost {
		c := nano
		c.Units, c.Ops, c.Plain = n, uint64(n)<<25, true
		return c
	}
	tiles := func(n int) poc.Cost {
		c := tile
		c.Tiles, c.Ops = n, uint64(n)<<21
		return c
	}
	seen := map[poc.Kind]bool{}
	for name, c := range map[string]struct {
		text    string
		kind    poc.Kind
		claim   string
		proven  bool
		accuses string // "", "host" or "device"
		proves  string // part of it
		assumed string // part of one of the assumptions
		cost    poc.Cost
	}{
		"a forged leaf": {leaf["forged digest"], poc.KindEvidence, "forged", false, "",
			"digest is not the unit's", "seeds, which that key signed, are the epoch's", nano},
		"an honest leaf": {leaf["honest"], poc.KindEvidence, "honest", false, "",
			"is what the unit gives", "is the participant's", nano},
		"version 1": {leaf["version 1"], poc.KindEvidence, "honest", false, "",
			"is what the unit gives", "Seed_1 of the epoch", nano},
		"a receipt for leaves": {handed["a receipt"], poc.KindLeafReceipt, "received", true, "",
			"the host has", "whose the host key", poc.Cost{}},
		"wrong leaves": {handed["fraud"], poc.KindLeafEvidence, "fraud", true, "device",
			"no faulty device explains", "seeds are the epoch's", wrong(3)},
		"a faulty machine": {handed["a faulty device"], poc.KindLeafEvidence, "faulty", true,
			"", "as a faulty device has it", "whose the host key", wrong(1)},
		"a log left out": {out["fraud"], poc.KindLeftOut, "fraud", true, "device",
			"no faulty device explains", "whose the host key", wrong(3)},
		"accepted loops": {loops["accepted"], poc.KindReceipt, "accepted", true, "", "all right",
			"the tiles which the host calls right", poc.Cost{}},
		"rejected loops": {loops["rejected"], poc.KindReceipt, "rejected", true, "device",
			"no faulty device explains", "whose the host key", tiles(3)},
		"no answer": {loops["failed"], poc.KindReceipt, "failed", true, "", "nobody can check that",
			"did not answer in time", poc.Cost{}},
		"a forged tile": {loops["forged"], poc.KindLoopEvidence, "forged", true, "device",
			"is not what the work gives", "whose the host key", tile},
		"two answers of a host": {loops["two draws"], poc.KindLoopEvidence, "two-draws", true,
			"host", "two different draws", "whose the host key", poc.Cost{}},
		"a payment": {paid["as a file"], poc.KindTransfer, "stated", true, "",
			"if that chain does not have it", "the chain has the transaction", poc.Cost{}},
	} {
		d, err := poc.Open([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := d.Verify(t.Context(), nil, poc.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		seen[d.Kind()] = true
		if d.Kind() != c.kind || r.Kind != c.kind || r.Claim != c.claim || r.Proven != c.proven ||
			!strings.Contains(r.Proves, c.proves) {
			t.Errorf("%s: %+v", name, r)
		}
		if !slices.ContainsFunc(r.Assumed,
			func(what string) bool { return strings.Contains(what, c.assumed) }) {
			t.Errorf("%s assumes %q, and not %q", name, r.Assumed, c.assumed)
		}
		if diff := cmp.Diff(c.cost, d.Cost()) + cmp.Diff(c.cost, r.Cost); diff != "" {
			t.Errorf("%s costs:\n%s", name, diff)
		}
		if accused := r.Accused != ""; accused != (c.accuses != "") || accused &&
			r.Host != (c.accuses == "host") {
			t.Errorf("%s accuses %q, the host: %v", name, r.Accused, r.Host)
		}
	}
	for _, kind := range []poc.Kind{poc.KindEvidence, poc.KindLeafReceipt, poc.KindLeafEvidence,
		poc.KindLeftOut, poc.KindReceipt, poc.KindLoopEvidence, poc.KindTransfer} {
		if !seen[kind] {
			t.Errorf("no document of the kind %q was verified", kind)
		}
	}
}

// What does not hold proves nothing, and of a host that cheats it is said who did.
// Holds spec F-16 and F-17.
func TestADocumentThatDoesNotHoldProvesNothing(t *testing.T) {
	handed, loops, out := published(t, "delivery_files.json"), published(t, "mpoc_files.json"),
		published(t, "left_out.json")
	for name, c := range map[string]struct {
		text    string
		want    error
		accuses bool
	}{
		"another host's name": {handed["a receipt with another epoch"],
			signed.ErrSignature, false},
		"a host's word":           {out["the host's word"], poc.ErrNothing, false},
		"a leaf that is right":    {handed["an honest log"], delivery.ErrClaim, false},
		"a rejection without why": {loops["rejected without evidence"], mpoc.ErrHost, true},
		"the opposite": {published(t, "evidence.json")["honest, claimed forged"],
			evidence.ErrClaim, false},
	} {
		d, err := poc.Open([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r, err := d.Verify(t.Context(), nil, poc.Options{}); !errors.Is(err, c.want) ||
			r.Proven || (r.Accused != "") != c.accuses || r.Host != c.accuses {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// With what a chain keeps of the epoch evidence is proven, and against anything else it is refused.
// Holds spec F-10.
func TestAnAnchorProvesEvidenceOrRefutesIt(t *testing.T) {
	open := func(text string) poc.Document {
		d, err := poc.Open([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	forged := open(published(t, "evidence.json")["forged digest"]).(*poc.Evidence)
	anchor, err := forged.File.Anchor()
	if err != nil {
		t.Fatal(err)
	}
	r, err := forged.Verify(t.Context(), nil, poc.Options{Anchor: &anchor})
	if err != nil || !r.Proven || len(r.Assumed) != 0 || r.Accused != forged.File.HostKey ||
		!r.Host {
		t.Errorf("%+v, %v", r, err)
	}
	for what, change := range map[string]func(*poc.Anchor){
		"chain": func(a *poc.Anchor) {
			a.Chain += "x"
		}, "epoch": func(a *poc.Anchor) {
			a.Epoch++
		}, "class": func(a *poc.Anchor) { a.Class = "small" },
		"Seed_1": func(a *poc.Anchor) {
			a.Seed1[0] ^= 1
		}, "segment seed": func(a *poc.Anchor) { a.SegmentSeed[31] ^= 1 },
		"number of commits": func(a *poc.Anchor) {
			a.Commits++
		}, "root": func(a *poc.Anchor) { a.Root[0] ^= 1 },
	} {
		other := anchor
		change(&other)
		if r, err := forged.Verify(t.Context(), nil, poc.Options{Anchor: &other}); !errors.Is(err,
			poc.ErrAnchor) || !strings.Contains(err.Error(), what) || r.Proven || r.Accused != "" {
			t.Errorf("another %s: %+v, %v", what, r, err)
		}
	}
	first := open(published(t, "evidence.json")["version 1"])
	if r, err := first.Verify(t.Context(), nil, poc.Options{Anchor: &anchor}); err != nil ||
		r.Proven || !r.Unbound {
		t.Errorf("version 1: %+v, %v", r, err)
	}
	handed := open(published(t, "delivery_files.json")["fraud"]).(*poc.LeafEvidence)
	o := handed.File.Order
	of := poc.Anchor{Chain: o.Chain, Epoch: o.Epoch, Class: o.Class, Seed1: o.Seed1,
		SegmentSeed: o.SegmentSeed, Commits: 9}
	if r, err := handed.Verify(t.Context(), nil, poc.Options{Anchor: &of}); err != nil ||
		!r.Proven || len(r.Assumed) != 1 {
		t.Errorf("leaves of the epoch: %+v, %v", r, err)
	}
	of.Seed1[0] ^= 1
	if r, err := handed.Verify(t.Context(), nil, poc.Options{Anchor: &of}); !errors.Is(err,
		poc.ErrAnchor) || r.Proven || r.Accused != "" {
		t.Errorf("leaves of another epoch: %+v, %v", r, err)
	}
	for _, loops := range []string{published(t, "mpoc_files.json")["accepted"],
		published(t, "mpoc_files.json")["forged"],
		published(t, "mpoc_transfer.json")["as a file"]} {
		if r, err := open(loops).Verify(t.Context(), nil,
			poc.Options{Anchor: &anchor}); !errors.Is(err, poc.ErrAnchor) || r.Proven {
			t.Errorf("loops, which no chain knows: %+v, %v", r, err)
		}
	}
}

// What is no document is refused with its fault, and of which kind it would be.
func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	receipt := published(t, "mpoc_files.json")["accepted"]
	for name, c := range map[string]struct {
		text string
		kind poc.Kind
		says string
	}{
		"nothing": {"", "", "unexpected end"},
		"no JSON": {"leaf 5 is forged", "", "invalid character"},
		"another's file": {`{"version":"assay-worker-receipts/3"}`, "",
			"of no kind that proves something"},
		"no version":       {`{}`, "", "of no kind that proves something"},
		"a future version": {`{"version":"assay-evidence/9"}`, "", "assay-evidence/9"},
		"a key too many": {strings.Replace(receipt, "{", `{"x": 1,`, 1), poc.KindReceipt,
			"keys unknown"},
		"keys in other order": {`{"claim":"forged","version":"assay-evidence/2"}`, poc.KindEvidence,
			"keys unknown"},
		"too long": {receipt + strings.Repeat(" ", poc.MaxSize), poc.KindReceipt, "at most"},
	} {
		d, err := poc.Open([]byte(c.text))
		var fault *poc.OpenError
		if d != nil || !errors.Is(err, poc.ErrDocument) || !errors.As(err, &fault) ||
			fault.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}
