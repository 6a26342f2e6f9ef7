// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// measured is a run in which one product of 2000^3 takes the loop 0.1 s on one
// thread and 0.05 s on two.
func measured() *report {
	timings := func(n int, one float64) []timing {
		return []timing{newTiming(n, 1, "CPU", []float64{3 * one, one, one / 2}),
			newTiming(n, 2, "wall", []float64{one / 2, one, one / 2, one / 4})}
	}
	all := func(n int, one float64, random, large int, given string) result {
		return result{N: n, Given: given, Timings: timings(n, one),
			Exact: &exact{Elements: 10_000, WrongRandom: random, WrongLarge: large,
				FullRange: given != given7Bits}}
	}
	named := func(name string, x result) result { x.Name = name; return x }
	r := &report{Machine: "a processor", Cores: 2, LoadBefore: "0.1 0.2 0.3",
		LoadAfter: "0.4 0.5 0.6", Missing: []string{"torch: not here"}}
	loop := named(loopName, all(2000, 0.1, 0, 0, givenSeed))
	loop.Exact = nil
	r.Results = []result{
		loop,
		named(productName, all(2000, 0.08, 0, 0, givenInt8)),
		named(openBLASName, all(2000, 0.16, 0, 7, givenFloat)),
		named("saturating", all(2000, 0.05, 10_000, 9_999, givenInt8)),
		named("narrow", all(2000, 0.04, 0, 0, given7Bits)),
		named("slow", all(2000, 0.2, 0, 0, givenInt8)),
	}
	return r
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		want float64
		of   []float64
	}{{3, []float64{3}}, {2, []float64{9, 1, 2}}, {2.5, []float64{4, 1, 2, 3}}} {
		if got := median(c.of); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.of, got, c.want)
		}
	}
}

// A reader finds: figures and ratios, who is exact and who is not, and what is
// not here.
func TestPrint(t *testing.T) {
	var out bytes.Buffer
	measured().print(&out)
	lines := map[string]string{}
	for line := range strings.Lines(out.String()) {
		line = strings.Join(strings.Fields(line), " ")
		for _, start := range []string{loopName + " a seed", productName, openBLASName + " float32",
			"saturating", "narrow", "slow", "n = 2000,", "1 thread:", "2 threads:",
			"missing", "load"} {
			if strings.HasPrefix(line, start) {
				lines[start] += line + "\n"
			}
		}
	}
	want := map[string]string{
		loopName + " a seed": "whole loop a seed 160.0 1.00 x 320.0 1.00 x - - yes, by its " +
			"self-test\n",
		productName: "product alone int8 200.0 0.80 x 400.0 0.80 x none none yes, " +
			"to K = 2000 at least\n",
		openBLASName + " float32": "OpenBLAS sgemm float32 100.0 1.60 x 200.0 1.60 x none 0.07 % " +
			"NO\n",
		"saturating": "saturating int8 320.0 0.50 x 640.0 0.50 x all 99.99 % NO\n",
		"narrow": "narrow A 0..127, B int8 400.0 0.40 x 800.0 0.40 x none none " +
			"no, for A in 0..127 only\n",
		"slow": "slow int8 80.0 2.00 x 160.0 2.00 x none none yes, to K = 2000 at least\n",
		"n = 2000,": "n = 2000, 1 thread: 1.60; 0.40 of the fastest peer (narrow); 2.00 of the " +
			"fastest exact one (slow)\n" +
			"n = 2000, 2 threads: 1.60; 0.40 of the fastest peer (narrow); 2.00 of the fastest " +
			"exact one (slow)\n",
		"1 thread:":  "1 thread: the middle half of somebody's turns lies up to 250 % apart\n",
		"2 threads:": "2 threads: the middle half of somebody's turns lies up to 100 % apart\n",
		"missing":    "missing torch: not here\n",
		"load": "load 0.1 0.2 0.3 before; other load makes every figure worse\nload 0.4 " +
			"0.5 0.6 after\n",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("%s\n%s", diff, out.String())
	}
}

// Without OpenBLAS there is no ratio, and that is said; a float kernel that is
// wrong where it cannot be is named.
func TestPrintWhatIsWrong(t *testing.T) {
	r := measured()
	r.Results = append(r.Results[:2:2], r.Results[3:]...)
	broken := result{N: 1024, Name: "oneDNN sgemm", Given: givenFloat,
		Exact: &exact{Elements: 100, WrongRandom: 1, FullRange: true}}
	r.Results = append(r.Results, broken)
	var out bytes.Buffer
	r.printRatios(&out)
	for _, want := range []string{"n = 2000, 2 threads: not measured", "oneDNN sgemm computes " +
		"wrong floats on this processor at n = 1024"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestShare(t *testing.T) {
	for want, part := range map[string]int{"none": 0, "< 0.01 %": 1, "0.01 %": 100,
		"50.00 %": 500_000, "> 99.99 %": 999_999, "all": 1_000_000} {
		if got := share(part, 1_000_000); got != want {
			t.Errorf("%d of a million: %s, want %s", part, got, want)
		}
	}
}

func TestJSONKeepsEverything(t *testing.T) {
	var out bytes.Buffer
	if err := measured().printJSON(&out); err != nil {
		t.Fatal(err)
	}
	got := new(report)
	if err := json.Unmarshal(out.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(measured(), got); diff != "" {
		t.Error(diff)
	}
}
