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

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/terminal"
	"github.com/assaynet/assay/internal/terminal/terminaltest"
)

// TestMain is also the program that the tests below start.
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

// child shows a status on its own terminal.
func child(name string) int {
	ctx, over := context.WithCancel(context.Background())
	defer over()
	all := statuses()
	v := View{Status: func() host.Status {
		return all[name]
	}, Warnings: warnings, Stop: over, Kept: "all is kept in /home/a"}
	if err := Run(ctx, v, os.Stdin, os.Stdout, os.Environ()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func start(t *testing.T, name string, columns, rows int, environ ...string) *terminaltest.Terminal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"SCREEN_TEST_STATUS=" + name, "TERM=xterm-256color",
		"PATH=" + os.Getenv("PATH")}, environ...)
	return terminaltest.Open(t, cmd, columns, rows)
}

// In every size of window the first line says who this is, the last one what the keys do, and each
// once only. Both keys stop the host, and the terminal keeps what it leaves.
func TestInAPseudoTerminal(t *testing.T) {
	for i, size := range append(sizes, sizes[1]) {
		t.Run(fmt.Sprintf("%dx%d %d", size[0], size[1], i), func(t *testing.T) {
			t.Parallel()
			columns, rows := size[0], size[1]
			environ := []string{"NO_COLOR=1", "COLORTERM=truecolor"}[i%2]
			term := start(t, []string{"busy", "trouble"}[i%2], columns, rows, environ)
			for _, high := range []int{rows, rows / 2, rows + 30} {
				term.Resize(columns, high)
				term.Until(func(shown string) string {
					lines := strings.Split(strings.TrimRight(shown, "\n"), "\n")
					switch {
					case strings.Count(shown, Keys) != 1:
						return fmt.Sprintf("the keys are shown %d times",
							strings.Count(shown, Keys))
					case len(lines) != high || !strings.Contains(lines[high-1], Keys):
						return fmt.Sprintf("of %d lines the last is %q", len(lines),
							lines[len(lines)-1])
					case !strings.HasPrefix(lines[0], "assay host") ||
						strings.Count(shown, "assay host  cpc1") != 1:
						return fmt.Sprintf("the first line is %q", lines[0])
					}
					return ""
				})
			}
			term.Type([]string{"q", "\x03"}[i%2])
			term.End()
			if text := term.Text(); !strings.Contains(text, "all is kept in /home/a") ||
				strings.Contains(text, Keys) {
				t.Errorf("what stays is\n%s", text)
			}
			if coloured := strings.Contains(term.Raw(),
				"[32m"); coloured != (environ != "NO_COLOR=1") {
				t.Errorf("with %s: colour %v", environ, coloured)
			}
		})
	}
}

// slide is picture n of a host's life: its states in turn, each time with another height.
func slide(n, width, height int) []string {
	all := statuses()
	names := slices.Sorted(maps.Keys(all))
	s := all[names[n%len(names)]]
	s.Height += int64(n) // so that no picture is like another
	s.Workers = append(machines(n%60), s.Workers...)
	return Render(s, warnings()[:n%(len(warnings())+1)], width, height, noon)
}

// slides shows slide after slide, the next one at each n.
func slides() int {
	ctx, stop := context.WithCancel(context.Background())
	n := 0
	err := terminal.Run(ctx, terminal.Screen{
		Draw: func(width, height int) []string {
			return slide(n, width, height)
		}, Footer: faint.Render(Keys),
		Keys: map[string]func(){"n": func() { n++ }, "q": stop},
	}, os.Stdin, os.Stdout, os.Environ())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// No line of an earlier picture remains, whatever a host does. ASSAY_LONG=1 makes it ten minutes
// (make terminal).
func TestNoGhostLines(t *testing.T) {
	terminaltest.NoGhostLines(t, terminaltest.Show{
		Start: func(t *testing.T, columns, rows int, environ string) *terminaltest.Terminal {
			return start(t, "all", columns, rows, environ)
		},
		Next: func(term *terminaltest.Terminal) { term.Type("n") }, Colour: "32m",
		Wrong: func(shown string, n, columns, rows int) string {
			return terminaltest.Differs(shown,
				terminal.Window(slide(n, max(columns, 20), max(rows-1, 1)), Keys, columns, rows, 0))
		},
		End: func(t *testing.T, term *terminaltest.Terminal, _ int) {
			term.Type("q")
			term.End()
		},
	})
}
