// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inPlace are the files that write by themselves, and why that is right.
var inPlace = []exception{
	{"internal/durable/*", ruleFile, "the place for it"},
	{"device/cpu/internal/simd/_asm/*", ruleFile, "a generator writes source into the tree"},
	{"worker/cli/doctor.go", ruleFile, "a probe: can this user open the device, does the disk " +
		"take a file; nothing is kept"},
	{"device/telemetry/sysfs.go", ruleFile, "patterns below /sys, whose folders nobody names"},
	{"chain/node/exit.go", ruleFile, "a probe: does the disk take a file; nothing is kept"},
	{"internal/flips/flips.go", ruleFile, "damages files, for tests"},
	{"internal/fulldisk/mount_linux.go", ruleFile, "fills disks, for tests"},
	{"localnet/crew/process.go", ruleFile, "a child's output goes straight to its log"},
}

// Every file of the tree, whatever system it is for, tests left out.
// Holds spec H-6.
func TestFilesAreWrittenDurably(t *testing.T) {
	var found []Finding
	fset := token.NewFileSet()
	files := 0
	const root = "../.."
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root &&
			(strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata"):
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files++
		found = append(found, writes(filepath.ToSlash(below), fset, file)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 200 {
		t.Fatalf("the tree has %d files only", files)
	}
	left, unused := except(found, inPlace)
	for _, f := range left {
		t.Errorf("%s:%d: %s: use internal/durable, so that a crash leaves the old file or the "+
			"new one", f.File, f.Line, f.What)
	}
	for _, e := range unused {
		t.Errorf("the exception of %s covers nothing any longer", e.File)
	}
}

const plantedWrites = `package planted

import (
	"io/fs"
	"os"
	"path/filepath"
	sys "syscall"

	"golang.org/x/sys/windows"
)

type saver struct{ write func(string, []byte, os.FileMode) error }

func save(path string, flag int) error {
	if _, err := os.ReadFile(path); err != nil {
		return err
	}
	_, _ = os.Open(path)
	_, _ = os.OpenFile(path, os.O_RDONLY, 0)
	_, _ = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600) // os.OpenFile
	_, _ = os.OpenFile(path, flag, 0) // os.OpenFile
	_, _ = os.Create(path) // os.Create
	_ = saver{write: os.WriteFile} // os.WriteFile
	_ = os.Rename(path+".new", path) // os.Rename
	_ = os.Remove(path)
	_, _ = os.MkdirTemp("", "")
	_, _ = filepath.Glob(filepath.Join(path, "*.json")) // path/filepath.Glob
	_, _ = fs.Glob(os.DirFS(path), "*.json") // io/fs.Glob
	_ = sys.Flock(0, 0) // syscall.Flock
	_ = windows.MoveFileEx(nil, nil, 0) // golang.org/x/sys/windows.MoveFileEx
	return os.MkdirAll(path, 0o700) // os.MkdirAll
}
`

func TestFilesFindsPlantedViolations(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "planted.go", plantedWrites, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i, line := range strings.Split(plantedWrites, "\n") {
		if _, rule, marked := strings.Cut(line, "// "); marked {
			want = append(want, fmt.Sprintf("%d: %s", i+1, rule))
		}
	}
	for _, f := range writes("planted.go", fset, file) {
		got = append(got, fmt.Sprintf("%d: %s", f.Line, f.What))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	file, err = parser.ParseFile(fset, "dot.go", "package planted\nimport . \"os\"\nvar _ = "+
		"WriteFile\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := writes("dot.go", fset, file); len(found) != 1 {
		t.Errorf("a nameless import: %v", found)
	}
}
