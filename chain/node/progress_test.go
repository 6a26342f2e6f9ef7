// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"

	"github.com/assaynet/assay/internal/clock"
)

// chainSeen is a chain as a test has it seen, and the judgement of it.
type chainSeen struct {
	sight
	clock *clock.Clock
	*progress
}

func seen(s sight) *chainSeen {
	c := &chainSeen{sight: s, clock: clock.New(nil)}
	c.progress = newProgress(func() sight {
		return c.sight
	}, 10*time.Second, c.clock, log.NewNopLogger())
	c.tick()
	return c
}

// wait lets a node work for a while.
func (c *chainSeen) wait(d time.Duration) {
	for range d / time.Second {
		c.clock.Pass(time.Second)
		c.tick()
	}
}

func absentee(name string, power int64) absent {
	return absent{func() string { return name }, power}
}

var stopped = time.Date(2025, 11, 28, 14, 41, 55, 0, time.UTC)

// A chain that makes no blocks is said to stand still, with the cause and what helps, and whatever
// answers meanwhile.
// Holds spec H-18.
func TestAHaltedChainIsSaidWithItsCause(t *testing.T) {
	whole := sight{height: 45, at: stopped, peers: 3, total: 1000, validators: 4,
		voted: 4, seen: 1000}
	for name, c := range map[string]struct {
		change func(*sight)
		cause  string
		says   []string
	}{
		"power away": {func(s *sight) {
			s.voted, s.seen, s.peers, s.away = 2, 512, 1,
				[]absent{absentee("p3", 100), absentee("p4", 388)}
		}, causePower, []string{"no block since 2025-11-28 14:41:55 UTC", "a third of the power " +
			"or more is away", "2 of 4 validators are seen, with 51.2 % of the power",
			"away: p4 (38.8 %), p3 (10.0 %)", "goes on by itself"}},
		"exactly two thirds are not enough": {func(s *sight) {
			s.total, s.seen, s.voted = 999, 666, 3
		}, causePower, []string{"3 of 4 validators"}},
		"no peers": {func(s *sight) {
			s.peers, s.seen, s.voted = 0, 250, 1
		}, causePeers, []string{"this node has no peers", "persistent_peers"}},
		"behind": {func(s *sight) {
			s.sync, s.seen, s.voted, s.total = true, 0, 0, 0
		}, causeSync, []string{"behind the chain", "3 peers"}},
		"all there": {func(s *sight) {
			s.round = 7
		}, causeVotes, []string{"100.0 % of the power", "block 46 (round 7)"}},
		"alone": {func(s *sight) { s.peers = 0 }, causeVotes, nil},
		"never began": {func(s *sight) {
			s.height, s.at, s.peers, s.seen = 0, time.Time{}, 0, 0
		}, causePeers, []string{"no block yet"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole
			c.change(&s)
			seen := seen(s)
			seen.wait(9 * time.Second)
			if r := seen.report(); r.Cause != "" || r.Reason != "" {
				t.Errorf("after 9 s: %q", r.Reason)
			}
			seen.wait(3 * time.Second)
			r := seen.report()
			if r.Cause != c.cause {
				t.Errorf("cause %q, want %q (%s)", r.Cause, c.cause, r.Reason)
			}
			for _, part := range c.says {
				if !strings.Contains(r.Reason, part) {
					t.Errorf("%q does not say %q", r.Reason, part)
				}
			}
			seen.height++
			seen.tick()
			if r := seen.report(); r.Cause != "" {
				t.Errorf("with a block: %q", r.Reason)
			}
		})
	}
}

// A node that stood still has not waited for a block.
func TestANodeThatStoodStillBlamesNobody(t *testing.T) {
	now := clock.Reading{Wall: stopped}
	c := clock.New(func() clock.Reading { return now })
	p := newProgress(func() sight {
		return sight{height: 45, at: stopped, total: 3, seen: 1}
	}, 10*time.Second, c, log.NewNopLogger())
	pass := func(d time.Duration) {
		now.Wall, now.Mono = now.Wall.Add(d), now.Mono+d
		p.tick()
	}
	pass(time.Second)
	pass(9 * time.Second)
	pass(time.Hour)
	if r := p.report(); r.Cause != "" {
		t.Errorf("after an hour of standing still: %q", r.Reason)
	}
	for range 11 {
		pass(time.Second)
	}
	if r := p.report(); r.Cause == "" {
		t.Error("11 s without a block are not said")
	}
}
