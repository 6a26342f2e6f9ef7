// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/signed"
)

// SignedName is the folder, in a worker's home, of what it has signed.
const SignedName = "signed"

// keepBooks is for how many nodes a home may sign. None is ever forgotten: a host
// that could make a machine forget would have it sign again.
const keepBooks = 1000

// keepBatches is how many batches of one segment a machine signs: 10^9 units in full ones.
const keepBatches = 1 << 20

// errSigned is wrapped where the machine does not sign, because of what it has
// signed before.
var errSigned = errors.New("this machine does not sign twice")

// journal is what this machine has signed as one node of one host: the latest order,
// and every batch of it. It never signs two statements that differ about one leaf,
// nor for a segment before the latest one. So a host that has a leaf computed again
// and again does not get to choose among what faults of the hardware make of it.
//
// Each line carries a checksum. A damaged one in the middle is a gap, behind which nothing is
// signed again; a damaged last one is refused.
//
// A batch is in its file before it leaves the machine: a process that is killed
// forgets nothing. A power cut can cost the batches that the system had not
// written yet, some half a minute of them; those could be signed a second time.
//
// Only the session's writer changes a journal, under machine.mu; the file is its alone.
type journal struct {
	path  string
	place string         // the text of order's line
	order delivery.Order // zero while nothing was signed
	// batches follow one another without a gap.
	batches []delivery.Batch
	size    int64 // of the file, as far as it is whole
	torn    bool  // there may be more than size in it
}

// openJournal reads what was signed for a node, which is nothing at first.
func openJournal(home, chain, participant, node string, host signed.Key) (*journal, error) {
	name := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %x", chain, participant, node, host))
	b := &journal{path: filepath.Join(home, SignedName, hex.EncodeToString(name[:16]))}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	damaged := func(line int, err error) error {
		return fmt.Errorf("%s, which holds what this machine has signed, is damaged in line %d "+
			"(%w); put it back from a backup; without one this machine signs again once its "+
			"owner has removed it", b.path, line, err)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	order, err := entry(orderPlace, line, &b.order)
	if err == nil && b.order.Segment == 0 {
		err = sealed.ErrDamaged
	}
	if err != nil {
		return nil, damaged(1, err)
	}
	b.place = string(order)
	whole := len(line) + 1
	var last error // of the latest whole line
	n, mended := 1, false
	for ; ; n++ {
		line, more, complete := bytes.Cut(rest, []byte("\n"))
		if !complete {
			if line = unended(b.place, rest); line == nil {
				break // the end, or torn by a power cut
			}
			text, more, mended = slices.Concat(text[:whole], line, []byte("\n")), nil, true
		}
		var batch delivery.Batch
		if _, last = entry(b.place, line, &batch); last == nil && batch.Count == 0 {
			last = sealed.ErrDamaged
		}
		if last == nil { // a damaged one before it is a gap, and not signed again
			b.add(batch)
		}
		whole, rest = whole+len(line)+1, more
	}
	if last != nil { // how far it reached nobody knows
		return nil, damaged(n, last)
	}
	b.size = int64(whole)
	if mended || whole < len(text) {
		err = durable.WriteFile(b.path, text[:whole], 0o600)
	}
	return b, err
}

// orderPlace seals a journal's first line; the others are sealed by the first one's text, so that
// no line of another order passes.
const orderPlace = "assay-worker-book/1"

// entry reads a line. Those of earlier programs carry no checksum.
func entry(place string, line []byte, v any) (record []byte, err error) {
	record, _, err = sealed.Unline(place, line)
	if err == nil && json.Unmarshal(record, v) != nil {
		err = sealed.ErrDamaged
	}
	return record, err
}

// unended returns the line of a text whose newline is missing or another byte: what it says was
// signed. It returns nil where the text is no whole line.
func unended(place string, text []byte) []byte {
	for _, line := range [][]byte{text, text[:max(0, len(text)-1)]} {
		if _, whole, err := sealed.Unline(place, line); whole && err == nil {
			return line
		}
	}
	return nil
}

// end is the index behind the last leaf that was signed.
func (b *journal) end() uint64 {
	if len(b.batches) == 0 {
		return 0
	}
	return b.batches[len(b.batches)-1].End()
}

// add notes a batch; behind a gap, what lies before is not to be signed again.
func (b *journal) add(batch delivery.Batch) {
	if batch.First != b.end() {
		b.batches = nil
	}
	b.batches = append(b.batches, batch)
}

// turn reports whether an order's leaves may be signed, and whether it is the latest
// one. Errors wrap errSigned.
func (b *journal) turn(o delivery.Order) (latest bool, err error) {
	switch was := b.order; {
	case was == o:
		return true, nil
	case o.Epoch > was.Epoch || o.Epoch == was.Epoch && o.Segment > was.Segment:
		return false, nil
	case o.Epoch == was.Epoch && o.Segment == was.Segment:
		return false, fmt.Errorf("%w: the host gave other seeds, or another audit, for epoch %d "+
			"segment %d before", errSigned, o.Epoch, o.Segment)
	default:
		return false, fmt.Errorf("%w: the host orders epoch %d segment %d, after epoch %d "+
			"segment %d; if its chain began again, remove %s",
			errSigned, o.Epoch, o.Segment, was.Epoch, was.Segment, b.path)
	}
}

// resumes reports whether an order may go on from a leaf: the beginning of a batch,
// which is then signed as it was or not at all, or one at or behind the end of what
// was signed. Behind it lie leaves that a power cut made this machine forget, or that
// another one with its key has signed; going forward, a host gets none twice. Errors
// wrap errSigned.
func (b *journal) resumes(o delivery.Order, first uint64) error {
	latest, err := b.turn(o)
	if err != nil || !latest || first >= b.end() {
		return err
	}
	if _, found := b.at(o, first); !found {
		return fmt.Errorf("%w: the host goes on from leaf %d of epoch %d segment %d, where no "+
			"batch of those signed begins; they end at %d",
			errSigned, first, o.Epoch, o.Segment, b.end())
	}
	return nil
}

// at returns the batch of an order that was signed and begins at a leaf.
func (b *journal) at(o delivery.Order, first uint64) (delivery.Batch, bool) {
	if b.order != o {
		return delivery.Batch{}, false
	}
	i := sort.Search(len(b.batches), func(i int) bool { return b.batches[i].First >= first })
	if i == len(b.batches) || b.batches[i].First != first {
		return delivery.Batch{}, false
	}
	return b.batches[i], true
}

// endingAt returns the batch of an order that was signed and ends before a leaf.
func (b *journal) endingAt(o delivery.Order, end uint64) (delivery.Batch, bool) {
	if b.order != o {
		return delivery.Batch{}, false
	}
	i := sort.Search(len(b.batches), func(i int) bool { return b.batches[i].End() >= end })
	if i == len(b.batches) || b.batches[i].End() != end {
		return delivery.Batch{}, false
	}
	return b.batches[i], true
}

// check reports whether a statement may be signed, and whether it was before. Errors
// wrap errSigned.
func (b *journal) check(s delivery.Statement) (again bool, err error) {
	latest, err := b.turn(s.Order)
	if err != nil || !latest || s.First >= b.end() {
		return false, err
	}
	if was, _ := b.at(s.Order, s.First); was != s.Batch {
		return false, fmt.Errorf("%w: leaves %d..%d of epoch %d segment %d came out differently "+
			"before; test the machine with assay-worker doctor",
			errSigned, s.First, s.End()-1, s.Epoch, s.Segment)
	}
	return true, nil
}

// write puts a new statement into the file, before it is signed.
func (b *journal) write(s delivery.Statement) error {
	batch, err := json.Marshal(s.Batch)
	if err != nil {
		return err
	}
	if s.Order == b.order {
		if len(b.batches) >= keepBatches {
			return fmt.Errorf("%d batches of one segment are signed, which is all there is room "+
				"for; the next segment goes on", len(b.batches))
		}
		return b.append(sealed.Line(b.place, batch))
	}
	order, err := json.Marshal(s.Order)
	if err != nil {
		return err
	}
	dir := filepath.Dir(b.path)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if b.order == (delivery.Order{}) {
		list, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(e fs.DirEntry) bool {
			return strings.HasPrefix(e.Name(), ".")
		})
		if len(list) >= keepBooks {
			return fmt.Errorf("this home has signed for %d nodes; give this machine a --home, "+
				"and with it a key, of its own", len(list))
		}
	}
	text := append(sealed.Line(orderPlace, order), sealed.Line(string(order), batch)...)
	if err := durable.WriteFile(b.path, text, 0o600); err != nil { // once a segment
		return err
	}
	b.place, b.size, b.torn = string(order), int64(len(text)), false
	return nil
}

// append adds a line. What an earlier one left that the disk did not take, and of which not even
// the piece could be cut off, goes first: a line behind it would be lost with it.
func (b *journal) append(line []byte) error {
	if b.torn {
		text, err := os.ReadFile(b.path)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(b.path, text[:min(len(text), int(b.size))], 0o600); err != nil {
			return err
		}
		b.torn = false
	}
	if err := durable.Append(b.path, line); err != nil {
		b.torn = true
		return err
	}
	b.size += int64(len(line))
	return nil
}

// wrote notes what write has put into the file.
func (b *journal) wrote(s delivery.Statement) {
	if s.Order != b.order {
		b.order, b.batches = s.Order, nil
	}
	b.add(s.Batch)
}
