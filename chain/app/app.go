// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"

	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/gogoproto/grpc"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/version"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
)

// App is the chain's state machine and what a node adds to it.
type App struct {
	*baseapp.BaseApp
	encoding Encoding

	accounts  authkeeper.AccountKeeper
	bank      bankkeeper.BaseKeeper
	authz     authzkeeper.Keeper
	feegrant  feegrantkeeper.Keeper
	gov       *govkeeper.Keeper
	upgrade   *upgradekeeper.Keeper
	consensus consensuskeeper.Keeper

	Beacon     *beacon.Keeper
	Collateral *collateral.Keeper
	Registry   *registry.Keeper
	Credit     *credit.Keeper
	Court      *court.Keeper
	Sprint     *sprint.Keeper
	Stream     *stream.Keeper

	keys    map[string]*storetypes.KVStoreKey
	modules *module.Manager
	// configurator is what an upgrade handler runs migrations with.
	configurator module.Configurator
	upgrades     changes
	basics       module.BasicManager
	self         *identity
	progress     func() registryv1.ProgressResponse // nil where no node runs
	rotation     func(Generation) error             // makes keys; nil where no node runs
}

var _ servertypes.Application = (*App)(nil)

// New builds the app over a database and loads its last state. engine judges
// leaves; a node that only answers queries or makes commands may pass nil.
// Options come from the node's configuration; see server.DefaultBaseappOptions.
func New(logger log.Logger, db dbm.DB, engine court.Engine, opts servertypes.AppOptions,
	options ...func(*baseapp.BaseApp)) (*App, error) {
	return build(logger, db, engine, opts, released(), options...)
}

func build(logger log.Logger, db dbm.DB, engine court.Engine, opts servertypes.AppOptions,
	all changes, options ...func(*baseapp.BaseApp)) (*App, error) {
	encoding, err := NewEncoding()
	if err != nil {
		return nil, err
	}
	app := &App{
		BaseApp:  baseapp.NewBaseApp(Name, logger, db, encoding.TxConfig.TxDecoder(), options...),
		encoding: encoding,
		keys: storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey,
			authzkeeper.StoreKey, feegrant.StoreKey,
			govtypes.StoreKey, upgradetypes.StoreKey, consensustypes.StoreKey,
			beacon.Name, collateral.Name, registry.Name, credit.Name, court.Name, sprint.Name,
			stream.Name),
		upgrades: all,
	}
	app.SetVersion(version.Version)
	app.SetInterfaceRegistry(encoding.Registry)
	app.SetTxEncoder(encoding.TxConfig.TxEncoder())
	if err := app.addKeepers(logger, engine, opts); err != nil {
		return nil, err
	}
	if err := app.addModules(); err != nil {
		return nil, err
	}
	if app.self, err = loadIdentity(opts); err != nil {
		return nil, err
	}
	if err := app.addHandlers(opts); err != nil {
		return nil, err
	}
	if err := app.addUpgrades(opts); err != nil {
		return nil, err
	}
	if err := app.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("app: loading the state: %w; if a store is new, this release is "+
			"for after an upgrade that has not run here: start the release before it", err)
	}
	if app.LastBlockHeight() > 0 {
		if err := app.self.check(app.last(), app.Registry); err != nil {
			return nil, err
		}
	}
	return app, nil
}

// last is the state after the last block, for reading it while no block runs.
func (app *App) last() sdk.Context {
	//lint:ignore SA1019 NewContext reads the state of checks, which waiting transactions have written to
	return app.NewUncachedContext(true,
		cmtproto.Header{ChainID: app.ChainID(), Height: app.LastBlockHeight()})
}

// NoOptions configure nothing; such an app has no home and no keys.
type NoOptions struct{}

// Get has no answer.
func (NoOptions) Get(string) any { return nil }

// Bare is an app over an empty state, for what needs its modules only: making a
// genesis, reading transactions, building commands.
func Bare() (*App, error) {
	return New(log.NewNopLogger(), dbm.NewMemDB(), nil, NoOptions{})
}

// Encoding is how the app reads and writes messages and transactions.
func (app *App) Encoding() Encoding { return app.encoding }

// Modules are the app's modules by name, for the command line.
func (app *App) Modules() map[string]appmodule.AppModule {
	all := make(map[string]appmodule.AppModule)
	for name, m := range app.modules.Modules {
		if m, ok := m.(appmodule.AppModule); ok {
			all[name] = m
		}
	}
	return all
}

// DefaultGenesis is the state of a chain that nobody has joined yet, by module.
func (app *App) DefaultGenesis() map[string]json.RawMessage {
	return app.basics.DefaultGenesis(app.encoding.Codec)
}

// ValidateGenesis checks a state by module, as far as that goes without running it.
func (app *App) ValidateGenesis(state map[string]json.RawMessage) error {
	return app.basics.ValidateGenesis(app.encoding.Codec, app.encoding.TxConfig, state)
}

// initChain takes the genesis state in.
func (app *App) initChain(ctx sdk.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain,
	error) {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(req.AppStateBytes, &state); err != nil {
		return nil, fmt.Errorf("app: genesis: app_state: %w", err)
	}
	if err := app.upgrade.SetModuleVersionMap(ctx, app.modules.GetVersionMap()); err != nil {
		return nil, fmt.Errorf("app: genesis: %w", err)
	}
	response, err := app.modules.InitGenesis(ctx, app.encoding.Codec, state)
	if err != nil {
		return nil, fmt.Errorf("app: genesis: %w", err)
	}
	if err := app.upgrades.begin(ctx, app.upgrade, req.InitialHeight); err != nil {
		return nil, err
	}
	if err := (rules{app: app}).lawful(ctx); err != nil {
		return nil, fmt.Errorf("app: genesis: %w", err)
	}
	return response, app.self.check(ctx, app.Registry)
}

// preBlock runs before anything else of a decided block: upgrades, then the
// beacon. A block without a valid proof was decided against the rules; there is
// no state to go on with, so the node stops.
func (app *App) preBlock(ctx sdk.Context, req *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock,
	error) {
	response, err := app.modules.PreBlock(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.Txs) == 0 {
		return nil, fmt.Errorf("app: block %d was decided without a beacon proof", req.Height)
	}
	if err := app.Beacon.Publish(ctx, req.ProposerAddress, req.Txs[0]); err != nil {
		return nil, fmt.Errorf("app: block %d was decided with an invalid beacon proof: %w",
			req.Height, err)
	}
	return response, nil
}

// RegisterAPIRoutes adds the REST paths of the SDK's services and all modules.
func (app *App) RegisterAPIRoutes(s *api.Server, _ config.APIConfig) {
	authtx.RegisterGRPCGatewayRoutes(s.ClientCtx, s.GRPCGatewayRouter)
	cmtservice.RegisterGRPCGatewayRoutes(s.ClientCtx, s.GRPCGatewayRouter)
	nodeservice.RegisterGRPCGatewayRoutes(s.ClientCtx, s.GRPCGatewayRouter)
	app.basics.RegisterGRPCGatewayRoutes(s.ClientCtx, s.GRPCGatewayRouter)
}

// RegisterTxService adds the service that simulates, sends and finds transactions.
func (app *App) RegisterTxService(c client.Context) {
	authtx.RegisterTxService(app.GRPCQueryRouter(), c, app.Simulate, app.encoding.Registry)
}

// RegisterTendermintService adds the service about blocks and validators.
func (app *App) RegisterTendermintService(c client.Context) {
	cmtservice.RegisterTendermintService(c, app.GRPCQueryRouter(), app.encoding.Registry, app.Query)
}

// RegisterNodeService adds the service about the node's configuration.
func (app *App) RegisterNodeService(c client.Context, cfg config.Config) {
	nodeservice.RegisterNodeService(c, app.GRPCQueryRouter(), cfg,
		func() int64 { return app.CommitMultiStore().EarliestVersion() })
}

// RegisterGRPCServerWithSkipCheckHeader adds all queries to the node's gRPC
// server, and the service with which the node speaks for itself.
func (app *App) RegisterGRPCServerWithSkipCheckHeader(s grpc.Server, skip bool) {
	app.BaseApp.RegisterGRPCServerWithSkipCheckHeader(s, skip)
	app.registerLocal(s)
}
