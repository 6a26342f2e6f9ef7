// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestMain is also the program itself, for the test that runs it.
func TestMain(m *testing.M) {
	if os.Getenv("ASSAY_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A program whose log is read by one that died is not ended by what it writes, be it a node or a
// host.
func TestALogReaderDies(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "no-such-command")
	cmd.Env = append(os.Environ(), "ASSAY_TEST_MAIN=1")
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("it ended with %v, exit code %d", err, code)
	}
}
