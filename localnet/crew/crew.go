// SPDX-License-Identifier: Apache-2.0

// Package crew keeps the processes of a local network running.
//
// A process that ends by itself, whatever ended it, is one line of the account and is started again
// after five seconds; one that ends again and again, after a minute at most. The network itself
// ends when its owner ends it, or when nothing is left. What is killed with `assay localnet kill`
// stays down until `heal`, so that one can watch what others do without it. Both speak with the
// running network over the loopback; see Serve.
package crew

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// againFirst is how long a process stays down that ended by itself; twice as long each time, up
	// to againMost.
	againFirst = 5 * time.Second
	againMost  = time.Minute
	// steady is how long it has to run until an end counts as the first one again.
	steady = time.Minute
)

// ErrNone reports words that name no process.
var ErrNone = errors.New("no such process")

// Crew is the processes of a network, in the order in which they start. Set its exported fields
// before it is used.
type Crew struct {
	// Program is the executable of all.
	Program string
	// Stay leaves down what ends by itself.
	Stay bool
	// Heal is the command that a person types to start what is down; a name is added to it.
	Heal string

	mu   sync.Mutex
	all  []*Process
	down map[*Process]*absence
	said []string
}

// absence is a process that is not there, or was not a while ago.
type absence struct {
	killed bool      // by its owner's command
	told   bool      // its end is in the account
	again  time.Time // when it is started; zero: not by itself
	tries  int       // ends in a row
}

// Of returns a process, which is new at the first call.
func (c *Crew) Of(who, role string) *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		if p.Who == who && p.Role == role {
			return p
		}
	}
	p := &Process{Who: who, Role: role}
	c.all = append(c.all, p)
	return p
}

// Check reports the first process that ended without being asked to.
func (c *Crew) Check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		if err := p.Died(); err != nil {
			return err
		}
	}
	return nil
}

// Tend notices who ended, starts whom it is time for, and returns what has happened since the last
// call, a line each.
func (c *Crew) Tend(now time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		c.notice(p, now)
		if a := c.down[p]; a != nil && !a.again.IsZero() && !now.Before(a.again) {
			c.start(p, now)
		}
	}
	said := c.said
	c.said = nil
	return said
}

// absent is what is known of a process that was away. The caller holds mu.
func (c *Crew) absent(p *Process) *absence {
	if c.down == nil {
		c.down = map[*Process]*absence{}
	}
	if c.down[p] == nil {
		c.down[p] = &absence{}
	}
	return c.down[p]
}

// notice says once that a process ended, and what comes of it. The caller holds mu.
func (c *Crew) notice(p *Process, now time.Time) {
	ran, yes, how := p.ended()
	if !yes {
		return
	}
	a := c.absent(p)
	if a.told {
		return
	}
	if ran >= steady {
		a.tries = 0
	}
	a.told = true
	a.tries++
	line := p.Name() + " " + c.how(p, how)
	if a.tries > 1 {
		line += fmt.Sprintf(", %d times in a row", a.tries)
	}
	line += "; " + c.remain(p.Role)
	if c.Stay {
		c.say("%s; it stays down, until: %s %s", line, c.Heal, p.Name())
		return
	}
	wait := min(againFirst<<min(a.tries-1, 10), againMost)
	a.again = now.Add(wait)
	c.say("%s; it is started again in %s", line, wait)
}

// how says how a process ended: what ended it, or what it said last.
func (c *Crew) how(p *Process, how error) string {
	text := ending(how)
	if text == "signal: killed" {
		return "was killed"
	}
	if last := strings.TrimSpace(Tail(p.Log, 1)); last != "" {
		return fmt.Sprintf("ended (%s), saying: %s", text, shorten(last, 300))
	}
	return fmt.Sprintf("ended (%s)", text)
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// remain counts those of a role that run. The caller holds mu.
func (c *Crew) remain(role string) string {
	run, all := 0, 0
	for _, p := range c.all {
		if p.Role == role {
			all++
			if p.PID() != 0 {
				run++
			}
		}
	}
	return fmt.Sprintf("%d of %d %ss remain", run, all, role)
}

// start starts a process that is down. The caller holds mu.
func (c *Crew) start(p *Process, now time.Time) {
	a := c.absent(p)
	a.killed, a.told, a.again = false, false, time.Time{}
	if err := p.Start(c.Program); err != nil {
		a.told = true
		a.tries++
		wait := min(againFirst<<min(a.tries-1, 10), againMost)
		a.again = now.Add(wait)
		c.say("%v; tried again in %s", err, wait)
		return
	}
	c.say("%s is started again", p.Name())
}

func (c *Crew) say(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

// Kill ends processes at once, as a power cut would, and leaves them down. Errors wrap ErrNone.
func (c *Crew) Kill(words []string) (done []string, err error) {
	return c.each(words, func(p *Process, _ time.Time) string {
		if p.PID() == 0 {
			if a := c.absent(p); !a.killed { // it would come back
				a.killed, a.told, a.again = true, true, time.Time{}
				return p.Name() + " is down already, and stays down"
			}
			return p.Name() + " is down already"
		}
		p.Signal(syscall.SIGKILL)
		a := c.absent(p)
		a.killed, a.told, a.again, a.tries = true, true, time.Time{}, 0
		line := fmt.Sprintf("%s was killed, as you asked; %s; it stays down until: %s %s", p.Name(),
			c.remain(p.Role), c.Heal, p.Name())
		c.say("%s", line)
		return line
	})
}

// HealAll starts processes that are down; no words are all of them. Errors wrap ErrNone.
func (c *Crew) HealAll(words []string) (done []string, err error) {
	if len(words) > 0 {
		return c.each(words, c.heal)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		if p.PID() == 0 {
			done = append(done, c.heal(p, time.Now()))
		}
	}
	if len(done) == 0 {
		done = []string{"nothing is down"}
	}
	return done, nil
}

func (c *Crew) heal(p *Process, now time.Time) string {
	if p.PID() != 0 {
		return p.Name() + " runs"
	}
	c.absent(p).tries = 0
	c.start(p, now)
	return c.said[len(c.said)-1]
}

// each does something with the processes that words name: "p2 node", or "p2" for all three of it.
func (c *Crew) each(words []string, do func(*Process, time.Time) string) (done []string,
	err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var chosen []*Process
	for _, p := range c.all {
		if len(words) == 1 && p.Who == words[0] || len(words) == 2 && p.Who == words[0] &&
			p.Role == words[1] {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("localnet: %w as %q: choose one of %s", ErrNone,
			strings.Join(words, " "), c.names())
	}
	for _, p := range chosen {
		done = append(done, do(p, time.Now()))
	}
	return done, nil
}

// names lists whom words can name: participants and roles. The caller holds mu.
func (c *Crew) names() string {
	var who, roles []string
	for _, p := range c.all {
		if !slices.Contains(who, p.Who) {
			who = append(who, p.Who)
		}
		if !slices.Contains(roles, p.Role) {
			roles = append(roles, p.Role)
		}
	}
	if len(who) > 1 {
		who = []string{who[0] + " to " + who[len(who)-1]}
	}
	return cmp.Or(strings.Join(who, ""), "nobody") + ", alone or with " + strings.Join(roles, ", ")
}

// Over reports that nothing runs, and nothing will unless a person starts it.
func (c *Crew) Over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		a := c.down[p]
		if p.PID() != 0 || a == nil || !a.told || !a.again.IsZero() || a.killed {
			return false
		}
	}
	return len(c.all) > 0
}

// Down names the processes of a role that do not run.
func (c *Crew) Down(role string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		if p.Role == role && p.PID() == 0 {
			names = append(names, p.Name())
		}
	}
	return names
}
