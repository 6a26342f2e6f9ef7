// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"go/ast"
	"go/token"
	"slices"
)

const ruleDate = "date"

// dates turn a moment into a number or back, and with that drop the monotonic clock.
var dates = []string{"Unix", "UnixMilli", "UnixMicro", "UnixNano"}

// numbered finds where a file's code reckons with dates as numbers. It goes by the text alone. name
// is what the findings call the file.
func numbered(name string, fset *token.FileSet, file *ast.File) (found []Finding) {
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(dates, s.Sel.Name) {
			found = append(found, Finding{File: name, Line: fset.Position(s.Pos()).Line,
				Rule: ruleDate, What: s.Sel.Name})
		}
		return true
	})
	return found
}
