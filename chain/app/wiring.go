// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	"github.com/spf13/cast"

	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	authzmodule "github.com/cosmos/cosmos-sdk/x/authz/module"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	feegrantmodule "github.com/cosmos/cosmos-sdk/x/feegrant/module"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
)

// permissions of module accounts over coins.
func permissions() map[string][]string {
	return map[string][]string{
		authtypes.FeeCollectorName: nil,
		govtypes.ModuleName:        {authtypes.Burner},
		collateral.Name:            {authtypes.Burner},
		credit.Name:                {authtypes.Minter, authtypes.Burner},
	}
}

// Authority is the account that holds governance's powers.
func Authority() string {
	setPrefixes()
	return authtypes.NewModuleAddress(govtypes.ModuleName).String()
}

func (app *App) addKeepers(logger log.Logger, engine court.Engine,
	opts servertypes.AppOptions) error {
	cdc, authority := app.encoding.Codec, Authority()
	store := func(name string) corestore.KVStoreService {
		return runtime.NewKVStoreService(app.keys[name])
	}

	app.consensus = consensuskeeper.NewKeeper(cdc, store(consensustypes.StoreKey), authority,
		runtime.EventService{})
	app.SetParamStore(app.consensus.ParamsStore)
	app.accounts = authkeeper.NewAccountKeeper(cdc, store(authtypes.StoreKey),
		authtypes.ProtoBaseAccount, permissions(), Addresses(), Prefix, authority)
	// Nobody sends coins to a module by mistake; deposits go through messages of x/gov and
	// x/collateral, and what x/credit holds is what it minted and the fees it took.
	blocked := map[string]bool{
		authtypes.NewModuleAddress(authtypes.FeeCollectorName).String(): true,
		authtypes.NewModuleAddress(collateral.Name).String():            true,
		authtypes.NewModuleAddress(credit.Name).String():                true,
		authority: true,
	}
	app.bank = bankkeeper.NewBaseKeeper(cdc, store(banktypes.StoreKey), app.accounts,
		blocked, authority, logger)
	app.authz = authzkeeper.NewKeeper(store(authzkeeper.StoreKey), cdc, app.MsgServiceRouter(),
		app.accounts)
	app.feegrant = feegrantkeeper.NewKeeper(cdc, store(feegrant.StoreKey), app.accounts)

	skip := make(map[int64]bool)
	for _, height := range cast.ToIntSlice(opts.Get(server.FlagUnsafeSkipUpgrades)) {
		skip[int64(height)] = true
	}
	app.upgrade = upgradekeeper.NewKeeper(skip, store(upgradetypes.StoreKey), cdc,
		cast.ToString(opts.Get(flags.FlagHome)), app.BaseApp, authority)

	var err error
	// Registry, credit and beacon know of each other's state; each takes only
	// what it needs, and what comes later is asked for at run time.
	if app.Collateral, err = collateral.NewKeeper(cdc, store(collateral.Name), Addresses(),
		authority, app.accounts, app.bank, Denom); err != nil {
		return err
	}
	if app.Registry, err = registry.NewKeeper(cdc, store(registry.Name), Addresses(), authority,
		app.Collateral, network{app}); err != nil {
		return err
	}
	app.Credit = credit.NewKeeper(cdc, store(credit.Name), authority, app.Registry)
	app.Credit.SetCoins(credit.Coins{Bank: app.bank, Addresses: Addresses(), Denom: Denom,
		Collateral: app.deposits})
	app.Credit.SetCollateral(app.Collateral)
	if app.Beacon, err = beacon.NewKeeper(cdc, store(beacon.Name), Addresses(), app.Credit,
		app.Registry); err != nil {
		return err
	}
	app.Credit.SetBeacon(app.Beacon)
	app.Court = court.NewKeeper(cdc, store(court.Name), authority, engine, app.Registry,
		app.Credit, app.Collateral,
		func(ctx context.Context) (uint64, error) { return app.Sprint.CurrentEpoch(ctx) })
	app.Sprint = sprint.NewKeeper(cdc, store(sprint.Name), authority, app.Beacon, app.Registry,
		app.Credit, app.Court, app.Collateral)
	app.Court.SetCase(app.Sprint)
	app.Court.SetPay(app.Credit)
	app.Stream = stream.NewKeeper(cdc, store(stream.Name), authority, app.Beacon, app.Sprint)
	app.Sprint.SetStream(app.Stream)

	rules := rules{app, app.MsgServiceRouter()}
	app.gov = govkeeper.NewKeeper(cdc, store(govtypes.StoreKey), app.accounts, app.bank, nil, rules,
		govtypes.DefaultConfig(), authority, tally(app.Credit))
	app.gov.SetHooks(rules)
	return nil
}

// deposits are the coins of x/collateral's account, and what its records add up to.
func (app *App) deposits(ctx context.Context) (balance, records math.Int, err error) {
	balance, records = app.bank.GetBalance(ctx, authtypes.NewModuleAddress(collateral.Name),
		Denom).Amount, math.ZeroInt()
	sum, err := app.Collateral.Sums(ctx)
	if err != nil {
		return balance, records, err
	}
	return balance, sum.Deposits.Add(sum.Withdrawals).Add(sum.Held), nil
}

// network is what the registry asks modules that are built after it.
type network struct{ app *App }

func (n network) CurrentEpoch(ctx context.Context) (uint64, error) {
	return n.app.Sprint.CurrentEpoch(ctx)
}
func (n network) KeepEpochs(ctx context.Context) (uint64, error) {
	return n.app.Sprint.KeepEpochs(ctx)
}
func (n network) Holds(ctx context.Context, participant string,
	consensusKeys ...[]byte) (bool, error) {
	return n.app.Credit.Holds(ctx, participant, consensusKeys...)
}

func (app *App) addModules() error {
	cdc, types := app.encoding.Codec, app.encoding.Registry
	app.modules = module.NewManager(
		auth.NewAppModule(cdc, app.accounts, nil),
		bank.NewAppModule(cdc, app.bank, app.accounts),
		authzmodule.NewAppModule(cdc, app.authz, app.accounts, app.bank, types),
		feegrantmodule.NewAppModule(cdc, app.accounts, app.bank, app.feegrant, types),
		gov.NewAppModule(cdc, app.gov, app.accounts, app.bank),
		upgrade.NewAppModule(app.upgrade, Addresses()),
		consensus.NewAppModule(cdc, app.consensus),
		beacon.NewAppModule(app.Beacon),
		collateral.NewAppModule(app.Collateral),
		registry.NewAppModule(app.Registry),
		credit.NewAppModule(cdc, app.Credit),
		court.NewAppModule(cdc, app.Court),
		stream.NewAppModule(cdc, app.Stream),
		sprint.NewAppModule(cdc, app.Sprint),
	)
	app.modules.SetOrderPreBlockers(upgradetypes.ModuleName, authtypes.ModuleName)
	app.modules.SetOrderBeginBlockers(court.Name, credit.Name, authz.ModuleName)
	// bank first, as the SDK asks for; the court before the Sprint, which asks whether it is done;
	// collateral after all that slashes, so that nothing is paid that the block takes; credit last,
	// when all that changes powers has happened.
	app.modules.SetOrderEndBlockers(banktypes.ModuleName, govtypes.ModuleName, feegrant.ModuleName,
		court.Name, sprint.Name, collateral.Name, credit.Name)
	// Accounts before coins, coins before deposits, deposits before the participants
	// they are locked for, participants before the powers they get.
	app.modules.SetOrderInitGenesis(authtypes.ModuleName, banktypes.ModuleName, authz.ModuleName,
		feegrant.ModuleName,
		beacon.Name, collateral.Name, registry.Name, credit.Name, court.Name, stream.Name,
		sprint.Name, govtypes.ModuleName, upgradetypes.ModuleName, consensustypes.ModuleName)

	app.basics = module.NewBasicManagerFromManager(app.modules, nil)
	app.basics.RegisterInterfaces(types)
	app.basics.RegisterLegacyAminoCodec(app.encoding.Amino)
	app.configurator = module.NewConfigurator(cdc, app.MsgServiceRouter(), app.GRPCQueryRouter())
	if err := app.modules.RegisterServices(app.configurator); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	return nil
}

// addHandlers says what happens to transactions and blocks.
func (app *App) addHandlers(opts servertypes.AppOptions) error {
	app.MountKVStores(app.keys)

	lane := lane{app}
	pool := newPool(cast.ToInt(opts.Get(server.FlagMempoolMaxTxs)))
	ante, err := app.newAnteHandler(lane, pool)
	if err != nil {
		return err
	}
	proposals := proposals{app: app, pool: pool, lane: lane}
	app.SetMempool(pool)
	app.SetAnteHandler(ante)
	app.SetPrepareProposal(proposals.prepare)
	app.SetProcessProposal(proposals.process)
	app.SetPrepareCheckStater(func(sdk.Context) { pool.committed() })
	app.SetInitChainer(app.initChain)
	app.SetPreBlocker(app.preBlock)
	app.SetBeginBlocker(func(ctx sdk.Context) (sdk.BeginBlock,
		error) {
		return app.modules.BeginBlock(ctx)
	})
	app.SetEndBlocker(func(ctx sdk.Context) (sdk.EndBlock,
		error) {
		return app.modules.EndBlock(ctx)
	})
	return nil
}
