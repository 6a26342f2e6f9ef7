// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/poc/work/matmul"
)

// droppedVar tells a program that was started again what it was started without.
const droppedVar = "ASSAY_PEERS_DROPPED"

func main() {
	// Libraries read their settings when they are loaded, from an environment that
	// is not Go's. So the program starts again without them.
	if kept, dropped := withoutSettings(os.Environ()); len(dropped) > 0 {
		kept = append(kept, droppedVar+"="+strings.Join(dropped, " "))
		err := syscall.Exec("/proc/self/exe", os.Args, kept)
		fmt.Fprintf(os.Stderr, "peers: starting again without %s: %v\n",
			strings.Join(dropped, ", "), err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// withoutSettings takes away what would make a library choose other kernels or
// threads than it does by itself.
func withoutSettings(environ []string) (kept, dropped []string) {
next:
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"OPENBLAS_", "GOTO_", "OMP_", "GOMP_", "KMP_", "MKL_",
			"DNNL_", "ONEDNN_"} {
			if strings.HasPrefix(name, prefix) {
				dropped = append(dropped, name)
				continue next
			}
		}
		kept = append(kept, pair)
	}
	return kept, dropped
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	sizes, counts := numbers{1024, 4096}, numbers{1}
	if runtime.NumCPU() > 1 {
		counts = append(counts, 2)
	}
	flags.Var(&sizes, "n", "matrices are n x n; several with commas between them")
	flags.Var(&counts, "threads", "how many threads; several with commas between them")
	turns := flags.Int("turns", 9, "how often everybody is measured")
	asJSON := flags.Bool("json", false, "print JSON, with the time of every turn")
	install := flags.Bool("install", false, "ask apt-get for the libraries that are missing "+
		"(needs root)")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 || *turns < 1 {
		fmt.Fprintln(stderr, "peers: no arguments, and at least one turn; see -help")
		return 2
	}
	for _, n := range sizes {
		if err := (matmul.Shape{M: n, K: n, Q: n}).Valid(); err != nil {
			fmt.Fprintf(stderr, "peers: -n %d: %v\n", n, err)
			return 2
		}
	}
	r, err := compare(ctx, sizes, counts, *turns, *install, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "peers: %v\n", err)
		return 1
	}
	if *asJSON {
		if err := r.printJSON(stdout); err != nil {
			fmt.Fprintf(stderr, "peers: %v\n", err)
			return 1
		}
		return 0
	}
	r.print(stdout)
	return 0
}

// numbers is a flag of positive numbers.
type numbers []int

func (v *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*v), " ", ","), "[]")
}

func (v *numbers) Set(s string) error {
	*v = nil
	for field := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no positive number", field)
		}
		*v = append(*v, n)
	}
	return nil
}

// compare gathers who is there and lets them take turns at every size.
func compare(ctx context.Context, sizes, counts []int, turns int, install bool,
	progress io.Writer) (*report, error) {
	r := &report{Machine: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		LoadBefore: load(), Dropped: strings.Fields(os.Getenv(droppedVar))}
	engine, err := cpu.New(ctx)
	if err != nil {
		return nil, err
	}
	r.Engine = engine.Name()
	// OpenMP counts threads by the thread that asks.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))

	all := ours(ctx, engine)
	for _, open := range []func() (library, []contestant, error){openBLAS, oneDNN} {
		l, found, err := open()
		var m *missing
		if install && errors.As(err, &m) {
			if failed := aptInstall(ctx, m.debian, progress); failed != nil {
				fmt.Fprintf(progress, "peers: %v\n", failed)
			} else {
				l, found, err = open()
			}
		}
		if err != nil {
			r.Missing = append(r.Missing, err.Error())
			continue
		}
		r.Libraries, all = append(r.Libraries, l), append(all, found...)
	}
	child, l, err := startTorch(ctx)
	if err != nil {
		r.Missing = append(r.Missing, err.Error())
	} else {
		defer child.close()
		r.Libraries, all = append(r.Libraries, l), append(all, child.contestant())
	}
	for _, n := range sizes {
		results, err := measure(ctx, all, n, counts, turns, progress)
		if err != nil {
			return nil, err
		}
		r.Results = append(r.Results, results...)
	}
	r.LoadAfter = load()
	return r, nil
}

// missing is a library that is not installed.
type missing struct {
	name   string
	debian string // what apt-cache calls it, a regular expression
	err    error
}

func (m *missing) Error() string {
	return fmt.Sprintf("%s; on Debian: apt-get install the package that apt-cache search "+
		"--names-only '%s' shows (%v)", m.name, m.debian, m.err)
}

func (m *missing) Unwrap() error { return m.err }

// aptInstall installs the newest package whose name matches.
func aptInstall(ctx context.Context, pattern string, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("-install needs root, for apt-get")
	}
	search := func() string {
		found, err := exec.CommandContext(ctx, "apt-cache", "search", "--names-only",
			pattern).Output()
		if err != nil {
			return ""
		}
		lines := strings.Split(strings.TrimSpace(string(found)), "\n")
		name, _, _ := strings.Cut(lines[len(lines)-1], " ")
		return name
	}
	apt := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = progress, progress
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err)
		}
		return nil
	}
	name := search()
	if name == "" { // a fresh image knows no packages
		if err := apt("update", "-q"); err != nil {
			return err
		}
		if name = search(); name == "" {
			return fmt.Errorf("apt-cache knows no package %s", pattern)
		}
	}
	return apt("install", "-q", "-y", "--no-install-recommends", name)
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + runtime.GOARCH
}

func load() string {
	s, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(s))[:3], " ")
}
