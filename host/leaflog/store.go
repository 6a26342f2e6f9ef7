// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/commit"
)

// Key names a log.
type Key struct {
	Epoch   uint64
	Node    string // see commit.ValidNode
	Segment uint32 // counted from 1
}

const suffix = ".leaves"

// Store is a directory of logs. One process has it open at a time.
type Store struct {
	dir     string
	unlock  func() error
	through func(path string, f File) File // set before use

	mu     sync.Mutex
	closed bool
	logs   map[Key]*entry
}

// entry opens its log once, without holding up the others.
type entry struct {
	mu  sync.Mutex
	log *Log
}

// Open opens the store in dir, making the directory when there is none. Files
// are read when their log is asked for.
func Open(dir string) (*Store, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("leaflog: %w", err)
	}
	unlock, err := durable.Lock(filepath.Join(dir, "lock"))
	if held, ok := errors.AsType[*durable.Held](err); ok {
		return nil, fmt.Errorf("%w: another host (%s) works with %s; stop it first",
			ErrInUse, held.Holder(), dir)
	}
	if err != nil {
		return nil, fmt.Errorf("leaflog: %w", err)
	}
	s := &Store{dir: dir, unlock: unlock, logs: map[Key]*entry{},
		through: func(_ string, f File) File { return f }}
	if err := s.list(); err != nil {
		return nil, fmt.Errorf("leaflog: %w", errors.Join(err, unlock()))
	}
	return s, nil
}

// Through puts something between the logs that are opened from now on and their
// files, for tests of what a failing or a slow disk does.
func (s *Store) Through(wrap func(path string, f File) File) { s.through = wrap }

// list finds the logs that exist, and sweeps away what an interrupted create
// left. Names that are not a log's are not touched. A folder that cannot be read
// has no logs until one of it is asked for, which says why.
func (s *Store) list() error {
	epochs, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		epoch, ok := parseEpoch(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		_ = durable.Sweep(filepath.Join(s.dir, e.Name())) // what is left disturbs nobody
		files, _ := os.ReadDir(filepath.Join(s.dir, e.Name()))
		for _, f := range files {
			if key, ok := parseName(epoch, f.Name()); ok {
				s.logs[key] = new(entry)
			}
		}
	}
	return nil
}

// Log opens a log of transformer/1 by its class, as LogOf does.
func (s *Store) Log(key Key, class uint8) (*Log, error) { return s.LogOf(key, Transformer(class)) }

// LogOf opens a log, making it when there is none. Its form never changes.
// Reading an existing log takes about a second per two million leaves; other
// logs are not held up.
func (s *Store) LogOf(key Key, form Form) (*Log, error) {
	if err := commit.ValidNode(key.Node); err != nil {
		return nil, fmt.Errorf("leaflog: %w", err)
	}
	if err := form.valid(); err != nil || key.Segment == 0 {
		return nil, fmt.Errorf("%w: segment %d, %+v", ErrRange, key.Segment, form)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	e := s.logs[key]
	if e == nil {
		e = new(entry)
		s.logs[key] = e
	}
	s.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.log != nil {
		if e.log.form != form {
			return nil, fmt.Errorf("%w: the log of epoch %d node %s segment %d has %+v, not %+v",
				ErrOrder, key.Epoch, key.Node, key.Segment, e.log.form, form)
		}
		return e.log, nil
	}
	dir := filepath.Join(s.dir, epochName(key.Epoch))
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("leaflog: %w", err)
	}
	log, err := openLog(filepath.Join(dir, fileName(key)), key, form, s.through)
	if err != nil {
		return nil, err
	}
	e.log = log
	return log, nil
}

// Has reports whether a log is there, or was asked for.
func (s *Store) Has(key Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs[key] != nil
}

// Keys returns the logs there are, by epoch, node, segment.
func (s *Store) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]Key, 0, len(s.logs))
	for k := range s.logs {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Node, b.Node),
			cmp.Compare(a.Segment, b.Segment))
	})
	return keys
}

// Prune deletes the logs of all epochs before the given one, also what an earlier
// call could not delete. It does what it can whatever fails.
func (s *Store) Prune(before uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for key, e := range s.logs {
		if key.Epoch < before {
			errs = append(errs, e.close(fmt.Errorf("%w: epoch %d was pruned",
				ErrClosed, key.Epoch)))
			delete(s.logs, key)
		}
	}
	names, err := os.ReadDir(s.dir)
	errs = append(errs, err)
	for _, e := range names {
		if epoch, ok := parseEpoch(e.Name()); ok && epoch < before && e.IsDir() {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("leaflog: prune: %w", err)
	}
	return nil
}

// Close closes every log.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, e := range s.logs {
		errs = append(errs, e.close(ErrClosed))
	}
	return errors.Join(append(errs, s.unlock())...)
}

func (e *entry) close(reason error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.log == nil {
		return nil
	}
	return e.log.close(reason)
}

func epochName(epoch uint64) string { return strconv.FormatUint(epoch, 10) }

func parseEpoch(name string) (uint64, bool) {
	epoch, err := strconv.ParseUint(name, 10, 64)
	return epoch, err == nil && epochName(epoch) == name
}

func fileName(k Key) string {
	return k.Node + "." + strconv.FormatUint(uint64(k.Segment), 10) + suffix
}

func parseName(epoch uint64, name string) (Key, bool) {
	stem, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return Key{}, false
	}
	node, number, _ := strings.Cut(stem, ".")
	segment, err := strconv.ParseUint(number, 10, 32)
	key := Key{Epoch: epoch, Node: node, Segment: uint32(segment)}
	return key, err == nil && segment > 0 && commit.ValidNode(node) == nil && fileName(key) == name
}
