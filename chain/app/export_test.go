// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/baseapp"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
)

// Bounded lists the fields that the bounds of a module of the SDK decide on.
func Bounded() map[string][]string {
	return map[string][]string{
		"auth": fields(authBounds), "bank": fields(bankBounds), "gov": fields(govBounds),
		"consensus": fields(consensusBounds),
	}
}

func fields[P any](bounds []bound[P]) (names []string) {
	for _, b := range bounds {
		names = append(names, b.field)
	}
	return names
}

// Permitted lists the messages that governance may execute.
func Permitted() (urls []string) {
	for _, p := range (*App)(nil).permissions() {
		urls = append(urls, p.url)
	}
	return urls
}

// NewWithUpgrade is a release that runs an upgrade, which adds stores.
func NewWithUpgrade(logger log.Logger, db dbm.DB, opts servertypes.AppOptions, name string,
	stores []string, migrate func(context.Context, *App) error,
	options ...func(*baseapp.BaseApp)) (*App, error) {
	all := changes{{name: name, stores: storetypes.StoreUpgrades{Added: stores}, migrate: migrate}}
	return build(logger, db, nil, opts, all, options...)
}
