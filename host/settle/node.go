// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"google.golang.org/grpc"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/x/auth/signing"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
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
	Blocks   *submit.Blocks
	Encoding client.Encoding
	Keys     keyring.Keyring
	Key      string // name of the paying account's key
	Address  string // and its address
	ID       string // chain id
	// GasPrice is acpc per gas, what the node's mempool asks for.
	GasPrice uint64
}

// PayAccount finds the address of a key in a keyring.
func PayAccount(keys keyring.Keyring, encoding client.Encoding, key string) (string, error) {
	record, err := keys.Key(key)
	if err != nil {
		return "", fmt.Errorf("settle: the paying key %q is not in the keyring; make one with "+
			"`assay keys add %s --home FOLDER`, and send it coins: %w", key, key, err)
	}
	raw, err := record.GetAddress()
	if err != nil {
		return "", err
	}
	return encoding.Addresses.BytesToString(raw)
}

// Balance asks the bank.
func (n Node) Balance(ctx context.Context) (ledger.Amount, error) {
	res, err := banktypes.NewQueryClient(n.Conn).Balance(ctx,
		&banktypes.QueryBalanceRequest{Address: n.Address, Denom: submit.Denom})
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
func (n Node) Sign(ctx context.Context, memo string, payments []ledger.Payment, number,
	sequence uint64, timeout int64) (raw []byte, hash string, err error) {
	msgs := make([]sdk.Msg, len(payments))
	for i, p := range payments {
		amount, ok := math.NewIntFromString(p.Amount.String())
		if !ok {
			return nil, "", fmt.Errorf("amount %s of %s is more than the chain can hold",
				p.Amount, p.Device)
		}
		msgs[i] = &banktypes.MsgSend{FromAddress: n.Address, ToAddress: p.Payout,
			Amount: sdk.NewCoins(sdk.NewCoin(submit.Denom, amount))}
	}
	terms := client.Terms{Gas: gas(len(payments)), Timeout: timeout, Memo: memo}
	if fee := n.Fee(len(payments)); !fee.IsZero() {
		terms.Fees = fee.String() + submit.Denom
	}
	raw, err = n.Encoding.Sign(ctx, client.Signer{Keys: n.Keys, Key: n.Key, Chain: n.ID,
		Number: number, Sequence: sequence}, terms, msgs...)
	if err != nil {
		return nil, "", fmt.Errorf("payment of %d machines: %w", len(payments), err)
	}
	return raw, submit.Hash(raw), nil
}

// Send offers the transaction to the node's mempool.
func (n Node) Send(ctx context.Context, raw []byte) error {
	res, err := txtypes.NewServiceClient(n.Conn).BroadcastTx(ctx,
		&txtypes.BroadcastTxRequest{TxBytes: raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	if err != nil {
		return fmt.Errorf("sending a payment: %w", err)
	}
	r := res.TxResponse
	known := r.Codespace == sdkerrors.RootCodespace &&
		r.Code == sdkerrors.ErrTxInMempoolCache.ABCICode()
	if r.Code != 0 && !known {
		return fmt.Errorf("the node refuses a payment: %s", r.RawLog)
	}
	return nil
}

// Block lists what an account signed in a block and used a number of it for.
func (n Node) Block(ctx context.Context, account string, height int64) (list []Tx, err error) {
	all, err := n.Blocks.At(ctx, height)
	if errors.Is(err, submit.ErrGone) {
		return nil, fmt.Errorf("%w: %d", ErrGone, height)
	} else if err != nil {
		return nil, err
	}
	for _, raw := range all {
		if tx, mine := n.Read(account, raw); mine && raw.Ran {
			tx.Height = height
			list = append(list, tx)
		}
	}
	return list, nil
}

// Read takes apart a transaction and reports whether an account signed it, if the chain
// let it run.
func (n Node) Read(account string, b submit.BlockTx) (tx Tx, mine bool) {
	decoded, err := n.Encoding.TxConfig.TxDecoder()(b.Raw)
	if err != nil {
		return tx, false // of messages that a host does not know; the paying account sends none
	}
	tx = Tx{Hash: b.Hash, Code: b.Code, Log: b.Log}
	if m, ok := decoded.(sdk.TxWithMemo); ok {
		tx.Memo = m.GetMemo()
	}
	for _, msg := range decoded.GetMsgs() {
		send, ok := msg.(*banktypes.MsgSend)
		if !ok || send.FromAddress != account {
			continue
		}
		amount, err := ledger.ParseAmount(send.Amount.AmountOf(submit.Denom).String())
		if err != nil {
			return tx, false
		}
		tx.To = append(tx.To, Transfer{Payout: send.ToAddress, Amount: amount})
	}
	signed, ok := decoded.(signing.SigVerifiableTx)
	if !ok {
		return tx, false
	}
	signatures, err := signed.GetSignaturesV2()
	if err != nil {
		return tx, false
	}
	for _, signature := range signatures {
		if signature.PubKey == nil {
			continue
		}
		address, err := n.Encoding.Addresses.BytesToString(signature.PubKey.Address())
		if err == nil && address == account {
			tx.Sequence = signature.Sequence
			return tx, true
		}
	}
	return tx, false
}
