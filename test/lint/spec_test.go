// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notHeld are rules that no test holds yet, and why.
var notHeld = map[string]string{}

// read are the endings of files that may cite rules.
var read = []string{".go", ".md", ".proto", ".yaml", ".cu", ".cl", ".py", ".js", ".sh", ".toml"}

func TestSpec(t *testing.T) {
	l := newLaw()
	pages, err := filepath.Glob("../../docs/spec/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	index, texts := "", map[string]string{}
	for _, p := range pages {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(p)] = string(raw)
		l.page(filepath.Base(p), string(raw))
		if filepath.Base(p) == "README.md" {
			index = string(raw)
		}
	}
	for _, p := range pages {
		name := filepath.Base(p)
		l.within(name, texts[name])
		if name != "README.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/spec/README.md does not list %s", name)
		}
	}
	tree(t, func(name, text string) { l.cites(name, text) })
	for _, f := range l.faults {
		t.Error(f)
	}
	for _, rule := range l.untested() {
		if notHeld[rule] == "" {
			t.Errorf("no test cites rule %s of docs/spec/%s: cite it as \"spec %s\" above the "+
				"test that fails when it is broken", rule, l.rules[rule], rule)
		}
	}
	for rule := range notHeld {
		if l.tested[rule] || l.rules[rule] == "" {
			t.Errorf("rule %s is listed as not held, and a test cites it, or it does not exist",
				rule)
		}
	}
}

// The law is in the tree: no text points to documents that are not.
func TestNothingPointsOutside(t *testing.T) {
	tree(t, func(name, text string) {
		for i, line := range strings.Split(text, "\n") {
			for _, word := range []string{"DES" + "IGN", "see" + "d 00", "not" + "es/"} {
				if strings.Contains(line, word) {
					t.Errorf("%s:%d: %q is not in this tree; cite a rule of docs/spec",
						name, i+1, word)
				}
			}
		}
	})
}

// crypto/ed25519 takes keys under which anyone can sign; poc/signed does not: spec C-15.
func TestSignaturesHaveOneAnswer(t *testing.T) {
	tree(t, func(name, text string) {
		if strings.HasSuffix(name, "_test.go") || filepath.Ext(name) != ".go" ||
			name == "poc/signed/verify.go" {
			return
		}
		for i, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "ed25519.Verify") {
				t.Errorf("%s:%d: check signatures with poc/signed, which takes one spelling and "+
					"no key of small order", name, i+1)
			}
		}
	})
}

// tree gives every text of the module outside docs/spec.
func tree(t *testing.T, visit func(name, text string)) {
	t.Helper()
	n := 0
	if err := filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("../..", p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && name != "." || name == "docs/spec" ||
				d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains(read, filepath.Ext(name)) {
			return nil
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		n++
		visit(name, string(raw))
		return nil
	}); err != nil || n < 500 {
		t.Fatalf("%d files: %v", n, err)
	}
}

func newLaw() *law {
	return &law{rules: map[string]string{}, count: map[string]int{}, tested: map[string]bool{}}
}

func TestSpecFindsPlantedViolations(t *testing.T) {
	l := newLaw()
	l.page("a.md", "# A page (Q)\n\n**Q-1. One.** See Q-9 and SHA-256.\n**Q-2. Two.**\n**Q-4. "+
		"Four.**\n**R-1. Of another page.**\n**Q-1. Again.**\n")
	l.within("a.md", "See Q-9 and SHA-256, Z-1.")
	l.cites("b.go", "// sp"+"ec Q-1, Q-2\n// the sp"+"ec Q-7")
	l.cites("b_test.go", "// sp"+"ec Q-2 and Q-1 hold")
	want := []string{
		"a.md:5: rule Q-4 follows Q-2", "a.md:6: rule R-1 is on a page",
		"a.md:7: rule Q-1 is defined in a.md already", "a.md:7: rule Q-1 follows Q-2",
		"a.md:1: there is no rule Q-9", "b.go:2: there is no rule Q-7",
	}
	if len(l.faults) != len(want) {
		t.Errorf("found %q", l.faults)
	}
	for _, w := range want {
		if !slices.ContainsFunc(l.faults, func(f string) bool { return strings.HasPrefix(f, w) }) {
			t.Errorf("not found: %s; found %q", w, l.faults)
		}
	}
	if got := l.untested(); !slices.Equal(got, []string{"Q-4", "R-1"}) {
		t.Errorf("untested: %q", got)
	}
}
