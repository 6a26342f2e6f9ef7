// SPDX-License-Identifier: Apache-2.0

//go:build unix

package screen

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"github.com/assaynet/assay/worker"
)

// terminal is a pseudo-terminal with a program in it, and an emulator that
// draws what the program writes.
type terminal struct {
	t   *testing.T
	cmd *exec.Cmd
	pty *os.File

	mu      sync.Mutex
	screen  *vt.SafeEmulator
	all     bytes.Buffer
	changed chan struct{} // closed and replaced with every output
	over    bool
}

func open(t *testing.T, cmd *exec.Cmd, columns, rows int) *terminal {
	t.Helper()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)})
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	term := &terminal{t: t, cmd: cmd, pty: f, screen: vt.NewSafeEmulator(columns, rows), changed: make(chan struct{})}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); f.Close() })
	go io.Copy(io.Discard, term.screen) // answers to what the program asks of the terminal
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := f.Read(buf)
			term.screen.Write(buf[:n])
			term.mu.Lock()
			term.all.Write(buf[:n])
			term.over = err != nil
			close(term.changed)
			term.changed = make(chan struct{})
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term
}

func (term *terminal) text() string { return term.screen.String() }

func (term *terminal) raw() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.all.String()
}

// wait waits until the screen shows all of these.
func (term *terminal) wait(texts ...string) {
	term.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		term.mu.Lock() // before the screen is looked at, so that no change is missed
		changed, over := term.changed, term.over
		term.mu.Unlock()
		shown, missing := term.text(), ""
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if over {
			term.t.Fatalf("ended without showing %q:\n%s", missing, shown)
		}
		select {
		case <-changed:
		case <-limit:
			term.t.Fatalf("never showed %q:\n%s", missing, shown)
		}
	}
}

func (term *terminal) Write(p []byte) (int, error) { return term.pty.Write(p) }

func (term *terminal) write(keys string) {
	term.t.Helper()
	if _, err := io.WriteString(term, keys); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) resize(columns, rows int) {
	term.t.Helper()
	term.screen.Resize(columns, rows)
	if err := pty.Setsize(term.pty, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}); err != nil {
		term.t.Fatal(err)
	}
	if err := term.cmd.Process.Signal(syscall.SIGWINCH); err != nil {
		term.t.Fatal(err)
	}
}

// end waits for the program, which must end well, and for all that it wrote.
func (term *terminal) end() {
	term.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- term.cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			term.t.Fatalf("%v:\n%s", err, term.raw())
		}
		for {
			term.mu.Lock()
			changed, over := term.changed, term.over
			term.mu.Unlock()
			if over {
				return
			}
			<-changed
		}
	case <-time.After(20 * time.Second):
		term.t.Fatal("q does not end it")
	}
}

// child runs the screen on its own terminal: what the tests below start.
func TestMain(m *testing.M) {
	if name := os.Getenv("SCREEN_TEST_STATUS"); name != "" {
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
	err := Run(ctx, func() worker.Status { return s }, Control{Pause: said("paused"), Resume: said("computing"), Quit: stop}, os.Stdin, os.Stdout, os.Environ())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// start runs the screen in a pseudo-terminal.
func start(t *testing.T, name string, columns, rows int, environ ...string) *terminal {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"SCREEN_TEST_STATUS=" + name, "TERM=xterm-256color", "PATH=" + os.Getenv("PATH")}, environ...)
	return open(t, cmd, columns, rows)
}

func TestInAPseudoTerminal(t *testing.T) {
	for _, c := range []struct {
		name          string
		columns, rows int
	}{{"wide", 120, 40}, {"narrow", 44, 60}} {
		t.Run(c.name, func(t *testing.T) {
			term := start(t, "busy", c.columns, c.rows)
			term.wait("p pause  r resume  q quit", "computing", "cuda:1")
			term.write("p")
			term.wait("asked to be paused")
			term.write("r")
			term.wait("computing  1,234,567 units", "asked to be computing")
			term.resize(60, c.rows)
			term.wait("NVIDIA H200  98%")
			term.write("q")
			term.end()
			if text := term.text(); !strings.Contains(text, "earnings: estimated 0.12") {
				t.Errorf("the last status is gone:\n%s", text)
			}
		})
	}
}

// NO_COLOR (no-color.org) and a dumb terminal take the colour, and nothing else.
func TestWithoutColour(t *testing.T) {
	for _, environ := range []string{"NO_COLOR=1", "TERM=dumb"} {
		term := start(t, "busy", 100, 40, environ)
		term.wait("q quit", "disabled")
		term.write("q")
		term.end()
		if raw := term.raw(); strings.Contains(raw, "\x1b[31m") || strings.Contains(raw, "\x1b[32m") || strings.Contains(raw, "\x1b[1;31m") || strings.Contains(raw, "\x1b[33m") {
			t.Errorf("%s: colours in %q", environ, raw)
		}
	}
	term := start(t, "busy", 100, 40)
	term.wait("q quit", "disabled")
	term.write("q")
	term.end()
	if !strings.Contains(term.raw(), "32m") {
		t.Error("with colour allowed there is none: the test sees nothing")
	}
}
