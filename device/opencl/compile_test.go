// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// AMD's driver compiles with clang, so what clang makes of the kernels can be
// read without a GPU: whether results stay in registers, and which instructions
// multiply. It says nothing of correctness or of speed.
func TestCompiledForAMD(t *testing.T) {
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		t.Skip("no clang-19")
	}
	stand, err := os.ReadFile("testdata/builtins.h")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "kernels.cl")
	if err := os.WriteFile(file, append(stand, source()...), 0o600); err != nil {
		t.Fatal(err)
	}
	for gpu, multiplies := range map[string]string{"gfx900": "v_mul_i32_i24",
		"gfx906": "v_dot4_i32_i8", "gfx1100": "v_dot4_i32_iu8"} {
		args := append(strings.Fields(variant{geometry: wide}.options()), "-x", "cl", "-Xclang",
			"-finclude-default-header", "-target", "amdgcn-amd-amdhsa",
			"-mcpu="+gpu, "-nogpulib", "-O3", "-w", "-S", file, "-o", "-")
		text, err := exec.CommandContext(t.Context(), clang, args...).Output()
		if err != nil {
			var why []byte
			if e, ok := err.(*exec.ExitError); ok {
				why = e.Stderr
			}
			t.Fatalf("%s: %v\n%s", gpu, err, why)
		}
		for _, what := range []string{".private_segment_fixed_size", ".vgpr_spill_count",
			".sgpr_spill_count"} {
			found := regexp.MustCompile(regexp.QuoteMeta(what)+`: +(\d+)`).FindAllSubmatch(text, -1)
			if len(found) != 16 {
				t.Errorf("%s: %s of %d kernels", gpu, what, len(found))
			}
			for _, n := range found {
				if string(n[1]) != "0" {
					t.Errorf("%s: a kernel with a %s of %s", gpu, what, n[1])
				}
			}
		}
		most := 0
		for _, n := range regexp.MustCompile(`\.vgpr_count: +(\d+)`).FindAllSubmatch(text, -1) {
			v, _ := strconv.Atoi(string(n[1]))
			most = max(most, v)
		}
		if n := strings.Count(string(text), multiplies); n < 64*6 {
			t.Errorf("%s: %d times %s", gpu, n, multiplies)
		}
		t.Logf("%s: at most %d registers", gpu, most)
	}
}
