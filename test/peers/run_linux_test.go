// SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !nogpu

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// One short turn of everybody who is here. Anyone who is given numbers that no kernel
// can get wrong gets them right, which is what calls of C from Go can spoil.
func TestEveryKernelIsGivenNumbersThatItCannotGetWrong(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-n", "512", "-turns", "1", "-threads", "1,2", "-json"},
		&stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Missing {
		t.Logf("not compared: %s", m)
	}
	if len(r.Results) == 0 || r.Results[0].Name != loopName {
		t.Fatalf("the loop is not there: %+v", r.Results)
	}
	for _, x := range r.Results {
		var clocks []string
		for _, timing := range x.Timings {
			clocks = append(clocks, timing.Clock)
			if len(timing.Seconds) != 1 || timing.GOPS <= 0 {
				t.Errorf("%s on %d threads: %v", x.Name, timing.Threads, timing)
			}
		}
		if diff := cmp.Diff([]string{"CPU", "wall"}, clocks); diff != "" {
			t.Errorf("%s: %s", x.Name, diff)
		}
		switch {
		case x.Exact == nil:
		case x.Exact.Elements != checkedRows*512:
			t.Errorf("%s: %d elements were compared", x.Name, x.Exact.Elements)
		case (x.Name == productName || x.Given == givenFloat || x.Given == given7Bits) &&
			x.Exact.WrongRandom+x.Exact.WrongLarge > 0:
			t.Errorf("%s of %s: %d and %d elements are wrong", x.Name, x.Given, x.Exact.WrongRandom,
				x.Exact.WrongLarge)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-n 1000":      "-n 1000: ",
		"-n 1024,many": `"many" is no positive number`,
		"-threads 0":   `"0" is no positive number`,
		"-turns 0":     "at least one turn",
		"more":         "no arguments",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &stdout, &stderr); code != 2 ||
			!strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d, %s", args, code, stderr.String())
		}
	}
}

func TestWithoutSettings(t *testing.T) {
	kept, dropped := withoutSettings([]string{"PATH=/bin", "OPENBLAS_CORETYPE=Haswell",
		"OMP_NUM_THREADS=7", "COMPANY=x", "GOMAXPROCS=1"})
	if diff := cmp.Diff([]string{"PATH=/bin", "COMPANY=x", "GOMAXPROCS=1"}, kept); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"OPENBLAS_CORETYPE", "OMP_NUM_THREADS"}, dropped); diff != "" {
		t.Error(diff)
	}
}

func TestLibraryThatIsMissing(t *testing.T) {
	err := bind("Some library", "^libsome1$", []string{"libno-such-thing.so.7"}, nil)
	if m, ok := err.(*missing); !ok || m.debian != "^libsome1$" ||
		!strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v", err)
	}
}
