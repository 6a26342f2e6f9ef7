// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"encoding/binary"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
)

// block is the part of the tree under one block's root, read from the file.
type block struct {
	index  uint64
	count  uint64 // leaves in it, blockSize unless it was the last one
	data   []byte // packed records
	leaves commit.Log
}

// Record returns leaf i's norm and digest.
func (l *Log) Record(i uint64) (Record, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	b, err := l.block(i/blockSize, i%blockSize+1)
	if err != nil {
		return Record{}, err
	}
	return parseRecord(b.data[i%blockSize*recordSize:]), nil
}

// Batch returns what one Append stored, the one with leaf i, from the file.
func (l *Log) Batch(i uint64) (Batch, error) {
	l.state.RLock()
	size, end, starts, failed := l.size, l.end, l.starts, l.failed
	l.state.RUnlock()
	switch {
	case i >= size:
		return Batch{}, fmt.Errorf("%w: leaf %d, it has %d", ErrRange, i, size)
	case failed != nil:
		return Batch{}, failed
	}
	off := starts[i/blockSize] // the frame is this one, or begins before the next block
	if next := i/blockSize + 1; next < uint64(len(starts)) {
		end = min(end, starts[next]+maxFrame)
	}
	raw := make([]byte, end-off)
	l.reading.Lock()
	_, err := l.file.ReadAt(raw, off)
	l.reading.Unlock()
	if err != nil {
		return Batch{}, fmt.Errorf("leaflog: %s: read: %w", l.path, err)
	}
	for at := 0; ; {
		if len(raw)-at < frameHead {
			return Batch{}, l.damaged(off + int64(at))
		}
		b := Batch{First: binary.LittleEndian.Uint64(raw[at+8:])}
		var ok bool
		if b.Records, b.Signature, ok = parseFrame(raw[at:], l.sum, b.First); !ok || b.First > i {
			return Batch{}, l.damaged(off + int64(at))
		}
		n := len(b.Records) / recordSize
		if i < b.First+uint64(n) {
			return b, nil
		}
		at += frameLen(n)
	}
}

// Leaf returns leaf i as it stands in the tree.
func (l *Log) Leaf(i uint64) (commit.Leaf, error) {
	r, err := l.Record(i)
	return commit.Leaf{Class: l.class, Node: l.key.Node, Index: i, Norm: r.Norm, Digest: r.Digest}, err
}

// Root returns the root over the first size leaves.
func (l *Log) Root(size uint64) (commit.Hash, error) { return commit.Root(l, size) }

// Subtree returns the root of a complete subtree; it makes a Log a
// [commit.Subtrees]. Below level 10 it reads up to 1,024 leaves from the file
// and hashes them, unless the call before was about the same block; above, it
// hashes 2^(level-10) known values.
func (l *Log) Subtree(level uint, index uint64) (commit.Hash, error) {
	l.state.RLock()
	size, blocks := l.size, l.blocks // blocks only ever grows
	l.state.RUnlock()
	if level >= 48 || index >= size>>level {
		return commit.Hash{}, fmt.Errorf("%w: no complete subtree (%d, %d) in %d leaves", ErrRange, level, index, size)
	}
	if level >= blockLevel {
		var f commit.Frontier
		n := uint64(1) << (level - blockLevel)
		for _, h := range blocks[index*n : (index+1)*n] {
			f.Append(h)
		}
		return f.Root(), nil
	}
	at := index << level
	l.reading.Lock()
	defer l.reading.Unlock()
	b, err := l.block(at/blockSize, at%blockSize+1<<level)
	if err != nil {
		return commit.Hash{}, err
	}
	return b.leaves.Subtree(level, index&(1<<(blockLevel-level)-1))
}

// block returns a block that has at least `least` leaves. The caller holds reading.
func (l *Log) block(index, least uint64) (*block, error) {
	if b := l.cached; b != nil && b.index == index && b.count >= least {
		return b, nil
	}
	l.state.RLock()
	size, end, starts, failed := l.size, l.end, l.starts, l.failed
	l.state.RUnlock()
	first := index * blockSize
	if first+least > size || index > size/blockSize {
		return nil, fmt.Errorf("%w: leaf %d, it has %d", ErrRange, first+least-1, size)
	}
	if failed != nil {
		return nil, failed
	}
	// The block's last frame begins before the next block's first, and may be it.
	if index+1 < uint64(len(starts)) {
		end = min(end, starts[index+1]+maxFrame)
	}
	raw := make([]byte, end-starts[index])
	if _, err := l.file.ReadAt(raw, starts[index]); err != nil {
		return nil, fmt.Errorf("leaflog: %s: read: %w", l.path, err)
	}
	b := &block{index: index, count: min(size-first, blockSize)}
	b.data = make([]byte, 0, b.count*recordSize)
	leaf := commit.Leaf{Class: l.class, Node: l.key.Node}
	for at := 0; uint64(len(b.data)) < b.count*recordSize; {
		if len(raw)-at < frameHead {
			return nil, l.damaged(starts[index] + int64(at))
		}
		begins := binary.LittleEndian.Uint64(raw[at+8:])
		records, _, ok := parseFrame(raw[at:], l.sum, begins)
		want := first + uint64(len(b.data)/recordSize)
		n := uint64(len(records) / recordSize)
		if !ok || begins > want || begins+n <= want {
			return nil, l.damaged(starts[index] + int64(at))
		}
		at += frameLen(int(n))
		records = records[(want-begins)*recordSize:]
		b.data = append(b.data, records[:min(len(records), int(b.count)*recordSize-len(b.data))]...)
	}
	for i := range b.count {
		r := parseRecord(b.data[i*recordSize:])
		leaf.Index, leaf.Norm, leaf.Digest = first+i, r.Norm, r.Digest
		b.leaves.Append(leaf.Hash())
	}
	l.cached = b
	return b, nil
}

func (l *Log) damaged(off int64) error {
	return fmt.Errorf("%s: %w: at offset %d, where it was whole when the log was opened", l.path, ErrDamaged, off)
}
