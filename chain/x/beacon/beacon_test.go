// SPDX-License-Identifier: Apache-2.0

package beacon_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/poc/seed"
)

const chain = "beacon-test"

// validator is one party of a small chain.
type validator struct {
	address []byte
	key     ed25519.PrivateKey
	power   uint64
}

func newValidator(b byte, power uint64) validator {
	return validator{
		address: bytes.Repeat([]byte{b}, 20),
		key:     ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)),
		power:   power,
	}
}

// set is who validates; it stands in for x/registry and x/credit.
type set []validator

func (s set) Power(_ context.Context, address []byte) (power, total uint64, err error) {
	for _, v := range s {
		total += v.power
		if bytes.Equal(v.address, address) {
			power = v.power
		}
	}
	return power, total, nil
}

func (s set) ByConsensusAddress(_ context.Context, address []byte) (registryv1.Participant,
	bool, error) {
	for _, v := range s {
		if bytes.Equal(v.address, address) {
			return registryv1.Participant{Address: string(v.address[:1]), VrfKey: v.key[32:]},
				true, nil
		}
	}
	return registryv1.Participant{}, false, nil
}

var addresses = addresscodec.NewBech32Codec("cpc")

func newKeeper(t *testing.T, validators set) (*beacon.Keeper, sdk.Context) {
	t.Helper()
	key := storetypes.NewKVStoreKey(beacon.Name)
	ctx := testutil.DefaultContext(key,
		storetypes.NewTransientStoreKey("transient")).WithChainID(chain).WithBlockHeight(1)
	cdc := codec.NewProtoCodec(codectypes.NewInterfaceRegistry())
	k, err := beacon.NewKeeper(cdc, runtime.NewKVStoreService(key), addresses,
		validators, validators)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.InitGenesis(ctx, beacon.DefaultGenesis()); err != nil {
		t.Fatal(err)
	}
	return k, ctx
}

// block lets a validator propose and everybody accept a block.
func block(t *testing.T, k *beacon.Keeper, ctx sdk.Context, v validator) beaconv1.Output {
	t.Helper()
	tx, err := k.Prove(ctx, v.address, v.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Publish(ctx, v.address, tx); err != nil {
		t.Fatal(err)
	}
	o, err := k.Output(ctx, ctx.BlockHeight())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Holds spec B-3.
func TestChainOfOutputs(t *testing.T) {
	a, b := newValidator(1, 3), newValidator(2, 1)
	k, ctx := newKeeper(t, set{a, b})
	previous := seed.Seed{}
	for h := int64(1); h <= 5; h++ {
		ctx = ctx.WithBlockHeight(h)
		v := a
		if h%2 == 0 {
			v = b
		}
		o := block(t, k, ctx, v)
		alpha := seed.BeaconAlpha(chain, uint64(h), previous)
		beta, err := vrf.Verify(v.key[32:], vrf.Prove(v.key, alpha[:]), alpha[:])
		if err != nil {
			t.Fatal(err)
		}
		previous = seed.BeaconValue(chain, uint64(h), previous, beta, v.address)
		want := beaconv1.Output{Height: h, Proposer: v.address, Beta: beta, Value: previous.Bytes(),
			Share: whole * v.power / 4}
		if diff := cmp.Diff(want, o); diff != "" {
			t.Fatalf("height %d: %s", h, diff)
		}
	}
	var values []seed.Seed
	for h := int64(3); h <= 4; h++ {
		value, err := k.Value(ctx, h)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	mix, height, ok, err := k.Mix(ctx, 2)
	if want := seed.BeaconMix(chain, 2, values); err != nil || !ok || height != 4 || mix != want {
		t.Errorf("mix %v at %d, %v, %v, want %v at 4", mix, height, ok, err, want)
	}
	if _, _, ok, err := k.Mix(ctx, 4); ok || err != nil {
		t.Errorf("resolved one block after the deadline: %v, %v", ok, err)
	}
	if _, err := k.Value(ctx, 6); !errors.Is(err, beacon.ErrMissing) {
		t.Errorf("a block to come: %v", err)
	}
}

// Holds spec B-2, B-6.
func TestVerifyRefuses(t *testing.T) {
	a, b, stranger := newValidator(1, 1), newValidator(2, 1), newValidator(3, 1)
	k, ctx := newKeeper(t, set{a, b})
	block(t, k, ctx, a)
	ctx = ctx.WithBlockHeight(2)
	good, err := k.Prove(ctx, a.address, a.key)
	if err != nil {
		t.Fatal(err)
	}
	prove := func(ctx sdk.Context, address []byte, key ed25519.PrivateKey) []byte {
		tx, err := k.Prove(ctx, address, key)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	message := func(change func(*beaconv1.MsgPublish)) []byte {
		m, err := beacon.DecodeTx(good)
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		tx, err := beacon.EncodeTx(m)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	for name, c := range map[string]struct {
		proposer, tx []byte
		want         error
	}{
		"nothing":     {a.address, nil, beacon.ErrTx},
		"noise":       {a.address, []byte("noise"), beacon.ErrTx},
		"a byte more": {a.address, append(bytes.Clone(good), 0x1a, 0), beacon.ErrTx},
		"long": {a.address,
			bytes.Repeat([]byte{0x0a, 0}, beacon.MaxTxSize), beacon.ErrTx},
		"of another proposer":    {b.address, good, beacon.ErrProof},
		"claims to be another's": {b.address, prove(ctx, b.address, a.key), beacon.ErrProof},
		"with the wrong key":     {a.address, prove(ctx, a.address, b.key), beacon.ErrProof},
		"of the block before": {a.address, prove(ctx.WithBlockHeight(1), a.address, a.key),
			beacon.ErrProof},
		"of the block after": {a.address, prove(ctx.WithBlockHeight(3), a.address, a.key),
			beacon.ErrProof},
		"of another chain": {a.address, prove(ctx.WithChainID("elsewhere"), a.address, a.key),
			beacon.ErrProof},
		"proposer nobody registered": {stranger.address, prove(ctx, stranger.address, stranger.key),
			beacon.ErrProof},
		"proof cut short": {a.address,
			message(func(m *beaconv1.MsgPublish) { m.Proof = m.Proof[:79] }), beacon.ErrProof},
		"proof changed": {a.address, message(func(m *beaconv1.MsgPublish) {
			m.Proof[50] ^= 1
		}), beacon.ErrProof},
		"no proof": {a.address, message(func(m *beaconv1.MsgPublish) {
			m.Proof = nil
		}), beacon.ErrProof},
		"names somebody else as proposer": {a.address,
			message(func(m *beaconv1.MsgPublish) { m.Proposer = "cpc1" }), beacon.ErrProof},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := k.Verify(ctx, c.proposer, c.tx); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	if _, err := k.Verify(ctx, a.address, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func FuzzDecodeTx(f *testing.F) {
	tx, err := beacon.EncodeTx(&beaconv1.MsgPublish{Proposer: "cpc1",
		Proof: make([]byte, vrf.ProofSize)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tx)
	f.Add(tx[:len(tx)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, tx []byte) {
		m, err := beacon.DecodeTx(tx)
		if err != nil {
			return
		}
		again, err := beacon.EncodeTx(m)
		if err != nil || !bytes.Equal(again, tx) {
			t.Errorf("decoded %x, encoded %x, %v", tx, again, err)
		}
	})
}

// Holds spec B-5.
func TestPruning(t *testing.T) {
	k, ctx := newKeeper(t, set{newValidator(1, 1)})
	// A state with three outputs too many, as an import could bring it.
	gs := beacon.DefaultGenesis()
	for h := int64(1); h <= beacon.Keep+3; h++ {
		gs.Outputs = append(gs.Outputs, beaconv1.Output{Height: h, Proposer: make([]byte, 20),
			Beta: make([]byte, 64), Value: make([]byte, 32)})
	}
	next := int64(beacon.Keep + 4)
	if err := k.InitGenesis(ctx.WithBlockHeight(next), gs); err != nil {
		t.Fatal(err)
	}
	oldest := func() int64 {
		for h := int64(1); ; h++ {
			if _, err := k.Output(ctx, h); err == nil {
				return h
			}
		}
	}
	// Two per block while there are too many, then one.
	for i, want := range []int64{3, 5, 7, 8, 9} {
		block(t, k, ctx.WithBlockHeight(next+int64(i)), newValidator(1, 1))
		if got := oldest(); got != want {
			t.Errorf("after %d blocks the oldest output is %d, want %d", i+1, got, want)
		}
	}
}

func TestGenesisRoundTrip(t *testing.T) {
	v := newValidator(1, 1)
	k, ctx := newKeeper(t, set{v})
	for h := int64(1); h <= 4; h++ {
		block(t, k, ctx.WithBlockHeight(h), v)
	}
	gs, err := k.ExportGenesis(ctx)
	if err != nil {
		t.Fatal(err)
	}
	other, ctx2 := newKeeper(t, set{v})
	if err := other.InitGenesis(ctx2.WithBlockHeight(9), gs); !errors.Is(err, beacon.ErrGenesis) {
		t.Errorf("going on at another height: %v", err)
	}
	if err := other.InitGenesis(ctx2.WithBlockHeight(5), gs); err != nil {
		t.Fatal(err)
	}
	want := block(t, k, ctx.WithBlockHeight(5), v)
	if diff := cmp.Diff(want, block(t, other, ctx2.WithBlockHeight(5), v)); diff != "" {
		t.Error(diff)
	}
}

func TestGenesisRefuses(t *testing.T) {
	output := func(h int64) beaconv1.Output {
		return beaconv1.Output{Height: h, Proposer: make([]byte, 20), Beta: make([]byte, 64),
			Value: make([]byte, 32)}
	}
	for name, damage := range map[string]func(*beaconv1.GenesisState){
		"no origin":  func(gs *beaconv1.GenesisState) { gs.Origin = nil },
		"height 0":   func(gs *beaconv1.GenesisState) { gs.Outputs[0].Height = 0 },
		"a gap":      func(gs *beaconv1.GenesisState) { gs.Outputs[1].Height = 9 },
		"value":      func(gs *beaconv1.GenesisState) { gs.Outputs[1].Value = nil },
		"proposer":   func(gs *beaconv1.GenesisState) { gs.Outputs[1].Proposer = nil },
		"beta":       func(gs *beaconv1.GenesisState) { gs.Outputs[1].Beta = nil },
		"much power": func(gs *beaconv1.GenesisState) { gs.Outputs[1].Share = whole + 1 },
	} {
		gs := beacon.DefaultGenesis()
		gs.Outputs = []beaconv1.Output{output(1), output(2)}
		if err := beacon.ValidateGenesis(gs); err != nil {
			t.Fatal(err)
		}
		damage(gs)
		if err := beacon.ValidateGenesis(gs); !errors.Is(err, beacon.ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSlot(t *testing.T) {
	_, ctx := newKeeper(t, set{newValidator(1, 1)})
	slot := ctx.WithExecMode(sdk.ExecModeFinalize).WithTxIndex(0).WithTxBytes([]byte{1})
	if !beacon.IsSlot(slot) {
		t.Error("the first transaction of a decided block is not the slot")
	}
	for name, other := range map[string]sdk.Context{
		"another transaction": slot.WithTxIndex(1),
		"check":               slot.WithExecMode(sdk.ExecModeCheck),
		"simulation":          slot.WithExecMode(sdk.ExecModeSimulate),
		"proposal":            slot.WithExecMode(sdk.ExecModeProcessProposal),
		"governance":          slot.WithTxBytes(nil),
	} {
		if beacon.IsSlot(other) {
			t.Errorf("%s is the slot", name)
		}
	}
}
