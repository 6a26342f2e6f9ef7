// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"strings"
	"testing"
	"time"
)

// hand is a source that a test moves.
type hand struct{ Reading }

func (h *hand) source() Reading { return h.Reading }

// pass lets both clocks run.
func (h *hand) pass(d time.Duration) { h.Wall, h.Mono = h.Wall.Add(d), h.Mono+d }

// Lived time passes with the process's work and with nothing else.
// Holds spec H-10.
func TestLivedTime(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		happens func(*hand)
		lived   time.Duration
		says    string
	}{
		"a second of work": {func(h *hand) { h.pass(time.Second) }, time.Second, ""},
		"NTP slews": {func(h *hand) {
			h.pass(time.Second)
			h.Wall = h.Wall.Add(time.Millisecond)
		}, time.Second, ""},
		"set back by a year": {func(h *hand) {
			h.pass(time.Second)
			h.Wall = h.Wall.Add(-365 * day)
		}, time.Second, "set back by 8760h"},
		"set ahead by 31 days": {func(h *hand) {
			h.pass(time.Second)
			h.Wall = h.Wall.Add(31 * day)
		}, time.Second, "set ahead by 744h"},
		"a pause of 100 s": {func(h *hand) {
			h.pass(100 * time.Second)
		}, Pause, "stood still for 1m40s"},
		"sleep, as on Linux": {func(h *hand) { h.Wall = h.Wall.Add(8 * time.Hour) }, 0, "slept"},
		"sleep, as on Windows": {func(h *hand) {
			h.pass(8 * time.Hour)
		}, Pause, "stood still for 8h"},
		"a pause, and set back": {func(h *hand) {
			h.pass(time.Minute)
			h.Wall = h.Wall.Add(-day)
		}, Pause, "1m0s and the clock was set back by 24h"},
		"the longest honest tick": {func(h *hand) { h.pass(Pause) }, Pause, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hand{Reading{Wall: time.Unix(1_800_000_000, 0)}}
			clock := New(h.source)
			clock.Resume(5_000)
			c.happens(h)
			if behind := clock.Behind(); behind != (c.says != "") {
				t.Errorf("behind: %t", behind)
			}
			before := clock.Lived()
			g := clock.Tick()
			if after := clock.Lived(); after < before ||
				after != 5_000+uint64(c.lived.Milliseconds()) {
				t.Errorf("%d ms lived, %d before the tick; want %v more than 5 s",
					after, before, c.lived)
			}
			if g.Any() != (c.says != "") || !strings.Contains(g.String(), c.says) {
				t.Errorf("says %q, want %q", g, c.says)
			}
			if again := clock.Tick(); again.Any() {
				t.Errorf("said twice: %q", again)
			}
		})
	}
}

// A restart while the wall clock is wrong continues where the process was.
func TestRestartDuringAJump(t *testing.T) {
	h := &hand{Reading{Wall: time.Unix(1_800_000_000, 0)}}
	first := New(h.source)
	first.Resume(1_000)
	h.pass(time.Second)
	first.Tick()
	written := first.Lived()
	h.Wall, h.Mono = h.Wall.Add(-1000*time.Hour), 0 // another boot, another date
	second := New(h.source)
	second.Resume(written)
	if g := second.Tick(); g.Any() || second.Lived() != 2_000 {
		t.Errorf("%d ms lived, %q", second.Lived(), g)
	}
}

func TestPass(t *testing.T) {
	c := New(nil)
	wall, lived := c.Wall(), c.Lived()
	c.Pass(time.Hour)
	if c.Lived() < lived+3_600_000 || c.Wall().Sub(wall) < time.Hour || c.Tick().Any() {
		t.Error("an hour that passes is not lived, or is a gap")
	}
}
