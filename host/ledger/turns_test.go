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
		s, err := l.Begin(Settlement{Payments: pays, Raw: []byte("tx"), Hash: "tx", Sequence: b.Sequence, Timeout: 9})
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
		s, err := l.Begin(Settlement{Payments: []Payment{{Device: front, Payout: pays[0].Payout, Amount: coins(1)}}, Raw: []byte("tx"), Hash: "tx", Sequence: b.Sequence, Timeout: 9})
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
