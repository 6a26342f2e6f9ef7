// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"errors"
	"strings"
	"testing"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// A verdict is held against what fell to its voter. A fail must rest on names enough, which the
// chain recomputes: so a false one cannot be had for nothing (C3, C8).
// Holds spec A-9, S-19.
func TestCheckVerdict(t *testing.T) {
	duties := fuzzDuties()
	const none, pass, fail, abstain = byte(sprintv1.VoteUnspecified), byte(sprintv1.VotePass),
		byte(sprintv1.VoteFail), byte(sprintv1.VoteAbstain)
	root := make([]byte, 32)
	names := func(pairs ...uint32) (out []sprintv1.Mismatch) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, sprintv1.Mismatch{Duty: pairs[i], Leaf: pairs[i+1]})
		}
		return out
	}
	many := make([]sprintv1.Mismatch, maxVerdictMismatch+1)
	for _, c := range []struct {
		name string
		body sprintv1.VerdictBody
		want string // "" is taken
	}{
		{"two pass", sprintv1.VerdictBody{Votes: []byte{pass, pass}, Middles: root}, ""},
		{"the last is left out", sprintv1.VerdictBody{Votes: []byte{pass}, Middles: root}, ""},
		{"the first is left out", sprintv1.VerdictBody{Votes: []byte{none, pass}, Middles: root},
			""},
		{"all are left out", sprintv1.VerdictBody{}, ""},
		{"abstentions judge nothing", sprintv1.VerdictBody{Votes: []byte{abstain, abstain}}, ""},
		{"a pass that names one", sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: names(0, 3),
			Middles: root}, ""},
		{"a fail with one wrong leaf of each node", sprintv1.VerdictBody{Votes: []byte{pass, fail},
			Mismatches: names(1, 2, 1, 7), Middles: root}, ""},
		{"a bad machine is passed without",
			sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: names(0, 0, 0, 1, 0, 2, 0, 3),
				Middles: root}, ""},
		{"four of each node", sprintv1.VerdictBody{Votes: []byte{fail},
			Mismatches: names(0, 0, 0, 1, 0, 2, 0, 3, 0, 6, 0, 7, 0, 8, 0, 9), Middles: root}, ""},

		{"more votes than duties", sprintv1.VerdictBody{Votes: []byte{pass, pass, pass},
			Middles: root}, "3 votes on 2 duties"},
		{"one spelling of silence", sprintv1.VerdictBody{Votes: []byte{pass, none}, Middles: root},
			"left out at the end"},
		{"an unknown vote", sprintv1.VerdictBody{Votes: []byte{9}}, "unknown"},
		{"a fail without names", sprintv1.VerdictBody{Votes: []byte{fail}, Middles: root},
			"must name what it rests on"},
		{"a fail on one flipped bit",
			sprintv1.VerdictBody{Votes: []byte{fail}, Mismatches: names(0, 1), Middles: root},
			"must name what it rests on"},
		{"a fail on one bad machine of two",
			sprintv1.VerdictBody{Votes: []byte{fail}, Mismatches: names(0, 1, 0, 5), Middles: root},
			"names 2 leaves"},
		{"an abstention that accuses", sprintv1.VerdictBody{Votes: []byte{abstain},
			Mismatches: names(0, 1)}, "names leaves"},
		{"silence that accuses", sprintv1.VerdictBody{Votes: []byte{none, pass},
			Mismatches: names(0, 1), Middles: root}, "names leaves"},
		{"five of a node", sprintv1.VerdictBody{Votes: []byte{fail},
			Mismatches: names(0, 0, 0, 1, 0, 2, 0, 3, 0, 4), Middles: root}, "more than 4"},
		{"one twice", sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: names(0, 3, 0, 3),
			Middles: root}, "rising"},
		{"falling", sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: names(0, 3, 0, 2),
			Middles: root}, "rising"},
		{"duties falling", sprintv1.VerdictBody{Votes: []byte{pass, pass},
			Mismatches: names(1, 3, 0, 2), Middles: root}, "out of order"},
		{"a leaf that did not fall to it",
			sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: names(0, 12), Middles: root},
			"which has 12"},
		{"a name without a vote", sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: names(1, 0),
			Middles: root}, "no vote"},
		{"too many names", sprintv1.VerdictBody{Votes: []byte{pass}, Mismatches: many,
			Middles: root}, "at most 4096"},
		{"judged without a root", sprintv1.VerdictBody{Votes: []byte{pass}}, "want 32"},
		{"a root of nothing", sprintv1.VerdictBody{Votes: []byte{abstain}, Middles: root},
			"none where nothing is judged"},
		{"a short root", sprintv1.VerdictBody{Votes: []byte{pass}, Middles: root[1:]}, "want 32"},
	} {
		_, err := checked(c.body, duties)
		if c.want == "" && err != nil || c.want != "" &&
			(err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	broken := errors.New("broken")
	unreadable := func(int) (sprintv1.Duty, []courtv1.LeafRef, error) {
		return sprintv1.Duty{}, nil, broken
	}
	_, err := checkVerdict(ruleOf(DefaultParams()),
		sprintv1.VerdictBody{Votes: []byte{fail}, Middles: root}, owes(duties), unreadable)
	if !errors.Is(err, broken) {
		t.Errorf("state that cannot be read: %v", err)
	}
}

// A fail is measured by all leaves drawn of the target, as the chain measures it in the end, not by
// the voter's part: of 12 leaves on two nodes two wrong are beyond hardware, of 200 it takes three.
// Holds spec A-9, S-19.
func TestAFailIsMeasuredByAllThatWasDrawn(t *testing.T) {
	duties := fuzzDuties()
	body := sprintv1.VerdictBody{Votes: []byte{byte(sprintv1.VoteFail)},
		Mismatches: []sprintv1.Mismatch{{Leaf: 0}, {Leaf: 6}}, Middles: make([]byte, 32)}
	if _, err := checked(body, duties); err != nil {
		t.Errorf("two of 12: %v", err)
	}
	var drawn []courtv1.LeafRef
	for nonce := range uint64(200) {
		drawn = append(drawn, courtv1.LeafRef{Participant: "cpc1a", Node: "gpu-1",
			Segment: 1, Nonce: nonce})
	}
	of := func(i int) (sprintv1.Duty, []courtv1.LeafRef, error) { return duties[i], drawn, nil }
	if _, err := checkVerdict(ruleOf(DefaultParams()), body, owes(duties), of); err == nil {
		t.Error("two of 200 are taken for a fail")
	}
}
