// SPDX-License-Identifier: Apache-2.0

package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/internal/disk"
)

// One element that fails, a machine's log, a participant's opening, a file of
// evidence, costs what depends on it. Whatever else this host owes is done: loops
// over such elements go on, and the one that failed is named as a Fault until it
// works again or its epoch is past.

// Fault is something that does not work on this host's side.
type Fault struct {
	Epoch uint64 `json:"epoch"`
	// What part of this host's duties it concerns.
	What    string `json:"what"`
	Node    string `json:"node,omitempty"`
	Segment uint32 `json:"segment,omitempty"`
	// Reason names the file, or whoever did not do as it should, and what helps.
	Reason string `json:"reason"`
}

// mostFaults bounds the list in the status; the log has all.
const mostFaults = 100

// same reports whether two faults are about one element.
func (f Fault) same(g Fault) bool {
	return f.Epoch == g.Epoch && f.What == g.What && f.Node == g.Node && f.Segment == g.Segment
}

// fault names what does not work, in the log and the status.
func (h *Host) fault(f Fault) {
	h.log.Error("part of this host's work failed; the rest goes on", "epoch", f.Epoch, "what", f.What, "node", f.Node, "segment", f.Segment, "err", f.Reason)
	h.board.set(func(s *Status) {
		list := slices.DeleteFunc(slices.Clone(s.Faults), f.same)
		list = append(list, f)
		s.Faults = list[max(0, len(list)-mostFaults):]
	})
}

// works takes a fault off the status.
func (h *Host) works(f Fault) {
	if slices.ContainsFunc(h.board.get().Faults, f.same) {
		h.log.Info("works again", "epoch", f.Epoch, "what", f.What, "node", f.Node, "segment", f.Segment)
		h.board.set(func(s *Status) { s.Faults = slices.DeleteFunc(slices.Clone(s.Faults), f.same) })
	}
}

// attempt does one of several things that do not depend on each other.
func (h *Host) attempt(f Fault, do func() error) (ok bool) {
	if err := do(); err != nil {
		f.Reason = err.Error()
		h.fault(f)
		return false
	}
	h.works(f)
	return true
}

// logFault is about a node's log of a segment.
func logFault(key leaflog.Key) Fault {
	return Fault{Epoch: key.Epoch, What: "leaves", Node: key.Node, Segment: key.Segment}
}

// openLog opens a log, making it when there is none. One that cannot be opened, or is
// damaged, is named; of a damaged one the leaves before the damage are there.
func (h *Host) openLog(key leaflog.Key, class uint8) (log *leaflog.Log, ok bool) {
	ok = h.attempt(logFault(key), func() (err error) {
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
	ok := h.attempt(Fault{Epoch: e.Number, What: "deleting leaves of old epochs"}, func() error { return h.leaves.Prune(before) })
	ok = h.attempt(Fault{Epoch: e.Number, What: "deleting verdicts of old epochs"}, func() error { return h.pruneVerdicts(before) }) && ok
	ok = h.attempt(Fault{Epoch: e.Number, What: "deleting old evidence"}, h.pruneEvidence) && ok
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

// pruneVerdicts deletes the verdicts of all epochs before the given one.
func (h *Host) pruneVerdicts(before uint64) error {
	dir := filepath.Join(h.o.Home, verdictName)
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range list {
		name, _ := strings.CutSuffix(e.Name(), ".json")
		if epoch, err := strconv.ParseUint(name, 10, 64); err == nil && epoch < before {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
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
	h.board.set(func(s *Status) {
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

// Disk is the room where this host writes; of several disks the one with least.
type Disk struct {
	disk.Space
	// Mark is the free space below which no new work is taken.
	Mark uint64 `json:"mark"`
	// Full is whether that is so now, and Reason what to do.
	Full   bool   `json:"full"`
	Reason string `json:"reason,omitempty"`
}
