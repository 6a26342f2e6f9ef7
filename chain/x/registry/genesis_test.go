// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/math"
	"github.com/google/go-cmp/cmp"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/registry"
)

// genesis is a valid state of two participants, in order.
func genesis() *registryv1.GenesisState {
	gs := registry.DefaultGenesis()
	names := []string{"alice", "bob"}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(account(a), account(b)) })
	for _, name := range names {
		m := registration(name)
		gs.Participants = append(gs.Participants, registryv1.Participant{
			Address: m.Address, Moniker: m.Moniker, ConsensusKey: m.ConsensusKey, VrfKey: m.VrfKey,
			HostKey: m.HostKey, Nodes: m.Nodes,
			Deposit: math.ZeroInt(),
		})
		gs.Possessions = append(gs.Possessions, m.Possession)
	}
	return gs
}

func TestGenesis(t *testing.T) {
	w := emptyWorld(t)
	gs := genesis()
	if err := w.InitGenesis(w.ctx, gs); err != nil {
		t.Fatal(err)
	}
	exported, err := w.ExportGenesis(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	gs.Possessions = nil
	if diff := cmp.Diff(gs, exported); diff != "" {
		t.Error(diff)
	}
	again := emptyWorld(t)
	if err := again.InitGenesis(again.ctx.WithChainID("another-chain"), exported); err != nil {
		t.Errorf("importing an exported state: %v", err)
	}
}

func TestGenesisRefuses(t *testing.T) {
	for name, damage := range map[string]func(*registryv1.GenesisState){
		"parameters": func(gs *registryv1.GenesisState) { gs.Params.MaxNodes = 0 },
		"a missing proof": func(gs *registryv1.GenesisState) {
			gs.Possessions = gs.Possessions[:1]
		},
		"swapped proofs": func(gs *registryv1.GenesisState) { slices.Reverse(gs.Possessions) },
		"order": func(gs *registryv1.GenesisState) {
			slices.Reverse(gs.Participants)
			slices.Reverse(gs.Possessions)
		},
		"a participant twice": func(gs *registryv1.GenesisState) {
			gs.Participants = append(gs.Participants, gs.Participants[1])
			gs.Possessions = append(gs.Possessions, gs.Possessions[1])
		},
		"a shared key": func(gs *registryv1.GenesisState) {
			gs.Participants[1].HostKey = gs.Participants[0].HostKey
		},
		"a node's proof": func(gs *registryv1.GenesisState) {
			gs.Participants[0].Nodes[0].Proof = make([]byte, 64)
		},
		"a moniker": func(gs *registryv1.GenesisState) { gs.Participants[0].Moniker = "" },
		"a short key": func(gs *registryv1.GenesisState) {
			gs.Participants[0].VrfKey = gs.Participants[0].VrfKey[:31]
		},
		"pending parameters": func(gs *registryv1.GenesisState) {
			gs.PendingParams = &registryv1.Params{}
		},
		"a former node's proof": func(gs *registryv1.GenesisState) {
			gs.Participants[0].PreviousNodes = []registryv1.Node{{Id: "gpu-0",
				Key: make([]byte, 32), Proof: make([]byte, 63)}}
		},
		"a former node's key": func(gs *registryv1.GenesisState) {
			gs.Participants[0].PreviousNodes = []registryv1.Node{{Id: "gpu-0",
				Key: make([]byte, 33), Proof: make([]byte, 64)}}
		},
		"a negative deposit": func(gs *registryv1.GenesisState) {
			gs.Participants[0].Deposit = cpc(-1)
		},
		"leaving before it came": func(gs *registryv1.GenesisState) {
			gs.Participants[0].JoinedEpoch, gs.Participants[0].LeftFrom = 3, 3
		},
		"half a clock": func(gs *registryv1.GenesisState) {
			gs.Participants[0].PowerlessHeight = 3
		},
	} {
		gs := genesis()
		damage(gs)
		if err := registry.ValidateGenesis(chain, gs); !errors.Is(err, registry.ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
