// SPDX-License-Identifier: Apache-2.0

package crew

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a process may take to end after it was asked to.
const stopTime = 15 * time.Second

// Process is one child. Its output goes to a log file, appended to at each start.
type Process struct {
	Who  string // "p1"
	Role string // "node"
	Log  string // path
	// Args of the program; set them before a start.
	Args []string

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	exited chan struct{} // closed when the running one has ended
	wanted bool          // it was not asked to end
	begun  time.Time     // when it was started last
	err    error         // how it ended
}

// Name is "p1 node".
func (p *Process) Name() string { return p.Who + " " + p.Role }

// Start runs a program with the process's arguments. The child dies with this process.
func (p *Process) Start(program string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("localnet: %s runs already", p.Name())
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("localnet: log of %s: %w", p.Name(), err)
	}
	cmd := exec.Command(program, p.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		log.Close()
		return fmt.Errorf("localnet: starting %s: %w", p.Name(), err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited, p.wanted, p.err, p.begun = cmd, exited, true, nil, time.Now()
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

// Signal sends a signal to the running process and waits for its end; a process that does not end
// is killed.
func (p *Process) Signal(s syscall.Signal) {
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

// PID of the running process, 0 while there is none.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// ended reports that the process was started and ended without being asked to, how, and how long it
// ran.
func (p *Process) ended() (ran time.Duration, yes bool, how error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited == nil || p.cmd != nil || !p.wanted {
		return 0, false, nil
	}
	return time.Since(p.begun), true, p.err
}

// Died is an error with the last lines of the log if the process ended without being asked to.
func (p *Process) Died() error {
	if _, yes, how := p.ended(); yes {
		return fmt.Errorf("localnet: %s ended by itself (%s); the end of %s:\n%s", p.Name(),
			ending(how), p.Log, Tail(p.Log, 12))
	}
	return nil
}

// ending says how a process ended.
func ending(how error) string {
	if how == nil {
		return "exit status 0"
	}
	return how.Error()
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
