// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

const ruleFile = "file"

// writers are the functions that make, change, replace or miss a file, by the package's import
// path. For OpenFile the flags decide.
var writers = map[string][]string{
	"os": {"WriteFile", "Create", "CreateTemp", "OpenFile", "Rename", "Link", "Truncate", "Mkdir",
		"MkdirAll", "CopyFS",
		"OpenRoot", "OpenInRoot"}, // an os.Root has methods for all of it
	"io/ioutil": {"WriteFile", "TempFile"},
	"io/fs":     {"Glob"},
	// writes nothing, and finds nothing below a folder named rig[12]: os.ReadDir
	"path/filepath": {"Glob"},
	"syscall": {"Open", "Creat", "Rename", "Link", "Truncate", "Flock",
		"CreateFile", "MoveFile"},
	"golang.org/x/sys/unix": {"Open", "Openat", "Creat", "Rename", "Renameat", "Renameat2",
		"Link", "Linkat", "Truncate", "Flock"},
	"golang.org/x/sys/windows": {"CreateFile", "MoveFile", "MoveFileEx"},
}

// writes finds where a file's code writes to the disk other than through internal/durable. It goes
// by the text alone, so that files for other systems are read too. name is what the findings call
// the file.
func writes(name string, fset *token.FileSet, file *ast.File) (found []Finding) {
	report := func(at ast.Node, what string) {
		found = append(found, Finding{File: name, Line: fset.Position(at.Pos()).Line,
			Rule: ruleFile, What: what})
	}
	packages := make(map[string]string) // import paths by the name in this file
	for _, i := range file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil || writers[path] == nil {
			continue
		}
		local := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			local = i.Name.Name
		}
		if local == "." {
			report(i, fmt.Sprintf("%s is imported without its name", path))
		}
		packages[local] = path
	}
	reading := make(map[ast.Node]bool) // OpenFile of calls that only read
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "OpenFile" &&
				len(n.Args) == 3 {
				flag, ok := n.Args[1].(*ast.SelectorExpr)
				reading[f] = ok && flag.Sel.Name == "O_RDONLY"
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok || reading[n] {
				return true
			}
			if path := packages[x.Name]; slices.Contains(writers[path], n.Sel.Name) {
				report(n, path+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}
