// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/link"
)

// TestMain is also the program itself, for the tests that run it.
func TestMain(m *testing.M) {
	if os.Getenv("ASSAY_WORKER_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "ASSAY_WORKER_TEST_MAIN=1")
	return cmd
}

// A worker whose log is read by a program that dies works on, and ends well when it is asked to.
func TestALogReaderDies(t *testing.T) {
	home := filepath.Join(t.TempDir(), "h")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	url := link.Address{HostPort: "127.0.0.1:1",
		Fingerprint: link.FingerprintOf(make([]byte, 32))}.String()
	cmd := program("start", "--host", url, "--home", home, "--device", "cpu", "--plain")
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := read.Close(); err != nil { // before it says anything
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	for late := time.After(time.Minute); ; {
		out, err := program("status", "--home", home).CombinedOutput()
		if err == nil && bytes.Contains(out, []byte("trying again")) ||
			bytes.Contains(out, []byte("nothing listens")) {
			break // it has said so on its dead log as well
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-late:
			t.Fatalf("its status is never known: %s", out)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// A home whose socket no system takes is named as that, by start and by status.
func TestALongHome(t *testing.T) {
	home := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	out, err := program("status", "--home", home).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("a socket's may have")) ||
		!bytes.Contains(out, []byte("shorter --home")) {
		t.Errorf("%v: %s", err, out)
	}
}
