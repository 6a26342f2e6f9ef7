// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/assaynet/assay/chain/x/beacon"
)

// Gossip may bring a transaction to a node between the block that holds it and that block's commit.
// The node's state of checks, which knows the sender's one before, welcomes it. It must not stay,
// or it holds back everything that its sender sends later.
func TestLateGossipHoldsNobodyBack(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice, bob := d.validators[0], d.validators[1]
	for d.proposer() != alice {
		d.blocks(1)
	}
	early, late := d.sign(alice, paid, transfer(alice, bob)),
		d.sign(alice, paid.then(1), transfer(alice, bob))
	check(t, alice, early)
	check(t, alice, late)
	check(t, bob, early)
	txs := d.prepare(1 << 20)
	if diff := cmp.Diff([][]byte{early, late}, txs[1:]); diff != "" {
		t.Fatal(diff)
	}
	d.beforeCommit = func(v *validator) {
		if v == bob {
			check(t, v, late)
		}
	}
	d.decide(txs)
	d.beforeCommit = nil

	next := d.sign(alice, paid, transfer(alice, bob))
	if err := d.send(next); err != nil {
		t.Fatal(err)
	}
	if d.proposer() != bob {
		t.Fatal("it is not bob's turn")
	}
	if diff := cmp.Diff([][]byte{next}, d.prepare(1 << 20)[1:]); diff != "" {
		t.Errorf("bob's block: %s", diff)
	}
}

// A node without room says so before it does anything: the same transaction is welcome as soon as
// there is room.
func TestAFullPoolRefusesAndForgets(t *testing.T) {
	d := drive(t, "alice", "bob")
	alice, bob := d.validators[0], d.validators[1]
	d.reopen(alice, options{"mempool.max-txs": 8}) // two places for each sender
	d.blocks(1)
	var all [][]byte
	for n := range uint64(3) {
		all = append(all, d.sign(alice, paid.then(n), transfer(alice, bob)))
	}
	check(t, alice, all[0])
	check(t, alice, all[1])
	full := sdkerrors.ErrMempoolIsFull
	for range 2 { // a refusal leaves no mark on the state of checks
		if r := checked(t, alice, all[2]); r.Codespace != full.Codespace() ||
			r.Code != full.ABCICode() {
			t.Fatalf("code %d of %s (%s), want a full mempool", r.Code, r.Codespace, r.Log)
		}
	}
	// what waits is checked again after a block, full or not
	for d.proposer() != bob {
		d.decide(d.prepare(beacon.MaxTxSize)) // no room for any
	}
	d.blocks(1) // bob has heard of none
	for _, tx := range all[:2] {
		if r, err := alice.CheckTx(&abci.RequestCheckTx{Tx: tx,
			Type: abci.CheckTxType_Recheck}); err != nil || r.Code != 0 {
			t.Fatal(r, err)
		}
	}
	d.blocks(2)
	check(t, alice, all[2])
}

func check(t testing.TB, v *validator, tx []byte) {
	t.Helper()
	if r := checked(t, v, tx); r.Code != 0 {
		t.Fatalf("%s refuses a transaction: %v", v.Moniker, r)
	}
}
