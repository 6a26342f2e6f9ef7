// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Anyone who knows one module of the chain finds the same things in the same files of every other.
var anatomy = []struct {
	file string
	// declarations that live there and nowhere else in a module; nil: the file is in every module
	of *regexp.Regexp
}{
	{"doc.go", regexp.MustCompile(`(?m)^// Package \w`)},
	{"module.go", regexp.MustCompile(`ConsensusVersion\(\)`)},
	{"keeper.go", regexp.MustCompile(`(?m)^type Keeper struct`)},
	{"genesis.go", regexp.MustCompile(`(?m)^func \(k \*Keeper\) (Init|Export)Genesis\(`)},
	{"keys.go", regexp.MustCompile(`(?m)^\s*(const Name = |prefix\w+ += collections\.NewPrefix)`)},
	{"errors.go", regexp.MustCompile(`errorsmod\.Register\(`)},
	{"msgs.go", regexp.MustCompile(`(?m)^var _ \w+\.MsgServer =|^type msgServer `)},
	{"queries.go",
		regexp.MustCompile(`(?m)^var _ \w+\.QueryServer =|^type (queryServer|queries) `)},
	{"params.go", regexp.MustCompile(`(?m)^func DefaultParams\(`)},
}

// misplaced names declarations of a module, by file, that stand in another file than its own.
func misplaced(module string, files map[string]string) (found []string) {
	for name, text := range files {
		for _, part := range anatomy {
			if name != part.file && part.of.MatchString(text) {
				found = append(found, fmt.Sprintf("%s/%s has what belongs into %s",
					module, name, part.file))
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestModulesHaveOneAnatomy(t *testing.T) {
	const root = "../../chain/x"
	modules, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		files := map[string]string{}
		list, err := filepath.Glob(filepath.Join(root, m.Name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range list {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(path)] = string(raw)
		}
		for _, must := range []string{"doc.go", "module.go", "keeper.go", "genesis.go", "keys.go"} {
			if _, there := files[must]; !there {
				t.Errorf("x/%s has no %s", m.Name(), must)
			}
		}
		for _, wrong := range misplaced(m.Name(), files) {
			t.Error(wrong)
		}
	}
	planted := map[string]string{"keeper.go": "type Keeper struct {}\nvar ErrX = " +
		"errorsmod.Register(Name, 2, \"x\")", "keys.go": "const Name = \"x\"\n"}
	if diff := cmp.Diff([]string{"x/keeper.go has what belongs into errors.go"},
		misplaced("x", planted)); diff != "" {
		t.Error(diff)
	}
}
