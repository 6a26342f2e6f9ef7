// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"io/fs"
	"os"
	"sync/atomic"
)

// The changes that a disk can refuse, as [Inject] names them. Deleting a file is none of them: it
// is how room is made.
const (
	OpCreate   = "create"
	OpWrite    = "write"
	OpSync     = "sync"
	OpRename   = "rename" // of an unfinished file, hard links included
	OpMkdir    = "mkdir"
	OpTruncate = "truncate"
	OpSyncDir  = "sync folder"
)

// injected, if set, stands between all that this process writes and its disks.
var injected atomic.Pointer[func(op, path string) error]

// Inject lets a function fail changes before they are made, for tests of what a full or a failing
// disk does. Half of a write that fails is made, as on a full disk. The function is called by many
// goroutines. stop ends it.
func Inject(fail func(op, path string) error) (stop func()) {
	injected.Store(&fail)
	return func() { injected.CompareAndSwap(&fail, nil) }
}

// Fault is the error that a test has injected into a change, nil outside of tests. Those ask for it
// who let a library write to a file, such as a database.
func Fault(op, path string) error {
	if fail := injected.Load(); fail != nil {
		if err := (*fail)(op, path); err != nil {
			return &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	return nil
}

// File is a file that exists and is written in place: a log whose records carry checksums, so that
// its reader tells a whole record from one that was cut short.
type File struct{ f *os.File }

// Open opens a file that exists for reading and writing.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &File{f}, nil
}

func (f *File) Read(b []byte) (int, error)                { return f.f.Read(b) }
func (f *File) ReadAt(b []byte, off int64) (int, error)   { return f.f.ReadAt(b, off) }
func (f *File) Seek(off int64, whence int) (int64, error) { return f.f.Seek(off, whence) }
func (f *File) Stat() (fs.FileInfo, error)                { return f.f.Stat() }
func (f *File) Close() error                              { return f.f.Close() }

func (f *File) Write(b []byte) (int, error) {
	return halved(f.f.Name(), b, f.f.Write)
}

// WriteAt writes at an offset.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	return halved(f.f.Name(), b, func(b []byte) (int, error) { return f.f.WriteAt(b, off) })
}

// Truncate changes the size.
func (f *File) Truncate(size int64) error {
	if err := Fault(OpTruncate, f.f.Name()); err != nil {
		return err
	}
	return f.f.Truncate(size)
}

// Sync returns once what was written is on disk.
func (f *File) Sync() error {
	if err := Fault(OpSync, f.f.Name()); err != nil {
		return err
	}
	return f.f.Sync()
}

// halved writes, or half of it where a test wants the write to fail.
func halved(path string, b []byte, write func([]byte) (int, error)) (int, error) {
	fault := Fault(OpWrite, path)
	if fault == nil {
		return write(b)
	}
	n, _ := write(b[:len(b)/2])
	return n, fault
}

func before(op string, do func(a, b string) error) func(a, b string) error {
	return func(from, to string) error {
		if err := Fault(op, to); err != nil {
			return err
		}
		return do(from, to)
	}
}
