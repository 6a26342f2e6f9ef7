// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// named are the folders whose packages ARCHITECTURE.md names one by one.
var named = []string{"poc", "device", "worker", "host", "chain", "verify", "internal"}

// pages gives every Markdown text of the module.
func pages(t *testing.T, visit func(name, text string)) {
	t.Helper()
	n := 0
	tree(t, func(name, text string) {
		if filepath.Ext(name) == ".md" && !strings.HasPrefix(name, "dist/") {
			n++
			visit(name, text)
		}
	})
	rules, err := filepath.Glob("../../docs/spec/*.md") // which tree leaves out
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rules {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		n++
		visit("docs/spec/"+filepath.Base(p), string(raw))
	}
	if n < 15 {
		t.Fatalf("%d pages", n)
	}
}

func TestProseIsOneHundredColumnsWide(t *testing.T) {
	pages(t, func(name, text string) {
		for _, line := range tooWide(text) {
			t.Errorf("%s:%d: prose is wrapped at %d characters; tables, code and links are not",
				name, line, widest)
		}
	})
}

func TestLinksLeadSomewhere(t *testing.T) {
	pages(t, func(name, text string) {
		for _, d := range dead("../..", name, text) {
			t.Error(d)
		}
	})
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	tree(t, func(name, _ string) {
		folder := path.Dir(name)
		top, _, below := strings.Cut(folder, "/")
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			strings.Contains(folder, "/_") || strings.Contains(folder, "testdata") ||
			below && !slices.Contains(named, top) || slices.Contains(folders, folder) {
			return
		}
		folders = append(folders, folder)
	})
	if len(folders) < 60 {
		t.Fatalf("%d packages", len(folders))
	}
	for _, f := range unnamed(string(text), folders) {
		t.Errorf("ARCHITECTURE.md does not name `%s`", f)
	}
}

// A walk has one file a step, and no file twice in a row would hide one.
func TestAStepOfAWalkIsOneFile(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, walks, found := strings.Cut(string(text), "\n## A walk through the code\n")
	walks, _, _ = strings.Cut(walks, "\n## ")
	steps := 0
	for line := range strings.Lines(walks) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| step ") {
			continue
		}
		steps++
		if links := linkTo.FindAllStringSubmatch(line, -1); len(links) != 1 ||
			!strings.Contains(links[0][2], ".go#") {
			t.Errorf("not one file and name: %s", line)
		}
	}
	if !found || strings.Count(walks, "\n### ") != 4 || steps < 30 {
		t.Errorf("%d walks with %d steps", strings.Count(walks, "\n### "), steps)
	}
}

func TestMarkdownFindsPlantedViolations(t *testing.T) {
	long := strings.Repeat("word ", 21)
	text := "# A page\n\n" + long + "\n\n| " + long + "|\n\n    " + long + "\n\n```\n" + long +
		"\n```\n\n* " + long +
		"\n[" + strings.Repeat("x", 99) + "](a.md)\n" + strings.Repeat("é",
		99) + "\n" + strings.Repeat("é ", 51) + "\n"
	if got := tooWide(text); !slices.Equal(got, []int{3, 13, 16}) {
		t.Errorf("too wide: %v", got)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.md": "# A page: with (marks), and `code`\n",
		"b.go": "package b\n\ntype Kind int\n\nconst One, Two = 1, 2\n\nfunc (Kind) Method() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := "[one](../a.md) [two](../b.go#Kind) [three](../b.go#Method) [four](../b.go#Two) " +
		"[five](../a.md#a-page-with-marks-and-code)\n" +
		"[six](https://example.org/x#y) [seven](#here) " +
		"[eight](..)\n[nine](../c.md)\n[ten](../b.go#Kin)\n[eleven](../a.md#a-page)\n"
	if err := os.Mkdir(filepath.Join(dir, "docs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "docs", "p.md"), []byte("# Here\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"docs/p.md:3: ../c.md: there is no such file",
		"docs/p.md:4: ../b.go#Kin: the file declares no Kin",
		"docs/p.md:5: ../a.md#a-page: the page has no such heading",
	}
	if got := dead(dir, "docs/p.md", page); !slices.Equal(got, want) {
		t.Errorf("dead links: %q", got)
	}
	if got := unnamed("`host` and `host/fleet`, and `poc/`",
		[]string{"host", "host/fleet", "host/fl", "poc", "worker"}); !slices.Equal(got,
		[]string{"host/fl", "worker"}) {
		t.Errorf("unnamed: %q", got)
	}
}
