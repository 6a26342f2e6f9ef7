// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cosmossdk.io/math"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	"google.golang.org/grpc"

	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/adversary"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/localnet"
)

// A burst: every account has a hundred messages waiting at once, more than CometBFT's mempool
// holds.
const (
	burstAccounts = 100
	burstMessages = 100 // of each account
	burstSenders  = 8   // connections in parallel; an account's messages go through one, in order
	idleBlocks    = 20
	transferGas   = 200_000
)

// BenchmarkChain measures a chain of the localnet preset, all nodes on this machine and nobody
// computing: the time between blocks when nothing happens, then a burst of signed transfers until
// the last one is in a block.
//
// A message is lost when its sender was told that it was taken and it never gets into a block. None
// may be.
func BenchmarkChain(b *testing.B) {
	for _, nodes := range []int{1, 4} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			params := sprint.LocalnetParams()
			params.PrepareBlocks = 10_000 // the first epoch waits for hosts that never come
			n := launch(b, localnet.Options{Participants: nodes, Cheat: adversary.None,
				Params: &params, BlockTime: 700 * time.Millisecond},
				10*time.Minute, (*localnet.Network).StartNodes)
			c := newChain(b, n)
			first := c.height()
			c.reach(first + idleBlocks)
			idle := c.blockTime(first, first+idleBlocks)
			accounts := c.fund(burstAccounts)
			var all burst
			for b.Loop() {
				b.StopTimer()
				for _, a := range accounts {
					c.sign(a, burstMessages)
				}
				b.StartTimer()
				all = c.send(accounts)
				b.StopTimer()
				c.settled(accounts)
				b.StartTimer()
			}
			// the loop's start clears what was reported before
			b.ReportMetric(idle, "idle-ms/block")
			b.ReportMetric(float64(all.included)/all.took.Seconds(), "msgs/s")
			b.ReportMetric(c.blockTime(all.from, all.to), "load-ms/block")
			b.ReportMetric(float64(all.full), "refused-full")
		})
	}
}

// chain is a network's chain with one RPC client per node.
type chain struct {
	b        *testing.B
	n        *net
	encoding app.Encoding
	rpc      []*rpchttp.HTTP
	conns    []*grpc.ClientConn
	sink     string // who is paid
	paid     int64  // what the sink has to hold, in acpc
}

// burst is how sending went.
type burst struct {
	included int
	took     time.Duration // from the first message sent to the last one seen in a block
	from, to int64         // heights before and after
	full     int64         // refusals for lack of room, each sent again
}

// account is a sender.
type account struct {
	key      *secp256k1.PrivKey
	address  string
	number   uint64
	sequence uint64 // of signed[0]
	signed   [][]byte
	funds    int64
}

func newChain(b *testing.B, n *net) *chain {
	b.Helper()
	encoding, err := app.NewEncoding()
	if err != nil {
		b.Fatal(err)
	}
	c := &chain{b: b, n: n, encoding: encoding, sink: newAccount(b).address}
	for i, m := range n.Members {
		client, err := rpchttp.New("http://"+m.RPC, "/websocket")
		if err != nil {
			b.Fatal(err)
		}
		conn, err := n.Conn(i)
		if err != nil {
			b.Fatal(err)
		}
		c.rpc, c.conns = append(c.rpc, client), append(c.conns, conn)
	}
	return c
}

func newAccount(b *testing.B) *account {
	b.Helper()
	key := secp256k1.GenPrivKey()
	address, err := app.Addresses().BytesToString(key.PubKey().Address())
	if err != nil {
		b.Fatal(err)
	}
	return &account{key: key, address: address}
}

func (c *chain) height() int64 {
	c.b.Helper()
	status, err := c.rpc[0].Status(c.n.ctx)
	if err != nil {
		c.b.Fatal(err)
	}
	return status.SyncInfo.LatestBlockHeight
}

func (c *chain) reach(height int64) {
	c.b.Helper()
	if err := localnet.Until(c.n.ctx, fmt.Sprintf("block %d", height), func() (bool, error) {
		return c.height() >= height, c.n.Check()
	}); err != nil {
		c.b.Fatal(err)
	}
}

// blockTime is the median of the time between the headers from one height to another, in ms.
func (c *chain) blockTime(from, to int64) float64 {
	c.b.Helper()
	var gaps []float64
	var last time.Time
	for h := from; h <= to; h++ {
		res, err := c.rpc[0].Header(c.n.ctx, &h)
		if err != nil {
			c.b.Fatal(err)
		}
		if h > from {
			gaps = append(gaps, float64(res.Header.Time.Sub(last).Microseconds())/1000)
		}
		last = res.Header.Time
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// read returns an account as the state of a node has it.
func (c *chain) read(node int, address string) sdk.AccountI {
	c.b.Helper()
	res, err := authtypes.NewQueryClient(c.conns[node]).Account(c.n.ctx,
		&authtypes.QueryAccountRequest{Address: address})
	if err != nil {
		c.b.Fatal(err)
	}
	var a sdk.AccountI
	if err := c.encoding.Registry.UnpackAny(res.Account, &a); err != nil {
		c.b.Fatal(err)
	}
	return a
}

func (c *chain) balance(address string) math.Int {
	c.b.Helper()
	res, err := banktypes.NewQueryClient(c.conns[0]).Balance(c.n.ctx,
		&banktypes.QueryBalanceRequest{Address: address, Denom: app.Denom})
	if err != nil {
		c.b.Fatal(err)
	}
	return res.Balance.Amount
}

func coins(amount int64) sdk.Coins { return sdk.NewCoins(sdk.NewInt64Coin(app.Denom, amount)) }

// fund makes accounts and pays them all with one message of the faucet.
func (c *chain) fund(count int) []*account {
	c.b.Helper()
	const funds = 1_000_000
	var accounts []*account
	var outputs []banktypes.Output
	for range count {
		a := newAccount(c.b)
		a.funds = funds
		accounts, outputs = append(accounts, a),
			append(outputs, banktypes.Output{Address: a.address, Coins: coins(funds)})
	}
	keys, err := home.OpenKeyring(c.n.Members[0].Home, keyring.BackendTest, nil)
	if err != nil {
		c.b.Fatal(err)
	}
	faucet := c.read(0, c.n.Faucet)
	factory := clienttx.Factory{}.WithChainID(c.n.Chain).WithTxConfig(
		c.encoding.TxConfig).WithKeybase(keys).
		WithAccountNumber(faucet.GetAccountNumber()).WithSequence(faucet.GetSequence()).
		WithSignMode(signing.SignMode_SIGN_MODE_DIRECT).WithGas(50_000_000)
	builder, err := factory.BuildUnsignedTx(&banktypes.MsgMultiSend{
		Inputs:  []banktypes.Input{{Address: c.n.Faucet, Coins: coins(funds * int64(count))}},
		Outputs: outputs,
	})
	if err != nil {
		c.b.Fatal(err)
	}
	if err := clienttx.Sign(c.n.ctx, factory, localnet.FaucetKey, builder, true); err != nil {
		c.b.Fatal(err)
	}
	raw, err := c.encoding.TxConfig.TxEncoder()(builder.GetTx())
	if err != nil {
		c.b.Fatal(err)
	}
	res, err := c.broadcast(0, raw)
	if err != nil || res.Code != 0 {
		c.b.Fatal(res, err)
	}
	if err := localnet.Until(c.n.ctx, "the faucet's payment", func() (bool, error) {
		return c.balance(accounts[count-1].address).IsPositive(), nil
	}); err != nil {
		c.b.Fatal(err)
	}
	for _, a := range accounts {
		a.number = c.read(0, a.address).GetAccountNumber()
	}
	return accounts
}

// sign makes an account's next messages, each pays 1 acpc to the sink.
func (c *chain) sign(a *account, count int) {
	c.b.Helper()
	a.sequence += uint64(len(a.signed))
	a.signed = nil
	a.funds -= int64(count)
	c.paid += int64(count)
	for i := range uint64(count) {
		raw, err := c.transfer(a, a.sequence+i)
		if err != nil {
			c.b.Fatal(err)
		}
		a.signed = append(a.signed, raw)
	}
}

func (c *chain) transfer(a *account, sequence uint64) ([]byte, error) {
	builder := c.encoding.TxConfig.NewTxBuilder()
	if err := builder.SetMsgs(&banktypes.MsgSend{FromAddress: a.address, ToAddress: c.sink,
		Amount: coins(1)}); err != nil {
		return nil, err
	}
	builder.SetGasLimit(transferGas)
	var public cryptotypes.PubKey = a.key.PubKey()
	// the sign bytes cover who signs and with what sequence, so that is set first
	empty := signing.SignatureV2{PubKey: public, Sequence: sequence,
		Data: &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT}}
	if err := builder.SetSignatures(empty); err != nil {
		return nil, err
	}
	signer := authsigning.SignerData{Address: a.address, ChainID: c.n.Chain,
		AccountNumber: a.number, Sequence: sequence, PubKey: public}
	signature, err := clienttx.SignWithPrivKey(c.n.ctx, signing.SignMode_SIGN_MODE_DIRECT, signer,
		builder, a.key, c.encoding.TxConfig, sequence)
	if err != nil {
		return nil, err
	}
	if err := builder.SetSignatures(signature); err != nil {
		return nil, err
	}
	return c.encoding.TxConfig.TxEncoder()(builder.GetTx())
}

func (c *chain) broadcast(node int, raw []byte) (*sdk.TxResponse, error) {
	res, err := txtypes.NewServiceClient(c.conns[node]).BroadcastTx(c.n.ctx,
		&txtypes.BroadcastTxRequest{TxBytes: raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	if err != nil {
		return nil, err
	}
	return res.TxResponse, nil
}

// send broadcasts what the accounts signed and returns once all of it is in blocks.
func (c *chain) send(accounts []*account) burst {
	c.b.Helper()
	result := burst{from: c.height()}
	begun := time.Now()
	ctx, cancel := context.WithCancelCause(c.n.ctx)
	defer cancel(nil)
	var full atomic.Int64
	var group sync.WaitGroup
	for s := range burstSenders {
		group.Go(func() {
			for i := range burstMessages {
				for k := s; k < len(accounts); k += burstSenders {
					if err := c.deliver(ctx, k%len(c.conns), accounts[k].signed[i],
						&full); err != nil {
						cancel(err)
						return
					}
				}
			}
		})
	}
	included := make(chan error, 1)
	go func() {
		err := c.await(ctx, len(accounts)*burstMessages, &result)
		if err != nil {
			cancel(err)
		}
		included <- err
	}()
	group.Wait()
	if err := <-included; err != nil {
		c.b.Fatal(errors.Join(err, context.Cause(ctx)))
	}
	result.took = time.Since(begun)
	result.full = full.Load()
	return result
}

// deliver sends a message until the node takes it; refused for lack of room, it waits for some. Any
// other refusal is an error, that of a sequence number above all: the node would have dropped a
// message that it had taken before.
func (c *chain) deliver(ctx context.Context, node int, raw []byte, full *atomic.Int64) error {
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for {
		res, err := c.broadcast(node, raw)
		switch {
		case err != nil:
			return err
		case res.Code == 0:
			return nil
		case res.Codespace != sdkerrors.RootCodespace ||
			res.Code != sdkerrors.ErrMempoolIsFull.ABCICode():
			return fmt.Errorf("node %d refuses a message: code %d of %s: %s", node+1, res.Code,
				res.Codespace, res.RawLog)
		}
		full.Add(1)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pause.C:
		}
	}
}

// await counts messages in blocks until all are there. What is missing after so many blocks without
// any is lost.
func (c *chain) await(ctx context.Context, want int, result *burst) error {
	const patience = 20
	for next, empty := result.from+1, 0; result.included < want; next++ {
		var res *coretypes.ResultBlockResults
		if err := localnet.Until(ctx, fmt.Sprintf("the results of block %d", next),
			func() (ok bool, err error) {
				res, err = c.rpc[0].BlockResults(ctx, &next)
				return err == nil, err
			}); err != nil {
			return err
		}
		messages := res.TxsResults[1:] // the first is the beacon's
		for i, r := range messages {
			if r.Code != 0 {
				return fmt.Errorf("message %d of block %d failed: %s", i, next, r.Log)
			}
		}
		result.included += len(messages)
		result.to = next
		if empty++; len(messages) > 0 {
			empty = 0
		}
		if empty == patience {
			return fmt.Errorf(
				"%d of %d messages are in blocks, and none came in the last %d blocks",
				result.included, want, patience)
		}
	}
	return nil
}

// settled demands that every account's sequence and every balance is what the messages make it, on
// every node.
func (c *chain) settled(accounts []*account) {
	c.b.Helper()
	var wrong []string
	for _, a := range accounts {
		want := a.sequence + uint64(len(a.signed))
		for node := range c.conns {
			if err := localnet.Until(c.n.ctx, "all nodes", func() (bool, error) {
				return c.read(node, a.address).GetSequence() >= want, nil
			}); err != nil {
				c.b.Fatal(err)
			}
		}
		if got := c.read(0, a.address).GetSequence(); got != want {
			wrong = append(wrong, fmt.Sprintf("%s has sequence %d, want %d", a.address, got, want))
		}
		if got := c.balance(a.address); !got.Equal(math.NewInt(a.funds)) {
			wrong = append(wrong, fmt.Sprintf("%s holds %s, want %d", a.address, got, a.funds))
		}
	}
	if got := c.balance(c.sink); !got.Equal(math.NewInt(c.paid)) {
		wrong = append(wrong, fmt.Sprintf("the receiver holds %s, want %d", got, c.paid))
	}
	if len(wrong) > 0 {
		c.b.Fatalf("lost or doubled:\n%s", strings.Join(wrong, "\n"))
	}
}
