// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/assaynet/assay/host/store"
)

// migrate brings a ledger of version 1 to this one. There an account's operations
// were a number of 64 bits, an entry was kept for ever, with the settlement that
// paid it, and no transaction named its ledger.
func migrate(old *bolt.Tx, to *store.Tx) error {
	read := func(bucket string, do func(raw []byte) error) error {
		b := old.Bucket([]byte(bucket))
		if b == nil {
			return fmt.Errorf("%w: it has no %s", ErrCorrupt, bucket)
		}
		return b.ForEach(func(k, raw []byte) error {
			if err := do(raw); err != nil {
				return fmt.Errorf("%s %x: %w", bucket, k, err)
			}
			return nil
		})
	}
	l := &Ledger{file: nil, least: one}
	all := map[Device]*Account{}
	err := read(accounts, func(raw []byte) error {
		var v struct {
			Account
			Ops uint64 `json:"ops"`
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		a := v.Account
		a.Ops = count(v.Ops)
		all[a.Device] = &a
		return nil
	})
	if err != nil {
		return err
	}
	last, sums := uint64(0), map[Device]map[State]Amount{}
	err = read(entries, func(raw []byte) error {
		var e Entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		last = max(last, e.Number)
		a, sum := all[e.Device], sums[e.Device]
		if sum == nil {
			sum = map[State]Amount{}
			sums[e.Device] = sum
		}
		sum[e.State] = sum[e.State].Add(e.Pay)
		sum[Forfeited] = sum[Forfeited].Add(e.Taken)
		switch {
		case a == nil:
			return fmt.Errorf("%w: an entry of nobody", ErrCorrupt)
		case e.State == Locked:
			return joined(to.Put(entries, e.key(), &e), lock(to, e))
		case e.State != Forfeited:
			e.State = Due // or beyond; the sums say so
		}
		return remember(to, a, e)
	})
	if err != nil {
		return err
	}
	b := Books{ID: newID()}
	open, err := migrateSettlements(read, to, &b)
	if err != nil {
		return err
	}
	for device, a := range all {
		why := differs(*a, sums[device])
		if err := l.put(to, a); err != nil {
			return err
		}
		if why != "" {
			// which of the two is right cannot be told: the entries are, once its owner says so
			if err := joined(to.PutRaw(aside, device[:], []byte(why)),
				to.Delete(accounts, device[:]), to.Delete(copies, device[:])); err != nil {
				return err
			}
		}
	}
	return joined(to.Skip(entries, last), to.Skip(settlements, open), putBooks(to, b))
}

// differs says which sum of an account of version 1 is not that of its entries, which then told how
// far each had come. Such files have no checksums, and a digit that is another would be paid.
func differs(a Account, sums map[State]Amount) string {
	for _, c := range []struct {
		state State
		has   Amount
	}{{Locked, a.Locked}, {Due, a.Due}, {"settling", a.Settling}, {"settled", a.Settled},
		{Forfeited, a.Forfeited}} {
		if c.has.Cmp(sums[c.state]) != 0 {
			return fmt.Sprintf("in the file of version 1 it has %s %s, and its entries %s", c.has,
				c.state, sums[c.state])
		}
	}
	return ""
}

func joined(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// migrateSettlements takes over the settlements, and from them where the paying
// account stands. It returns the last number.
func migrateSettlements(read func(string, func([]byte) error) error, to *store.Tx,
	b *Books) (last uint64, err error) {
	err = read(settlements, func(raw []byte) error {
		var s Settlement
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		last = s.Number
		b.Sequence = s.Sequence
		if s.Height > 0 {
			b.Sequence, b.Height = s.Sequence+1, s.Height
			for _, p := range s.Payments {
				if err := transfer(to, p, s); err != nil {
					return err
				}
			}
		}
		if s.over() {
			s.Raw = nil
		}
		return to.Put(settlements, store.Number(s.Number), &s)
	})
	if err == nil && last > 0 {
		err = forget(to, last)
	}
	return last, err
}
