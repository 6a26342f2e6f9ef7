// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/appmodule"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
)

// AppModule puts the registry into an app.
type AppModule struct{ keeper *Keeper }

var (
	_ appmodule.AppModule   = AppModule{}
	_ module.AppModuleBasic = AppModule{}
	_ module.HasGenesis     = AppModule{}
	_ appmodule.HasServices = AppModule{}
)

// NewAppModule wraps a keeper.
func NewAppModule(keeper *Keeper) AppModule { return AppModule{keeper} }

// IsAppModule marks the type.
func (AppModule) IsAppModule() {}

// IsOnePerModuleType marks the type.
func (AppModule) IsOnePerModuleType() {}

// Name is the module's name.
func (AppModule) Name() string { return Name }

// ConsensusVersion changes with every change of the state's meaning.
func (AppModule) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec registers nothing: amino signing is not offered.
func (AppModule) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterInterfaces makes the module's messages known to the codec.
func (AppModule) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	r.RegisterImplementations((*sdk.Msg)(nil),
		&registryv1.MsgRegister{}, &registryv1.MsgSetNodes{}, &registryv1.MsgLeave{},
		&registryv1.MsgRotateKeys{}, &registryv1.MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(r, &registryv1.Msg_serviceDesc)
}

// RegisterServices adds the message and query services. Local is not among
// them: it belongs to one node, not to the chain.
func (m AppModule) RegisterServices(r grpc.ServiceRegistrar) error {
	registryv1.RegisterMsgServer(r, messages(m))
	registryv1.RegisterQueryServer(r, queries(m))
	return nil
}

// RegisterGRPCGatewayRoutes adds the module's REST paths.
func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := registryv1.RegisterQueryHandlerClient(context.Background(), mux,
		registryv1.NewQueryClient(c)); err != nil {
		panic(err)
	}
}

// DefaultGenesis is the module's part of a new genesis file.
func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis checks the module's part of a genesis file. The chain id is
// not known here; InitGenesis verifies the proofs.
func (AppModule) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig,
	raw json.RawMessage) error {
	var gs registryv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &gs); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	return ValidateGenesis("", &gs)
}

// InitGenesis takes the module's part of a genesis file in.
func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var gs registryv1.GenesisState
	cdc.MustUnmarshalJSON(raw, &gs)
	if err := m.keeper.InitGenesis(ctx, &gs); err != nil {
		panic(err)
	}
}

// ExportGenesis writes the module's part of a genesis file.
func (m AppModule) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	gs, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(err)
	}
	return cdc.MustMarshalJSON(gs)
}

// AutoCLIOptions describes the command line.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.registry.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters"},
				{
					RpcMethod: "Participant", Use: "participant [address]",
					Short:          "Show a participant, its keys and machines",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "address"}},
				},
				{RpcMethod: "Participants", Use: "participants", Short: "List the participants"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.registry.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Register", Use: "register", Short: "Become a participant"},
				{RpcMethod: "SetNodes", Use: "set-nodes", Short: "Replace the list of machines"},
				{RpcMethod: "Leave", Use: "leave", Short: "End your registration; its deposit " +
					"comes back once nothing that is still checked can name it"},
				{RpcMethod: "RotateKeys", Skip: true}, // assay host rotate-keys makes the keys, too
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
