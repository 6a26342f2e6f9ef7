// SPDX-License-Identifier: Apache-2.0

// Package flips damages files as disks and memory do, for tests: one bit is another, or a file ends
// early. What a program makes of such a folder must be what it made of the whole one, or an error that
// names the file and the next step; it must not panic, nor take what is wrong for what was there.
package flips

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

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
	return fmt.Sprintf("%s, bit %d of byte %d: %q is %q", d.Path, d.At%8, d.At/8, d.Was[d.At/8], d.Is[d.At/8])
}

// Space reports that the file differs in white space at most.
func (d Damage) Space() bool {
	return bytes.Equal(bytes.Join(bytes.Fields(d.Was), nil), bytes.Join(bytes.Fields(d.Is), nil))
}

// Explains reports an error that names the damaged file and says what to do.
func (d Damage) Explains(err error, next ...string) bool {
	text := err.Error()
	return strings.Contains(text, filepath.Base(filepath.FromSlash(d.Path))) && slices.ContainsFunc(next, func(n string) bool { return strings.Contains(text, n) })
}

// Rounds are how many flips and cuts a test makes: a few, or with ASSAY_LONG=1 many.
func Rounds(flips, cuts int) (int, int) {
	if os.Getenv("ASSAY_LONG") == "" {
		return 200, 20
	}
	return flips, cuts
}

// Each calls check once for each of so many flips and cuts, every time with a copy of the folder in which
// one file is damaged; all files take turns. Files that skip names are left alone. What check returns
// fails the test, and so does a panic in it.
func Each(t *testing.T, folder string, flips, cuts int, skip func(path string) bool, check func(copied string, d Damage) error) {
	t.Helper()
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
	t.Logf("%d flips and %d cuts of %d files, seed %d", flips, cuts, len(names), seed)
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
		if err := one(into, d, check); err != nil {
			t.Errorf("%s: %v", d, err)
			if failed++; failed == 10 {
				t.Fatalf("%d of %d; no more are tried", failed, n+1)
			}
		}
		if err := os.RemoveAll(into); err != nil {
			t.Fatal(err)
		}
	}
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
func one(copied string, d Damage, check func(copied string, d Damage) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return check(copied, d)
}
