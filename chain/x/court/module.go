// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"
	"encoding/json"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/appmodule"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"

	courtv1 "github.com/assaynet/assay/api/court/v1"
)

var (
	_ module.AppModuleBasic     = AppModule{}
	_ module.HasGenesis         = AppModule{}
	_ module.HasServices        = AppModule{}
	_ appmodule.HasEndBlocker   = AppModule{}
	_ appmodule.HasBeginBlocker = AppModule{}
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
	r.RegisterImplementations((*sdk.Msg)(nil), &courtv1.MsgUpdateParams{},
		&courtv1.MsgReleaseHeld{})
	msgservice.RegisterMsgServiceDesc(r, &courtv1.Msg_serviceDesc)
}

func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := courtv1.RegisterQueryHandlerClient(context.Background(), mux,
		courtv1.NewQueryClient(c)); err != nil {
		panic(err)
	}
}

func (m AppModule) RegisterServices(cfg module.Configurator) {
	courtv1.RegisterMsgServer(cfg.MsgServer(), msgServer{m.keeper})
	courtv1.RegisterQueryServer(cfg.QueryServer(), queryServer{m.keeper})
}

func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

func (AppModule) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig,
	raw json.RawMessage) error {
	var g courtv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("court: genesis: %w", err)
	}
	return ValidateGenesis(g)
}

func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g courtv1.GenesisState
	cdc.MustUnmarshalJSON(raw, &g)
	if err := m.keeper.InitGenesis(ctx, g); err != nil {
		panic(err)
	}
}

func (m AppModule) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(err)
	}
	return cdc.MustMarshalJSON(g)
}

func (m AppModule) BeginBlock(ctx context.Context) error { return m.keeper.BeginBlock(ctx) }
func (m AppModule) EndBlock(ctx context.Context) error   { return m.keeper.EndBlock(ctx) }

// AutoCLIOptions describes the commands made from the services.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(names ...string) []*autocliv1.PositionalArgDescriptor {
		var args []*autocliv1.PositionalArgDescriptor
		for _, n := range names {
			args = append(args, &autocliv1.PositionalArgDescriptor{ProtoField: n})
		}
		return args
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.court.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters in force and " +
					"those voted for the next epoch"},
				{RpcMethod: "Claims", Use: "claims",
					Short: "List the claims that wait to be judged"},
				{RpcMethod: "Judgements", Use: "judgements [epoch]",
					Short:          "List the leaves that the chain recomputed",
					PositionalArgs: arg("epoch")},
				{RpcMethod: "Claimant", Use: "claimant [epoch] [participant]",
					Short:          "Show what a participant may still claim in an epoch",
					PositionalArgs: arg("epoch", "participant")},
				{RpcMethod: "Penalties", Use: "penalties", Short: "List coins taken for " +
					"offences that are neither burnt nor given back yet"},
			},
		},
	}
}
