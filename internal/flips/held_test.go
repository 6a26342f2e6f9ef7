// SPDX-License-Identifier: Apache-2.0

package flips

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/kept"
)

// A kind of file counts as damaged by a test only where that test is there, damages, and sees that
// it was this kind.
func TestAKindCountsOnlyWhereItsTestDamagesIt(t *testing.T) {
	root := t.TempDir()
	text := `package a

func TestCovers(t *testing.T) {
	flips.Each(t, dir, 1, 1, nil, check).Covers(t, "a", table)
}

func TestSaw(t *testing.T) {
	flips.Each(t, dir, 1, 1, nil, check).Saw(t, "db")
}

func TestNothing(t *testing.T) {
	_ = "db"
}
`
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "a", "b", "x_test.go"), []byte(text),
		0o600); err != nil {
		t.Fatal(err)
	}
	for damaged, want := range map[string]string{
		"a/b.TestCovers":                "",
		"a/b.TestSaw":                   "",
		"a/b.TestNothing":               "damages nothing",
		"a/b.TestNone":                  "there is no TestNone",
		"a.TestCovers":                  "there is no TestCovers",
		"":                              "no test damages it",
		None:                            "the reason is missing",
		None + "for people; never read": "",
	} {
		if got := unheld(root, kept.Thing{Where: "data/db", Damaged: damaged}); want == "" &&
			got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", damaged, got, want)
		}
	}
	if got := unheld(root, kept.Thing{Where: "data/other",
		Damaged: "a/b.TestSaw"}); !strings.Contains(got, "nor Saw with other") {
		t.Errorf("another file: %q", got)
	}
	y := Tally{paths: map[string]bool{"data/7/x": true}}
	if !y.saw("data/*/*") || y.saw("data/*") {
		t.Error("what was damaged is not told by its path")
	}
}
