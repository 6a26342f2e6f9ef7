// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// Finding is one thing in consensus code that machines may disagree on.
type Finding struct {
	// File below the module, and line.
	File string
	Line int
	// Rule that it breaks, as in the list of exceptions.
	Rule string
	What string
}

// The rules.
const (
	ruleFloat     = "float"
	ruleMap       = "map order"
	ruleClock     = "clock"
	ruleGoroutine = "goroutine"
	ruleOS        = "environment"
	ruleRandom    = "randomness"
	ruleJSON      = "json"
)

// forbidden packages, whose use of any kind breaks a rule.
var forbidden = map[string]string{
	"os": ruleOS, "os/exec": ruleOS, "os/user": ruleOS, "runtime": ruleOS, "net": ruleOS,
	"syscall": ruleOS, "io/fs": ruleOS,
	"math/rand": ruleRandom, "math/rand/v2": ruleRandom, "crypto/rand": ruleRandom,
	"hash/maphash": ruleRandom,
	"math/cmplx":   ruleFloat,
}

// clocks are what of package time depends on when it is called.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick",
	"NewTimer", "NewTicker"}

// iterators of package maps give a map's entries in its own order; wrapped at
// once in a sorting function of package slices they are harmless.
var (
	iterators = []string{"Keys", "Values", "All"}
	sorters   = []string{"Sorted", "SortedFunc", "SortedStableFunc"}
)

// jsonTypes are names of encoding/json that do not encode anything.
var jsonTypes = []string{"RawMessage"}

// inspect finds what breaks a rule in one type-checked file. name is what the
// findings call the file.
func inspect(name string, fset *token.FileSet, file *ast.File, info *types.Info) (found []Finding) {
	report := func(at ast.Node, rule, format string, args ...any) {
		found = append(found, Finding{File: name, Line: fset.Position(at.Pos()).Line, Rule: rule,
			What: fmt.Sprintf(format, args...)})
	}
	sorted := make(map[ast.Node]bool) // calls whose order a sorting function takes away
	ast.Inspect(file, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && floats(info, e) {
			report(n, ruleFloat, "%s is floating point", types.ExprString(e))
			return false
		}
		switch n := n.(type) {
		case *ast.RangeStmt:
			if t := info.TypeOf(n.X); t != nil {
				switch t.Underlying().(type) {
				case *types.Map:
					report(n, ruleMap, "range over %s", types.ExprString(n.X))
				case *types.Chan:
					report(n, ruleGoroutine, "range over channel %s", types.ExprString(n.X))
				}
			}
		case *ast.GoStmt:
			report(n, ruleGoroutine, "go statement")
		case *ast.SelectStmt:
			report(n, ruleGoroutine, "select statement")
		case *ast.SendStmt:
			report(n, ruleGoroutine, "send on a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				report(n, ruleGoroutine, "receive from a channel")
			}
		case *ast.CallExpr:
			if pkg, fn := callee(info, n); pkg == "slices" && slices.Contains(sorters, fn) &&
				len(n.Args) > 0 {
				if inner, ok := n.Args[0].(*ast.CallExpr); ok {
					sorted[inner] = true
				}
			}
			if pkg, fn := callee(info, n); pkg == "maps" && slices.Contains(iterators, fn) &&
				!sorted[n] {
				report(n, ruleMap, "maps.%s without sorting", fn)
			}
		case *ast.Ident:
			pkg, fn := origin(info.Uses[n])
			rule, bad := forbidden[pkg]
			switch {
			case bad:
				report(n, rule, "%s.%s", pkg, fn)
			case pkg == "time" && slices.Contains(clocks, fn):
				report(n, ruleClock, "time.%s", fn)
			case pkg == "encoding/json" && !slices.Contains(jsonTypes, fn):
				report(n, ruleJSON, "json.%s", fn)
			}
		}
		return true
	})
	return found
}

// floats reports whether an expression's value is of a floating-point or complex
// type. A constant such as 1e9 that becomes an integer is none.
func floats(info *types.Info, e ast.Expr) bool {
	tv, ok := info.Types[e]
	if !ok || tv.Type == nil {
		return false
	}
	basic, ok := tv.Type.Underlying().(*types.Basic)
	if !ok || basic.Info()&(types.IsFloat|types.IsComplex) == 0 {
		return false
	}
	return !(basic.Info()&types.IsUntyped != 0 && tv.Value != nil &&
		constant.ToInt(tv.Value).Kind() == constant.Int)
}

// origin is the package and name of a package-level object that an identifier uses.
func origin(object types.Object) (pkg, name string) {
	if object == nil || object.Pkg() == nil || object.Parent() != object.Pkg().Scope() {
		return "", ""
	}
	return object.Pkg().Path(), object.Name()
}

// callee is the package-level function that a call calls.
func callee(info *types.Info, call *ast.CallExpr) (pkg, name string) {
	fun := call.Fun
	for {
		switch f := fun.(type) {
		case *ast.ParenExpr:
			fun = f.X
		case *ast.IndexExpr:
			fun = f.X
		case *ast.IndexListExpr:
			fun = f.X
		case *ast.SelectorExpr:
			return origin(info.Uses[f.Sel])
		case *ast.Ident:
			return origin(info.Uses[f])
		default:
			return "", ""
		}
	}
}

// exception is a place that may break a rule.
type exception struct {
	// File below the module; a trailing * stands for any rest.
	File, Rule, Why string
}

// except takes out of the findings what an exception covers, and names the
// exceptions that cover nothing.
func except(found []Finding, exceptions []exception) (left []Finding, unused []exception) {
	used := make([]bool, len(exceptions))
	for _, f := range found {
		covered := false
		for i, e := range exceptions {
			if e.Rule != f.Rule {
				continue
			}
			prefix, open := strings.CutSuffix(e.File, "*")
			if e.File == f.File || open && strings.HasPrefix(f.File, prefix) {
				covered, used[i] = true, true
			}
		}
		if !covered {
			left = append(left, f)
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			unused = append(unused, e)
		}
	}
	return left, unused
}
