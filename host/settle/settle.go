// SPDX-License-Identifier: Apache-2.0

// Package settle pays what the ledger says is due, by bank transfers on the
// chain, each exactly once.
//
// The order of things is the whole trick. A transaction is signed for one
// sequence number of the paying account and one timeout height, and written to
// the ledger with its bytes; only then does it leave the host. From there on
// [Settler.Step], called once a block, looks where it stands:
//
//	it is in a block             its entries are settled, with hash and height
//	it failed in a block         they are due again
//	not there yet                the same bytes are sent again
//	the timeout height is over,
//	and the account's sequence
//	has not passed it            it never can be: they are due again
//
// A node that does not find a transaction proves nothing: its index may be
// behind, or off. The sequence number does, being state: as long as it has
// passed the settlement's and the transaction is not found, the settler waits
// and says so, rather than pay twice. So nobody else may use the paying
// account; who does delays payment and cannot double it.
//
// A crash at any point repeats a step that has no second effect.
package settle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/assaynet/assay/host/ledger"
)

const (
	// timeoutBlocks is how long a transaction may wait for a block.
	timeoutBlocks = 20
	// most is how many transfers one transaction makes.
	most = 50
	// asideBlocks is how long a payment that the chain refused is not tried again.
	asideBlocks = 1000
)

// Tx is a transaction in a block.
type Tx struct {
	Height int64
	Code   uint32 // 0: it took effect
	Log    string
}

// Chain is what the settler needs of a node.
type Chain interface {
	// Balance is what the paying account holds.
	Balance(ctx context.Context) (ledger.Amount, error)
	// Account is where the paying account stands. A height asked for before is
	// at most the one this answer is of.
	Account(ctx context.Context) (number, sequence uint64, err error)
	// Fee is what a transaction with n transfers costs.
	Fee(n int) ledger.Amount
	// Sign makes the transaction; hash is what Find takes.
	Sign(ctx context.Context, payments []ledger.Payment, number, sequence uint64, timeout int64) (raw []byte, hash string, err error)
	// Send offers it to the network. A transaction that is known already is no error.
	Send(ctx context.Context, raw []byte) error
	// Find looks for it in the blocks.
	Find(ctx context.Context, hash string) (tx Tx, found bool, err error)
}

// Config is what a settler works with.
type Config struct {
	Ledger *ledger.Ledger
	Chain  Chain
	// Account is the paying account's address, for people.
	Account string
	// Least is the smallest amount that is transferred to one account; smaller
	// ones wait until they have grown.
	Least  ledger.Amount
	Logger *slog.Logger // optional
}

// Status is how payment stands.
type Status struct {
	Account string        `json:"account"`
	Balance ledger.Amount `json:"balance"`
	// Doing is waiting, paying or blocked; Reason says why.
	Doing  string `json:"doing"`
	Reason string `json:"reason,omitempty"`
	// Settlement is the one under way, Last the latest that is in a block.
	Settlement uint64 `json:"settlement,omitempty"`
	Last       string `json:"last_hash,omitempty"`
	Height     int64  `json:"last_height,omitempty"`
}

// Settler pays. Step is for one goroutine, Status for any.
type Settler struct {
	c   Config
	log *slog.Logger

	// After a settlement that was given up its payments go one at a time, until
	// the one that the chain refuses is found and set aside. These belong to Step.
	alone int
	aside map[ledger.Device]int64 // to the height until which

	mu     sync.Mutex
	status Status
}

// New returns a settler. What a crash left unfinished is taken up by the first step.
func New(c Config) *Settler {
	s := &Settler{c: c, log: c.Logger, aside: map[ledger.Device]int64{}, status: Status{Account: c.Account, Doing: "waiting", Reason: "nothing was looked at yet"}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Status returns how payment stands.
func (s *Settler) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Settler) say(doing, reason string, change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Doing, s.status.Reason = doing, reason
	if change != nil {
		change(&s.status)
	}
}

// Step does what is due at a height. An error means that the node or the
// ledger did not answer, and that nothing is decided; the next step tries again.
func (s *Settler) Step(ctx context.Context, height int64) error {
	open, found, err := s.c.Ledger.Unfinished()
	if err == nil {
		if found {
			err = s.follow(ctx, open, height)
		} else {
			err = s.begin(ctx, height)
		}
	}
	if err != nil {
		s.say("blocked", err.Error(), nil)
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

// follow looks where a settlement's transaction stands.
func (s *Settler) follow(ctx context.Context, open ledger.Settlement, height int64) error {
	// The account before the blocks: had the transaction entered one in between,
	// the sequence would be the old one, and Find is asked after it.
	_, sequence, err := s.c.Chain.Account(ctx)
	if err != nil {
		return err
	}
	tx, found, err := s.c.Chain.Find(ctx, open.Hash)
	if err != nil {
		return err
	}
	switch {
	case found && tx.Code == 0:
		if err := s.c.Ledger.Finish(open.Number, tx.Height, time.Now()); err != nil {
			return err
		}
		s.log.Info("paid", "settlement", open.Number, "tx", open.Hash, "height", tx.Height, "accounts", len(open.Payments))
		s.say("waiting", "", func(st *Status) { st.Settlement, st.Last, st.Height = 0, open.Hash, tx.Height })
		return nil
	case found:
		return s.giveUp(open, height, fmt.Sprintf("it failed at height %d: %s", tx.Height, tx.Log))
	case sequence > open.Sequence:
		s.say("blocked", fmt.Sprintf("account %s has used sequence %d, but the node does not find transaction %s: its index may be behind or off; nothing is paid until it does",
			s.c.Account, open.Sequence, open.Hash), nil)
		return nil
	case height > open.Timeout:
		return s.giveUp(open, height, fmt.Sprintf("it entered no block up to height %d", open.Timeout))
	}
	s.say("paying", fmt.Sprintf("settlement %d waits for a block", open.Number), func(st *Status) { st.Settlement = open.Number })
	return s.c.Chain.Send(ctx, open.Raw)
}

func (s *Settler) giveUp(open ledger.Settlement, height int64, reason string) error {
	if len(open.Payments) > 1 {
		s.alone = len(open.Payments)
	} else {
		s.aside[open.Payments[0].Device] = height + asideBlocks
		s.log.Warn("a payment is set aside", "key", open.Payments[0].Device.String(), "payout", open.Payments[0].Payout, "until", height+asideBlocks, "reason", reason)
	}
	s.log.Warn("a settlement is given up; its payments are due again", "settlement", open.Number, "tx", open.Hash, "reason", reason)
	s.say("waiting", fmt.Sprintf("settlement %d is given up: %s", open.Number, reason), func(st *Status) { st.Settlement = 0 })
	return s.c.Ledger.GiveUp(open.Number, reason)
}

// begin pays what is due, as far as the account reaches.
func (s *Settler) begin(ctx context.Context, height int64) error {
	for d, until := range s.aside {
		if height >= until {
			delete(s.aside, d)
		}
	}
	n := most
	if s.alone > 0 {
		n, s.alone = 1, s.alone-1
	}
	due, err := s.c.Ledger.Due(s.c.Least, n, func(d ledger.Device) bool { return s.aside[d] != 0 })
	if err != nil {
		return err
	}
	balance, err := s.c.Chain.Balance(ctx)
	if err != nil {
		return err
	}
	if len(due) == 0 {
		s.say("waiting", "nothing is due to a machine that named an account", func(st *Status) { st.Balance = balance })
		return nil
	}
	payments, total := due[:0:0], s.c.Chain.Fee(len(due))
	for _, p := range due {
		if sum := total.Add(p.Amount); sum.Cmp(balance) <= 0 {
			payments, total = append(payments, p), sum
		}
	}
	if len(payments) == 0 {
		s.say("blocked", fmt.Sprintf("account %s holds %sacpc, too little for what is due to %d machines; send it coins", s.c.Account, balance, len(due)),
			func(st *Status) { st.Balance = balance })
		return nil
	}
	number, sequence, err := s.c.Chain.Account(ctx)
	if err != nil {
		return err
	}
	timeout := height + timeoutBlocks
	raw, hash, err := s.c.Chain.Sign(ctx, payments, number, sequence, timeout)
	if err != nil {
		return err
	}
	begun, err := s.c.Ledger.Begin(ledger.Settlement{Payments: payments, Raw: raw, Hash: hash, Sequence: sequence, Timeout: timeout})
	if errors.Is(err, ledger.ErrSettlement) {
		return nil // something changed meanwhile; the next step looks anew
	} else if err != nil {
		return err
	}
	s.say("paying", fmt.Sprintf("settlement %d is sent", begun.Number), func(st *Status) { st.Settlement, st.Balance = begun.Number, balance })
	return s.c.Chain.Send(ctx, begun.Raw)
}
