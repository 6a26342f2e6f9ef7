// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"cmp"
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
	// most is how many transfers one transaction makes: as many as its memo names.
	most = 50
	// asideBlocks is how long a payment that the chain refused is not tried again.
	asideBlocks = 1000
	// readBlocks is how many blocks one step reads to find what the ledger lacks.
	readBlocks = 500
	// seenBlocks is after how many heights it is written down that ledger and chain agree.
	seenBlocks = 100
)

// Tx is a transaction of the paying account in a block.
type Tx struct {
	Hash     string
	Height   int64
	Sequence uint64
	Code     uint32 // 0: it took effect
	Log      string
	Memo     string
	To       []Transfer
}

// Transfer is one payment of it.
type Transfer struct {
	Payout string
	Amount ledger.Amount
}

// ErrGone reports a block that the node does not have any longer.
var ErrGone = errors.New("settle: the node does not have that block")

// Chain is what the settler needs of a node.
type Chain interface {
	// Balance is what the paying account holds.
	Balance(ctx context.Context) (ledger.Amount, error)
	// Account is where the paying account stands. A height asked for before is
	// at most the one this answer is of.
	Account(ctx context.Context) (number, sequence uint64, err error)
	// Fee is what a transaction of so many transfers costs.
	Fee(transfers int) ledger.Amount
	// Sign returns a transaction and its hash.
	Sign(ctx context.Context, memo string, payments []ledger.Payment, number, sequence uint64,
		timeout int64) (raw []byte, hash string, err error)
	// Send offers it to the node's mempool.
	Send(ctx context.Context, raw []byte) error
	// Block lists what an account signed in a committed block and used a number of it
	// for. Errors wrap ErrGone.
	Block(ctx context.Context, account string, height int64) ([]Tx, error)
}

// Config is what a settler works with.
type Config struct {
	Ledger *ledger.Ledger
	Chain  Chain
	// Account is the paying account's address.
	Account string
	// Least is the smallest amount that is transferred; smaller ones wait until they
	// have grown.
	Least  ledger.Amount
	Logger *slog.Logger // optional
}

// Status is how payment stands.
type Status struct {
	Account string        `json:"account"`
	Balance ledger.Amount `json:"balance"`
	// Doing is waiting, paying, blocked or stopped; Reason says why. What is stopped
	// goes on when a person has looked at it.
	Doing  string `json:"doing"`
	Reason string `json:"reason,omitempty"`
	// Ledger and Next are the ledger's id and the number of its next settlement.
	Ledger string `json:"ledger,omitempty"`
	Next   uint64 `json:"next,omitempty"`
	// Settlement is the one under way, Last the latest that is in a block.
	Settlement uint64 `json:"settlement,omitempty"`
	Last       string `json:"last_hash,omitempty"`
	Height     int64  `json:"last_height,omitempty"`
	// Plan is there while payment is stopped, and complete or not.
	Plan *Plan `json:"plan,omitempty"`
}

// Settler pays. Step is for one goroutine, the other methods for any.
type Settler struct {
	c   Config
	log *slog.Logger

	// After a settlement that failed its payments go one at a time, until the one
	// that the chain refuses is found and put off. It belongs to Step.
	alone int

	mu     sync.Mutex
	status Status
	plan   *Plan
	agreed string // digest of the plan that a person agreed to
	became string // what is said of its open settlement
}

// New returns a settler. What a crash left unfinished is taken up by the first step.
func New(c Config) *Settler {
	s := &Settler{c: c, log: c.Logger, status: Status{Account: c.Account, Doing: "waiting",
		Reason: "nothing was checked yet"}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Status returns how payment stands.
func (s *Settler) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	if s.plan != nil {
		st.Plan = s.plan.clone()
	}
	return st
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
	err := s.step(ctx, height)
	if err != nil {
		s.say("blocked", err.Error(), nil)
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

func (s *Settler) step(ctx context.Context, height int64) error {
	// The account before the blocks: had a transaction entered one in between, the
	// sequence would be the old one, and the blocks are asked after it.
	number, sequence, err := s.c.Chain.Account(ctx)
	if err != nil {
		return err
	}
	open, found, err := s.c.Ledger.Unfinished()
	if err != nil {
		return err
	}
	books, err := s.c.Ledger.Books()
	if err != nil {
		return err
	}
	if found {
		return s.follow(ctx, open, cmp.Or(books.Account, s.c.Account), sequence, height)
	}
	if agrees, err := s.compare(ctx, books, sequence, height); err != nil || !agrees {
		return err
	}
	return s.begin(ctx, books, number, sequence, height)
}

// compare holds the ledger against the chain; where they differ it reads on.
func (s *Settler) compare(ctx context.Context, b ledger.Books, sequence uint64,
	height int64) (agrees bool, err error) {
	switch {
	case b.Account == s.c.Account && b.Sequence == sequence:
	case b.Account == "" && b.Height == 0 && sequence == 0: // neither has paid anything
		return true, s.c.Ledger.Follow(s.c.Account, 0, height)
	case b.Account == "" && b.Height > 0 && b.Sequence == sequence:
		// a ledger of before accounts were named
		return true, s.c.Ledger.Follow(s.c.Account, sequence, height)
	case b.Account == s.c.Account && b.Sequence > sequence:
		s.stop(nil)
		s.say("blocked", fmt.Sprintf("account %s has made %d transactions on the chain that the "+
			"node shows, and the ledger knows of %d: the node is behind, or follows another "+
			"chain of that name; nothing is paid", s.c.Account, sequence, b.Sequence), nil)
		return false, nil
	default:
		return false, s.differ(ctx, b, sequence, height)
	}
	s.stop(nil)
	if height >= b.Height+seenBlocks {
		return true, s.c.Ledger.Seen(height)
	}
	return true, nil
}

// follow looks where a settlement's transaction stands, by an account's number and the
// blocks; by these alone where the account is no longer the one that the host pays from.
func (s *Settler) follow(ctx context.Context, open ledger.Settlement, account string,
	sequence uint64, height int64) error {
	former := account != s.c.Account
	if !former && sequence <= open.Sequence {
		if height >= open.Timeout { // the next block is above it
			return s.giveUp(open, height, 0,
				fmt.Sprintf("it entered no block up to height %d", open.Timeout))
		}
		s.say("paying", fmt.Sprintf("settlement %d waits for a block", open.Number),
			func(st *Status) { st.Settlement = open.Number })
		return s.c.Chain.Send(ctx, open.Raw)
	}
	for h := max(1, open.Timeout-timeoutBlocks); h <= min(open.Timeout, height); h++ {
		list, err := s.c.Chain.Block(ctx, account, h)
		if errors.Is(err, ErrGone) {
			return s.unknown(open, sequence, height, h)
		} else if err != nil {
			return err
		}
		for _, tx := range list {
			if tx.Hash != open.Hash {
				continue
			}
			if tx.Code != 0 {
				return s.giveUp(open, height, h,
					fmt.Sprintf("it failed at height %d: %s", h, tx.Log))
			}
			if err := s.c.Ledger.Finish(open.Number, h, time.Now()); err != nil {
				return err
			}
			s.log.Info("paid", "settlement", open.Number, "tx", open.Hash, "height", h, "accounts",
				len(open.Payments))
			s.say("waiting", "", func(st *Status) {
				st.Settlement, st.Last, st.Height = 0, open.Hash, h
			})
			return nil
		}
	}
	// the account may be newer than the height, and the block after it hold it
	if height < open.Timeout {
		s.say("paying", fmt.Sprintf("settlement %d is looked for in blocks up to %d", open.Number,
			open.Timeout), func(st *Status) { st.Settlement = open.Number })
		if former {
			return s.c.Chain.Send(ctx, open.Raw)
		}
		return nil
	}
	// Its number is used by another transaction. What that was is found out before
	// anything else is paid.
	return s.giveUp(open, height, 0, fmt.Sprintf("no block up to height %d holds it, or "+
		"transaction %d of account %s is another one", open.Timeout, open.Sequence, account))
}

// giveUp makes due again what can no longer be paid by a transaction. Only a
// failure in a block says something about whom it paid; a full mempool does not.
func (s *Settler) giveUp(open ledger.Settlement, height, failed int64, reason string) error {
	s.log.Warn("a settlement is given up; its payments are due again", "settlement", open.Number,
		"tx", open.Hash, "reason", reason)
	s.say("waiting", fmt.Sprintf("settlement %d is given up: %s", open.Number, reason),
		func(st *Status) { st.Settlement = 0 })
	if err := s.c.Ledger.GiveUp(open.Number, failed, reason); err != nil || failed == 0 {
		return err
	}
	if len(open.Payments) > 1 {
		s.alone = len(open.Payments)
		return nil
	}
	p := open.Payments[0]
	s.log.Warn("a payment is put off", "key", p.Device.String(), "payout", p.Payout, "until",
		height+asideBlocks, "reason", reason)
	return s.c.Ledger.Refuse(p.Device, height+asideBlocks, reason)
}

// begin pays what is due, as far as the account reaches, who waits longest first.
func (s *Settler) begin(ctx context.Context, books ledger.Books, number, sequence uint64,
	height int64) error {
	if err := s.c.Ledger.Retry(height); err != nil {
		return err
	}
	n := most
	if s.alone > 0 {
		n, s.alone = 1, s.alone-1
	}
	due, err := s.c.Ledger.Payable(n)
	if err != nil {
		return err
	}
	balance, err := s.c.Chain.Balance(ctx)
	if err != nil {
		return err
	}
	next, err := s.c.Ledger.Next()
	if err != nil {
		return err
	}
	about := func(st *Status) { st.Balance, st.Ledger, st.Next = balance, books.ID, next }
	if len(due) == 0 {
		s.say("waiting", "nothing is due to a machine that named an account", about)
		return nil
	}
	payments := s.afford(due, balance)
	if len(payments) == 0 {
		s.say("blocked", fmt.Sprintf("account %s holds %sacpc, too little for what is due to %d "+
			"machines; send it coins", s.c.Account, balance, len(due)), about)
		return nil
	}
	timeout := height + timeoutBlocks
	raw, hash, err := s.c.Chain.Sign(ctx, memo(books.ID, next, payments), payments,
		number, sequence, timeout)
	if err != nil {
		return err
	}
	begun, err := s.c.Ledger.Begin(ledger.Settlement{Number: next, Payments: payments, Raw: raw,
		Hash: hash, Sequence: sequence, Timeout: timeout})
	if errors.Is(err, ledger.ErrSettlement) {
		return nil // something changed meanwhile; the next step looks again
	} else if err != nil {
		return err
	}
	s.say("paying", fmt.Sprintf("settlement %d is sent", begun.Number),
		func(st *Status) { about(st); st.Settlement = begun.Number })
	return s.c.Chain.Send(ctx, begun.Raw)
}

// afford is as many of the payments, in their order, as the balance pays for with
// the fee; the last one in part.
func (s *Settler) afford(due []ledger.Payment, balance ledger.Amount) []ledger.Payment {
	var list []ledger.Payment
	left, enough := balance.Less(s.c.Chain.Fee(len(due)))
	if !enough {
		return nil
	}
	for _, p := range due {
		rest, enough := left.Less(p.Amount)
		if enough {
			list, left = append(list, p), rest
			continue
		}
		if p.Amount = left; !left.IsZero() && left.Cmp(s.c.Least) >= 0 {
			list = append(list, p)
		}
		break
	}
	return list
}
