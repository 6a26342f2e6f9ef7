// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/sprint"
)

// duty makes the draft of a free transaction of these messages, from the hot account.
func duty(msgs ...sdk.Msg) draft { return draft{from: "hot", gas: sprintv1.GasBound(msgs...)} }

// owe signs duties with a validator's hot account, its nth transaction in a row.
func (d *driver) owe(v *validator, n uint64, msgs ...sdk.Msg) []byte {
	d.t.Helper()
	return d.sign(v, duty(msgs...).then(n), exec(d.t, v.Hot, msgs...))
}

// ready is a readiness that the chain owes to hear and that fails: its heartbeat is not signed.
func ready(v *validator) *sprintv1.MsgReady {
	return &sprintv1.MsgReady{Participant: v.Address, Epoch: 1, Height: 1,
		Signature: make([]byte, 64)}
}

// nodes is a list of machines: this many, so that it fails unless there are none.
func nodes(v *validator, n int) *registryv1.MsgSetNodes {
	return &registryv1.MsgSetNodes{Address: v.Address, Nodes: make([]registryv1.Node, n)}
}

// patient starts the chain again with time for readiness.
func (d *driver) patient() {
	d.t.Helper()
	d.change("sprint", func(state map[string]any) {
		for _, of := range []string{"params", "next_params"} {
			state[of].(map[string]any)["prepare_blocks"] = 10_000
		}
	})
}

// prepared drives a chain of these participants to where readiness is owed.
func prepared(t testing.TB, names ...string) *driver {
	t.Helper()
	d := drive(t, names...)
	d.patient()
	d.blocks(1)
	d.await(d.validators[0], ready(d.validators[0]))
	return d
}

// What is owed is free, whoever of the two keys sends it; whatever else is in the transaction,
// around it or in its place pays. Under the old rule every message of a member was free (C1, C10).
// Holds spec R-8.
func TestOnlyWhatIsOwedIsFree(t *testing.T) {
	d := prepared(t, "alice", "bob")
	alice, bob := d.validators[0], d.validators[1]
	mallory := d.funded(alice, "mallory")
	free := func(from string, msgs ...sdk.Msg) draft { f := duty(msgs...); f.from = from; return f }
	const refused = "insufficient fee"
	padded := func() sdk.Msg { m := ready(alice); m.Signature = make([]byte, 10_000); return m }()
	for name, c := range map[string]struct {
		by   *validator // whose keyring
		from draft
		msgs []sdk.Msg
		want string // part of the refusal; empty: accepted
	}{
		"a duty from the granted account": {alice, duty(ready(alice)),
			[]sdk.Msg{exec(t, alice.Hot, ready(alice))}, ""},
		"a duty from the operator": {bob, free("operator", ready(bob)), []sdk.Msg{ready(bob)}, ""},
		"two duties at once": {bob, duty(ready(bob), nodes(bob, 1)),
			[]sdk.Msg{exec(t, bob.Hot, ready(bob), nodes(bob, 1))}, ""},
		"a list of nodes": {alice, duty(nodes(alice, 1)),
			[]sdk.Msg{exec(t, alice.Hot, nodes(alice, 1))}, ""},
		"a duty of another's": {alice, duty(ready(bob)), []sdk.Msg{exec(t, alice.Hot, ready(bob))},
			refused},
		"duties of two": {alice, duty(ready(alice), ready(bob)),
			[]sdk.Msg{exec(t, alice.Hot, ready(alice), ready(bob))}, refused},
		"a payment": {alice, free("operator", ready(alice)), []sdk.Msg{transfer(alice, bob)},
			refused},
		"a payment beside a duty": {alice, free("operator", ready(alice)),
			[]sdk.Msg{ready(alice), transfer(alice, bob)}, refused},
		"a payment within a grant": {alice, free("operator", ready(alice)),
			[]sdk.Msg{exec(t, alice.Address, transfer(alice, bob))}, refused},
		"a duty within two wrappings": {alice, duty(ready(alice)),
			[]sdk.Msg{exec(t, alice.Hot, exec(t, alice.Hot, ready(alice)))}, refused},
		"a stranger's duty": {alice, free("mallory", ready(alice)),
			[]sdk.Msg{&sprintv1.MsgReady{Participant: mallory, Epoch: 1}}, "not a member"},
		"a stranger with another's duty": {alice, free("mallory", ready(alice)),
			[]sdk.Msg{exec(t, mallory, ready(alice))}, refused},
		"a stranger's list of nodes": {alice, free("mallory", nodes(alice, 0)),
			[]sdk.Msg{&registryv1.MsgSetNodes{Address: mallory}}, "not registered"},
		"parameters": {alice, free("operator", ready(alice)),
			[]sdk.Msg{exec(t, alice.Address, &sprintv1.MsgUpdateParams{Authority: alice.Address})},
			refused},
		"a registration": {alice, free("mallory", ready(alice)),
			[]sdk.Msg{&registryv1.MsgRegister{Address: mallory}}, refused},
		"another epoch": {alice, duty(ready(alice)),
			[]sdk.Msg{exec(t, alice.Hot, &sprintv1.MsgReady{Participant: alice.Address, Epoch: 2})},
			"is for epoch 2"},
		"another phase": {alice, duty(ready(alice)),
			[]sdk.Msg{exec(t, alice.Hot, &sprintv1.MsgOpen{Participant: alice.Address, Epoch: 1})},
			"not in this phase"},
		"another phase, paid": {alice, paid,
			[]sdk.Msg{&sprintv1.MsgOpen{Participant: alice.Address, Epoch: 1}}, ""},
		"more bytes than are owed": {alice, duty(padded), []sdk.Msg{exec(t, alice.Hot, padded)},
			"at most 512"},
		"more gas than it needs": {alice, draft{from: "hot", gas: 10_000_000},
			[]sdk.Msg{exec(t, alice.Hot, ready(alice))}, "larger than the duties"},
		"a payment below the price": {alice, draft{from: "operator", gas: 1_000_000, fee: 999},
			[]sdk.Msg{transfer(alice, bob)}, refused},
		"a payment at the price": {alice, paid, []sdk.Msg{transfer(alice, bob)}, ""},
		"a duty without a gas limit": {alice, draft{from: "hot"},
			[]sdk.Msg{exec(t, alice.Hot, ready(alice))}, "out of gas"},
		"a duty signed by somebody else": {bob, duty(ready(alice)),
			[]sdk.Msg{exec(t, alice.Hot, ready(alice))}, "pubKey does not match signer"},
	} {
		t.Run(name, func(t *testing.T) {
			tx := d.sign(c.by, c.from, c.msgs...)
			r := checked(t, alice, tx)
			switch {
			case c.want == "" && r.Code != 0:
				t.Errorf("refused: %v", r.Log)
			case c.want != "" && (r.Code == 0 || !strings.Contains(r.Log, c.want)):
				t.Errorf("%q, want %q", r.Log, c.want)
			}
			// Nor does a proposer get in for free what is not owed.
			block := append(d.prepare(200)[:1:1], tx)
			if !strings.Contains(name, "below the price") &&
				d.accepts(bob, block) != (c.want == "") {
				t.Errorf("bob's vote on a block with it is %v", c.want != "")
			}
			d.decide(d.prepare(200)) // forget what was checked; the next case finds the same state
		})
	}
}

// Two attempts at a duty are free, and the second only alone. Failing uses them up all the same,
// and who has none left pays. The state knows, so a restart or an import changes nothing.
// Holds spec R-9.
func TestTwoAttemptsAreFree(t *testing.T) {
	d := prepared(t, "alice", "bob")
	alice, bob := d.validators[0], d.validators[1]
	failed := func() {
		t.Helper()
		d.blocks(1)
		if len(d.results) != 2 || d.results[1].Code == 0 {
			t.Fatalf("%d transactions in the block: %v", len(d.results)-1, d.results)
		}
	}
	if err := d.send(d.owe(alice, 0, ready(alice))); err != nil {
		t.Fatal(err)
	}
	failed()
	r := checked(t, alice, d.owe(alice, 0, ready(alice), nodes(alice, 1)))
	if r.Codespace != sprintv1.LaneCodespace || r.Code != sprintv1.CodeNotAlone {
		t.Errorf("a second attempt beside another message: code %d, %s", r.Code, r.Log)
	}
	if err := d.send(d.owe(alice, 0, ready(alice))); err != nil {
		t.Fatal("the second attempt: ", err)
	}
	failed()
	third := d.owe(alice, 0, ready(alice))
	if r := checked(t, alice, third); r.Codespace != sprintv1.LaneCodespace ||
		r.Code != sprintv1.CodeSpent {
		t.Errorf("a third attempt: code %d, %s", r.Code, r.Log)
	}
	if d.accepts(bob, append(d.prepare(200)[:1:1], third)) {
		t.Error("a block with a third free attempt is accepted")
	}
	if err := d.send(d.sign(alice, paid, ready(alice))); err != nil {
		t.Error("a third attempt that pays: ", err)
	}
	// Others have attempts of their own, and so have other duties.
	for _, tx := range [][]byte{d.owe(bob, 0, ready(bob)), d.owe(alice, 0, nodes(alice, 1))} {
		if err := d.send(tx); err != nil {
			t.Error(err)
		}
	}
}

// A transaction that fails before its messages run uses up nothing, as it enters no block.
func TestWhatEntersNoBlockUsesNothingUp(t *testing.T) {
	d := prepared(t, "alice", "bob")
	alice := d.validators[0]
	forged := d.owe(alice, 0, ready(alice))
	forged[len(forged)-1] ^= 1
	for range 3 {
		if r := checked(t, alice, forged); r.Code == 0 {
			t.Fatal("a transaction with a broken signature is taken")
		}
	}
	owed, err := alice.Sprint.Owed(alice.ctx(t), ready(alice))
	if err != nil || owed.Used != 0 {
		t.Errorf("%d attempts used: %v", owed.Used, err)
	}
	if err := d.send(d.owe(alice, 0, ready(alice))); err != nil {
		t.Error(err)
	}
}

// A whole transaction of first attempts is free: a commit for each machine fits into one.
func TestADutyTwiceInOneTransaction(t *testing.T) {
	d := prepared(t, "alice", "bob")
	alice := d.validators[0]
	r := checked(t, alice, d.owe(alice, 0, ready(alice), ready(alice)))
	if r.Codespace != sprintv1.LaneCodespace || r.Code != sprintv1.CodeNotAlone {
		t.Errorf("code %d, %s", r.Code, r.Log)
	}
}

func TestFeesAreInOurCoin(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice := d.validators[0]
	d.denom = "other"
	if err := d.send(d.sign(alice, paid, transfer(alice, d.validators[1]))); err == nil ||
		!strings.Contains(err.Error(), "paid in acpc") {
		t.Errorf("%v", err)
	}
}

// Openings are bounded per block when it is made and when it is judged, and a
// single one that no block could carry is refused at once. These pay: leaves of nobody were drawn.
// Holds spec R-12.
func TestOpeningBytesPerBlock(t *testing.T) {
	d := drive(t, "alice", "bob", "carol")
	d.blocks(1)
	opening := func(v *validator, size int) []byte {
		from := paid
		from.gas = 15_000_000
		return d.sign(v, from, &sprintv1.MsgOpen{
			Participant: v.Address,
			Logs:        []sprintv1.LogOpening{{Node: "gpu-0", Leaves: make([]byte, size)}},
		})
	}
	if err := d.send(opening(d.validators[0], 1<<20)); err == nil ||
		!strings.Contains(err.Error(), "larger than a block takes") {
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
			tx := d.sign(v, from,
				&banktypes.MsgSend{FromAddress: v.Address, ToAddress: alice.Address,
					Amount: sdk.NewCoins(sdk.NewCoin(app.Denom, math.OneInt()))})
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

// The largest duty of each kind fits into the lane's share of the smallest block that may be voted
// for.
func TestTheLargestDutyFitsIntoTheLane(t *testing.T) {
	const bytes, gas = (4 << 20) / 4 * 3, 400_000_000 / 4 * 3
	for _, kind := range sprintv1.DutyKinds() {
		if kind.Bytes+sprintv1.TxFrame > bytes {
			t.Errorf("%s may have %d bytes, the lane takes %d", kind.URL, kind.Bytes, bytes)
		}
		if kind.When == "" || kind.Often == "" {
			t.Errorf("%s: nobody knows when it is owed", kind.URL)
		}
	}
	p := sprint.DefaultParams()
	for _, msg := range []sdk.Msg{
		&sprintv1.MsgOpen{Logs: []sprintv1.LogOpening{{Leaves: make([]byte,
			p.OpeningBytesPerBlock)}}},
		&sprintv1.MsgRevealVerdict{Body: make([]byte, sprintv1.MaxVerdictBytes)},
		&sprintv1.MsgOpenMiddles{Proof: make([]byte, sprintv1.MaxMiddlesBytes-512)},
		&registryv1.MsgSetNodes{Nodes: slices.Repeat([]registryv1.Node{{Id: strings.Repeat("x", 32),
			Key: make([]byte, 32), Proof: make([]byte, 64)}}, sprintv1.MaxNodes)},
	} {
		if g := sprintv1.GasBound(msg); g > gas {
			t.Errorf("%T may use %d gas, the lane has %d", msg, g, gas)
		}
		if kind, _, _ := sprintv1.DutyOf(msg); uint64(sprintv1.MsgSize(msg)) > kind.Bytes {
			t.Errorf("%T has %d bytes, its bound is %d", msg, sprintv1.MsgSize(msg), kind.Bytes)
		}
	}
}

// C17: a key was checked for half of what that takes, and a list of machines costs no fee. A free
// one that fails pays in gas for all its keys and proofs, at their measured price, before the first
// is checked.
func TestC17AFreeListOfMachinesUsesItsGas(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	alice := d.validators[0]
	list := nodes(alice, 16)
	for i := range list.Nodes {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		list.Nodes[i] = registryv1.Node{Id: fmt.Sprintf("gpu-%d", i),
			Key: key.Public().(ed25519.PublicKey), Proof: make([]byte, ed25519.SignatureSize)}
	}
	if err := d.send(d.owe(alice, 0, list)); err != nil {
		t.Fatal(err)
	}
	d.blocks(1)
	if r := d.results[len(d.results)-1]; r.Code == 0 || !strings.Contains(r.Log, "gpu-0") ||
		r.GasUsed < 16*40_000 {
		t.Errorf("code %d after %d gas: %s", r.Code, r.GasUsed, r.Log)
	}
}
