// SPDX-License-Identifier: Apache-2.0

// Package genesis makes the first state of a network.
//
// Its participants agree on a chain id and exchange their participant.json. From
// these files, a preset and a time, Build makes the same genesis for everybody:
// each can make it alone and compare. All participants start with the same weight
// and voting power, the proofs of possession of all their keys are part of the
// file, and every hot account holds its grants, so that the first epoch can begin
// with the first block.
//
// The beacon's origin is a mix of all VRF keys. It hides nothing: the first
// unpredictable value is the one that the first block's proposer proves.
package genesis

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/gogoproto/proto"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
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
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/x/beacon"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/poc/seed"
)

// ErrGenesis reports input that makes no network.
var ErrGenesis = errors.New("genesis: cannot be made")

// Limits of a block. The gas lets several participants use up their whole quota
// in one block and leaves room for others.
const (
	maxBytes = 4 << 20
	maxGas   = 400_000_000
)

// Preset is what a kind of network starts with.
type Preset struct {
	Sprint sprintv1.Params
	Credit creditv1.Params
	Court  courtv1.Params
	Stream streamv1.Params
	// Voting is how long a governance proposal is voted on, Deposit what it takes, in CPC.
	Voting  time.Duration
	Deposit int64
	// UpgradeNotice is how many blocks ahead an upgrade is decided at least.
	UpgradeNotice int64
	// Stipend is what each operator's account holds at first, in CPC.
	Stipend    int64
	Registry   registryv1.Params
	Collateral collateralv1.Params
}

// Presets by name.
func Presets() map[string]Preset {
	return map[string]Preset{
		"main": {Sprint: sprint.DefaultParams(), Registry: registry.DefaultParams(),
			Credit: credit.DefaultParams(), Court: court.DefaultParams(),
			Collateral: collateral.DefaultParams(), Stream: stream.DefaultParams(),
			Voting: 48 * time.Hour, Deposit: 1_000, UpgradeNotice: 1_000, Stipend: 100},
		"localnet": {Sprint: sprint.LocalnetParams(), Registry: registry.LocalnetParams(),
			Credit: credit.LocalnetParams(), Court: court.LocalnetParams(),
			Collateral: collateral.LocalnetParams(), Stream: stream.LocalnetParams(),
			Voting: time.Minute, Deposit: 10, UpgradeNotice: 20, Stipend: 1_000},
	}
}

// Balance is coins that an account starts with.
type Balance struct {
	Address string
	Amount  math.Int // in acpc
}

// Options say what Build makes.
type Options struct {
	Chain string
	// Time is when the chain starts; blocks wait for it.
	Time         time.Time
	Preset       Preset
	Participants []home.Participant
	// Balances beyond the preset's, such as a faucet's.
	Balances []Balance
}

// Build makes a genesis.
func Build(o Options) (*genutiltypes.AppGenesis, error) {
	bare, err := app.Bare()
	if err != nil {
		return nil, err
	}
	participants, err := o.sorted()
	if err != nil {
		return nil, err
	}
	parts := []part{
		{authtypes.ModuleName, func() (proto.Message,
			error) {
			return accounts(participants, o.Balances)
		}},
		{banktypes.ModuleName, func() (proto.Message, error) { return o.bank(participants) }},
		{authz.ModuleName, func() (proto.Message, error) { return grants(participants) }},
		{feegrant.ModuleName, func() (proto.Message, error) { return allowances(participants) }},
		{govtypes.ModuleName, func() (proto.Message, error) { return o.gov(), nil }},
		{beacon.Name, func() (proto.Message, error) { return o.beacon(participants) }},
		{collateral.Name, func() (proto.Message, error) {
			return &collateralv1.GenesisState{Params: o.Preset.Collateral}, nil
		}},
		{registry.Name, func() (proto.Message, error) {
			gs := &registryv1.GenesisState{Params: o.Preset.Registry}
			for _, p := range participants {
				participant, possession := p.Registry()
				gs.Participants, gs.Possessions = append(gs.Participants, participant),
					append(gs.Possessions, possession)
			}
			return gs, nil
		}},
		{credit.Name, func() (proto.Message, error) { return o.holdings(participants), nil }},
		{court.Name, func() (proto.Message,
			error) {
			return &courtv1.GenesisState{Params: o.Preset.Court}, nil
		}},
		{stream.Name, func() (proto.Message, error) {
			return &streamv1.GenesisState{Params: o.Preset.Stream}, nil
		}},
		{sprint.Name, func() (proto.Message, error) {
			return &sprintv1.GenesisState{Params: o.Preset.Sprint, NextParams: o.Preset.Sprint}, nil
		}},
	}
	consensus := cmttypes.DefaultConsensusParams()
	consensus.Block.MaxBytes, consensus.Block.MaxGas = maxBytes, maxGas
	return assemble(bare, parts, o.Chain, o.Time, consensus)
}

// part is one module's state of a genesis.
type part struct {
	module string
	state  func() (proto.Message, error)
}

// assemble puts the modules' states together. Those without a part start empty.
func assemble(bare *app.App, parts []part, chain string, at time.Time,
	consensus *cmttypes.ConsensusParams) (*genutiltypes.AppGenesis, error) {
	state := bare.DefaultGenesis()
	for _, part := range parts {
		message, err := part.state()
		if err != nil {
			return nil, err
		}
		if state[part.module], err = bare.Encoding().Codec.MarshalJSON(message); err != nil {
			return nil, fmt.Errorf("genesis: %s: %w", part.module, err)
		}
	}
	if err := bare.ValidateGenesis(state); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	g := &genutiltypes.AppGenesis{
		AppName: app.Name, GenesisTime: at.UTC(), ChainID: chain, InitialHeight: 1, AppState: text,
		Consensus: &genutiltypes.ConsensusGenesis{Params: consensus},
	}
	if err := g.ValidateAndComplete(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	return g, nil
}

// sorted checks the participants and puts them in the order of their addresses,
// so that the order of the files does not matter.
func (o Options) sorted() ([]home.Participant, error) {
	if len(o.Participants) == 0 {
		return nil, fmt.Errorf("%w: a network needs at least one participant", ErrGenesis)
	}
	all := slices.Clone(o.Participants)
	slices.SortFunc(all, func(a, b home.Participant) int {
		return cmp.Compare(a.Address, b.Address)
	})
	for _, p := range all {
		if p.Chain != o.Chain {
			return nil, fmt.Errorf("%w: %q made its proofs for chain %q, not %q; it has to run "+
				"assay init participant with --chain-id %s",
				ErrGenesis, p.Moniker, p.Chain, o.Chain, o.Chain)
		}
		if err := p.Valid(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
		}
	}
	return all, nil
}

// accounts lets everybody who has to sign something exist.
func accounts(participants []home.Participant, balances []Balance) (*authtypes.GenesisState,
	error) {
	var all authtypes.GenesisAccounts
	seen := make(map[string]bool)
	add := func(address string) error {
		raw, err := app.Addresses().StringToBytes(address)
		if err != nil {
			return fmt.Errorf("%w: account %q: %w", ErrGenesis, address, err)
		}
		if !seen[address] {
			seen[address] = true
			all = append(all, authtypes.NewBaseAccount(raw, nil, uint64(len(all)), 0))
		}
		return nil
	}
	for _, p := range participants {
		if err := errors.Join(add(p.Address), add(p.Hot)); err != nil {
			return nil, err
		}
	}
	for _, b := range balances {
		if err := add(b.Address); err != nil {
			return nil, err
		}
	}
	params := authtypes.DefaultParams()
	params.SigVerifyCostED25519 = sprintv1.GasSignature
	params.SigVerifyCostSecp256k1, params.SigVerifyCostMlDsa65 = sprintv1.GasTxSignature,
		sprintv1.GasTxSignature
	return authtypes.NewGenesisState(params, all), nil
}

// CPC is a whole number of coins.
func CPC(n int64) math.Int {
	return math.NewInt(n).Mul(math.NewIntWithDecimal(1, app.Decimals))
}

func (o Options) bank(participants []home.Participant) (*banktypes.GenesisState, error) {
	gs := banktypes.DefaultGenesisState()
	gs.DenomMetadata = []banktypes.Metadata{{
		Description: "The coin that verified compute is paid in.",
		Base:        app.Denom, Display: app.Display, Name: app.Display, Symbol: app.Display,
		DenomUnits: []*banktypes.DenomUnit{{Denom: app.Denom},
			{Denom: app.Display, Exponent: app.Decimals}},
	}}
	amounts := slices.Clone(o.Balances)
	if o.Preset.Stipend > 0 {
		for _, p := range participants {
			amounts = append(amounts, Balance{p.Address, CPC(o.Preset.Stipend)})
		}
	}
	sums := make(map[string]math.Int)
	var order []string
	for _, b := range amounts {
		if !b.Amount.IsPositive() {
			return nil, fmt.Errorf("%w: a balance of %s%s for %s", ErrGenesis, b.Amount,
				app.Denom, b.Address)
		}
		sum, known := sums[b.Address]
		if !known {
			sum, order = math.ZeroInt(), append(order, b.Address)
		}
		sums[b.Address] = sum.Add(b.Amount)
	}
	slices.Sort(order)
	for _, address := range order {
		coins := sdk.NewCoins(sdk.NewCoin(app.Denom, sums[address]))
		gs.Balances = append(gs.Balances, banktypes.Balance{Address: address, Coins: coins})
		gs.Supply = gs.Supply.Add(coins...)
	}
	return gs, nil
}

// grants lets each hot account send protocol messages for its operator, and nothing else.
func grants(participants []home.Participant) (*authz.GenesisState, error) {
	gs := &authz.GenesisState{}
	for _, p := range participants {
		for _, duty := range sprintv1.DutyURLs() {
			packed, err := codectypes.NewAnyWithValue(authz.NewGenericAuthorization(duty))
			if err != nil {
				return nil, fmt.Errorf("genesis: %w", err)
			}
			gs.Authorization = append(gs.Authorization,
				authz.GrantAuthorization{Granter: p.Address, Grantee: p.Hot, Authorization: packed})
		}
	}
	return gs, nil
}

// allowances lets each hot account pay its fees, where it has to pay any, from its
// operator's balance: it holds nothing itself. What it may spend in all is bounded,
// because that is what a stolen hot key can burn.
func allowances(participants []home.Participant) (*feegrant.GenesisState, error) {
	gs := &feegrant.GenesisState{}
	limit := registryv1.HotLimit(app.Denom)
	for _, p := range participants {
		packed, err := codectypes.NewAnyWithValue(&feegrant.BasicAllowance{SpendLimit: limit})
		if err != nil {
			return nil, fmt.Errorf("genesis: %w", err)
		}
		gs.Allowances = append(gs.Allowances,
			feegrant.Grant{Granter: p.Address, Grantee: p.Hot, Allowance: packed})
	}
	return gs, nil
}

func (o Options) gov() *govv1.GenesisState {
	deposit := func(n int64) sdk.Coins { return sdk.NewCoins(sdk.NewCoin(app.Denom, CPC(n))) }
	params := govv1.DefaultParams()
	params.MinDeposit, params.ExpeditedMinDeposit = deposit(o.Preset.Deposit),
		deposit(5*o.Preset.Deposit)
	voting, expedited := o.Preset.Voting, o.Preset.Voting/2
	params.VotingPeriod, params.ExpeditedVotingPeriod, params.MaxDepositPeriod = &voting,
		&expedited, &voting
	gs := govv1.NewGenesisState(govv1.DefaultStartingProposalID, params)
	// Votes can make votes twice as fast as they are at first, not faster.
	gs.Constitution = app.Constitution{MinVoting: voting / 2, MinExpedited: expedited / 2,
		UpgradeNotice: o.Preset.UpgradeNotice}.String()
	return gs
}

func (o Options) beacon(participants []home.Participant) (*beaconv1.GenesisState, error) {
	var keys []seed.Seed
	for _, p := range participants {
		key, err := seed.FromBytes(p.VRFKey)
		if err != nil {
			return nil, fmt.Errorf("genesis: VRF key of %q: %w", p.Moniker, err)
		}
		keys = append(keys, key)
	}
	return &beaconv1.GenesisState{Origin: seed.BeaconMix(o.Chain, 0, keys).Bytes()}, nil
}

// genesisWeight is what every participant weighs before anything was credited: equal, and enough to
// be halved by void epochs a few times before it is gone.
const genesisWeight = 1 << 10

// holdings gives every participant the same weight and an equal part of the
// power. What the division leaves over goes to the first ones, one each.
func (o Options) holdings(participants []home.Participant) *creditv1.GenesisState {
	gs := &creditv1.GenesisState{Params: o.Preset.Credit}
	n := uint64(len(participants))
	for i, p := range participants {
		power := credit.TotalPower / n
		if uint64(i) < credit.TotalPower%n {
			power++
		}
		gs.Holdings = append(gs.Holdings, creditv1.Holding{
			Participant: p.Address, Weight: genesisWeight, Power: power,
			History: []uint64{genesisWeight}, ConsensusKey: p.ConsensusKey,
		})
	}
	return gs
}

// Encode writes a genesis as the file that nodes read.
func Encode(g *genutiltypes.AppGenesis) ([]byte, error) {
	text, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return append(text, '\n'), nil
}
