// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"strings"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/google/go-cmp/cmp"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/x/authz"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/poc/seed"
)

// Every block of a chain of two carries a proof that succeeds and costs nothing,
// and anybody can follow the chain of values.
// Holds spec B-1.
func TestEveryBlockCarriesAProof(t *testing.T) {
	d := drive(t, "alice", "bob")
	v := d.validators[0]
	previous, err := v.Beacon.Latest(v.ctxAtStart(t, d))
	if err != nil {
		t.Fatal(err)
	}
	value := seed.Seed(previous.Value)
	for range 6 {
		p := d.proposer()
		d.blocks(1)
		if len(d.results) != 1 {
			t.Fatalf("%d transactions in an idle block", len(d.results))
		}
		if r := d.results[0]; r.Code != 0 || r.GasUsed != 0 || r.GasWanted != 0 {
			t.Fatalf("height %d: the proof has code %d (%s), gas %d of %d", d.height, r.Code, r.Log,
				r.GasUsed, r.GasWanted)
		}
		o, err := v.Beacon.Output(v.ctx(t), d.height)
		if err != nil {
			t.Fatal(err)
		}
		value = seed.BeaconValue(chainID, uint64(d.height), value, o.Beta, p.address)
		if !bytes.Equal(o.Proposer, p.address) || !bytes.Equal(o.Value, value[:]) ||
			o.Share != 1<<31 {
			t.Fatalf("height %d: %v", d.height, o)
		}
	}
}

// ctxAtStart is the state before the first block, which the app has not committed yet.
func (v *validator) ctxAtStart(t testing.TB, d *driver) sdk.Context {
	t.Helper()
	d.blocks(1)
	return v.ctx(t)
}

// A proposal without exactly the right proof at its head is rejected by all,
// whatever else is in it.
// Holds spec B-6, R-12.
func TestProposalsWithoutTheProofAreRejected(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(2)
	proposer, other := d.proposer(), d.validators[int(d.height)%2]
	good := d.prepare(1 << 20)[0]
	proof := func(v *validator, name string, height int64) []byte {
		last, err := v.Beacon.Latest(v.ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		alpha := seed.BeaconAlpha(chainID, uint64(height), seed.Seed(last.Value))
		return encode(t, &beaconv1.MsgPublish{Proposer: name,
			Proof: vrf.Prove(vrfKeyOf(t, v), alpha[:])})
	}
	own := sdk.AccAddress(proposer.address).String()
	if !bytes.Equal(proof(proposer, own, d.height+1), good) {
		t.Fatal("the test does not make the proofs that the app makes")
	}
	payment := d.sign(proposer, paid, transfer(proposer, other))
	for name, txs := range map[string][][]byte{
		"nothing":       {},
		"another's key": {proof(other, own, d.height+1)},
		"another's proof": {proof(other, sdk.AccAddress(other.address).String(),
			d.height+1)},
		"the proof of another height": {proof(proposer, own, d.height+2)},
		"the proof twice":             {good, good},
		"a payment first":             {payment, good},
		"only a payment":              {payment},
		"a fee with the proof":        {withGas(t, good)},
		"a proof hidden in authz": {good,
			d.sign(proposer, paid.then(0),
				exec(t, proposer.Address, &beaconv1.MsgPublish{Proposer: own}))},
		"an unsigned payment": {good, unsigned(t, transfer(proposer, other))},
		"noise":               {good, []byte("noise")},
		"one payment twice":   {good, payment, payment},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range d.validators {
				if d.accepts(v, txs) {
					t.Errorf("%s accepts it", v.Moniker)
				}
			}
		})
	}
	for _, v := range d.validators {
		if !d.accepts(v, [][]byte{good, payment}) {
			t.Errorf("%s rejects the good one", v.Moniker)
		}
	}
}

// Nodes that sync see decided blocks only. One that was decided against the rules
// stops them; there is no state they could go on with.
// Holds spec B-6.
func TestDecidedBlockWithoutTheProofStopsTheNode(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	good := d.prepare(1 << 20)[0]
	damaged := bytes.Clone(good)
	damaged[len(damaged)-6] ^= 1 // within the proof or its frame, behind which an empty fee follows
	for name, txs := range map[string][][]byte{"none": nil, "damaged": {damaged}} {
		_, err := d.validators[0].FinalizeBlock(&abci.RequestFinalizeBlock{
			Height: d.height + 1, Time: d.now.Add(d.interval),
			ProposerAddress: d.proposer().address, Txs: txs,
		})
		if err == nil {
			t.Errorf("%s: executed", name)
		}
	}
}

// Clients cannot submit a proof, in any wrapping, and are told so.
// Holds spec B-1.
func TestProofsFromClientsAreRefused(t *testing.T) {
	d := drive(t, "alice")
	d.blocks(1)
	v := d.validators[0]
	proof := d.prepare(1 << 20)[0]
	for name, tx := range map[string][]byte{
		"the proposer's own": proof,
		"signed": d.sign(v, paid,
			&beaconv1.MsgPublish{Proposer: v.Address, Proof: make([]byte, vrf.ProofSize)}),
		"within authz": d.sign(v, paid,
			exec(t, v.Address, &beaconv1.MsgPublish{Proposer: v.Address})),
	} {
		t.Run(name, func(t *testing.T) {
			r := checked(t, v, tx)
			if r.Codespace != app.ErrProofSubmitted.Codespace() ||
				r.Code != app.ErrProofSubmitted.ABCICode() {
				t.Errorf("code %s/%d: %s", r.Codespace, r.Code, r.Log)
			}
			if !strings.Contains(r.Log, "cannot be submitted") {
				t.Errorf("the refusal does not explain itself: %s", r.Log)
			}
			if _, _, err := v.Simulate(tx); err == nil {
				t.Error("simulated")
			}
		})
	}
	// A block that somebody puts one into is rejected, so it never runs; if it
	// ran, it would fail.
	if d.accepts(v, [][]byte{proof,
		d.sign(v, paid, exec(t, v.Address, &beaconv1.MsgPublish{Proposer: v.Address}))}) {
		t.Error("accepted within authz")
	}
	d.decide([][]byte{d.prepare(1 << 20)[0],
		d.sign(v, paid, exec(t, v.Address, &beaconv1.MsgPublish{Proposer: v.Address}))})
	if d.results[0].Code != 0 || d.results[1].Code == 0 {
		t.Errorf("codes %d, %d; want 0 and an error", d.results[0].Code, d.results[1].Code)
	}
}

// What is owed comes first, then payments by price; a block keeps within its size.
func TestOrderAndSizeOfBlocks(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice, bob := d.validators[0], d.validators[1]
	cheap := d.sign(alice, paid, transfer(alice, bob))
	dear := d.sign(bob, draft{from: paid.from, gas: paid.gas, fee: 2000}, transfer(bob, alice))
	owed := d.owe(alice, 0, nodes(alice, 1))
	for _, tx := range [][]byte{cheap, dear, owed} {
		if err := d.send(tx); err != nil {
			t.Fatal(err)
		}
	}
	txs := d.prepare(1 << 20)
	if diff := cmp.Diff([][]byte{owed, dear, cheap}, txs[1:]); diff != "" {
		t.Error(diff)
	}
	for size := int64(beacon.MaxTxSize); size < 2_000; size += 100 {
		txs := d.prepare(size)
		if total := cmttypes.ComputeProtoSizeForTxs(cmttypes.ToTxs(txs)); total > size {
			t.Fatalf("%d bytes in a block of %d", total, size)
		}
		if !d.accepts(alice, txs) {
			t.Fatalf("a block of %d bytes is rejected by its own rules", size)
		}
	}
}

// While others wait, the lane leaves them their share; what they do not need, it gets.
// Holds spec R-10.
func TestShareOfTheLane(t *testing.T) {
	d := prepared(t, "alice", "bob", "carol", "dave")
	alice := d.validators[0]
	var owed []byte
	for _, v := range d.validators {
		long := nodes(v, 1)
		long.Nodes[0].Proof = make([]byte, 2_000)
		owed = d.owe(v, 0, long)
		if err := d.send(owed); err != nil {
			t.Fatal(err)
		}
	}
	// room for all four, three of them in the lane's share, and for a payment only where the fourth
	// would be
	size := cmttypes.ComputeProtoSizeForTxs(cmttypes.ToTxs([][]byte{d.prepare(1 << 20)[0], owed,
		owed, owed, owed})) + 100
	if n := len(d.prepare(size)) - 1; n != 4 {
		t.Errorf("%d transactions of the lane in an otherwise empty block, want 4", n)
	}
	payment := d.sign(alice, paid, transfer(alice, alice))
	if err := d.send(payment); err != nil {
		t.Fatal(err)
	}
	txs := d.prepare(size)
	if !contains(txs, payment) {
		t.Error("a payment found no room beside the lane")
	}
	if !d.accepts(d.validators[1], txs) {
		t.Error("the proposer's own block is rejected")
	}
}

// Helpers.

func encode(t testing.TB, m *beaconv1.MsgPublish) []byte {
	t.Helper()
	tx, err := beacon.EncodeTx(m)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// withGas is a proof's transaction that asks for gas.
func withGas(t testing.TB, tx []byte) []byte {
	t.Helper()
	var raw txtypes.TxRaw
	if err := raw.Unmarshal(tx); err != nil {
		t.Fatal(err)
	}
	raw.AuthInfoBytes = mustMarshal(t, &txtypes.AuthInfo{Fee: &txtypes.Fee{GasLimit: 1}})
	return mustMarshal(t, &raw)
}

func unsigned(t testing.TB, msg sdk.Msg) []byte {
	t.Helper()
	packed, err := codectypes.NewAnyWithValue(msg)
	if err != nil {
		t.Fatal(err)
	}
	return mustMarshal(t, &txtypes.TxRaw{
		BodyBytes:     mustMarshal(t, &txtypes.TxBody{Messages: []*codectypes.Any{packed}}),
		AuthInfoBytes: mustMarshal(t, &txtypes.AuthInfo{Fee: &txtypes.Fee{GasLimit: 100_000}}),
	})
}

// exec wraps messages for somebody who was granted them.
func exec(t testing.TB, grantee string, msgs ...sdk.Msg) *authz.MsgExec {
	t.Helper()
	address, err := app.Addresses().StringToBytes(grantee)
	if err != nil {
		t.Fatal(err)
	}
	m := authz.NewMsgExec(address, msgs)
	return &m
}
