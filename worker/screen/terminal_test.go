// SPDX-License-Identifier: Apache-2.0

//go:build unix

package screen

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/terminal"
	"github.com/assaynet/assay/internal/terminal/terminaltest"
	"github.com/assaynet/assay/worker"
)

// child runs the screen on its own terminal: what the tests below start.
func TestMain(m *testing.M) {
	switch name := os.Getenv("SCREEN_TEST_STATUS"); name {
	case "":
	case "all":
		os.Exit(slides())
	default:
		os.Exit(child(name))
	}
	flag.Parse()
	os.Exit(m.Run())
}

func child(name string) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s := statuses()[name] // keys and drawing are one goroutine's
	said := func(state string) func() {
		return func() { s.State, s.Reason = state, "asked to be "+state }
	}
	err := Run(ctx, func() worker.Status {
		return s
	}, Control{Pause: said("paused"), Resume: said("computing"), Quit: stop}, os.Stdin,
		os.Stdout, os.Environ())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// start runs the screen in a pseudo-terminal.
func start(t *testing.T, name string, columns, rows int, environ ...string) *terminaltest.Terminal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"SCREEN_TEST_STATUS=" + name, "TERM=xterm-256color",
		"PATH=" + os.Getenv("PATH")}, environ...)
	return terminaltest.Open(t, cmd, columns, rows)
}

func TestInAPseudoTerminal(t *testing.T) {
	for _, c := range []struct {
		name          string
		columns, rows int
	}{{"wide", 120, 40}, {"narrow", 44, 60}} {
		t.Run(c.name, func(t *testing.T) {
			term := start(t, "busy", c.columns, c.rows)
			term.Wait("p pause  r resume  q quit", "computing", "cuda:1")
			term.Type("p")
			term.Wait("asked to be paused")
			term.Type("r")
			term.Wait("computing  1,234,567 units", "asked to be computing")
			term.Resize(60, c.rows)
			term.Wait("NVIDIA H200  98%")
			term.Type("q")
			term.End()
			if text := term.Text(); !strings.Contains(text, "earnings: estimated 0.12") {
				t.Errorf("the last status is gone:\n%s", text)
			}
		})
	}
}

// NO_COLOR (no-color.org) and a dumb terminal take the colour, and nothing else.
func TestWithoutColour(t *testing.T) {
	for _, environ := range []string{"NO_COLOR=1", "TERM=dumb"} {
		term := start(t, "busy", 100, 40, environ)
		term.Wait("q quit", "disabled")
		term.Type("q")
		term.End()
		if raw := term.Raw(); strings.Contains(raw, "\x1b[31m") ||
			strings.Contains(raw, "\x1b[32m") || strings.Contains(raw, "\x1b[1;31m") ||
			strings.Contains(raw, "\x1b[33m") {
			t.Errorf("%s: colours in %q", environ, raw)
		}
	}
	term := start(t, "busy", 100, 40)
	term.Wait("q quit", "disabled")
	term.Type("q")
	term.End()
	if !strings.Contains(term.Raw(), "32m") {
		t.Error("with colour allowed there is none: the test sees nothing")
	}
}

// In every size of window the keys are in its last line, and once only, through changing heights.
func TestKeysAreInTheLastLine(t *testing.T) {
	for _, size := range [][2]int{{100, 40}, {80, 24}, {60, 20}} {
		for _, environ := range []string{"COLORTERM=truecolor", "NO_COLOR=1"} {
			columns, rows := size[0], size[1]
			term := start(t, "busy", columns, rows, environ)
			for _, high := range []int{rows, rows / 2, rows + 30, rows - 1, rows} {
				term.Resize(columns, high)
				term.Until(func(shown string) string {
					lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
					switch {
					case strings.Count(shown, "q quit") != 1:
						return fmt.Sprintf("the keys are shown %d times",
							strings.Count(shown, "q quit"))
					case len(lines) != high || !strings.Contains(lines[high-1], "q quit"):
						return fmt.Sprintf("of %d lines the last is %q", len(lines),
							lines[len(lines)-1])
					case !strings.HasPrefix(lines[0], "assay worker"):
						return fmt.Sprintf("the first line is %q", lines[0])
					}
					return ""
				})
			}
			term.Type("q")
			term.End()
		}
	}
}

// slide is picture n of a worker's life: its states in turn, with more and fewer devices.
func slide(n, width int) []string {
	all := statuses()
	names := slices.Sorted(maps.Keys(all))
	s := all[names[n%len(names)]]
	s.Stored = uint64(n) // so that no picture is like another
	devices := s.Devices
	for range n % 5 {
		s.Devices = append(slices.Clip(s.Devices), devices...)
	}
	return Render(s, width, noon)
}

// slides shows slide after slide, the next one at each n.
func slides() int {
	ctx, stop := context.WithCancel(context.Background())
	n := 0
	err := terminal.Run(ctx, terminal.Screen{
		Draw: func(width, _ int) []string { return slide(n, width) }, Footer: faint.Render(Keys),
		Keys: map[string]func(){"n": func() { n++ }, "q": stop},
	}, os.Stdin, os.Stdout, os.Environ())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// No line of an earlier picture remains, whatever a worker does. ASSAY_LONG=1 makes it ten minutes
// (make terminal).
func TestNoGhostLines(t *testing.T) {
	terminaltest.NoGhostLines(t, terminaltest.Show{
		Start: func(t *testing.T, columns, rows int, environ string) *terminaltest.Terminal {
			return start(t, "all", columns, rows, environ)
		},
		Next: func(term *terminaltest.Terminal) { term.Type("n") }, Colour: "32m",
		Wrong: func(shown string, n, columns, rows int) string {
			return terminaltest.Differs(shown,
				terminal.Window(slide(n, max(columns, 20)), Keys, columns, rows, 0))
		},
		End: func(t *testing.T, term *terminaltest.Terminal, _ int) {
			term.Type("q")
			term.End()
		},
	})
}
