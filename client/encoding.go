// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"cosmossdk.io/core/address"
	"github.com/cosmos/cosmos-sdk/client"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/codec"
	bech32 "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	"github.com/cosmos/gogoproto/proto"

	txsigning "github.com/cosmos/cosmos-sdk/x/tx/signing"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

// Prefix is the human-readable part of every account address.
const Prefix = "cpc"

// Encoding is how a program reads and writes the chain's messages.
type Encoding struct {
	Registry  codectypes.InterfaceRegistry
	Codec     codec.Codec
	TxConfig  client.TxConfig
	Addresses address.Codec
}

var setPrefix = sync.OnceFunc(func() {
	sdk.GetConfig().SetBech32PrefixForAccount(Prefix, Prefix+"pub")
})

// NewEncoding knows the messages that a host sends, and accounts.
func NewEncoding() (Encoding, error) {
	// Signing prints the signer's address by the SDK's process-wide configuration, whatever codec
	// it is given.
	setPrefix()
	addresses := bech32.NewBech32Codec(Prefix)
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: txsigning.Options{
			AddressCodec:          addresses,
			ValidatorAddressCodec: bech32.NewBech32Codec(Prefix + "valoper"),
		},
	})
	if err != nil {
		return Encoding{}, fmt.Errorf("client: message registry: %w", err)
	}
	cryptocodec.RegisterInterfaces(registry)
	authtypes.RegisterInterfaces(registry)
	authz.RegisterInterfaces(registry)
	banktypes.RegisterInterfaces(registry)
	feegrant.RegisterInterfaces(registry)
	registry.RegisterImplementations((*sdk.Msg)(nil), &registryv1.MsgRegister{})
	for _, msg := range sprintv1.DutyMsgs() {
		registry.RegisterImplementations((*sdk.Msg)(nil), msg)
	}
	msgservice.RegisterMsgServiceDesc(registry, &sprintv1.Msg_serviceDesc)
	msgservice.RegisterMsgServiceDesc(registry, &streamv1.Msg_serviceDesc)
	msgservice.RegisterMsgServiceDesc(registry, &registryv1.Msg_serviceDesc)
	c := codec.NewProtoCodec(registry)
	return Encoding{Registry: registry, Codec: c,
		TxConfig: authtx.NewTxConfig(c, authtx.DefaultSignModes), Addresses: addresses}, nil
}

// Signer is whose account a transaction counts on, and where that stands.
type Signer struct {
	Keys             keyring.Keyring
	Key              string // name in Keys
	Chain            string // chain id
	Number, Sequence uint64 // of the account
}

// Terms are on what conditions a transaction enters a block.
type Terms struct {
	Gas     uint64
	Fees    string // such as 1000acpc; empty: none
	Granter []byte // address that pays the fees out of a grant (x/feegrant); nil: the signer
	Timeout int64  // the last height that may hold it
	Memo    string // anybody reads it; at most 256 characters
}

// Sign returns the bytes of a transaction of these messages.
func (e Encoding) Sign(ctx context.Context, s Signer, t Terms, msgs ...sdk.Msg) ([]byte, error) {
	factory := clienttx.Factory{}.WithChainID(s.Chain).WithTxConfig(e.TxConfig).WithKeybase(s.Keys).
		WithAccountNumber(s.Number).WithSequence(s.Sequence).WithSignMode(
		signing.SignMode_SIGN_MODE_DIRECT).
		WithGas(t.Gas).WithTimeoutHeight(uint64(t.Timeout)).WithMemo(t.Memo)
	if t.Fees != "" {
		factory = factory.WithFees(t.Fees).WithFeeGranter(t.Granter)
	}
	builder, err := factory.BuildUnsignedTx(msgs...)
	if err != nil {
		return nil, fmt.Errorf("building: %w", err)
	}
	if err := clienttx.Sign(ctx, factory, s.Key, builder, true); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	raw, err := e.TxConfig.TxEncoder()(builder.GetTx())
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return raw, nil
}

// Account reads an account's number and sequence. An account that the chain
// has never seen is an error.
func (e Encoding) Account(ctx context.Context, conn *grpc.ClientConn, address string) (number,
	sequence uint64, err error) {
	res, err := authtypes.NewQueryClient(conn).Account(ctx,
		&authtypes.QueryAccountRequest{Address: address})
	if err != nil {
		return 0, 0, fmt.Errorf("account %s: %w", address, err)
	}
	var account sdk.AccountI
	if err := e.Registry.UnpackAny(res.Account, &account); err != nil {
		return 0, 0, fmt.Errorf("account %s: %w", address, err)
	}
	return account.GetAccountNumber(), account.GetSequence(), nil
}
