// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/device/cuda/internal/ptx"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The PTX that is committed is what generate.sh makes of the kernels.
func TestGenerated(t *testing.T) {
	const version = "19.1.7 (3~deb12u1)"
	out, err := exec.Command("clang-19", "--version").Output()
	if err != nil {
		t.Skip("no clang-19 here")
	}
	if !strings.Contains(string(out), version) {
		t.Skipf("clang-19 is not %s, of which the committed text is: %s", version, out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("./kernels/generate.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	committed, err := filepath.Glob("kernels/*.ptx")
	if err != nil || len(committed) != 4 {
		t.Fatalf("%v, %v", committed, err)
	}
	for _, path := range committed {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(path)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the kernels compile to (%v): go generate ./device/cuda",
				path, err)
		}
	}
}

// These tests see what they must: each fault that is planted in the product's
// kernel, of the kinds that one makes, comes out.
func TestPlantedFaults(t *testing.T) {
	shape := matmul.Shape{M: 512, K: 512, Q: 512}
	want, err := matmul.Tile(seed.Seed{1}, 2, shape, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from, to string
		target         target
	}{
		{"none", "", "", ampere},
		{"none", "", "", turing},
		{"a wait for too few copies", "cp.async.wait_group 2;", "cp.async.wait_group 3;", ampere},
		{"a barrier left out", "bar.sync 0;", "", ampere},
		{"a barrier left out", "bar.sync 0;", "", turing},
		{"signs mistaken", "s32.s8.s8.s32", "s32.u8.s8.s32", ampere},
		{"a lane's neighbour mistaken", "shfl.sync.bfly.b32", "shfl.sync.up.b32", ampere},
		{"the prf's rotations", "shf.l.wrap.b32", "shf.r.wrap.b32", ampere},
	} {
		t.Run(c.name+"/"+c.target.name, func(t *testing.T) {
			g := c.target
			if c.from != "" {
				g.matmul = strings.ReplaceAll(g.matmul, c.from, c.to)
				if g.matmul == c.target.matmul {
					t.Fatalf("the kernels have no %q", c.from)
				}
			}
			e := engineOn(t, g, interpret(6))
			got, err := e.Tile(seed.Seed{1}, 2, shape, 3, 4)
			var fault *ptx.Fault
			if err != nil && !errors.As(err, &fault) {
				t.Fatal(err)
			}
			if right := err == nil && got == want; right != (c.from == "") {
				t.Errorf("%x, %v, want %x", got, err, want)
			}
		})
	}
}

// Where whole CTAs are full, no kernel reads memory that nobody wrote.
func TestNothingUndefined(t *testing.T) {
	for _, g := range []target{turing, ampere} {
		d := interpret(7)
		d.machine = ptx.New(ptx.Options{Seed: 7})
		e := engineOn(t, g, d)
		units := make([][32]byte, 1)
		if err := e.Matmul(t.Context(), units, seed.Seed{1}, matmul.Shape{M: 512, K: 256, Q: 512},
			[]uint64{1}); err != nil {
			t.Error(err)
		}
		m, err := e.Transformer(t.Context(), transformer.Nano, seed.Seed{1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		const full = ctaRows / transformer.Tokens
		if err := m.Run(make([]transformer.Output, full), seed.Seed{2}, seed.Seed{3},
			make([]uint64, full)); err != nil {
			t.Error(err)
		}
	}
}
