// SPDX-License-Identifier: Apache-2.0

//go:build unix

package terminal

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/assaynet/assay/internal/terminal/terminaltest"
)

// What is shown in the tests: picture n, which has its number in each line, so that a line of another
// one gives itself away. Heights jump up and down.
func picture(n int) (lines []string) {
	red := lipgloss.NewStyle().Foreground(lipgloss.Red)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range 2 + rng.IntN(45) {
		line := fmt.Sprintf("picture %d line %d %s", n, i, strings.Repeat("=", rng.IntN(70)))
		if i%3 == 1 {
			line = red.Render(line)
		}
		if i%7 == 5 {
			line = ""
		}
		lines = append(lines, line)
	}
	return lines
}

const footer = "n next  q quit"

// TestMain is also the program that the tests start: it shows the next picture at each n.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("TERMINAL_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	n := 0
	err := Run(ctx, Screen{
		Draw: func(int, int) []string { return picture(n) }, Last: func(int) []string { return []string{fmt.Sprintf("the last was %d", n)} },
		Footer: footer, Keys: map[string]func(){"n": func() { n++ }, "q": stop},
	}, os.Stdin, os.Stdout, os.Environ())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func program(t *testing.T, columns, rows int, environ ...string) *terminaltest.Terminal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"TERMINAL_TEST_CHILD=1", "TERM=xterm-256color", "PATH=" + os.Getenv("PATH")}, environ...)
	return terminaltest.Open(t, cmd, columns, rows)
}

// differs says what is on the screen that is not of the picture, or is missing.
func differs(shown string, n, columns, rows int) string {
	want := window(picture(n), footer, columns, rows, 0)
	got := strings.Split(strings.ReplaceAll(shown, "\r", ""), "\n")
	for len(got) < len(want) {
		got = append(got, "")
	}
	for i := range got {
		line := ""
		if i < len(want) {
			line = strings.TrimRight(ansi.Strip(want[i]), " ")
		}
		if strings.TrimRight(ansi.Strip(got[i]), " ") != line {
			return fmt.Sprintf("line %d is %q, want %q of picture %d", i, got[i], line, n)
		}
	}
	return ""
}

// No line of an earlier picture remains, however heights of picture and window change, with and
// without colour. ASSAY_LONG=1 makes it ten minutes (make terminal).
func TestNoGhostLines(t *testing.T) {
	long := os.Getenv("ASSAY_LONG") != ""
	for _, size := range [][2]int{{100, 40}, {80, 24}, {60, 20}} {
		for _, environ := range []string{"COLORTERM=truecolor", "NO_COLOR=1"} {
			columns, rows := size[0], size[1]
			t.Run(fmt.Sprintf("%dx%d %s", columns, rows, environ), func(t *testing.T) {
				t.Parallel()
				steps, until := 8, time.Time{}
				if long { // two of the six at a time, or more
					steps, until = 1<<30, time.Now().Add(10*time.Minute/3)
				}
				seed := uint64(columns)
				rng := rand.New(rand.NewPCG(seed, uint64(len(environ))))
				term := program(t, columns, rows, environ)
				wide, high := columns, rows
				n := 0
				for ; n < steps && (until.IsZero() || time.Now().Before(until)); n++ {
					term.Until(func(shown string) string { return differs(shown, n, wide, high) })
					switch rng.IntN(4) {
					case 0: // another window first
						wide, high = columns-rng.IntN(columns/2), 1+rng.IntN(2*rows)
						term.Resize(wide, high)
						term.Until(func(shown string) string { return differs(shown, n, wide, high) })
					case 1: // and one at the same time
						wide, high = columns, rows
						term.Resize(wide, high)
					}
					term.Type("n")
				}
				term.Until(func(shown string) string { return differs(shown, n, wide, high) })
				if raw := term.Raw(); strings.Contains(raw, "31m") == (environ == "NO_COLOR=1") {
					t.Errorf("with %s: colour %v", environ, strings.Contains(raw, "31m"))
				}
				term.Type("q")
				term.End()
				if text := term.Text(); !strings.Contains(text, fmt.Sprintf("the last was %d", n)) || strings.Contains(text, "picture") {
					t.Errorf("what stays is\n%s", text)
				}
				t.Logf("%d pictures, seed %d", n, seed)
			})
		}
	}
}

// A terminal without a size is none, and one that loses it keeps what it showed.
func TestNoSize(t *testing.T) {
	term := program(t, 80, 24)
	term.Until(func(shown string) string { return differs(shown, 0, 80, 24) })
	term.Resize(0, 0)
	term.Type("n")
	term.Resize(80, 24)
	term.Until(func(shown string) string { return differs(shown, 1, 80, 24) })
	term.Type("q")
	term.End()
}
