// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// childEnv with a role behind it makes the test's own program a child that works in the folder
// named: writer writes without end, locker holds a lock until its standard input ends.
const (
	childEnv = "ASSAY_DURABLE_CHILD"
	writer   = "_WRITE"
	locker   = "_LOCK"
)

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(childEnv + writer); ok {
		for text := oldText; ; {
			if err := WriteFile(filepath.Join(dir, "file"), text, 0o600); err != nil {
				panic(err)
			}
			os.Stdout.Write([]byte{'\n'})
			if bytes.Equal(text, oldText) {
				text = newText
			} else {
				text = oldText
			}
		}
	}
	if dir, ok := os.LookupEnv(childEnv + locker); ok {
		if _, err := Lock(filepath.Join(dir, "lock")); err != nil {
			panic(err)
		}
		os.Stdout.Write([]byte{'\n'})
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child starts the test's own program in a role and waits for lines of its output.
func child(t *testing.T, role, dir string, lines int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+role+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for range lines {
		if _, err := in.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	go in.WriteTo(bytes.NewBuffer(nil)) // until the child is gone, so that it does not wait for us
	return cmd
}

// A process that is killed while it writes, wherever it is by then, leaves one of the contents,
// whole.
func TestKilledWhileWriting(t *testing.T) {
	unfinished := 0
	for i := range 20 {
		dir := t.TempDir()
		cmd := child(t, writer, dir, 1+i)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		text, litter := look(t, dir)
		if !bytes.Equal(text, oldText) && !bytes.Equal(text, newText) {
			t.Fatalf("kill %d: a file of %d bytes", i, len(text))
		}
		unfinished += len(litter)
		if err := Sweep(dir); err != nil {
			t.Fatal(err)
		}
		if _, litter := look(t, dir); litter != nil {
			t.Fatalf("kill %d: swept, and left %v", i, litter)
		}
	}
	t.Logf("%d of 20 kills left an unfinished file", unfinished)
}

// A lock keeps this process and others out, says who has it, and ends with its holder's life.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	unlock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(pid int) {
		t.Helper()
		_, err := Lock(path)
		if held, ok := errors.AsType[*Held](err); !ok || held.PID != pid || held.Path != path {
			t.Errorf("%v, want it held by process %d", err, pid)
		}
	}
	refused(os.Getpid())
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, locker, dir, 1)
	refused(cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if unlock, err = Lock(path); err != nil {
		t.Fatal(err)
	}
	// A file that does not name the holder, as on a full disk, is held none the less.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	refused(0)
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(filepath.Join(dir, "none", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lock in no folder: %v", err)
	}
}
