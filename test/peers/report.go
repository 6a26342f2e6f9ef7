// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// The names that ratios are about.
const (
	loopName     = "whole loop"
	productName  = "product alone"
	openBLASName = "OpenBLAS sgemm"
)

// What contestants are given.
const (
	givenSeed  = "a seed"
	givenInt8  = "int8"
	given7Bits = "A 0..127, B int8"
	givenUint8 = "A + 128, B int8"
	givenFloat = "float32"
)

// What the whole loop should be of OpenBLAS's bare product, at least and better.
const target, aim = 1.4, 1.6

// report is all that a run has to say.
type report struct {
	Machine    string    `json:"machine"`
	Cores      int       `json:"cores"`
	Go         string    `json:"go"`
	Engine     string    `json:"engine"`
	Libraries  []library `json:"libraries"`
	Missing    []string  `json:"missing,omitempty"`
	Dropped    []string  `json:"dropped_from_environment,omitempty"`
	LoadBefore string    `json:"load_before"`
	LoadAfter  string    `json:"load_after"`
	Results    []result  `json:"results"`
}

// library is a peer as it is installed here.
type library struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kernel  string `json:"kernel"` // what it chose for this processor
}

// result is one contestant at one size.
type result struct {
	N       int      `json:"n"`
	Name    string   `json:"name"`
	Given   string   `json:"given"` // what it multiplies
	Timings []timing `json:"timings"`
	Exact   *exact   `json:"exact,omitempty"` // nil for the loop
}

// timing is one contestant's turns on a number of threads.
type timing struct {
	Threads int       `json:"threads"`
	Clock   string    `json:"clock"`   // "CPU", the thread's own, or "wall"
	Seconds []float64 `json:"seconds"` // of one product, by turns
	GOPS    float64   `json:"gops"`    // from their median
}

// exact is what a comparison with plain Go found.
type exact struct {
	Elements    int  `json:"elements"` // compared, of each product
	WrongRandom int  `json:"wrong_random"`
	WrongLarge  int  `json:"wrong_large"`
	FullRange   bool `json:"full_range"` // it was given all of int8
}

// int8 reports whether nothing speaks against using it for products of int8.
func (e *exact) int8() bool { return e.FullRange && e.WrongRandom == 0 && e.WrongLarge == 0 }

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}

// spread is how far apart the middle half of the turns lies, as a part of their
// median: what a difference between two figures must exceed to mean something.
func spread(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[len(s)*3/4] - s[len(s)/4]) / median(v)
}

// newTiming is the timing of products of n x n by n x n.
func newTiming(n, threads int, clock string, seconds []float64) timing {
	return timing{Threads: threads, Clock: clock, Seconds: seconds,
		GOPS: 2 * float64(n) * float64(n) * float64(n) / median(seconds) / 1e9}
}

// gops is what a contestant reached; false where it was not there.
func (r *report) gops(n, threads int, name string) (float64, bool) {
	for _, x := range r.Results {
		if x.N == n && x.Name == name {
			for _, t := range x.Timings {
				if t.Threads == threads {
					return t.GOPS, true
				}
			}
		}
	}
	return 0, false
}

// sizes are those of the results, in their order.
func (r *report) sizes() (sizes []int) {
	for _, x := range r.Results {
		if !slices.Contains(sizes, x.N) {
			sizes = append(sizes, x.N)
		}
	}
	return sizes
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "machine  %s, %d cores\nGo       %s\nengine   %s\n", r.Machine,
		r.Cores, r.Go, r.Engine)
	for _, l := range r.Libraries {
		fmt.Fprintf(w, "peer     %s %s, kernel %s\n", l.Name, l.Version, l.Kernel)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "missing  %s\n", m)
	}
	if len(r.Dropped) > 0 {
		fmt.Fprintf(w, "ignored  %s of the environment\n", strings.Join(r.Dropped, ", "))
	}
	fmt.Fprintf(w, "load     %s before; other load makes every figure worse\n", r.LoadBefore)
	for _, n := range r.sizes() {
		r.printSize(w, n)
	}
	r.printRatios(w)
	fmt.Fprintf(w, "\nload     %s after\n", r.LoadAfter)
}

// printSize prints the table of one size: per number of threads the GOPS, and how
// many times as fast the whole loop is.
func (r *report) printSize(w io.Writer, n int) {
	fmt.Fprintf(w, "\nn = %d\n", n)
	worst := map[int]float64{} // spread, by threads
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for at, x := range slices.DeleteFunc(slices.Clone(r.Results),
		func(x result) bool { return x.N != n }) {
		if at == 0 {
			fmt.Fprint(t, "  GOPS\tgiven\t")
			for _, timing := range x.Timings {
				fmt.Fprintf(t, "%s, %s\tloop is\t", threads(timing.Threads), timing.Clock)
			}
			fmt.Fprint(t, "wrong, random\tlarge\texact for int8\n")
		}
		fmt.Fprintf(t, "  %s\t%s\t", x.Name, x.Given)
		for _, timing := range x.Timings {
			worst[timing.Threads] = max(worst[timing.Threads], spread(timing.Seconds))
			fmt.Fprintf(t, "%.1f\t", timing.GOPS)
			if loop, ok := r.gops(n, timing.Threads, loopName); ok {
				fmt.Fprintf(t, "%.2f x\t", loop/timing.GOPS)
			} else {
				fmt.Fprint(t, "-\t")
			}
		}
		if x.Exact == nil {
			fmt.Fprint(t, "-\t-\tyes, by its self-test\n")
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", share(x.Exact.WrongRandom, x.Exact.Elements),
			share(x.Exact.WrongLarge, x.Exact.Elements), verdict(x.Exact, n))
	}
	t.Flush()
	for _, count := range slices.Sorted(maps.Keys(worst)) {
		fmt.Fprintf(w, "  %s: the middle half of somebody's turns lies up to %.0f %% apart\n",
			threads(count), 100*worst[count])
	}
}

func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// share is a percentage that is 0 and 100 only where it is that.
func share(part, whole int) string {
	p := 100 * float64(part) / float64(whole)
	switch {
	case part == 0:
		return "none"
	case part == whole:
		return "all"
	case p < 0.01:
		return "< 0.01 %"
	case p > 99.99:
		return "> 99.99 %"
	}
	return fmt.Sprintf("%.2f %%", p)
}

func verdict(e *exact, n int) string {
	switch {
	case e.int8():
		return fmt.Sprintf("yes, to K = %d at least", n)
	case !e.FullRange && e.WrongRandom == 0 && e.WrongLarge == 0:
		return "no, for A in 0..127 only"
	}
	return "NO"
}

// printRatios prints the comparison that counts, and those with the best of the
// peers: of all, and of the exact ones.
func (r *report) printRatios(w io.Writer) {
	fmt.Fprintf(w, "\nwhole loop / bare product of %s (target %.1f, aim %.1f)\n",
		openBLASName, target, aim)
	for _, n := range r.sizes() {
		for _, timing := range r.Results[0].Timings {
			loop, there := r.gops(n, timing.Threads, loopName)
			blas, too := r.gops(n, timing.Threads, openBLASName)
			if !there || !too {
				fmt.Fprintf(w, "  n = %d, %s: not measured\n", n, threads(timing.Threads))
				continue
			}
			fmt.Fprintf(w, "  n = %d, %s: %.2f", n, threads(timing.Threads), loop/blas)
			if name, best := r.best(n, timing.Threads, false); name != "" {
				fmt.Fprintf(w, "; %.2f of the fastest peer (%s)", loop/best, name)
			}
			if name, best := r.best(n, timing.Threads, true); name != "" {
				fmt.Fprintf(w, "; %.2f of the fastest exact one (%s)", loop/best, name)
			}
			fmt.Fprintln(w)
		}
	}
	for _, x := range r.Results {
		// Every sum of such bytes fits a float's 24 bits: whatever is wrong here is broken.
		if x.Exact != nil && x.Given == givenFloat && x.N <= 1024 &&
			x.Exact.WrongRandom+x.Exact.WrongLarge > 0 {
			fmt.Fprintf(w, "  %s computes wrong floats on this processor at n = %d: its figures "+
				"there measure nothing\n", x.Name, x.N)
		}
	}
}

// best is the fastest contestant that is not ours.
func (r *report) best(n, threads int, exactOnly bool) (name string, gops float64) {
	for _, x := range r.Results {
		if x.N != n || x.Name == loopName || x.Name == productName || exactOnly && !x.Exact.int8() {
			continue
		}
		if g, ok := r.gops(n, threads, x.Name); ok && g > gops {
			name, gops = x.Name, g
		}
	}
	return name, gops
}

func (r *report) printJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
