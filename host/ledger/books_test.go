// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/internal/flips"
)

// settle pays what can be paid, up to n accounts, and returns how many.
func settle(t testing.TB, l *Ledger, n int) (Settlement, int) {
	t.Helper()
	pays, err := l.Payable(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(pays) == 0 {
		return Settlement{}, 0
	}
	b, err := l.Books()
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx"),
		Hash: fmt.Sprint("tx", b.Sequence), Sequence: b.Sequence, Timeout: 9})
	if err == nil {
		err = l.Finish(s.Number, int64(b.Sequence)+10, noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, len(pays)
}

// quick is a ledger whose writes are not flushed.
func quick(t testing.TB, rules Rules, least Amount) (l *Ledger, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ledger.db")
	l = reopen(t, path, rules, least)
	follow(t, l)
	return l, path
}

func reopen(t testing.TB, path string, rules Rules, least Amount) *Ledger {
	t.Helper()
	o := options
	o.NoSync = true
	l, err := open(path, rules, least, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// 120 machines earn in every cycle and 50 are paid in each: all of them are paid,
// and none waits for more than three.
// Holds spec H-16.
func TestTheOldestDebtIsPaidFirst(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
	var all []Device
	for i := range 120 {
		all = append(all, Device{byte(i), 1})
	}
	register(t, l, all...)
	waits := map[Device]int{}
	for cycle := range 12 {
		for _, d := range all {
			credit(t, l, d, fmt.Sprint(cycle), 1)
			waits[d]++
		}
		s, _ := settle(t, l, 50)
		for _, p := range s.Payments {
			waits[p.Device] = 0
		}
		for d, n := range waits {
			if n > 3 {
				t.Fatalf("cycle %d: %s waits for the %dth time", cycle, d, n)
			}
		}
	}
}

// Whom the chain refuses is put off, and nobody behind him waits; another address
// or the height brings him back. Below the least nobody is in the queue.
// Holds spec H-16.
func TestWhoIsRefusedHoldsUpNobody(t *testing.T) {
	l, path := quick(t, Rules{Unlock: 0, Strikes: 1}, coins(5))
	a, b, c := Device{1}, Device{2}, Device{3}
	register(t, l, a, b, c)
	credit(t, l, a, "x", 9)
	credit(t, l, b, "x", 7)
	credit(t, l, c, "x", 4)
	first := func(want ...Device) {
		t.Helper()
		pays, err := l.Payable(10)
		if err != nil || len(pays) != len(want) {
			t.Fatalf("%+v, %v", pays, err)
		}
		for i, d := range want {
			if pays[i].Device != d {
				t.Fatalf("%+v", pays)
			}
		}
	}
	first(a, b)
	if err := l.Refuse(a, 100, "a module's account"); err != nil {
		t.Fatal(err)
	}
	first(b)
	if err := l.Retry(99); err != nil {
		t.Fatal(err)
	}
	first(b)
	if err := l.Retry(100); err != nil {
		t.Fatal(err)
	}
	first(a, b)
	if err := l.Refuse(a, 200, "again"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Register(a, "cpc1other", noon); err != nil {
		t.Fatal(err)
	}
	first(a, b)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopen(t, path, Rules{Strikes: 1}, coins(8)) // another least
	first(a)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopen(t, path, Rules{Strikes: 1}, coins(1))
	first(a, b, c)
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// A machine's thousands of entries become sums; its latest sources stay known,
// and what is older than those is not claimed again.
func TestOldEntriesBecomeSums(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 2, Strikes: 1}, Amount{})
	d := Device{1}
	register(t, l, d)
	base := uint64(noon.UnixMilli())
	enter := func(i uint64, claim bool) error {
		e := Entry{Device: d, Kind: Loops, Source: fmt.Sprint(i), Order: base + i,
			Ops: 1 << 63, Pay: coins(1)}
		_, err := l.Credit(e)
		if claim {
			_, err = l.Reclaim(e)
		}
		return err
	}
	for i := uint64(1); i <= 1000; i++ {
		if err := enter(i, false); err != nil {
			t.Fatal(err)
		}
	}
	a := standing(t, l, d)
	if a.Entries != 1000 || a.Locked.String() != "2" || a.Due.String() != "998" ||
		a.Past != keepPast || a.Floor[Loops] != base+1000-2-keepPast {
		t.Fatalf("%+v", a)
	}
	if want := "9223372036854775808000"; a.Ops.String() != want {
		t.Errorf("%s operations, want %s", a.Ops, want)
	}
	found, err := store.Look(filepath.Join(t.TempDir(), "none"), options)
	if err == nil {
		t.Errorf("a file that is not there: %+v", found)
	}
	for i := uint64(900); i <= 1000; i++ { // known
		if err := enter(i, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Reclaim(Entry{Device: d, Kind: Loops, Source: "700", Order: base + 700,
		Pay: coins(1)}); !errors.Is(err, ErrOld) {
		t.Errorf("claimed again: %v", err)
	}
	if a := standing(t, l, d); a.Entries != 1000 {
		t.Errorf("%d entries", a.Entries)
	}
	// What was earned before this ledger was begun, another one has paid, or lost.
	before := Entry{Device: d, Kind: Loops, Source: "before", Order: 1_700_000_000_000,
		Pay: coins(1)}
	if _, err := l.Reclaim(before); !errors.Is(err, ErrOld) {
		t.Errorf("of before: %v", err)
	}
	if list, err := l.Lacks([]Entry{before}); err != nil || len(list) != 0 {
		t.Errorf("lacks what is older than itself: %v, %v", list, err)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// A copy of the file is put back after later credits and payments. The chain's
// payments are entered, what was lost is claimed by receipts, and in the end
// everybody has got what he was credited, once: also who registered since.
func TestARestoredLedgerIsPaidOnce(t *testing.T) {
	l, path := quick(t, Rules{Unlock: 1, Strikes: 1}, Amount{})
	known, later := Device{1}, Device{2, 2, 2, 7}
	register(t, l, known)
	credit(t, l, known, "a", 100)
	credit(t, l, known, "b", 10) // makes a due
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = reopen(t, path, Rules{Unlock: 1, Strikes: 1}, Amount{})
	paid := map[Device]int{}
	var onChain []Paid
	pay := func() {
		s, n := settle(t, l, 10)
		if n == 0 {
			return
		}
		p := Paid{Sequence: s.Sequence, Hash: s.Hash, Height: int64(s.Sequence) + 10,
			Number: s.Number}
		for _, x := range s.Payments {
			n := 0
			fmt.Sscan(x.Amount.String(), &n)
			paid[x.Device] += n
			p.To = append(p.To, PaidTo{Prefix: x.Device.Prefix(), Payout: x.Payout,
				Amount: x.Amount})
		}
		onChain = append(onChain, p)
	}
	pay() // 100
	register(t, l, later)
	for _, c := range []struct {
		d      Device
		source string
		pay    int
	}{{known, "c", 1}, {later, "x", 1000}, {later, "y", 2000}} {
		credit(t, l, c.d, c.source, c.pay)
		pay()
	}
	if len(onChain) != 3 || paid[known] != 110 || paid[later] != 1000 {
		t.Fatalf("the test pays something else: %v, %d settlements", paid, len(onChain))
	}
	if err := errors.Join(l.Close(), os.WriteFile(path, backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = reopen(t, path, Rules{Unlock: 1, Strikes: 1}, Amount{})
	if err := l.Book(onChain[1], noon); !errors.Is(err, ErrSettlement) {
		t.Errorf("out of turn: %v", err)
	}
	for _, p := range onChain {
		if err := l.Book(p, noon); err != nil {
			t.Fatal(err)
		}
	}
	if a := standing(t, l, known); a.Settled.String() != "100" || !a.Due.IsZero() {
		t.Errorf("after the chain was asked: %+v", a)
	}
	register(t, l, later)
	claim := func(d Device, source string, n int) {
		for range 2 {
			if _, err := l.Reclaim(Entry{Device: d, Kind: Loops, Source: source,
				Order: uint64(noon.UnixMilli()) + uint64(n), Pay: coins(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	claim(known, "a", 100)
	claim(known, "c", 1)
	claim(later, "x", 1000)
	claim(later, "y", 2000)
	for _, d := range []Device{known, later} {
		credit(t, l, d, "end", 0)
		credit(t, l, d, "end2", 0)
	}
	pay()
	if paid[known] != 111 || paid[later] != 3000 {
		t.Errorf("paid in all: %v", paid)
	}
	if n, err := l.Next(); err != nil || n != 5 {
		t.Errorf("the next settlement has number %d, %v", n, err)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

// Keys that begin alike are made in seconds. What the chain paid to one of them before
// a restore is taken off whichever is due, so their owner is not paid twice.
func TestKeysThatBeginAlikeGainNothing(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
	first, worked := Device{7, 7, 7, 1}, Device{7, 7, 7, 2}
	for _, d := range []Device{first, worked} {
		if _, err := l.Register(d, "cpc1owner", noon); err != nil {
			t.Fatal(err)
		}
	}
	credit(t, l, worked, "before", 40)
	paid := Paid{Sequence: 0, Hash: "h", Height: 5, Number: 1,
		To: []PaidTo{{Prefix: worked.Prefix(), Payout: "cpc1owner", Amount: coins(100)}}}
	if err := l.Book(paid, noon); err != nil {
		t.Fatal(err)
	}
	if a := standing(t, l, worked); !a.Due.IsZero() || a.Settled.String() != "40" {
		t.Errorf("what it was due is not covered: %+v", a)
	}
	credit(t, l, worked, "a", 60) // by its receipt
	credit(t, l, first, "b", 3)
	pays, err := l.Payable(9)
	if err != nil || len(pays) != 1 || pays[0].Device != first || pays[0].Amount.String() != "3" {
		t.Errorf("%+v, %v", pays, err)
	}
}

func TestPromises(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
	d := Device{1}
	if err := l.Promise(Promise{Device: d}); !errors.Is(err, ErrUnknown) {
		t.Errorf("to nobody: %v", err)
	}
	register(t, l, d)
	for epoch := uint64(1); epoch <= 3; epoch++ {
		for range 2 {
			if err := l.Promise(Promise{Device: d, Source: fmt.Sprint("epoch/", epoch),
				Epoch: epoch, Count: 10, Ops: 1 << 40, Rate: coins(2)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := l.Promises(2, 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for range 2 {
		if err := l.Fulfil(list[0], 8<<40, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Fulfil(list[1], 0, noon); err != nil {
		t.Fatal(err)
	}
	if err := l.Promise(list[0]); err != nil { // again, by who does not know that it is credited
		t.Fatal(err)
	}
	if a := standing(t, l, d); a.Due.String() != "16" || a.Entries != 1 {
		t.Errorf("%+v", a)
	}
	if list, err := l.Promises(9, 10); err != nil || len(list) != 1 || list[0].Epoch != 3 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, epochs := range [][]uint64{nil, {1, 2}, {2, 3}} {
		if err := l.SetCredited(epochs); err != nil {
			t.Fatal(err)
		}
		if have, err := l.Credited(); err != nil || !slices.Equal(have, epochs) {
			t.Errorf("%v are credited, want %v, %v", have, epochs, err)
		}
	}
}

// A ledger that version 0.2 of the program wrote: with all it owes, an open
// settlement among it.
func TestVersion1IsBroughtOver(t *testing.T) {
	raw, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	l := reopen(t, path, Rules{Unlock: 2, Strikes: 2}, Amount{})
	for i, want := range []string{"6 111 0 100 300 0", "5 83 70 0 140 0", "2 48 0 0 0 9",
		"2 0 0 0 0 1000"} {
		a := standing(t, l, Device{byte(i + 1)})
		if have := fmt.Sprint(a.Entries, a.Locked, a.Due, a.Settling, a.Settled,
			a.Forfeited); have != want {
			t.Errorf("account %d: %s, want %s", i+1, have, want)
		}
	}
	open, found, err := l.Unfinished()
	if err != nil || !found || open.Number != 2 || open.Sequence != 7 ||
		string(open.Raw) != "raw BB" {
		t.Fatalf("the open settlement: %+v, %v, %v", open, found, err)
	}
	if b, err := l.Books(); err != nil || b.Sequence != 7 || b.Height != 107 || b.Account != "" {
		t.Errorf("the books: %+v, %v", b, err)
	}
	if err := l.Finish(2, 110, noon); err != nil {
		t.Fatal(err)
	}
	if e, err := l.Credit(Entry{Device: Device{1}, Kind: Loops, Source: "challenge-3",
		Pay: coins(9)}); err != nil || e.Pay.String() != "100" {
		t.Errorf("a source that was credited: %+v, %v", e, err)
	}
	if list, err := l.Transfers(Device{1}, 9); err != nil || len(list) != 2 ||
		list[1].Hash != "AA" {
		t.Errorf("transfers: %+v, %v", list, err)
	}
	if e := credit(t, l, Device{2}, "next", 1); e.Number <= 15 {
		t.Errorf("its number is %d", e.Number)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(store.Old(path)); err != nil {
		t.Error(err)
	}
}

// A file of version 1 has no checksums, but says twice what is owed. Whichever bit of it changes,
// nobody is owed another sum: the account is set aside, or the file refused.
func TestFlipsInVersion1(t *testing.T) {
	raw, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		t.Fatal(err)
	}
	whole := t.TempDir()
	if err := os.WriteFile(filepath.Join(whole, "ledger.db"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options
	o.NoSync = true
	flips.Each(t, whole, 500, 50, nil, func(dir string, d flips.Damage) (flips.Outcome, error) {
		path := filepath.Join(dir, "ledger.db")
		l, err := open(path, Rules{Unlock: 2, Strikes: 2}, Amount{}, o)
		switch {
		case err != nil && (!strings.Contains(err.Error(), path) ||
			!errors.Is(err, store.ErrDamaged) && !strings.Contains(err.Error(), "as it was")):
			return flips.Refused, err
		case err != nil:
			return flips.Refused, nil
		}
		outcome := flips.Unchanged
		set, err := l.Aside(9)
		if len(set)+len(l.Mended) > 0 {
			outcome = flips.Mended
		}
		for i, want := range []string{"111 100", "83 70", "48 0", "0 0"} {
			d := Device{byte(i + 1)}
			if set[d] != "" {
				continue
			}
			a, err := l.Account(d)
			// together: the page that told of the last change, the settlement's beginning, may be
			// gone
			if have := fmt.Sprint(a.Locked, a.Due.Add(a.Settling)); err != nil || have != want {
				return outcome, fmt.Errorf("account %d: %s, want %s, %w", i+1, have, want, err)
			}
		}
		return outcome, errors.Join(err, l.Check(), l.Close())
	}).Saw(t, "ledger.db")
}

// Whichever bit of the file changes: a machine is paid what it is owed, or its
// account is set aside, or the file is refused and a new one made of what is
// there. Nobody is paid more.
func TestFlipsPayNobodyTwice(t *testing.T) {
	l, path := quick(t, Rules{Unlock: 3, Strikes: 1}, Amount{})
	var all []Device
	for i := range 12 {
		all = append(all, Device{byte(16 * i), byte(i), 3})
	}
	register(t, l, all...)
	owed := map[Device]int{}
	for i := range 201 {
		d := all[i%len(all)]
		credit(t, l, d, fmt.Sprint(i), i)
		if i%40 == 39 {
			settle(t, l, 5)
		}
	}
	for _, d := range all {
		a := standing(t, l, d)
		n := 0
		fmt.Sscan(a.Due.Add(a.Locked).String(), &n)
		owed[d] = n
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o := options
	o.NoSync = true
	flips.Each(t, filepath.Dir(path), 1500, 150, nil,
		func(dir string, d flips.Damage) (outcome flips.Outcome, err error) {
			path := filepath.Join(dir, "ledger.db")
			l, err := open(path, Rules{Unlock: 3, Strikes: 1}, Amount{}, o)
			if errors.Is(err, store.ErrDamaged) {
				if outcome = flips.Refused; d.Cut {
					return outcome, nil
				}
				if !strings.Contains(err.Error(), path) {
					return outcome, fmt.Errorf("the file is not named: %w", err)
				}
				if _, _, err := Salvage(path); err != nil {
					return outcome, err
				}
				l, err = open(path, Rules{Unlock: 3, Strikes: 1}, Amount{}, o)
			}
			if err != nil {
				return outcome, err
			}
			set, err := l.Aside(100)
			if err != nil {
				return outcome, err
			}
			if len(l.Mended)+len(set) > 0 && outcome == flips.Unchanged {
				outcome = flips.Mended
			}
			if len(set) > 1 {
				return outcome, fmt.Errorf("one record stops many: %v", set)
			}
			for _, d := range all {
				if set[d] != "" {
					continue
				}
				a, err := l.Account(d)
				if err != nil {
					return outcome, err
				}
				n := 0
				fmt.Sscan(a.Due.Add(a.Locked).Add(a.Settling).String(), &n)
				// the page that told of the last change is gone, which was said
				if n != owed[d] && (n != owed[d]-200 || outcome == flips.Unchanged) {
					return outcome, fmt.Errorf("%s is owed %d, not %d; %v", d, n, owed[d], l.Mended)
				}
			}
			return outcome, errors.Join(l.Check(), l.Close())
		}).Saw(t, "ledger.db")
}
