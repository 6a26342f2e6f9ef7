// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/assaynet/assay/host/store"
)

// Restored is an account that [Ledger.Restore] has made again.
type Restored struct {
	Device Device `json:"device"`
	// Lost says that both records of it were gone; else its sums were set right.
	Lost   bool   `json:"lost"`
	Locked Amount `json:"locked"`
	Due    Amount `json:"due"`
}

// Restore takes back accounts that were set aside, all of them. What is locked is what their
// entries say, and what is in settlement what the open one pays. What else an account holds stays,
// where a record of it is left. Of one that is lost, due is the pay of those sources that are
// remembered, less every transfer since the first of them was credited: rather too little than paid
// twice. Where nothing was forgotten, or nothing ever paid, the machine's receipts bring what is
// older ([Ledger.Reclaim]); else what is older counts as paid. Its address comes with its next
// request, and its strikes are forgotten.
func (l *Ledger) Restore() (list []Restored, err error) {
	err = l.file.Update(func(tx *store.Tx) error {
		list = nil
		var devices []Device
		if err := tx.Each(aside, nil, func(r store.Record) (bool, error) {
			if len(r.Key) == len(Device{}) {
				devices = append(devices, Device(r.Key))
			}
			return true, nil
		}); err != nil {
			return err
		}
		if list, err = l.restore(tx, devices); err != nil || len(list) == 0 {
			return err
		}
		return l.reindex(tx)
	})
	return list, err
}

// orphans makes the accounts again whose entries are there and whose records are not.
func (l *Ledger) orphans(tx *store.Tx) error {
	var devices []Device
	err := tx.Each(entries, nil, func(r store.Record) (bool, error) {
		if len(r.Key) <= len(Device{}) {
			return true, nil
		}
		d := Device(r.Key[:len(Device{})])
		if n := len(devices); (n == 0 || devices[n-1] != d) && !tx.Has(accounts, d[:]) {
			devices = append(devices, d)
		}
		return true, nil
	})
	if err == nil {
		_, err = l.restore(tx, devices)
	}
	return err
}

// restore makes accounts again; the indexes are the caller's to make.
func (l *Ledger) restore(tx *store.Tx, devices []Device) (list []Restored, err error) {
	open, found, err := unfinished(tx)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		settling := Amount{}
		for _, p := range open.Payments {
			if found && p.Device == d {
				settling = settling.Add(p.Amount)
			}
		}
		k, err := remembered(tx, d)
		if err != nil {
			return nil, err
		}
		if err := tx.Delete(aside, d[:]); err != nil {
			return nil, err
		}
		var a Account
		err = account(tx, d, &a)
		lost := errors.Is(err, ErrUnknown)
		if err != nil && !lost {
			return nil, err
		}
		if lost {
			if a, err = k.account(tx, d, settling); err != nil {
				return nil, err
			}
		}
		a.Locked, a.Settling = k.locked, settling
		if err := l.put(tx, &a); err != nil {
			return nil, err
		}
		list = append(list, Restored{Device: d, Lost: lost, Locked: a.Locked, Due: a.Due})
	}
	return list, nil
}

// known is what a device's entries say.
type known struct {
	locked, earned Amount // earned is of those that are locked no more
	past           uint64
	entries, clean uint64
	ops            Amount
	first          int64           // when the oldest of those was credited
	oldest         map[Kind]uint64 // their lowest Order
}

func remembered(tx *store.Tx, d Device) (k known, err error) {
	k.oldest = map[Kind]uint64{}
	err = tx.Each(entries, d[:], func(r store.Record) (bool, error) {
		if !bytes.HasPrefix(r.Key, d[:]) {
			return false, nil
		}
		var e Entry
		if err := r.Decode(&e); err != nil {
			return false, err
		}
		k.entries++
		k.clean = max(k.clean, e.Clean)
		k.ops = k.ops.Add(count(e.Ops))
		if e.State == Locked {
			k.locked = k.locked.Add(e.Pay)
			return true, nil
		}
		k.past++
		if e.State != Due {
			return true, nil
		}
		k.earned = k.earned.Add(e.Pay)
		if k.first == 0 || e.At < k.first {
			k.first = e.At
		}
		if old, seen := k.oldest[e.Kind]; !seen || e.Order < old {
			k.oldest[e.Kind] = e.Order
		}
		return true, nil
	})
	return k, err
}

// account is one whose records are lost.
func (k known) account(tx *store.Tx, d Device, settling Amount) (Account, error) {
	a := Account{Device: d, Since: k.first, Clean: k.clean, Entries: k.entries, Ops: k.ops,
		Floor: map[Kind]uint64{}}
	paid, ever := settling, !settling.IsZero()
	err := tx.Each(transfers, d[:], func(r store.Record) (bool, error) {
		var t Transfer
		if !bytes.HasPrefix(r.Key, d[:]) {
			return false, nil
		}
		ever = true
		if r.Decode(&t) == nil {
			a.Settled = a.Settled.Add(t.Amount)
			if t.At >= k.first {
				paid = paid.Add(t.Amount)
			}
		}
		return true, nil
	})
	if err != nil {
		return a, fmt.Errorf("transfers of %s: %w", d, err)
	}
	if rest, err := k.earned.sub(paid); err == nil {
		a.Due = rest
	}
	if ever && k.past >= keepPast { // what is older may have been paid
		a.Floor = k.oldest
	}
	return a, nil
}
