// SPDX-License-Identifier: Apache-2.0

//go:build unix

package screen

import (
	"bytes"
	"errors"
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
