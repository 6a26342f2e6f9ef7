// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/host/store"
)

var (
	// ErrUnknown reports a device that was never registered.
	ErrUnknown = errors.New("ledger: no such account")
	// ErrBanned reports a device that may earn nothing any longer.
	ErrBanned = errors.New("ledger: the device is banned")
	// ErrSettlement reports a settlement that does not fit what is due, open, or on
	// the chain.
	ErrSettlement = errors.New("ledger: invalid settlement")
	// ErrCorrupt reports an account, or a file, that contradicts itself.
	ErrCorrupt = errors.New("ledger: it does not add up")
	// ErrOld reports a source that is older than the ledger remembers; it was
	// credited then, or never.
	ErrOld = errors.New("ledger: older than the ledger remembers")
)

// Device is a machine's Ed25519 device key. Its text is hex.
type Device [32]byte

// String returns the key in hex.
func (d Device) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String.
func (d Device) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads hex.
func (d *Device) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(d[:], text[:min(len(text), 64)]); err != nil ||
		n != len(d) || len(text) != 64 {
		return fmt.Errorf("ledger: %q is not a device key: want 64 hex digits", text)
	}
	return nil
}

// Kind is what an entry is for.
type Kind string

const (
	// of an M-PoC submission; Source is the challenge, Order its time of issue
	Loops  Kind = "loops"
	Leaves Kind = "leaves" // of a Sprint's log; Source is epoch and segment, Order the epoch
	Stream Kind = "stream" // continuous leaves; Source is the commit
)

// State is how far an entry has come. Beyond Due only its account's sums say.
type State string

const (
	Locked    State = "locked"
	Due       State = "due"
	Forfeited State = "forfeited"
)

// Entry is one credit.
type Entry struct {
	Number  uint64 `json:"number"` // from 1, rising
	Device  Device `json:"device"`
	Kind    Kind   `json:"kind"`
	Source  string `json:"source"`          // with Device and Kind: taken once
	Order   uint64 `json:"order,omitempty"` // rises with a kind's sources
	Ops     uint64 `json:"ops"`             // verified operations
	Pay     Amount `json:"pay"`
	Taken   Amount `json:"taken"` // what a fault found later took off Pay
	State   State  `json:"state"`
	At      int64  `json:"at_ms"` // credited, by the host's clock; for people
	Clean   uint64 `json:"clean"` // the account's count with this one
	Rules   Rules  `json:"rules"` // it was made under, and is judged by
	Receipt string `json:"receipt,omitempty"`
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
	Ops     Amount `json:"ops"` // credited, forfeited ones too; a count, of any size
	Strikes int    `json:"strikes"`
	Banned  bool   `json:"banned"`
	Reason  string `json:"reason,omitempty"` // why pay was forfeited last

	Locked    Amount `json:"locked"`
	Due       Amount `json:"due"`
	Settling  Amount `json:"settling"`
	Settled   Amount `json:"settled"`
	Forfeited Amount `json:"forfeited"`

	// its place among those that are paid, the lowest first; 0: none
	Queue uint64          `json:"queue,omitempty"`
	Past  uint64          `json:"past,omitempty"`  // entries that are kept for their source only
	Floor map[Kind]uint64 `json:"floor,omitempty"` // the highest Order that is forgotten
	Again uint64          `json:"again,omitempty"` // the latest entry that was reclaimed
	// the height until which it is not paid, since the chain refused it
	Refuse int64  `json:"refuse,omitempty"`
	Why    string `json:"why,omitempty"` // it did

	Version uint64 `json:"version"` // rises with every change: of two records the later one counts
}

// Rules are the host's, and signed with its terms.
type Rules struct {
	// Unlock is W: how many further clean submissions make an entry due.
	Unlock uint64 `json:"unlock"`
	// Strikes is how many proven cheats ban a device.
	Strikes int `json:"strikes"`
}

const (
	accounts = "accounts" // device -> Account
	copies   = "copies"   // likewise
	entries  = "entries"  // device, kind, source -> Entry
	// device, number -> at which count of clean ones an entry is due, key in entries
	locked      = "locked"
	past        = "past"        // device, number -> key in entries, of those that are not locked
	queue       = "queue"       // Account.Queue, device: those that can be paid
	refused     = "refused"     // Account.Refuse, device
	settlements = "settlements" // number -> Settlement
	transfers   = "transfers"   // device, number -> Transfer
	books       = "books"       // one Books
	promises    = "promises"    // epoch, device, source -> Promise
	// first bytes of device keys -> Amount that the chain paid before it was credited
	ahead = "ahead"
	aside = "aside" // device -> why its account is set aside
)

// options of the file. New buckets come last.
var options = store.Options{Kind: "ledger", Version: 2, Migrate: migrate,
	Buckets: []string{accounts, copies, entries, locked, past, queue, refused, settlements,
		transfers, books, promises, ahead, aside}}

// Ledger is safe for concurrent use.
type Ledger struct {
	file  *store.File
	rules Rules
	least Amount
	// Mended says what was damaged when the file was opened, and what became of it.
	Mended []string
}

// Open opens a ledger, making one where there is none. One program at a time
// has it open. least is the smallest amount that is paid to an account. Accounts
// that do not add up are set aside ([Ledger.Aside]). Errors are those of
// [store.Open] as well.
func Open(path string, rules Rules, least Amount) (*Ledger, error) {
	return open(path, rules, least, options)
}

func open(path string, rules Rules, least Amount, o store.Options) (*Ledger, error) {
	if rules.Strikes < 1 {
		return nil, fmt.Errorf("ledger: %d strikes until a ban, want at least 1", rules.Strikes)
	}
	if least.IsZero() {
		least = one
	}
	file, damaged, err := store.Open(path, o)
	if err != nil {
		return nil, err
	}
	l := &Ledger{file: file, rules: rules, least: least}
	if err = l.mend(damaged); err == nil {
		err = l.recount()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %s: %w", path, err), file.Close())
	}
	return l, nil
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
func (l *Ledger) Close() error { return l.file.Close() }

// Register makes a device's account, or changes where it is paid; an empty payout
// changes nothing. Errors wrap ErrBanned.
func (l *Ledger) Register(device Device, payout string, now time.Time) (a Account, err error) {
	err = l.file.Do(func(tx *store.Tx) error {
		a = Account{}
		switch err := account(tx, device, &a); {
		case errors.Is(err, ErrUnknown):
			a = Account{Device: device, Since: now.UnixMilli()}
		case err != nil:
			return err
		case a.Banned:
			return fmt.Errorf("%w: %s", ErrBanned, a.Reason)
		}
		if payout != "" && payout != a.Payout {
			a.Payout, a.Refuse, a.Why = payout, 0, ""
		}
		return l.put(tx, &a)
	})
	return a, err
}

// Account returns a device's standing. Errors wrap ErrUnknown, or ErrCorrupt where
// the account is set aside.
func (l *Ledger) Account(device Device) (a Account, err error) {
	err = l.file.View(func(tx *store.Tx) error { return account(tx, device, &a) })
	return a, err
}

// Accounts returns up to n accounts behind a device, in the keys' order; the
// zero device begins. Those that are set aside are left out.
func (l *Ledger) Accounts(after Device, n int) (list []Account, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		return tx.Each(accounts, after[:], func(r store.Record) (bool, error) {
			var a Account
			if bytes.Equal(r.Key, after[:]) || account(tx, Device(r.Key), &a) != nil {
				return true, nil
			}
			list = append(list, a)
			return len(list) < n, nil
		})
	})
	return list, err
}

// Entry returns the credit for a source, and whether there is one that is not
// forgotten.
func (l *Ledger) Entry(device Device, kind Kind, source string) (e Entry, found bool, err error) {
	err = l.file.View(func(tx *store.Tx) error {
		found, err = tx.Get(entries, sourceKey(device, kind, source), &e)
		return err
	})
	return e, found, err
}

// Aside lists up to n accounts that are set aside, with the reason.
func (l *Ledger) Aside(n int) (list map[Device]string, err error) {
	list = map[Device]string{}
	err = l.file.View(func(tx *store.Tx) error {
		return tx.Each(aside, nil, func(r store.Record) (bool, error) {
			why, err := r.Raw()
			list[Device(r.Key)] = string(why)
			return len(list) < n, err
		})
	})
	return list, err
}

// account reads one; a damaged record has a copy.
func account(tx *store.Tx, device Device, a *Account) error {
	if why, found, err := tx.Raw(aside, device[:]); err != nil || found {
		return fmt.Errorf("%w: the account of %s is set aside: %s; stop the host and run assay "+
			"host check --repair", ErrCorrupt, device, why)
	}
	found, err := tx.Get(accounts, device[:], a)
	if err != nil || !found {
		*a = Account{}
		other, again := tx.Get(copies, device[:], a)
		if again != nil || err != nil && !other {
			return fmt.Errorf("%w: both records of the account of %s are damaged: %w", ErrCorrupt,
				device, errors.Join(err, again))
		}
		found = other
	}
	if !found {
		return fmt.Errorf("%w: device %s; register it first", ErrUnknown, device)
	}
	return nil
}

// put writes an account, covers what is due by what is ahead, and keeps its places in the
// queue and among the refused.
func (l *Ledger) put(tx *store.Tx, a *Account) error {
	if err := cover(tx, a); err != nil {
		return err
	}
	var before Account
	switch err := account(tx, a.Device, &before); {
	case err == nil:
		if err := l.places(&before, tx.Delete); err != nil {
			return err
		}
	case !errors.Is(err, ErrUnknown):
		return err
	}
	switch {
	case a.Due.IsZero() && a.Settling.IsZero():
		a.Queue = 0
	case a.Queue == 0:
		n, err := tx.Next(queue)
		if err != nil {
			return err
		}
		a.Queue = n
	}
	a.Version++
	return errors.Join(
		tx.Put(accounts, a.Device[:], a),
		tx.Put(copies, a.Device[:], a),
		l.places(a, func(bucket string, key []byte) error { return tx.PutRaw(bucket, key, nil) }),
	)
}

// places does something to an account's keys in the indexes.
func (l *Ledger) places(a *Account, do func(bucket string, key []byte) error) error {
	switch {
	case a.Payout == "" || a.Due.Cmp(l.least) < 0:
		return nil
	case a.Refuse > 0:
		return do(refused, append(store.Number(uint64(a.Refuse)), a.Device[:]...))
	}
	return do(queue, append(store.Number(a.Queue), a.Device[:]...))
}

// cover settles what is due by what the chain paid ahead to keys that begin alike.
func cover(tx *store.Tx, a *Account) error {
	if a.Due.IsZero() {
		return nil
	}
	paid, err := getAhead(tx, a.Device.Prefix())
	if err != nil || paid.IsZero() {
		return err
	}
	covered := lesser(a.Due, paid)
	var err1, err2 error
	a.Due, err1 = a.Due.sub(covered)
	paid, err2 = paid.sub(covered)
	a.Settled = a.Settled.Add(covered)
	return errors.Join(err1, err2, putAhead(tx, a.Device.Prefix(), paid))
}

// within is a key of an index: a device's entries follow each other in order.
func within(device Device, n uint64) []byte {
	return append(device[:len(device):len(device)], store.Number(n)...)
}

func sourceKey(device Device, kind Kind, source string) []byte {
	return append(append(append(device[:len(device):len(device)], kind...), 0), source...)
}
