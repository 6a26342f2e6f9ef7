// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The machine's program stays small: it links no chain and no host.
func TestLinksNoChain(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, bad := range []string{"cosmos", "cometbft", "assay/host", "assay/chain",
			"assay/dash", "google.golang.org/grpc"} {
			if strings.Contains(dep, bad) {
				t.Errorf("links %s", dep)
			}
		}
	}
}

// Without the GPU engines the program is one file that needs nothing, not even
// libc.
func TestWithoutGPUsIsStatic(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "nogpu", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, bad := range []string{"purego", "device/cuda", "device/opencl"} {
			if strings.Contains(dep, bad) {
				t.Errorf("links %s", dep)
			}
		}
	}
	if runtime.GOOS != "linux" {
		t.Skip("how it is linked is checked on Linux")
	}
	path := filepath.Join(t.TempDir(), "assay-worker")
	build := exec.Command("go", "build", "-tags", "nogpu", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("has a %v: it is not static", p.Type)
		}
	}
}
