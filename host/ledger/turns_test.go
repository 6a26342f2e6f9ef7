// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/assaynet/assay/host/store"
)

// Machines that earn while they are being paid are no longer due than the others: sixty
// of them, of which fifty are paid at a time, keep nobody from the front of the queue.
// Who was paid in part keeps his place, and so does everybody whose payment was given up.
func TestWhoIsPaidGoesBehindTheOthers(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
	busy, poor := make([]Device, 60), Device{0xff}
	for i := range busy {
		busy[i] = Device{byte(i), 1}
	}
	register(t, l, append(busy, poor)...)
	earn := func(cycle int) {
		for _, d := range busy {
			credit(t, l, d, fmt.Sprint(cycle), 1)
		}
	}
	earn(0)
	credit(t, l, poor, "once", 1)
	for cycle := 1; cycle <= 3; cycle++ {
		b, err := l.Books()
		if err != nil {
			t.Fatal(err)
		}
		pays, err := l.Payable(50)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx"), Hash: "tx",
			Sequence: b.Sequence, Timeout: 9})
		if err != nil {
			t.Fatal(err)
		}
		earn(cycle)
		if err := l.Finish(s.Number, int64(cycle)+10, noon); err != nil {
			t.Fatal(err)
		}
	}
	if a := standing(t, l, poor); a.Settled.String() != "1" {
		t.Errorf("after three payments of fifty the sixty-first is not paid: %+v", a)
	}
	first := func(what string, want Device) {
		t.Helper()
		if pays, err := l.Payable(1); err != nil || pays[0].Device != want {
			t.Errorf("%s: %s is first, want %s, %v", what, pays[0].Device, want, err)
		}
	}
	pays, err := l.Payable(1)
	if err != nil {
		t.Fatal(err)
	}
	front := pays[0].Device
	credit(t, l, front, "more", 5)
	for _, paid := range []bool{false, true} {
		b, err := l.Books()
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Begin(Settlement{Payments: []Payment{{Device: front, Payout: pays[0].Payout,
			Amount: coins(1)}}, Raw: []byte("tx"), Hash: "tx", Sequence: b.Sequence, Timeout: 9})
		if err != nil {
			t.Fatal(err)
		}
		if paid {
			err = l.Finish(s.Number, 20, noon)
		} else {
			err = l.GiveUp(s.Number, 0, "full blocks")
		}
		if err != nil {
			t.Fatal(err)
		}
		first(fmt.Sprintf("paid in part: %v", paid), front)
	}
}

// The records of an account are lost while it is being paid. The others' payment ends
// all the same, and what the chain paid to it is not paid again when it comes back.
func TestALostAccountHoldsUpNoSettlement(t *testing.T) {
	for _, paid := range []bool{true, false} {
		l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
		lost, other := Device{1}, Device{2}
		register(t, l, lost, other)
		credit(t, l, lost, "a", 30)
		credit(t, l, other, "a", 4)
		pays, err := l.Payable(9)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx"), Hash: "tx", Timeout: 9})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.file.Update(func(tx *store.Tx) error {
			return errors.Join(tx.Delete(accounts, lost[:]), tx.Delete(copies, lost[:]))
		}); err != nil {
			t.Fatal(err)
		}
		want := "30"
		if paid {
			want, err = "0", l.Finish(s.Number, 7, noon)
		} else {
			err = l.GiveUp(s.Number, 0, "full blocks")
		}
		if err != nil {
			t.Fatalf("paid %v: one account holds up the settlement: %v", paid, err)
		}
		register(t, l, lost)
		credit(t, l, lost, "b", 30) // by its receipt
		if a := standing(t, l, lost); a.Due.String() != want {
			t.Errorf("paid %v: %+v", paid, a)
		}
	}
}

// A settlement is begun for what is due, to the account that the device names now, alone,
// and with the number that the books want. Otherwise nothing changes.
func TestASettlementFitsTheBooks(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
	d := Device{1}
	register(t, l, d)
	credit(t, l, d, "a", 5)
	pays, err := l.Payable(1)
	if err != nil {
		t.Fatal(err)
	}
	fit := Settlement{Payments: pays, Raw: []byte("tx"), Hash: "tx", Timeout: 9}
	for what, edit := range map[string]func(*Settlement){
		"more than is due": func(s *Settlement) {
			s.Payments = []Payment{{Device: d, Payout: pays[0].Payout, Amount: coins(6)}}
		},
		"nothing": func(s *Settlement) {
			s.Payments = []Payment{{Device: d, Payout: pays[0].Payout}}
		},
		"to another account": func(s *Settlement) {
			s.Payments = []Payment{{Device: d, Payout: "cpc1old", Amount: coins(5)}}
		},
		"another sequence": func(s *Settlement) { s.Sequence = 1 },
		"another number":   func(s *Settlement) { s.Number = 7 },
		"no bytes":         func(s *Settlement) { s.Raw = nil },
		"no timeout":       func(s *Settlement) { s.Timeout = 0 },
	} {
		s := fit
		edit(&s)
		if _, err := l.Begin(s); !errors.Is(err, ErrSettlement) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if a := standing(t, l, d); a.Due.String() != "5" || !a.Settling.IsZero() {
		t.Fatalf("%+v", a)
	}
	if _, err := l.Begin(fit); err != nil {
		t.Fatal(err)
	}
	credit(t, l, d, "b", 5)
	if _, err := l.Begin(fit); !errors.Is(err, ErrSettlement) {
		t.Errorf("a second one: %v", err)
	}
	if err := l.Follow("cpc1payer", 4, 9); !errors.Is(err, ErrSettlement) {
		t.Errorf("the books are changed while one is open: %v", err)
	}
	if err := l.Book(Paid{Sequence: 0}, noon); !errors.Is(err, ErrSettlement) {
		t.Errorf("another is booked while one is open: %v", err)
	}
}

// What is as old as anything that is forgotten is no claim, also where the entries were
// not judged in the order in which they were issued; and nothing is that was earned
// before the ledger was begun, also for a device of which it has forgotten nothing.
func TestTheFloorOfClaims(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 0, Strikes: 1}, Amount{})
	d, fresh := Device{1}, Device{2}
	register(t, l, d, fresh)
	b, err := l.Books()
	if err != nil {
		t.Fatal(err)
	}
	enter := func(i, order uint64) {
		t.Helper()
		if _, err := l.Credit(Entry{Device: d, Kind: Loops, Source: fmt.Sprint(i),
			Order: b.Since + order, Pay: coins(1)}); err != nil {
			t.Fatal(err)
		}
	}
	enter(0, 900) // by a clock that was set back after it
	for i := uint64(1); i <= keepPast+1; i++ {
		enter(i, i)
	}
	for _, c := range []struct {
		device Device
		order  uint64
		old    bool
	}{{d, b.Since + 899, true}, {d, b.Since + 900, true}, {d, b.Since + 901, false},
		{fresh, b.Since, true}, {fresh, b.Since + 1, false}} {
		e := Entry{Device: c.device, Kind: Loops, Source: fmt.Sprint("claim ", c.order),
			Order: c.order, Pay: coins(1)}
		lacks, err := l.Lacks([]Entry{e})
		if err != nil || (len(lacks) == 0) != c.old {
			t.Errorf("%d: %d are lacking, %v", c.order-b.Since, len(lacks), err)
		}
		if _, err := l.Reclaim(e); errors.Is(err, ErrOld) != c.old {
			t.Errorf("%d: %v", c.order-b.Since, err)
		}
	}
}

// A ledger is put back from a backup and credits new work before the machine brings what lies
// between. All of that is entered, however much it is, in the order in which it was issued.
func TestAllThatABackupLacksIsReclaimed(t *testing.T) {
	l, _ := quick(t, Rules{Unlock: 2, Strikes: 1}, Amount{})
	d := Device{1}
	register(t, l, d)
	b, err := l.Books()
	if err != nil {
		t.Fatal(err)
	}
	loops := func(order uint64) Entry {
		return Entry{Device: d, Kind: Loops, Source: fmt.Sprint(order), Order: b.Since + order,
			Pay: coins(1)}
	}
	for order := uint64(1); order <= 600; order++ {
		if order > 150 && order <= 560 {
			continue
		}
		if _, err := l.Credit(loops(order)); err != nil {
			t.Fatal(err)
		}
	}
	for order := uint64(1); order <= 600; order++ {
		_, err := l.Reclaim(loops(order))
		if err != nil && (order > 150 || !errors.Is(err, ErrOld)) {
			t.Fatalf("%d: %v", order, err)
		}
		if order == 560 || order == 300 { // it works on meanwhile
			if _, err := l.Credit(loops(1000 + order)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := standing(t, l, d); a.Entries != 602 || a.Due.Add(a.Locked).String() != "602" {
		t.Errorf("%+v", a)
	}
}
