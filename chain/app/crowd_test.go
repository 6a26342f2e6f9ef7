// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// reweigh starts the chain anew with these weights, by moniker.
func (d *driver) reweigh(weights map[string]uint64) {
	d.t.Helper()
	var state map[string]json.RawMessage
	if err := json.Unmarshal(d.genesis.AppState, &state); err != nil {
		d.t.Fatal(err)
	}
	var credit map[string]any
	if err := json.Unmarshal(state["credit"], &credit); err != nil {
		d.t.Fatal(err)
	}
	for _, h := range credit["holdings"].([]any) {
		holding := h.(map[string]any)
		for _, v := range d.validators {
			if v.Address == holding["participant"] {
				holding["weight"] = fmt.Sprint(weights[v.Moniker])
			}
		}
	}
	var err error
	if state["credit"], err = json.Marshal(credit); err != nil {
		d.t.Fatal(err)
	}
	if d.genesis.AppState, err = json.Marshal(state); err != nil {
		d.t.Fatal(err)
	}
	for _, v := range d.validators {
		v.App = open(d.t, v.dir)
	}
	d.init(d.genesis)
}

// A crowd of identities without weight, each asking for all the gas that it may have for nothing, keeps out neither
// the duties of those who compute nor payments.
func TestACrowdKeepsNobodyOut(t *testing.T) {
	names := []string{"alice", "bob", "carol"}
	for i := range 8 {
		names = append(names, fmt.Sprintf("nobody-%d", i))
	}
	d := drive(t, names...)
	d.reweigh(map[string]uint64{"alice": 1 << 20, "bob": 1 << 20, "carol": 1 << 20})
	d.blocks(1)
	greedy := hot
	greedy.gas = 60_000_000
	duty := func(v *validator, from draft) []byte {
		tx := d.sign(v, from, exec(t, v.Hot, &sprintv1.MsgDispute{Participant: v.Address}))
		if err := d.send(tx); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	for _, v := range d.validators[3:] {
		duty(v, greedy)
	}
	var wanted [][]byte
	for _, v := range d.validators[:3] {
		wanted = append(wanted, duty(v, greedy))
	}
	payment := d.sign(d.validators[0], paid, []sdk.Msg{transfer(d.validators[0], d.validators[1])}...)
	if err := d.send(payment); err != nil {
		t.Fatal(err)
	}
	wanted = append(wanted, payment)
	txs := d.prepare(4 << 20)
	for i, tx := range wanted {
		if !slices.ContainsFunc(txs, func(raw []byte) bool { return bytes.Equal(raw, tx) }) {
			t.Errorf("transaction %d of those who compute is not among the %d of the block", i, len(txs)-1)
		}
	}
	if !d.accepts(d.validators[1], txs) {
		t.Error("the block is rejected")
	}
}

// However much waits, there is room for the duties of those who compute.
func TestWaitingPaymentsLeaveRoomForDuties(t *testing.T) {
	d := drive(t, "alice", "bob", "nobody")
	d.reweigh(map[string]uint64{"alice": 1 << 20, "bob": 1 << 20})
	alice, bob, nobody := d.validators[0], d.validators[1], d.validators[2]
	alice.App = open(t, alice.dir, options{"mempool.max-txs": 8})
	if _, err := initChain(alice.App, d.genesis); err != nil {
		t.Fatal(err)
	}
	d.blocks(1)
	// tells how many of ten transactions alice's node takes.
	taken := func(v *validator, from draft, msg sdk.Msg) (n int) {
		for i := range uint64(10) {
			r, err := alice.CheckTx(&abci.RequestCheckTx{Tx: d.sign(v, from.then(i), msg), Type: abci.CheckTxType_New})
			if err != nil {
				t.Fatal(err)
			}
			if r.Code == 0 {
				n++
			}
		}
		return n
	}
	duty := func(v *validator) sdk.Msg {
		return exec(t, v.Hot, &sprintv1.MsgDispute{Participant: v.Address})
	}
	if n := taken(bob, paid, transfer(bob, alice)); n != 6 {
		t.Errorf("%d payments wait, want 6 of 8", n)
	}
	if n := taken(nobody, hot, duty(nobody)); n != 1 {
		t.Errorf("%d duties without weight wait, want 1", n)
	}
	if n := taken(bob, hot, duty(bob)); n != 1 {
		t.Errorf("%d duties of who computes found room, want the last place", n)
	}
}
