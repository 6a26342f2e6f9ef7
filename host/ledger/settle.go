// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assaynet/assay/host/store"
)

// prefix is how many bytes of a device key a transaction names. They tell whose a
// payment was when the ledger was restored, also where many machines are paid to one
// address. Keys that begin alike, which anyone can make, share what is ahead: it is
// taken off whichever of them is due, so their owner gains nothing by it.
const prefix = 3

// Prefix is the beginning of a device key, as a settlement's transaction names it.
type Prefix [prefix]byte

// Prefix returns the key's beginning.
func (d Device) Prefix() Prefix { return Prefix(d[:prefix]) }

// Payment is what one transfer of a settlement pays.
type Payment struct {
	Device Device `json:"device"`
	Payout string `json:"payout"`
	Amount Amount `json:"amount"`
	// Part says that more was due when it was begun: the account keeps its place in
	// the queue.
	Part bool `json:"part,omitempty"`
}

// Settlement is one transaction that pays.
type Settlement struct {
	Number   uint64    `json:"number"` // from 1
	Payments []Payment `json:"payments"`
	// Raw is the signed transaction, until it is over; Hash its name on the chain,
	// Sequence the paying account's number for it, and Timeout the last height that
	// can hold it.
	Raw      []byte `json:"raw,omitempty"`
	Hash     string `json:"hash"`
	Sequence uint64 `json:"sequence"`
	Timeout  int64  `json:"timeout"`
	// Height is the block that has it, 0 while there is none, and At when the
	// host saw it there, in unix milliseconds.
	Height int64 `json:"height,omitempty"`
	At     int64 `json:"at_ms,omitempty"`
	// Given is why it was given up; its payments were due again.
	Given string `json:"given_up,omitempty"`
}

func (s Settlement) over() bool { return s.Height > 0 || s.Given != "" }

// Transfer is what a settlement paid to one device.
type Transfer struct {
	Settlement uint64 `json:"settlement"`
	Hash       string `json:"hash"`
	Height     int64  `json:"height"`
	At         int64  `json:"at_ms"`
	Payout     string `json:"payout"` // the account that received it
	Amount     Amount `json:"amount"`
}

const (
	keepSettlements = 1000 // that are over
	keepTransfers   = 32   // of a device
)

// Books are where the ledger stands with the chain.
type Books struct {
	// ID is in the memo of every settlement: 16 hex digits.
	ID string `json:"id"`
	// Account is the address that pays, "" until there is one; the next transaction
	// on it is to have the number Sequence. Height is the last one at which that was
	// so on the chain.
	Account  string `json:"account,omitempty"`
	Sequence uint64 `json:"sequence"`
	Height   int64  `json:"height"`
	// Since is when the ledger was begun, in unix milliseconds: loops that were issued
	// before are no claims on it.
	Since uint64 `json:"since_ms"`
}

// twice are the keys of a record without which nothing is paid, and of its copy.
func twice(key []byte) [2][]byte {
	return [2][]byte{append(key[:len(key):len(key)], 0), append(key[:len(key):len(key)], 1)}
}

func getTwice(tx *store.Tx, bucket string, key []byte, v any) error {
	keys := twice(key)
	_, err := tx.Get(bucket, keys[0], v)
	if errors.Is(err, store.ErrRecord) {
		_, err = tx.Get(bucket, keys[1], v)
	}
	return err
}

func putTwice(tx *store.Tx, bucket string, key []byte, v any) error {
	keys := twice(key)
	return errors.Join(tx.Put(bucket, keys[0], v), tx.Put(bucket, keys[1], v))
}

func getBooks(tx *store.Tx) (b Books, err error) {
	err = getTwice(tx, books, nil, &b)
	return b, err
}

func putBooks(tx *store.Tx, b Books) error { return putTwice(tx, books, nil, b) }

func getAhead(tx *store.Tx, p Prefix) (sum Amount, err error) {
	err = getTwice(tx, ahead, p[:], &sum)
	return sum, err
}

func putAhead(tx *store.Tx, p Prefix, sum Amount) error {
	if !sum.IsZero() {
		return putTwice(tx, ahead, p[:], sum)
	}
	keys := twice(p[:])
	return errors.Join(tx.Delete(ahead, keys[0]), tx.Delete(ahead, keys[1]))
}

func addAhead(tx *store.Tx, p Prefix, more Amount) error {
	sum, err := getAhead(tx, p)
	if err != nil {
		return err
	}
	return putAhead(tx, p, sum.Add(more))
}

// Books returns where the ledger stands with the chain.
func (l *Ledger) Books() (b Books, err error) {
	err = l.file.View(func(tx *store.Tx) error { b, err = getBooks(tx); return err })
	return b, err
}

func newID() string {
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// Follow names the paying account and the number of its next transaction, seen at
// a height: at first, and where a person has decided that what went before is no
// business of this ledger. No settlement may be open. Errors wrap ErrSettlement.
func (l *Ledger) Follow(account string, sequence uint64, height int64) error {
	return l.file.Update(func(tx *store.Tx) error {
		b, err := closedBooks(tx)
		if err != nil {
			return err
		}
		b.Account, b.Sequence, b.Height = account, sequence, height
		return putBooks(tx, b)
	})
}

// Seen records a height at which the chain and the ledger agreed.
func (l *Ledger) Seen(height int64) error {
	return l.file.Do(func(tx *store.Tx) error {
		b, err := getBooks(tx)
		if err != nil || height <= b.Height {
			return err
		}
		b.Height = height
		return putBooks(tx, b)
	})
}

// Payable lists up to n accounts that have an address and at least the least amount
// due, who waits longest first.
func (l *Ledger) Payable(n int) (list []Payment, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		return tx.Each(queue, nil, func(r store.Record) (bool, error) {
			if len(r.Key) != 8+len(Device{}) {
				return true, nil
			}
			var a Account
			if err := account(tx, Device(r.Key[8:]), &a); err != nil {
				return true, nil // set aside; the others are paid
			}
			list = append(list, Payment{Device: a.Device, Payout: a.Payout, Amount: a.Due})
			return len(list) < n, nil
		})
	})
	return list, err
}

// Refuse puts an account off until a height: the chain takes no payment to its
// address. Another address ends that.
func (l *Ledger) Refuse(device Device, until int64, why string) error {
	return l.file.Update(func(tx *store.Tx) error {
		var a Account
		if err := account(tx, device, &a); err != nil {
			return err
		}
		a.Refuse, a.Why = until, why
		return l.put(tx, &a)
	})
}

// Retry takes up again those that were put off until a height, some at a time.
func (l *Ledger) Retry(height int64) error {
	var list []Device
	err := l.file.View(func(tx *store.Tx) error {
		return tx.Each(refused, nil, func(r store.Record) (bool, error) {
			if len(r.Key) != 8+len(Device{}) || binary.BigEndian.Uint64(r.Key) > uint64(height) {
				return false, nil
			}
			list = append(list, Device(r.Key[8:]))
			return len(list) < 50, nil
		})
	})
	if err != nil || len(list) == 0 {
		return err
	}
	return l.file.Update(func(tx *store.Tx) error {
		for _, d := range list {
			var a Account
			if account(tx, d, &a) != nil {
				continue
			}
			a.Refuse = 0
			if err := l.put(tx, &a); err != nil {
				return err
			}
		}
		return nil
	})
}

// closedBooks are the books while no settlement is open; one that is, is an error that
// wraps ErrSettlement and names it.
func closedBooks(tx *store.Tx) (Books, error) {
	s, found, err := unfinished(tx)
	if err == nil && found {
		err = fmt.Errorf("%w: number %d is not over", ErrSettlement, s.Number)
	}
	if err != nil {
		return Books{}, err
	}
	return getBooks(tx)
}

// unfinished is the settlement that is not over: the last one, or none.
func unfinished(tx *store.Tx) (s Settlement, found bool, err error) {
	err = tx.Back(settlements, store.Number(^uint64(0)), func(r store.Record) (bool,
		error) {
		return false, r.Decode(&s)
	})
	if err != nil || s.Number == 0 || s.over() {
		return s, false, err
	}
	b, err := getBooks(tx)
	return s, err == nil && s.Sequence >= b.Sequence, err
}

// Begin writes down a settlement before its transaction is sent; its number is the
// one that Next tells. There is one at a time. Errors wrap ErrSettlement, where
// something is no longer due, another settlement is open, or the sequence is not
// the one that the books want.
func (l *Ledger) Begin(s Settlement) (begun Settlement, err error) {
	err = l.file.Update(func(tx *store.Tx) error {
		b, err := closedBooks(tx)
		if err != nil {
			return err
		}
		if len(s.Payments) == 0 || len(s.Raw) == 0 || s.Hash == "" || s.Timeout <= 0 {
			return fmt.Errorf("%w: payments, transaction, hash and timeout are needed",
				ErrSettlement)
		}
		if b.Account == "" || b.Sequence != s.Sequence {
			return fmt.Errorf("%w: transaction %d of the paying account, where %d is next",
				ErrSettlement, s.Sequence, b.Sequence)
		}
		n, err := tx.Next(settlements)
		if err != nil {
			return err
		}
		if s.Number != 0 && s.Number != n {
			return fmt.Errorf("%w: number %d is next, not %d", ErrSettlement, n, s.Number)
		}
		begun = s
		begun.Payments = slices.Clone(s.Payments)
		begun.Number, begun.Height, begun.At, begun.Given = n, 0, 0, ""
		for i, p := range s.Payments {
			var a Account
			if err := account(tx, p.Device, &a); err != nil {
				return err
			}
			if p.Amount.IsZero() || a.Due.Cmp(p.Amount) < 0 || p.Payout != a.Payout {
				return fmt.Errorf("%w: %s to %s, where %s is due to %s", ErrSettlement, p.Amount,
					p.Payout, a.Due, a.Payout)
			}
			if a.Due, err = a.Due.sub(p.Amount); err != nil {
				return err
			}
			a.Settling = a.Settling.Add(p.Amount)
			begun.Payments[i].Part = !a.Due.IsZero()
			if err := l.put(tx, &a); err != nil {
				return err
			}
		}
		return tx.Put(settlements, store.Number(n), &begun)
	})
	return begun, err
}

// Next is the number of the next settlement.
func (l *Ledger) Next() (n uint64, err error) {
	err = l.file.View(func(tx *store.Tx) error { n, err = tx.Last(settlements); return err })
	return n + 1, err
}

// Unfinished returns the settlement that is not over, and whether there is one.
func (l *Ledger) Unfinished() (s Settlement, found bool, err error) {
	err = l.file.View(func(tx *store.Tx) error { s, found, err = unfinished(tx); return err })
	return s, found, err
}

// Settlements returns up to n, the latest first.
func (l *Ledger) Settlements(n int) (list []Settlement, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		return tx.Back(settlements, store.Number(^uint64(0)), func(r store.Record) (bool, error) {
			var s Settlement
			if err := r.Decode(&s); err != nil {
				return false, err
			}
			list = append(list, s)
			return len(list) < n, nil
		})
	})
	return list, err
}

// Transfers lists up to n of what a device was paid, the latest first.
func (l *Ledger) Transfers(device Device, n int) (list []Transfer, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		return tx.Back(transfers, within(device, ^uint64(0)), func(r store.Record) (bool, error) {
			var t Transfer
			if !bytes.HasPrefix(r.Key, device[:]) {
				return false, nil
			}
			if err := r.Decode(&t); err != nil {
				return true, nil
			}
			list = append(list, t)
			return len(list) < n, nil
		})
	})
	return list, err
}

// Finish records that the open settlement is in a block.
func (l *Ledger) Finish(n uint64, height int64, now time.Time) error {
	return l.end(n, true, func(s *Settlement, b *Books) {
		s.Height, s.At = height, now.UnixMilli()
		b.Sequence, b.Height = s.Sequence+1, max(b.Height, height)
	})
}

// GiveUp records that the open settlement can never take effect: its payments
// are due again. The caller has seen a block above its timeout without it, or, and
// then its number on the account is used, the block of that height in which it failed.
func (l *Ledger) GiveUp(n uint64, failed int64, reason string) error {
	return l.end(n, false, func(s *Settlement, b *Books) {
		s.Given = reason
		if failed > 0 {
			b.Sequence, b.Height = s.Sequence+1, max(b.Height, failed)
		}
	})
}

func (l *Ledger) end(n uint64, paid bool, change func(*Settlement, *Books)) error {
	return l.file.Update(func(tx *store.Tx) error {
		s, found, err := unfinished(tx)
		if err != nil {
			return err
		}
		if !found || s.Number != n {
			return fmt.Errorf("%w: number %d is not open", ErrSettlement, n)
		}
		b, err := getBooks(tx)
		if err != nil {
			return err
		}
		change(&s, &b)
		s.Raw = nil
		for _, p := range s.Payments {
			var a Account
			switch err := account(tx, p.Device, &a); {
			case errors.Is(err, ErrCorrupt):
				continue // it is set aside, and the chain is the truth about it too
			case errors.Is(err, ErrUnknown):
				// its records are lost; it may come back with its receipts
				if paid {
					if err := addAhead(tx, p.Device.Prefix(), p.Amount); err != nil {
						return err
					}
				}
				continue
			case err != nil:
				return err
			}
			if a.Settling, err = a.Settling.sub(p.Amount); err != nil {
				return err
			}
			if paid {
				a.Settled = a.Settled.Add(p.Amount)
				err = transfer(tx, p, s)
				if !p.Part { // what it earned meanwhile waits since then, behind the others
					a.Queue = 0
				}
			} else {
				a.Due = a.Due.Add(p.Amount)
			}
			if err := errors.Join(err, l.put(tx, &a)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Put(settlements, store.Number(n), &s), putBooks(tx, b), forget(tx, n))
	})
}

// forget drops a settlement that is old enough.
func forget(tx *store.Tx, last uint64) error {
	var old [][]byte
	err := tx.Each(settlements, nil, func(r store.Record) (bool, error) {
		if len(r.Key) != 8 || binary.BigEndian.Uint64(r.Key)+keepSettlements > last {
			return false, nil
		}
		old = append(old, bytes.Clone(r.Key))
		return len(old) < 10, nil
	})
	for _, k := range old {
		err = errors.Join(err, tx.Delete(settlements, k))
	}
	return err
}

// transfer notes what a device was paid, and forgets the oldest of too many.
func transfer(tx *store.Tx, p Payment, s Settlement) error {
	err := tx.Put(transfers, within(p.Device, s.Number),
		Transfer{Settlement: s.Number, Hash: s.Hash, Height: s.Height, At: s.At, Payout: p.Payout,
			Amount: p.Amount})
	if err != nil {
		return err
	}
	var keys [][]byte
	err = tx.Each(transfers, p.Device[:], func(r store.Record) (bool, error) {
		if !bytes.HasPrefix(r.Key, p.Device[:]) {
			return false, nil
		}
		keys = append(keys, bytes.Clone(r.Key))
		return true, nil
	})
	for _, k := range keys[:max(0, len(keys)-keepTransfers)] {
		err = errors.Join(err, tx.Delete(transfers, k))
	}
	return err
}

// Paid is a transaction of the paying account that a block holds.
type Paid struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
	Height   int64  `json:"height"`
	// Number is the settlement's, of this ledger, or 0: then To says nothing to it.
	Number uint64   `json:"number,omitempty"`
	To     []PaidTo `json:"to,omitempty"`
	// Note says what it is, where it is no settlement of this ledger.
	Note string `json:"note,omitempty"`
}

// PaidTo is one of its transfers.
type PaidTo struct {
	Prefix Prefix `json:"-"`
	Payout string `json:"payout"`
	Amount Amount `json:"amount"`
}

// Book enters what the chain says was paid and the ledger does not know. What is
// due to the devices is settled by it; what is more stands ahead for what they
// are credited later. Transactions are entered in their order. Errors wrap
// ErrSettlement.
func (l *Ledger) Book(p Paid, now time.Time) error {
	return l.file.Update(func(tx *store.Tx) error {
		b, err := closedBooks(tx)
		if err != nil {
			return err
		}
		if b.Sequence != p.Sequence {
			return fmt.Errorf("%w: transaction %d of the paying account, where %d is next",
				ErrSettlement, p.Sequence, b.Sequence)
		}
		b.Sequence, b.Height = p.Sequence+1, max(b.Height, p.Height)
		if err := putBooks(tx, b); err != nil || p.Number == 0 {
			return err
		}
		s := Settlement{Number: p.Number, Hash: p.Hash, Sequence: p.Sequence, Height: p.Height,
			At: now.UnixMilli()}
		for _, to := range p.To {
			if err := addAhead(tx, to.Prefix, to.Amount); err != nil {
				return err
			}
			list, err := alike(tx, to.Prefix)
			if err != nil {
				return err
			}
			for _, device := range list { // each covers what it is due
				var a Account
				if account(tx, device, &a) != nil {
					continue
				}
				if err := l.put(tx, &a); err != nil {
					return err
				}
			}
			if err := attribute(tx, &s, to, list); err != nil {
				return err
			}
		}
		// a number of before the restore, given up there
		if tx.Has(settlements, store.Number(p.Number)) {
			return nil
		}
		return errors.Join(tx.Skip(settlements, p.Number),
			tx.Put(settlements, store.Number(p.Number), &s))
	})
}

// attribute notes a transfer for the device that is paid there, of those whose keys
// begin so, or else for the first.
func attribute(tx *store.Tx, s *Settlement, to PaidTo, list []Device) error {
	if len(list) == 0 {
		return nil
	}
	device := list[0]
	for _, d := range list {
		var a Account
		if account(tx, d, &a) == nil && a.Payout == to.Payout {
			device = d
			break
		}
	}
	payment := Payment{Device: device, Payout: to.Payout, Amount: to.Amount}
	s.Payments = append(s.Payments, payment)
	return transfer(tx, payment, *s)
}

// alike lists the devices whose keys begin as a transaction says.
func alike(tx *store.Tx, p Prefix) (list []Device, err error) {
	err = tx.Each(accounts, p[:], func(r store.Record) (bool, error) {
		if !bytes.HasPrefix(r.Key, p[:]) {
			return false, nil
		}
		if len(r.Key) == len(Device{}) {
			list = append(list, Device(r.Key))
		}
		return true, nil
	})
	return list, err
}

// Ahead is what the chain paid to keys that begin so before they were credited.
func (l *Ledger) Ahead(p Prefix) (sum Amount, err error) {
	err = l.file.View(func(tx *store.Tx) error { sum, err = getAhead(tx, p); return err })
	return sum, err
}
