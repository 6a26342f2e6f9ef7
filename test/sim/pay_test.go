// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/settle/settletest"
	"github.com/assaynet/assay/host/submit"
)

// realBank is the application, as a settler sees it: an account of its own, a
// mempool, and blocks that take what is in it or do not.
type realBank struct {
	n      *network
	key    *secp256k1.PrivKey
	pool   [][]byte
	blocks map[int64][]settle.Tx
}

func (b *realBank) address() sdk.AccAddress { return sdk.AccAddress(b.key.PubKey().Address()) }

func (b *realBank) Balance(context.Context) (ledger.Amount, error) {
	return b.n.holds(b.address().String()), nil
}

func (b *realBank) Account(ctx context.Context) (number, sequence uint64, err error) {
	res, err := authtypes.NewQueryClient(conn{b.n.app, b.n.ctx()}).Account(ctx,
		&authtypes.QueryAccountRequest{Address: b.address().String()})
	if err != nil {
		return 0, 0, err
	}
	var a sdk.AccountI
	if err := b.n.app.Encoding().Registry.UnpackAny(res.Account, &a); err != nil {
		return 0, 0, err
	}
	return a.GetAccountNumber(), a.GetSequence(), nil
}

// holds is what an address has.
func (n *network) holds(address string) ledger.Amount {
	n.t.Helper()
	res, err := banktypes.NewQueryClient(conn{n.app, n.ctx()}).Balance(n.t.Context(),
		&banktypes.QueryBalanceRequest{Address: address, Denom: app.Denom})
	if err != nil {
		n.t.Fatal(err)
	}
	a, err := ledger.ParseAmount(res.Balance.Amount.String())
	if err != nil {
		n.t.Fatal(err)
	}
	return a
}

func (b *realBank) Fee(int) ledger.Amount { a, _ := ledger.ParseAmount("1"); return a }

func (b *realBank) Sign(_ context.Context, memo string, payments []ledger.Payment, number,
	sequence uint64, timeout int64) ([]byte, string, error) {
	var msgs []sdk.Msg
	for _, p := range payments {
		amount, ok := math.NewIntFromString(p.Amount.String())
		if !ok {
			return nil, "", errors.New("amount")
		}
		msgs = append(msgs, &banktypes.MsgSend{FromAddress: b.address().String(),
			ToAddress: p.Payout, Amount: sdk.NewCoins(sdk.NewCoin(app.Denom, amount))})
	}
	raw, err := b.sign(memo, msgs, number, sequence, timeout)
	return raw, submit.Hash(raw), err
}

func (b *realBank) sign(memo string, msgs []sdk.Msg, number, sequence uint64,
	timeout int64) ([]byte, error) {
	config := b.n.app.Encoding().TxConfig
	t := config.NewTxBuilder()
	if err := t.SetMsgs(msgs...); err != nil {
		return nil, err
	}
	t.SetMemo(memo)
	t.SetGasLimit(1_000_000)
	t.SetTimeoutHeight(uint64(timeout))
	t.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1)))
	data := &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT}
	sig := signing.SignatureV2{PubKey: b.key.PubKey(), Data: data, Sequence: sequence}
	if err := t.SetSignatures(sig); err != nil {
		return nil, err
	}
	signer := authsigning.SignerData{Address: b.address().String(), ChainID: chainID,
		AccountNumber: number, Sequence: sequence, PubKey: b.key.PubKey()}
	say, err := authsigning.GetSignBytesAdapter(context.Background(), config.SignModeHandler(),
		signing.SignMode_SIGN_MODE_DIRECT, signer, t.GetTx())
	if err != nil {
		return nil, err
	}
	if data.Signature, err = b.key.Sign(say); err != nil {
		return nil, err
	}
	if err := t.SetSignatures(sig); err != nil {
		return nil, err
	}
	return config.TxEncoder()(t.GetTx())
}

// Send asks the application as a node's mempool does.
func (b *realBank) Send(_ context.Context, raw []byte) error {
	for _, known := range b.pool {
		if bytes.Equal(known, raw) {
			return nil
		}
	}
	res, err := b.n.app.CheckTx(&abci.RequestCheckTx{Tx: raw, Type: abci.CheckTxType_New})
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return fmt.Errorf("the node refuses a payment: %s", res.Log)
	}
	b.pool = append(b.pool, raw)
	return nil
}

func (b *realBank) Block(_ context.Context, _ string, height int64) ([]settle.Tx, error) {
	return b.blocks[height], nil
}

// make makes a block, of what is in the mempool or of nothing.
func (b *realBank) make(full bool) {
	b.n.t.Helper()
	var txs [][]byte
	if full {
		txs, b.pool = b.pool, nil
	}
	b.n.block(txs...)
	encoding, err := client.NewEncoding()
	if err != nil {
		b.n.t.Fatal(err)
	}
	node := settle.Node{Encoding: encoding, Address: b.address().String()}
	for i, raw := range txs {
		block := submit.BlockTx{Raw: raw, Hash: submit.Hash(raw), Code: b.n.results[i].Code,
			Codespace: b.n.results[i].Codespace, Log: b.n.results[i].Log,
			Ran: submit.Ran(b.n.results[i])}
		tx, mine := node.Read(b.address().String(), block)
		if !mine {
			b.n.t.Fatal("a transaction of the account is not taken for one")
		}
		if !block.Ran {
			continue
		}
		tx.Height = b.n.height
		b.blocks[b.n.height] = append(b.blocks[b.n.height], tx)
	}
}

// byHand is a transaction of the account that no host made.
func (b *realBank) byHand() {
	b.n.t.Helper()
	number, sequence, err := b.Account(b.n.t.Context())
	if err != nil {
		b.n.t.Fatal(err)
	}
	msg := &banktypes.MsgSend{FromAddress: b.address().String(), ToAddress: b.address().String(),
		Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1))}
	raw, err := b.sign("", []sdk.Msg{msg}, number, sequence, 1<<40)
	if err != nil {
		b.n.t.Fatal(err)
	}
	before := b.pool
	b.pool = [][]byte{raw}
	b.make(true)
	b.pool = before
}

// payday is a chain that a settler can be led through.
type payday struct {
	settle.Chain
	height func() int64
	make   func(full bool)
	lose   func()
	byHand func()
	got    func(address string) string
}

// The same things happen to a settler on the application and on the chain that its
// other tests pay on: transfers, one that the chain takes for nobody, blocks without
// it until it is too old, a mempool that loses it, the account used by hand, and a
// ledger that is put back. What it does and what is paid is the same.
func TestPaymentsOnARealChain(t *testing.T) {
	n := start(t, 2)
	n.block()
	payer := n.host("p1")
	real := &realBank{n: n, key: payer.operator, blocks: map[int64][]settle.Tx{}}
	module := authtypes.NewModuleAddress(authtypes.FeeCollectorName).String()
	var addresses []string
	for i := range byte(3) {
		addresses = append(addresses, sdk.AccAddress(bytes.Repeat([]byte{i + 1}, 20)).String())
	}
	_, sequence, err := real.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fake := settletest.New("1000000000000000000000000")
	fake.Sequence, fake.Height = sequence, n.height
	fake.Refused[module] = "it takes no transfers"
	days := map[string]payday{
		"application": {Chain: real, height: func() int64 {
			return n.height
		}, make: real.make, lose: func() { real.pool = nil }, byHand: real.byHand,
			got: func(a string) string { return n.holds(a).String() }},
		"fake": {Chain: fake, height: func() int64 {
			return fake.Height
		}, make: fake.Make, lose: fake.Lose, byHand: func() { fake.ByHand("") }, got: fake.Got},
	}
	traces := map[string][]string{}
	for name, day := range days {
		traces[name] = lead(t, day, real.address().String(), module, addresses)
	}
	if diff := cmp.Diff(traces["application"], traces["fake"]); diff != "" {
		t.Errorf("-application +fake:\n%s", diff)
	}
	// A proposer puts a transaction there whose number is used: it does not run, and says so.
	number, sequence, err := real.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := real.sign("", []sdk.Msg{&banktypes.MsgSend{FromAddress: real.address().String(),
		ToAddress: addresses[0], Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1))}},
		number, sequence-1, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	n.unjudged = true
	n.block(again)
	if r := n.results[0]; r.Code == 0 || submit.Ran(r) {
		t.Errorf("a number that is used: code %d, %d events", r.Code, len(r.Events))
	}
	if want := "paid 300 20 7"; traces["application"][len(traces["application"])-1] != want {
		t.Errorf("in the end %q, want %q", traces["application"], want)
	}
}

// lead leads a settler through a day and writes down what it does.
func lead(t *testing.T, day payday, payer, module string, addresses []string) (trace []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := ledger.Open(path, ledger.Rules{Strikes: 1}, ledger.Amount{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.Close() }()
	s := settle.New(settle.Config{Ledger: l, Chain: day, Account: payer})
	step := func(what string) {
		t.Helper()
		serr := s.Step(t.Context(), day.height())
		_, sequence, err := day.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Books()
		if err != nil {
			t.Fatal(err)
		}
		open, found, err := l.Unfinished()
		if err != nil {
			t.Fatal(err)
		}
		trace = append(trace, fmt.Sprintf("%s: %s, sequence %d, books %d, open %t %d, failed %t",
			what, s.Status().Doing, sequence, b.Sequence, found, open.Number, serr != nil))
	}
	earn := func(d byte, payout, source string, pay string) {
		t.Helper()
		a, err := ledger.ParseAmount(pay)
		if err == nil {
			_, err = l.Register(ledger.Device{d}, payout, time.UnixMilli(1))
		}
		if err == nil {
			_, err = l.Credit(ledger.Entry{Device: ledger.Device{d}, Kind: ledger.Loops,
				Source: source, Pay: a})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	resolve := func() {
		t.Helper()
		for range 3 {
			step("looks")
			if p := s.Status().Plan; p != nil && p.Ready {
				trace = append(trace,
					fmt.Sprintf("plan: %d found, missing %q", len(p.Found), p.Missing))
				if err := s.Resolve(p.Digest, ""); err != nil {
					t.Fatal(err)
				}
				step("resolved")
				return
			}
			day.make(false)
		}
		t.Fatalf("no plan: %+v", s.Status())
	}
	_, sequence, err := day.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Follow(payer, sequence, day.height()); err != nil {
		t.Fatal(err)
	}
	earn(1, addresses[0], "a", "100")
	earn(2, module, "a", "50")
	for range 8 { // all together, then one by one, since the module takes nothing
		step("pays")
		day.make(true)
	}
	earn(3, addresses[1], "a", "20")
	step("sends")
	for range 20 { // as long as a payment may wait
		day.make(false)
	}
	step("too old")
	day.lose()
	day.make(false)
	step("sends again")
	day.lose()
	day.make(false) // until the next block a node holds a number for used
	step("once more")
	day.make(true)
	step("finds it")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func() {
		if l, err = ledger.Open(path, ledger.Rules{Strikes: 1}, ledger.Amount{}); err != nil {
			t.Fatal(err)
		}
		s = settle.New(settle.Config{Ledger: l, Chain: day, Account: payer})
	}
	open()
	earn(1, addresses[0], "b", "200")
	step("pays more")
	day.make(true)
	step("finds it")
	day.byHand()
	if err := errors.Join(l.Close(), os.WriteFile(path, backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	open()
	resolve()
	earn(1, addresses[0], "b", "200") // by its receipt
	earn(4, addresses[2], "a", "7")
	for range 3 {
		step("pays")
		day.make(true)
	}
	return append(trace, fmt.Sprintf("paid %s %s %s", day.got(addresses[0]), day.got(addresses[1]),
		day.got(addresses[2])))
}
