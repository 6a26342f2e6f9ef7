// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/assaynet/assay/host/store"
)

// keepPast is how many sources of a device are remembered when their entries are
// not locked any longer. A source that comes later is a new one, except for
// [Ledger.Reclaim], which refuses what is as old as those that are forgotten.
const keepPast = 128

// Credit enters pay, locked, and unlocks what has waited long enough. The same
// source again changes nothing and returns the entry that is there. e's Device,
// Kind, Source, Order, Ops, Pay, At and Receipt count. Errors wrap ErrUnknown or
// ErrBanned.
func (l *Ledger) Credit(e Entry) (Entry, error) { return l.credit(e, nil, "", false) }

// CreditFaulty is Credit for a submission in which a machine showed faults that
// are no fraud: bad of 2^64 of its work may be wrong. What is locked came from
// the same machine and loses that share too, rounded up; e.Pay has lost it
// already.
func (l *Ledger) CreditFaulty(e Entry, bad uint64, reason string) (Entry, error) {
	return l.credit(e, new(big.Int).SetUint64(bad), reason, false)
}

// Reclaim is Credit for what the ledger may have forgotten, on the word of a
// receipt of its own host. Errors wrap ErrOld where it may have been credited
// before what the ledger remembers.
func (l *Ledger) Reclaim(e Entry) (Entry, error) { return l.credit(e, nil, "", true) }

func (l *Ledger) credit(e Entry, bad *big.Int, reason string, again bool) (entered Entry,
	err error) {
	err = l.file.Do(func(tx *store.Tx) error {
		entered = Entry{}
		key := sourceKey(e.Device, e.Kind, e.Source)
		if known, err := tx.Get(entries, key, &entered); known || err != nil {
			return err
		}
		var a Account
		if err := account(tx, e.Device, &a); err != nil {
			return err
		}
		switch {
		case a.Banned:
			return fmt.Errorf("%w: %s", ErrBanned, a.Reason)
		case again:
			floor, err := claimable(tx, &a, e.Kind)
			if err == nil && e.Order <= floor {
				err = fmt.Errorf("%w: %s %s", ErrOld, e.Kind, e.Source)
			}
			if err != nil {
				return err
			}
		}
		if bad != nil {
			if err := take(tx, &a, bad, reason); err != nil {
				return err
			}
		}
		n, err := tx.Next(entries)
		if err != nil {
			return err
		}
		a.Clean++
		a.Entries++
		a.Ops = a.Ops.Add(count(e.Ops))
		entered = e
		entered.Number, entered.State, entered.Clean = n, Locked, a.Clean
		entered.Reason, entered.Taken, entered.Rules = reason, Amount{}, l.rules
		if again {
			a.Again = n
		}
		a.Locked = a.Locked.Add(e.Pay)
		err = errors.Join(tx.Put(entries, key, &entered), lock(tx, entered),
			unlock(tx, &a), l.put(tx, &a))
		if err != nil {
			return err
		}
		_, err = tx.Get(entries, key, &entered) // with Unlock 0 it is due already
		return err
	})
	return entered, err
}

// claimable is the Order above which a source may be claimed. A ledger that was begun
// after a receipt was earned has nothing to do with it: an older one has paid it, or
// its host has lost that, and cannot tell one who was paid from one who was not.
func claimable(tx *store.Tx, a *Account, kind Kind) (floor uint64, err error) {
	if kind == Loops {
		b, err := getBooks(tx)
		if err != nil {
			return 0, err
		}
		floor = b.Since
	}
	return max(floor, a.Floor[kind]), nil
}

// Lacks tells which sources of a kind the ledger has not, and may enter by
// [Ledger.Reclaim]; e's Device, Kind, Source and Order count.
func (l *Ledger) Lacks(list []Entry) (lacking []Entry, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		for _, e := range list {
			var a Account
			if err := account(tx, e.Device, &a); err != nil && !errors.Is(err, ErrUnknown) {
				return err
			}
			floor, err := claimable(tx, &a, e.Kind)
			if err != nil {
				return err
			}
			if e.Order > floor && !a.Banned && !tx.Has(entries, e.key()) {
				lacking = append(lacking, e)
			}
		}
		return nil
	})
	return lacking, err
}

// take reduces all that is locked by a share of 2^64.
func take(tx *store.Tx, a *Account, bad *big.Int, reason string) error {
	all, err := collect(tx, a.Device, func(uint64) bool { return true })
	if err != nil {
		return err
	}
	for _, e := range all {
		part := new(big.Int).Mul(e.Pay.big(), bad)
		part.Add(part, new(big.Int).SetUint64(1<<64-1)).Rsh(part, 64)
		loss := Amount{part}
		rest, err := e.Pay.sub(loss)
		if err != nil {
			return err
		}
		if a.Locked, err = a.Locked.sub(loss); err != nil {
			return err
		}
		a.Forfeited = a.Forfeited.Add(loss)
		e.Pay, e.Taken, e.Reason = rest, e.Taken.Add(loss), reason
		if err := tx.Put(entries, e.key(), &e); err != nil {
			return err
		}
	}
	return nil
}

func (e Entry) key() []byte { return sourceKey(e.Device, e.Kind, e.Source) }

// lock notes when a locked entry is due.
func lock(tx *store.Tx, e Entry) error {
	return tx.PutRaw(locked, within(e.Device, e.Number),
		append(store.Number(e.Clean+e.Rules.Unlock), e.key()...))
}

// collect reads a device's locked entries, in order, of which want, given the count
// of clean ones that makes them due, says so.
func collect(tx *store.Tx, device Device, want func(at uint64) bool) (list []Entry, err error) {
	err = tx.Each(locked, device[:], func(r store.Record) (bool, error) {
		if !bytes.HasPrefix(r.Key, device[:]) {
			return false, nil
		}
		raw, err := r.Raw()
		if err != nil || len(raw) < 8 {
			return false, fmt.Errorf("%w: the index of locked entries: %w", ErrCorrupt, err)
		}
		if !want(binary.BigEndian.Uint64(raw)) {
			return true, nil // later ones may have shorter rules
		}
		var e Entry
		if found, err := tx.Get(entries, raw[8:], &e); err != nil || !found {
			return false, fmt.Errorf("%w: entry %x of %s is locked, and cannot be read: %w",
				ErrCorrupt, r.Key[len(device):], device, err)
		}
		list = append(list, e)
		return true, nil
	})
	return list, err
}

// unlock makes due what as many clean submissions have followed as its rules want.
func unlock(tx *store.Tx, a *Account) error {
	ripe, err := collect(tx, a.Device, func(at uint64) bool { return at <= a.Clean })
	if err != nil {
		return err
	}
	for _, e := range ripe {
		if err := release(tx, a, e, Due); err != nil {
			return err
		}
	}
	return nil
}

// release ends an entry's being locked: its pay joins a sum of the account, and
// its source is remembered.
func release(tx *store.Tx, a *Account, e Entry, to State) (err error) {
	if a.Locked, err = a.Locked.sub(e.Pay); err != nil {
		return fmt.Errorf("entry %d of %s: %w", e.Number, e.Device, err)
	}
	if to == Due {
		a.Due = a.Due.Add(e.Pay)
	} else {
		a.Forfeited = a.Forfeited.Add(e.Pay)
	}
	e.State = to
	return errors.Join(tx.Delete(locked, within(e.Device, e.Number)), remember(tx, a, e))
}

// remember keeps an entry for its source, and forgets the oldest of too many.
func remember(tx *store.Tx, a *Account, e Entry) error {
	a.Past++
	if err := errors.Join(tx.Put(entries, e.key(), &e),
		tx.PutRaw(past, within(e.Device, e.Number), e.key())); err != nil {
		return err
	}
	for a.Past > keepPast {
		old, err := oldest(tx, a, e)
		if err != nil {
			return err
		}
		if a.Floor == nil {
			a.Floor = map[Kind]uint64{}
		}
		a.Floor[old.Kind] = max(a.Floor[old.Kind], old.Order)
		a.Past--
		if err := errors.Join(tx.Delete(past, within(old.Device, old.Number)),
			tx.Delete(entries, old.key())); err != nil {
			return err
		}
	}
	return nil
}

// oldest is which past entry to forget for e: the first that was entered; among any that were
// reclaimed, of the first one's kind the one with the lowest Order. So what is reclaimed, and what
// is credited meanwhile, does not lift the floor past receipts that are still to come, which lie
// between what a backup held and what was done since.
func oldest(tx *store.Tx, a *Account, e Entry) (old Entry, err error) {
	found := false
	err = tx.Each(past, a.Device[:], func(r store.Record) (bool, error) {
		if !bytes.HasPrefix(r.Key, a.Device[:]) {
			return false, nil
		}
		key, err := r.Raw()
		if err != nil {
			return false, err
		}
		var one Entry
		if known, err := tx.Get(entries, key, &one); err != nil || !known {
			return false, fmt.Errorf("entry %x: %w", r.Key, err)
		}
		if one.Number != e.Number && (!found || one.Kind == old.Kind && one.Order < old.Order) {
			old, found = one, true
		}
		return !found || old.Number <= a.Again, nil
	})
	if err != nil || !found {
		return old, fmt.Errorf("%w: %d entries of %s should be kept: %w", ErrCorrupt,
			a.Past, a.Device, err)
	}
	return old, nil
}

// Forfeit takes all that is locked, for a proven cheat; at the last strike the
// device is banned. The same source again changes nothing: source names the
// submission, and must not have been credited. It returns the entry, without
// pay, that keeps the reason.
func (l *Ledger) Forfeit(device Device, kind Kind, source, reason string,
	now time.Time) (Entry, error) {
	return l.blank(device, kind, source, reason, now,
		func(tx *store.Tx, a *Account, all []Entry) error {
			for _, e := range all {
				e.Reason = reason
				if err := release(tx, a, e, Forfeited); err != nil {
					return err
				}
			}
			a.strike(l.rules)
			return nil
		})
}

// Strike is Forfeit that takes nothing: for a cheat that the host saw and cannot
// show to others.
func (l *Ledger) Strike(device Device, kind Kind, source, reason string,
	now time.Time) (Entry, error) {
	return l.blank(device, kind, source, reason, now,
		func(_ *store.Tx, a *Account, _ []Entry) error {
			a.strike(l.rules)
			return nil
		})
}

func (a *Account) strike(rules Rules) {
	a.Strikes++
	a.Banned = a.Banned || a.Strikes >= rules.Strikes
}

// Silence enters questions that were not answered. It costs the submission, and
// what is locked waits again for as many clean ones as its rules want. It takes nothing:
// nobody can show that there was no answer, so a host must not gain by saying
// so. Otherwise it is like Forfeit.
func (l *Ledger) Silence(device Device, kind Kind, source, reason string,
	now time.Time) (Entry, error) {
	return l.blank(device, kind, source, reason, now, func(*store.Tx, *Account,
		[]Entry) error {
		return nil
	})
}

// blank makes an entry without pay and begins the count of clean submissions
// again; then does something to what is locked.
func (l *Ledger) blank(device Device, kind Kind, source, reason string, now time.Time,
	then func(*store.Tx, *Account, []Entry) error) (entered Entry, err error) {
	err = l.file.Do(func(tx *store.Tx) error {
		entered = Entry{}
		var a Account
		if err := account(tx, device, &a); err != nil {
			return err
		}
		if known, err := tx.Get(entries, sourceKey(device, kind, source), &entered); known ||
			err != nil {
			return err
		}
		all, err := collect(tx, device, func(uint64) bool { return true })
		if err != nil {
			return err
		}
		for i := range all {
			all[i].Clean = 0 // it stays locked for as many clean ones from here on
			if err := errors.Join(tx.Put(entries, all[i].key(), &all[i]),
				lock(tx, all[i])); err != nil {
				return err
			}
		}
		if err := then(tx, &a, all); err != nil {
			return err
		}
		n, err := tx.Next(entries)
		if err != nil {
			return err
		}
		a.Clean = 0
		a.Entries++
		a.Reason = reason
		entered = Entry{Number: n, Device: device, Kind: kind, Source: source, State: Forfeited,
			At: now.UnixMilli(), Rules: l.rules, Reason: reason}
		return errors.Join(remember(tx, &a, entered), l.put(tx, &a))
	})
	return entered, err
}

// Promise is work that a machine has done and whose pay is not known yet: leaves
// that the host committed to, before their epoch is judged.
type Promise struct {
	Device Device `json:"device"`
	Source string `json:"source"`
	Epoch  uint64 `json:"epoch"`
	Node   string `json:"node"`
	Count  uint64 `json:"count"`    // leaves
	Ops    uint64 `json:"ops_each"` // of one
	Rate   Amount `json:"rate"`     // for 2^40 operations, when the work was done
	// Bound is the share of 2^64 that is taken off where the epoch's outcome can no
	// longer be known.
	Bound uint64 `json:"bound"`
}

func (p Promise) key() []byte {
	return append(append(store.Number(p.Epoch), p.Device[:]...), p.Source...)
}

// Promise enters a debt when it arises. The same again changes nothing, nor one
// whose source is credited. Errors wrap ErrUnknown.
func (l *Ledger) Promise(p Promise) error {
	return l.file.Do(func(tx *store.Tx) error {
		var a Account
		if err := account(tx, p.Device, &a); err != nil {
			return err
		}
		if tx.Has(entries, sourceKey(p.Device, Leaves, p.Source)) {
			return nil
		}
		return tx.Put(promises, p.key(), p)
	})
}

// Promises lists up to n promises of epochs up to one, the oldest first. Those of accounts that are
// set aside wait, and hold up nobody.
func (l *Ledger) Promises(epoch uint64, n int) (list []Promise, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		return tx.Each(promises, nil, func(r store.Record) (bool, error) {
			var p Promise
			if err := r.Decode(&p); err != nil || p.Epoch > epoch {
				return err != nil, nil // a damaged one is passed over
			}
			if tx.Has(aside, p.Device[:]) {
				return true, nil
			}
			list = append(list, p)
			return len(list) < n, nil
		})
	})
	return list, err
}

// Fulfil enters what a promise comes to, and ends it; without pay it only ends. A
// banned device's earns nothing. A device whose account is lost gets one.
func (l *Ledger) Fulfil(p Promise, ops uint64, now time.Time) error {
	if ops > 0 {
		e := Entry{Device: p.Device, Kind: Leaves, Source: p.Source, Order: p.Epoch, Ops: ops,
			Pay: Pay(ops, p.Rate), At: now.UnixMilli()}
		_, err := l.Credit(e)
		if errors.Is(err, ErrUnknown) {
			if _, err = l.Register(p.Device, "", now); err == nil {
				_, err = l.Credit(e)
			}
		}
		if err != nil && !errors.Is(err, ErrBanned) {
			return err
		}
	}
	return l.file.Do(func(tx *store.Tx) error { return tx.Delete(promises, p.key()) })
}

// keyCredited is the record of the epochs whose leaves are entered.
var keyCredited = []byte("leaves")

// Credited returns the epochs that [Ledger.SetCredited] was told last.
func (l *Ledger) Credited() (epochs []uint64, err error) {
	err = l.file.View(func(tx *store.Tx) error { return getTwice(tx, books, keyCredited, &epochs) })
	return epochs, err
}

// SetCredited notes the epochs whose leaves are entered and that the chain may still
// tell of. The sources alone do not say so for long: loops push them out.
func (l *Ledger) SetCredited(epochs []uint64) error {
	known, err := l.Credited()
	if err != nil || slices.Equal(known, epochs) {
		return err
	}
	return l.file.Do(func(tx *store.Tx) error { return putTwice(tx, books, keyCredited, epochs) })
}
