// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"slices"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/poc/mpoc"
)

// Types of a machine's events.
const (
	Registered      = "registered"
	Begun           = "challenge"
	InProgress      = "progress"
	Commitment      = "committed"
	WasAccepted     = "accepted"
	WasLate         = "late"
	WasFaulty       = "faulty"
	WasRejected     = "rejected"
	NoAnswer        = "unanswered"
	WasDropped      = "dropped"
	ReceiptMissing  = "receipt_missing"
	TheRules        = "rules"
	SelfCheckFailed = "self_check_failed"
	HasAbstained    = "abstained"
	HostCheats      = "host_cheats"
	Paid            = "paid"
)

// Event is something that happened to a device's work for a pool.
type Event struct {
	Type   string `json:"type"`
	Reason string `json:"reason,omitempty"` // why
	Until  string `json:"until,omitempty"`
	Next   string `json:"next,omitempty"` // what the owner can do about it

	Challenge string `json:"challenge,omitempty"` // its id
	Shape     string `json:"shape,omitempty"`
	// computed, or in self_check_failed the one that differs
	Loops    uint64 `json:"loops,omitempty"`
	Expected uint64 `json:"expected,omitempty"`
	Deadline string `json:"deadline,omitempty"`
	// Ops were verified, Pay was earned by it, or was paid.
	Ops      uint64      `json:"verified_ops,omitempty"`
	Pay      mpoc.Amount `json:"pay,omitempty"` // acpc, decimal
	Receipt  string      `json:"receipt,omitempty"`
	TxHash   string      `json:"tx_hash,omitempty"` // of the transfer that paid
	Evidence string      `json:"evidence,omitempty"`
	Account  *Money      `json:"account,omitempty"`
}

// progressTime is the least time between two events of progress.
const progressTime = 10 * time.Second

// tell hands an event out, with what the challenge is that it is about; nil is none.
func (m *Machine) tell(c *challenge, e Event) {
	if m.c.Event == nil {
		return
	}
	if c != nil {
		e.Challenge, e.Shape = c.Terms.ChallengeID.String(), c.Terms.Shape.String()
		if e.Loops == 0 && e.Type != SelfCheckFailed {
			if e.Loops = c.Commit.Loops; e.Loops == 0 && c == m.current {
				e.Loops = uint64(len(m.digests))
			}
		}
	}
	m.c.Event(e)
}

// paid tells of the transfers that the account shows for the first time, the latest
// of which comes first in the list. What the first look shows is no news.
func (m *Machine) paid(first bool, list []mpocv1.Settlement, after *Money) {
	shown := make(map[string]bool, len(list))
	for _, s := range slices.Backward(list) {
		if shown[s.TxHash] = true; !first && !m.transfers[s.TxHash] {
			m.tell(nil, Event{Type: Paid, Pay: s.Amount, TxHash: s.TxHash, Account: after})
		}
	}
	m.transfers = shown
}
