// SPDX-License-Identifier: Apache-2.0

//go:build unix

// Package terminaltest runs a program in a real pseudo-terminal, with an emulator that draws what
// the program writes.
package terminaltest

import (
	"bytes"
	"errors"
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
)

// Terminal is a pseudo-terminal with a program in it, and an emulator that
// draws what the program writes.
type Terminal struct {
	t   testing.TB
	cmd *exec.Cmd
	pty *os.File

	mu      sync.Mutex   // guards all below; vt.SafeEmulator leaves out methods that are used here
	screen  *vt.Emulator // reading its answers needs no lock
	all     bytes.Buffer
	changed chan struct{} // closed and replaced with every output
	over    bool
}

// Open starts a program in a terminal of a size. Where there are no pseudo-terminals the test is
// skipped.
func Open(t testing.TB, cmd *exec.Cmd, columns, rows int) *Terminal {
	t.Helper()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)})
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	term := &Terminal{t: t, cmd: cmd, pty: f, screen: vt.NewEmulator(columns, rows),
		changed: make(chan struct{})}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); f.Close() })
	go io.Copy(io.Discard, term.screen) // answers to what the program asks of the terminal
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := f.Read(buf)
			term.mu.Lock()
			term.screen.Write(buf[:n])
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

// Text is what the screen shows, line by line.
func (term *Terminal) Text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

// Raw is all that the program wrote.
func (term *Terminal) Raw() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.all.String()
}

// Wait waits until the screen shows all of these.
func (term *Terminal) Wait(texts ...string) {
	term.t.Helper()
	term.Until(func(shown string) string {
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				return fmt.Sprintf("%q is not shown", text)
			}
		}
		return ""
	})
}

// Until waits until wrong says nothing against what the screen shows.
func (term *Terminal) Until(wrong func(shown string) string) {
	term.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		term.mu.Lock() // before the screen is checked, so that no change is missed
		changed, over := term.changed, term.over
		term.mu.Unlock()
		shown := term.Text()
		why := wrong(shown)
		if why == "" {
			return
		}
		if over {
			term.t.Fatalf("it ended, and %s:\n%s", why, shown)
		}
		select {
		case <-changed:
		case <-limit:
			term.t.Fatalf("in vain: %s:\n%s", why, shown)
		}
	}
}

// Smear writes text over the screen, as another program does that has the same terminal.
func (term *Terminal) Smear(text string) {
	term.mu.Lock()
	defer term.mu.Unlock()
	_, _ = io.WriteString(term.screen, text) // the emulator takes everything
}

// Write sends bytes to the program.
func (term *Terminal) Write(p []byte) (int, error) { return term.pty.Write(p) }

// Type sends keys.
func (term *Terminal) Type(keys string) {
	term.t.Helper()
	if _, err := io.WriteString(term, keys); err != nil {
		term.t.Fatal(err)
	}
}

// Resize changes the window, and tells the program.
func (term *Terminal) Resize(columns, rows int) {
	term.t.Helper()
	if columns > 0 && rows > 0 {
		term.mu.Lock()
		if low := term.screen.CursorPosition().Y - rows + 1; low > 0 && !term.screen.IsAltScreen() {
			// a terminal keeps the cursor's line; the emulator cuts it off
			fmt.Fprintf(term.screen, "\x1b[%dS\x1b[%dA", low, low)
		}
		term.screen.Resize(columns, rows)
		term.mu.Unlock()
	}
	if err := pty.Setsize(term.pty,
		&pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}); err != nil {
		term.t.Fatal(err)
	}
	if err := term.cmd.Process.Signal(syscall.SIGWINCH); err != nil {
		term.t.Fatal(err)
	}
}

// End waits for the program, which must end well, and for all that it wrote.
func (term *Terminal) End() {
	term.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- term.cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			term.t.Fatalf("%v:\n%s", err, term.Raw())
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
