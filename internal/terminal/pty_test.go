// SPDX-License-Identifier: Apache-2.0

//go:build unix

package terminal_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/creack/pty"

	"github.com/assaynet/assay/internal/terminal"
	"github.com/assaynet/assay/internal/terminal/terminaltest"
)

// What is shown in the tests: picture n, which has its number in each line, so that a line of
// another one gives itself away. Heights jump up and down.
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

// TestMain is also the program that the tests start: it shows the next picture at each n, and from
// d on it is deaf to signals that the window has changed.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("TERMINAL_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	n := 0
	err := terminal.Run(ctx, terminal.Screen{
		Draw: func(int, int) []string {
			return picture(n)
		}, Last: func(int) []string { return []string{fmt.Sprintf("the last was %d", n)} },
		Footer: footer, Keys: map[string]func(){"n": func() {
			n++
		}, "d": func() { signal.Reset(syscall.SIGWINCH); n++ }, "q": stop},
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
	cmd.Env = append([]string{"TERMINAL_TEST_CHILD=1", "TERM=xterm-256color",
		"PATH=" + os.Getenv("PATH")}, environ...)
	return terminaltest.Open(t, cmd, columns, rows)
}

// differs says what is on the screen that is not of the picture, or is missing.
func differs(shown string, n, columns, rows int) string {
	return terminaltest.Differs(shown, terminal.Window(picture(n), footer, columns, rows, 0))
}

// No line of an earlier picture remains, however heights of picture and window change, with and
// without colour. ASSAY_LONG=1 makes it ten minutes (make terminal).
func TestNoGhostLines(t *testing.T) {
	terminaltest.NoGhostLines(t, terminaltest.Show{
		Start: func(t *testing.T, columns, rows int, environ string) *terminaltest.Terminal {
			return program(t, columns, rows, environ)
		},
		Next: func(term *terminaltest.Terminal) { term.Type("n") }, Wrong: differs, Colour: "31m",
		End: func(t *testing.T, term *terminaltest.Terminal, n int) {
			term.Type("q")
			term.End()
			if text := term.Text(); !strings.Contains(text, fmt.Sprintf("the last was %d", n)) ||
				strings.Contains(text, "picture") {
				t.Errorf("what stays is\n%s", text)
			}
		},
	})
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

// A window whose change was not signalled is drawn on in its new size all the same.
func TestAWindowThatChangesUnheard(t *testing.T) {
	t.Parallel()
	term := program(t, 80, 24)
	term.Type("d")
	term.Until(func(shown string) string { return differs(shown, 1, 80, 24) })
	for _, size := range [][2]int{{60, 12}, {90, 30}} {
		term.Resize(size[0], size[1])
		term.Until(func(shown string) string { return differs(shown, 1, size[0], size[1]) })
	}
	term.Type("q")
	term.End()
}

// What another program writes over the picture is gone soon, also where the picture itself does not
// change.
func TestASmearedPictureIsWrittenAgain(t *testing.T) {
	t.Parallel()
	term := program(t, 80, 24)
	term.Until(func(shown string) string { return differs(shown, 0, 80, 24) })
	term.Smear("\x1b[Hwall: the machine goes down\r\n\n\n")
	if differs(term.Text(), 0, 80, 24) == "" {
		t.Fatal("the picture is not smeared")
	}
	term.Until(func(shown string) string { return differs(shown, 0, 80, 24) })
	term.Type("q")
	term.End()
}

// A terminal that says it has no columns or no lines is none.
func TestATerminalWithoutColumnsIsNone(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer master.Close()
	defer tty.Close()
	for _, size := range [][2]uint16{{0, 0}, {80, 0}, {0, 24}, {80, 24}} {
		if err := pty.Setsize(master, &pty.Winsize{Cols: size[0], Rows: size[1]}); err != nil {
			t.Fatal(err)
		}
		want := size[0] > 0 && size[1] > 0
		if _, ok := terminal.Usable(tty, nil); ok != want {
			t.Errorf("%v: %v", size, ok)
		}
		if _, ok := terminal.Usable(tty, []string{"TERM=dumb"}); ok {
			t.Errorf("%v, dumb", size)
		}
	}
}
