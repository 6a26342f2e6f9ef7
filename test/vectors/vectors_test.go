// SPDX-License-Identifier: Apache-2.0

// Package vectors checks the Go code against the published vectors next to it.
package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

var update = flag.Bool("update", false, "write the vectors instead of checking them")

// vector is one case of a file: out follows from in alone.
type vector[I, O any] struct {
	Name string `json:"name"`
	In   I      `json:"in"`
	Out  O      `json:"out"`
}

// document is one file.
type document[I, O any] struct {
	About string         `json:"about"`
	Cases []vector[I, O] `json:"cases"`
}

// given is an input by name, from which a case is generated.
type given[I any] struct {
	name string
	in   I
}

// check computes every case of a file from what the file says, and demands that
// the file has exactly the given inputs. With -update it writes the file.
func check[I, O any](t *testing.T, file, about string, inputs []given[I],
	compute func(testing.TB, I) O) {
	t.Helper()
	if *update {
		doc := document[I, O]{About: about}
		for _, g := range inputs {
			doc.Cases = append(doc.Cases, vector[I, O]{g.name, g.in, compute(t, g.in)})
		}
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(doc); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var doc document[I, O]
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if doc.About != about || len(doc.Cases) != len(inputs) {
		t.Errorf("%s: %d cases about %q, want %d about %q", file, len(doc.Cases),
			doc.About, len(inputs), about)
	}
	names := map[string]bool{}
	for i, c := range doc.Cases {
		if names[c.Name] {
			t.Errorf("%s: two cases %q", file, c.Name)
		}
		names[c.Name] = true
		if i < len(inputs) {
			if diff := cmp.Diff(inputs[i].in, c.In, cmpopts.EquateEmpty()); diff != "" ||
				inputs[i].name != c.Name {
				t.Errorf("%s: %s: the file's input is another one than %s:\n%s", file, c.Name,
					inputs[i].name, diff)
			}
		}
		if diff := cmp.Diff(c.Out, compute(t, c.In), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s (-file +code):\n%s", file, c.Name, diff)
		}
	}
}

// fault names the kind of an error as the vectors do.
func fault(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	for _, kind := range []struct {
		err  error
		name string
	}{
		{evidence.ErrFile, "file"}, {evidence.ErrClaim, "claim"},
		{mpoc.ErrHost, "host"}, {mpoc.ErrRegistration, "registration"}, {mpoc.ErrFile, "file"},
		{mpoc.ErrClaim, "claim"}, {mpoc.ErrTerms, "terms"}, {mpoc.ErrCommit, "commit"},
		{mpoc.ErrDraw, "draw"}, {signed.ErrSignature, "signature"}, {mpoc.ErrOpening, "opening"},
		{delivery.ErrFile, "file"}, {delivery.ErrClaim, "claim"},
		{delivery.ErrStatement, "statement"}, {signed.ErrSignature, "signature"},
		{commit.ErrStatement, "statement"}, {commit.ErrArchive, "archive"},
		{commit.ErrLeaf, "leaf"}, {commit.ErrSize, "size"}, {commit.ErrProof, "proof"},
		{matmul.ErrShape, "shape"}, {matmul.ErrTile, "tile"}, {seed.ErrSeed, "seed"},
		{vrf.ErrKey, "key"}, {vrf.ErrProof, "proof"},
	} {
		if errors.Is(err, kind.err) {
			return kind.name
		}
	}
	t.Fatalf("an error without a name: %v", err)
	return ""
}

// raw is a byte string in hex.
type raw []byte

func (r raw) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(r)), nil }

func (r *raw) UnmarshalText(text []byte) (err error) {
	*r, err = hex.DecodeString(string(text))
	return err
}

// hash is 32 bytes in hex.
type hash [32]byte

func (h hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

func (h *hash) UnmarshalText(text []byte) error { return (*seed.Seed)(h).UnmarshalText(text) }

func hashes(in []commit.Hash) []hash {
	out := make([]hash, len(in))
	for i := range in {
		out[i] = hash(in[i])
	}
	return out
}

func plain(in []hash) []commit.Hash {
	out := make([]commit.Hash, len(in))
	for i := range in {
		out[i] = commit.Hash(in[i])
	}
	return out
}

// counted is a seed that is easy to recognise: n, n+1, n+2, ...
func counted(n byte) (s seed.Seed) {
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}
