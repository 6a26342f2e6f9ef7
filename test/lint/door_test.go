// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A page in a browser can hold the whole verifier library.
func TestTheVerifierLibraryBuildsForWebAssembly(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go here to build with")
	}
	cmd := exec.Command(tool, "build", "./poc/...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// versioned are the packages whose constants name versions of documents.
var versioned = []string{"evidence", "delivery", "mpoc"}

// doors are the lines of a file that choose by a document's version.
func doors(fset *token.FileSet, file *ast.File) (lines []int) {
	names := func(e ast.Expr) bool {
		s, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := s.X.(*ast.Ident)
		return ok && slices.Contains(versioned, pkg.Name) &&
			strings.HasSuffix(strings.TrimRight(s.Sel.Name, "0123456789"), "Version")
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			if slices.ContainsFunc(n.List, names) {
				lines = append(lines, fset.Position(n.Pos()).Line)
			}
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (names(n.X) || names(n.Y)) {
				lines = append(lines, fset.Position(n.Pos()).Line)
			}
		}
		return true
	})
	return lines
}

// Which document a file is, poc.Open says: nothing else chooses by its version.
// Holds spec F-7.
func TestOneFrontDoorChoosesByVersion(t *testing.T) {
	tree(t, func(name, text string) {
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range doors(fset, file) {
			t.Errorf("%s:%d chooses by a document's version: open it with poc.Open, and choose "+
				"by its type", name, line)
		}
	})
}

func TestOneFrontDoorFindsPlantedSwitches(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "planted.go", `package planted

func kind(v string) int {
	switch v {
	case mpoc.ReceiptVersion:
		return 1
	}
	if v == evidence.Version1 {
		return 2
	}
	f := delivery.LeftOutFile{Version: delivery.LeftOutVersion} // writing is no choice
	return len(f.Version)
}
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if lines := doors(fset, file); !slices.Equal(lines, []int{5, 8}) {
		t.Errorf("found lines %v", lines)
	}
}
