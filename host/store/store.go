// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/assaynet/assay/host/batch"
	"github.com/assaynet/assay/internal/durable"
)

var (
	// ErrDamaged reports a file that does not hold together as a whole.
	ErrDamaged = errors.New("store: the file is damaged")
	// ErrVersion reports a file of a kind or version that this program does not read.
	ErrVersion = errors.New("store: another kind or version of file")
	// ErrInUse reports a file that another process has open.
	ErrInUse = errors.New("store: the file is in use; is another host running on this folder?")
)

// lockTime is how long Open waits for another process to let go of the file.
const lockTime = 2 * time.Second

// Options say what a file is.
type Options struct {
	Kind    string   // what it holds, in a word
	Version int      // from 2; a file without a version has 1
	Buckets []string // in the order of their numbers: new ones come last
	// Migrate fills a new file from one of version 1, which bolt reads. The old one
	// stays beside the new one. Nil: old ones are refused.
	Migrate func(old *bolt.Tx, to *Tx) error
	// NoSync leaves out the flushes, for tests that are not about the disk.
	NoSync bool
}

// meta is about the file, in a bucket of its own.
const metaBucket = "file"

var (
	keyFormat = []byte("format")
	keyTotals = []byte("totals")
)

type format struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
}

// File is safe for concurrent use.
type File struct {
	db      *bolt.DB
	path    string
	o       Options
	changes *batch.Writer
	buckets map[string]byte
}

// Open opens a file, making one where there is none, and looks at all of it:
// damaged names the records that were, and are left out of it from here on; the file
// as it was stays beside it. An error wraps ErrDamaged where it does not hold
// together, ErrVersion or ErrInUse. Opening takes time in proportion to the file.
func Open(path string, o Options) (f *File, damaged []Damage, err error) {
	found, err := look(path, o)
	if err != nil {
		return nil, nil, err
	}
	if found.empty { // whole or not at all: bolt leaves a piece of one where the disk is full
		if err := replace(path, o, func(*Tx) error { return nil }); err != nil {
			return nil, nil, fmt.Errorf("store: a new file %s: %w", path, err)
		}
		found.empty = false
	}
	f, err = begin(path, o, found)
	return f, found.Damaged, err
}

// begin opens a file that [look] has seen, or makes one.
func begin(path string, o Options, found Found) (f *File, err error) {
	f = &File{path: path, o: o, buckets: numbers(o)}
	if len(found.Damaged) > 0 || found.bent {
		if err := rewrite(path, o, found); err != nil {
			return nil, fmt.Errorf("store: a new file of what is sound in %s: %w", path, err)
		}
	}
	if err := durable.Fault(durable.OpCreate, path); found.empty && err != nil {
		return nil, err
	}
	if f.db, err = openBolt(path, false, o.NoSync); err != nil {
		return nil, err
	}
	if found.old {
		err = f.guard(f.migrate)
	}
	if err == nil {
		err = f.guard(f.prepare)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.changes = batch.New(f.db)
	return f, nil
}

func numbers(o Options) map[string]byte {
	list := map[string]byte{metaBucket: 0}
	for i, name := range o.Buckets {
		list[name] = byte(i + 1)
	}
	return list
}

// openBolt opens a bolt file that [look] found sound. Its list of free pages is
// made from the file each time: one that is stored could name pages that are in use.
func openBolt(path string, read, fast bool) (db *bolt.DB, err error) {
	err = safely(path, func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTime, ReadOnly: read,
			NoSync: fast, NoGrowSync: fast, NoFreelistSync: true,
			FreelistType: bolt.FreelistMapType})
		if err == nil {
			// bytes by which it grows; bolt's own 16 MB is more than most of these files hold
			db.AllocSize = 1 << 20
		}
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s", ErrInUse, path)
	case errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	case err != nil && !errors.Is(err, ErrDamaged): // what is in it
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return db, err
}

// safely makes errors of panics, and of faults in the file's memory: bolt trusts
// what it reads.
func safely(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s: %v", ErrDamaged, path, p)
		}
	}()
	return f()
}

func (f *File) guard(do func() error) error { return safely(f.path, do) }

// Old is where a file of version 1 stays after a migration.
func Old(path string) string { return path + ".version1" }

// migrate makes a new file of one of version 1 and puts it in its place.
func (f *File) migrate() error {
	if f.o.Migrate == nil {
		return fmt.Errorf("%w: %s is of version 1, and this program reads version %d", ErrVersion,
			f.path, f.o.Version)
	}
	if _, err := keepAs(f.path, Old(f.path)); err != nil {
		return err
	}
	if err := f.Close(); err != nil { // not every system replaces a file that is open
		return err
	}
	old, err := openBolt(Old(f.path), true, false)
	if err != nil {
		return err
	}
	err = errors.Join(old.View(func(old *bolt.Tx) error {
		return replace(f.path, f.o, func(tx *Tx) error { return f.o.Migrate(old, tx) })
	}), old.Close())
	if err != nil {
		f.db = nil
		return fmt.Errorf("store: %s of version 1 cannot be brought to version %d; it is as it "+
			"was: %w", f.path, f.o.Version, err)
	}
	f.db, err = openBolt(f.path, false, f.o.NoSync)
	return err
}

// prepare makes what is missing; what is there was compared by [look].
func (f *File) prepare() error {
	return f.Update(func(tx *Tx) error {
		for name := range f.buckets {
			if tx.tx.Bucket([]byte(name)) != nil {
				continue
			}
			tx.wrote = true
			if _, err := tx.tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		if tx.Has(metaBucket, keyFormat) {
			return nil
		}
		return tx.Put(metaBucket, keyFormat, format{f.o.Kind, f.o.Version})
	})
}

// View reads. Errors wrap ErrDamaged where the file fails the reader.
func (f *File) View(do func(*Tx) error) error {
	return f.guard(func() error {
		return f.db.View(func(tx *bolt.Tx) error { return do(&Tx{tx: tx, buckets: f.buckets}) })
	})
}

// faults, if set, stands between all files and their disks.
var faults atomic.Pointer[func(path string, done bool) error]

// Inject lets a function fail changes, for tests of what a failing or a slow disk
// does: before a change, and when it is done and only its caller does not learn it.
// It returns what ends that.
func Inject(fail func(path string, done bool) error) (stop func()) {
	faults.Store(&fail)
	return func() { faults.Store(nil) }
}

func (f *File) fault(done bool) error {
	if !done {
		if err := durable.Fault(durable.OpWrite, f.path); err != nil {
			return err
		}
	}
	if fail := faults.Load(); fail != nil {
		return (*fail)(f.path, done)
	}
	return nil
}

// errUnchanged takes back a transaction that has written nothing.
var errUnchanged = errors.New("store: nothing to write")

// Update changes, durably when it returns without an error; with one nothing has
// changed. What changes nothing writes nothing, so a file is opened and looked through
// on a full disk, too.
func (f *File) Update(do func(*Tx) error) error {
	err := f.guard(func() error {
		return f.db.Update(func(tx *bolt.Tx) error {
			wrote, err := f.apply(do)(tx)
			switch {
			case err != nil:
				return err
			case !wrote:
				return errUnchanged
			}
			return f.fault(false)
		})
	})
	if err == errUnchanged {
		return nil
	}
	if err != nil {
		return err
	}
	return f.fault(true)
}

// Do is Update for what many ask at the same time: they share a flush, and do may
// run more than once.
func (f *File) Do(do func(*Tx) error) error {
	if err := f.fault(false); err != nil {
		return err
	}
	err := f.changes.Do(func(tx *bolt.Tx) error {
		_, err := f.apply(do)(tx)
		return err
	})
	if err != nil {
		return err
	}
	return f.fault(true)
}

func (f *File) apply(do func(*Tx) error) func(*bolt.Tx) (wrote bool, err error) {
	return func(tx *bolt.Tx) (wrote bool, err error) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // the caller recovers
		t := &Tx{tx: tx, buckets: f.buckets}
		if err := do(t); err != nil || t.totals == nil {
			return t.wrote, err
		}
		return true, t.Put(metaBucket, keyTotals, t.totals)
	}
}

// Records counts a bucket's records.
func (f *File) Records(bucket string) (n int64, err error) {
	err = f.View(func(tx *Tx) error {
		now, err := tx.stored()
		if err == nil {
			n = now.Records[bucket]
		}
		return err
	})
	return n, err
}

// Size is the file's length in bytes.
func (f *File) Size() (n int64) {
	_ = f.db.View(func(tx *bolt.Tx) error { n = tx.Size(); return nil })
	return n
}

// Close closes the file.
func (f *File) Close() error {
	if f.db == nil {
		return nil
	}
	return f.guard(f.db.Close)
}

// Number is a key that sorts by value.
func Number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
