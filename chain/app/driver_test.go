// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/baseapp"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/chain/x/registry"
)

// validator is one app of a driven chain, with the keys of its participant.
type validator struct {
	*app.App
	home.Participant

	dir     string
	address []byte // consensus address
	keys    keyring.Keyring
}

// driver stands in for CometBFT: it takes several apps through the same blocks,
// one call after the other, with a clock of its own, and insists that they agree.
type driver struct {
	t          testing.TB
	genesis    *genutiltypes.AppGenesis
	validators []*validator
	height     int64
	now        time.Time
	// interval is how much time a block takes.
	interval time.Duration
	// denom pays fees.
	denom string
	// results of the last block.
	results []*abci.ExecTxResult
	// beforeCommit, when set, runs between a block and its commit.
	beforeCommit func(*validator)
}

// options are what an app is told: its home, and no more.
type options map[string]any

func (o options) Get(key string) any { return o[key] }

// drive starts a chain of these participants.
func drive(t testing.TB, names ...string) *driver {
	t.Helper()
	return driveFrom(t, func(*genesis.Options) {}, names...)
}

// driveFrom starts a chain whose genesis differs from the usual one.
func driveFrom(t testing.TB, differ func(*genesis.Options), names ...string) *driver {
	t.Helper()
	d := &driver{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), interval: time.Second,
		denom: app.Denom}
	var participants []home.Participant
	for _, name := range names {
		dir, p := participant(t, name)
		keys, err := home.OpenKeyring(dir, keyring.BackendTest, nil)
		if err != nil {
			t.Fatal(err)
		}
		participants = append(participants, p)
		d.validators = append(d.validators, &validator{
			App: open(t, dir), Participant: p, dir: dir, keys: keys,
			address: registry.ConsensusAddress(p.ConsensusKey),
		})
	}
	o := genesis.Options{
		Chain: chainID, Time: d.now, Preset: genesis.Presets()["localnet"],
		Participants: participants,
	}
	differ(&o)
	var err error
	d.genesis, err = genesis.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	d.init(d.genesis)
	return d
}

func open(t testing.TB, dir string, more ...options) *app.App {
	t.Helper()
	return openOn(t, dir, dbm.NewMemDB(), more...)
}

// openOn opens an app over a database.
func openOn(t testing.TB, dir string, db dbm.DB, more ...options) *app.App {
	t.Helper()
	told := options{"home": dir}
	for _, m := range more {
		maps.Copy(told, m)
	}
	a, err := app.New(log.NewNopLogger(), db, nil, told,
		baseapp.SetChainID(chainID), baseapp.SetMinGasPrices("1000"+app.Denom))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// initChain gives an app a genesis.
func initChain(a *app.App, g *genutiltypes.AppGenesis) (*abci.ResponseInitChain, error) {
	params := g.Consensus.Params.ToProto()
	var validators []abci.ValidatorUpdate
	for _, v := range g.Consensus.Validators {
		validators = append(validators, abci.Ed25519ValidatorUpdate(v.PubKey.Bytes(), v.Power))
	}
	return a.InitChain(&abci.RequestInitChain{
		ChainId: g.ChainID, Time: g.GenesisTime, InitialHeight: g.InitialHeight,
		AppStateBytes: g.AppState, ConsensusParams: &params,
		Validators: validators,
	})
}

func (d *driver) init(g *genutiltypes.AppGenesis) {
	d.t.Helper()
	for _, v := range d.validators {
		if _, err := initChain(v.App, g); err != nil {
			d.t.Fatal(err)
		}
	}
	d.height = g.InitialHeight - 1
}

// proposer is whose turn it is.
func (d *driver) proposer() *validator { return d.validators[int(d.height+1)%len(d.validators)] }

// prepare lets the next proposer fill a block of up to size bytes.
func (d *driver) prepare(size int64) [][]byte {
	d.t.Helper()
	p := d.proposer()
	r, err := p.PrepareProposal(&abci.RequestPrepareProposal{
		Height: d.height + 1, Time: d.now.Add(d.interval), ProposerAddress: p.address,
		MaxTxBytes: size,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return r.Txs
}

// prepareBy lets one validator fill the next block, once it is its turn.
func (d *driver) prepareBy(v *validator, size int64) [][]byte {
	d.t.Helper()
	for d.proposer() != v {
		d.decide(d.prepare(200))
	}
	return d.prepare(size)
}

// accepts reports whether a validator votes for a block of the next proposer.
func (d *driver) accepts(v *validator, txs [][]byte) bool {
	d.t.Helper()
	r, err := v.ProcessProposal(&abci.RequestProcessProposal{
		Height: d.height + 1, Time: d.now.Add(d.interval), ProposerAddress: d.proposer().address,
		Txs: txs,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return r.IsAccepted()
}

// decide takes all apps through a block.
func (d *driver) decide(txs [][]byte) {
	d.t.Helper()
	req := &abci.RequestFinalizeBlock{
		Height: d.height + 1, Time: d.now.Add(d.interval), ProposerAddress: d.proposer().address,
		Txs: txs,
	}
	var first *abci.ResponseFinalizeBlock
	for _, v := range d.validators {
		r, err := v.FinalizeBlock(req)
		if err != nil {
			d.t.Fatalf("%s at height %d: %v", v.Moniker, req.Height, err)
		}
		if first == nil {
			first = r
		} else if !bytes.Equal(r.AppHash, first.AppHash) {
			d.t.Fatalf("%s disagrees on the state at height %d", v.Moniker, req.Height)
		}
		if d.beforeCommit != nil {
			d.beforeCommit(v)
		}
		if _, err := v.Commit(); err != nil {
			d.t.Fatal(err)
		}
	}
	d.results = first.TxResults
	d.height, d.now = req.Height, req.Time
}

// blocks goes on for n blocks with whatever waits in the proposers' pools.
func (d *driver) blocks(n int) {
	d.t.Helper()
	for range n {
		txs := d.prepare(4 << 20)
		for _, v := range d.validators {
			if !d.accepts(v, txs) {
				d.t.Fatalf("%s rejects the block of %s at height %d", v.Moniker,
					d.proposer().Moniker, d.height+1)
			}
		}
		d.decide(txs)
	}
}

// send puts a transaction into every pool, as gossip does, and returns the first
// refusal.
func (d *driver) send(tx []byte) error {
	d.t.Helper()
	for _, v := range d.validators {
		if r := checked(d.t, v, tx); r.Code != abci.CodeTypeOK {
			return errors.New(r.Log)
		}
	}
	return nil
}

// paid is how anybody sends anything.
var paid = draft{from: home.Operator, gas: 1_000_000, fee: 1000}

// then is the draft of the nth transaction after it.
func (f draft) then(n uint64) draft {
	f.sequence += n
	return f
}

// draft says how a transaction is signed.
type draft struct {
	from     string // account in the keyring
	gas      uint64
	fee      int64 // in acpc per gas
	sequence uint64
}

// ctx is the state that the next block starts from.
func (v *validator) ctx(t testing.TB) sdk.Context {
	t.Helper()
	ctx, err := v.CreateQueryContext(0, false)
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// sign makes a transaction of a validator's account; the sequence number of the
// draft counts from the account's next one.
func (d *driver) sign(v *validator, from draft, msgs ...sdk.Msg) []byte {
	d.t.Helper()
	encoding := v.Encoding()
	record, err := v.keys.Key(from.from)
	if err != nil {
		d.t.Fatal(err)
	}
	address, err := record.GetAddress()
	if err != nil {
		d.t.Fatal(err)
	}
	number, sequence := d.account(address)
	builder := encoding.TxConfig.NewTxBuilder()
	if err := builder.SetMsgs(msgs...); err != nil {
		d.t.Fatal(err)
	}
	builder.SetGasLimit(from.gas)
	if from.fee > 0 {
		builder.SetFeeAmount(sdk.NewCoins(sdk.NewCoin(d.denom,
			math.NewInt(from.fee).MulRaw(int64(from.gas)))))
	}
	factory := clienttx.Factory{}.WithChainID(chainID).WithKeybase(v.keys).WithTxConfig(
		encoding.TxConfig).
		WithSignMode(signing.SignMode_SIGN_MODE_DIRECT).WithAccountNumber(number).WithSequence(
		sequence + from.sequence)
	if err := clienttx.Sign(context.Background(), factory, from.from, builder, true); err != nil {
		d.t.Fatal(err)
	}
	tx, err := encoding.TxConfig.TxEncoder()(builder.GetTx())
	if err != nil {
		d.t.Fatal(err)
	}
	return tx
}

// account reads number and next sequence of an account.
func (d *driver) account(address sdk.AccAddress) (number, sequence uint64) {
	d.t.Helper()
	v := d.validators[0]
	var info authtypes.QueryAccountInfoResponse
	v.query(d.t, "/cosmos.auth.v1beta1.Query/AccountInfo",
		&authtypes.QueryAccountInfoRequest{Address: address.String()}, &info)
	return info.Info.AccountNumber, info.Info.Sequence
}

func mustMarshal(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// transfer sends a little from one operator to another.
func transfer(from, to *validator) sdk.Msg {
	return transferFrom(from.Address, to)
}

// vrfKeyOf reads a validator's VRF key from its home.
func vrfKeyOf(t testing.TB, v *validator) ed25519.PrivateKey {
	t.Helper()
	k, err := keyfile.Load(filepath.Join(v.dir, app.VRFKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// funded makes an account in a validator's keyring that is no participant and
// holds some coins.
func (d *driver) funded(v *validator, name string) (address string) {
	d.t.Helper()
	record, _, err := v.keys.NewMnemonic(name, keyring.English, "", "", hd.Secp256k1)
	if err != nil {
		d.t.Fatal(err)
	}
	raw, err := record.GetAddress()
	if err != nil {
		d.t.Fatal(err)
	}
	if address, err = app.Addresses().BytesToString(raw); err != nil {
		d.t.Fatal(err)
	}
	d.must(d.sign(v, paid, &banktypes.MsgSend{
		FromAddress: v.Address, ToAddress: address,
		Amount: sdk.NewCoins(sdk.NewCoin(app.Denom, genesis.CPC(100))),
	}))
	return address
}

// accounts makes accounts as funded does, and returns their addresses by name.
func (d *driver) accounts(v *validator, names ...string) map[string]string {
	d.t.Helper()
	all := make(map[string]string)
	for _, name := range names {
		all[name] = d.funded(v, name)
	}
	return all
}

// transferFrom sends a little from an account.
func transferFrom(address string, to *validator) sdk.Msg {
	return &banktypes.MsgSend{FromAddress: address, ToAddress: to.Address,
		Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 5))}
}

// must takes a transaction through the next block and insists that it succeeds.
func (d *driver) must(tx []byte) {
	d.t.Helper()
	if err := d.send(tx); err != nil {
		d.t.Fatal(err)
	}
	d.blocks(1)
	if len(d.results) != 2 || d.results[1].Code != 0 {
		d.t.Fatalf("%d transactions in the block, the last one: %v", len(d.results),
			d.results[len(d.results)-1])
	}
}

// query asks a validator as a client would.
func (v *validator) query(t testing.TB, path string, request interface{ Marshal() ([]byte, error) },
	response interface{ Unmarshal([]byte) error }) {
	t.Helper()
	r, err := v.Query(context.Background(),
		&abci.RequestQuery{Path: path, Data: mustMarshal(t, request)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Code != 0 {
		t.Fatalf("%s: %s", path, r.Log)
	}
	if err := response.Unmarshal(r.Value); err != nil {
		t.Fatal(err)
	}
}
