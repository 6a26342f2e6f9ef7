// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

// Pay is due lock_epochs after its epoch by the parameter of that time, and leaves by itself in the
// block in which that epoch is finalised, a void one too.
// Holds spec E-6.
func TestPayLeavesAfterTheLock(t *testing.T) {
	p := credit.LocalnetParams() // 3 epochs
	weights := map[string]uint64{"a": 1}
	c := earn(t, p, acpc(1_000), weights)
	epoch := func(settle bool) {
		t.Helper()
		c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 9)
		if settle {
			c.settle(t, 1, weights, "a")
		} else {
			c.void(t, []string{"a"}, nil)
		}
		c.block(t)
	}
	epoch(true)
	first := c.owes(t, "a")[0].Amount
	p.LockEpochs = 5 // what is owed keeps its time
	if err := errors.Join(c.Update(c.ctx, p), c.Adopt(c.ctx)); err != nil {
		t.Fatal(err)
	}
	epoch(true)
	epoch(false)
	if got := c.balance("a"); got != "0" || len(c.owes(t, "a")) != 2 {
		t.Errorf("paid %s after two epochs, %v is owed", got, c.owes(t, "a"))
	}
	epoch(false)
	if got := c.balance("a"); got != first.String() {
		t.Errorf("paid %s after three epochs, want %s", got, first)
	}
	if owed := c.owes(t, "a"); len(owed) != 1 || owed[0].Epoch != 2 || owed[0].DueEpoch != 7 {
		t.Errorf("%v is owed", owed)
	}
}

// A block attempts 256 payments in the order of their keys; what the bank refuses stays owed, is
// tried once an epoch and stops nothing; and nothing of what is paid stays in the state.
// Holds spec E-6, E-7.
func TestPaymentsAreBoundedAndARefusedOneStopsNothing(t *testing.T) {
	const all = 600
	weights, people := map[string]uint64{}, []string{}
	for i := range all {
		name := fmt.Sprintf("p%03d", i)
		people, weights[name] = append(people, name), 1
	}
	people[4], weights["!5"] = "!5", 1 // no account can be named so
	c := earn(t, credit.LocalnetParams(), acpc(1_000), weights)
	refused, _ := names{}.StringToBytes("p007")
	c.refused[sdk.AccAddress(refused).String()] = true
	c.ctx = c.ctx.WithBlockHeight(10)
	c.settle(t, all, weights, people...)
	for range 3 {
		c.void(t, people, nil)
	}
	before := len(c.state())
	paid := func() (n int) {
		for _, name := range people {
			if c.balance(name) != "0" {
				n++
			}
		}
		return n
	}
	var got []int
	c.block(t)
	got = append(got, paid())
	twin := c.again(t) // in the middle of the payments
	for range 3 {
		c.block(t)
		got = append(got, paid())
		twin.block(t)
	}
	if diff := cmp.Diff(c.state(), twin.state()); diff != "" {
		t.Errorf("an import in the middle pays otherwise (-went on +imported):\n%s", diff)
	}
	// "!5" comes first of all, p007 is within the first 256
	if diff := cmp.Diff([]int{254, 510, 598, 598}, got); diff != "" {
		t.Errorf("paid after each block (-want +got):\n%s", diff)
	}
	if after := len(c.state()); before-after != 598 {
		t.Errorf("the state had %d entries and has %d after 598 payments", before, after)
	}
	if r := c.audit(t); r.Money.RefusedPayments != 2 {
		t.Errorf("%d payments were refused", r.Money.RefusedPayments)
	}
	if owed := c.owes(t, "p007"); len(owed) != 1 || owed[0].DueEpoch != 4 ||
		owed[0].NextEpoch != 5 {
		t.Errorf("what was refused: %v", owed)
	}
	delete(c.refused, sdk.AccAddress(refused).String())
	c.block(t)
	if got := c.balance("p007"); got != "0" {
		t.Errorf("tried again within an epoch: %s", got)
	}
	c.void(t, people, nil)
	c.block(t)
	if r := c.audit(t); c.balance("p007") == "0" || r.Money.RefusedPayments != 3 {
		t.Errorf("after the next epoch p007 has %s, %d were refused", c.balance("p007"),
			r.Money.RefusedPayments)
	}
}

// Where governance has stopped all payments, pay waits as they do.
// Holds spec E-7.
func TestPayWaitsWhilePaymentsAreStopped(t *testing.T) {
	weights := map[string]uint64{"a": 1}
	c := earn(t, credit.LocalnetParams(), acpc(1_000), weights)
	send := func(enabled bool) {
		if err := c.bank.SetParams(c.ctx,
			banktypes.Params{DefaultSendEnabled: enabled}); err != nil {
			t.Fatal(err)
		}
	}
	c.ctx = c.ctx.WithBlockHeight(10)
	c.settle(t, 1, weights, "a")
	for range 3 {
		c.void(t, []string{"a"}, nil)
	}
	send(false)
	c.block(t)
	if c.balance("a") != "0" {
		t.Error("paid while payments are stopped")
	}
	send(true)
	c.void(t, []string{"a"}, nil)
	c.block(t)
	if c.balance("a") == "0" {
		t.Error("not paid once payments go on")
	}
}

// Pay that is forfeited is burned, all of it and nobody else's.
// Holds spec E-8.
func TestForfeitedPayIsBurned(t *testing.T) {
	weights := map[string]uint64{"a": 3, "ab": 4, "b": 3}
	c := earn(t, credit.LocalnetParams(), acpc(1_000), weights)
	for i := range int64(2) {
		c.ctx = c.ctx.WithBlockHeight(10 * (i + 1))
		c.settle(t, 1, weights, "a", "ab", "b")
	}
	before, others := c.audit(t), c.owes(t, "ab")
	mine := c.owes(t, "a")
	sum := mine[0].Amount.Add(mine[1].Amount)
	burned, err := c.BurnOwed(c.ctx, "a")
	if err != nil || !burned.Equal(sum) {
		t.Errorf("burned %s of %s: %v", burned, sum, err)
	}
	after := c.audit(t)
	if !before.Supply.Sub(after.Supply).Equal(sum) || len(c.owes(t, "a")) > 0 ||
		!cmp.Equal(others, c.owes(t, "ab")) || !after.Mintable.Equal(before.Mintable) {
		t.Errorf("before %v, after %v", before, after)
	}
	if again, err := c.BurnOwed(c.ctx, "a"); err != nil || !again.IsZero() {
		t.Errorf("burned again: %s, %v", again, err)
	}
	for range 4 {
		c.void(t, []string{"a", "ab", "b"}, nil)
	}
	c.block(t)
	if c.balance("a") != "0" || c.balance("b") == "0" {
		t.Errorf("a was paid %s, b %s", c.balance("a"), c.balance("b"))
	}
}

// What a participant is owed comes in pages, and the total is that of all of them.
func TestWhatIsOwedComesInPages(t *testing.T) {
	weights := map[string]uint64{"a": 1, "b": 1}
	c := earn(t, credit.DefaultParams(), acpc(1_000), weights)
	for i := range int64(5) {
		c.ctx = c.ctx.WithBlockHeight(10 * (i + 1))
		if i == 2 { // pay of others alone
			c.settle(t, 1, weights, "b")
			continue
		}
		c.settle(t, 1, weights, "a", "b")
	}
	router := &services{}
	credit.NewAppModule(nil, c.Keeper).RegisterServices(router)
	var epochs []uint64
	pages := 0
	for key := []byte(nil); pages == 0 || key != nil; pages++ {
		res, err := router.query.Owed(c.ctx, &creditv1.QueryOwedRequest{Participant: "a",
			Pagination: &query.PageRequest{Key: key, Limit: 3}})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range res.Owed {
			epochs = append(epochs, o.Epoch)
		}
		key = res.Pagination.NextKey
	}
	if diff := cmp.Diff([]uint64{1, 2, 4, 5}, epochs); diff != "" || pages != 2 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	if n := len(c.owes(t, "a")); n != 4 { // which compares the total
		t.Errorf("%d records", n)
	}
	if _, err := router.query.Owed(c.ctx, &creditv1.QueryOwedRequest{Participant: "a",
		Pagination: &query.PageRequest{Offset: 1}}); err == nil {
		t.Error("took an offset")
	}
}
