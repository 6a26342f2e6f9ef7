// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// consensus is the code whose results every node has to agree on. The rest of
// chain/ makes folders, runs processes and reads command lines.
var consensus = []string{"./chain/x/...", "./chain/app", "./chain/paging", "./chain/table",
	"./chain/vrf", "./poc/..."}

// exceptions, each with the reason why it cannot reach the state.
var exceptions = []exception{
	{"chain/app/identity.go", ruleOS, "reads the node's own keys when it starts"},
	{"chain/app/app.go", ruleMap, "makes a map of modules for the command line"},
	{"chain/app/app.go", ruleJSON, "reads the genesis into parts by module, which are read by " +
		"the SDK's codec in a fixed order"},
	{"chain/app/mempool.go", ruleMap, "what waits on a node is no state, and equals are ordered " +
		"by sender"},
	{"poc/mpoc/*", ruleJSON, "receipts and evidence between a host and its machines are JSON; " +
		"the chain reads none"},
	{"poc/open.go", ruleJSON,
		"says what a document is, which is a JSON file; the chain opens none"},
	{"poc/document/*", ruleJSON, "evidence and receipts are JSON files for people and other " +
		"languages; the chain reads none"},
	{"chain/app/export.go", ruleJSON, "writes a genesis file from a stopped node"},
}

// listed is what go list tells about a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// load type-checks packages of this module from source, with what they import
// taken from the compiler's export data.
func load(t *testing.T, patterns ...string) (found []Finding) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps",
		"-json=ImportPath,Dir,Export,GoFiles,DepOnly"}, patterns...)...)
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p listed
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			packages = append(packages, p)
		}
	}
	if len(packages) < 10 {
		t.Fatalf("go list shows %d packages only", len(packages))
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser,
		error) {
		return os.Open(exports[path])
	})
	for _, p := range packages {
		var files []*ast.File
		var names []string
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			below, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			files, names = append(files, f), append(names, filepath.ToSlash(below))
		}
		found = append(found, check(t, p.ImportPath, fset, from, files, names)...)
	}
	return found
}

func check(t *testing.T, path string, fset *token.FileSet, from types.Importer, files []*ast.File,
	names []string) (found []Finding) {
	t.Helper()
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue),
		Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: from}
	if _, err := config.Check(path, fset, files, info); err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		found = append(found, inspect(names[i], fset, f, info)...)
	}
	return found
}

func TestConsensusIsDeterministic(t *testing.T) {
	left, unused := except(load(t, consensus...), exceptions)
	for _, f := range left {
		t.Errorf("%s:%d: %s: %s", f.File, f.Line, f.Rule, f.What)
	}
	for _, e := range unused {
		t.Errorf("the exception of %s for %s covers nothing any longer", e.File, e.Rule)
	}
}

// planted breaks every rule once per marked line.
const planted = `package planted

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

type state map[string]int

var ratio float64 // float

const big = 1e9 // an integer wherever it is used as one

func f(m map[string]int, s state, in chan int, all []int) (n int, err error) {
	for range m { // map order
	}
	for k := range s { // map order
		_ = k
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		n += len(k)
	}
	for k := range maps.Keys(m) { // map order
		_ = k
	}
	_ = slices.Collect(maps.Values(m)) // map order
	for range all {
	}
	n += int(math.Sqrt(2)) // float
	n += int(uint64(big))
	x := time.Now() // clock
	_ = time.Second
	_ = x.Unix()
	go func() {}() // goroutine
	select { // goroutine
	default:
	}
	in <- 1 // goroutine
	n += <-in // goroutine
	for range in { // goroutine
	}
	_ = os.Getenv("HOME") // environment
	n += runtime.NumCPU() // environment
	_, err = rand.Read(nil) // randomness
	var raw json.RawMessage
	return n, json.Unmarshal(raw, &n) // json
}
`

func TestDeterminismFindsPlantedViolations(t *testing.T) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "planted.go", planted, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i, line := range strings.Split(planted, "\n") {
		for _, rule := range []string{ruleFloat, ruleMap, ruleClock, ruleGoroutine, ruleOS,
			ruleRandom, ruleJSON} {
			if strings.HasSuffix(line, "// "+rule) {
				want = append(want, fmt.Sprintf("%d %s", i+1, rule))
			}
		}
	}
	seen := make(map[string]bool)
	for _, found := range check(t, "planted", fset, importer.ForCompiler(fset, "source", nil),
		[]*ast.File{f}, []string{"planted.go"}) {
		line := fmt.Sprintf("%d %s", found.Line, found.Rule)
		if !seen[line] {
			seen[line] = true
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExceptionsCoverWhatTheyName(t *testing.T) {
	found := []Finding{{File: "a/b.go", Rule: ruleOS}, {File: "a/c.go", Rule: ruleOS},
		{File: "a/b.go", Rule: ruleMap}}
	left, unused := except(found, []exception{{"a/b.go", ruleOS, ""}, {"a/*", ruleClock, ""}})
	if diff := cmp.Diff(found[1:], left); diff != "" {
		t.Error(diff)
	}
	if len(unused) != 1 || unused[0].Rule != ruleClock {
		t.Errorf("unused: %v", unused)
	}
}
