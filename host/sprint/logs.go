// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"slices"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/board"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Logs are what workers delivered of a segment.
type Logs struct {
	c      *Config
	pinned map[leaflog.Key]uint64 // sizes of the logs of segments that are over
}

// forget deletes what is kept of epochs before one.
func (l *Logs) forget(before uint64) {
	for key := range l.pinned {
		if key.Epoch < before {
			delete(l.pinned, key)
		}
	}
}

// Portion is a node's log of a segment, and how many of its leaves are committed.
type Portion struct {
	Log *leaflog.Log
	// Size is how many leaves it has, as of its segment's end; Count of them may be committed.
	Size, Count uint64
}

// Portions divides what may be committed of a segment, all nodes together, among its logs, by the
// names of their nodes. The fleet grants no more than that. Where logs hold more anyway, because
// the list of nodes or the host's version changed, the first that does not fit is cut where one of
// its machine's batches ends, as every log ends, and those behind it are left out. It depends on
// nothing but what is stored, so it is the same one after a restart. A log that cannot be read is
// left out by itself.
func (l *Logs) Portions(epoch uint64, s sprintv1.Segment, height int64, class transformer.Class,
	nodes []string, most uint64) []Portion {
	var all []Portion
	for _, node := range slices.Sorted(slices.Values(nodes)) {
		key := leaflog.Key{Epoch: epoch, Node: node, Segment: s.Index}
		if !l.c.Leaves.Has(key) { // nothing was stored
			continue
		}
		log, ok := l.open(key, class.ID)
		if !ok {
			continue
		}
		p := Portion{Log: log, Size: log.Size()}
		if height >= s.End {
			p.Size = l.pin(key, p.Size)
		}
		if p.Count = p.Size; p.Count > most {
			cut, err := log.Batch(most)
			if err != nil {
				f := logFault(key)
				f.Reason = err.Error()
				l.c.Board.Fault(f)
				continue
			}
			p.Count, most = cut.First, 0
		}
		most -= min(most, p.Count)
		all = append(all, p)
	}
	return all
}

// pin is the size of a log whose segment is over, as it was first seen then: a batch for which the
// disk took too long must not change what is audited and committed.
func (l *Logs) pin(key leaflog.Key, size uint64) uint64 {
	if pinned, ok := l.pinned[key]; ok {
		return pinned
	}
	l.pinned[key] = size
	return size
}

// logFault is about a node's log of a segment.
func logFault(key leaflog.Key) board.Fault {
	return board.Fault{Epoch: key.Epoch, What: "leaves", Node: key.Node, Segment: key.Segment}
}

// open opens a log, making it when there is none. One that cannot be opened, or is
// damaged, is named; of a damaged one the leaves before the damage are there.
func (l *Logs) open(key leaflog.Key, class uint8) (log *leaflog.Log, ok bool) {
	ok = l.c.Board.Attempt(logFault(key), func() (err error) {
		if log, err = l.c.Leaves.Log(key, class); err != nil {
			return err
		}
		if err := log.Damage(); err != nil {
			return fmt.Errorf("%w; the %d leaves before it count, and those behind it are lost "+
				"unless the file is restored and the host started again", err, log.Size())
		}
		return nil
	})
	return log, ok || log != nil
}
