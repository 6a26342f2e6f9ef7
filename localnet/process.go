// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Role is one of a participant's three processes.
type Role string

// The roles, in the order in which they start.
const (
	Node   Role = "node"
	Host   Role = "host"
	Worker Role = "worker"
)

// stopTime is how long a process may take to end after it was asked to.
const stopTime = 15 * time.Second

// process is one child. Its output goes to a log file, appended to at each start.
type process struct {
	name string // "p1 node"
	path string // of the log
	args []string

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	exited chan struct{} // closed when the running one has ended
	wanted bool          // it was not asked to end
	err    error         // how it ended
}

// start runs the executable with the process's arguments. The child dies with this process.
func (p *process) start(executable string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("localnet: %s runs already", p.name)
	}
	log, err := os.OpenFile(p.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("localnet: log of %s: %w", p.name, err)
	}
	cmd := exec.Command(executable, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		log.Close()
		return fmt.Errorf("localnet: starting %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited, p.wanted, p.err = cmd, exited, true, nil
	go func() { // ends with the child
		err := cmd.Wait()
		log.Close()
		p.mu.Lock()
		p.cmd, p.err = nil, err
		p.mu.Unlock()
		close(exited)
	}()
	return nil
}

// signal sends a signal to the running process and waits for its end; a process that does not end is killed.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	cmd, exited := p.cmd, p.exited
	p.wanted = false
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s)
	select {
	case <-exited:
	case <-time.After(stopTime):
		_ = cmd.Process.Kill()
		<-exited
	}
}

// died reports a process that ended without being asked to, with the last lines of its log.
func (p *process) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited == nil || p.cmd != nil || !p.wanted {
		return nil
	}
	return fmt.Errorf("localnet: %s ended by itself (%v); the end of %s:\n%s", p.name, p.err, p.path, Tail(p.path, 12))
}

// Tail returns the last lines of a file.
func Tail(path string, lines int) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return "    " + strings.Join(all[max(0, len(all)-lines):], "\n    ")
}

// executable returns the program to start children from: this one.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("localnet: own executable: %w", err)
	}
	return filepath.EvalSymlinks(path)
}

// Until calls check four times a second until it is true.
func Until(ctx context.Context, what string, check func() (bool, error)) error {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		ok, err := check()
		if ok {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("localnet: waiting for %s: %w", what, context.Cause(ctx)), last)
		case <-ticker.C:
		}
	}
}
