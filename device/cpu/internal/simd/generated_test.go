// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package simd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The committed files are what the generator makes. It needs avo, which is not
// among the product's modules. Without it, and without a network to get it from,
// there is nothing to compare with; ASSAY_NEED_GENERATORS, which .ci/run sets,
// makes that a failure.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the generator")
	}
	if out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-C",
		"_asm/amd64").CombinedOutput(); err != nil {
		if os.Getenv("ASSAY_NEED_GENERATORS") != "" {
			t.Fatalf("the generator's modules: %v: %s", err, out)
		}
		t.Skipf("the generator's modules: %v: %s", err, out)
	}
	dir := t.TempDir()
	made := map[string]string{
		"kernels_amd64.s": filepath.Join(dir, "kernels"),
		"stubs_amd64.go":  filepath.Join(dir, "stubs"),
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "-C", "_asm/amd64", ".",
		"-out", made["kernels_amd64.s"], "-stubs", made["stubs_amd64.go"], "-pkg", "simd")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, path := range made {
		want, got := body(t, path), body(t, name)
		if !bytes.Equal(want, got) {
			t.Errorf("%s is not what _asm/amd64 makes: go generate", name)
		}
	}
}

// The generator for arm64 has tests of its own, of what is committed too. Its folder is not of
// ./..., so they are run here.
func TestGeneratedForArm64(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the generator")
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1",
		"./_asm/arm64").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// body is a generated file without its first line, which names the command.
func body(t *testing.T, path string) []byte {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(raw, []byte("\n"))
	if !ok {
		t.Fatalf("%s is one line", path)
	}
	return rest
}
