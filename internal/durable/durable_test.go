// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// step is one system call of a write, as the tests name it.
type step struct {
	name string
	err  error
}

var (
	errKilled = errors.New("the process is gone")
	oldText   = []byte(strings.Repeat("old content\n", 1000))
	newText   = []byte(strings.Repeat("the new content, which is longer\n", 1000))
)

// faults is the real disk with a failure at a chosen call.
type faults struct {
	fail func(call string) error // nil: go on
	seen []string
}

func (f *faults) at(call string) error {
	f.seen = append(f.seen, call)
	return f.fail(call)
}

func (f *faults) disk() disk {
	return disk{
		create: func(path string, mode fs.FileMode) (file, error) {
			if err := f.at("create"); err != nil {
				return nil, &fs.PathError{Op: "open", Path: path, Err: err}
			}
			real, err := system.create(path, mode)
			return &faultyFile{real, f}, err
		},
		rename:  func(from, to string) error { return f.two("rename", from, to, system.rename) },
		link:    func(from, to string) error { return f.two("link", from, to, system.link) },
		moveNew: func(from, to string) error { return f.two("moveNew", from, to, system.moveNew) },
		remove:  func(path string) error { return f.one("remove", path, system.remove) },
		syncDir: func(dir string) error { return f.one("syncDir", dir, system.syncDir) },
		mkdir: func(path string, mode fs.FileMode) error {
			return f.one("mkdir", path, func(string) error { return system.mkdir(path, mode) })
		},
	}
}

func (f *faults) one(call, path string, do func(string) error) error {
	if err := f.at(call); err != nil {
		return &fs.PathError{Op: call, Path: path, Err: err}
	}
	return do(path)
}

func (f *faults) two(call, from, to string, do func(a, b string) error) error {
	if err := f.at(call); err != nil {
		return &os.LinkError{Op: call, Old: from, New: to, Err: err}
	}
	return do(from, to)
}

// faultyFile writes half of its data where a write fails, as a full disk does.
type faultyFile struct {
	file
	f *faults
}

func (f *faultyFile) Write(data []byte) (int, error) {
	err := f.f.at("write")
	if errors.Is(err, errKilled) || err == nil {
		n, _ := f.file.Write(data[:len(data)*3/4])
		if err != nil {
			return n, err
		}
		m, err := f.file.Write(data[n:])
		return n + m, err
	}
	n, _ := f.file.Write(data[:len(data)/2])
	if errors.Is(err, io.ErrShortWrite) { // a writer that does not say so
		return n, nil
	}
	return n, err
}

func (f *faultyFile) Sync() error {
	if err := f.f.at("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faultyFile) Close() error {
	return errors.Join(f.file.Close(), f.f.at("close"))
}

// look reads a folder: the file, nil if there is none, and the names of all else.
func look(t *testing.T, dir string) (text []byte, litter []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() != "file" {
			litter = append(litter, e.Name())
		} else if text, err = os.ReadFile(filepath.Join(dir, "file")); err != nil {
			t.Fatal(err)
		}
	}
	return text, litter
}

// After a failure of any call the old content is there, whole, and nothing else. Only a failed sync
// of the folder leaves the new one. The error has the path and the system's cause.
func TestEveryStepFails(t *testing.T) {
	for _, test := range []struct {
		step
		changed bool // the failure comes after the file has its name
	}{
		{step{"create", syscall.EACCES}, false},
		{step{"create", syscall.EROFS}, false},
		{step{"create", syscall.ENOSPC}, false},
		{step{"write", syscall.ENOSPC}, false},
		{step{"write", io.ErrShortWrite}, false},
		{step{"sync", syscall.EIO}, false},
		{step{"close", syscall.EDQUOT}, false},
		{step{"rename", syscall.ENOSPC}, false},
		{step{"rename", syscall.EACCES}, false},
		{step{"syncDir", syscall.EIO}, true},
	} {
		for _, exists := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v/exists=%v", test.name, test.err, exists), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "file")
				want := []byte(nil)
				if exists {
					want = oldText
					if err := os.WriteFile(path, oldText, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if test.changed {
					want = newText
				}
				f := &faults{fail: func(call string) error {
					if call == test.name {
						return test.err
					}
					return nil
				}}
				err := f.disk().writeFile(path, newText, 0o600)
				named, ok := errors.AsType[*fs.PathError](err)
				if !errors.Is(err, test.err) || !ok || named.Path != path ||
					strings.Contains(err.Error(), prefix) {
					t.Errorf("error %v; want %v and the path", err, test.err)
				}
				text, litter := look(t, dir)
				if !bytes.Equal(text, want) || litter != nil {
					t.Errorf("%d bytes, want %d; beside it: %v", len(text), len(want), litter)
				}
			})
		}
	}
}

// The same for Create, with and without hard links. What exists is never replaced.
func TestEveryStepOfCreateFails(t *testing.T) {
	for _, test := range []struct {
		step
		noLinks, changed bool
	}{
		{step{"create", syscall.EROFS}, false, false},
		{step{"write", syscall.ENOSPC}, false, false},
		{step{"sync", syscall.EIO}, true, false},
		{step{"close", syscall.EIO}, false, false},
		{step{"moveNew", syscall.ENOSPC}, true, false},
		{step{"syncDir", syscall.EIO}, false, true},
		{step{"syncDir", syscall.EIO}, true, true},
		{step{"", nil}, false, true},
		{step{"", nil}, true, true},
	} {
		t.Run(fmt.Sprintf("%s/%v/links=%v", test.name, test.err, !test.noLinks),
			func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "file")
				f := &faults{fail: func(call string) error {
					switch {
					case call == test.name:
						return test.err
					case call == "link" && test.noLinks:
						return syscall.EPERM // says exFAT
					}
					return nil
				}}
				err := f.disk().createFile(path, newText, 0o600)
				if !errors.Is(err, test.err) ||
					(err != nil && !strings.Contains(err.Error(), path)) ||
					strings.Contains(fmt.Sprint(err), prefix) {
					t.Errorf("error %v; want %v and the path", err, test.err)
				}
				text, litter := look(t, dir)
				if want := newText; test.changed != bytes.Equal(text, want) || !test.changed &&
					text != nil || litter != nil {
					t.Errorf("%d bytes; beside it: %v", len(text), litter)
				}
				if !test.changed {
					return
				}
				f.fail = func(call string) error {
					if call == "link" && test.noLinks {
						return syscall.EPERM
					}
					return nil
				}
				if err := f.disk().createFile(path, oldText, 0o600); !errors.Is(err, fs.ErrExist) {
					t.Errorf("created again: %v", err)
				}
				// Neither does one who finds the name free and is too late.
				unfinished, err := f.disk().write(path, oldText, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.disk().name(unfinished, path); !errors.Is(err, fs.ErrExist) {
					t.Errorf("replaced: %v", err)
				}
				if text, litter := look(t, dir); !bytes.Equal(text, newText) || litter != nil {
					t.Errorf("%d bytes; beside it: %v", len(text), litter)
				}
			})
	}
}

// A process that is killed before any call, or in the middle of a write, leaves a whole file, and a
// second write gets through. Sweep removes what is left.
func TestKilledBetweenSteps(t *testing.T) {
	type write func(d disk, path string) error
	noLinks := func(d disk) disk {
		d.link = func(string, string) error { return syscall.EPERM }
		return d
	}
	for name, test := range map[string]struct {
		before []byte
		write  write
		calls  int // at least
	}{
		"replace": {oldText, func(d disk,
			path string) error {
			return d.writeFile(path, newText, 0o600)
		}, 6},
		"write": {nil, func(d disk, path string) error {
			return d.writeFile(path, newText, 0o600)
		}, 6},
		"create": {nil, func(d disk, path string) error {
			return d.createFile(path, newText, 0o600)
		}, 7},
		"create without links": {nil, func(d disk,
			path string) error {
			return noLinks(d).createFile(path, newText, 0o600)
		}, 6},
	} {
		t.Run(name, func(t *testing.T) {
			for last := 0; ; last++ {
				dir := t.TempDir()
				path := filepath.Join(dir, "file")
				if test.before != nil {
					if err := os.WriteFile(path, test.before, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				f := &faults{}
				f.fail = func(string) error {
					if len(f.seen) > last {
						return errKilled // from here on nothing happens
					}
					return nil
				}
				err := test.write(f.disk(), path)
				text, litter := look(t, dir)
				if !bytes.Equal(text, test.before) && !bytes.Equal(text, newText) {
					t.Fatalf("killed at call %d (%v): %d bytes", last, f.seen, len(text))
				}
				if len(litter) > 1 || len(litter) == 1 && !Unfinished(litter[0]) {
					t.Fatalf("killed at call %d: %v", last, litter)
				}
				if err := Sweep(dir); err != nil {
					t.Fatal(err)
				}
				if again, litter := look(t, dir); !bytes.Equal(text, again) || litter != nil {
					t.Fatalf("killed at call %d, swept: %d bytes, %v", last, len(again), litter)
				}
				if err == nil {
					if last < test.calls {
						t.Errorf("only %d calls: %v", last, f.seen)
					}
					return
				}
				if err := test.write(system, path); err != nil && !errors.Is(err, fs.ErrExist) {
					t.Fatal(err)
				}
				if text, _ := look(t, dir); !bytes.Equal(text, newText) {
					t.Fatalf("killed at call %d: the next write leaves %d bytes", last, len(text))
				}
			}
		})
	}
}

func TestModesLinksAndDevices(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes, symbolic links and /dev are of Unix")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, oldText, 0o644); err != nil {
		t.Fatal(err)
	}
	link, dangling := filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	for name, to := range map[string]string{link: "file", dangling: "other"} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{link, dangling} {
		if err := WriteFile(at, newText, 0o600); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(at); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s: %v, %v", at, info.Mode(), err)
		}
	}
	for _, at := range []string{path, filepath.Join(dir, "other")} {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(at); err != nil || !bytes.Equal(text, newText) ||
			info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %d bytes, %v", at, info.Mode(), len(text), err)
		}
	}
	if err := Create(dangling, nil, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create through a symbolic link: %v", err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(loop, nil, 0o600); err == nil {
		t.Error("a symbolic link to itself was written")
	}
	if err := WriteFile(os.DevNull, newText, 0o644); err != nil {
		t.Errorf("%s: %v", os.DevNull, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s became a file: %v, %v", os.DevNull, info, err)
	}
	if err := WriteFile(dir, newText, 0o600); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("over a folder: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	// A folder that may not be listed cannot be opened to be synced, and takes files none the less.
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if err := WriteFile(path, oldText, 0o600); err != nil {
		t.Error(err)
	}
}

// Of many that create one file at the same time one succeeds, and everybody reads its content.
func TestCreateIsExclusive(t *testing.T) {
	noLinks := system
	noLinks.link = func(string, string) error { return syscall.EPERM }
	for name, d := range map[string]disk{"links": system, "no links": noLinks} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				path := filepath.Join(t.TempDir(), "file")
				var all sync.WaitGroup
				var mu sync.Mutex
				var made []string
				read := map[string]bool{}
				for i := range 8 {
					all.Go(func() {
						text := fmt.Sprint("key ", i)
						err := d.createFile(path, []byte(text), 0o600)
						if err != nil && !errors.Is(err, fs.ErrExist) {
							t.Error(err)
						}
						got, readErr := os.ReadFile(path)
						if readErr != nil {
							t.Error(readErr)
						}
						mu.Lock()
						defer mu.Unlock()
						read[string(got)] = true
						if err == nil {
							made = append(made, text)
						}
					})
				}
				all.Wait()
				if len(made) != 1 || len(read) != 1 || !read[made[0]] {
					t.Fatalf("made by %v, read %v", made, read)
				}
			}
		})
	}
}

func TestMkdirAll(t *testing.T) {
	f := &faults{fail: func(string) error { return nil }}
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 { // the second finds all
		if err := f.disk().mkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"mkdir", "syncDir", "mkdir", "syncDir", "mkdir", "syncDir"}
	if diff := cmp.Diff(want, f.seen); diff != "" {
		t.Error(diff)
	}
	path := filepath.Join(dir, "file")
	if err := WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(path, "d"), 0o700); err == nil {
		t.Error("a folder below a file")
	}
	for _, call := range []string{"mkdir", "syncDir"} {
		f.fail = func(c string) error {
			if c == call {
				return syscall.ENOSPC
			}
			return nil
		}
		if err := f.disk().mkdirAll(filepath.Join(dir, call), 0o700); !errors.Is(err,
			syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for path, text := range map[string][]byte{from: newText, to: oldText} {
		if err := WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || !bytes.Equal(text, newText) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if err := Rename(from, to); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), from) {
		t.Errorf("renamed what is gone: %v", err)
	}
}

// tornLog writes half and fails, as a full disk does.
type tornLog struct{ *os.File }

func (l tornLog) Write(data []byte) (int, error) {
	n, _ := l.File.Write(data[:len(data)/2])
	return n, syscall.ENOSPC
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := Append(path, []byte("1\n")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("append to nothing: %v", err)
	}
	if err := WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Append(path, []byte("2\n")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := appendTo(tornLog{f}, []byte("three\n")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a torn record: %v", err)
	}
	if err := Append(path, []byte("4\n")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "1\n2\n4\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	if err := Sweep(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"file", prefix + "0123456789abcdef", ".other", "a" + prefix} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	_, litter := look(t, dir)
	if diff := cmp.Diff([]string{".other", "a" + prefix}, litter); diff != "" {
		t.Error(diff)
	}
}
