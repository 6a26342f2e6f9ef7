// SPDX-License-Identifier: Apache-2.0

package host

import (
	"cmp"
	"log/slog"
	"slices"

	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/internal/disk"
)

// disks are the places where a host writes, which may be different disks.
type disks struct {
	list  []*disk.Watch
	board *board.Board
	log   *slog.Logger
}

// look measures the room.
func (ds *disks) look() {
	for _, d := range ds.list {
		low, changed, err := d.Look()
		switch {
		case err != nil:
			ds.log.Warn("the free space is not known; new work is taken until a write fails",
				"err", err)
		case changed && low:
			ds.log.Error("no new work is taken; what is owed is done", "reason", d.Reason())
		case changed:
			ds.log.Info("there is room again; new work is taken", "free", disk.Size(d.Space().Free))
		}
	}
	if len(ds.list) == 0 {
		return
	}
	least := slices.MinFunc(ds.list, func(a,
		b *disk.Watch) int {
		return cmp.Compare(a.Space().Free, b.Space().Free)
	}).Space()
	reason := ds.full()
	ds.board.Set(func(s *Status) {
		s.Disk = &Disk{Space: least, Mark: least.Mark(), Full: reason != "", Reason: reason}
	})
}

// full says why no new work is taken, or nothing while there is room. It may be asked
// by anyone.
func (ds *disks) full() string {
	for _, d := range ds.list {
		if reason := d.Reason(); reason != "" {
			return reason
		}
	}
	return ""
}

// fullFor is full for machines, which learn nothing of the host's folders.
func (ds *disks) fullFor() string {
	if ds.full() == "" {
		return ""
	}
	return "the host's disk is nearly full; it goes on by itself once its owner has freed some"
}
