// SPDX-License-Identifier: Apache-2.0

// Package settletest is a chain for tests of what pays: as much of one as a settler
// sees. What it does is what the real one does; test/sim holds it to that.
package settletest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
)

// ErrDown is a node that does not answer.
var ErrDown = errors.New("node down")

// Bank is a chain in memory with one account that pays, or several of which one is
// asked about. It is not safe for concurrent use.
type Bank struct {
	Height   int64
	Sequence uint64 // of the account
	Funds    ledger.Amount
	// Paid is what each address got.
	Paid map[string]ledger.Amount
	// Refused are addresses that take no transfers, with the reason.
	Refused map[string]string
	// Pruned is the last height whose block the node does not have.
	Pruned int64
	// Down: the node does not answer.
	Down bool

	payer  string // the account; empty is one of any name
	others map[string]uint64
	pool   []transaction
	blocks map[int64][]transaction
}

type transaction struct {
	Tx      settle.Tx
	Timeout int64
	Payer   string
}

// New returns a bank whose account holds so much.
func New(funds string) *Bank {
	a, err := ledger.ParseAmount(funds)
	if err != nil {
		panic(err) // a test's own
	}
	return &Bank{Funds: a, Paid: map[string]ledger.Amount{}, Refused: map[string]string{},
		blocks: map[int64][]transaction{}, others: map[string]uint64{}}
}

// Balance is what the account holds.
func (b *Bank) Balance(context.Context) (ledger.Amount, error) {
	if b.Down {
		return ledger.Amount{}, ErrDown
	}
	return b.Funds, nil
}

// Account is where the account stands.
func (b *Bank) Account(context.Context) (number, sequence uint64, err error) {
	if b.Down {
		return 0, 0, ErrDown
	}
	return 1, b.Sequence, nil
}

// Switch makes another account the one that is asked about and signs.
func (b *Bank) Switch(payer string) {
	b.others[b.payer] = b.Sequence
	b.payer, b.Sequence = payer, b.others[payer]
}

// sequence is an account's.
func (b *Bank) sequence(payer string) uint64 {
	if payer == b.payer {
		return b.Sequence
	}
	return b.others[payer]
}

// used counts a transaction of an account.
func (b *Bank) used(payer string) {
	if payer == b.payer {
		b.Sequence++
	} else {
		b.others[payer]++
	}
}

// Fee is none.
func (b *Bank) Fee(int) ledger.Amount { return ledger.Amount{} }

// Sign writes down what a transaction is to do.
func (b *Bank) Sign(_ context.Context, memo string, payments []ledger.Payment, _, sequence uint64,
	timeout int64) (raw []byte, hash string, err error) {
	if len(memo) > 256 {
		return nil, "", fmt.Errorf("a memo of %d characters", len(memo))
	}
	t := transaction{Tx: settle.Tx{Hash: fmt.Sprintf("%d/%d/%s", sequence, timeout, memo),
		Sequence: sequence, Memo: memo}, Timeout: timeout, Payer: b.payer}
	for _, p := range payments {
		t.Tx.To = append(t.Tx.To, settle.Transfer{Payout: p.Payout, Amount: p.Amount})
	}
	raw, err = json.Marshal(t)
	return raw, t.Tx.Hash, err
}

// Send puts a transaction into the mempool, once.
func (b *Bank) Send(_ context.Context, raw []byte) error {
	var t transaction
	if b.Down {
		return ErrDown
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return err
	}
	if t.Tx.Sequence < b.sequence(t.Payer) || t.Timeout <= b.Height {
		return errors.New("the node refuses a payment")
	}
	if !slices.ContainsFunc(b.pool, func(o transaction) bool { return o.Tx.Hash == t.Tx.Hash }) {
		b.pool = append(b.pool, t)
	}
	return nil
}

// Block lists what an account signed in a block.
func (b *Bank) Block(_ context.Context, account string, height int64) (list []settle.Tx,
	err error) {
	switch {
	case b.Down:
		return nil, ErrDown
	case height <= b.Pruned:
		return nil, fmt.Errorf("%w: %d", settle.ErrGone, height)
	}
	for _, t := range b.blocks[height] {
		if t.Payer == "" || t.Payer == account {
			list = append(list, t.Tx)
		}
	}
	return list, nil
}

// Lose empties the mempool.
func (b *Bank) Lose() { b.pool = nil }

// Make makes a block, of what is in the mempool or of nothing.
func (b *Bank) Make(full bool) {
	b.Height++
	if !full {
		return
	}
	pool := b.pool
	b.pool = nil
	slices.SortStableFunc(pool, func(x, y transaction) int {
		return cmp.Compare(x.Tx.Sequence, y.Tx.Sequence)
	})
	for _, t := range pool {
		switch {
		case t.Tx.Sequence < b.sequence(t.Payer) || b.Height > t.Timeout:
			// dropped, as a mempool does when it checks again
			continue
		case t.Tx.Sequence > b.sequence(t.Payer):
			b.pool = append(b.pool, t)
			continue
		}
		b.used(t.Payer)
		t.Tx.Height = b.Height
		b.execute(&t.Tx)
		b.blocks[b.Height] = append(b.blocks[b.Height], t)
	}
}

// execute makes all transfers or none.
func (b *Bank) execute(tx *settle.Tx) {
	left := b.Funds
	for _, to := range tx.To {
		if why := b.Refused[to.Payout]; why != "" {
			tx.Code, tx.Log = 4, why
			return
		}
		rest, enough := left.Less(to.Amount)
		if !enough {
			tx.Code, tx.Log = 5, "insufficient funds"
			return
		}
		left = rest
	}
	b.Funds = left
	for _, to := range tx.To {
		b.Paid[to.Payout] = b.Paid[to.Payout].Add(to.Amount)
	}
}

// ByHand makes a block with a transaction of the account that no host made.
func (b *Bank) ByHand(memo string) {
	b.Height++
	b.hand(memo)
}

// InTheSameBlock adds a transaction that no host made to the latest block.
func (b *Bank) InTheSameBlock(memo string) { b.hand(memo) }

func (b *Bank) hand(memo string) {
	tx := settle.Tx{Hash: fmt.Sprint("hand", b.Height, "/", b.Sequence), Height: b.Height,
		Sequence: b.Sequence, Memo: memo}
	b.blocks[b.Height] = append(b.blocks[b.Height], transaction{Tx: tx, Payer: b.payer})
	b.Sequence++
}

// Got is what an address was paid, in digits.
func (b *Bank) Got(payout string) string { return b.Paid[payout].String() }
