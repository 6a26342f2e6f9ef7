// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/submit"
)

// Gas of a transaction: for itself, and for each transfer, to an account that
// does not exist yet.
const (
	gasBase     = 100_000 + sprintv1.GasTxSignature
	gasTransfer = 90_000
)

// Node is a chain behind a node's gRPC server.
type Node struct {
	Conn     *grpc.ClientConn
	Encoding submit.Encoding
	Keys     keyring.Keyring
	Key      string // name of the paying account's key
	Address  string // and its address
	ID       string // chain id
	// GasPrice is acpc per gas, what the node's mempool asks for.
	GasPrice uint64
}

// PayAccount finds the address of a key in a keyring.
func PayAccount(keys keyring.Keyring, encoding submit.Encoding, key string) (string, error) {
	record, err := keys.Key(key)
	if err != nil {
		return "", fmt.Errorf("settle: the paying key %q is not in the keyring; make one with `assay keys add %s --home … --keyring-backend …`: %w", key, key, err)
	}
	raw, err := record.GetAddress()
	if err != nil {
		return "", err
	}
	return encoding.Addresses.BytesToString(raw)
}

// Balance asks the bank.
func (n Node) Balance(ctx context.Context) (ledger.Amount, error) {
	res, err := banktypes.NewQueryClient(n.Conn).Balance(ctx, &banktypes.QueryBalanceRequest{Address: n.Address, Denom: submit.Denom})
	if err != nil {
		return ledger.Amount{}, fmt.Errorf("balance of %s: %w", n.Address, err)
	}
	if res.Balance == nil {
		return ledger.Amount{}, nil
	}
	return ledger.ParseAmount(res.Balance.Amount.String())
}

// Account asks where the account stands.
func (n Node) Account(ctx context.Context) (number, sequence uint64, err error) {
	return n.Encoding.Account(ctx, n.Conn, n.Address)
}

func gas(transfers int) uint64 { return gasBase + gasTransfer*uint64(transfers) }

// Fee is gas at the node's price.
func (n Node) Fee(transfers int) ledger.Amount {
	fee := new(big.Int).SetUint64(gas(transfers))
	a, err := ledger.ParseAmount(fee.Mul(fee, new(big.Int).SetUint64(n.GasPrice)).String())
	if err != nil {
		panic(err) // two numbers of 64 bits give digits
	}
	return a
}

// Sign makes one transaction of bank transfers.
func (n Node) Sign(ctx context.Context, payments []ledger.Payment, number, sequence uint64, timeout int64) (raw []byte, hash string, err error) {
	msgs := make([]sdk.Msg, len(payments))
	for i, p := range payments {
		amount, ok := math.NewIntFromString(p.Amount.String())
		if !ok {
			return nil, "", fmt.Errorf("amount %s of %s is more than the chain can hold", p.Amount, p.Device)
		}
		msgs[i] = &banktypes.MsgSend{FromAddress: n.Address, ToAddress: p.Payout, Amount: sdk.NewCoins(sdk.NewCoin(submit.Denom, amount))}
	}
	terms := submit.Terms{Gas: gas(len(payments)), Timeout: timeout}
	if fee := n.Fee(len(payments)); !fee.IsZero() {
		terms.Fees = fee.String() + submit.Denom
	}
	raw, err = n.Encoding.Sign(ctx, submit.Signer{Keys: n.Keys, Key: n.Key, Chain: n.ID, Number: number, Sequence: sequence}, terms, msgs...)
	if err != nil {
		return nil, "", fmt.Errorf("payment of %d machines: %w", len(payments), err)
	}
	return raw, fmt.Sprintf("%X", sha256.Sum256(raw)), nil
}

// Send offers the transaction to the node's mempool.
func (n Node) Send(ctx context.Context, raw []byte) error {
	res, err := txtypes.NewServiceClient(n.Conn).BroadcastTx(ctx, &txtypes.BroadcastTxRequest{TxBytes: raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	if err != nil {
		return fmt.Errorf("sending a payment: %w", err)
	}
	r := res.TxResponse
	known := r.Codespace == sdkerrors.RootCodespace && r.Code == sdkerrors.ErrTxInMempoolCache.ABCICode()
	if r.Code != 0 && !known {
		return fmt.Errorf("the node refuses a payment: %s", r.RawLog)
	}
	return nil
}

// Find asks the node's index.
func (n Node) Find(ctx context.Context, hash string) (tx Tx, found bool, err error) {
	res, err := txtypes.NewServiceClient(n.Conn).GetTx(ctx, &txtypes.GetTxRequest{Hash: hash})
	switch {
	case err == nil:
		return Tx{Height: res.TxResponse.Height, Code: res.TxResponse.Code, Log: res.TxResponse.RawLog}, true, nil
	case status.Code(err) == codes.NotFound || strings.Contains(err.Error(), "not found"):
		return Tx{}, false, nil
	}
	return Tx{}, false, fmt.Errorf("asking for payment %s: %w", hash, err)
}
