// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/host"
)

// What is granted to hot accounts in a genesis, what a host asks to be granted
// and what is free of charge are the same messages.
func TestDutiesAreWhatHostsAreGranted(t *testing.T) {
	granted := host.Granted()
	slices.Sort(granted)
	duties := app.Duties()
	slices.Sort(duties)
	if !slices.Equal(granted, duties) {
		t.Errorf("granted %v, duties %v", granted, duties)
	}
}

func TestWhoIsFreeOfCharge(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice, bob := d.validators[0], d.validators[1]
	mallory := d.funded(alice, "mallory")
	dispute := func(v *validator) sdk.Msg { return &sprintv1.MsgDispute{Participant: v.Address} }
	free := func(from string) draft { return draft{from: from, gas: 1_000_000} }
	const refused = "insufficient fee"
	for name, c := range map[string]struct {
		by   *validator // whose keyring
		from draft
		msgs []sdk.Msg
		want string // part of the refusal; empty: accepted
	}{
		"a duty from the granted account": {alice, hot, []sdk.Msg{exec(t, alice.Hot, dispute(alice))}, ""},
		"a duty from the operator":        {alice, free("operator"), []sdk.Msg{dispute(alice)}, ""},
		"several duties at once":          {alice, hot, []sdk.Msg{exec(t, alice.Hot, dispute(alice), &sprintv1.MsgReady{Participant: alice.Address})}, ""},
		"a list of nodes":                 {alice, hot, []sdk.Msg{exec(t, alice.Hot, &registryv1.MsgSetNodes{Address: alice.Address})}, ""},
		"a duty of another's":             {alice, hot, []sdk.Msg{exec(t, alice.Hot, dispute(bob))}, refused},
		"duties of two":                   {alice, hot, []sdk.Msg{exec(t, alice.Hot, dispute(alice), dispute(bob))}, refused},
		"a payment":                       {alice, free("operator"), []sdk.Msg{transfer(alice, bob)}, refused},
		"a payment beside a duty":         {alice, free("operator"), []sdk.Msg{dispute(alice), transfer(alice, bob)}, refused},
		"a payment within a grant":        {alice, free("operator"), []sdk.Msg{exec(t, alice.Address, transfer(alice, bob))}, refused},
		"a duty within two wrappings":     {alice, hot, []sdk.Msg{exec(t, alice.Hot, exec(t, alice.Hot, dispute(alice)))}, refused},
		"a stranger's duty":               {alice, free("mallory"), []sdk.Msg{&sprintv1.MsgDispute{Participant: mallory}}, refused},
		"a stranger's duty, paid":         {alice, draft{from: "mallory", gas: 1_000_000, fee: 1000}, []sdk.Msg{&sprintv1.MsgDispute{Participant: mallory}}, ""},
		"a stranger with another's duty":  {alice, free("mallory"), []sdk.Msg{exec(t, mallory, dispute(alice))}, refused},
		"a stranger's list of nodes":      {alice, free("mallory"), []sdk.Msg{&registryv1.MsgSetNodes{Address: mallory}}, refused},
		"parameters":                      {alice, free("operator"), []sdk.Msg{exec(t, alice.Address, &sprintv1.MsgUpdateParams{Authority: alice.Address})}, refused},
		"a registration":                  {alice, free("mallory"), []sdk.Msg{&registryv1.MsgRegister{Address: mallory}}, refused},
		"a payment below the price":       {alice, draft{from: "operator", gas: 1_000_000, fee: 999}, []sdk.Msg{transfer(alice, bob)}, refused},
		"a payment at the price":          {alice, paid, []sdk.Msg{transfer(alice, bob)}, ""},
		"a duty without a gas limit":      {alice, draft{from: "hot"}, []sdk.Msg{exec(t, alice.Hot, dispute(alice))}, "out of gas"},
		"a duty signed by somebody else":  {bob, hot, []sdk.Msg{exec(t, alice.Hot, dispute(alice))}, "pubKey does not match signer"},
	} {
		t.Run(name, func(t *testing.T) {
			d.blocks(1) // whatever the case before left in the pools
			err := d.send(d.sign(c.by, c.from, c.msgs...))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestFeesAreInOurCoin(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice := d.validators[0]
	d.denom = "other"
	if err := d.send(d.sign(alice, paid, transfer(alice, d.validators[1]))); err == nil || !strings.Contains(err.Error(), "paid in acpc") {
		t.Errorf("%v", err)
	}
}

// The quota of a participant is counted per block, by everybody who grants to it
// together, and a stranger cannot use it up.
func TestQuota(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice, bob := d.validators[0], d.validators[1]
	duty := func(n uint64) []byte {
		return d.sign(alice, hot.then(n), exec(t, alice.Hot, &sprintv1.MsgDispute{Participant: alice.Address}))
	}
	// bob tries to use up alice's quota; his transactions are not in the lane at all.
	for n := range uint64(3) {
		err := d.send(d.sign(bob, hot.then(n), exec(t, bob.Hot, &sprintv1.MsgDispute{Participant: alice.Address})))
		if err == nil {
			t.Fatal("bob speaks for alice")
		}
	}
	var all [][]byte
	for n := range uint64(33) {
		tx := duty(n)
		all = append(all, tx)
		err := d.send(tx)
		if full := n == 32; full != (err != nil) {
			t.Fatalf("duty %d of a block: %v", n+1, err)
		}
		if err != nil && !strings.Contains(err.Error(), "quota") {
			t.Fatalf("the refusal does not explain itself: %v", err)
		}
	}
	// The operator's own come out of the same quota.
	if err := d.send(d.sign(alice, draft{from: "operator", gas: 1_000_000}, &sprintv1.MsgDispute{Participant: alice.Address})); err == nil {
		t.Error("the operator has a quota beside the hot account's")
	}
	proof := d.prepare(1 << 20)[:1]
	if !d.accepts(bob, append(slices.Clone(proof), all[:32]...)) {
		t.Error("a block with exactly the quota is rejected")
	}
	if d.accepts(bob, append(slices.Clone(proof), all...)) {
		t.Error("a block beyond the quota is accepted")
	}
	d.blocks(1)
	if len(d.results) != 1+32 {
		t.Errorf("%d duties in the block, want 32", len(d.results)-1)
	}
	if err := d.send(duty(0)); err != nil {
		t.Errorf("the next block has no quota of its own: %v", err)
	}
	greedy := hot
	greedy.gas = 59_500_000
	if err := d.send(d.sign(alice, greedy.then(1), exec(t, alice.Hot, &sprintv1.MsgDispute{Participant: alice.Address}))); err == nil || !strings.Contains(err.Error(), "gas") {
		t.Errorf("gas beyond the quota: %v", err)
	}
}

// Openings are bounded per block when it is made and when it is judged, and a
// single one that no block could carry is refused at once.
func TestOpeningBytesPerBlock(t *testing.T) {
	d := drive(t, "alice", "bob", "carol")
	d.blocks(1)
	opening := func(v *validator, size int) []byte {
		from := hot
		from.gas = 15_000_000
		return d.sign(v, from, exec(t, v.Hot, &sprintv1.MsgOpen{
			Participant: v.Address, Logs: []sprintv1.LogOpening{{Node: "gpu-0", Leaves: make([]byte, size)}},
		}))
	}
	if err := d.send(opening(d.validators[0], 1<<20)); err == nil || !strings.Contains(err.Error(), "larger than a block takes") {
		t.Errorf("an opening beyond the limit: %v", err)
	}
	var all [][]byte
	for _, v := range d.validators {
		tx := opening(v, 400<<10)
		all = append(all, tx)
		if err := d.send(tx); err != nil {
			t.Fatal(err)
		}
	}
	txs := d.prepare(4 << 20)
	if len(txs) != 1+2 {
		t.Errorf("%d openings of 400 KiB in a block that takes 1 MiB of them", len(txs)-1)
	}
	if d.accepts(d.validators[0], append(txs[:1:1], all...)) {
		t.Error("a block with too many openings is accepted")
	}
	d.blocks(1)
	if txs := d.prepare(4 << 20); len(txs) != 1+1 {
		t.Errorf("%d openings in the next block, want the third", len(txs)-1)
	}
}

// The gas of a block is bounded, too.
func TestGasPerBlock(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice, bob := d.validators[0], d.validators[1]
	var all [][]byte
	for _, v := range []*validator{alice, bob} {
		for n := range uint64(3) {
			from := draft{from: "operator", gas: 100_000_000, fee: 1000, sequence: n}
			tx := d.sign(v, from, &banktypes.MsgSend{FromAddress: v.Address, ToAddress: alice.Address, Amount: sdk.NewCoins(sdk.NewCoin(app.Denom, math.OneInt()))})
			all = append(all, tx)
			if err := d.send(tx); err != nil {
				t.Fatal(err)
			}
		}
	}
	txs := d.prepare(4 << 20)
	if len(txs) != 1+4 {
		t.Errorf("%d transactions of 100M gas in a block of 400M", len(txs)-1)
	}
	if d.accepts(alice, append(txs[:1:1], all...)) {
		t.Error("a block with too much gas is accepted")
	}
	if !d.accepts(bob, txs) {
		t.Error("the proposer's own block is rejected")
	}
}
