// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
)

// Stopped is the reason of a machine that ended because it was asked to.
const Stopped = "stopped"

// Status is what a machine says about itself: the same in a terminal, over HTTP
// and as metrics. Figures with fractions are integers in thousandths.
type Status struct {
	Device string `json:"device"`
	Name   string `json:"name"`
	Key    string `json:"key"`
	Host   string `json:"host"`
	// State is connecting, asking (for a challenge), idle (the host has none),
	// computing, answering, paused (by the gate), unstable or ended.
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"` // why; always there when nothing is computed
	Until     string `json:"until,omitempty"`
	Next      string `json:"next,omitempty"` // what the owner can do about it
	Connected bool   `json:"connected"`

	Challenge *Progress `json:"challenge,omitempty"`

	Counts        // since the start of the program
	InAll  Counts `json:"in_all"` // with those of earlier starts
	// Missing is how many submissions wait for a receipt whose answer was lost.
	Missing uint64 `json:"missing_receipts"`
	// Proofs are the receipts that the host has not paid yet; nil before it was met.
	Proofs *Proofs `json:"proofs,omitempty"`
	// Still is why the host's chain makes no block, as its latest answer says; empty while it does.
	// Work goes on, and pay waits.
	Still string `json:"still,omitempty"`
	// LastReason is about the last submission that was not accepted.
	LastReason string `json:"last_reason,omitempty"`

	Loops1m  uint64 `json:"loops_per_s_1m_milli"`
	Loops15m uint64 `json:"loops_per_s_15m_milli"`
	// LoopsEpoch is since Epoch began, or since the start where Epoch is 0 or began
	// before it.
	Epoch         uint64 `json:"epoch,omitempty"`
	LoopsEpoch    uint64 `json:"loops_per_s_epoch_milli"`
	VerifiedRate  uint64 `json:"verified_gops_milli"` // a second, since the start
	Account       *Money `json:"account,omitempty"`
	LastReceipt   string `json:"last_receipt,omitempty"` // a file
	EvidenceSaved string `json:"evidence,omitempty"`     // a file, against the host
}

// Counts are what became of a device's work.
type Counts struct {
	Accepted uint64 `json:"accepted"`
	Late     uint64 `json:"late"`
	Faulty   uint64 `json:"faulty"`
	Rejected uint64 `json:"rejected"`
	Failed   uint64 `json:"failed"`  // not answered in time, by the host's clock
	Dropped  uint64 `json:"dropped"` // never committed

	SelfChecks       uint64 `json:"self_checks"` // loops computed twice
	FailedSelfChecks uint64 `json:"failed_self_checks"`
	Abstained        uint64 `json:"abstained"` // submissions, because of them

	Loops uint64 `json:"loops"`
	// VerifiedOps is in 10^6 operations: single ones of a fast device fill 64 bits
	// within hours.
	VerifiedOps uint64 `json:"verified_mops"`
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
	PayPerTebiop mpoc.Amount `json:"pay_per_tebiop"`
	UnlockAfter  uint32      `json:"unlock_after"`
	BanAfter     uint32      `json:"ban_after"`
	Forfeits     string      `json:"forfeits"`
}

func rulesOf(t mpoc.Terms) Rules {
	return Rules{t.PayPerTebiop, t.UnlockAfter, t.BanAfter, t.Forfeits}
}

// String says the rules in words.
func (r Rules) String() string {
	return fmt.Sprintf("%s for 2^40 operations, due after %d more clean submissions; a proven "+
		"cheat forfeits what is %s, %d of them ban the key", Coins(r.PayPerTebiop.Big()),
		r.UnlockAfter, r.Forfeits, r.BanAfter)
}

// Again is until when one waits for a chain that stands still.
const Again = "the chain makes blocks again"

// PayWaits says what it means for a machine that the chain makes no block, and why; empty without a
// reason.
func PayWaits(still string) string {
	if still == "" {
		return ""
	}
	return "pay waits until " + Again + ": " + still
}

// Unpaid says of a host that owes and transfers nothing why.
const Unpaid = "the host owes and does not pay: no paying account"

// Money is the account as the host shows it, in three words that mean the same
// everywhere. The sums never mix.
type Money struct {
	// Payout is the account on the chain that is paid; empty: the host owes, and
	// pays once one is named.
	Payout string `json:"payout"`
	// Estimated is for the submission that the host is looking at.
	Estimated mpoc.Amount `json:"estimated"`
	// Pending is earned and not paid yet.
	Pending mpoc.Amount `json:"pending"`
	// Locked is the part of Pending that fraud would lose: each submission's until
	// UnlockAfter more were clean. The rest waits for a transfer.
	Locked      mpoc.Amount `json:"pending_locked"`
	UnlockAfter uint32      `json:"unlock_after,omitempty"`
	// Settled was transferred on chain.
	Settled mpoc.Amount `json:"settled"`
	Strikes uint32      `json:"strikes"`
	Banned  bool        `json:"banned"`
	// Unpaid: the host says that it owes and transfers nothing.
	Unpaid bool `json:"unpaid,omitempty"`
	// AsOf is when the host showed this, by this machine's clock.
	AsOf string `json:"as_of,omitempty"`
}

func money(a mpocv1.Account, unlockAfter uint32) *Money {
	pending := new(big.Int).Add(a.Locked.Big(), a.Pending.Big())
	return &Money{
		Payout: a.Payout, Estimated: a.Estimated, Pending: mpoc.Amount(pending.String()),
		Locked: a.Locked, UnlockAfter: unlockAfter,
		Settled: a.Settled, Strikes: a.Strikes, Banned: a.Banned,
	}
}

// Working reports whether the device computes loops, or is between two challenges.
func (s Status) Working() bool {
	return s.State == "computing" || s.State == "answering" || s.State == "asking"
}

// Line is the status in a few words for a log.
func (s Status) Line() string {
	text := s.State
	if !s.Working() && s.Reason != "" {
		text += " (" + s.Reason + ")"
	}
	if s.Loops1m > 0 {
		text += fmt.Sprintf(", %d.%d loops/s", s.Loops1m/1000, s.Loops1m%1000/100)
	}
	text += fmt.Sprintf(", accepted %d", s.Accepted)
	for _, n := range []struct {
		what string
		n    uint64
	}{{"late", s.Late}, {"faulty", s.Faulty}, {"rejected", s.Rejected}, {"no answer", s.Failed},
		{"never committed", s.Dropped}, {"failed self-check", s.FailedSelfChecks},
		{"abstained", s.Abstained}, {"receipts missing", s.Missing}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %s %d", n.what, n.n)
		}
	}
	if waits := PayWaits(s.Still); waits != "" {
		text += ", " + waits
	}
	return text
}

// Snapshot returns the status. It is safe to call at any time.
func (m *Machine) Snapshot() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	s := m.status
	s.Still = m.client.standsStill()
	if p := s.Challenge; p != nil {
		copied := *p
		s.Challenge = &copied
	}
	s.Loops1m, s.Loops15m = m.loops.milli(now, 60), m.loops.milli(now, 900)
	if ms := uint64(now.Sub(m.started).Milliseconds()); !m.started.IsZero() && ms > 0 {
		s.VerifiedRate = s.VerifiedOps * 1000 / ms
	}
	if ms := uint64(now.Sub(m.epochBegan).Milliseconds()); !m.epochBegan.IsZero() && ms > 0 {
		s.LoopsEpoch = (s.Loops - m.epochLoops) * 1_000_000 / ms
	}
	return s
}

// Begin says that an epoch has begun: rates of the epoch are from here on.
func (m *Machine) Begin(epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Epoch, m.epochLoops, m.epochBegan = epoch, m.status.Loops, time.Now()
}

// count adds to both counts.
func (m *Machine) count(f func(*Counts)) {
	m.change(func(s *Status) {
		f(&s.Counts)
		f(&s.InAll)
	})
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
	reason, step := "", ""
	if e := (*mpocv1.Error)(nil); errors.As(trouble, &e) {
		reason, step = e.Message, e.NextStep
	} else if trouble != nil {
		reason, step = link.Explain(trouble, m.address.HostPort)
	}
	m.change(func(s *Status) {
		s.Connected = trouble == nil
		if trouble != nil {
			s.Reason, s.Next = reason, step
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
