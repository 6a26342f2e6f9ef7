// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"
	"encoding/json"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/appmodule"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

var (
	_ module.AppModuleBasic     = AppModule{}
	_ module.HasABCIGenesis     = AppModule{}
	_ module.HasServices        = AppModule{}
	_ appmodule.HasBeginBlocker = AppModule{}
	_ module.HasABCIEndBlock    = AppModule{}
)

// AppModule fits the keeper into the SDK.
type AppModule struct {
	cdc    codec.Codec
	keeper *Keeper
}

// NewAppModule returns the module.
func NewAppModule(cdc codec.Codec, keeper *Keeper) AppModule { return AppModule{cdc, keeper} }

func (AppModule) IsOnePerModuleType()                         {}
func (AppModule) IsAppModule()                                {}
func (AppModule) Name() string                                { return Name }
func (AppModule) ConsensusVersion() uint64                    { return 1 }
func (AppModule) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}
func (AppModule) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	r.RegisterImplementations((*sdk.Msg)(nil), &creditv1.MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(r, &creditv1.Msg_serviceDesc)
}

func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := creditv1.RegisterQueryHandlerClient(context.Background(), mux,
		creditv1.NewQueryClient(c)); err != nil {
		panic(err)
	}
}

func (m AppModule) RegisterServices(cfg module.Configurator) {
	creditv1.RegisterMsgServer(cfg.MsgServer(), msgServer{m.keeper})
	creditv1.RegisterQueryServer(cfg.QueryServer(), queryServer{m.keeper})
}

func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(&creditv1.GenesisState{Params: DefaultParams()})
}

func (AppModule) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig,
	raw json.RawMessage) error {
	var g creditv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("credit: genesis: %w", err)
	}
	return ValidateGenesis(g)
}

func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec,
	raw json.RawMessage) []abci.ValidatorUpdate {
	var g creditv1.GenesisState
	cdc.MustUnmarshalJSON(raw, &g)
	updates, err := m.keeper.InitGenesis(ctx, g)
	if err != nil {
		panic(err)
	}
	return updates
}

func (m AppModule) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(err)
	}
	return cdc.MustMarshalJSON(g)
}

func (m AppModule) BeginBlock(ctx context.Context) error { return m.keeper.BeginBlock(ctx) }

func (m AppModule) EndBlock(ctx context.Context) ([]abci.ValidatorUpdate, error) {
	return m.keeper.EndBlock(ctx)
}

// AutoCLIOptions describes the commands made from the services.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.credit.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params",
					Short: "Show the rails on voting power and the terms of pay"},
				{RpcMethod: "Holdings", Use: "holdings", Short: "List weight and voting power of " +
					"every holder"},
				{RpcMethod: "Holding", Use: "holding [participant]",
					Short: "Show weight and voting power of one participant",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{
						{ProtoField: "participant"}}},
				{RpcMethod: "Owed", Use: "owed [participant]",
					Short: "Show what a participant is owed, by epoch, and when it is paid",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{
						{ProtoField: "participant"}}},
				{RpcMethod: "Audit", Use: "audit", Short: "Hold every coin against the records " +
					"that explain it"},
				{RpcMethod: "Seats", Use: "seats", Short: "List the validator set and who waits " +
					"to enter it"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.credit.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{{RpcMethod: "UpdateParams",
				Skip: true}},
		},
	}
}
