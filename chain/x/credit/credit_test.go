// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"cosmossdk.io/log/v2"
	"github.com/google/go-cmp/cmp"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/store/v2"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/poc/seed"
)

// chain is x/credit over the SDK's own bank, with stand-ins for the other modules it asks.
type chain struct {
	*credit.Keeper
	ctx    sdk.Context
	store  *storetypes.KVStoreKey
	bank   bankkeeper.BaseKeeper
	owners map[string]string // by consensus address
	number uint64            // of the epoch that settles next
	// refused are accounts that the bank pays nothing to
	refused map[string]bool
}

func (c *chain) ByConsensusAddress(_ context.Context, address []byte) (registryv1.Participant,
	bool, error) {
	name, ok := c.owners[string(address)]
	return registryv1.Participant{Address: name}, ok, nil
}

func (c *chain) Value(_ context.Context, height int64) (seed.Seed, error) {
	return seed.Seed(sha256.Sum256(fmt.Append(nil, height))), nil
}

func consensusKey(name string) []byte {
	return append([]byte(name), bytes.Repeat([]byte{7}, 32-len(name))...)
}

// known registers a name's consensus key.
func (c *chain) known(name string) {
	address := sha256.Sum256(consensusKey(name))
	c.owners[string(address[:20])] = name
}

// empty is a chain before its genesis.
func empty() *chain {
	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey, credit.Name)
	c := &chain{store: keys[credit.Name], owners: map[string]string{}, number: 1,
		refused: map[string]bool{}}
	stores := store.NewCommitMultiStore(dbm.NewMemDB(), log.NewNopLogger())
	for _, key := range keys {
		stores.MountStoreWithDB(key, storetypes.StoreTypeIAVL, nil)
	}
	if err := stores.LoadLatestVersion(); err != nil {
		panic(err)
	}
	c.ctx = sdk.NewContext(stores, cmtproto.Header{}, false, log.NewNopLogger())
	types := codectypes.NewInterfaceRegistry()
	authtypes.RegisterInterfaces(types)
	cdc := codec.NewProtoCodec(types)
	accounts := authkeeper.NewAccountKeeper(cdc,
		runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{authtypes.FeeCollectorName: nil, faucet: {authtypes.Minter},
			credit.Name: {authtypes.Minter, authtypes.Burner}}, names{}, "cpc", "authority")
	c.bank = bankkeeper.NewBaseKeeper(cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]),
		accounts, c.refused, "authority", log.NewNopLogger())
	c.Keeper = credit.NewKeeper(cdc, runtime.NewKVStoreService(c.store), "gov", c)
	c.SetCoins(credit.Coins{Bank: c.bank, Addresses: names{}, Denom: denom})
	c.SetBeacon(c)
	if err := c.bank.SetParams(c.ctx, banktypes.DefaultParams()); err != nil {
		panic(err)
	}
	return c
}

// begin starts a chain whose holders have these weights, and powers in proportion.
func begin(t testing.TB, p creditv1.Params, weights map[string]uint64, names ...string) *chain {
	t.Helper()
	c := empty()
	g := creditv1.GenesisState{Params: p}
	all := uint64(0)
	for _, name := range names {
		all += weights[name]
	}
	for _, name := range names {
		c.known(name)
		g.Holdings = append(g.Holdings, creditv1.Holding{Participant: name, Weight: weights[name],
			Power: weights[name] * credit.TotalPower / all, ConsensusKey: consensusKey(name)})
	}
	if _, err := c.InitGenesis(c.ctx, g); err != nil {
		t.Fatal(err)
	}
	c.block(t)
	return c
}

// block ends a block.
func (c *chain) block(t testing.TB) []abci.ValidatorUpdate {
	t.Helper()
	updates, err := c.EndBlock(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 1)
	return updates
}

// finalise settles an epoch and lets everybody join.
func (c *chain) finalise(t testing.TB, live uint64, weights map[string]uint64, names ...string) {
	t.Helper()
	c.settle(t, live, weights, names...)
	for len(c.block(t)) > 0 {
	}
}

// settle settles an epoch.
func (c *chain) settle(t testing.TB, live uint64, weights map[string]uint64, names ...string) {
	t.Helper()
	var list []credit.Settlement
	for _, name := range names {
		c.known(name)
		list = append(list, credit.Settlement{Participant: name, ConsensusKey: consensusKey(name),
			Weight: weights[name], Sprint: weights[name], Powerable: true})
	}
	if err := c.Finalise(c.ctx, c.number, list, live); err != nil {
		t.Fatal(err)
	}
	c.number++
}

// void records an epoch in which those in kept showed all that they weigh.
func (c *chain) void(t testing.TB, kept, wrong []string) {
	t.Helper()
	var shown []credit.Shown
	for _, name := range kept {
		shown = append(shown, credit.Shown{Participant: name, Weight: c.holding(t, name).Weight})
	}
	if err := c.Void(c.ctx, c.number, shown, wrong); err != nil {
		t.Fatal(err)
	}
	c.number++
}

func (c *chain) holding(t testing.TB, name string) creditv1.Holding {
	t.Helper()
	h, err := c.Holding(c.ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// powers in force by name.
func (c *chain) powers(t testing.TB) map[string]uint64 {
	t.Helper()
	seats, err := c.Seats(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, s := range seats {
		if s.Told > 0 {
			out[s.Participant] = s.Told
		}
	}
	return out
}

// vote is what a name's vote weighs, and the whole that it is a part of.
func (c *chain) vote(t testing.TB, name string) (weight, whole uint64) {
	t.Helper()
	weight, err := c.TallyWeight(c.ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.TallyWhole(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return weight, all.Uint64()
}

// Compute that came an epoch ago, under a name that is as old, decides no vote: before it came it
// weighed nothing.
func TestANewNameHasNoVoteUntilItHasAHistory(t *testing.T) {
	c := begin(t, credit.DefaultParams(), map[string]uint64{"old": 100}, "old")
	var old, fresh []uint64
	for range credit.DefaultParams().TallyEpochs + 1 {
		c.finalise(t, 100, map[string]uint64{"old": 100, "rented": 1_000_000}, "old", "rented")
		w, _ := c.vote(t, "old")
		f, _ := c.vote(t, "rented")
		old, fresh = append(old, w), append(fresh, f)
	}
	if diff := cmp.Diff([]uint64{100, 100, 100, 100}, old); diff != "" {
		t.Errorf("old (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{0, 0, 1_000_000, 1_000_000}, fresh); diff != "" {
		t.Errorf("rented (-want +got):\n%s", diff)
	}
}

// C4: 51.4 % rented for the first epoch kept its weight for ever by staying away, and eight void
// epochs later a newcomer that had computed once held 53.8 % of all votes.
// Holds spec P-11.
func TestOneRentedEpochFreezesNothingAndWinsNoVote(t *testing.T) {
	weights := map[string]uint64{"a": 162, "b": 162, "c": 162, "rented": 514, "n": 600}
	honest := []string{"a", "b", "c"}
	c := begin(t, credit.DefaultParams(), weights, honest...)
	// it computes once, and a newcomer once in the second
	c.finalise(t, 486, weights, "a", "b", "c", "rented")
	settled := []int{}
	for epoch := range 8 {
		whole, err := c.TotalWeight(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		live := uint64(0)
		for _, name := range honest {
			live += c.holding(t, name).Weight
		}
		was := c.holding(t, "rented").Weight
		if live*10_000 < whole*6_666 {
			c.void(t, honest, nil)
		} else if epoch < 4 {
			c.finalise(t, live, weights, "a", "b", "c", "n")
			settled = append(settled, epoch)
		} else {
			c.finalise(t, live, weights, honest...)
			settled = append(settled, epoch)
		}
		if now := c.holding(t, "rented").Weight; now > was/2 {
			t.Errorf("epoch %d: absent and weighs %d, after %d", epoch, now, was)
		}
		for _, name := range []string{"rented", "n"} {
			vote, all := c.vote(t, name)
			if name == "rented" && vote > 0 {
				t.Errorf("epoch %d: the absent one has a vote of %d", epoch, vote)
			}
			if 3*vote > all {
				t.Errorf("epoch %d: %s alone decides with %d of %d", epoch, name, vote, all)
			}
		}
	}
	// two epochs are void after the rented one, two after the newcomer's
	if diff := cmp.Diff([]int{2, 5, 6, 7}, settled); diff != "" {
		t.Errorf("epochs that settled (-want +got):\n%s", diff)
	}
}

// A void epoch halves what it did not show, takes what was proven wrong and moves no power.
// Holds spec P-9.
func TestAVoidEpoch(t *testing.T) {
	weights := map[string]uint64{"kept": 101, "away": 101, "wrong": 101, "one": 1}
	c := begin(t, credit.DefaultParams(), weights, "kept", "away", "wrong", "one")
	c.finalise(t, 304, weights, "kept", "away", "wrong", "one")
	before := c.powers(t)
	c.void(t, []string{"kept"}, []string{"wrong"})
	type row struct {
		Weight, Credited uint64
		History          []uint64
	}
	got := map[string]row{}
	for _, name := range []string{"kept", "away", "wrong", "one"} {
		h := c.holding(t, name)
		got[name] = row{h.Weight, h.Credited, h.History}
	}
	if diff := cmp.Diff(map[string]row{
		"kept": {101, 101, []uint64{101, 101}}, "away": {50, 101, []uint64{101, 0}},
		"wrong": {0, 0, []uint64{101, 0}}, "one": {0, 1, []uint64{1, 0}},
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if updates := c.block(t); len(updates) > 0 || !cmp.Equal(before, c.powers(t)) {
		t.Errorf("power moved: %v", updates)
	}
}

// C4: during an outage power moves only as far as what is live vouches for it, until two thirds of
// the base are back, and the votes of those who stayed are no larger a part of the whole.
// Holds spec P-10.
func TestAnOutageOfTheHonestHandsNothingToWhoStayed(t *testing.T) {
	p := credit.DefaultParams()
	weights := map[string]uint64{"c": 270, "h1": 365, "h2": 365}
	c := begin(t, p, weights, "c", "h1", "h2")
	c.finalise(t, 1000, weights, "c", "h1", "h2")
	c.void(t, []string{"c"}, nil) // both honest ones are away
	c.void(t, []string{"c"}, nil)
	if g, _ := c.ExportGenesis(c.ctx); g.Base != 1000 {
		t.Fatalf("base %d, the weight before the outage was 1000", g.Base)
	}
	if vote, whole := c.vote(t, "c"); 3*vote > whole {
		t.Errorf("who stayed decides alone, with %d of %d votes", vote, whole)
	}
	was := c.powers(t)["c"]
	for i, base := range []uint64{990, 980, 970} { // floor(99/100)
		before := c.powers(t)["c"]
		c.finalise(t, 270, weights, "c")
		if gain := c.powers(t)["c"] - before; gain > credit.TotalPower*27/1000*1000/980+2 {
			t.Errorf("%d moved to who stayed; 27 %% of the base is live", gain)
		}
		if g, _ := c.ExportGenesis(c.ctx); g.Base != base {
			t.Errorf("base %d after %d settled epochs, want %d", g.Base, i+1, base)
		}
	}
	if now := c.powers(t)["c"]; now > was+3*28_000 {
		t.Errorf("the coalition went from %d to %d in three epochs", was, now)
	}
	c.finalise(t, 270, weights, "c", "h1", "h2")
	c.finalise(t, 1000, weights, "c", "h1", "h2")
	if g, _ := c.ExportGenesis(c.ctx); g.Base != 0 {
		t.Errorf("base %d though all are back", g.Base)
	}
}

// What is credited is told apart from the weight of genesis, and a cut takes all of it.
func TestCreditedAndCut(t *testing.T) {
	weights := map[string]uint64{"a": 50, "b": 50}
	c := begin(t, credit.DefaultParams(), map[string]uint64{"a": 1, "b": 1}, "a", "b")
	if h := c.holding(t, "a"); h.Credited != 0 || h.Weight != 1 {
		t.Errorf("genesis holds %v; nothing was credited yet", h)
	}
	c.finalise(t, 2, weights, "a", "b")
	if h := c.holding(t, "a"); h.Credited != 50 {
		t.Errorf("%v was credited 50", h)
	}
	if err := c.Cut(c.ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if h := c.holding(t, "a"); h.Weight != 0 || h.Power != 0 || h.Credited != 0 {
		t.Errorf("cut and holds %v", h)
	}
	if w, whole := c.vote(t, "a"); w != 0 || whole != 50 {
		t.Errorf("cut and votes with %d of %d", w, whole)
	}
	c.block(t)
	if diff := cmp.Diff(map[string]uint64{"b": credit.TotalPower}, c.powers(t)); diff != "" {
		t.Errorf("the block after the cut (-want +got):\n%s", diff)
	}
	if err := c.Cut(c.ctx, "b"); err != nil {
		t.Fatal(err)
	}
	c.block(t)
	if diff := cmp.Diff(map[string]uint64{"b": credit.TotalPower}, c.powers(t)); diff != "" {
		t.Errorf("the last validator (-want +got):\n%s", diff)
	}
	c.finalise(t, 0, map[string]uint64{"n": 5}, "n")
	if diff := cmp.Diff(map[string]uint64{"n": credit.TotalPower}, c.powers(t)); diff != "" {
		t.Errorf("once there is another (-want +got):\n%s", diff)
	}
	if err := c.Cut(c.ctx, "nobody"); err != nil || c.holding(t, "nobody").Weight != 0 {
		t.Errorf("cutting who holds nothing: %v", err)
	}
}

// Names that never weighed anything, or nothing for as long as votes look back, leave no record
// that blocks read.
func TestWeightlessNamesLeaveNoRecord(t *testing.T) {
	c := begin(t, credit.LocalnetParams(), map[string]uint64{"old": 100}, "old")
	finalise := func(weight uint64) {
		t.Helper()
		c.finalise(t, 100, map[string]uint64{"old": 100, "passing": weight},
			"nobody", "old", "passing")
	}
	names := func() (all []string) {
		t.Helper()
		holdings, err := c.Holdings(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range holdings {
			all = append(all, h.Participant)
		}
		return all
	}
	finalise(50)
	if diff := cmp.Diff([]string{"old", "passing"}, names()); diff != "" {
		t.Errorf("after an epoch (-want +got):\n%s", diff)
	}
	for range 10 { // its power goes, by at most a third an epoch, and then its history
		finalise(0)
	}
	if diff := cmp.Diff([]string{"old"}, names()); diff != "" {
		t.Errorf("long after it left (-want +got):\n%s", diff)
	}
}

// One move after the other: a settlement that comes while newcomers of the last one enter changes
// weights only.
// Holds spec P-6.
func TestASettlementWaitsForTheLastOnesNewcomers(t *testing.T) {
	weights := map[string]uint64{"a": 100, "b": 100, "n1": 100, "n2": 100, "n3": 100}
	all := []string{"a", "b", "n1", "n2", "n3"}
	c := begin(t, credit.DefaultParams(), weights, "a", "b")
	c.settle(t, 200, weights, all...)
	c.block(t)
	goal := map[string]uint64{}
	for _, name := range all {
		goal[name] = c.holding(t, name).Power
	}
	c.settle(t, 500, map[string]uint64{"a": 1}, "a")
	for _, name := range all {
		if h := c.holding(t, name); h.Power != goal[name] {
			t.Errorf("%s is to have %d instead of %d before the newcomers are in",
				name, h.Power, goal[name])
		}
	}
	if h := c.holding(t, "b"); h.Weight != 0 {
		t.Errorf("b weighs %d and was not listed", h.Weight)
	}
	for len(c.block(t)) > 0 {
	}
	if diff := cmp.Diff(goal, c.powers(t)); diff != "" {
		t.Errorf("after joining (-want +got):\n%s", diff)
	}
	c.finalise(t, 1, map[string]uint64{"a": 1}, "a")
	if got := c.powers(t)["a"]; got != goal["a"]+100_000 {
		t.Errorf("a has %d after the next settlement, had %d", got, goal["a"])
	}
}

// At most max_validators names get power, and at most twice as many have some while others leave.
// Holds spec P-2.
func TestTheSetIsBounded(t *testing.T) {
	p := credit.DefaultParams()
	p.MaxValidators = 4
	c := begin(t, p, map[string]uint64{"a": 1, "b": 1, "c": 1, "d": 1}, "a", "b", "c", "d")
	for epoch := range 20 {
		weights, names := map[string]uint64{}, []string{}
		for i := range 10 {
			name := fmt.Sprintf("e%02d-%d", epoch, i)
			weights[name], names = uint64(100+i), append(names, name)
		}
		c.finalise(t, 4, weights, names...)
		if n := len(c.powers(t)); n > 8 {
			t.Fatalf("epoch %d: %d names have power", epoch, n)
		}
	}
}

// Governance changes the rails between epochs only.
func TestParametersArePendingUntilAnEpochBegins(t *testing.T) {
	c := begin(t, credit.DefaultParams(), map[string]uint64{"a": 1}, "a")
	changed := credit.DefaultParams()
	changed.MoveBps = 100
	if err := c.Update(c.ctx, changed); err != nil {
		t.Fatal(err)
	}
	g, err := c.ExportGenesis(c.ctx)
	if err != nil || g.Params != credit.DefaultParams() || g.PendingParams == nil ||
		*g.PendingParams != changed {
		t.Errorf("before the epoch: %v, %v", g, err)
	}
	for range 2 {
		if err := c.Adopt(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if g, err = c.ExportGenesis(c.ctx); err != nil || g.Params != changed ||
		g.PendingParams != nil {
		t.Errorf("after it: %v, %v", g, err)
	}
	changed.LambdaBps = 9_999
	if err := c.Update(c.ctx, changed); err == nil {
		t.Error("a lambda below one was taken")
	}
}

// Update is governance's message.
func (c *chain) Update(ctx context.Context, p creditv1.Params) error {
	router := &services{}
	credit.NewAppModule(nil, c.Keeper).RegisterServices(router)
	_, err := router.msg.UpdateParams(ctx, &creditv1.MsgUpdateParams{Authority: "gov", Params: p})
	return err
}
