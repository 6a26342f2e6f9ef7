// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ram is a disk of which a power cut leaves what POSIX promises and no more: the content of a file
// that was synced, any part of one that was not, and of the changes to the folder since its last
// sync any first few.
type ram struct {
	now     map[string]*inode
	onDisk  map[string]*inode
	pending []change // of the folder, in order
}

type inode struct{ now, onDisk []byte }

// change gives a name to a file, or takes it away (nil).
type change struct {
	name string
	file *inode
}

func newRAM() *ram { return &ram{now: map[string]*inode{}, onDisk: map[string]*inode{}} }

func (r *ram) set(changes ...change) {
	for _, c := range changes {
		set(r.now, c)
	}
	r.pending = append(r.pending, changes...)
}

func set(names map[string]*inode, c change) {
	if c.file == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.file
	}
}

// ramFile is an open file.
type ramFile struct{ *inode }

func (f ramFile) Write(data []byte) (int, error) {
	f.now = append(f.now, data...)
	return len(data), nil
}

func (f ramFile) Sync() error {
	f.onDisk = bytes.Clone(f.now)
	return nil
}

func (f ramFile) Close() error { return nil }

func (r *ram) disk() disk {
	return disk{
		create: func(path string, _ fs.FileMode) (file, error) {
			f := new(inode)
			r.set(change{path, f})
			return ramFile{f}, nil
		},
		rename: func(from, to string) error {
			f := r.now[from]
			if f == nil {
				return fs.ErrNotExist
			}
			r.set(change{to, f}, change{from, nil})
			return nil
		},
		link: func(from, to string) error {
			if r.now[to] != nil {
				return fs.ErrExist
			}
			r.set(change{to, r.now[from]})
			return nil
		},
		remove: func(path string) error {
			r.set(change{path, nil})
			return nil
		},
		syncDir: func(string) error {
			r.powerCut(len(r.pending), false, nil)
			return nil
		},
	}
}

// powerCut applies the first n pending changes. lost also takes from each file what was not synced,
// but for a part that keep chooses.
func (r *ram) powerCut(n int, lost bool, keep func(most int) int) {
	for _, c := range r.pending[:n] {
		set(r.onDisk, c)
	}
	r.pending = r.pending[n:]
	if !lost {
		return
	}
	r.pending, r.now = nil, map[string]*inode{}
	for name, f := range r.onDisk {
		if !bytes.Equal(f.now, f.onDisk) {
			f.now = f.now[:keep(len(f.now))]
			f.onDisk = f.now
		}
		r.now[name] = f
	}
}

// stopAfter lets n calls through, after which the power is gone.
func stopAfter(d disk, n int) disk {
	off := func() bool { n--; return n < 0 }
	return disk{
		create: func(path string, mode fs.FileMode) (file, error) {
			if off() {
				return nil, errKilled
			}
			f, err := d.create(path, mode)
			return stoppingFile{f, off}, err
		},
		rename: func(from, to string) error {
			if off() {
				return errKilled
			}
			return d.rename(from, to)
		},
		link: func(from, to string) error {
			if off() {
				return errKilled
			}
			return d.link(from, to)
		},
		moveNew: func(string, string) error { return errKilled },
		remove: func(path string) error {
			if off() {
				return errKilled
			}
			return d.remove(path)
		},
		syncDir: func(dir string) error {
			if off() {
				return errKilled
			}
			return d.syncDir(dir)
		},
	}
}

type stoppingFile struct {
	file
	off func() bool
}

func (f stoppingFile) Write(data []byte) (int, error) {
	if f.off() {
		return 0, errKilled
	}
	return f.file.Write(data)
}

func (f stoppingFile) Sync() error {
	if f.off() {
		return errKilled
	}
	return f.file.Sync()
}

// cutPower writes a file twice, cuts the power somewhere, and says what is wrong with the result.
func cutPower(t *rapid.T, weaken func(disk) disk) (wrong string) {
	const path = "/no such folder/file" // on the ram alone
	r := newRAM()
	d := weaken(r.disk())
	write := d.writeFile
	create := rapid.Bool().Draw(t, "create")
	if create {
		write = d.createFile
	}
	if err := write(path, oldText, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	calls := rapid.IntRange(0, 8).Draw(t, "calls before the cut")
	if create { // the first one is what must not get lost
		err = stopAfter(d, calls).createFile(path, newText, 0o600)
		if err == nil {
			return "created twice"
		}
	} else {
		err = stopAfter(d, calls).writeFile(path, newText, 0o600)
	}
	r.powerCut(rapid.IntRange(0, len(r.pending)).Draw(t, "changes on disk"),
		true, func(most int) int {
			return rapid.IntRange(0, most).Draw(t, "bytes on disk")
		})
	f := r.now[path]
	switch {
	case f == nil:
		return "the file is gone"
	case err == nil && !bytes.Equal(f.now, newText):
		return "the write had returned, and the new content is lost"
	case !bytes.Equal(f.now, newText) && !bytes.Equal(f.now, oldText):
		return "the file is a mix"
	}
	return ""
}

// A power cut at any moment leaves the old content or the new one, and the new one once WriteFile
// has returned.
// Holds spec H-6.
func TestPowerCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if wrong := cutPower(t, func(d disk) disk { return d }); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// Without either sync the test above finds the loss.
func TestPowerCutFindsMissingSync(t *testing.T) {
	for name, weaken := range map[string]func(disk) disk{
		"file": func(d disk) disk {
			create := d.create
			d.create = func(path string, mode fs.FileMode) (file, error) {
				f, err := create(path, mode)
				return unsynced{f}, err
			}
			return d
		},
		"folder": func(d disk) disk {
			d.syncDir = func(string) error { return nil }
			return d
		},
	} {
		found := errors.New("found")
		fail := func() (err error) {
			for seed := range 200 {
				wrong := rapid.Custom(func(t *rapid.T) string {
					return cutPower(t, weaken)
				}).Example(seed)
				if wrong != "" {
					return found
				}
			}
			return nil
		}
		if fail() == nil {
			t.Errorf("no sync of the %s, and nothing is found", name)
		}
	}
}

type unsynced struct{ file }

func (unsynced) Sync() error { return nil }

// BenchmarkWriteFile measures what each sync costs, on the file system of the temporary folder.
func BenchmarkWriteFile(b *testing.B) {
	noFolder := system
	noFolder.syncDir = func(string) error { return nil }
	neither := noFolder
	neither.create = func(path string, mode fs.FileMode) (file, error) {
		f, err := system.create(path, mode)
		return unsynced{f}, err
	}
	for _, of := range []struct {
		name string
		d    disk
	}{{"file+folder", system}, {"file", noFolder}, {"neither", neither}} {
		b.Run(of.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "file")
			text := []byte(strings.Repeat("x", 2000)) // a receipt
			for b.Loop() {
				if err := of.d.writeFile(path, text, 0o600); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
