// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
)

var update = flag.Bool("update", false, "write the vectors instead of checking them")

const verdictVectors = "../../../test/vectors/verdict.json"

type verdictIn struct {
	Chain string    `json:"chain"`
	Epoch uint64    `json:"epoch,string"`
	Voter string    `json:"voter"`
	Salt  seed.Seed `json:"salt"`
	Body  string    `json:"body"` // hex
}

type verdictOut struct {
	Votes      []int       `json:"votes,omitempty"`
	Mismatches [][2]uint32 `json:"mismatches,omitempty"` // duty and leaf
	Middles    string      `json:"middles,omitempty"`
	Commitment *seed.Seed  `json:"commitment,omitempty"`
	Error      string      `json:"error,omitempty"` // body: it is not how a verdict is written
}

type verdictCase struct {
	Name string     `json:"name"`
	In   verdictIn  `json:"in"`
	Out  verdictOut `json:"out"`
}

func (in verdictIn) out(t *testing.T) (out verdictOut) {
	t.Helper()
	raw, err := hex.DecodeString(in.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := readBody(raw)
	if err != nil {
		return verdictOut{Error: "body"}
	}
	for _, v := range body.Votes {
		out.Votes = append(out.Votes, int(v))
	}
	for _, m := range body.Mismatches {
		out.Mismatches = append(out.Mismatches, [2]uint32{m.Duty, m.Leaf})
	}
	out.Middles = hex.EncodeToString(body.Middles)
	commitment := seed.VerdictCommit(in.Chain, in.Epoch, 1, in.Voter, in.Salt, raw)
	out.Commitment = &commitment
	return out
}

// The bytes of a verdict and the commitment that hides it. A voter that writes another spelling
// reveals nothing that the chain takes. The file is written again by go test ./chain/x/sprint -run
// TestVerdictVectors -update.
// Holds spec S-18.
func TestVerdictVectors(t *testing.T) {
	pass, fail, abstain := byte(sprintv1.VotePass), byte(sprintv1.VoteFail),
		byte(sprintv1.VoteAbstain)
	root := bytes.Repeat([]byte{0xab}, 32)
	written := func(b sprintv1.VerdictBody) string {
		raw, err := b.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(raw)
	}
	votes := "0a03" + hex.EncodeToString([]byte{pass, fail, abstain})
	middles, name := "1a20"+hex.EncodeToString(root), "120408011002"
	var cases []verdictCase
	for _, c := range []struct{ name, body string }{
		{"votes, names, a root", written(sprintv1.VerdictBody{Votes: []byte{pass, fail, abstain},
			Middles: root,
			Mismatches: []sprintv1.Mismatch{{Duty: 0, Leaf: 7}, {Duty: 1, Leaf: 0},
				{Duty: 1, Leaf: 300}, {Duty: 1, Leaf: 1 << 31}}})},
		{"the same bytes by hand", votes + name + middles},
		{"a duty in the middle left out",
			written(sprintv1.VerdictBody{Votes: []byte{pass, 0, pass}, Middles: root})},
		{"abstentions", written(sprintv1.VerdictBody{Votes: []byte{abstain, abstain}})},
		{"nothing", ""},
		{"a field that nobody knows", votes + middles + "2001"},
		{"fields in another order", middles + votes},
		{"a field twice", votes + votes + middles},
		{"a name before the votes", name + votes + middles},
		{"a number of more bytes than it needs", votes + "12050881001002" + middles},
		{"a zero that is written", votes + "120408001002" + middles},
		{"an empty field that is written", votes + name + "1a00"},
		{"a name of another type", votes + "1001" + middles},
		{"cut", votes + middles[:20]},
	} {
		in := verdictIn{Chain: "assay-test", Epoch: 7, Voter: "cpc1voter",
			Salt: seed.From(bytes.Repeat([]byte{9}, 32)), Body: c.body}
		cases = append(cases, verdictCase{c.name, in, in.out(t)})
	}
	about := "verdicts as protobuf, and seed verdict over them (round 1); bytes that are no verdict"
	text, err := json.MarshalIndent(map[string]any{"about": about, "cases": cases}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(verdictVectors, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(verdictVectors)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(published), string(text)); diff != "" {
		t.Errorf("-published +code:\n%s", diff)
	}
	refused := slices.IndexFunc(cases, func(c verdictCase) bool { return c.Out.Error != "" })
	if refused != 5 || slices.ContainsFunc(cases[refused:],
		func(c verdictCase) bool { return c.Out.Error == "" }) {
		t.Errorf("the first five are verdicts, the others none: %+v", cases)
	}
}
