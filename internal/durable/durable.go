// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// prefix begins the name of a file that is not finished. The dot and the missing extension keep it
// out of every pattern by which callers list their files.
const prefix = ".unfinished-"

// file is the part of *os.File that a write needs.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// disk is the system calls of a write, each of which can fail. Tests make them fail.
type disk struct {
	create  func(path string, mode fs.FileMode) (file, error) // only if the path is free
	rename  func(from, to string) error                       // replaces to
	link    func(from, to string) error                       // fails with fs.ErrExist
	moveNew func(from, to string) error                       // rename that fails with fs.ErrExist
	remove  func(path string) error
	mkdir   func(path string, mode fs.FileMode) error // fails with fs.ErrExist
	syncDir func(dir string) error
}

var system = disk{
	create: func(path string, mode fs.FileMode) (file, error) {
		if err := Fault(OpCreate, path); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return nil, err
		}
		return &File{f}, nil
	},
	rename: before(OpRename, rename), link: before(OpRename, os.Link),
	moveNew: before(OpRename, moveNew),
	remove:  os.Remove,
	mkdir: func(path string, mode fs.FileMode) error {
		if err := Fault(OpMkdir, path); err != nil {
			return err
		}
		return os.Mkdir(path, mode)
	},
	syncDir: func(dir string) error {
		if err := Fault(OpSyncDir, dir); err != nil {
			return err
		}
		return syncDir(dir)
	},
}

// WriteFile makes or replaces a file, durably. The file gets the mode given, less the umask,
// whatever an older one had. A symbolic link stays, and the file that it leads to is replaced. A
// device or a pipe such as /dev/stdout is written to directly.
//
// Two calls for one path at the same time are safe; one of them is the last.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return system.writeFile(path, data, mode)
}

// Replace is WriteFile that makes the file's folder where it is missing, for those who may read the
// file.
func Replace(path string, data []byte, mode fs.FileMode) error {
	if err := MkdirAll(filepath.Dir(path), mode|mode&0o444>>2); err != nil {
		return err
	}
	return WriteFile(path, data, mode)
}

// Create makes a file, durably, and fails with fs.ErrExist if the path is taken, also by a process
// that does the same at the same time. The file appears with all of its content.
//
// A hard link makes the name. On a file system without hard links (exFAT, some mounts under WSL)
// the folder is locked, the path checked, and the file renamed. That is exclusive among programs
// which use this package, and leaves nothing half done: the lock ends with the process. On Windows
// the rename itself refuses to replace a file.
func Create(path string, data []byte, mode fs.FileMode) error {
	return system.createFile(path, data, mode)
}

// MkdirAll makes a folder and those above it that are missing, with the mode given less the umask,
// and makes their names durable. A folder that exists is left as it is.
func MkdirAll(path string, mode fs.FileMode) error {
	return system.mkdirAll(filepath.Clean(path), mode)
}

// Rename moves a file, durably, and replaces a file that has the new name.
func Rename(from, to string) error {
	if err := system.rename(from, to); err != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: cause(err)}
	}
	if a, b := filepath.Dir(from), filepath.Dir(to); a != b {
		if err := SyncDir(a); err != nil {
			return err
		}
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir makes the names in a folder durable, where the system can.
func SyncDir(dir string) error {
	if err := system.syncDir(dir); err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: cause(err)}
	}
	return nil
}

// Append adds data to the end of a file that exists. After an error the file ends where it ended
// before, so that a record which a full disk tore does not garble the next one. It is not synced: a
// killed process loses nothing, a power cut can lose the last half minute.
func Append(path string, data []byte) error {
	opened, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return &fs.PathError{Op: "append to", Path: path, Err: cause(err)}
	}
	f := &File{opened}
	if err = errors.Join(appendTo(f, data), f.Close()); err != nil {
		return &fs.PathError{Op: "append to", Path: path, Err: err}
	}
	return nil
}

// log is the part of *os.File that Append needs.
type log interface {
	io.Writer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
}

func appendTo(f log, data []byte) error {
	before, err := f.Stat()
	if err != nil {
		return cause(err)
	}
	if err := writeAll(f, data); err != nil {
		return errors.Join(cause(err), cause(f.Truncate(before.Size())))
	}
	return nil
}

// Unfinished reports whether a name in a folder is that of a file which a killed process left
// unfinished. Callers that count or list all files of a folder leave it out.
func Unfinished(name string) bool { return strings.HasPrefix(name, prefix) }

// Sweep removes the files that killed processes left unfinished in a folder. A folder that does not
// exist has none. Nothing else may write to the folder meanwhile: the caller holds its lock.
func Sweep(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		if Unfinished(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (d disk) writeFile(path string, data []byte, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return writeDevice(path, data)
	}
	target, err := follow(path)
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: cause(err)}
	}
	unfinished, err := d.write(target, data, mode)
	if err == nil {
		if err = d.rename(unfinished, target); err != nil {
			err = errors.Join(cause(err), d.discard(unfinished))
		}
	}
	if err == nil {
		err = cause(d.syncDir(filepath.Dir(target)))
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func (d disk) createFile(path string, data []byte, mode fs.FileMode) error {
	if _, err := os.Lstat(path); err == nil { // saves a file; link and moveNew decide
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	unfinished, err := d.write(path, data, mode)
	if err == nil {
		err = d.name(unfinished, path)
	}
	if err == nil {
		err = cause(d.syncDir(filepath.Dir(path)))
	}
	if err != nil {
		return &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return nil
}

// write puts data into a new file beside path and on disk. After an error there is none.
func (d disk) write(path string, data []byte, mode fs.FileMode) (unfinished string, err error) {
	var tag [8]byte
	rand.Read(tag[:]) // never fails
	unfinished = filepath.Join(filepath.Dir(path), prefix+hex.EncodeToString(tag[:]))
	f, err := d.create(unfinished, mode)
	if err != nil {
		return "", cause(err)
	}
	err = writeAll(f, data)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil { // closing reports what a network file system kept back
		err = closing
	}
	if err != nil {
		return "", errors.Join(cause(err), d.discard(unfinished))
	}
	return unfinished, nil
}

// name gives an unfinished file its name, if that is free. Afterwards it has no other.
func (d disk) name(unfinished, path string) error {
	err := d.link(unfinished, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(cause(err), d.discard(unfinished))
	}
	// Systems report the lack of hard links in many ways. If something else is wrong, such as a
	// full disk, moving the file fails of it too.
	if err := d.moveNew(unfinished, path); err != nil {
		return errors.Join(cause(err), d.discard(unfinished))
	}
	return nil
}

func (d disk) discard(unfinished string) error {
	if err := d.remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // with the path: a person has to remove it
	}
	return nil
}

func (d disk) mkdirAll(path string, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := d.mkdirAll(parent, mode); err != nil {
			return err
		}
	}
	if err := d.mkdir(path, mode); err != nil {
		if info, other := os.Stat(path); other == nil && info.IsDir() &&
			errors.Is(err, fs.ErrExist) {
			return nil // another process was faster, and syncs it
		}
		return &fs.PathError{Op: "mkdir", Path: path, Err: cause(err)}
	}
	if err := d.syncDir(parent); err != nil {
		_ = d.remove(path) // or the next attempt finds it, and its name is never made durable
		return &fs.PathError{Op: "sync", Path: parent, Err: cause(err)}
	}
	return nil
}

func writeDevice(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(writeAll(f, data), f.Close())
}

func writeAll(w io.Writer, data []byte) error {
	n, err := w.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	return err
}

// follow returns the path that a symbolic link leads to, which need not exist.
func follow(path string) (string, error) {
	for range 40 { // as many as Linux follows
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", errors.New("too many symbolic links")
}

// cause takes off an error the path that it names: that of the unfinished file says nothing to
// anyone.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
