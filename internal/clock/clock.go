// SPDX-License-Identifier: Apache-2.0

// Package clock measures deadlines in the time that a process lived through.
//
// A machine's wall clock is set: by a person, by NTP after a start without a battery, by a snapshot
// that was put back. A process stands still: stopped, swapped out, in front of a disk that does not
// answer, on a machine that sleeps. A deadline taken from the wall clock is then over although
// nobody had the time that it promised, or is never over. So one rule holds for all deadlines and
// ages:
//
//   - They are counted in lived time ([Clock.Lived]). It passes only while the process works, never
//     goes back, and goes on after a restart from where it was written down. Time in which the
//     process was not there, or stood still, does not count.
//   - The wall clock ([Clock.Wall]) gives dates that others are told. Nothing is judged or deleted
//     by it.
//   - Who keeps deadlines calls [Clock.Tick] at least once a second while it works. A [Gap] says
//     that the process stood still or that the wall clock was set. It is logged, and what is open
//     is given time again, because others could not reach the process or have to connect again.
//
// Linux stops the monotonic clock while the machine sleeps, Windows does not. In the first case
// sleep looks like a clock that was set ahead, in the second like a process that stood still.
// Neither counts as lived.
package clock

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// Pause is the longest time between two ticks of a process that works.
	Pause = 10 * time.Second
	// slack is how far the wall clock may run beside the monotonic one between two ticks. NTP slews
	// by less, and steps where it would take longer.
	slack = 2 * time.Second
)

// Reading is what the system's two clocks show.
type Reading struct {
	Wall time.Time     // date and time of day, which anyone may set
	Mono time.Duration // since some moment, never set
}

// Source reads the system's clocks.
type Source func() Reading

// System is the source of this process.
func System() Source {
	start := time.Now()
	return func() Reading {
		now := time.Now()
		return Reading{Wall: now.Round(0), Mono: now.Sub(start)}
	}
}

// Gap is what a tick found. Its zero value: time passed evenly.
type Gap struct {
	Stood time.Duration // the process stood still so long, 0 if it did not
	Set   time.Duration // the wall clock moved so far beside the time that passed; below 0: back
}

// Any reports whether there is anything to be said.
func (g Gap) Any() bool { return g != Gap{} }

// String says it as a part of a sentence.
func (g Gap) String() string {
	var parts []string
	if g.Stood > 0 {
		parts = append(parts, fmt.Sprintf("this process stood still for %v",
			g.Stood.Round(time.Second)))
	}
	switch {
	case g.Set > 0:
		parts = append(parts, fmt.Sprintf("the clock was set ahead by %v, or the machine slept",
			g.Set.Round(time.Second)))
	case g.Set < 0:
		parts = append(parts, fmt.Sprintf("the clock was set back by %v",
			-g.Set.Round(time.Second)))
	}
	return strings.Join(parts, " and ")
}

// Clock is safe for concurrent use.
type Clock struct {
	source Source

	mu    sync.Mutex
	shift time.Duration // by Pass
	last  Reading       // of the last tick
	lived time.Duration // until then
}

// New returns a clock on which no time was lived; nil is the system's source.
func New(source Source) *Clock {
	if source == nil {
		source = System()
	}
	c := &Clock{source: source}
	c.last = c.read()
	return c
}

// Resume goes on from a lived time that was written down, in milliseconds.
func (c *Clock) Resume(lived uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.lived = c.read(), time.Duration(lived)*time.Millisecond
}

// Wall is the date and the time of day.
func (c *Clock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read().Wall
}

// Lived is the lived time in milliseconds. Without ticks it stops after [Pause].
func (c *Clock) Lived() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64((c.lived + min(c.read().Mono-c.last.Mono, Pause)).Milliseconds())
}

// Behind reports that the next tick will find a gap, or that it is long due.
func (c *Clock) Behind() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return gap(c.last, c.read()).Any()
}

// Tick counts the time since the last tick as lived, up to [Pause], and says what was odd about it.
func (c *Clock) Tick() Gap {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.read()
	found := gap(c.last, now)
	c.lived += min(now.Mono-c.last.Mono, Pause)
	c.last = now
	return found
}

func gap(last, now Reading) (g Gap) {
	passed := now.Mono - last.Mono
	if passed > Pause {
		g.Stood = passed
	}
	if set := now.Wall.Sub(last.Wall) - passed; set > slack || set < -slack {
		g.Set = set
	}
	return g
}

// Pass lets time pass as if the process had worked through it; for tests.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.read()
	c.lived += min(now.Mono-c.last.Mono, Pause) + d
	c.shift += d
	c.last = c.read()
}

func (c *Clock) read() Reading {
	r := c.source()
	return Reading{Wall: r.Wall.Add(c.shift), Mono: r.Mono + c.shift}
}
