// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"sync"

	"cosmossdk.io/core/address"
	"github.com/cosmos/gogoproto/proto"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	sdk "github.com/cosmos/cosmos-sdk/types"
	signingtypes "github.com/cosmos/cosmos-sdk/types/tx/signing"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
)

const (
	// Name is the program's and the app's name.
	Name = "assay"
	// Prefix starts every account address.
	Prefix = "cpc"
	// Denom is the base unit of the coin; 10^18 of it are one CPC.
	Denom = "acpc"
	// Display is the coin's name for people.
	Display = "CPC"
	// Decimals of Display.
	Decimals = 18
)

// Prefixes of the other two kinds of addresses the SDK knows.
const (
	prefixValidator = Prefix + "valoper"
	prefixConsensus = Prefix + "valcons"
)

// Addresses reads and writes account addresses.
func Addresses() address.Codec { return addresscodec.NewBech32Codec(Prefix) }

var prefixesOnce sync.Once

// setPrefixes tells the SDK's process-wide configuration our address prefixes.
// Parts of the SDK print addresses with it, whatever codec they were given.
func setPrefixes() {
	prefixesOnce.Do(func() {
		c := sdk.GetConfig()
		c.SetBech32PrefixForAccount(Prefix, Prefix+"pub")
		c.SetBech32PrefixForValidator(prefixValidator, prefixValidator+"pub")
		c.SetBech32PrefixForConsensusNode(prefixConsensus, prefixConsensus+"pub")
	})
}

// Encoding is how messages and transactions become bytes and back.
type Encoding struct {
	Registry codectypes.InterfaceRegistry
	Codec    codec.Codec
	TxConfig client.TxConfig
	// Amino is what some SDK interfaces still ask for; nothing of ours uses it.
	Amino *codec.LegacyAmino
}

// NewEncoding knows the SDK's basic types and messages of ours; New adds those
// of every module.
func NewEncoding() (Encoding, error) {
	setPrefixes()
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          Addresses(),
			ValidatorAddressCodec: addresscodec.NewBech32Codec(prefixValidator),
		},
	})
	if err != nil {
		return Encoding{}, fmt.Errorf("app: %w", err)
	}
	e := Encoding{Registry: registry, Codec: codec.NewProtoCodec(registry),
		Amino: codec.NewLegacyAmino()}
	std.RegisterInterfaces(registry)
	std.RegisterLegacyAminoCodec(e.Amino)
	e.TxConfig, err = authtx.NewTxConfigWithOptions(e.Codec, authtx.ConfigOptions{
		EnabledSignModes: []signingtypes.SignMode{signingtypes.SignMode_SIGN_MODE_DIRECT},
	})
	if err != nil {
		return Encoding{}, fmt.Errorf("app: %w", err)
	}
	return e, nil
}
