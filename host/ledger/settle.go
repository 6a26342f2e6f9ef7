// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Payment is what one transfer of a settlement pays.
type Payment struct {
	Device  Device   `json:"device"`
	Payout  string   `json:"payout"`
	Amount  Amount   `json:"amount"`
	Entries []uint64 `json:"entries"`
}

// Settlement is one transaction that pays.
type Settlement struct {
	Number   uint64    `json:"number"` // from 1
	Payments []Payment `json:"payments"`
	// Raw is the signed transaction, Hash its name on the chain, Sequence the
	// paying account's number for it, and Timeout the last height that can hold it.
	Raw      []byte `json:"raw"`
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

// maxEntries bounds what one settlement writes.
const maxEntries = 20_000

// Due lists what can be paid: at most n accounts that have an address and at
// least the amount least due, and that skip does not pass over. An account with
// very many entries is paid in parts.
func (l *Ledger) Due(least Amount, n int, skip func(Device) bool) (list []Payment, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		room := maxEntries
		c := tx.Bucket(due).Cursor()
		for k, _ := c.First(); k != nil && len(list) < n && room > 0; {
			device := Device(k[:len(Device{})])
			var a Account
			if err := account(tx, device, &a); err != nil {
				return err
			}
			if a.Payout != "" && !skip(device) && a.Due.Cmp(least) >= 0 && !a.Due.IsZero() {
				p := Payment{Device: device, Payout: a.Payout}
				some, err := collect(tx, due, device, func(Entry) bool { room--; return room >= 0 })
				if err != nil {
					return err
				}
				for _, e := range some {
					p.Entries = append(p.Entries, e.Number)
					p.Amount = p.Amount.Add(e.Pay)
				}
				list = append(list, p)
			}
			k, _ = c.Seek(within(device, ^uint64(0))) // behind the device's last
		}
		return nil
	})
	return list, err
}

// Begin writes down a settlement before its transaction is sent. There is one
// at a time. Errors wrap ErrSettlement, where something is no longer due or
// another settlement is open.
func (l *Ledger) Begin(s Settlement) (begun Settlement, err error) {
	err = l.db.Update(func(tx *bolt.Tx) error {
		if k, _ := tx.Bucket(unfinished).Cursor().First(); k != nil {
			return fmt.Errorf("%w: number %d is not over", ErrSettlement, k)
		}
		if len(s.Payments) == 0 || len(s.Raw) == 0 || s.Hash == "" || s.Timeout <= 0 {
			return fmt.Errorf("%w: payments, transaction, hash and timeout are needed", ErrSettlement)
		}
		n, err := tx.Bucket(settlements).NextSequence()
		if err != nil {
			return err
		}
		begun = s
		begun.Number, begun.Height, begun.Given = n, 0, ""
		if err := l.each(tx, begun, Due, Settling); err != nil {
			return err
		}
		return errors.Join(put(tx, settlements, number(n), &begun), tx.Bucket(unfinished).Put(number(n), nil))
	})
	return begun, err
}

// Unfinished returns the settlement that is not over, and whether there is one.
func (l *Ledger) Unfinished() (s Settlement, found bool, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(unfinished).Cursor().First()
		if k == nil {
			return nil
		}
		found = true
		return get(tx, settlements, k, &s)
	})
	return s, found, err
}

// Settlement returns one by number.
func (l *Ledger) Settlement(n uint64) (s Settlement, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		err := get(tx, settlements, number(n), &s)
		if errors.Is(err, errAbsent) {
			return fmt.Errorf("%w: there is no number %d", ErrSettlement, n)
		}
		return err
	})
	return s, err
}

// Finish records that the open settlement is in a block.
func (l *Ledger) Finish(n uint64, height int64, now time.Time) error {
	return l.end(n, Settled, func(s *Settlement) { s.Height, s.At = height, now.UnixMilli() })
}

// Transfers lists up to n settlements that paid a device, the latest first; of
// their payments only its own.
func (l *Ledger) Transfers(device Device, n int) (list []Settlement, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(transfers).Cursor()
		k, _ := c.Seek(within(device, ^uint64(0)))
		if k == nil {
			k, _ = c.Last()
		} else {
			k, _ = c.Prev()
		}
		for ; bytes.HasPrefix(k, device[:]) && len(list) < n; k, _ = c.Prev() {
			var s Settlement
			if err := get(tx, settlements, k[len(device):], &s); err != nil {
				return err
			}
			s.Payments = slices.DeleteFunc(s.Payments, func(p Payment) bool { return p.Device != device })
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// GiveUp records that the open settlement can never be in a block: its payments
// are due again. The caller has seen a block above its timeout without it, or a
// block in which it failed.
func (l *Ledger) GiveUp(n uint64, reason string) error {
	return l.end(n, Due, func(s *Settlement) { s.Given = reason })
}

func (l *Ledger) end(n uint64, to State, change func(*Settlement)) error {
	return l.db.Update(func(tx *bolt.Tx) error {
		if k, _ := tx.Bucket(unfinished).Cursor().Seek(number(n)); string(k) != string(number(n)) {
			return fmt.Errorf("%w: number %d is not open", ErrSettlement, n)
		}
		var s Settlement
		if err := get(tx, settlements, number(n), &s); err != nil {
			return err
		}
		if err := l.each(tx, s, Settling, to); err != nil {
			return err
		}
		for _, p := range s.Payments {
			if to == Settled {
				if err := tx.Bucket(transfers).Put(within(p.Device, n), nil); err != nil {
					return err
				}
			}
		}
		change(&s)
		return errors.Join(put(tx, settlements, number(n), &s), tx.Bucket(unfinished).Delete(number(n)))
	})
}

// each moves a settlement's entries from one state to another, all or none.
func (l *Ledger) each(tx *bolt.Tx, s Settlement, from, to State) error {
	for _, p := range s.Payments {
		var a Account
		if err := account(tx, p.Device, &a); err != nil {
			return err
		}
		var sum Amount
		for _, n := range p.Entries {
			var e Entry
			if err := get(tx, entries, number(n), &e); err != nil {
				return fmt.Errorf("%w: entry %d: %w", ErrSettlement, n, err)
			}
			if e.State != from || e.Device != p.Device {
				return fmt.Errorf("%w: entry %d of %s is %s, want %s of %s", ErrSettlement, n, e.Device, e.State, from, p.Device)
			}
			sum = sum.Add(e.Pay)
			e.Settlement = s.Number
			if to == Due {
				e.Settlement = 0
			}
			if err := move(tx, &a, e, to); err != nil {
				return err
			}
		}
		if sum.Cmp(p.Amount) != 0 {
			return fmt.Errorf("%w: %s for entries of %s", ErrSettlement, p.Amount, sum)
		}
		if err := put(tx, accounts, p.Device[:], &a); err != nil {
			return err
		}
	}
	return nil
}
