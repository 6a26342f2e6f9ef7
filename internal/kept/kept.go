// SPDX-License-Identifier: Apache-2.0

// Package kept is the form of a program's account of all that it keeps: each kind of file and each
// map that lives as long as the program, how fast it grows, up to what, and what prunes it. Tests
// hold the account against the files that a program really leaves.
package kept

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
)

// Thing is one kind of file, or one map.
type Thing struct {
	What string // in words
	// Where is a pattern of path.Match below the program's home, with slashes; empty for what is in
	// memory only.
	Where string
	// Memory is the place in the program, "package.type.field"; empty for files.
	Memory string
	// Record is the size of one record in bytes, PerDay how many come in a day of ordinary use, and
	// Most how many there are at most; 0 in PerDay is: rewritten in place.
	Record, PerDay, Most int64
	// Per is what Most is counted by: home, host, device.
	Per string
	// Pruner is what keeps it at Most.
	Pruner string
	// Sealed is how damage is noticed: checksum, signature; empty where it decides nothing.
	Sealed string
	// Damaged is the test that damages such files bit by bit, "package.Test" with the package's
	// path below the module; or "none: " and why there is none. Empty for what is in memory only.
	Damaged string
}

// Unlisted returns the files below a home that no thing stands for, with slashes.
func Unlisted(home string, table []Thing) (unlisted []string, err error) {
	err = filepath.WalkDir(home, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		relative, err := filepath.Rel(home, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if !slices.ContainsFunc(table, func(t Thing) bool {
			ok, _ := path.Match(t.Where, relative)
			return ok
		}) {
			unlisted = append(unlisted, relative)
		}
		return nil
	})
	return unlisted, err
}

// Faults returns what a table leaves open: a thing without a place, a bound or a pruner.
func Faults(table []Thing) (faults []string) {
	for _, t := range table {
		if _, err := path.Match(t.Where, "x"); err != nil || t.What == "" ||
			(t.Where == "") == (t.Memory == "") {
			faults = append(faults, t.What+": no place, or a bad one")
		}
		if t.Most <= 0 || t.Record <= 0 || t.Per == "" || t.Pruner == "" {
			faults = append(faults, t.What+": no bound, size or pruner")
		}
		if (t.Where == "") != (t.Damaged == "") {
			faults = append(faults, t.What+": no test damages it, and no reason is given; or it "+
				"is no file")
		}
	}
	return faults
}

// Below is a table of what is kept in a folder below a home.
func Below(folder string, table []Thing) (all []Thing) {
	for _, t := range table {
		if t.Where != "" {
			t.Where = path.Join(folder, t.Where)
			all = append(all, t)
		}
	}
	return all
}
