// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ranOnDevice = `=== RUN   TestVectors
--- PASS: TestVectors (1.50s)
    --- PASS: TestVectors/device_0 (1.50s)
        --- PASS: TestVectors/device_0/sm_80 (1.50s)
            engine_test.go:50: device: NVIDIA H200
            vectors.go:52: 19 published vectors
--- PASS: TestBareProducts (2.00s)
    --- PASS: TestBareProducts/device_0/sm_80 (2.00s)
            product.go:55: 2000 random products
            product.go:55: 200 random products
PASS
`

// A test that passes without a device shows nothing: the engine's name alone is no proof.
func TestOnlyTestsOnADeviceProve(t *testing.T) {
	cuda := suites[0]
	if p := cuda.read(ranOnDevice); !p.Exact || p.Products != 2200 || p.Vectors != 19 ||
		p.Device != "NVIDIA H200" || len(p.Tests) != 5 || p.Tests[0].Seconds != 1.5 {
		t.Errorf("%+v", p)
	}
	for out, why := range map[string]string{
		"":                                      "no test ran on a device",
		"--- PASS: TestVectors (0.00s)\nPASS\n": "no test ran on a device",
		"--- SKIP: TestVectors (0.00s)\nPASS\n": "no test ran on a device",
		ranOnDevice + "--- FAIL: TestX (0.10s)\n": "TestX failed",
	} {
		if p := cuda.read(out); p.Exact || p.Why != why {
			t.Errorf("%q: %+v", out, p)
		}
	}
}

// A chip with a similar name has another peak: only whole names count.
func TestPeaksAreOfWholeNames(t *testing.T) {
	for name, want := range map[string]float64{
		"NVIDIA H200": 1979, "NVIDIA  H200 ": 1979, "NVIDIA GeForce RTX 4090": 660.6,
		"NVIDIA GeForce RTX 4090 Laptop GPU": 0, "NVIDIA A100-SXM4-40GB MIG 1g.5gb": 0,
		"NVIDIA GeForce RTX 4090 D": 0, "": 0,
	} {
		got := datasheet(name)
		if (got == nil) != (want == 0) || got != nil && *got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

const bench = `{"version":"x","complete":true,"devices":[{"id":"cuda:0","name":"NVIDIA H200","driver":"CUDA 12.4","engine":"cuda/sm_80","peak_ops_per_s":2e15,"peak_how":"datasheet",
"work":[{"work":"transformer/1","of":"nano","units":9,"units_per_s":100,"ops_per_s":1.979e12,"build_ms":5},
{"work":"matmul/1","of":"4096x4096x4096","units":9,"units_per_s":1,"ops_per_s":9.895e14,"product_ops_per_s":1.5e15,"expand":0.1,"condense":0.2,"hash":0.3},
{"work":"transformer/1","of":"large","failed":"needs 8192 MiB"}]}]}`

func TestFiguresStandBesideTheDatasheet(t *testing.T) {
	s := wishes[0].read([]byte(bench))
	if !s.Measured || *s.Datasheet != 1979 || *s.PeakTOPS != 2000 ||
		s.Why != "transformer/1 large: needs 8192 MiB" {
		t.Errorf("%+v", s)
	}
	if len(s.Loops) != 1 || len(s.Nonces) != 1 {
		t.Fatalf("%+v", s)
	}
	if l := s.Loops[0]; l.Whole != 989.5 || *l.WholeShare != 0.5 || l.Product != 1500 ||
		l.ExpandShare != 0.1 || l.HashShare != 0.3 {
		t.Errorf("%+v", l)
	}
	if n := s.Nonces[0]; n.PerSec != 100 || n.BuildMS != 5 || *n.Share < 0.00099 ||
		*n.Share > 0.00101 {
		t.Errorf("%+v", n)
	}
	unknown := wishes[0].read([]byte(strings.ReplaceAll(bench, "NVIDIA H200", "A new card")))
	raw, err := json.Marshal(unknown)
	if err != nil || !strings.Contains(string(raw), `"datasheet_tops":null`) ||
		!strings.Contains(string(raw), `"whole_loop_of_datasheet":null`) {
		t.Errorf("%s, %v", raw, err)
	}
}

// Exit code 0 needs a GPU whose own engine is exact and measured.
func TestExitCodes(t *testing.T) {
	code := func(change func(*report)) int {
		r := report{Complete: true,
			Exact: []proof{{Engine: "cuda", Exact: true}, {Engine: "opencl", Why: noDevice},
				{Engine: "cpu", Exact: true}},
			Speed: []speed{{Device: "cuda:0", Measured: true}, {Device: "opencl:0"},
				{Device: "cpu", Measured: true}}}
		change(&r)
		r.GPU = r.gpu()
		return r.code()
	}
	failed := []result{{Name: "TestVectors", Result: "FAIL"}}
	for name, c := range map[string]struct {
		change func(*report)
		want   int
	}{
		"a GPU": {func(*report) {}, exitExact},
		"no GPU": {func(r *report) {
			r.Exact[0], r.Speed[0].Measured = proof{Why: noDevice}, false
		}, exitNoGPU},
		"exact, not measured": {func(r *report) { r.Speed[0].Measured = false }, exitWrong},
		"a wrong bit": {func(r *report) {
			r.Exact[0] = proof{Tests: failed, Why: "TestVectors failed"}
		}, exitWrong},
		"a wrong bit on the CPU": {func(r *report) {
			r.Exact[2] = proof{Tests: failed, Why: "TestVectors failed"}
		}, exitWrong},
		"too little memory for large": {func(r *report) {
			r.Speed[0].Why = "needs 8192 MiB"
		}, exitExact},
		"no time": {func(r *report) { r.Complete = false }, exitWrong},
	} {
		if got := code(c.change); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// A kit of which the programs are missing says so, step by step, and still writes its file.
func TestAnEmptyKitSaysWhatIsMissing(t *testing.T) {
	var said, wrong bytes.Buffer
	file := filepath.Join(t.TempDir(), "out.json")
	if code := run(t.Context(), []string{"-kit", t.TempDir(), "-output", file}, &said,
		&wrong); code != exitWrong {
		t.Errorf("code %d, %s", code, &wrong)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(raw, &r); err != nil || len(r.Exact) != len(suites) ||
		len(r.Speed) != len(wishes) || r.GPU {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, p := range r.Exact {
		if p.Why == "" {
			t.Errorf("%+v", p)
		}
	}
	if r.Torch.Why == "" && len(r.Torch.IntMM) == 0 {
		t.Errorf("%+v", r.Torch)
	}
}
