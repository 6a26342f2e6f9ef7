// SPDX-License-Identifier: Apache-2.0

package beacon

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

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
)

// AppModule puts the beacon into an app. The app itself calls Prove, Verify and
// Publish, because the SDK gives modules no part in proposals.
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
	r.RegisterImplementations((*sdk.Msg)(nil), &beaconv1.MsgPublish{})
	msgservice.RegisterMsgServiceDesc(r, &beaconv1.Msg_serviceDesc)
}

// RegisterServices adds the message and query services.
func (m AppModule) RegisterServices(r grpc.ServiceRegistrar) error {
	beaconv1.RegisterMsgServer(r, messages{})
	beaconv1.RegisterQueryServer(r, queries(m))
	return nil
}

// RegisterGRPCGatewayRoutes adds the module's REST paths.
func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := beaconv1.RegisterQueryHandlerClient(context.Background(), mux,
		beaconv1.NewQueryClient(c)); err != nil {
		panic(err)
	}
}

// DefaultGenesis is the module's part of a new genesis file.
func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis checks the module's part of a genesis file.
func (AppModule) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig,
	raw json.RawMessage) error {
	var gs beaconv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &gs); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	return ValidateGenesis(&gs)
}

// InitGenesis takes the module's part of a genesis file in.
func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var gs beaconv1.GenesisState
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
			Service: "assay.beacon.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Latest", Use: "latest", Short: "Show the last block's output"},
				{
					RpcMethod: "Output", Use: "output [height]",
					Short:          "Show what a block added to the beacon",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "height"}},
				},
				{
					RpcMethod: "Mix", Use: "mix [deadline]",
					Short:          "Resolve the beacon rule for a deadline",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "deadline"}},
				},
			},
		},
	}
}
