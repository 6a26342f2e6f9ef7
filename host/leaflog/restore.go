// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/commit"
)

// DamagedSuffix ends the name under which a damaged file is kept beside the one that
// was made of it.
const DamagedSuffix = ".damaged"

// mostLost is how many leaves in a row Restore asks for: those of two batches, as
// where a sector on their border is gone.
const mostLost = 2 * MaxBatch

// Restore makes a damaged file whole again up to a count of leaves that was committed to: what is
// lost between its intact batches is asked of leaves, which computes it again and returns their
// packed bodies. The committed root decides whether that is what was there. The damaged file is
// kept under another name, and the log is read again when it is asked for next. What is filled in
// has no signature of its machine.
//
// On an error nothing has changed.
func (s *Store) Restore(key Key, form Form, root commit.Hash, count uint64,
	leaves func(first uint64, n int) ([]byte, error)) error {
	s.mu.Lock()
	e := s.logs[key]
	s.mu.Unlock()
	if e == nil {
		return fmt.Errorf("%w: no log of epoch %d, node %s, segment %d", ErrRange, key.Epoch,
			key.Node, key.Segment)
	}
	path := filepath.Join(s.dir, epochName(key.Epoch), fileName(key))
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("leaflog: %w", err)
	}
	whole, err := restored(raw, key, form, root, count, leaves)
	if err != nil {
		return fmt.Errorf("leaflog: %s: %w", path, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := durable.WriteFile(path+DamagedSuffix, raw, 0o600); err != nil {
		return fmt.Errorf("leaflog: %w", err)
	}
	if err := durable.WriteFile(path, whole, 0o600); err != nil {
		return fmt.Errorf("leaflog: %w", err)
	}
	if e.log != nil {
		err = e.log.close(fmt.Errorf("%w: restored", ErrClosed))
		e.log = nil
	}
	return err
}

// restored is the file that raw was.
func restored(raw []byte, key Key, form Form, root commit.Hash, count uint64,
	leaves func(first uint64, n int) ([]byte, error)) ([]byte, error) {
	whole := appendHeader(nil, key, form)
	f, tree := framesOf(whole), commit.Frontier{}
	first := uint64(0)
	add := func(packed []byte, sig *Signature) {
		whole = f.append(whole, first, packed, sig)
		for body := range slices.Chunk(packed, f.body) {
			if first < count {
				tree.Append(form.leaf(key.Node, first, body).Hash())
			}
			first++
		}
	}
	for at := headerSize; first < count; {
		rest := raw[min(at, len(raw)):]
		if packed, sig, size, _, ok := f.read(rest, first); ok {
			add(packed, &sig)
			at += size
			continue
		}
		skip, next := f.next(rest[:min(len(rest), 2*f.max()+frameHead)], rest, first)
		if skip < 0 {
			skip, next = len(rest), count
		}
		if lost := next - first; lost > mostLost {
			return nil, fmt.Errorf("%w: %d leaves from leaf %d on are lost",
				ErrDamaged, lost, first)
		}
		at += skip
		for first < next {
			n := int(min(next-first, MaxBatch))
			packed, err := leaves(first, n)
			if err == nil && len(packed) != n*f.body {
				err = errors.New("leaflog: not as many as were asked for")
			}
			if err != nil {
				return nil, fmt.Errorf("computing leaf %d and those behind it again: %w",
					first, err)
			}
			add(packed, new(Signature))
		}
	}
	if tree.Root() != root {
		return nil, fmt.Errorf("%w: with what was computed again it does not give the root that "+
			"was committed", ErrDamaged)
	}
	return whole, nil
}

// next finds where within the window, the begin of rest, an intact frame of later
// leaves begins; skip is below 0 where none does.
func (f frames) next(window, rest []byte, first uint64) (skip int, begins uint64) {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	for at := 1; at < len(window); at++ {
		i := bytes.Index(window[at:], magic)
		if i < 0 || len(rest)-at-i < frameHead {
			break
		}
		at += i
		begins := binary.LittleEndian.Uint64(rest[at+8:])
		if _, _, ok := f.parse(rest[at:], begins); ok && begins > first {
			return at, begins
		}
	}
	return -1, 0
}
