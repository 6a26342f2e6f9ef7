// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/worker/runner"
)

// status is snapshot for who does not hold desk.mu.
func (m *machine) status(now time.Time) Status {
	m.desk.mu.Lock()
	defer m.desk.mu.Unlock()
	return m.snapshot(now)
}

// snapshot derives the status from the machine. The caller holds desk.mu.
func (m *machine) snapshot(now time.Time) Status {
	d, n := m.desk, m.session
	o := d.order
	s := Status{
		Until: d.ends, Next: n.next,
		Host: n.address.HostPort, Connected: n.welcome != nil, Trouble: n.trouble,
		Payout: m.config.Payout,
		Key:    hex.EncodeToString(n.key.Public().(ed25519.PublicKey)), Engine: d.engines(),
		Epoch: o.Epoch, Segment: o.segment, Class: o.Model.Class.Name,
		Computed: d.backlog.end(), Stored: d.backlog.base, Reruns: d.reruns,
	}
	if w := n.welcome; w != nil {
		s.Chain, s.Participant, s.Node = w.Chain, w.Participant, w.Node
	}
	if !d.paused.IsZero() {
		s.Paused = d.paused.UTC().Format(time.RFC3339)
	}
	var all, live []runner.State // of devices, and of those in use
	first := ""                  // of the latter
	for _, b := range d.places {
		row, at := b.row(now)
		all = append(all, at)
		if b.out == "" {
			live, first = append(live, at), cmp.Or(first, b.ID)
		}
		if p := row.Pool; p != nil {
			s.Connected = s.Connected || n.answered && p.Connected
			s.Earnings = s.Earnings.Plus(p.Account)
		}
		s.Rate1m += row.Rate1m
		s.Devices = append(s.Devices, row)
	}
	build := fastest(live)
	s.BuildDone, s.BuildTotal, s.LoadMS = build.Done, build.Total, uint64(build.Took.Milliseconds())
	each := func(is func(runner.State) bool) bool {
		return len(live) > 0 && !slices.ContainsFunc(live,
			func(at runner.State) bool { return !is(at) })
	}
	if n.stranger {
		s.Trouble = m.untaken(s)
	}
	switch {
	case d.testing:
		s.State, s.Reason = "testing", "comparing the engines with published answers"
	case len(live) == 0:
		s.State, s.Reason = "faulted", "no device is left to compute with"
	case !d.paused.IsZero():
		s.State, s.Reason, s.Until, s.Next = "paused", d.ownerPaused(), ownerResumes,
			"assay-worker resume --home "+m.config.Home
	case each(func(at runner.State) bool { return at.Fault != "" }):
		s.State, s.Reason = "faulted", live[0].Fault
	case each(func(at runner.State) bool { return at.TooHot != "" }):
		s.State, s.Reason, s.Until = "paused", live[0].TooHot, live[0].Until
	case each(func(at runner.State) bool { return at.Halted != "" }):
		s.State, s.Reason, s.Until = "paused", first+": "+live[0].Halted, live[0].Until
	case slices.ContainsFunc(live, func(at runner.State) bool { return at.Rerunning }):
		s.State = "rerunning"
	case o.idle() && n.welcome == nil:
		m.away(&s)
	case o.idle():
		s.State, s.Reason = "idle", o.reason
		if s.proves() {
			s.State = "mining"
		}
	case !build.Built:
		s.State, s.Reason = "building", "the epoch's model is being built"
	case o.segment == 0 && n.welcome == nil:
		m.away(&s)
	case o.segment == 0:
		s.State, s.Reason = "ready", "waiting for the segment to open"
	default:
		s.State = "computing"
		if s.Computed-s.Stored >= maxUnacked {
			s.Reason = fmt.Sprintf("paused: the host has not stored the last %d units", maxUnacked)
		} else if !s.Connected {
			s.Reason = "the host is away: " + n.trouble
		}
		s.Reason = n.waits(s.Reason)
	}
	for i, b := range d.places {
		b.describe(&s.Devices[i], all[i], s)
	}
	return s
}

// untaken is what keeps a machine that the Sprint does not know from its pool,
// which is no trouble while it registers there. The caller holds desk.mu.
func (m *machine) untaken(s Status) string {
	if s.Connected {
		return ""
	}
	for _, d := range s.Devices {
		if p := d.Pool; p != nil {
			if p.Next == "" { // it is under way
				return ""
			}
			return p.Reason
		}
	}
	if _, poolless := m.asked(); m.config.NoPool || poolless {
		return m.session.trouble
	}
	return ""
}

// away is what a worker does that the Sprint has no session with. The caller
// holds desk.mu.
func (m *machine) away(s *Status) {
	s.Until = ""
	allow := "ask the host's owner to run: assay host allow " + s.Key
	asked, poolless := m.asked()
	n := m.session
	switch {
	case !n.stranger && n.trouble == "":
		s.State, s.Reason = "connecting", "dialling the host"
	case !n.stranger:
		s.State, s.Reason = "connecting", n.trouble
	case m.config.NoPool:
		s.State, s.Reason, s.Next = "registering", "the host does not know this machine's key",
			allow
	case s.proves():
		s.State, s.Next = "mining", ""
		s.Reason = "the host takes machines of its pool into its Sprints after their first " +
			"accepted proof, while it has room"
	case asked:
		s.State, s.Reason, s.Next = "registering", "with the host's pool", ""
	case poolless:
		s.State, s.Reason, s.Next = "registering",
			"the host does not know this machine's key, and has no pool that takes any machine",
			allow
	default:
		s.State, s.Reason, s.Next = "registering", "asking the host whether it has a pool", ""
	}
}

// asked reports whether the host has a pool for one of the devices, and whether it said that it has
// none.
func (m *machine) asked() (pool, none bool) {
	for _, b := range m.desk.places {
		p, no := b.loops.asked()
		pool, none = pool || p, none || no
	}
	return pool, none
}

// fastest is the build that is furthest on.
func fastest(live []runner.State) (first runner.Progress) {
	for _, at := range live {
		if p := at.Build; p.Built && !first.Built || p.Built == first.Built && p.Done > first.Done {
			first = p
		}
	}
	return first
}

// wireStatus is the snapshot as the host gets it.
func (m *machine) wireStatus(now time.Time) *workerv1.Status {
	s := m.snapshot(now)
	state, ok := workerv1.State_value["STATE_"+strings.ToUpper(s.State)]
	if !ok {
		state = int32(workerv1.State_STATE_IDLE)
	}
	return &workerv1.Status{
		State: workerv1.State(state), Reason: workerv1.Clip(s.Reason, workerv1.MaxText),
		Until: s.Until,
		Epoch: s.Epoch, Segment: s.Segment, Rate_1MMilli: s.Rate1m, Computed: s.Computed,
		BuildDone: s.BuildDone, BuildTotal: s.BuildTotal,
	}
}

// report hands the status out on every change, and once a minute, and tells what
// happened.
func (m *machine) report(ctx context.Context) {
	if m.config.Status == nil && m.config.Event == nil {
		return
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	last := ""
	for minute := false; ; {
		s := m.status(time.Now())
		if gist := s.gist(); minute || gist != last {
			last = gist
			if m.config.Status != nil {
				m.config.Status(s)
			}
			m.teller.follow(minute)
			pace := time.NewTimer(statusPace)
			select {
			case <-ctx.Done():
			case <-pace.C:
			}
			pace.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-m.desk.reportWake:
			minute = false
		case <-tick.C:
			minute = true
		}
	}
}
