// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/assaynet/assay/internal/durable"
)

// limit is what all steps together take at most. Each step has a bound of its own below it.
const limit = 345 * time.Second

// Exit codes, see the package.
const (
	exitExact = 0
	exitWrong = 1
	exitUsage = 2
	exitNoGPU = 3
)

// commit is set by build.sh.
var commit = "unknown"

// kit is the folder that build.sh made.
type kit struct{ folder string }

// report is the file that a run writes.
type report struct {
	Version  string  `json:"version"`
	Commit   string  `json:"commit"`
	Began    string  `json:"began"` // RFC 3339, UTC
	Seconds  float64 `json:"seconds"`
	Complete bool    `json:"complete"` // every step had its time
	GPU      bool    `json:"gpu"`      // one was proven exact and measured
	System   string  `json:"system"`
	CPU      string  `json:"cpu,omitempty"`
	Cores    int     `json:"cores"`
	Load     string  `json:"load_before,omitempty"` // /proc/loadavg
	Exact    []proof `json:"exact"`
	Speed    []speed `json:"speed"`
	Torch    peer    `json:"torch"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("gpukit", flag.ContinueOnError)
	f.SetOutput(stderr)
	folder := f.String("kit", ".", "the folder of the kit")
	output := f.String("output", "gpu-kit.json", "file for the figures")
	if err := f.Parse(args); err != nil {
		return exitUsage
	}
	whole, err := filepath.Abs(*folder)
	if err != nil {
		fmt.Fprintf(stderr, "gpukit: %v\n", err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := kit{whole}.run(ctx, stdout)
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = durable.WriteFile(*output, append(raw, '\n'), 0o644)
	}
	if err != nil {
		fmt.Fprintf(stderr, "gpukit: the figures are not kept: %v\n", err)
		return exitWrong
	}
	fmt.Fprintf(stdout, "\n%s has all of it (%.0f s)\n", *output, r.Seconds)
	return r.code()
}

// run makes all steps: the GPU's first, so that whatever takes too long costs the others.
func (k kit) run(ctx context.Context, stdout io.Writer) report {
	began := time.Now()
	r := report{
		Version: "assay-gpu-kit/1", Commit: commit, Began: began.UTC().Format(time.RFC3339),
		System: runtime.GOOS + "/" + runtime.GOARCH, CPU: processor(), Cores: runtime.NumCPU(),
		Load:  load(),
		Exact: []proof{}, Speed: []speed{},
	}
	for i, s := range suites {
		fmt.Fprintf(stdout, "%s: exactness ...\n", s.engine)
		p := k.prove(ctx, s)
		r.Exact = append(r.Exact, p)
		fmt.Fprintln(stdout, "  "+p.String())
		fmt.Fprintf(stdout, "%s: speed ...\n", wishes[i].device)
		v := k.measure(ctx, wishes[i])
		r.Speed = append(r.Speed, v)
		fmt.Fprintln(stdout, "  "+strings.ReplaceAll(v.String(), "\n", "\n  "))
		if i == 0 {
			r.Torch = k.torch(ctx)
			fmt.Fprintln(stdout, r.Torch.String())
		}
	}
	r.Seconds, r.Complete = time.Since(began).Seconds(), ctx.Err() == nil
	r.GPU = r.gpu()
	return r
}

// gpu reports whether one engine of a GPU is exact and measured.
func (r report) gpu() bool {
	for i, s := range r.Speed {
		if s.Device != "cpu" && s.Measured && r.Exact[i].Exact {
			return true
		}
	}
	return false
}

// code is the exit code.
func (r report) code() int {
	for i, p := range r.Exact {
		if p.failed() || p.Exact && !r.Speed[i].Measured && r.Speed[i].Device == "cuda:0" {
			return exitWrong
		}
	}
	switch {
	case !r.Complete:
		return exitWrong
	case !r.GPU:
		return exitNoGPU
	}
	return exitExact
}

// failed reports whether the tests did not end well, as against none of them having had a device.
func (p proof) failed() bool { return !p.Exact && p.Why != noDevice }

func (p proof) String() string {
	if !p.Exact {
		return "not shown: " + p.Why
	}
	return fmt.Sprintf("exact: %d tests, %d published vectors, %d random products (%.0f s) %s",
		len(p.Tests), p.Vectors, p.Products, p.Seconds, p.Device)
}

func (s speed) String() string {
	if !s.Measured {
		return "not measured: " + s.Why
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", s.Name, s.Engine)
	if s.Datasheet != nil {
		fmt.Fprintf(&b, ", datasheet %g TOPS", *s.Datasheet)
	}
	for _, l := range s.Loops {
		fmt.Fprintf(&b, "\nmatmul/1 %s: whole loop %.4g TOPS, bare product %.4g%s", l.Shape,
			l.Whole, l.Product, percent(l.WholeShare))
	}
	for _, n := range s.Nonces {
		fmt.Fprintf(&b, "\nclass %s: %.4g nonces a second, %.4g TOPS%s", n.Class, n.PerSec,
			n.TOPS, percent(n.Share))
	}
	for _, line := range []string{s.Why, s.Busy} {
		if line != "" {
			fmt.Fprintf(&b, "\n%s", line)
		}
	}
	return b.String()
}

func (p peer) String() string {
	if p.Why != "" {
		return "torch._int_mm: not measured: " + p.Why
	}
	var b strings.Builder
	fmt.Fprintf(&b, "torch %s on %s", p.Version, p.Device)
	for _, m := range p.IntMM {
		fmt.Fprintf(&b, "\n  _int_mm %s: %.4g TOPS", m.Shape, m.TOPS)
	}
	return b.String()
}

func percent(share *float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf(" (%.1f %% of the datasheet)", 100**share)
}

// processor is its name, where Linux says it.
func processor() string {
	raw, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(raw)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func load() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	return strings.TrimSpace(string(raw))
}
