// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"

	"github.com/cosmos/cosmos-sdk/baseapp"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/assaynet/assay/chain/app"
)

// newRelease opens a home's database with a release that has one upgrade, a store
// more, and writes into it.
func newRelease(t testing.TB, dir string, db dbm.DB, name string) *app.App {
	t.Helper()
	key := storetypes.NewKVStoreKey("extra")
	a, err := app.NewWithUpgrade(log.NewNopLogger(), db, options{"home": dir},
		name, []string{key.Name()},
		func(ctx context.Context, a *app.App) error {
			sdk.UnwrapSDKContext(ctx).KVStore(key).Set([]byte("migrated"), []byte{1})
			return nil
		},
		baseapp.SetChainID(chainID), func(b *baseapp.BaseApp) {
			b.MountStore(key, storetypes.StoreTypeIAVL)
		})
	must(t, err)
	return a
}

// C25: an upgrade that governance decided stops the release that cannot run it,
// before anything is changed, and the next release goes on with the same state.
func TestC25AnUpgradeIsRunByTheNextRelease(t *testing.T) {
	d := drive(t, "alice")
	alice := d.validators[0]
	db := dbm.NewMemDB()
	alice.App = openOn(t, alice.dir, db)
	d.init(d.genesis)
	d.blocks(1)
	plan := upgradetypes.Plan{Name: "more", Height: d.height + 30, Info: "https://example.org/more"}
	d.passes(&upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(), Plan: plan})
	if trouble, err := alice.UpgradeTrouble(d.height + 1); err != nil ||
		trouble != (app.Trouble{}) {
		t.Errorf("ahead of it: %v, %v", trouble, err)
	}
	// A release that comes early waits for nothing, it stops.
	early, err := app.NewWithUpgrade(log.NewNopLogger(), clone(t, db), options{"home": alice.dir},
		"more", nil, nil, baseapp.SetChainID(chainID))
	must(t, err)
	if trouble, err := early.UpgradeTrouble(d.height + 1); err != nil ||
		trouble.Kind != app.TooEarly {
		t.Errorf("the release comes early: %v, %v", trouble, err)
	}
	for d.height < plan.Height-1 {
		d.blocks(1)
	}
	before := d.balance(alice.Address)

	next := &abci.RequestFinalizeBlock{Height: d.height + 1, Time: d.now.Add(d.interval),
		ProposerAddress: alice.address, Txs: d.prepare(4 << 20)}
	if _, err := alice.FinalizeBlock(next); err == nil || !strings.Contains(err.Error(), "NEEDED") {
		t.Fatalf("the old release runs block %d: %v", next.Height, err)
	}
	want := app.Trouble{Kind: app.TooOld, Name: "more", Info: plan.Info, Height: plan.Height}
	if trouble, err := alice.UpgradeTrouble(next.Height); err != nil || trouble != want {
		t.Errorf("%v, %v, want %v", trouble, err, want)
	}

	untouched := clone(t, db)
	alice.App = newRelease(t, alice.dir, db, "more")
	if trouble, err := alice.UpgradeTrouble(next.Height); err != nil || trouble != (app.Trouble{}) {
		t.Errorf("the next release: %v, %v", trouble, err)
	}
	d.decide(next.Txs)
	if after := d.balance(alice.Address); !after.Equal(before) {
		t.Errorf("%s coins before the upgrade, %s after it", before, after)
	}
	res, err := alice.Query(context.Background(),
		&abci.RequestQuery{Path: "/store/extra/key", Data: []byte("migrated")})
	if err != nil || !bytes.Equal(res.Value, []byte{1}) {
		t.Errorf("the new store holds %v, %v %s", res.Value, err, res.Log)
	}
	d.goesOn(3)
	d.refused(d.sign(alice, lawgiver,
		d.propose(&upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(),
			Plan: upgradetypes.Plan{Name: "more", Height: d.height + 50}})),
		"ran at height")

	// The old release does not go on where the next one was.
	old := openOn(t, alice.dir, clone(t, db))
	want = app.Trouble{Kind: app.Outdated, Name: "more", Height: plan.Height}
	if trouble, err := old.UpgradeTrouble(d.height + 1); err != nil || trouble != want {
		t.Errorf("the old release over the new state: %v, %v, want %v", trouble, err, want)
	}

	// Validators may agree to leave an upgrade out.
	skips := openOn(t, alice.dir, untouched,
		options{"unsafe-skip-upgrades": []int{int(plan.Height)}})
	if _, err := skips.FinalizeBlock(next); err != nil {
		t.Errorf("without the upgrade: %v", err)
	}
}

// A new chain starts with what the upgrades of its release do, and their names are
// used up: a plan with one of them would stop every node at once.
func TestC13ANewChainHasRunTheUpgradesOfItsRelease(t *testing.T) {
	d := drive(t, "alice")
	alice := d.validators[0]
	alice.App = newRelease(t, alice.dir, dbm.NewMemDB(), "more")
	d.init(d.genesis)
	d.blocks(2)
	d.refused(d.sign(alice, lawgiver,
		d.propose(&upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(),
			Plan: upgradetypes.Plan{Name: "more", Height: d.height + 50}})),
		"ran at height")
	d.goesOn(2)
	if trouble, err := alice.UpgradeTrouble(d.height + 1); err != nil ||
		trouble != (app.Trouble{}) {
		t.Errorf("%v, %v", trouble, err)
	}
	old := openOn(t, alice.dir, dbm.NewMemDB())
	if _, err := initChain(old, d.genesis); err != nil {
		t.Error(err)
	}
}

// clone copies a database.
func clone(t testing.TB, from dbm.DB) dbm.DB {
	t.Helper()
	to := dbm.NewMemDB()
	all, err := from.Iterator(nil, nil)
	must(t, err)
	defer all.Close()
	for ; all.Valid(); all.Next() {
		must(t, to.Set(all.Key(), all.Value()))
	}
	return to
}
