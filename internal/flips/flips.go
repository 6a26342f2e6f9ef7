// SPDX-License-Identifier: Apache-2.0

// Package flips damages files as disks and memory do, for tests: one bit is another, or a file ends
// early. What a program makes of such a folder must be what it made of the whole one, or an error
// that names the file and the next step; it must not panic, nor take what is wrong for what was
// there.
package flips

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/kept"
)

// few is how many flips a test makes in an ordinary run, with a tenth as many cuts.
const few = 100

// Damage is what was done to one file.
type Damage struct {
	// Path below the folder, with slashes.
	Path string
	// Cut reports that the file ends at At; else bit At%8 of byte At/8 is another.
	Cut bool
	At  int
	// Was and Is are the file's content, before and after.
	Was, Is []byte
}

func (d Damage) String() string {
	if d.Cut {
		return fmt.Sprintf("%s cut to %d of %d bytes", d.Path, d.At, len(d.Was))
	}
	return fmt.Sprintf("%s, bit %d of byte %d: %q is %q", d.Path, d.At%8, d.At/8,
		d.Was[d.At/8], d.Is[d.At/8])
}

// Space reports that the file differs in white space at most.
func (d Damage) Space() bool {
	return bytes.Equal(bytes.Join(bytes.Fields(d.Was), nil), bytes.Join(bytes.Fields(d.Is), nil))
}

// Explains reports an error that names the damaged file and says what to do.
func (d Damage) Explains(err error, next ...string) bool {
	text := err.Error()
	return strings.Contains(text, filepath.Base(filepath.FromSlash(d.Path))) &&
		slices.ContainsFunc(next, func(n string) bool { return strings.Contains(text, n) })
}

// Outcome is what a program made of a damaged folder.
type Outcome int

// The outcomes. A check returns another error for whatever is none of them.
const (
	// Unchanged: as of the whole folder. The damage is where nothing is decided, or was set right.
	Unchanged Outcome = iota
	// Refused: an error that names the file and the next step.
	Refused
	// Mended: it goes on with less, and the damaged file was named.
	Mended
)

// Tally is what a test has tried.
type Tally struct {
	flips, cuts int
	outcomes    [3]int
	paths       map[string]bool
}

// Covers fails a test that has left alone a kind of file which a table says it damages. Package is
// the test's, below the module.
func (y Tally) Covers(t *testing.T, pkg string, table []kept.Thing) {
	t.Helper()
	mine := 0
	for _, thing := range table {
		if thing.Damaged != pkg+"."+t.Name() {
			continue
		}
		mine++
		if !y.saw(thing.Where) {
			t.Errorf("%s (%s) was not damaged", thing.What, thing.Where)
		}
	}
	if mine == 0 {
		t.Errorf("no thing of the table names %s.%s", pkg, t.Name())
	}
}

// Saw is Covers for a test that cannot see the table: it names the files by patterns, as the table
// does below a folder.
func (y Tally) Saw(t *testing.T, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !y.saw(pattern) {
			t.Errorf("%s was not damaged", pattern)
		}
	}
}

func (y Tally) saw(pattern string) bool {
	for name := range y.paths {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// Each calls check once for each of so many flips and cuts, every time with a copy of the folder in
// which one file is damaged; all files take turns. It does a few only, and all with ASSAY_LONG=1.
// Files that skip names are left alone. What check returns as an error fails the test, and so does
// a panic in it, and damage that is never noticed.
func Each(t *testing.T, folder string, flips, cuts int, skip func(path string) bool,
	check func(copied string, d Damage) (Outcome, error)) (y Tally) {
	t.Helper()
	if os.Getenv("ASSAY_LONG") == "" {
		flips, cuts = min(flips, few), min(cuts, few/10)
	}
	y = Tally{flips: flips, cuts: cuts, paths: map[string]bool{}}
	files := map[string][]byte{}
	var names []string
	if err := fs.WalkDir(os.DirFS(folder), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || skip != nil && skip(path) {
			return err
		}
		text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
		if len(text) > 0 {
			names, files[path] = append(names, path), text
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("no file in %s", folder)
	}
	seed, failed := rand.Uint64(), 0
	random, copied := rand.New(rand.NewPCG(seed, 0)), t.TempDir()
	for n := range flips + cuts {
		d := Damage{Path: names[n%len(names)], Cut: n >= flips}
		d.Was = files[d.Path]
		if d.Cut {
			d.At = random.IntN(len(d.Was))
			d.Is = d.Was[:d.At]
		} else {
			d.At = random.IntN(8 * len(d.Was))
			d.Is = bytes.Clone(d.Was)
			d.Is[d.At/8] ^= 1 << (d.At % 8)
		}
		into := filepath.Join(copied, fmt.Sprint(n))
		if err := copyInto(folder, into, d); err != nil {
			t.Fatal(err)
		}
		y.paths[d.Path] = true
		outcome, err := one(into, d, check)
		if err != nil {
			t.Errorf("%s: %v", d, err)
			if failed++; failed == 10 {
				t.Fatalf("%d of %d, seed %d; no more are tried", failed, n+1, seed)
			}
		}
		y.outcomes[outcome]++
		if err := os.RemoveAll(into); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d flips and %d cuts of %d files: %d changed nothing, %d were refused, %d were "+
		"mended (seed %d)",
		y.flips, y.cuts, len(names), y.outcomes[Unchanged], y.outcomes[Refused],
		y.outcomes[Mended], seed)
	if y.outcomes[Refused]+y.outcomes[Mended] == 0 {
		t.Error("no damage was noticed, so this test sees nothing")
	}
	return y
}

// copyInto copies a folder, with the modes of its files, and damages one.
func copyInto(folder, into string, d Damage) error {
	return filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		switch to := filepath.Join(into, below); {
		case e.IsDir():
			return os.MkdirAll(to, 0o700)
		case !e.Type().IsRegular():
			return nil
		default:
			info, err := e.Info()
			if err != nil {
				return err
			}
			text := d.Is
			if filepath.ToSlash(below) != d.Path {
				if text, err = os.ReadFile(path); err != nil {
					return err
				}
			}
			return os.WriteFile(to, text, info.Mode().Perm())
		}
	})
}

// one turns a panic of check into an error.
func one(copied string, d Damage, check func(copied string, d Damage) (Outcome,
	error)) (outcome Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return check(copied, d)
}
