// SPDX-License-Identifier: Apache-2.0

package settle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	abci "github.com/cometbft/cometbft/abci/types"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/settle"
	"github.com/assaynet/assay/host/submit"
)

// blocks is a node's service of blocks, with one block.
type blocks struct {
	cmtservice.UnimplementedServiceServer
	txs     [][]byte
	results []*abci.ExecTxResult
}

func (b *blocks) GetBlockByHeight(_ context.Context,
	q *cmtservice.GetBlockByHeightRequest) (*cmtservice.GetBlockByHeightResponse, error) {
	if q.Height < 7 {
		return nil, fmt.Errorf("height %d is not available, lowest height is 7", q.Height)
	}
	block := &cmtservice.Block{}
	block.Data.Txs = b.txs
	return &cmtservice.GetBlockByHeightResponse{SdkBlock: block}, nil
}

func (b *blocks) GetBlockResults(context.Context,
	*cmtservice.GetBlockResultsRequest) (*cmtservice.GetBlockResultsResponse, error) {
	return &cmtservice.GetBlockResultsResponse{TxsResults: b.results}, nil
}

// What a block says about an account is what that account has signed and the chain let
// run. Anybody can send with a settlement's memo, to the same machines, or name the
// account in other ways: that is not read. A transaction that a proposer put there too
// early or again has used no number, and may be in another block with effect.
func TestOnlyTheAccountsOwnWordCounts(t *testing.T) {
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring.NewInMemory(encoding.Codec)
	address := map[string]string{}
	for _, name := range []string{"pay", "other"} {
		if _, _, err := keys.NewMnemonic(name, keyring.English,
			hd.CreateHDPath(sdk.CoinType, 0, 0).String(), keyring.DefaultBIP39Passphrase,
			hd.Secp256k1); err != nil {
			t.Fatal(err)
		}
		if address[name], err = settle.PayAccount(keys, encoding, name); err != nil {
			t.Fatal(err)
		}
	}
	five, err := ledger.ParseAmount("5")
	if err != nil {
		t.Fatal(err)
	}
	payments := []ledger.Payment{{Device: ledger.Device{1}, Payout: address["other"], Amount: five}}
	memo := settle.Memo("00112233445566ff", 3, payments)
	node := settle.Node{Encoding: encoding, Keys: keys, Key: "pay", Address: address["pay"],
		ID: "assay-test", GasPrice: 1}
	ours, hash, err := node.Sign(t.Context(), memo, payments, 4, 9, 20)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(msgs ...sdk.Msg) []byte {
		t.Helper()
		raw, err := encoding.Sign(t.Context(),
			client.Signer{Keys: keys, Key: "other", Chain: "assay-test", Sequence: 9},
			client.Terms{Gas: 1, Memo: memo}, msgs...)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	send := &banktypes.MsgSend{FromAddress: address["other"], ToAddress: address["other"],
		Amount: sdk.NewCoins(sdk.NewCoin(submit.Denom, math.NewInt(5)))}
	back := &banktypes.MsgSend{FromAddress: address["other"], ToAddress: address["pay"],
		Amount: send.Amount}
	ran := []abci.Event{{Type: "tx"}}
	s := &blocks{
		txs: [][]byte{forge(send), ours, []byte("no transaction"), forge(back), ours, ours},
		results: []*abci.ExecTxResult{{Events: ran}, {Code: 5, Log: "insufficient funds"},
			{Code: 2}, {Events: ran}, {Code: 11, Log: "out of gas", Events: ran},
			{Code: 32, Log: "account sequence mismatch"}},
	}
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	cmtservice.RegisterServiceServer(server, s)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:node",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn,
			error) {
			return l.Dial()
		}), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	node.Conn, node.Blocks = conn, submit.NewBlocks(conn)
	list, err := node.Block(t.Context(), address["pay"], 8)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d transactions: %+v, %v", len(list), list, err)
	}
	if tx := list[0]; tx.Hash != hash || tx.Sequence != 9 || tx.Memo != memo || tx.Height != 8 ||
		tx.Code != 11 ||
		len(tx.To) != 1 || tx.To[0].Payout != address["other"] || tx.To[0].Amount.Cmp(five) != 0 {
		t.Errorf("%+v", tx)
	}
	if list, err := node.Block(t.Context(), address["other"], 8); err != nil || len(list) != 2 {
		t.Errorf("the other account signed %d, %v", len(list), err)
	}
	if _, err := node.Block(t.Context(), address["pay"], 3); !errors.Is(err, settle.ErrGone) {
		t.Errorf("a block that is gone: %v", err)
	}
}
