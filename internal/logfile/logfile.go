// SPDX-License-Identifier: Apache-2.0

// Package logfile is a log in a file of bounded size: when it is full it becomes the older one of
// two, and a new one begins.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/assaynet/assay/internal/durable"
)

// Older is added to a log's name for the one before it.
const Older = ".1"

// File is an io.Writer of whole lines. It is safe for concurrent use. Two processes must not write
// to one.
type File struct {
	path string
	most int64

	mu     sync.Mutex
	size   int64
	failed error
}

// Open goes on with the log at path, which has at most so many bytes, and the older one as many
// again. It makes the file, and its folder, where there is none.
func Open(path string, most int64) (*File, error) {
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	f := &File{path: path, most: most}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = durable.Create(path, nil, 0o600)
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("%s is no file; move it away", path)
	case err == nil:
		f.size = info.Size()
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return f, nil
}

// Path is where the log is.
func (f *File) Path() string { return f.path }

// Err is why the last line is not in the log; nil if it is.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Write appends a line. After an error nothing of it is there, and the next one is tried again.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = f.write(line)
	if f.failed != nil {
		return 0, f.failed
	}
	return len(line), nil
}

func (f *File) write(line []byte) error {
	if f.size > 0 && f.size+int64(len(line)) > f.most {
		if err := durable.Rename(f.path, f.path+Older); err != nil &&
			!errors.Is(err, fs.ErrNotExist) {
			return err
		}
		f.size = 0
	}
	err := durable.Append(f.path, line)
	if errors.Is(err, fs.ErrNotExist) { // a new one, or somebody moved it away
		f.size = 0
		if err = durable.Create(f.path, nil, 0o600); err == nil {
			err = durable.Append(f.path, line)
		}
	}
	if err != nil {
		return err
	}
	f.size += int64(len(line))
	return nil
}
