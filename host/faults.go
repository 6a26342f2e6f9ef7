// SPDX-License-Identifier: Apache-2.0

package host

import (
	"cmp"
	"fmt"
	"slices"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/internal/disk"
)

// logFault is about a node's log of a segment.
func logFault(key leaflog.Key) Fault {
	return Fault{Epoch: key.Epoch, What: "leaves", Node: key.Node, Segment: key.Segment}
}

// openLog opens a log, making it when there is none. One that cannot be opened, or is
// damaged, is named; of a damaged one the leaves before the damage are there.
func (h *Host) openLog(key leaflog.Key, class uint8) (log *leaflog.Log, ok bool) {
	ok = h.board.Attempt(logFault(key), func() (err error) {
		if log, err = h.leaves.Log(key, class); err != nil {
			return err
		}
		if err := log.Damage(); err != nil {
			return fmt.Errorf("%w; the %d leaves before it count, and those behind it are lost unless the file is restored and the host started again", err, log.Size())
		}
		return nil
	})
	return log, ok || log != nil
}

// forget deletes what this host needs no more, before anything is written: leaves and
// verdicts of old epochs, and while there is no room of all but the last.
func (h *Host) forget(e sprintv1.Epoch) {
	keep := uint64(e.Params.KeepEpochs) + 1
	if h.full() != "" {
		keep = 1
	}
	before := e.Number - min(e.Number, keep)
	if before <= h.forgotten {
		return
	}
	ok := h.board.Attempt(Fault{Epoch: e.Number, What: "deleting leaves of old epochs"}, func() error { return h.leaves.Prune(before) })
	ok = h.board.Attempt(Fault{Epoch: e.Number, What: "deleting verdicts of old epochs"}, func() error { return h.verdicts().Prune(before) }) && ok
	ok = h.board.Attempt(Fault{Epoch: e.Number, What: "deleting old evidence"}, h.pruneEvidence) && ok
	for epoch := range h.evidence {
		if epoch < before {
			delete(h.evidence, epoch)
		}
	}
	for key := range h.pinned {
		if key.Epoch < before {
			delete(h.pinned, key)
		}
	}
	if ok { // otherwise again at the next block
		h.forgotten = before
	}
}

// lookAtDisks measures the room where this host writes.
func (h *Host) lookAtDisks() {
	for _, d := range h.disks {
		low, changed, err := d.Look()
		switch {
		case err != nil:
			h.log.Warn("the free space is not known; new work is taken until a write fails", "err", err)
		case changed && low:
			h.log.Error("no new work is taken; what is owed is done", "reason", d.Reason())
		case changed:
			h.log.Info("there is room again; new work is taken", "free", disk.Size(d.Space().Free))
		}
	}
	if len(h.disks) == 0 {
		return
	}
	least := slices.MinFunc(h.disks, func(a, b *disk.Watch) int { return cmp.Compare(a.Space().Free, b.Space().Free) }).Space()
	reason := h.full()
	h.board.Set(func(s *Status) {
		s.Disk = &Disk{Space: least, Mark: least.Mark(), Full: reason != "", Reason: reason}
	})
}

// full says why no new work is taken, or nothing while there is room. It may be asked
// by anyone.
func (h *Host) full() string {
	for _, d := range h.disks {
		if reason := d.Reason(); reason != "" {
			return reason
		}
	}
	return ""
}

// fullFor is full for machines, which learn nothing of the host's folders.
func (h *Host) fullFor() string {
	if h.full() == "" {
		return ""
	}
	return "the host's disk is nearly full; it goes on by itself once its owner has freed some"
}
