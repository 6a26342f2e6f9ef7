// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/assaynet/assay/host/store"
)

// mend deals with damaged records before anything is decided by them:
//
//	an account      its copy takes its place
//	an index        is made again from the entries and accounts
//	an entry        its amount is known by the account's sums. With its key it is written
//	                again; without, what was locked in it is due, and nothing that is as
//	                old can be claimed again
//	a settlement    what it was to pay is due again; if the chain has it, the chain's
//	                sequence says so before anything else is paid
//
// An account of which both records are damaged is set aside.
func (l *Ledger) mend(damaged []store.Damage) error {
	if len(damaged) == 0 {
		return nil
	}
	hurt := map[string][][]byte{}
	for _, d := range damaged {
		hurt[d.Bucket] = append(hurt[d.Bucket], d.Key)
	}
	return l.file.Update(func(tx *store.Tx) error {
		say := func(format string, a ...any) {
			l.Mended = append(l.Mended, fmt.Sprintf(format, a...))
		}
		for _, d := range damaged {
			if d.State() {
				say("%s; what the chain has of it is read from its blocks, and machines bring "+
					"receipts", d)
			}
		}
		for bucket, keys := range hurt {
			for _, key := range keys {
				if bucket == aside {
					if err := tx.PutRaw(aside, key,
						[]byte("the record of why is damaged")); err != nil {
						return err
					}
					continue
				}
			}
		}
		if err := mendAccounts(tx, hurt, say); err != nil {
			return err
		}
		if err := l.mendEntries(tx, hurt[entries], say); err != nil {
			return err
		}
		for _, bucket := range []string{books, ahead} {
			if err := mendTwice(tx, bucket); err != nil {
				return err
			}
		}
		if len(hurt[settlements]) > 0 {
			say("a settlement was damaged; if it was open, what it was to pay is due again, and " +
				"the chain is asked first")
			if err := l.mendSettling(tx); err != nil {
				return err
			}
		}
		if len(hurt[transfers])+len(hurt[promises]) > 0 {
			say("notes on payments or on leaves to be credited were damaged; they are left out")
		}
		return l.reindex(tx)
	})
}

// mendAccounts restores accounts from their copies and copies from their accounts.
func mendAccounts(tx *store.Tx, hurt map[string][][]byte, say func(string, ...any)) error {
	for _, way := range [][2]string{{accounts, copies}, {copies, accounts}} {
		var missing [][]byte
		err := tx.Each(way[0], nil, func(r store.Record) (bool, error) {
			if !tx.Has(way[1], r.Key) {
				missing = append(missing, bytes.Clone(r.Key))
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, key := range missing {
			raw, _, err := tx.Raw(way[0], key)
			if err == nil {
				err = tx.PutRaw(way[1], key, bytes.Clone(raw))
			}
			if err != nil {
				return err
			}
			say("a record of the account of %x was damaged; the other one took its place", key)
		}
	}
	for _, key := range hurt[accounts] {
		if len(key) == len(Device{}) && !tx.Has(accounts, key) && contains(hurt[copies], key) {
			if err := tx.PutRaw(aside, key, []byte("both records of it were damaged")); err != nil {
				return err
			}
			say("both records of the account of %x are damaged; it is set aside", key)
		}
	}
	return nil
}

func contains(list [][]byte, key []byte) bool {
	for _, k := range list {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// mendTwice restores what is written twice.
func mendTwice(tx *store.Tx, bucket string) error {
	var alone [][]byte
	err := tx.Each(bucket, nil, func(r store.Record) (bool, error) {
		if n := len(r.Key); n > 0 && !tx.Has(bucket, append(r.Key[:n-1:n-1], 1-r.Key[n-1]&1)) {
			alone = append(alone, bytes.Clone(r.Key))
		}
		return true, nil
	})
	for _, key := range alone {
		raw, _, err := tx.Raw(bucket, key)
		if err == nil {
			n := len(key)
			err = tx.PutRaw(bucket, append(key[:n-1:n-1], 1-key[n-1]&1), bytes.Clone(raw))
		}
		if err != nil {
			return err
		}
	}
	return err
}

// mendEntries writes entries again whose keys were damaged records', and squares
// the accounts whose locked sums are more than their entries.
func (l *Ledger) mendEntries(tx *store.Tx, keys [][]byte, say func(string, ...any)) error {
	if len(keys) == 0 {
		return nil
	}
	sums, orders, err := sumEntries(tx)
	if err != nil {
		return err
	}
	return eachAccount(tx, func(a Account) error {
		known := orders[a.Device]
		lost, err := a.Locked.sub(sums[a.Device])
		mine := false
		for _, key := range keys {
			mine = mine || bytes.HasPrefix(key, a.Device[:])
		}
		if err != nil || lost.IsZero() && !mine {
			return nil // recount says what it thinks of it
		}
		for _, key := range keys { // its source stays used up
			if e, ok := ofKey(key); ok && e.Device == a.Device {
				var err error
				if e.Number, err = tx.Next(entries); err == nil {
					e.Reason = "the record was damaged"
					err = tx.Put(entries, key, &e)
				}
				if err != nil {
					return err
				}
			}
		}
		a.Locked = sums[a.Device]
		a.Due = a.Due.Add(lost)
		if a.Floor == nil {
			a.Floor = map[Kind]uint64{}
		}
		for kind, order := range known {
			a.Floor[kind] = max(a.Floor[kind], order)
		}
		say("an entry of %s was damaged; %s that was locked in it is due", a.Device, lost)
		return l.put(tx, &a)
	})
}

// ofKey is an entry without pay that uses up the source which a key names.
func ofKey(key []byte) (e Entry, ok bool) {
	if len(key) <= len(e.Device) {
		return e, false
	}
	kind, source, ok := bytes.Cut(key[len(e.Device):], []byte{0})
	e = Entry{Device: Device(key[:len(e.Device)]), Kind: Kind(kind),
		Source: string(source), State: Due}
	return e, ok && bytes.Equal(e.key(), key)
}

// sumEntries adds up what is locked, and finds the highest order of every kind.
func sumEntries(tx *store.Tx) (sums map[Device]Amount, orders map[Device]map[Kind]uint64,
	err error) {
	sums, orders = map[Device]Amount{}, map[Device]map[Kind]uint64{}
	err = tx.Each(entries, nil, func(r store.Record) (bool, error) {
		var e Entry
		if err := r.Decode(&e); err != nil {
			return false, err
		}
		if e.State == Locked {
			sums[e.Device] = sums[e.Device].Add(e.Pay)
		}
		if orders[e.Device] == nil {
			orders[e.Device] = map[Kind]uint64{}
		}
		orders[e.Device][e.Kind] = max(orders[e.Device][e.Kind], e.Order)
		return true, nil
	})
	return sums, orders, err
}

// eachAccount calls f for every account that is not set aside, with writes allowed.
func eachAccount(tx *store.Tx, f func(Account) error) error {
	var devices []Device
	err := tx.Each(accounts, nil, func(r store.Record) (bool, error) {
		if len(r.Key) == len(Device{}) {
			devices = append(devices, Device(r.Key))
		}
		return true, nil
	})
	for _, d := range devices {
		var a Account
		if account(tx, d, &a) != nil {
			continue
		}
		if err == nil {
			err = f(a)
		}
	}
	return err
}

// mendSettling makes due again what no settlement that is open is to pay.
func (l *Ledger) mendSettling(tx *store.Tx) error {
	if _, found, err := unfinished(tx); err != nil || found {
		return err
	}
	return eachAccount(tx, func(a Account) error {
		if a.Settling.IsZero() {
			return nil
		}
		a.Due, a.Settling = a.Due.Add(a.Settling), Amount{}
		return l.put(tx, &a)
	})
}

// reindex makes the indexes again.
func (l *Ledger) reindex(tx *store.Tx) error {
	for _, bucket := range []string{locked, past, queue, refused} {
		if err := tx.Clear(bucket); err != nil {
			return err
		}
	}
	kept := map[Device]uint64{}
	var all []Entry
	err := tx.Each(entries, nil, func(r store.Record) (bool, error) {
		var e Entry
		err := r.Decode(&e)
		all = append(all, e)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.State == Locked {
			err = lock(tx, e)
		} else {
			kept[e.Device]++
			err = tx.PutRaw(past, within(e.Device, e.Number), e.key())
		}
		if err != nil {
			return err
		}
	}
	return eachAccount(tx, func(a Account) error {
		a.Past = kept[a.Device]
		return l.put(tx, &a)
	})
}

// recount sets aside the accounts whose sums are not those of their entries and of
// the settlement that is open, and makes the queue again where its rule has changed.
func (l *Ledger) recount() error {
	return l.file.Update(func(tx *store.Tx) error {
		b, err := getBooks(tx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if b.ID == "" {
			b.ID, b.Since = newID(), uint64(time.Now().UnixMilli())
			if err := putBooks(tx, b); err != nil {
				return err
			}
		}
		wrong, again, err := l.compare(tx)
		if err != nil {
			return err
		}
		for device, why := range wrong {
			l.Mended = append(l.Mended,
				fmt.Sprintf("the account of %s is set aside: %s", device, why))
			if err := tx.PutRaw(aside, device[:], []byte(why)); err != nil {
				return err
			}
		}
		if again || len(wrong) > 0 {
			return l.reindex(tx)
		}
		return nil
	})
}

// compare finds accounts that do not add up, and whether the queue is as it should be.
func (l *Ledger) compare(tx *store.Tx) (wrong map[Device]string, again bool, err error) {
	wrong = map[Device]string{}
	sums, _, err := sumEntries(tx)
	if err != nil {
		return nil, false, err
	}
	settling := map[Device]Amount{}
	open, found, err := unfinished(tx)
	if err != nil {
		return nil, false, err
	}
	if found {
		for _, p := range open.Payments {
			settling[p.Device] = settling[p.Device].Add(p.Amount)
		}
	}
	places := map[string]int{}
	err = eachAccount(tx, func(a Account) error {
		for _, c := range []struct {
			what       string
			has, wants Amount
		}{{"locked", a.Locked, sums[a.Device]}, {"in settlement", a.Settling, settling[a.Device]}} {
			if c.has.Cmp(c.wants) != 0 {
				wrong[a.Device] = fmt.Sprintf("it has %s %s, and its entries %s",
					c.has, c.what, c.wants)
			}
		}
		return l.places(&a, func(bucket string, key []byte) error {
			places[bucket]++
			again = again || !tx.Has(bucket, key)
			return nil
		})
	})
	for _, bucket := range []string{queue, refused} {
		n := 0
		err = errors.Join(err, tx.Each(bucket, nil, func(store.Record) (bool,
			error) {
			n++
			return n <= math.MaxInt32, nil
		}))
		again = again || n != places[bucket]
	}
	return wrong, again, err
}

// Check recounts an open ledger. Errors wrap ErrCorrupt.
func (l *Ledger) Check() error {
	return l.file.View(func(tx *store.Tx) error {
		wrong, again, err := l.compare(tx)
		switch {
		case err != nil:
			return err
		case again:
			return fmt.Errorf("%w: the queue of those to be paid", ErrCorrupt)
		}
		for device, why := range wrong {
			return fmt.Errorf("%w: the account of %s: %s", ErrCorrupt, device, why)
		}
		return eachAccount(tx, func(a Account) error {
			n := uint64(0)
			err := tx.Each(past, a.Device[:], func(r store.Record) (bool, error) {
				if !bytes.HasPrefix(r.Key, a.Device[:]) {
					return false, nil
				}
				n++
				return true, nil
			})
			if err == nil && n != a.Past {
				err = fmt.Errorf("%w: the account of %s keeps %d sources, there are %d", ErrCorrupt,
					a.Device, a.Past, n)
			}
			return err
		})
	})
}

// Look reads a ledger's file that nothing has open, and changes nothing. Errors are
// those of [store.Look].
func Look(path string) (store.Found, error) { return store.Look(path, options) }

// Salvage makes a new file of what can be read of one that [Open] refuses, and
// returns how many records, and where the old file is.
func Salvage(path string) (records int, old string, err error) {
	l := &Ledger{least: one}
	return store.Salvage(path, options, func(bucket string, _, _ []byte) bool {
		switch bucket {
		case locked, past, queue, refused: // made again from the others
			return false
		}
		return true
	}, func(tx *store.Tx) error {
		return joined(latest(tx), l.orphans(tx), buried(tx), withdrawn(tx),
			l.reindex(tx), numbers(tx))
	})
}

// latest makes two records of an account the same, the later one, and of what is
// paid ahead or where the account stands the higher one.
func latest(tx *store.Tx) error {
	var keys [][]byte
	err := tx.Each(copies, nil, func(r store.Record) (bool,
		error) {
		keys = append(keys, bytes.Clone(r.Key))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		var a, b Account
		_, err1 := tx.Get(accounts, key, &a)
		_, err2 := tx.Get(copies, key, &b)
		if a.Version < b.Version {
			a = b
		}
		if err := joined(err1, err2, tx.Put(accounts, key, a), tx.Put(copies, key, a)); err != nil {
			return err
		}
	}
	var one, two Books
	k := twice(nil)
	_, err1 := tx.Get(books, k[0], &one)
	_, err2 := tx.Get(books, k[1], &two)
	if two.Sequence > one.Sequence || two.Sequence == one.Sequence && two.Height > one.Height {
		one = two
	}
	if err := joined(err1, err2); err != nil || one.ID == "" {
		return err
	}
	return putBooks(tx, one)
}

// withdrawn gives up a settlement that came back as open, where the accounts know
// that it is over.
func withdrawn(tx *store.Tx) error {
	s, found, err := unfinished(tx)
	if err != nil || !found {
		return err
	}
	for _, p := range s.Payments {
		var a Account
		if account(tx, p.Device, &a) == nil && a.Settling.Cmp(p.Amount) < 0 {
			s.Given = "the ledger's file was damaged; its accounts say that this one is over"
			return tx.Put(settlements, store.Number(s.Number), &s)
		}
	}
	return nil
}

// buried drops entries that came back as they were while they were locked, where
// their accounts know that they are forgotten.
func buried(tx *store.Tx) error {
	sums, _, err := sumEntries(tx)
	if err != nil {
		return err
	}
	drop := map[Device]bool{}
	floors := map[Device]map[Kind]uint64{}
	err = eachAccount(tx, func(a Account) error {
		drop[a.Device], floors[a.Device] = sums[a.Device].Cmp(a.Locked) > 0, a.Floor
		return nil
	})
	var keys [][]byte
	err = errors.Join(err, tx.Each(entries, nil, func(r store.Record) (bool, error) {
		var e Entry
		err := r.Decode(&e)
		if err == nil && e.State == Locked && drop[e.Device] &&
			e.Order <= floors[e.Device][e.Kind] {
			keys = append(keys, bytes.Clone(r.Key))
		}
		return err == nil, err
	}))
	for _, k := range keys {
		err = errors.Join(err, tx.Delete(entries, k))
	}
	return err
}

// numbers goes on behind the numbers that are used.
func numbers(tx *store.Tx) error {
	for _, bucket := range []string{entries, settlements} {
		var last uint64
		err := tx.Each(bucket, nil, func(r store.Record) (bool, error) {
			var n struct {
				Number uint64 `json:"number"`
			}
			err := r.Decode(&n)
			last = max(last, n.Number)
			return err == nil, err
		})
		if err == nil {
			err = tx.Skip(bucket, last)
		}
		if err != nil {
			return err
		}
	}
	return eachAccount(tx, func(a Account) error { return tx.Skip(queue, a.Queue) })
}
