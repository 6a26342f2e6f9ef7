// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/core/header"
	"github.com/spf13/cast"

	"github.com/cosmos/cosmos-sdk/client/flags"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
)

// change is an upgrade of the state machine that governance puts a height to. The
// release before it stops there (see Trouble), this one runs it and goes on.
type change struct {
	// name as in the plan.
	name string
	// stores that this release has and the one before it had not, and the other way round.
	stores storetypes.StoreUpgrades
	// migrate changes what the modules' own migrations, which run first, do not.
	migrate func(context.Context, *App) error
}

// changes are all that a release can run, the last one that a chain ran included:
// without its handler the SDK takes the release for one from before it.
type changes []change

// released are the upgrades of this release.
func released() changes { return nil }

// begin marks all upgrades as done on a new chain, which starts with their results.
// Their names can then not be planned any longer; a plan with a name that this
// release has a handler for would stop every node at once.
func (all changes) begin(ctx sdk.Context, keeper *upgradekeeper.Keeper, height int64) error {
	// a genesis has none, and 0 stands for never
	ctx = ctx.WithHeaderInfo(header.Info{Height: height})
	for _, u := range all {
		handler := func(_ context.Context, _ upgradetypes.Plan,
			from module.VersionMap) (module.VersionMap, error) {
			return from, nil
		}
		keeper.SetUpgradeHandler(u.name, handler)
		if err := keeper.ApplyUpgrade(ctx,
			upgradetypes.Plan{Name: u.name, Height: height}); err != nil {
			return fmt.Errorf("app: genesis: upgrade %s: %w", u.name, err)
		}
	}
	return nil
}

// addUpgrades says how each upgrade is run, and opens the stores of the one that is
// due with the next block, if the release before this one stopped for it.
func (app *App) addUpgrades(opts servertypes.AppOptions) error {
	for _, u := range app.upgrades {
		app.upgrade.SetUpgradeHandler(u.name, func(ctx context.Context, _ upgradetypes.Plan,
			from module.VersionMap) (module.VersionMap, error) {
			to, err := app.modules.RunMigrations(ctx, app.configurator, from)
			if err != nil {
				return nil, fmt.Errorf("app: upgrade %s: %w", u.name, err)
			}
			if u.migrate != nil {
				if err := u.migrate(ctx, app); err != nil {
					return nil, fmt.Errorf("app: upgrade %s: %w", u.name, err)
				}
			}
			return to, nil
		})
	}
	if cast.ToString(opts.Get(flags.FlagHome)) == "" {
		return nil // an app without a home never stopped anywhere
	}
	info, err := app.upgrade.ReadUpgradeInfoFromDisk()
	if err != nil {
		path, _ := app.upgrade.GetUpgradeInfoPath()
		return fmt.Errorf("app: %s: %w; it is written where a node stops for an upgrade; copy it "+
			"from another node that did, or delete it if no upgrade is due", path, err)
	}
	for _, u := range app.upgrades {
		if u.name == info.Name && !app.upgrade.IsSkipHeight(info.Height) {
			app.SetStoreLoader(upgradetypes.UpgradeStoreLoader(info.Height, &u.stores))
		}
	}
	return nil
}

// Trouble is why the upgrades of this release and those of the chain do not fit.
type Trouble struct {
	// Kind says what is wrong.
	Kind TroubleKind
	// Plan is the upgrade, and where it runs or ran.
	Name string
	Info string
	// Height where it runs or ran.
	Height int64
}

// TroubleKind is a way in which release and chain do not fit.
type TroubleKind int

// The kinds of trouble.
const (
	// NoTrouble: release and chain fit.
	NoTrouble TroubleKind = iota
	// TooOld: the plan's height is reached, and this release cannot run it.
	TooOld
	// TooEarly: this release is for after a plan whose height is not reached.
	TooEarly
	// Outdated: the chain ran an upgrade that this release does not know.
	Outdated
)

// UpgradeTrouble tells why a block cannot run because of an upgrade, if that is why.
// It reads the state before the block.
func (app *App) UpgradeTrouble(height int64) (Trouble, error) {
	ctx := app.last()
	plan, err := app.upgrade.GetUpgradePlan(ctx)
	planned := err == nil
	if err != nil && !errors.Is(err, upgradetypes.ErrNoUpgradePlanFound) {
		return Trouble{}, fmt.Errorf("app: upgrade plan: %w", err)
	}
	if planned && !app.upgrade.IsSkipHeight(height) {
		known, due := app.upgrade.HasHandler(plan.Name), plan.ShouldExecute(height)
		if due && !known {
			return Trouble{TooOld, plan.Name, plan.Info, plan.Height}, nil
		}
		if known && !due {
			return Trouble{TooEarly, plan.Name, plan.Info, plan.Height}, nil
		}
	}
	name, at, err := app.upgrade.GetLastCompletedUpgrade(ctx)
	if err != nil {
		return Trouble{}, fmt.Errorf("app: last upgrade: %w", err)
	}
	if name != "" && !app.upgrade.HasHandler(name) {
		return Trouble{Kind: Outdated, Name: name, Height: at}, nil
	}
	return Trouble{}, nil
}

// LastUpgrade names the newest upgrade that this release can run, empty before the first one.
func LastUpgrade() string {
	all := released()
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].name
}
