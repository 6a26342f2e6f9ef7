// SPDX-License-Identifier: Apache-2.0

package collateral

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

	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
)

// AppModule puts the deposits into an app.
type AppModule struct{ keeper *Keeper }

var (
	_ appmodule.AppModule   = AppModule{}
	_ module.AppModuleBasic = AppModule{}
	_ module.HasGenesis     = AppModule{}
	_ appmodule.HasServices = AppModule{}

	_ appmodule.HasEndBlocker = AppModule{}
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
	r.RegisterImplementations((*sdk.Msg)(nil), &collateralv1.MsgDeposit{},
		&collateralv1.MsgWithdraw{}, &collateralv1.MsgLock{}, &collateralv1.MsgUnlock{},
		&collateralv1.MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(r, &collateralv1.Msg_serviceDesc)
}

// RegisterServices adds the message and query services.
func (m AppModule) RegisterServices(r grpc.ServiceRegistrar) error {
	collateralv1.RegisterMsgServer(r, messages(m))
	collateralv1.RegisterQueryServer(r, queries(m))
	return nil
}

// RegisterGRPCGatewayRoutes adds the module's REST paths.
func (AppModule) RegisterGRPCGatewayRoutes(c client.Context, mux *gwruntime.ServeMux) {
	if err := collateralv1.RegisterQueryHandlerClient(context.Background(), mux,
		collateralv1.NewQueryClient(c)); err != nil {
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
	var gs collateralv1.GenesisState
	if err := cdc.UnmarshalJSON(raw, &gs); err != nil {
		return fmt.Errorf("collateral: genesis: %w", err)
	}
	return ValidateGenesis(&gs)
}

// InitGenesis takes the module's part of a genesis file in.
func (m AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var gs collateralv1.GenesisState
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

// EndBlock pays withdrawals that are old enough.
func (m AppModule) EndBlock(ctx context.Context) error { return m.keeper.EndBlock(ctx) }

// AutoCLIOptions describes the command line.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	amount := []*autocliv1.PositionalArgDescriptor{{ProtoField: "amount"}}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.collateral.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters in force, those " +
					"voted for the next epoch, and prices to come"},
				{
					RpcMethod: "Account", Use: "account [address]",
					Short: "Show an account's deposit, what holds it, what is free, and when " +
						"its open withdrawals are paid",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "address"}},
				},
				{RpcMethod: "Accounts", Use: "accounts", Short: "List the accounts with a deposit"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.collateral.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Deposit", Use: "deposit [amount]", Short: "Move acpc from your " +
					"balance into your deposit", PositionalArgs: amount},
				{RpcMethod: "Withdraw", Use: "withdraw [amount]", Short: "Move acpc that nothing " +
					"holds from your deposit to your balance", PositionalArgs: amount},
				{RpcMethod: "Lock", Use: "lock [amount]", Short: "Lock acpc so that they back " +
					"your weight: of the free deposit, then of your balance",
					PositionalArgs: amount},
				{RpcMethod: "Unlock", Use: "unlock [amount]", Short: "Open a withdrawal of acpc " +
					"that back your weight; they are paid by themselves when no evidence can " +
					"come any longer", PositionalArgs: amount},
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
