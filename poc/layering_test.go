// SPDX-License-Identifier: Apache-2.0

package poc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "github.com/assaynet/assay/poc/"

// layers says which packages of ours each package may import.
var layers = map[string][]string{
	".": {"record", "signed", "seed", "document", "evidence", "delivery", "mpoc",
		"work", "work/transformer", "work/matmul"},
	"seed":             {},
	"prf":              {},
	"work/condense":    {},
	"work/quad":        {},
	"signed":           {},
	"record":           {"commit"},
	"commit":           {"signed"},
	"document":         {},
	"coin":             {},
	"work/transformer": {"record", "seed", "prf", "work/condense", "work/quad"},
	"work/matmul":      {"seed", "prf", "work/condense", "work/quad", "commit"},
	"work":             {"record", "seed", "work/transformer", "work/matmul"},
	"audit":            {"seed", "prf"},
	"credit":           {"audit"},
	"evidence":         {"record", "seed", "commit", "document", "work/transformer"},
	"mpoc":             {"seed", "commit", "document", "audit", "credit", "work/matmul", "signed"},
	"delivery":         {"record", "seed", "commit", "document", "audit", "work", "signed"},
}

// standard is what may be imported of the standard library: nothing that
// reaches a network, a file, a clock, the environment or randomness.
var standard = []string{
	"bytes", "cmp", "context", "crypto/ed25519", "crypto/sha256", "encoding/binary",
	"encoding/hex", "encoding/json",
	"errors", "fmt", "math", "math/big", "math/bits", "regexp", "slices", "strings", "unicode",
}

// complaints lists what is wrong with one file of package pkg.
func complaints(pkg string, f *ast.File) []string {
	var out []string
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		if ours, ok := strings.CutPrefix(path, root); ok {
			if !slices.Contains(layers[pkg], ours) {
				out = append(out, "imports "+ours+", which is not below it")
			}
		} else if !slices.Contains(standard, path) {
			out = append(out, "imports "+path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, "starts a goroutine")
		case *ast.Ident:
			if n.Name == "float32" || n.Name == "float64" {
				out = append(out, "uses "+n.Name)
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT {
				out = append(out, "uses the float "+n.Value)
			}
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				out = append(out, "has an init function")
			}
		}
		return true
	})
	return out
}

func TestLayering(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") ||
			strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		seen[pkg] = true
		if _, known := layers[pkg]; !known {
			t.Errorf("package %s has no place in the layers", pkg)
		}
		for _, c := range complaints(pkg, f) {
			t.Errorf("%s: %s", path, c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range layers {
		if !seen[pkg] {
			t.Errorf("no package %s", pkg)
		}
	}
}

// The guide in doc.go names every package, and each below those that it imports.
func TestTheGuideNamesEveryFloor(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	_, floors, _ := strings.Cut(f.Doc.Text(), "# The floors")
	place := map[string]int{}
	for i, line := range strings.Split(floors, "\n") {
		if name := strings.Fields(line); strings.HasPrefix(line, "\t") && len(name) > 1 {
			place[name[0]] = i
		}
	}
	for pkg, below := range layers {
		if _, named := place[pkg]; pkg != "." && !named {
			t.Errorf("the guide does not name %s", pkg)
		}
		for _, b := range below {
			if pkg != "." && place[b] > place[pkg] {
				t.Errorf("the guide has %s above %s, which it imports", pkg, b)
			}
		}
	}
	if len(place) != len(layers)-1 {
		t.Errorf("the guide names %d packages, there are %d", len(place), len(layers)-1)
	}
}

// The check finds what it is there to find.
func TestLayeringCanFail(t *testing.T) {
	const source = `package seed
import (
	"net/http"
	_ "math/rand/v2"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/host"
)
func init() { go http.Get("") }
var x float64 = 1.5
`
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if got := complaints("seed", f); len(got) != 8 {
		t.Errorf("%d complaints, want 8: %q", len(got), got)
	}
}
