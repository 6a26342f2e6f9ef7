// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"fmt"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"

	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

var (
	_ module.AppModuleBasic = AppModule{}
	_ module.HasGenesis     = AppModule{}
	_ module.HasServices    = AppModule{}
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
	r.RegisterImplementations((*sdk.Msg)(nil), &streamv1.MsgSubmitContinuousPoCCommit{},
		&streamv1.MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(r, &streamv1.Msg_serviceDesc)
}

func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := streamv1.RegisterQueryHandlerClient(context.Background(), mux,
		streamv1.NewQueryClient(c)); err != nil {
		panic(err)
	}
}

func (m AppModule) RegisterServices(cfg module.Configurator) {
	streamv1.RegisterMsgServer(cfg.MsgServer(), msgServer{m.keeper})
	streamv1.RegisterQueryServer(cfg.QueryServer(), queryServer{m.keeper})
}

func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

func (AppModule) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig,
	raw json.RawMessage) error {
	var g streamv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("stream: genesis: %w", err)
	}
	return ValidateGenesis(g)
}

func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g streamv1.GenesisState
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
			Service: "assay.stream.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters in force and " +
					"those voted for the next epoch"},
				{RpcMethod: "Window", Use: "window", Short: "Show whether streams are committed " +
					"now, why, and until when"},
				{RpcMethod: "Summaries", Use: "summaries [epoch]",
					Short:          "List what each participant's stream of an epoch counts",
					PositionalArgs: arg("epoch")},
				{RpcMethod: "Summary", Use: "summary [epoch] [participant]",
					Short:          "Show what a participant's stream of an epoch counts",
					PositionalArgs: arg("epoch", "participant")},
				{RpcMethod: "Nodes", Use: "nodes [epoch] [participant]",
					Short:          "List how far the streams of a participant's nodes are",
					PositionalArgs: arg("epoch", "participant")},
				{RpcMethod: "Commits", Use: "commits [epoch] [participant]",
					Short:          "List the logs of a participant's stream",
					PositionalArgs: arg("epoch", "participant")},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.stream.v1.Msg",
			// the host's
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "SubmitContinuousPoCCommit", Skip: true},
				{RpcMethod: "UpdateParams", Skip: true}},
		},
	}
}
