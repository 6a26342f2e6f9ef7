// SPDX-License-Identifier: Apache-2.0

//go:build unix

package localnet

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/internal/terminal/terminaltest"
)

// TestMain is also the program that the test below starts: an account that says more at each byte
// of file 3.
func TestMain(m *testing.M) {
	if os.Getenv("ACCOUNT_TEST") == "" {
		flag.Parse()
		os.Exit(m.Run())
	}
	a := newAccount(os.Stdout)
	next := bufio.NewReader(os.NewFile(3, "next"))
	for n := 0; ; n++ {
		for _, line := range stands(n) {
			a.line("%s", a.good(line))
		}
		a.progress(runs(n))
		if _, err := next.ReadByte(); err != nil {
			a.line("the end")
			os.Exit(0)
		}
	}
}

// stands are the lines that stand from step n on: short ones, which fit every window.
func stands(n int) (lines []string) {
	for i := range n % 3 {
		lines = append(lines, fmt.Sprintf("line %d of step %d", i, n))
	}
	return lines
}

// runs is the phase that runs in step n.
func runs(n int) (phase, text string, now time.Time) {
	return sprintv1.Phase(1 + n%6).Word(),
		fmt.Sprintf("step %d %s", n, strings.Repeat("█", n*7%100)), time.Now()
}

// What the account shows is lines that stand, in their order, and the phase that runs now, once,
// below them; however heights and widths change. ASSAY_LONG=1 makes it ten minutes (make terminal).
func TestNoGhostLines(t *testing.T) {
	var next sync.Map // of what a terminal's program reads
	of := func(term *terminaltest.Terminal) io.WriteCloser {
		w, _ := next.Load(term)
		return w.(io.WriteCloser)
	}
	terminaltest.NoGhostLines(t, terminaltest.Show{
		Start: func(t *testing.T, columns, rows int, environ string) *terminaltest.Terminal {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = []string{"ACCOUNT_TEST=1", "TERM=xterm-256color", environ}
			cmd.ExtraFiles = []*os.File{r}
			term := terminaltest.Open(t, cmd, columns, rows)
			_ = r.Close() // it is the child's now
			next.Store(term, w)
			return term
		},
		Next: func(term *terminaltest.Terminal) {
			_, _ = of(term).Write([]byte("n"))
		}, Colour: "32m",
		Wrong: misses,
		End: func(t *testing.T, term *terminaltest.Terminal, n int) {
			_ = of(term).Close()
			term.End()
			if lines := filled(term.Text()); len(lines) == 0 || lines[len(lines)-1] != "the end" ||
				strings.Contains(term.Text(), fmt.Sprintf("step %d █", n)) {
				t.Errorf("what stays is\n%s", term.Text())
			}
		},
	})
}

// filled are the lines of a screen that are not empty.
func filled(shown string) (lines []string) {
	for _, line := range strings.Split(ansi.Strip(shown), "\n") {
		if line = strings.TrimRight(line, " \r"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// misses says what a screen shows in step n that is no line of the account, or lacks.
func misses(shown string, n, columns, _ int) string {
	lines := filled(shown)
	if len(lines) == 0 {
		return "nothing is shown"
	}
	phase, text, _ := runs(n)
	running := fmt.Sprintf("  %-10s %s", phase, text)
	last := strings.TrimSuffix(lines[len(lines)-1], "…")
	if step := fmt.Sprintf("step %d", n); !strings.HasPrefix(running, last) ||
		!strings.Contains(last, step) {
		return fmt.Sprintf("the last line is %q, want %q", last, clip(running, columns-1))
	}
	var all []string
	for i := max(0, n-200); i <= n; i++ {
		all = append(all, stands(i)...)
	}
	for i, line := range lines[:len(lines)-1] {
		at := slices.Index(all, line)
		if at < 0 {
			return fmt.Sprintf("line %d is %q, which does not stand, or not there", i, line)
		}
		all = all[at+1:]
	}
	return ""
}
