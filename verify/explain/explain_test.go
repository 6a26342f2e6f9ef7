// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/audit"
)

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := New()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append([]string{"explain"}, args...))
	err := cmd.Execute()
	return out.String(), err
}

func TestExplain(t *testing.T) {
	text, err := run(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"has 192000 tiles. 5 % of them forged are 9600.", "forging 5 % is detected with 99.0122 %",
		"f =  1 %   k = 459", "f =  5 %   k = 90", "f = 10 %   k = 44", "f = 20 %   k = 21",
		"f = 50 %   k = 7",
		"X =  1 forged samples   0.300", "X =  2 forged samples   0.533",
		"X =  3 forged samples   0.708", "X =  4 forged samples   0.833",
		"X =  5 forged samples   0.917", "X =  6 forged samples   0.967",
		"X =  7 forged samples   0.992", "X =  8 forged samples   1.000",
		"X = 10 forged samples   1.000", "X is 0 whatever it forged", "rule is s = 30 samples",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	text, err = run(t, "--loops", "1000", "--shape", "8192x8192x8192", "--picks", "459", "--share",
		"0.5", "--target", "99.9999", "--samples", "20", "--audited", "5", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got Answer
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := Answer{
		Question: Question{1000, "8192x8192x8192", 20, 5, 459, "0.5", "99.9999"},
		Tiles:    16_384_000, Forged: 81_920, Detected: "89.982 %", RuleS: 10,
		Chosen: "0 %", Adaptive: rule,
		KFor: []K{{"1", 1375}, {"5", 270}, {"10", 132}, {"20", 62}, {"50", 20}},
	}
	formula := got.Formula
	got.Formula, got.Security = nil, Budget{} // tested beside it
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(formula) != 10 || formula[0].Detected != "0.250" { // m/s
		t.Errorf("%+v", formula)
	}
	if text, err := run(t, "--target", "100"); err != nil ||
		!strings.Contains(text, "f =  1 %   more than 4096") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestExplainRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--loops", "0"}, {"--loops", "100001"}, {"--shape", "1x1x1"}, {"--samples", "0"},
		{"--audited", "11"}, {"--audited", "0"}, {"--picks", "0"},
		{"--picks", "4097"}, {"--share", "0"}, {"--share", "101"}, {"--share", "-1"},
		{"--share", "1e1"}, {"--share", "5."}, {"--share", ""}, {"--target", "0.0000001"},
	} {
		if _, err := run(t, args...); !errors.Is(err, ErrFlag) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Percentages are rounded down: nothing is promised that is not so.
func TestPercentagesAreRoundedDown(t *testing.T) {
	for q, want := range map[audit.Q64]string{0: "0 %", audit.One: "100 %",
		audit.One - 1: "99.9999 %", 1 << 63: "50 %", 1: "0 %", 1<<62 + 1<<60: "31.25 %"} {
		if got := show(q); got != want {
			t.Errorf("%d: %s, want %s", q, got, want)
		}
	}
}
