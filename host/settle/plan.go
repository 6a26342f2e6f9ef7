// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assaynet/assay/host/ledger"
)

// Plan is how the ledger would be brought in step with the chain.
type Plan struct {
	// Expected is the number that the ledger wants for the account's next
	// transaction, Sequence the one that the chain wants.
	Expected uint64 `json:"expected"`
	Sequence uint64 `json:"sequence"`
	// From and To are the heights whose blocks are read; Read is how far that has come.
	From int64 `json:"from"`
	Read int64 `json:"read"`
	To   int64 `json:"to"`
	// Found are the account's transactions in between, in order.
	Found []ledger.Paid `json:"found"`
	// Missing says that some were not found, and why.
	Missing string `json:"missing,omitempty"`
	// Open is the settlement that waits for a block which the node does not have, and Hash its
	// transaction; 0 for none. A person says then what became of it, [Paid] or [Unpaid].
	Open uint64 `json:"open,omitempty"`
	Hash string `json:"hash,omitempty"`
	// Why says in a sentence what is the matter.
	Why string `json:"why"`
	// Ready is set when it can be entered; Digest names it then.
	Ready  bool   `json:"ready"`
	Digest string `json:"digest,omitempty"`

	until int64 // the height up to which blocks are waited for that hold what is missing
}

func (p *Plan) clone() *Plan {
	c := *p
	c.Found = slices.Clone(p.Found)
	return &c
}

// ErrPlan reports a plan that cannot be entered.
var ErrPlan = errors.New("settle: invalid plan")

// What a person says of an open settlement whose blocks are gone: that its transaction paid, or
// that it paid nothing and is due again.
const (
	Paid   = "paid"
	Unpaid = "unpaid"
)

// Resolve agrees to the plan of a digest: the next step enters it. became is what is said of the
// plan's open settlement, and empty where it has none. Errors wrap ErrPlan.
func (s *Settler) Resolve(digest, became string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.plan == nil:
		return fmt.Errorf("%w: ledger and chain agree; there is nothing to resolve", ErrPlan)
	case !s.plan.Ready:
		return fmt.Errorf("%w: the blocks are still being read, up to %d of %d", ErrPlan,
			s.plan.Read, s.plan.To)
	case s.plan.Digest != digest:
		return fmt.Errorf("%w: it has changed meanwhile; look at it again", ErrPlan)
	case s.plan.Open == 0 && became != "":
		return fmt.Errorf("%w: no settlement is open; leave --%s out", ErrPlan, became)
	case s.plan.Open != 0 && became != Paid && became != Unpaid:
		return fmt.Errorf("%w: look transaction %s up at a node that has those blocks, and say "+
			"--%s or --%s", ErrPlan, s.plan.Hash, Paid, Unpaid)
	}
	s.agreed, s.became = digest, became
	return nil
}

// stop keeps a plan, or none.
func (s *Settler) stop(p *Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = p
	if p == nil {
		s.agreed = ""
	}
}

func (s *Settler) current() (p *Plan, agreed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan == nil {
		return nil, false
	}
	return s.plan.clone(), s.plan.Ready && s.agreed == s.plan.Digest && s.agreed != ""
}

// differ works on what the ledger lacks: it reads the blocks since they last
// agreed, some at a time, and enters what they hold when a person has agreed.
func (s *Settler) differ(ctx context.Context, b ledger.Books, sequence uint64, height int64) error {
	p, agreed := s.current()
	if p == nil || p.Open != 0 || p.Expected != b.Sequence || p.Sequence != sequence {
		agreed = false             // that was to another plan, of which a part may be entered
		read := max(b.Height-1, 0) // the block in which they agreed may hold more
		p = &Plan{Expected: b.Sequence, Sequence: sequence, From: read + 1, Read: read, To: height,
			Why: s.why(b, sequence), until: height + timeoutBlocks}
		if b.Account != s.c.Account { // nothing says where to begin
			p.From, p.Read = height+1, height
			p.Missing = "this ledger has never been held against that account; what the account " +
				"paid before is not looked for"
		}
		s.log.Error("payment is stopped", "err", p.Why, "next", "assay host payments")
	}
	if agreed && p.Ready {
		return s.enter(p, height)
	}
	if err := s.read(ctx, p, b); err != nil {
		s.stop(p)
		return err
	}
	found, wanted := uint64(len(p.Found)), p.Sequence-min(p.Sequence, p.Expected)
	// the account may be newer than the height
	if p.Missing == "" && found < wanted && p.To < p.until {
		p.To = max(p.To, min(height, p.until))
	}
	if p.Read >= p.To && !p.Ready && (found >= wanted || p.Missing != "" || p.To >= p.until) {
		if p.Missing == "" && found < wanted {
			p.Missing = fmt.Sprintf("the blocks hold %d of %d transactions", found, wanted)
		}
		if err := p.ready(); err != nil {
			return err
		}
	}
	s.stop(p)
	next := fmt.Sprintf("blocks are read, %d of %d", p.Read-p.From+1, p.To-p.From+1)
	if p.Ready {
		next = "assay host payments shows what was found, and resolves it"
	}
	s.say("stopped", p.Why+"; "+next, nil)
	return nil
}

// ready ends a plan and names it.
func (p *Plan) ready() error {
	p.Ready, p.Digest = true, ""
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	p.Digest = hex.EncodeToString(sum[:8])
	return nil
}

// unknown is an open settlement of which the node does not have block gone, which may hold it. A
// node that has it may be named at any time; else a person says what became of it.
func (s *Settler) unknown(open ledger.Settlement, sequence uint64, height, gone int64) error {
	if p, agreed := s.current(); agreed && p.Open == open.Number {
		s.mu.Lock()
		became := s.became
		s.mu.Unlock()
		s.stop(nil)
		s.log.Warn("what became of a settlement was said by its owner", "settlement", open.Number,
			"tx", open.Hash, "became", became)
		if became == Paid {
			return s.c.Ledger.Finish(open.Number, open.Timeout, time.Now())
		}
		return s.giveUp(open, height, 0, "its owner said that it paid nothing")
	}
	from := open.Timeout - timeoutBlocks
	p := &Plan{
		Expected: open.Sequence, Sequence: sequence, From: from, Read: from - 1, To: open.Timeout,
		Open: open.Number, Hash: open.Hash,
		Why: fmt.Sprintf("settlement %d is in a block from %d to %d or never will be, and the "+
			"node does not have block %d; name a node in host.toml (grpc) that does",
			open.Number, from, open.Timeout, gone),
	}
	if err := p.ready(); err != nil {
		return err
	}
	s.stop(p)
	s.say("stopped", p.Why+", or say what became of it: assay host payments", nil)
	return nil
}

func (s *Settler) why(b ledger.Books, sequence uint64) string {
	switch {
	case b.Account == "":
		return fmt.Sprintf("the paying account %s has made %d transactions, and this ledger has "+
			"paid nothing yet", s.c.Account, sequence)
	case b.Account != s.c.Account:
		return fmt.Sprintf("this ledger has paid from account %s, and host.toml names a key of "+
			"account %s", b.Account, s.c.Account)
	}
	return fmt.Sprintf("the paying account %s has made %d transactions that this ledger does not "+
		"know: the ledger is an older copy, or something else pays from that account", s.c.Account,
		sequence-b.Sequence)
}

// read looks through some blocks.
func (s *Settler) read(ctx context.Context, p *Plan, b ledger.Books) error {
	for range readBlocks {
		if p.Read >= p.To {
			return nil
		}
		list, err := s.c.Chain.Block(ctx, s.c.Account, p.Read+1)
		if errors.Is(err, ErrGone) {
			p.Missing = fmt.Sprintf("the node does not have block %d; name one in host.toml "+
				"(grpc) that has all of them", p.Read+1)
			p.Read++
			continue
		} else if err != nil {
			return err
		}
		p.Read++
		for _, tx := range list {
			if tx.Sequence >= p.Expected && tx.Sequence < p.Sequence {
				p.Found = append(p.Found, paid(tx, b))
			}
		}
	}
	return nil
}

// paid says what a transaction is to a ledger.
func paid(tx Tx, b ledger.Books) ledger.Paid {
	p := ledger.Paid{Sequence: tx.Sequence, Hash: tx.Hash, Height: tx.Height}
	id, number, devices, ok := parseMemo(tx.Memo)
	switch {
	case tx.Code != 0:
		p.Note = "it failed and paid nothing: " + tx.Log
	case !ok || len(devices) != len(tx.To):
		p.Note = "no settlement: the account was used by hand, or by another program"
	case id != b.ID:
		p.Note = "a settlement of another ledger, " + id + ": two hosts pay from this account, " +
			"or this ledger is a new one"
	default:
		p.Number = number
		for i, to := range tx.To {
			p.To = append(p.To, ledger.PaidTo{Prefix: devices[i], Payout: to.Payout,
				Amount: to.Amount})
		}
	}
	return p
}

// enter brings the ledger in step.
func (s *Settler) enter(p *Plan, height int64) error {
	for _, paid := range p.Found {
		b, err := s.c.Ledger.Books()
		if err != nil {
			return err
		}
		if b.Sequence < paid.Sequence { // one that was not found lies before it
			if err := s.c.Ledger.Follow(s.c.Account, paid.Sequence, paid.Height); err != nil {
				return err
			}
		}
		if err := s.c.Ledger.Book(paid, time.Now()); err != nil {
			return err
		}
	}
	if err := s.c.Ledger.Follow(s.c.Account, p.Sequence, height); err != nil {
		return err
	}
	s.log.Warn("payment goes on: the ledger was brought in step with the chain", "transactions",
		len(p.Found), "plan", p.Digest)
	s.stop(nil)
	s.say("waiting", "the ledger was brought in step with the chain", nil)
	return nil
}
