// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every rule of docs/spec has vectors, or a reason why none are needed, in the list of
// test/vectors/README.md.
func TestEveryRuleHasVectors(t *testing.T) {
	l := newLaw()
	pages, err := filepath.Glob("../../docs/spec/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	for _, p := range pages {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		l.page(filepath.Base(p), string(raw))
	}
	files, err := filepath.Glob("../vectors/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files of vectors: %v", len(files), err)
	}
	all := published{}
	for _, p := range files {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Cases []struct{ Name string } }
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		for _, c := range f.Cases {
			all[filepath.Base(p)] = append(all[filepath.Base(p)], c.Name)
		}
	}
	readme, err := os.ReadFile("../vectors/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range l.vectors(string(readme), all) {
		t.Errorf("test/vectors/README.md: %s", fault)
	}
}

func TestTheListOfVectorsIsRead(t *testing.T) {
	l := newLaw()
	l.rules = map[string]string{"Q-1": "q.md", "Q-2": "q.md", "Q-3": "q.md",
		"Q-4": "q.md", "Q-5": "q.md"}
	files := published{"a.json": {"one", "two, or three"}, "b.json": {"one"}, "c.json": {"one"}}
	got := l.vectors("| rules | vectors |\n"+
		"| Q-1, Q-2 | `a.json` \"one\", \"two, or three\", \"four\"; `d.json` |\n"+
		"| Q-2 | none: state |\n"+
		"| Q-3 | none: it is dull |\n"+
		"| Q-4 | `b.json` |\n"+
		"| Q-6 | none: principle (a reason) |\n", files)
	want := []string{
		"c.json shows no rule",
		"line 2: a.json has no case \"four\"",
		"line 2: there is no file d.json",
		"line 3: rule Q-2 is listed twice",
		"line 4: \"none: it is dull\" names no file, and not why there is none",
		"line 6: there is no rule Q-6",
		"rule Q-5 of docs/spec/q.md is not in the list: name the vectors that show it, or why " +
			"there are none",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
