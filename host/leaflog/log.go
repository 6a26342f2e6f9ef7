// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/commit"
)

var (
	// ErrOrder refuses a batch that does not continue its log, or that differs
	// from what is stored.
	ErrOrder = errors.New("leaflog: batch does not fit")
	// ErrDamaged reports a file of which something acknowledged is unreadable.
	ErrDamaged = errors.New("leaflog: damaged")
	// ErrInUse reports a store that another process has open.
	ErrInUse = errors.New("leaflog: this store is in use")
	// ErrClosed reports use after Close or Prune.
	ErrClosed = errors.New("leaflog: closed")
	// ErrRange reports a leaf or subtree that the log does not have.
	ErrRange = errors.New("leaflog: not in the log")
)

// Signature is a machine's, under a batch. What it says is not looked at here.
type Signature = [64]byte

// Batch is the leaves first, first+1, ... as they came.
type Batch struct {
	First     uint64
	Records   []byte // their bodies, packed, as on the wire
	Signature Signature
}

const (
	blockLevel = 10
	blockSize  = 1 << blockLevel // leaves whose subtree is kept as one hash
)

// File is what a log needs of its file.
type File interface {
	io.ReaderAt
	io.WriterAt
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// start is a frame's place.
type start struct {
	off   int64
	first uint64 // leaf
}

// Log is the log of one node in one segment. All methods may be called at the
// same time. Lock order: writing, reading, state.
type Log struct {
	key   Key
	form  Form
	path  string
	frame frames
	file  File

	writing sync.Mutex      // held by the one Append
	tail    commit.Frontier // of the incomplete block; owned by writing
	buf     []byte          // owned by writing
	dirty   bool            // what lies behind the end is not known; owned by writing

	state  sync.RWMutex // guards what follows
	size   uint64       // durable leaves
	end    int64        // file offset behind the last durable frame
	blocks []commit.Hash
	starts []start // starts[b]: of the frame that holds leaf b*blockSize
	damage error   // set on opening: what is behind the end cannot be read
	mended int     // frames of which a bit had changed
	closed error   // set once

	reading sync.Mutex
	cached  *block // the block read last
}

// openLog opens the file of a log, making it when there is none.
func openLog(path string, key Key, form Form, through func(string, File) File) (*Log, error) {
	header := appendHeader(nil, key, form)
	file, err := durable.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := durable.Create(path, header, 0o600); err != nil {
			return nil, fmt.Errorf("leaflog: %w", err)
		}
		file, err = durable.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("leaflog: open: %w", err)
	}
	l := &Log{key: key, form: form, path: path, file: through(path, file), frame: framesOf(header)}
	if err := l.load(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// load rebuilds the state from the file and cuts an unfinished frame off.
func (l *Log) load() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	header := make([]byte, headerSize)
	if _, err := l.file.ReadAt(header, 0); err != nil {
		return fmt.Errorf("%w: no header: %w", ErrDamaged, err)
	}
	want := appendHeader(nil, l.key, l.form)
	if mendHeader(header, want) {
		header = want
		l.mended++
	}
	key, form, err := parseHeader(header)
	if err != nil {
		return err
	}
	if key != l.key || form != l.form {
		return fmt.Errorf("%w: holds epoch %d node %s segment %d %+v, asked for %+v of epoch %d "+
			"node %s segment %d",
			ErrOrder, key.Epoch, key.Node, key.Segment, form, l.form, l.key.Epoch,
			l.key.Node, l.key.Segment)
	}
	l.end, err = l.frame.scan(l.file, info.Size(), func(off int64, packed []byte, mended bool) {
		l.grow(off, packed)
		if mended {
			l.mended++
		}
	})
	if err != nil { // what is before it is as good as ever
		l.damage = fmt.Errorf("%s: %w", l.path, err)
		return nil
	}
	l.dirty = l.end < info.Size()
	_ = l.clean() // or before the next batch
	return nil
}

// clean makes the file end where the log does, so that a frame can follow. What a
// failed write or sync left behind cannot be known, so the last page of the file is
// written again with what belongs there and synced before anything else is stored.
// The caller holds writing, or is alone.
func (l *Log) clean() error {
	if !l.dirty {
		return nil
	}
	const page = 4096
	last := make([]byte, l.end%page)
	at := l.end - int64(len(last))
	if _, err := l.file.ReadAt(last, at); err != nil {
		return err
	}
	if err := l.file.Truncate(l.end); err != nil {
		return err
	}
	if _, err := l.file.WriteAt(last, at); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.dirty = false
	return nil
}

// grow takes a durable frame at offset off into the state. The caller holds
// state, or is alone.
func (l *Log) grow(off int64, packed []byte) {
	first := l.size
	for body := range slices.Chunk(packed, l.form.Body) {
		if l.size%blockSize == 0 {
			l.starts = append(l.starts, start{off, first})
		}
		l.tail.Append(l.form.leaf(l.key.Node, l.size, body).Hash())
		if l.size++; l.size%blockSize == 0 {
			l.blocks = append(l.blocks, l.tail.Root())
			l.tail = commit.Frontier{}
		}
	}
}

// Key returns which log this is.
func (l *Log) Key() Key { return l.key }

// Form returns what all leaves have in common.
func (l *Log) Form() Form { return l.form }

// Size returns the number of durable leaves.
func (l *Log) Size() uint64 {
	l.state.RLock()
	defer l.state.RUnlock()
	return l.size
}

// Append stores the packed bodies of the leaves first, first+1, ... and returns
// when they are durable, and the signature under them with them. first is the log's
// size; a batch of bodies that are already stored, equal in every byte, is accepted
// again without effect, so that a worker may repeat one whose acknowledgement was
// lost. Anything else is an ErrOrder.
//
// After an error of the disk nothing of the batch is stored, and the next Append
// tries again. A log with damage takes nothing more (ErrDamaged).
func (l *Log) Append(first uint64, packed []byte, sig Signature) error {
	n := l.frame.count(packed)
	if n == 0 || n > MaxBatch || len(packed) != n*l.form.Body {
		return fmt.Errorf("%w: %d bytes, want 1..%d bodies of %d", ErrOrder, len(packed),
			MaxBatch, l.form.Body)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.state.RLock()
	size, end, closed, damage := l.size, l.end, l.closed, l.damage
	l.state.RUnlock()
	switch {
	case closed != nil:
		return closed
	case first > commit.MaxSize || first+uint64(n) > commit.MaxSize:
		return fmt.Errorf("%w: leaf %d is beyond the largest log", ErrOrder, first)
	case first < size:
		return l.repeated(first, packed, size)
	case first > size:
		return fmt.Errorf("%w: begins at leaf %d, the log has %d", ErrOrder, first, size)
	case damage != nil:
		return damage
	}
	err := l.clean()
	if err == nil {
		l.buf = l.frame.append(l.buf[:0], first, packed, &sig)
		l.dirty = true
		_, err = l.file.WriteAt(l.buf, end)
	}
	if err == nil {
		err = l.file.Sync()
	}
	l.state.Lock()
	defer l.state.Unlock()
	if l.closed != nil { // meanwhile
		return l.closed
	}
	if err != nil {
		return fmt.Errorf("leaflog: %s: %w", l.path, err)
	}
	l.dirty = false
	l.grow(end, packed)
	l.end = end + int64(len(l.buf))
	return nil
}

// Ready reports what keeps the log from taking a batch now, as far as it can be
// known without one: damage, or a disk that does not take what is due to it.
func (l *Log) Ready() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.state.RLock()
	closed, damage := l.closed, l.damage
	l.state.RUnlock()
	switch {
	case closed != nil:
		return closed
	case damage != nil:
		return damage
	}
	if err := l.clean(); err != nil {
		return fmt.Errorf("leaflog: %s: %w", l.path, err)
	}
	return nil
}

// Damage is why the log ends where it does, nil where nothing is wrong: it names
// the file and the offset behind which nothing can be read. The leaves before it
// are whole.
func (l *Log) Damage() error {
	l.state.RLock()
	defer l.state.RUnlock()
	return l.damage
}

// Mended counts the batches of which a bit had changed on disk since they were
// stored, and which were read all the same.
func (l *Log) Mended() int {
	l.state.RLock()
	defer l.state.RUnlock()
	return l.mended
}

// Path is the log's file.
func (l *Log) Path() string { return l.path }

// repeated accepts a batch that lies in the log word for word.
func (l *Log) repeated(first uint64, packed []byte, size uint64) error {
	if n := uint64(l.frame.count(packed)); first+n > size {
		return fmt.Errorf("%w: leaves %d..%d overlap the log's end at %d", ErrOrder,
			first, first+n-1, size)
	}
	for body := range slices.Chunk(packed, l.form.Body) {
		stored, err := l.Body(first)
		if err != nil {
			return err
		}
		if !bytes.Equal(stored, body) {
			return fmt.Errorf("%w: leaf %d differs from the one stored", ErrOrder, first)
		}
		first++
	}
	return nil
}

// close ends the log; later calls fail with reason.
func (l *Log) close(reason error) error {
	l.state.Lock()
	was := l.closed
	l.closed = reason
	l.state.Unlock()
	if errors.Is(was, ErrClosed) {
		return nil
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.file.Close()
}
