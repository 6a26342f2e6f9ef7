// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/assaynet/assay/host/batch"
)

var (
	// ErrUnknown reports a device that was never registered.
	ErrUnknown = errors.New("ledger: no such account")
	// ErrBanned reports a device that may earn nothing any more.
	ErrBanned = errors.New("ledger: the device is banned")
	// ErrSettlement reports a settlement that does not fit what is due or open.
	ErrSettlement = errors.New("ledger: settlement")
	// ErrCorrupt reports a file that contradicts itself.
	ErrCorrupt = errors.New("ledger: the file does not add up")
)

// Device is a machine's Ed25519 device key. Its text is hex.
type Device [32]byte

// String returns the key in hex.
func (d Device) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String.
func (d Device) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads hex.
func (d *Device) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(d[:], text[:min(len(text), 64)]); err != nil || n != len(d) || len(text) != 64 {
		return fmt.Errorf("ledger: %q is not a device key: want 64 hex digits", text)
	}
	return nil
}

// Kind is what an entry is for.
type Kind string

const (
	Loops  Kind = "loops"  // of an M-PoC submission; Source is the challenge
	Leaves Kind = "leaves" // of a Sprint's log; Source is epoch and segment
	Stream Kind = "stream" // continuous leaves; Source is the commit
)

// State is how far an entry has come.
type State string

const (
	Locked    State = "locked"
	Due       State = "due"
	Settling  State = "settling"
	Settled   State = "settled"
	Forfeited State = "forfeited"
)

// Entry is one credit.
type Entry struct {
	Number  uint64 `json:"number"` // from 1, without gaps
	Device  Device `json:"device"`
	Kind    Kind   `json:"kind"`
	Source  string `json:"source"` // with Device and Kind: taken once
	Ops     uint64 `json:"ops"`    // verified operations
	Pay     Amount `json:"pay"`
	Taken   Amount `json:"taken"` // what a fault found later took off Pay
	State   State  `json:"state"`
	At      int64  `json:"at_ms"`             // credited, by the host's clock
	Clean   uint64 `json:"clean"`             // the account's count with this one
	Rules   Rules  `json:"rules"`             // it was made under, and is judged by
	Receipt string `json:"receipt,omitempty"` // digest of the receipt, hex
	// Settlement is the one that pays it, from Settling on.
	Settlement uint64 `json:"settlement,omitempty"`
	// Reason says why it was forfeited, or something taken off it.
	Reason string `json:"reason,omitempty"`
}

// Account is one device's standing.
type Account struct {
	Device  Device `json:"device"`
	Payout  string `json:"payout,omitempty"` // address that is paid; without one nothing is settled
	Since   int64  `json:"since_ms"`
	Clean   uint64 `json:"clean"` // submissions credited since pay was forfeited
	Entries uint64 `json:"entries"`
	Ops     uint64 `json:"ops"` // credited, forfeited ones too
	Strikes int    `json:"strikes"`
	Banned  bool   `json:"banned"`
	Reason  string `json:"reason,omitempty"` // why pay was forfeited last

	Locked    Amount `json:"locked"`
	Due       Amount `json:"due"`
	Settling  Amount `json:"settling"`
	Settled   Amount `json:"settled"`
	Forfeited Amount `json:"forfeited"`
}

// amount is the account's sum of one state.
func (a *Account) amount(s State) *Amount {
	switch s {
	case Locked:
		return &a.Locked
	case Due:
		return &a.Due
	case Settling:
		return &a.Settling
	case Settled:
		return &a.Settled
	default:
		return &a.Forfeited
	}
}

// Rules are the host's, and signed with its terms.
type Rules struct {
	// Unlock is W: how many further clean submissions make an entry due.
	Unlock uint64 `json:"unlock"`
	// Strikes is how many proven cheats ban a device.
	Strikes int `json:"strikes"`
}

var (
	accounts    = []byte("accounts")    // device -> Account
	entries     = []byte("entries")     // number -> Entry
	sources     = []byte("sources")     // device, kind, source -> number
	locked      = []byte("locked")      // device, number: entries in that state -> at which count of clean ones they are due
	due         = []byte("due")         // device, number: likewise, without the count
	settlements = []byte("settlements") // number -> Settlement
	unfinished  = []byte("unfinished")  // number: settlements without an end
	transfers   = []byte("transfers")   // device, number: settlements that paid it
)

// Ledger is safe for concurrent use.
type Ledger struct {
	db      *bolt.DB
	changes *batch.Writer // of db: those that machines cause
	rules   Rules
}

// lockTime is how long Open waits for another program to let go of the file.
const lockTime = 2 * time.Second

// Open opens a ledger, making one where there is none. One program at a time
// has it open.
func Open(path string, rules Rules) (*Ledger, error) {
	return open(path, rules, bolt.Options{Timeout: lockTime})
}

func open(path string, rules Rules, options bolt.Options) (*Ledger, error) {
	if rules.Strikes < 1 {
		return nil, fmt.Errorf("ledger: %d strikes until a ban, want at least 1", rules.Strikes)
	}
	db, err := bolt.Open(path, 0o600, &options)
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("ledger: %s is in use; is another host running on this folder?", path)
	} else if err != nil {
		return nil, fmt.Errorf("ledger: open %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{accounts, entries, sources, locked, due, settlements, unfinished, transfers} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: prepare %s: %w", path, err), db.Close())
	}
	return &Ledger{db: db, changes: batch.New(db), rules: rules}, nil
}

// Under returns the same ledger for what is judged by other rules than the host's
// of today: those that a challenge was offered under. What was entered before
// keeps its own.
func (l *Ledger) Under(rules Rules) *Ledger {
	other := *l
	other.rules = rules
	return &other
}

// Close closes the file.
func (l *Ledger) Close() error { return l.db.Close() }

// Register makes a device's account, or changes where it is paid; an empty payout
// changes nothing. Errors wrap
// ErrBanned.
func (l *Ledger) Register(device Device, payout string, now time.Time) (a Account, err error) {
	err = l.changes.Do(func(tx *bolt.Tx) error {
		a = Account{}
		switch err := get(tx, accounts, device[:], &a); {
		case errors.Is(err, errAbsent):
			a = Account{Device: device, Since: now.UnixMilli()}
		case err != nil:
			return err
		case a.Banned:
			return fmt.Errorf("%w: %s", ErrBanned, a.Reason)
		}
		if payout != "" {
			a.Payout = payout
		}
		return put(tx, accounts, device[:], &a)
	})
	return a, err
}

// Account returns a device's standing. Errors wrap ErrUnknown.
func (l *Ledger) Account(device Device) (a Account, err error) {
	err = l.db.View(func(tx *bolt.Tx) error { return account(tx, device, &a) })
	return a, err
}

// Accounts returns up to n accounts behind a device, in the keys' order; the
// zero device begins.
func (l *Ledger) Accounts(after Device, n int) (list []Account, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(accounts).Cursor()
		k, v := c.Seek(after[:])
		if bytes.Equal(k, after[:]) {
			k, v = c.Next()
		}
		for ; k != nil && len(list) < n; k, v = c.Next() {
			var a Account
			if err := decode(v, &a); err != nil {
				return err
			}
			list = append(list, a)
		}
		return nil
	})
	return list, err
}

// Entry returns the credit for a source, and whether there is one.
func (l *Ledger) Entry(device Device, kind Kind, source string) (e Entry, found bool, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		number := tx.Bucket(sources).Get(sourceKey(device, kind, source))
		if number == nil {
			return nil
		}
		found = true
		return get(tx, entries, number, &e)
	})
	return e, found, err
}

// History returns up to n of a device's latest entries before a number, latest
// first; 0 begins with the last.
func (l *Ledger) History(device Device, before uint64, n int) (list []Entry, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(entries).Cursor()
		k, v := c.Last()
		if before > 0 {
			c.Seek(number(before))
			k, v = c.Prev()
		}
		for ; k != nil && len(list) < n; k, v = c.Prev() {
			var e Entry
			if err := decode(v, &e); err != nil {
				return err
			}
			if e.Device == device {
				list = append(list, e)
			}
		}
		return nil
	})
	return list, err
}

// Credit enters pay, locked, and unlocks what has waited long enough. The same
// source again changes nothing and returns the entry that is there. e's Device,
// Kind, Source, Ops, Pay, At and Receipt count. Errors wrap ErrUnknown or
// ErrBanned.
func (l *Ledger) Credit(e Entry) (Entry, error) { return l.credit(e, nil, "") }

// CreditFaulty is Credit for a submission in which a machine showed faults that
// are no fraud: bad of 2^64 of its work may be wrong. What is locked came from
// the same machine and loses that share too, rounded up; e.Pay has lost it
// already.
func (l *Ledger) CreditFaulty(e Entry, bad uint64, reason string) (Entry, error) {
	return l.credit(e, new(big.Int).SetUint64(bad), reason)
}

func (l *Ledger) credit(e Entry, bad *big.Int, reason string) (entered Entry, err error) {
	err = l.changes.Do(func(tx *bolt.Tx) error {
		entered = Entry{}
		key := sourceKey(e.Device, e.Kind, e.Source)
		if known := tx.Bucket(sources).Get(key); known != nil {
			return get(tx, entries, known, &entered)
		}
		var a Account
		if err := account(tx, e.Device, &a); err != nil {
			return err
		}
		if a.Banned {
			return fmt.Errorf("%w: %s", ErrBanned, a.Reason)
		}
		if bad != nil {
			if err := take(tx, &a, bad, reason); err != nil {
				return err
			}
		}
		n, err := tx.Bucket(entries).NextSequence()
		if err != nil {
			return err
		}
		a.Clean++
		a.Entries++
		a.Ops += e.Ops
		entered = e
		entered.Number, entered.State, entered.Clean = n, Locked, a.Clean
		entered.Settlement, entered.Reason, entered.Taken, entered.Rules = 0, reason, Amount{}, l.rules
		a.Locked = a.Locked.Add(e.Pay)
		err = errors.Join(
			put(tx, entries, number(n), &entered),
			tx.Bucket(sources).Put(key, number(n)),
			lock(tx, entered),
			unlock(tx, &a),
			put(tx, accounts, a.Device[:], &a),
		)
		if err != nil {
			return err
		}
		return get(tx, entries, number(n), &entered) // with Unlock 0 it is due already
	})
	return entered, err
}

// take reduces all that is locked by a share of 2^64.
func take(tx *bolt.Tx, a *Account, bad *big.Int, reason string) error {
	all, err := collect(tx, locked, a.Device, func(Entry) bool { return true })
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
		if err := put(tx, entries, number(e.Number), &e); err != nil {
			return err
		}
	}
	return nil
}

// lock notes when a locked entry is due.
func lock(tx *bolt.Tx, e Entry) error {
	return tx.Bucket(locked).Put(within(e.Device, e.Number), number(e.Clean+e.Rules.Unlock))
}

// unlock makes due what as many clean submissions have followed as its rules want.
func unlock(tx *bolt.Tx, a *Account) error {
	var ripe []Entry
	c := tx.Bucket(locked).Cursor()
	for k, at := c.Seek(a.Device[:]); bytes.HasPrefix(k, a.Device[:]); k, at = c.Next() {
		if bytes.Compare(at, number(a.Clean)) > 0 {
			continue // later ones may have shorter rules
		}
		var e Entry
		if err := get(tx, entries, k[len(a.Device):], &e); err != nil {
			return err
		}
		ripe = append(ripe, e)
	}
	for _, e := range ripe {
		if err := move(tx, a, e, Due); err != nil {
			return err
		}
	}
	return nil
}

// Forfeit takes all that is locked, for a proven cheat; at the last strike the
// device is banned. The same source again changes nothing: source names the
// submission, and must not have been credited. It returns the entry, without
// pay, that keeps the reason.
func (l *Ledger) Forfeit(device Device, kind Kind, source, reason string, now time.Time) (Entry, error) {
	return l.blank(device, kind, source, reason, now, func(tx *bolt.Tx, a *Account, all []Entry) error {
		for _, e := range all {
			e.Reason = reason
			if err := move(tx, a, e, Forfeited); err != nil {
				return err
			}
		}
		a.Strikes++
		a.Banned = a.Banned || a.Strikes >= l.rules.Strikes
		return nil
	})
}

// Strike is Forfeit that takes nothing: for a cheat that the host saw and cannot
// show to others.
func (l *Ledger) Strike(device Device, kind Kind, source, reason string, now time.Time) (Entry, error) {
	return l.blank(device, kind, source, reason, now, func(_ *bolt.Tx, a *Account, _ []Entry) error {
		a.Strikes++
		a.Banned = a.Banned || a.Strikes >= l.rules.Strikes
		return nil
	})
}

// Silence enters questions that were not answered. It costs the submission, and
// what is locked waits anew for as many clean ones as its rules want. It takes nothing:
// nobody can show that there was no answer, so a host must not gain by saying
// so. Otherwise it is like Forfeit.
func (l *Ledger) Silence(device Device, kind Kind, source, reason string, now time.Time) (Entry, error) {
	return l.blank(device, kind, source, reason, now, func(*bolt.Tx, *Account, []Entry) error { return nil })
}

// blank makes an entry without pay and begins the count of clean submissions
// anew; then does something to what is locked.
func (l *Ledger) blank(device Device, kind Kind, source, reason string, now time.Time, then func(*bolt.Tx, *Account, []Entry) error) (entered Entry, err error) {
	err = l.changes.Do(func(tx *bolt.Tx) error {
		entered = Entry{}
		var a Account
		if err := account(tx, device, &a); err != nil {
			return err
		}
		key := sourceKey(device, kind, source)
		if known := tx.Bucket(sources).Get(key); known != nil {
			return get(tx, entries, known, &entered)
		}
		// It is an entry too, so that history shows it and the source is used up.
		n, err := tx.Bucket(entries).NextSequence()
		if err != nil {
			return err
		}
		all, err := collect(tx, locked, device, func(Entry) bool { return true })
		if err != nil {
			return err
		}
		for i := range all {
			all[i].Clean = 0 // it stays locked for as many clean ones from here on
			if err := errors.Join(put(tx, entries, number(all[i].Number), &all[i]), lock(tx, all[i])); err != nil {
				return err
			}
		}
		if err := then(tx, &a, all); err != nil {
			return err
		}
		a.Clean = 0
		a.Entries++
		a.Reason = reason
		entered = Entry{Number: n, Device: device, Kind: kind, Source: source, State: Forfeited, At: now.UnixMilli(), Rules: l.rules, Reason: reason}
		return errors.Join(
			put(tx, entries, number(n), &entered),
			tx.Bucket(sources).Put(key, number(n)),
			put(tx, accounts, device[:], &a),
		)
	})
	return entered, err
}

// move takes an entry to another state, in all the places that know of it.
func move(tx *bolt.Tx, a *Account, e Entry, to State) error {
	from := a.amount(e.State)
	rest, err := from.sub(e.Pay)
	if err != nil {
		return fmt.Errorf("entry %d of %s: %w", e.Number, e.Device, err)
	}
	*from = rest
	sum := a.amount(to)
	*sum = sum.Add(e.Pay)
	for _, s := range []struct {
		state State
		in    []byte
	}{{Locked, locked}, {Due, due}} {
		key := within(e.Device, e.Number)
		switch s.state {
		case e.State:
			err = tx.Bucket(s.in).Delete(key)
		case to:
			err = tx.Bucket(s.in).Put(key, nil)
		}
		if err != nil {
			return err
		}
	}
	e.State = to
	return put(tx, entries, number(e.Number), &e)
}

// collect reads a device's entries in an index, in order, as long as want says so.
func collect(tx *bolt.Tx, index []byte, device Device, want func(Entry) bool) (list []Entry, err error) {
	c := tx.Bucket(index).Cursor()
	for k, _ := c.Seek(device[:]); bytes.HasPrefix(k, device[:]); k, _ = c.Next() {
		var e Entry
		if err := get(tx, entries, k[len(device):], &e); err != nil {
			return nil, err
		}
		if !want(e) {
			break
		}
		list = append(list, e)
	}
	return list, nil
}

// Check recounts the file: every account's sums from its entries, every index
// from the entries' states. Errors wrap ErrCorrupt.
func (l *Ledger) Check() error {
	return l.db.View(func(tx *bolt.Tx) error {
		sums := make(map[Device]*Account)
		waiting := map[State]int{}
		err := tx.Bucket(entries).ForEach(func(_, v []byte) error {
			var e Entry
			if err := decode(v, &e); err != nil {
				return err
			}
			a := sums[e.Device]
			if a == nil {
				a = new(Account)
				sums[e.Device] = a
			}
			sum := a.amount(e.State)
			*sum = sum.Add(e.Pay)
			a.Forfeited = a.Forfeited.Add(e.Taken)
			a.Entries++
			waiting[e.State]++
			return nil
		})
		if err != nil {
			return err
		}
		for state, in := range map[State][]byte{Locked: locked, Due: due} {
			if n := tx.Bucket(in).Stats().KeyN; n != waiting[state] {
				return fmt.Errorf("%w: %d entries are %s, the index has %d", ErrCorrupt, waiting[state], state, n)
			}
		}
		err = tx.Bucket(locked).ForEach(func(k, at []byte) error {
			var e Entry
			if err := get(tx, entries, k[len(e.Device):], &e); err != nil {
				return err
			}
			if !bytes.Equal(at, number(e.Clean+e.Rules.Unlock)) {
				return fmt.Errorf("%w: entry %d is due at %x clean ones, not at %d", ErrCorrupt, e.Number, at, e.Clean+e.Rules.Unlock)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return tx.Bucket(accounts).ForEach(func(_, v []byte) error {
			var a Account
			if err := decode(v, &a); err != nil {
				return err
			}
			want := sums[a.Device]
			if want == nil {
				want = new(Account)
			}
			for _, s := range []State{Locked, Due, Settling, Settled, Forfeited} {
				if a.amount(s).Cmp(*want.amount(s)) != 0 {
					return fmt.Errorf("%w: account %s has %s %s, its entries %s", ErrCorrupt, a.Device, a.amount(s), s, want.amount(s))
				}
			}
			if a.Entries != want.Entries {
				return fmt.Errorf("%w: account %s counts %d entries, there are %d", ErrCorrupt, a.Device, a.Entries, want.Entries)
			}
			return nil
		})
	})
}

var errAbsent = errors.New("absent")

func account(tx *bolt.Tx, device Device, a *Account) error {
	err := get(tx, accounts, device[:], a)
	if errors.Is(err, errAbsent) {
		return fmt.Errorf("%w: device %s; register it first", ErrUnknown, device)
	}
	return err
}

func get(tx *bolt.Tx, bucket, key []byte, into any) error {
	raw := tx.Bucket(bucket).Get(key)
	if raw == nil {
		return fmt.Errorf("%w: %s %x", errAbsent, bucket, key)
	}
	return decode(raw, into)
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

func put(tx *bolt.Tx, bucket, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, raw)
}

// number is a key that sorts by value.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// within is a key of an index: a device's entries follow each other in order.
func within(device Device, n uint64) []byte {
	return append(device[:len(device):len(device)], number(n)...)
}

func sourceKey(device Device, kind Kind, source string) []byte {
	return append(append(append(device[:len(device):len(device)], kind...), 0), source...)
}
