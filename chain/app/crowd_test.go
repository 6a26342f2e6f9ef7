// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// edit changes one module's state in genesis.
func (d *driver) edit(module string, change func(state map[string]any)) {
	d.t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(d.genesis.AppState, &all); err != nil {
		d.t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(all[module], &state); err != nil {
		d.t.Fatal(err)
	}
	change(state)
	var err error
	if all[module], err = json.Marshal(state); err != nil {
		d.t.Fatal(err)
	}
	if d.genesis.AppState, err = json.Marshal(all); err != nil {
		d.t.Fatal(err)
	}
}

// restart starts the chain again from its genesis, in fresh apps.
func (d *driver) restart() {
	d.t.Helper()
	for _, v := range d.validators {
		v.App = open(d.t, v.dir)
	}
	d.init(d.genesis)
}

// reopen starts one validator again from genesis, in a fresh app with these options.
func (d *driver) reopen(v *validator, o options) {
	d.t.Helper()
	v.App = open(d.t, v.dir, o)
	if _, err := initChain(v.App, d.genesis); err != nil {
		d.t.Fatal(err)
	}
}

// change restarts the chain after a change to one module's state in genesis.
func (d *driver) change(module string, change func(state map[string]any)) {
	d.t.Helper()
	d.edit(module, change)
	d.restart()
}

// alter changes a field of each participant's entry in a list of a module.
func (d *driver) alter(module, list, key, field string, values map[string]uint64) {
	d.t.Helper()
	d.change(module, func(state map[string]any) {
		for _, e := range state[list].([]any) {
			entry := e.(map[string]any)
			for _, v := range d.validators {
				if v.Address == entry[key] {
					entry[field] = fmt.Sprint(values[v.Moniker])
				}
			}
		}
	})
}

// reweigh starts the chain again with these weights, by moniker.
func (d *driver) reweigh(weights map[string]uint64) {
	d.t.Helper()
	d.alter("credit", "holdings", "participant", "weight", weights)
}

// await makes blocks until a duty of somebody is owed.
func (d *driver) await(v *validator, msg *sprintv1.MsgReady) {
	d.t.Helper()
	for range 20 {
		if _, err := v.Sprint.Owed(v.ctx(d.t), msg); err == nil {
			return
		}
		d.blocks(1)
	}
	d.t.Fatal("readiness is never owed")
}

// checked shows a transaction to one node.
func checked(t testing.TB, v *validator, tx []byte) *abci.ResponseCheckTx {
	t.Helper()
	r, err := v.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_New})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func contains(txs [][]byte, want []byte) bool {
	return slices.ContainsFunc(txs, func(tx []byte) bool { return bytes.Equal(tx, want) })
}

// C1, by the largest message of any: under the old rule one failing opening of a megabyte a block,
// by whoever weighs most, kept all others out for as long as it went on. Now the state expects no
// opening, and of what it does expect the heaviest sends one transaction before everybody else had
// a turn.
// Holds spec R-10.
func TestC1AHeavyMemberKeepsNobodyOut(t *testing.T) {
	d := drive(t, "heavy", "bob", "carol", "dave", "erin", "frank", "grace")
	weights := map[string]uint64{"heavy": 1 << 40}
	for _, v := range d.validators[1:] {
		weights[v.Moniker] = 1000
	}
	d.reweigh(weights)
	heavy, others := d.validators[0], d.validators[1:]
	d.blocks(1)
	d.await(heavy, ready(heavy))
	garbage := &sprintv1.MsgOpen{Participant: heavy.Address, Epoch: 1,
		Logs: []sprintv1.LogOpening{{Node: "gpu-0", Leaves: make([]byte, 900<<10)}}}
	if r := checked(t, heavy, d.owe(heavy, 0, garbage)); r.Code == 0 ||
		!strings.Contains(r.Log, "epoch 1 is in prepare") {
		t.Errorf("an opening that nobody asked for: %d %s", r.Code, r.Log)
	}
	long := nodes(heavy, 1)
	long.Nodes[0].Proof = make([]byte, 2_000)
	first, second := d.owe(heavy, 0, ready(heavy)), d.owe(heavy, 1, long)
	wanted, size := [][]byte{first}, len(first)
	for _, v := range others {
		tx := d.owe(v, 0, ready(v))
		wanted, size = append(wanted, tx), size+len(tx)
	}
	payment := d.sign(others[0], paid, transfer(others[0], others[1]))
	wanted = append(wanted, payment)
	for n, tx := range slices.Insert(slices.Clone(wanted), 1, second) {
		if err := d.send(tx); err != nil {
			t.Fatal(n, err)
		}
	}
	// In the lane's share is room for each one's first, in the rest for a payment and nothing more.
	size = size/3*4 + 300
	if size > size/4*3+len(payment)+len(second) {
		t.Fatalf("the set-up: a block of %d bytes has room for another %d", size, len(second))
	}
	txs := d.prepare(int64(size))
	for _, tx := range wanted {
		if !contains(txs, tx) {
			t.Errorf("a transaction of %d bytes is not among the %d of the block",
				len(tx), len(txs)-1)
		}
	}
	if !d.accepts(others[0], txs) {
		t.Error("the block is rejected")
	}
}

// C1: among equals the address decided, and addresses can be ground. Now each block draws the
// order.
// Holds spec R-10.
func TestC1NoAddressGoesFirst(t *testing.T) {
	names := []string{"alice", "bob", "carol", "dave"}
	d := drive(t, names...)
	d.blocks(1)
	for _, v := range d.validators {
		if err := d.send(d.owe(v, 0, nodes(v, 1))); err != nil {
			t.Fatal(err)
		}
	}
	first := make(map[string]bool)
	for range 12 {
		txs := d.prepare(1 << 20)
		if len(txs) != 1+len(names) {
			t.Fatalf("%d transactions in the block", len(txs)-1)
		}
		first[string(txs[1])] = true
		d.decide(txs[:1])
	}
	if len(first) < 3 {
		t.Errorf("%d of %d went first in twelve blocks", len(first), len(names))
	}
}

// C10: one identity without weight put 36 MiB of failed messages into ten blocks. Now it has two
// attempts at each thing that it owes, of the size that is owed.
// Holds spec R-8.
func TestC10AnIdentityStoresNoGarbage(t *testing.T) {
	d := drive(t, "alice", "bob", "nobody")
	d.reweigh(map[string]uint64{"alice": 1 << 20, "bob": 1 << 20})
	d.blocks(1)
	nobody := d.validators[2]
	d.await(nobody, ready(nobody))
	stored := 0
	for range 10 {
		long, longer := nodes(nobody, 1), nodes(nobody, 1)
		long.Nodes[0].Proof, longer.Nodes[0].Proof = make([]byte, 2_000), make([]byte, 30<<10)
		taken := uint64(0)
		for _, msg := range []sdk.Msg{
			ready(nobody), longer, long, long,
			&sprintv1.MsgDispute{Participant: nobody.Address, Epoch: 1,
				Voter: strings.Repeat("x", 1<<20)},
			&sprintv1.MsgCommit{Participant: nobody.Address, Epoch: 1, Segment: 1,
				Root: make([]byte, 1<<20)},
		} {
			if tx := d.owe(nobody, taken, msg); d.send(tx) == nil {
				taken++
			}
		}
		for _, tx := range d.prepare(4 << 20)[1:] {
			stored += len(tx)
		}
		d.blocks(1)
	}
	if stored == 0 || stored > 8<<10 {
		t.Errorf("%d bytes stored for free", stored)
	}
}

// C10, C19: whoever is jailed has no lane. What it sends pays.
func TestC19JailedMembersHaveNoLane(t *testing.T) {
	d := drive(t, "alice", "bob", "carol", "jailed")
	d.alter("registry", "participants", "address", "jailed_until", map[string]uint64{"jailed": 5})
	d.blocks(1)
	alice, jailed := d.validators[0], d.validators[3]
	d.await(alice, ready(alice))
	for _, tx := range [][]byte{d.owe(jailed, 0, ready(jailed)),
		d.owe(jailed, 0, nodes(jailed, 1))} {
		if r := checked(t, alice, tx); r.Code == 0 {
			t.Error("a jailed member's message is free")
		}
	}
	if r := checked(t, alice, d.sign(jailed, paid, ready(jailed))); r.Code != 0 {
		t.Errorf("it pays and is refused: %s", r.Log)
	}
}

// C2: a full pool refused by count, so that identities without weight kept out the duties of the
// heaviest and every payment at any price. Now the least urgent gives way, and each participant has
// its own room.
// Holds spec R-11.
func TestC2AFullPoolLetsTheLeastUrgentGo(t *testing.T) {
	names := []string{"alice", "bob"}
	for i := range 8 {
		names = append(names, fmt.Sprintf("nobody-%d", i))
	}
	d := drive(t, names...)
	d.reweigh(map[string]uint64{"alice": 1 << 40, "bob": 1})
	alice, bob, crowd := d.validators[0], d.validators[1], d.validators[2:]
	d.reopen(alice, options{"mempool.max-txs": 16}) // two places for each participant
	d.blocks(1)
	d.await(alice, ready(alice))
	full := func(r *abci.ResponseCheckTx) bool {
		return r.Codespace == sdkerrors.ErrMempoolIsFull.Codespace() &&
			r.Code == sdkerrors.ErrMempoolIsFull.ABCICode()
	}
	taken := func(tx []byte) bool {
		r := checked(t, alice, tx)
		if r.Code != 0 && !full(r) {
			t.Fatal(r.Log)
		}
		return r.Code == 0
	}
	var firsts, seconds [][]byte
	for _, v := range crowd {
		firsts = append(firsts, d.owe(v, 0, ready(v)))
		seconds = append(seconds, d.owe(v, 1, nodes(v, 1)))
	}
	for _, v := range crowd[:7] {
		i := slices.Index(crowd, v)
		if !taken(firsts[i]) || !taken(seconds[i]) {
			t.Fatal("refused while there is room")
		}
	}
	if taken(d.owe(crowd[0], 2, ready(crowd[0]))) {
		t.Error("one participant has three places of sixteen")
	}
	// the last two places
	if !taken(firsts[7]) || !taken(d.sign(bob, paid, transfer(bob, alice))) {
		t.Fatal("refused while there is room")
	}
	// Now it is full.
	if taken(seconds[7]) {
		t.Error("a newcomer's second is taken in place of another's second")
	}
	if taken(d.owe(crowd[7], 1, nodes(crowd[7], 1))) {
		t.Error("a newcomer's second is taken in place of another's second")
	}
	dear := paid
	dear.fee = 2000
	if !taken(d.sign(alice, dear, transfer(alice, bob))) {
		t.Error("a payment is refused while free messages without weight wait")
	}
	if !taken(d.owe(bob, 0, ready(bob))) {
		t.Error("a duty of one unit of weight is refused while newcomers wait")
	}
	if !taken(d.owe(alice, 0, ready(alice))) {
		t.Error("the heaviest is refused a place by its own node")
	}
	// Those who gave way had two places; CometBFT is told when it asks again.
	gone := 0
	d.decide(d.prepareBy(alice, 200))
	for _, tx := range slices.Concat(firsts, seconds[:7]) {
		r, err := alice.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_Recheck})
		if err != nil {
			t.Fatal(err)
		}
		if full(r) {
			gone++
			if contains(firsts, tx) {
				t.Error("a newcomer's only one gave way, while others have two")
			}
		} else if r.Code != 0 {
			t.Error(r.Log)
		}
	}
	if gone != 3 {
		t.Errorf("%d gave way, want 3", gone)
	}
}

// A payment gives way only to a dearer one by an eighth.
// Holds spec R-11.
func TestC2PaymentsOutbidEachOther(t *testing.T) {
	d := drive(t, "alice", "bob", "carol")
	alice, bob, carol := d.validators[0], d.validators[1], d.validators[2]
	d.reopen(alice, options{"mempool.max-txs": 8})
	d.blocks(1)
	eve := d.accounts(alice, "eve", "frank", "grace", "heidi")
	for _, from := range []*validator{alice, bob, carol} {
		for i := range uint64(2) {
			f := paid
			f.fee = 8000
			check(t, alice, d.sign(from, f.then(i), transfer(from, bob)))
		}
	}
	pay := func(name string, fee int64) bool {
		return checked(t, alice, d.sign(alice, draft{from: name, gas: 1_000_000, fee: fee},
			transferFrom(eve[name], bob))).Code == 0
	}
	if !pay("eve", 8000) || !pay("frank", 8000) {
		t.Fatal("refused while there is room")
	}
	if pay("grace", 8999) {
		t.Error("a payment is outbid by less than an eighth")
	}
	if !pay("heidi", 9001) {
		t.Error("a payment is not outbid by more than an eighth")
	}
}
