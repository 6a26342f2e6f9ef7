// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	// maxColumns is how wide a line of code or prose is at most, a tab being 4 columns.
	maxColumns = 100
	// maxFunction is how many lines a function has at most, maxStory how many a test has: a test
	// tells a story in its order, and the rows of its table are lines too.
	maxFunction, maxStory = 80, 120
)

// longer are functions that may be longer, and why.
var longer = map[string]string{
	"cmd/assay/cli.initParticipantCommand":             "the text of its help",
	"cmd/assay/cli.initGenesisCommand":                 "the text of its help",
	"device/cpu/internal/simd/_asm/amd64.expand":       "straight-line code of a generator",
	"device/cpu/internal/simd/_asm/arm64.expand":       "straight-line code of a generator",
	"device/cpu/internal/simd/_asm/amd64.condenseWide": "straight-line code of a generator",
	"device/cuda/internal/ptx.joins": "one pass over a graph, whose state is " +
		"all of it",
	"host.gauges":    "a table",
	"host/gate.Read": "one loop with one lock",
	"host/pool.New": "the parts of a pool, in the order in " +
		"which they open",
	"host/pool.Proof": "one ladder of refusals, in the order of the law",
	"verify.folder":   "one loop over files, whose sum is all of it",
	"worker.snapshot": "a table from state to words",

	// tests whose table or story is longer
	"chain/app.TestC13OneVoteCannotKillTheChain":                "its table",
	"chain/x/registry.TestRegisterRefuses":                      "its table",
	"device/cuda/internal/ptx.TestFaults":                       "its table",
	"host/ledger.TestConservation":                              "a model beside the ledger",
	"host.TestAForgedLogStaysOut":                               "its table",
	"host/settle.TestNoOrderPaysTwice":                          "a model beside the settler",
	"poc/seed.TestArgumentsMatter":                              "its table",
	"test/network.TestStrangersAtAPool":                         "a network's story",
	"test/network.TestAWrongInputIsOneSentence":                 "its table",
	"test/sim.TestAFloodedNetworkGoesOn":                        "a network's story",
	"test/sim.TestVerdictBodiesRefused":                         "its table",
	"test/vectors.TestEvidence":                                 "its table",
	"test/vectors.TestMPoCFiles":                                "its table",
	"verify/state.TestC23CheckFollowsEveryStep":                 "its table",
	"worker/monitor.TestBothDocumentsHoldTheNumbersOfOneStatus": "its table",
}

// said are words that we do not use, and what we say instead: one word per thing, and plain ones.
var said = []struct {
	word    *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\btells? whether\b`), "reports whether"},
	{regexp.MustCompile(`\banew\b`), "again"},
	{regexp.MustCompile(`\bany more\b`), "no longer, any longer"},
	{regexp.MustCompile(`\bquarrel`), "dispute"},
	{regexp.MustCompile(`\b[Bb]esides\b`), "also, except"},
	{regexp.MustCompile(`\b(is|are|was|were|be) looked at\b`), "is checked, is sampled, is audited"},
	{regexp.MustCompile(`\bWhoever\b`), "anyone who, or the role: the operator, a member"},
	{regexp.MustCompile(`\bartefacts?\b`), "record, leaf"},
}

// wide names lines of Go text that are too wide. A line may be so where one literal alone fills it,
// as the bytes of a vector do, where it lies within a raw string, and where a comment shows a
// picture or code.
func wide(name string, src []byte) (found []string) {
	free, output := map[int]bool{}, -1
	fs := token.NewFileSet()
	f := fs.AddFile(name, fs.Base(), len(src))
	var s scanner.Scanner
	s.Init(f, src, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		line := f.Line(pos)
		switch {
		case tok == token.STRING && lit[0] == '`':
			for i := range strings.Count(lit, "\n") + 1 {
				free[line+i] = true
			}
		case tok == token.STRING && utf8.RuneCountInString(lit) > maxColumns/2:
			free[line] = free[line] ||
				!strings.Contains(strings.TrimSpace(strings.Trim(lit, `"`)), " ")
		case tok == token.COMMENT && (line == output+1 || strings.HasPrefix(lit, "// Output:")):
			free[line], output = true, line // what an example prints, to its last line
		case tok == token.COMMENT && (strings.HasPrefix(lit, "//\t") ||
			strings.HasPrefix(lit, "//go:") || strings.HasPrefix(lit, "//lint:")):
			free[line] = true
		}
	}
	for i, line := range strings.Split(string(src), "\n") {
		if n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t"); n > maxColumns &&
			!free[i+1] {
			found = append(found, fmt.Sprintf("%s:%d has %d columns", name, i+1, n))
		}
	}
	return found
}

// long names functions that are too long; those that may be are noted in seen.
func long(name string, src []byte, seen map[string]bool) (found []string, err error) {
	fs := token.NewFileSet()
	f, err := parser.ParseFile(fs, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	most := maxFunction
	if strings.HasSuffix(name, "_test.go") {
		most = maxStory
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := fs.Position(fn.End()).Line - fs.Position(fn.Pos()).Line + 1
		if key := filepath.ToSlash(filepath.Dir(name)) + "." + fn.Name.Name; n > most {
			seen[key] = true
			if longer[key] == "" {
				found = append(found, fmt.Sprintf("%s has %d lines", key, n))
			}
		}
	}
	return found, nil
}

// unwanted names words of a text that we do not use.
func unwanted(name string, src []byte) (found []string) {
	for i, line := range strings.Split(string(src), "\n") {
		for _, w := range said {
			if m := w.word.FindString(line); m != "" {
				found = append(found,
					fmt.Sprintf("%s:%d says %q; write: %s", name, i+1, m, w.instead))
			}
		}
	}
	return found
}

func TestStyle(t *testing.T) {
	seen := map[string]bool{}
	check := func(name, text string) {
		if strings.Contains(name, ".pb.") || name == "test/lint/style_test.go" {
			return
		}
		src := []byte(text)
		found := unwanted(name, src)
		if strings.HasSuffix(name, ".go") && !strings.HasPrefix(text, "// Code generated") {
			found = append(found, wide(name, src)...)
			lengths, err := long(name, src, seen)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, lengths...)
		}
		for _, what := range found {
			t.Error(what)
		}
	}
	tree(t, func(name, text string) {
		switch filepath.Ext(name) {
		case ".go", ".proto", ".py":
			check(name, text)
		}
	})
	pages(t, check)
	for key := range longer {
		if !seen[key] {
			t.Errorf("%s is not too long any longer; take it off the list", key)
		}
	}
}

func TestStyleFindsPlantedFaults(t *testing.T) {
	hex := `"` + strings.Repeat("ab", 60) + `"`
	src := "package x\n\nvar a = " + hex + "\nvar b = f(" + strings.Repeat("x, ",
		40) + "y)\nfunc f() {" + strings.Repeat("\n", 81) + "}\n// f tells whether it is drawn " +
		"anew.\n"
	got := wide("x/x.go", []byte(src))
	lengths, err := long("x/x.go", []byte(src), map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	got = append(append(got, lengths...), unwanted("x/x.go", []byte(src))...)
	want := []string{"x/x.go:4 has 132 columns", "x.f has 82 lines",
		`x/x.go:87 says "tells whether"; write: reports whether`,
		`x/x.go:87 says "anew"; write: again`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
