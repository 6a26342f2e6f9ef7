// SPDX-License-Identifier: Apache-2.0

// Package disk tells how much room there is for files, and when to take no new work for want of it.
//
// A program that writes until the disk is full cannot do what it owes any longer. So it keeps a
// reserve: below the mark it refuses new work, and what is owed has the rest. The mark is 5 % of
// the disk or 1 GiB, whichever is less. On a disk of a few hundred MB a GiB could never be free,
// and on one of 10 TB 5 % would waste what suffices for a year of duties. New work is taken again
// at five quarters of the mark, so that a program at the edge does not change its mind with every
// file.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
)

const (
	percent = 5
	enough  = 1 << 30
)

// Space is the room on a disk, in bytes.
type Space struct {
	// Free is what this user may still write.
	Free uint64 `json:"free"`
	// Total is the size of the disk.
	Total uint64 `json:"total"`
}

// Of returns the room below a folder. One that does not exist yet counts as its parent.
func Of(folder string) (Space, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return Space{}, fmt.Errorf("disk: %s: %w", folder, err)
	}
	for {
		s, err := of(folder)
		if err == nil {
			return s, nil
		}
		if above := filepath.Dir(folder); above != folder && errors.Is(err, fs.ErrNotExist) {
			folder = above
			continue
		}
		return s, fmt.Errorf("disk: free space of %s: %w", folder, err)
	}
}

// Mark is the free space below which no new work is taken, in bytes.
func (s Space) Mark() uint64 { return min(s.Total/100*percent, enough) }

// Watch remembers whether the disk of a folder is nearly full. It is safe for concurrent use.
type Watch struct {
	folder string
	of     func(folder string) (Space, error)

	mu  sync.Mutex
	low bool
	now Space
}

// NewWatch watches the disk below a folder; nil of is [Of].
func NewWatch(folder string, of func(folder string) (Space, error)) *Watch {
	if of == nil {
		of = Of
	}
	return &Watch{folder: folder, of: of}
}

// Look measures, and reports whether the disk is nearly full now and whether that changed. On an
// error, as of a system without the call, the last answer stands.
func (w *Watch) Look() (low, changed bool, err error) {
	s, err := w.of(w.folder)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return w.low, false, err
	}
	was := w.low
	w.now = s
	w.low = s.Free < s.Mark() || was && s.Free < s.Mark()/4*5
	return w.low, w.low != was, nil
}

// Low is the last answer of Look.
func (w *Watch) Low() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.low
}

// Space is what Look measured last.
func (w *Watch) Space() Space {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Reason says, as a part of a sentence, why there is no new work; it is empty while there is room.
func (w *Watch) Reason() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.low {
		return ""
	}
	return fmt.Sprintf("%s, and %s are kept for what is owed; free %s, and it goes on by itself",
		w.nearly(), Size(w.now.Mark()), Size(w.now.lacks()))
}

// Warning is Reason for a program that goes on until the disk is full, and says what comes then.
func (w *Watch) Warning(then string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.low {
		return ""
	}
	return fmt.Sprintf("%s; free %s: %s", w.nearly(), Size(w.now.lacks()), then)
}

// nearly names the disk and its room. The caller holds mu.
func (w *Watch) nearly() string {
	return fmt.Sprintf("the disk of %s is nearly full: %s of %s are free", w.folder,
		Size(w.now.Free), Size(w.now.Total))
}

// lacks is how much has to be freed before there is room again.
func (s Space) lacks() uint64 { return s.Mark()/4*5 - min(s.Free, s.Mark()/4*5) }

// Size is a number of bytes for people.
func Size(n uint64) string {
	for _, u := range []struct {
		name string
		size uint64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
