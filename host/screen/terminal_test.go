// SPDX-License-Identifier: Apache-2.0

//go:build unix

package screen

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/terminal/terminaltest"
)

// TestMain is also the program that the tests below start.
func TestMain(m *testing.M) {
	if name := os.Getenv("SCREEN_TEST_STATUS"); name != "" {
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
	v := View{Status: func() host.Status { return all[name] }, Warnings: warnings, Stop: over, Kept: "all is kept in /home/a"}
	if err := Run(ctx, v, os.Stdin, os.Stdout, os.Environ()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func start(t *testing.T, name string, columns, rows int, environ ...string) *terminaltest.Terminal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"SCREEN_TEST_STATUS=" + name, "TERM=xterm-256color", "PATH=" + os.Getenv("PATH")}, environ...)
	return terminaltest.Open(t, cmd, columns, rows)
}

// In every size of window the first line says who this is, the last one what the keys do, and each once only. Both keys
// stop the host, and the terminal keeps what it leaves.
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
						return fmt.Sprintf("the keys are shown %d times", strings.Count(shown, Keys))
					case len(lines) != high || !strings.Contains(lines[high-1], Keys):
						return fmt.Sprintf("of %d lines the last is %q", len(lines), lines[len(lines)-1])
					case !strings.HasPrefix(lines[0], "assay host") || strings.Count(shown, "assay host  cpc1") != 1:
						return fmt.Sprintf("the first line is %q", lines[0])
					}
					return ""
				})
			}
			term.Type([]string{"q", "\x03"}[i%2])
			term.End()
			if text := term.Text(); !strings.Contains(text, "all is kept in /home/a") || strings.Contains(text, Keys) {
				t.Errorf("what stays is\n%s", text)
			}
			if coloured := strings.Contains(term.Raw(), "[32m"); coloured != (environ != "NO_COLOR=1") {
				t.Errorf("with %s: colour %v", environ, coloured)
			}
		})
	}
}
