// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

func newKeeper(t *testing.T) (*credit.Keeper, sdk.Context) {
	t.Helper()
	key := storetypes.NewKVStoreKey(credit.Name)
	ctx := testutil.DefaultContext(key, storetypes.NewTransientStoreKey("transient"))
	k := credit.NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()), runtime.NewKVStoreService(key), "gov", nil)
	g := creditv1.GenesisState{Params: credit.DefaultParams(), Holdings: []creditv1.Holding{
		{Participant: "old", Weight: 100, Power: credit.TotalPower, ConsensusKey: consensusKey("old")},
	}}
	if _, err := k.InitGenesis(ctx, g); err != nil {
		t.Fatal(err)
	}
	return k, ctx
}

func consensusKey(name string) []byte {
	return append([]byte(name), bytes.Repeat([]byte{7}, 32-len(name))...)
}

// Compute that came an epoch ago, under a name that is as old, decides no vote: before it came it weighed nothing.
func TestANewNameHasNoVoteUntilItHasAHistory(t *testing.T) {
	k, ctx := newKeeper(t)
	var old, fresh []uint64
	for range credit.DefaultParams().TallyEpochs + 1 {
		if err := k.Finalise(ctx, []credit.Settlement{
			{Participant: "old", ConsensusKey: consensusKey("old"), Weight: 100, Powerable: true},
			{Participant: "rented", ConsensusKey: consensusKey("rented"), Weight: 1_000_000, Powerable: true},
		}); err != nil {
			t.Fatal(err)
		}
		for name, list := range map[string]*[]uint64{"old": &old, "rented": &fresh} {
			w, err := k.TallyWeight(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			*list = append(*list, w)
		}
	}
	if diff := cmp.Diff([]uint64{100, 100, 100, 100}, old); diff != "" {
		t.Errorf("old (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{0, 0, 1_000_000, 1_000_000}, fresh); diff != "" {
		t.Errorf("rented (-want +got):\n%s", diff)
	}
}

// Names that never weighed anything, or nothing for as long as votes look back, leave no record that blocks read.
func TestWeightlessNamesLeaveNoRecord(t *testing.T) {
	k, ctx := newKeeper(t)
	finalise := func(weight uint64) {
		t.Helper()
		if err := k.Finalise(ctx, []credit.Settlement{
			{Participant: "nobody", ConsensusKey: consensusKey("nobody")},
			{Participant: "old", ConsensusKey: consensusKey("old"), Weight: 100, Powerable: true},
			{Participant: "passing", ConsensusKey: consensusKey("passing"), Weight: weight, Powerable: true},
		}); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (all []string) {
		t.Helper()
		holdings, err := k.Holdings(ctx)
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
