// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc"
)

// Checked is what a check of one of a host's files, or of a folder of them, found.
type Checked struct {
	What  string `json:"what"`
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Sound is false where something is damaged and was not repaired.
	Sound bool `json:"sound"`
	// Found says what is there, and what is wrong with it; Next what helps.
	Found string `json:"found"`
	Next  string `json:"next,omitempty"`
}

// Check looks at all of a host's files, which no running host may have open, and
// with repair makes new ones of what can be read of those that do not open. Old
// files stay beside the new ones.
func Check(home string, repair bool) ([]Checked, error) {
	var list []Checked
	for _, f := range []struct {
		what, name string
		look       func(string) (store.Found, error)
		salvage    func(string) (int, string, error)
		then       func(path string, repair bool) (why, done string, err error)
	}{
		{"ledger", ledgerName, ledger.Look, ledger.Salvage, adds},
		{"pool", poolName, pool.Look, pool.Salvage, nil},
	} {
		c, err := checkStore(f.what, filepath.Join(home, f.name), repair, f.look, f.salvage, f.then)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if a, b := &list[0], &list[1]; (a.Bytes == 0) != (b.Bytes == 0) {
		gone := a
		if b.Bytes == 0 {
			gone = b
		}
		gone.Sound, gone.Found = false, "it is missing, and the other file of the pool is there"
		gone.Next = "put it back from a backup of the same time; without one, move the other " +
			"away too, and tell your machines that what they were owed is lost: a new ledger " +
			"takes no claims of before it was begun"
	}
	leaves, err := checkLeaves(filepath.Join(home, leavesName))
	if err != nil {
		return nil, err
	}
	list = append(list, leaves)
	for _, f := range []struct {
		what, name string
		sound      func(raw []byte) error
	}{
		{"verdicts", verdictName, func(raw []byte) error { _, err := voter.Read(raw); return err }},
		{"verdicts about streams", streamVerdictName,
			func(raw []byte) error { _, err := voter.Read(raw); return err }},
		{"evidence", EvidenceName, soundEvidence},
	} {
		c, err := checkDocuments(f.what, filepath.Join(home, f.name), f.sound)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func checkStore(what, path string, repair bool, look func(string) (store.Found, error),
	salvage func(string) (int, string, error),
	then func(path string, repair bool) (why, done string, err error)) (Checked, error) {
	c := Checked{What: what, Path: path, Sound: true}
	found, err := look(path)
	c.Bytes = found.Bytes
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Found = "none: this host has no pool"
		return c, nil
	case errors.Is(err, store.ErrDamaged):
		info, err2 := os.Stat(path)
		if err2 != nil {
			return c, err2
		}
		c.Bytes, c.Sound, c.Found, c.Next = info.Size(), false, err.Error(),
			"assay host check --repair makes a new file of what can be read; the old one stays"
		if !repair {
			return c, nil
		}
		n, old, err := salvage(path)
		if err != nil {
			return c, fmt.Errorf("host: repairing %s: %w", path, err)
		}
		c.Sound, c.Next = true, ""
		c.Found = fmt.Sprintf("it was damaged; a new file has %d records, and the old one is %s",
			n, old)
	case err != nil:
		return c, err
	default:
		records := int64(0)
		for _, n := range found.Records {
			records += n
		}
		if c.Found = fmt.Sprintf("%d records", records); len(found.Damaged) > 0 {
			c.Sound, c.Found = false, fmt.Sprintf("%d records, of which %d are damaged: %s",
				records, len(found.Damaged), found.Damaged[0])
			c.Next = "the next start of the host mends it, and says what became of it"
		}
	}
	if then != nil && c.Sound {
		why, done, err := then(path, repair)
		switch {
		case err != nil:
			return c, err
		case done != "":
			c.Found += "; " + done
		case why != "":
			c.Sound, c.Found, c.Next = false, c.Found+"; "+why, "it is paid nothing until then: "+
				"assay host check --repair makes it again from its entries and transfers"
		}
	}
	return c, nil
}

// adds opens a ledger, which recounts it, and says which accounts are set aside; with repair they
// are made again.
func adds(path string, repair bool) (why, done string, err error) {
	l, err := ledger.Open(path, ledger.Rules{Strikes: 1}, ledger.Amount{})
	if err != nil {
		return "", "", err
	}
	set, err := l.Aside(1000)
	var again []ledger.Restored
	if err == nil && repair && len(set) > 0 {
		again, err = l.Restore()
	}
	if err = errors.Join(err, l.Close()); err != nil {
		return "", "", err
	}
	for _, a := range again {
		how := "its sums are those of its entries"
		if a.Lost {
			how = "both of its records were lost: what its latest entries earned is due, less " +
				"what was transferred since, and the machine's receipts bring what is missing; " +
				"its strikes are forgotten"
		}
		done += fmt.Sprintf("; the account of %s is made again, with %s locked and %s due: %s",
			a.Device, a.Locked, a.Due, how)
	}
	for device, reason := range set {
		return fmt.Sprintf("%d accounts are set aside, among them %s: %s", len(set), device,
			reason), strings.TrimPrefix(done, "; "), nil
	}
	return "", "", nil
}

func checkLeaves(dir string) (Checked, error) {
	c := Checked{What: "leaves", Path: dir, Sound: true}
	list, err := leaflog.Inspect(dir)
	if errors.Is(err, fs.ErrNotExist) {
		c.Found = "none yet"
		return c, nil
	} else if err != nil {
		return c, err
	}
	leaves, mended := uint64(0), 0
	var bad []string
	for _, l := range list {
		c.Bytes, leaves, mended = c.Bytes+l.Bytes, leaves+l.Leaves, mended+l.Mended
		if l.Err != nil {
			bad = append(bad, fmt.Sprintf("%s: %v", l.Path, l.Err))
		}
	}
	c.Found = fmt.Sprintf("%d logs, %d leaves", len(list), leaves)
	if mended > 0 {
		c.Found += fmt.Sprintf(", %d changed bits that are known", mended)
	}
	if len(bad) > 0 {
		c.Sound, c.Found = false, c.Found+"; damaged: "+strings.Join(bad, "; ")
		c.Next = "the leaves before the damage are committed and opened; the log is deleted with " +
			"its epoch"
	}
	return c, nil
}

// soundEvidence reads a file of evidence of either kind. That it proves what it says is for assay
// verify, which computes.
func soundEvidence(raw []byte) error {
	d, err := poc.Open(raw)
	if err != nil {
		return err
	}
	switch d := d.(type) {
	case *poc.Evidence:
		return nil
	case *poc.LeftOut:
		if d.File.Evidence != nil {
			return nil
		}
		return sprint.Whole(context.Background(), d.File, nil) // no evidence, nothing to compute
	}
	return fmt.Errorf("a document of the kind %q is none that a host keeps here", d.Kind())
}

// checkDocuments reads a folder of JSON documents.
func checkDocuments(what, dir string, sound func(raw []byte) error) (Checked, error) {
	c := Checked{What: what, Path: dir, Sound: true}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		c.Found = "none yet"
		return c, nil
	} else if err != nil {
		return c, err
	}
	n := 0
	var bad []string
	for _, e := range entries {
		if e.IsDir() || durable.Unfinished(e.Name()) {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return c, err
		}
		n++
		c.Bytes += int64(len(raw))
		if err := sound(raw); err != nil {
			bad = append(bad, fmt.Sprintf("%s (%v)", e.Name(), err))
		}
	}
	if c.Found = fmt.Sprintf("%d files", n); len(bad) > 0 {
		c.Sound, c.Found, c.Next = false, c.Found+"; damaged: "+strings.Join(bad, ", "),
			"put what is damaged back from a copy, or remove it; evidence is written again while "+
				"the chain has its epoch"
	}
	return c, nil
}
