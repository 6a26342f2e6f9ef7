// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"fmt"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	poc "github.com/assaynet/assay/poc/mpoc"
)

// Status is what a machine says about itself: the same in a terminal, over HTTP
// and as metrics. Counts are since the start of the program. Figures with
// fractions are integers in thousandths.
type Status struct {
	Device string `json:"device"`
	Name   string `json:"name"`
	Key    string `json:"key"`
	Host   string `json:"host"`
	// State is connecting, idle, computing, answering, paused (by the gate),
	// unstable or ended.
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"` // why; always there when nothing is computed
	Until     string `json:"until,omitempty"`
	Next      string `json:"next,omitempty"` // what the owner can do about it
	Connected bool   `json:"connected"`

	Challenge *Progress `json:"challenge,omitempty"`

	Accepted uint64 `json:"accepted"`
	Late     uint64 `json:"late"`
	Faulty   uint64 `json:"faulty"`
	Rejected uint64 `json:"rejected"`
	Failed   uint64 `json:"failed"`  // not answered in time, by the host's clock
	Dropped  uint64 `json:"dropped"` // never committed
	// Missing is how many submissions wait for a receipt whose answer was lost.
	Missing uint64 `json:"missing_receipts"`
	// LastReason is about the last submission that was not accepted.
	LastReason string `json:"last_reason,omitempty"`

	SelfChecks       uint64 `json:"self_checks"` // loops computed twice
	FailedSelfChecks uint64 `json:"failed_self_checks"`
	Abstained        uint64 `json:"abstained"` // submissions, because of them

	Loops         uint64 `json:"loops"`
	Loops1m       uint64 `json:"loops_per_s_1m_milli"`
	Loops15m      uint64 `json:"loops_per_s_15m_milli"`
	LoopsStart    uint64 `json:"loops_per_s_milli"` // since the start
	VerifiedOps   uint64 `json:"verified_ops"`
	VerifiedMOPS  uint64 `json:"verified_gops_milli"` // since the start
	Account       *Money `json:"account,omitempty"`
	LastReceipt   string `json:"last_receipt,omitempty"` // a file
	EvidenceSaved string `json:"evidence,omitempty"`     // a file, against the host
}

// Progress of the challenge at hand.
type Progress struct {
	ID       string `json:"id"`
	Phase    Phase  `json:"phase"`
	Shape    string `json:"shape"`
	Loops    uint64 `json:"loops"`
	Expected uint64 `json:"expected"` // at the end, going on like this
	Deadline string `json:"deadline"` // for what comes next, by the host's clock
	Rules    Rules  `json:"rules"`    // of its pay, as the host signed them
}

// Rules are what the terms say of a submission's pay (poc/mpoc.Terms).
type Rules struct {
	PayPerTebiop poc.Amount `json:"pay_per_tebiop"`
	UnlockAfter  uint32     `json:"unlock_after"`
	BanAfter     uint32     `json:"ban_after"`
	Forfeits     string     `json:"forfeits"`
}

func rulesOf(t poc.Terms) Rules {
	return Rules{t.PayPerTebiop, t.UnlockAfter, t.BanAfter, t.Forfeits}
}

// String says the rules in words.
func (r Rules) String() string {
	return fmt.Sprintf("%s acpc for 2^40 operations, due after %d more clean submissions; a proven cheat forfeits what is %s, %d of them ban the key", r.PayPerTebiop, r.UnlockAfter, r.Forfeits, r.BanAfter)
}

// Money is the account as the host shows it. The sums never mix.
type Money struct {
	Estimated poc.Amount `json:"estimated"`
	Locked    poc.Amount `json:"locked"`
	Pending   poc.Amount `json:"pending"`
	Settled   poc.Amount `json:"settled"`
	Strikes   uint32     `json:"strikes"`
	Banned    bool       `json:"banned"`
}

func money(a mpocv1.Account) *Money {
	return &Money{a.Estimated, a.Locked, a.Pending, a.Settled, a.Strikes, a.Banned}
}

// Line is the status in a few words for a log.
func (s Status) Line() string {
	text := s.State
	if s.State == "idle" || s.State == "ended" || s.State == "unstable" {
		text += " (" + s.Reason + ")"
	}
	text += fmt.Sprintf(", accepted %d", s.Accepted)
	for _, n := range []struct {
		what string
		n    uint64
	}{{"late", s.Late}, {"faulty", s.Faulty}, {"rejected", s.Rejected}, {"no answer", s.Failed}, {"abstained", s.Abstained}, {"receipts missing", s.Missing}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %s %d", n.what, n.n)
		}
	}
	if s.LastReason != "" {
		text += ", last: " + s.LastReason
	}
	if a := s.Account; a != nil {
		text += fmt.Sprintf(", acpc estimated %s, locked %s, pending %s, settled %s", a.Estimated, a.Locked, a.Pending, a.Settled)
	}
	return text
}

// Snapshot returns the status. It is safe to call at any time.
func (m *Machine) Snapshot() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	s := m.status
	if p := s.Challenge; p != nil {
		copied := *p
		s.Challenge = &copied
	}
	s.Loops1m, s.Loops15m = m.loops.milli(now, 60), m.loops.milli(now, 900)
	if ms := uint64(now.Sub(m.started).Milliseconds()); !m.started.IsZero() && ms > 0 {
		s.LoopsStart = s.Loops * 1_000_000 / ms
		s.VerifiedMOPS = s.VerifiedOps / 1000 / ms
	}
	return s
}

// change edits the status.
func (m *Machine) change(f func(*Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.status)
}

// is sets the state and why.
func (m *Machine) is(state, reason, until, next string) {
	m.change(func(s *Status) { s.State, s.Reason, s.Until, s.Next = state, reason, until, next })
}

// connected notes whether the last request was answered.
func (m *Machine) connected(trouble error) {
	m.change(func(s *Status) {
		s.Connected = trouble == nil
		if trouble != nil {
			s.Reason, s.Next = trouble.Error(), next(trouble)
		}
	})
	if trouble != nil {
		m.log.Info("trying again", "host", m.address.HostPort, "reason", trouble)
	}
}

// clock shows a time of the host's clock.
func clock(ms uint64) string { return time.UnixMilli(int64(ms)).UTC().Format(time.RFC3339) }

// meter counts in one-second slots over the last 15 minutes.
type meter struct {
	slots [900]struct {
		second int64
		n      uint64
	}
	since int64
}

func (r *meter) add(now time.Time, n uint64) {
	second := now.Unix()
	if r.since == 0 {
		r.since = second
	}
	slot := &r.slots[second%900]
	if slot.second != second {
		slot.second, slot.n = second, 0
	}
	slot.n += n
}

// milli is the count per 1,000 seconds over the last span, or since counting
// began.
func (r *meter) milli(now time.Time, span int64) uint64 {
	second := now.Unix()
	sum := uint64(0)
	for _, s := range r.slots {
		if s.second > second-span && s.second <= second {
			sum += s.n
		}
	}
	return sum * 1000 / uint64(max(1, min(span, second-r.since+1)))
}
