// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/assaynet/assay/poc/commit"
)

// block is the part of the tree under one block's root, read from the file.
type block struct {
	index  uint64
	count  uint64 // leaves in it, blockSize unless it was the last one
	data   []byte // packed bodies
	leaves commit.Log
}

// Body returns leaf i's body, which is the caller's.
func (l *Log) Body(i uint64) ([]byte, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	b, err := l.block(i/blockSize, i%blockSize+1)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(b.data[int(i%blockSize)*l.form.Body:][:l.form.Body]), nil
}

// Batch returns what one Append stored, the one with leaf i, from the file.
func (l *Log) Batch(i uint64) (Batch, error) {
	l.state.RLock()
	size, end, starts, closed := l.size, l.end, l.starts, l.closed
	l.state.RUnlock()
	switch {
	case i >= size:
		return Batch{}, fmt.Errorf("%w: leaf %d, it has %d", ErrRange, i, size)
	case closed != nil:
		return Batch{}, closed
	}
	off := starts[i/blockSize].off // the frame is this one, or begins before the next block
	if next := i/blockSize + 1; next < uint64(len(starts)) {
		end = min(end, starts[next].off+int64(l.frame.max()))
	}
	raw := make([]byte, end-off)
	l.reading.Lock()
	_, err := l.file.ReadAt(raw, off)
	l.reading.Unlock()
	if err != nil {
		return Batch{}, fmt.Errorf("leaflog: %s: read: %w", l.path, err)
	}
	for first, at := starts[i/blockSize].first, 0; ; {
		packed, sig, n, _, ok := l.frame.read(raw[at:], first)
		if !ok {
			return Batch{}, l.damaged(off + int64(at))
		}
		next := first + uint64(l.frame.count(packed))
		if i < next {
			return Batch{First: first, Records: packed, Signature: sig}, nil
		}
		first, at = next, at+n
	}
}

// Leaf returns leaf i as it stands in the tree.
func (l *Log) Leaf(i uint64) (commit.Leaf, error) {
	body, err := l.Body(i)
	return l.form.leaf(l.key.Node, i, body), err
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
		return commit.Hash{}, fmt.Errorf("%w: no complete subtree (%d, %d) in %d leaves",
			ErrRange, level, index, size)
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
	size, end, starts, closed := l.size, l.end, l.starts, l.closed
	l.state.RUnlock()
	first := index * blockSize
	if first+least > size || index > size/blockSize {
		return nil, fmt.Errorf("%w: leaf %d, it has %d", ErrRange, first+least-1, size)
	}
	if closed != nil {
		return nil, closed
	}
	// The block's last frame begins before the next block's first, and may be it.
	if index+1 < uint64(len(starts)) {
		end = min(end, starts[index+1].off+int64(l.frame.max()))
	}
	off, begins := starts[index].off, starts[index].first
	raw := make([]byte, end-off)
	if _, err := l.file.ReadAt(raw, off); err != nil {
		return nil, fmt.Errorf("leaflog: %s: read: %w", l.path, err)
	}
	b := &block{index: index, count: min(size-first, blockSize)}
	body := l.form.Body
	whole := int(b.count) * body
	b.data = make([]byte, 0, whole)
	for at := 0; len(b.data) < whole; {
		packed, _, n, _, ok := l.frame.read(raw[at:], begins)
		if !ok {
			return nil, l.damaged(off + int64(at))
		}
		want := first + uint64(l.frame.count(b.data))
		at += n
		packed, begins = packed[int(want-begins)*body:], begins+uint64(l.frame.count(packed))
		b.data = append(b.data, packed[:min(len(packed), whole-len(b.data))]...)
	}
	for body := range slices.Chunk(b.data, body) {
		b.leaves.Append(l.form.leaf(l.key.Node, first, body).Hash())
		first++
	}
	l.cached = b
	return b, nil
}

func (l *Log) damaged(off int64) error {
	return fmt.Errorf("%s: %w: at offset %d, where it was whole when the log was opened",
		l.path, ErrDamaged, off)
}
