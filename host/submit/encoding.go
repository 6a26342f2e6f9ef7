// SPDX-License-Identifier: Apache-2.0

package submit

import (
	"fmt"
	"sync"

	"cosmossdk.io/core/address"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	bech32 "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	"github.com/cosmos/gogoproto/proto"

	txsigning "github.com/cosmos/cosmos-sdk/x/tx/signing"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// Prefix is the human-readable part of every account address.
const Prefix = "cpc"

// Encoding is how a host reads and writes the chain's messages.
type Encoding struct {
	Registry  codectypes.InterfaceRegistry
	Codec     codec.Codec
	TxConfig  client.TxConfig
	Addresses address.Codec
}

var setPrefix = sync.OnceFunc(func() { sdk.GetConfig().SetBech32PrefixForAccount(Prefix, Prefix+"pub") })

// NewEncoding knows the messages that a host sends and the accounts that it reads.
func NewEncoding() (Encoding, error) {
	// Signing prints the signer's address by the SDK's process-wide configuration, whatever codec it is given.
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
		return Encoding{}, fmt.Errorf("submit: message registry: %w", err)
	}
	cryptocodec.RegisterInterfaces(registry)
	authtypes.RegisterInterfaces(registry)
	authz.RegisterInterfaces(registry)
	registry.RegisterImplementations((*sdk.Msg)(nil), &sprintv1.MsgReady{}, &sprintv1.MsgCommit{}, &sprintv1.MsgOpen{},
		&sprintv1.MsgCommitVerdict{}, &sprintv1.MsgRevealVerdict{}, &sprintv1.MsgDispute{},
		&registryv1.MsgRegister{}, &registryv1.MsgSetNodes{})
	msgservice.RegisterMsgServiceDesc(registry, &sprintv1.Msg_serviceDesc)
	msgservice.RegisterMsgServiceDesc(registry, &registryv1.Msg_serviceDesc)
	c := codec.NewProtoCodec(registry)
	return Encoding{Registry: registry, Codec: c, TxConfig: authtx.NewTxConfig(c, authtx.DefaultSignModes), Addresses: addresses}, nil
}
