// SPDX-License-Identifier: Apache-2.0

package genesis

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	beaconv1 "github.com/assaynet/assay/api/beacon/v1"
	collateralv1 "github.com/assaynet/assay/api/collateral/v1"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/poc/seed"
)

// Restart says which new chain FromExport makes of an older one.
type Restart struct {
	// Chain is the new chain's id; it has to be another one, or what was signed for
	// the old chain would be valid on the new one.
	Chain string
	Time  time.Time
	// Export is what `assay export` wrote.
	Export *genutiltypes.AppGenesis
}

// FromExport makes the genesis of a new chain that goes on with the people and
// coins of an older one: accounts, balances, grants, parameters, registrations
// with keys and machines, deposits, weights and powers, pay that is owed. It begins
// at height 1, before its first epoch. What was ever minted and burned goes on being
// counted; fees left behind count as burned, and what of a lock is left runs in the
// new epochs. Epochs, samples and verdicts stay behind, as do fees that
// nobody was paid, governance proposals, whose deposits go back, and what bound a
// deposit to an epoch; what is left of a jail is counted from the first epoch on.
//
// The proofs of possession of keys name the old chain, where they were checked,
// and are not part of an export; they are not checked again. So whoever starts the
// new chain trusts the export, and makes it of its own node's state: the same
// state, id and time give everybody the same file.
func FromExport(r Restart) (*genutiltypes.AppGenesis, error) {
	bare, err := app.Bare()
	if err != nil {
		return nil, err
	}
	if r.Chain == r.Export.ChainID {
		return nil, fmt.Errorf("%w: the new chain has the id of the old one, %q, so transactions "+
			"and votes could be replayed on it; choose another --chain-id", ErrGenesis, r.Chain)
	}
	old, err := readExport(bare, r.Export)
	if err != nil {
		return nil, err
	}
	coins, err := old.balances()
	if err != nil {
		return nil, err
	}
	is := func(m proto.Message) func() (proto.Message, error) {
		return func() (proto.Message, error) { return m, nil }
	}
	parts := []part{
		{authtypes.ModuleName, is(&old.auth)},
		{banktypes.ModuleName, is(coins)},
		{authz.ModuleName, is(&old.authz)},
		{feegrant.ModuleName, func() (proto.Message, error) { return old.allowances(r.Time) }},
		{govtypes.ModuleName, is(&govv1.GenesisState{StartingProposalId: old.gov.StartingProposalId,
			Params: old.gov.Params, Constitution: old.gov.Constitution})},
		{beacon.Name, func() (proto.Message, error) { return old.origin(r.Chain) }},
		{collateral.Name, is(old.deposits(r.Time))},
		{registry.Name, is(old.registrations())},
		{credit.Name, is(old.weights())},
		{court.Name, is(old.penalties())},
		{stream.Name, is(&streamv1.GenesisState{Params: old.stream.Params})},
		{sprint.Name, is(&sprintv1.GenesisState{Params: old.sprint.Params,
			NextParams: old.sprint.NextParams})},
	}
	return assemble(bare, parts, r.Chain, r.Time, r.Export.Consensus.Params)
}

// export is the part of an exported state that a new chain is made of.
type export struct {
	auth       authtypes.GenesisState
	bank       banktypes.GenesisState
	authz      authz.GenesisState
	feegrant   feegrant.GenesisState
	gov        govv1.GenesisState
	collateral collateralv1.GenesisState
	registry   registryv1.GenesisState
	credit     creditv1.GenesisState
	court      courtv1.GenesisState
	sprint     sprintv1.GenesisState
	stream     streamv1.GenesisState
}

func readExport(bare *app.App, g *genutiltypes.AppGenesis) (*export, error) {
	if g.Consensus == nil || g.Consensus.Params == nil {
		return nil, fmt.Errorf("%w: the export has no consensus parameters; make it with assay "+
			"export", ErrGenesis)
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(g.AppState, &state); err != nil {
		return nil, fmt.Errorf("%w: export: app_state: %w", ErrGenesis, err)
	}
	var e export
	for _, m := range []struct {
		name string
		into proto.Message
	}{
		{authtypes.ModuleName, &e.auth}, {banktypes.ModuleName, &e.bank},
		{authz.ModuleName, &e.authz}, {feegrant.ModuleName, &e.feegrant},
		{govtypes.ModuleName, &e.gov}, {collateral.Name, &e.collateral},
		{registry.Name, &e.registry}, {credit.Name, &e.credit}, {court.Name, &e.court},
		{sprint.Name, &e.sprint}, {stream.Name, &e.stream},
	} {
		raw, found := state[m.name]
		if !found {
			return nil, fmt.Errorf("%w: the export has no state of %s; make it of all modules",
				ErrGenesis, m.name)
		}
		if err := bare.Encoding().Codec.UnmarshalJSON(raw, m.into); err != nil {
			return nil, fmt.Errorf("%w: export: %s: %w", ErrGenesis, m.name, err)
		}
	}
	if err := bare.ValidateGenesis(state); err != nil {
		return nil, fmt.Errorf("%w: export: %w", ErrGenesis, err)
	}
	return &e, nil
}

// balances are everybody's coins, with the deposits of proposals back where they
// came from. Fees that lie with the fee collector are not carried over.
func (e *export) balances() (*banktypes.GenesisState, error) {
	sums := make(map[string]sdk.Coins)
	var order []string
	add := func(address string, coins sdk.Coins) {
		if _, known := sums[address]; !known {
			order = append(order, address)
		}
		sums[address] = sums[address].Add(coins...)
	}
	left := []string{authtypes.NewModuleAddress(authtypes.FeeCollectorName).String(),
		authtypes.NewModuleAddress(govtypes.ModuleName).String()}
	for _, b := range e.bank.Balances {
		if !slices.Contains(left, b.Address) {
			add(b.Address, b.Coins)
		}
	}
	for _, d := range e.gov.Deposits {
		if _, err := app.Addresses().StringToBytes(d.Depositor); err != nil {
			return nil, fmt.Errorf("%w: export: a proposal's depositor %q: %w",
				ErrGenesis, d.Depositor, err)
		}
		add(d.Depositor, sdk.NewCoins(d.Amount...))
	}
	slices.Sort(order)
	gs := &banktypes.GenesisState{Params: e.bank.Params, DenomMetadata: e.bank.DenomMetadata,
		SendEnabled: e.bank.SendEnabled}
	for _, address := range order {
		gs.Balances = append(gs.Balances, banktypes.Balance{Address: address, Coins: sums[address]})
		gs.Supply = gs.Supply.Add(sums[address]...)
	}
	return gs, nil
}

// allowances are those that have not run out when the new chain starts.
func (e *export) allowances(at time.Time) (*feegrant.GenesisState, error) {
	gs := &feegrant.GenesisState{}
	for _, g := range e.feegrant.Allowances {
		allowance, err := g.GetGrant()
		if err != nil {
			return nil, fmt.Errorf("%w: export: allowance of %s to %s: %w", ErrGenesis,
				g.Granter, g.Grantee, err)
		}
		until, err := allowance.ExpiresAt()
		if err != nil {
			return nil, fmt.Errorf("%w: export: allowance of %s to %s: %w", ErrGenesis,
				g.Granter, g.Grantee, err)
		}
		if until == nil || until.After(at) {
			gs.Allowances = append(gs.Allowances, g)
		}
	}
	return gs, nil
}

// deposits keep what holds a registration and what covers weight. A place in a lottery and a claim
// are of an epoch that the new chain does not have. Open withdrawals are one that opens with the
// new chain, which counts its own blocks.
func (e *export) deposits(at time.Time) *collateralv1.GenesisState {
	gs := &collateralv1.GenesisState{Params: e.collateral.Params,
		PendingParams: e.collateral.PendingParams}
	for _, r := range e.collateral.Rises {
		r.Epoch -= min(r.Epoch, e.sprint.Epoch)
		gs.Rises = append(gs.Rises, r)
	}
	for _, a := range e.collateral.Accounts {
		a.Locks = slices.DeleteFunc(slices.Clone(a.Locks), func(l collateralv1.Lock) bool {
			return l.Purpose != collateral.Registration && l.Purpose != collateral.Weight
		})
		if out := a.Withdrawals; len(out) > 0 {
			all := collateralv1.Withdrawal{Time: at.Unix(), Amount: out[0].Amount}
			for _, w := range out[1:] {
				all.Amount = all.Amount.Add(w.Amount)
			}
			a.Withdrawals = []collateralv1.Withdrawal{all}
		}
		gs.Accounts = append(gs.Accounts, a)
	}
	return gs
}

// penalties are coins taken for offences that are neither burnt nor given back yet. What was not
// decided is burnt; what is held keeps its epochs, counted from the new chain's start, and can be
// released as of epoch 0.
func (e *export) penalties() *courtv1.GenesisState {
	gs := &courtv1.GenesisState{Params: e.court.Params, NextPenalty: e.court.NextPenalty}
	for _, p := range e.court.Penalties {
		p.Epoch, p.Until = 0, p.Until-min(p.Until, e.sprint.Epoch)
		if p.State == courtv1.PenaltyTaken {
			p.State = courtv1.PenaltyDue
		}
		gs.Penalties = append(gs.Penalties, p)
	}
	return gs
}

// registrations carry over keys, machines and deposits. Epochs and heights of the
// old chain mean nothing on the new one; what lies ahead is counted from its start.
func (e *export) registrations() *registryv1.GenesisState {
	now := e.sprint.Epoch
	ahead := func(epoch uint64) uint64 {
		switch {
		case epoch == math.MaxUint64:
			return epoch
		case epoch <= now:
			return 0
		}
		return epoch - now
	}
	gs := &registryv1.GenesisState{Params: e.registry.Params,
		PendingParams: e.registry.PendingParams, UsedKeys: e.registry.UsedKeys}
	for _, p := range e.registry.Participants {
		q := registryv1.Participant{
			Address: p.Address, Moniker: p.Moniker, ConsensusKey: p.ConsensusKey, VrfKey: p.VrfKey,
			HostKey: p.HostKey, Nodes: p.Nodes,
			JailedUntil: ahead(p.JailedUntil), SilentEpochs: p.SilentEpochs,
			LotteryFrom: ahead(p.LotteryFrom), Deposit: p.Deposit,
		}
		if r := p.Rotation; r != nil {
			q.Rotation = &registryv1.Rotation{ConsensusKey: r.ConsensusKey, VrfKey: r.VrfKey,
				HostKey: r.HostKey, Epoch: max(1, ahead(r.Epoch))}
		}
		q.PreviousConsensusKey = p.PreviousConsensusKey
		if q.JailedUntil > 0 {
			q.JailReason = p.JailReason
		}
		if p.LeftFrom > 0 {
			q.LeftFrom = max(1, ahead(p.LeftFrom))
		}
		gs.Participants = append(gs.Participants, q)
	}
	return gs
}

// weights are what everybody's compute gave it last, and the power that follows.
func (e *export) weights() *creditv1.GenesisState {
	gs := &creditv1.GenesisState{Params: e.credit.Params}
	if e.credit.Money != nil {
		money := *e.credit.Money
		money.SettledEpoch, money.SettledHeight = 0, 0
		gs.Money, gs.Owed = &money, e.owed()
	}
	for _, h := range e.credit.Holdings {
		gs.Holdings = append(gs.Holdings, creditv1.Holding{
			Participant: h.Participant, Weight: h.Weight, Credited: h.Credited, Power: h.Power,
			History: h.History, ConsensusKey: h.ConsensusKey,
		})
	}
	return gs
}

// owed is all pay that is open, as of no epoch of the new chain. Pay of several epochs that is due
// with the same one becomes a single record.
func (e *export) owed() (all []creditv1.Owed) {
	ahead := func(epoch uint64) uint64 { return epoch - min(epoch, e.credit.Money.SettledEpoch) }
	records := slices.Clone(e.credit.Owed)
	slices.SortStableFunc(records, func(a, b creditv1.Owed) int {
		return cmp.Or(cmp.Compare(ahead(a.NextEpoch), ahead(b.NextEpoch)),
			strings.Compare(a.Participant, b.Participant))
	})
	for _, o := range records {
		next, due := ahead(o.NextEpoch), ahead(o.DueEpoch)
		if n := len(all) - 1; n >= 0 && all[n].Participant == o.Participant &&
			all[n].NextEpoch == next {
			all[n].Amount, all[n].DueEpoch = all[n].Amount.Add(o.Amount), min(all[n].DueEpoch, due)
			continue
		}
		all = append(all, creditv1.Owed{Participant: o.Participant, Amount: o.Amount,
			DueEpoch: due, NextEpoch: next})
	}
	return all
}

// origin is the new beacon's: as for any genesis, a mix of the VRF keys.
func (e *export) origin(chain string) (*beaconv1.GenesisState, error) {
	var keys []seed.Seed
	for _, p := range e.registry.Participants {
		key, err := seed.FromBytes(p.VrfKey)
		if err != nil {
			return nil, errors.Join(ErrGenesis,
				fmt.Errorf("export: VRF key of %q: %w", p.Moniker, err))
		}
		keys = append(keys, key)
	}
	return &beaconv1.GenesisState{Origin: seed.BeaconMix(chain, 0, keys).Bytes()}, nil
}
