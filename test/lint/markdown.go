// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// widest is how many characters a line of prose may have: what two columns of an editor show.
const widest = 100

var (
	fence   = regexp.MustCompile("^\\s*```")
	linkTo  = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noMark  = regexp.MustCompile("[^a-z0-9 _-]")
)

// tooWide lists the lines of a Markdown text that are wider than prose may be. Tables, code, and a
// line that is one word or one link cannot be broken.
func tooWide(text string) (lines []int) {
	inCode := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case fence.MatchString(line):
			inCode = !inCode
		case inCode, strings.HasPrefix(line, "    "), strings.HasPrefix(line, "|"):
		case utf8.RuneCountInString(line) > widest &&
			strings.ContainsAny(linkTo.ReplaceAllString(strings.TrimLeft(line, " -*"), ""), " "):
			lines = append(lines, i+1)
		}
	}
	return lines
}

// dead lists the links of a page that lead nowhere: to a file that is not there, to a heading that
// a page does not have, or to a name that a Go file does not declare. page is its path below root.
func dead(root, page, text string) (found []string) {
	for i, line := range strings.Split(text, "\n") {
		for _, m := range linkTo.FindAllStringSubmatch(line, -1) {
			target, fragment, _ := strings.Cut(m[2], "#")
			if strings.Contains(m[2], "://") || strings.HasPrefix(m[2], "mailto:") {
				continue
			}
			to := page
			if target != "" {
				to = path.Join(path.Dir(page), target)
			}
			if why := leads(filepath.Join(root, filepath.FromSlash(to)), fragment); why != "" {
				found = append(found, fmt.Sprintf("%s:%d: %s: %s", page, i+1, m[2], why))
			}
		}
	}
	return found
}

// leads says why a link to a place in a file leads nowhere.
func leads(file, fragment string) string {
	raw, err := os.ReadFile(file)
	if info, e := os.Stat(file); e == nil && info.IsDir() && fragment == "" {
		return ""
	}
	switch {
	case err != nil:
		return "there is no such file"
	case fragment == "":
		return ""
	case strings.HasSuffix(file, ".go"):
		f, err := parser.ParseFile(token.NewFileSet(), file, raw, parser.SkipObjectResolution)
		if err != nil {
			return err.Error()
		}
		if !declares(f, fragment) {
			return "the file declares no " + fragment
		}
	case strings.HasSuffix(file, ".md"):
		for _, h := range heading.FindAllStringSubmatch(string(raw), -1) {
			if anchor(h[1]) == fragment {
				return ""
			}
		}
		return "the page has no such heading"
	}
	return ""
}

// anchor is what a forge makes of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(noMark.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// declares reports whether a file declares a function, a method, a type, a constant or a variable.
func declares(f *ast.File, name string) bool {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == name {
				return true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.Name == name {
						return true
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.Name == name {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

// unnamed lists the folders that a text does not name between backquotes.
func unnamed(text string, folders []string) (missing []string) {
	for _, f := range folders {
		if !strings.Contains(text, "`"+f+"`") && !strings.Contains(text, "`"+f+"/`") {
			missing = append(missing, f)
		}
	}
	return missing
}
