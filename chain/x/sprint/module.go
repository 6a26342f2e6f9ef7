// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/appmodule"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

var (
	_ module.AppModuleBasic   = AppModule{}
	_ module.HasGenesis       = AppModule{}
	_ module.HasServices      = AppModule{}
	_ appmodule.HasEndBlocker = AppModule{}
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
	r.RegisterImplementations((*sdk.Msg)(nil), &sprintv1.MsgUpdateParams{})
	for _, msg := range sprintv1.DutyMsgs() {
		r.RegisterImplementations((*sdk.Msg)(nil), msg)
	}
	msgservice.RegisterMsgServiceDesc(r, &sprintv1.Msg_serviceDesc)
}

func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := sprintv1.RegisterQueryHandlerClient(context.Background(), mux,
		sprintv1.NewQueryClient(c)); err != nil {
		panic(err)
	}
}

func (m AppModule) RegisterServices(cfg module.Configurator) {
	sprintv1.RegisterMsgServer(cfg.MsgServer(), msgServer{m.keeper})
	sprintv1.RegisterQueryServer(cfg.QueryServer(), queryServer{m.keeper})
}

func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

func (AppModule) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig,
	raw json.RawMessage) error {
	var g sprintv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &g); err != nil {
		return fmt.Errorf("sprint: genesis: %w", err)
	}
	return ValidateGenesis(g)
}

func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var g sprintv1.GenesisState
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

func (m AppModule) EndBlock(ctx context.Context) error { return m.keeper.EndBlock(ctx) }

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
			Service: "assay.sprint.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Parameters: the next epoch's, and " +
					"those after it"},
				{RpcMethod: "Current", Use: "current", Short: "The epoch that runs, why it is " +
					"where it is, and until when"},
				{RpcMethod: "Epoch", Use: "epoch [number]", Short: "The record of one epoch",
					PositionalArgs: arg("number")},
				{RpcMethod: "Stage", Use: "stage [height]", Short: "Show which phase of its " +
					"epoch a height falls in", PositionalArgs: arg("height")},
				{RpcMethod: "Members", Use: "members [epoch]",
					Short: "List the members of an epoch", PositionalArgs: arg("epoch")},
				{RpcMethod: "Member", Use: "member [epoch] [participant]",
					Short:          "Show one member of an epoch",
					PositionalArgs: arg("epoch", "participant")},
				{RpcMethod: "Standing", Use: "standing [participant]",
					Short: "Show what the next epoch means for a participant: judged, in the " +
						"lottery, or too small", PositionalArgs: arg("participant")},
				{RpcMethod: "Commits", Use: "commits [epoch]",
					Short: "List the commits of an epoch", PositionalArgs: arg("epoch")},
				{RpcMethod: "Samples", Use: "samples [epoch] [participant]",
					Short:          "List the leaves that the beacon drew of a participant",
					PositionalArgs: arg("epoch", "participant")},
				{RpcMethod: "Opening", Use: "opening [epoch] [participant]",
					Short:          "Show a participant's opening",
					PositionalArgs: arg("epoch", "participant")},
				{RpcMethod: "Duties", Use: "duties [epoch] [voter]",
					Short:          "List the leaves that a member re-runs",
					PositionalArgs: arg("epoch", "voter")},
				{RpcMethod: "Verdicts", Use: "verdicts [epoch]", Short: "List the verdicts of an " +
					"epoch", PositionalArgs: arg("epoch")},
				{RpcMethod: "Checks", Use: "checks [epoch] [voter]",
					Short:          "List the leaves whose middle digests a member opens",
					PositionalArgs: arg("epoch", "voter")},
				{RpcMethod: "Archive", Use: "archive [epoch]", Short: "Show what stays of an " +
					"epoch for ever", PositionalArgs: arg("epoch")},
				{RpcMethod: "CommitPath", Use: "commit-path [epoch] [participant] [node] [segment]",
					Short:          "Show a commit's path in the archive of its epoch",
					PositionalArgs: arg("epoch", "participant", "node", "segment")},
				{RpcMethod: "Outcomes", Use: "outcomes [epoch]", Short: "Show every member's " +
					"outcome of an epoch", PositionalArgs: arg("epoch")},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.sprint.v1.Msg",
			RpcCommandOptions: append(skipped(),
				&autocliv1.RpcCommandOptions{RpcMethod: "UpdateParams", Skip: true}),
		},
	}
}

// skipped hides the duties: the host sends them, and by hand they only waste the sender's chance.
func skipped() (options []*autocliv1.RpcCommandOptions) {
	for _, url := range sprintv1.DutyURLs() {
		if method, ok := strings.CutPrefix(url, "/assay.sprint.v1.Msg"); ok {
			options = append(options, &autocliv1.RpcCommandOptions{RpcMethod: method, Skip: true})
		}
	}
	return options
}
