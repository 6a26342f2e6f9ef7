// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// timed are the folders whose programs keep deadlines of others.
var timed = []string{"host/pool", "host/fleet", "host/gate", "host/leaflog", "host/batch"}

// dated are the files that need a date as a number, and why that is right.
var dated = []exception{
	{"host/pool/clock.go", ruleDate, "the one place that reads the wall clock, for what others " +
		"are shown"},
	{"host/pool/claims.go", ruleDate, "the date of an entry, which decides nothing"},
	{"host/pool/outcome.go", ruleDate, "the dates of entries and receipts, which decide nothing"},
}

func TestDeadlinesAreNotDates(t *testing.T) {
	var found []Finding
	fset := token.NewFileSet()
	for _, folder := range timed {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no files: %v", folder, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(fset, f, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, numbered(path.Join(folder, filepath.Base(f)), fset, file)...)
		}
	}
	left, unused := except(found, dated)
	for _, f := range left {
		t.Errorf("%s:%d: %s: take deadlines and ages from internal/clock, so that a clock that "+
			"is set makes nobody late", f.File, f.Line, f.What)
	}
	for _, e := range unused {
		t.Errorf("the exception of %s covers nothing any longer", e.File)
	}
}

func TestDatesFindsPlantedViolations(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "planted.go", "package planted\n\nimport "+
		"\"time\"\n\nfunc late(deadline int64) bool { return time.Now().UnixMilli() > deadline "+
		"}\n\nfunc at(n int64) time.Time { return time.Unix(n, 0) }\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := numbered("planted.go", fset, file); len(found) != 2 || found[0].Line != 5 ||
		found[1].Line != 7 {
		t.Errorf("found %+v", found)
	}
}
