// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sdkmath "cosmossdk.io/math"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/google/go-cmp/cmp"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	govv1beta1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1beta1"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/sprint"
)

// lawgiver is how proposals are submitted: they are larger than payments.
var lawgiver = draft{from: "operator", gas: 20_000_000, fee: 1000}

// parameters are those in force of the SDK's modules.
type parameters struct {
	auth      authtypes.Params
	bank      banktypes.Params
	gov       govv1.Params
	consensus cmtproto.ConsensusParams
}

// inForce asks for them.
func (d *driver) inForce() (p parameters) {
	d.t.Helper()
	v := d.validators[0]
	var auth authtypes.QueryParamsResponse
	v.query(d.t, "/cosmos.auth.v1beta1.Query/Params", &authtypes.QueryParamsRequest{}, &auth)
	var bank banktypes.QueryParamsResponse
	v.query(d.t, "/cosmos.bank.v1beta1.Query/Params", &banktypes.QueryParamsRequest{}, &bank)
	var gov govv1.QueryParamsResponse
	v.query(d.t, "/cosmos.gov.v1.Query/Params", &govv1.QueryParamsRequest{}, &gov)
	return parameters{auth.Params, bank.Params, *gov.Params, v.GetConsensusParams(v.ctx(d.t))}
}

// messages change the parameters in force to these.
func (p *parameters) messages() []sdk.Msg {
	return []sdk.Msg{p.authMsg(), p.bankMsg(), p.govMsg(), p.consensusMsg()}
}

func (p *parameters) authMsg() sdk.Msg {
	return &authtypes.MsgUpdateParams{Authority: app.Authority(), Params: p.auth}
}

func (p *parameters) bankMsg() sdk.Msg {
	return &banktypes.MsgUpdateParams{Authority: app.Authority(), Params: p.bank}
}

func (p *parameters) govMsg() sdk.Msg {
	return &govv1.MsgUpdateParams{Authority: app.Authority(), Params: p.gov}
}

func (p *parameters) consensusMsg() *consensustypes.MsgUpdateParams {
	return &consensustypes.MsgUpdateParams{
		Authority: app.Authority(), Block: p.consensus.Block, Evidence: p.consensus.Evidence,
		Validator: p.consensus.Validator, Abci: p.consensus.Abci,
	}
}

// propose is the first participant's proposal, with the whole deposit.
func (d *driver) propose(msgs ...sdk.Msg) sdk.Msg {
	d.t.Helper()
	m, err := govv1.NewMsgSubmitProposal(msgs, d.inForce().gov.MinDeposit, d.validators[0].Address,
		"", "a change", "for a test", false)
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// refused takes a transaction into a block and wants it to fail there.
func (d *driver) refused(tx []byte, want string) {
	d.t.Helper()
	if err := d.send(tx); err != nil {
		d.t.Fatal(err)
	}
	d.blocks(1)
	if len(d.results) != 2 || d.results[1].Code == 0 || !strings.Contains(d.results[1].Log, want) {
		d.t.Errorf("%v, want a refusal: %s", d.results[1:], want)
	}
}

// vote has everybody accept messages, and returns what became of the proposal.
func (d *driver) vote(msgs ...sdk.Msg) *govv1.Proposal {
	d.t.Helper()
	d.must(d.sign(d.validators[0], lawgiver, d.propose(msgs...)))
	return d.decideLast()
}

// decideLast has everybody accept the newest proposal, and lets its time pass.
func (d *driver) decideLast() *govv1.Proposal {
	d.t.Helper()
	var all govv1.QueryProposalsResponse
	d.validators[0].query(d.t, "/cosmos.gov.v1.Query/Proposals",
		&govv1.QueryProposalsRequest{}, &all)
	id := all.Proposals[len(all.Proposals)-1].Id
	for _, v := range d.validators {
		if err := d.send(d.sign(v, lawgiver, &govv1.MsgVote{ProposalId: id, Voter: v.Address,
			Option: govv1.OptionYes})); err != nil {
			d.t.Fatal(err)
		}
	}
	d.blocks(1)
	usual := d.interval
	d.interval = *d.inForce().gov.VotingPeriod
	d.blocks(2)
	d.interval = usual
	var last govv1.QueryProposalResponse
	d.validators[0].query(d.t, "/cosmos.gov.v1.Query/Proposal",
		&govv1.QueryProposalRequest{ProposalId: id}, &last)
	return last.Proposal
}

// passes insists that governance accepts messages and executes them.
func (d *driver) passes(msgs ...sdk.Msg) {
	d.t.Helper()
	if p := d.vote(msgs...); p.Status != govv1.StatusPassed {
		d.t.Fatalf("%s: %s", p.Status, p.FailedReason)
	}
}

// C13: one vote kills the chain. Each of these passed, or stopped every node, or
// failed only after its vote.
// Holds spec P-13.
func TestC13OneVoteCannotKillTheChain(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	alice := d.validators[0]
	type change = func(*parameters)
	with := func(f change, msg func(*parameters) sdk.Msg) sdk.Msg {
		p := d.inForce()
		f(&p)
		return msg(&p)
	}
	consensus := func(f change) sdk.Msg {
		return with(f, func(p *parameters) sdk.Msg { return p.consensusMsg() })
	}
	auth := func(f change) sdk.Msg { return with(f, (*parameters).authMsg) }
	gov := func(f change) sdk.Msg { return with(f, (*parameters).govMsg) }
	sprintParams, creditParams := sprint.LocalnetParams(), credit.DefaultParams()
	sprintParams.Samples, creditParams.MoveBps = 1, 10_000
	text, err := govv1.NewLegacyContent(govv1beta1.NewTextProposal("a text", "of the old kind"),
		app.Authority())
	must(t, err)
	week := 22 * 24 * time.Hour
	plan := func(height int64) sdk.Msg {
		return &upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(),
			Plan: upgradetypes.Plan{Name: "next", Height: height}}
	}
	for name, c := range map[string]struct {
		msg  sdk.Msg
		want string
	}{
		"blocks of 200 bytes": {consensus(func(p *parameters) {
			p.consensus.Block.MaxBytes = 200
		}), "block.max_bytes 200 is outside 4194304..22020096"},
		"blocks of a byte": {consensus(func(p *parameters) {
			p.consensus.Block.MaxBytes = 1
		}), "block.max_bytes 1 is outside"},
		"blocks of any size": {consensus(func(p *parameters) {
			p.consensus.Block.MaxBytes = -1
		}), "block.max_bytes -1 is outside"},
		"blocks without gas": {consensus(func(p *parameters) {
			p.consensus.Block.MaxGas = 0
		}), "block.max_gas 0 is outside"},
		"unlimited gas": {consensus(func(p *parameters) {
			p.consensus.Block.MaxGas = -1
		}), "block.max_gas -1 is outside"},
		"other keys": {consensus(func(p *parameters) {
			p.consensus.Validator.PubKeyTypes = []string{"secp256k1"}
		}), "validator.pub_key_types"},
		"more keys": {consensus(func(p *parameters) {
			p.consensus.Validator.PubKeyTypes = []string{"ed25519", "ml_dsa_65"}
		}), "validator.pub_key_types"},
		"vote extensions": {consensus(func(p *parameters) {
			p.consensus.Abci.VoteExtensionsEnableHeight = d.height + 100
		}), "abci.vote_extensions_enable_height"},
		"forgotten evidence": {consensus(func(p *parameters) {
			p.consensus.Evidence.MaxAgeDuration = time.Nanosecond
		}), "evidence.max_age_duration 1ns is outside 1m0s..504h0m0s"},
		"no block parameters": {consensus(func(p *parameters) {
			p.consensus.Block = nil
		}), "all three"},
		"another authority": {&consensustypes.MsgUpdateParams{Authority: app.Authority(),
			Block: d.inForce().consensus.Block, Evidence: d.inForce().consensus.Evidence,
			Validator: d.inForce().consensus.Validator,
			Auth:      &cmtproto.AuthorityParams{Authority: alice.Address}}, "auth.authority"},
		"bytes that nobody can pay": {auth(func(p *parameters) {
			p.auth.TxSizeCostPerByte = math.MaxUint64
		}), "tx_size_cost_per_byte 18446744073709551615 is outside 1..100"},
		"signatures nobody can pay": {auth(func(p *parameters) {
			p.auth.SigVerifyCostSecp256k1 = 1 << 60
		}), "sig_verify_cost_secp256k1"},
		"no signatures": {auth(func(p *parameters) {
			p.auth.TxSigLimit = 0
		}), "tx_sig_limit 0 is outside 1..32"},
		"a quorum of all": {gov(func(p *parameters) {
			p.gov.Quorum = "1.0"
		}), "quorum 1.000000000000000000 is outside 0.2"},
		"a vote of a year": {gov(func(p *parameters) {
			p.gov.VotingPeriod = &week
		}), "voting_period 528h0m0s is outside 30s..504h0m0s"},
		"deposits in another coin": {gov(func(p *parameters) {
			p.gov.MinDeposit = sdk.NewCoins(sdk.NewInt64Coin("other", 1))
		}), "min_deposit 1other is not one amount in acpc"},
		"a deposit nobody has": {gov(func(p *parameters) {
			p.gov.ExpeditedMinDeposit = sdk.NewCoins(sdk.NewCoin(app.Denom, genesis.CPC(100_001)))
		}), "expedited_min_deposit"},
		"a deposit ratio of words": {gov(func(p *parameters) {
			p.gov.MinDepositRatio = "much"
		}), "min_deposit_ratio \"much\" is no decimal number"},
		"income from deposits": {gov(func(p *parameters) {
			p.gov.ProposalCancelDest = alice.Address
		}), "proposal_cancel_dest"},
		"haste without agreement": {gov(func(p *parameters) {
			p.gov.ExpeditedThreshold, p.gov.Threshold = "0.7", "0.75"
		}), "must be greater than the regular threshold"},
		"one sample": {&sprintv1.MsgUpdateParams{Authority: app.Authority(), Params: sprintParams},
			"samples 1 is outside"},
		"all power in one epoch": {&creditv1.MsgUpdateParams{Authority: app.Authority(),
			Params: creditParams}, "move_bps 10000"},
		"no nodes": {&registryv1.MsgUpdateParams{Authority: app.Authority()}, "max_nodes 0"},
		"a payment": {&banktypes.MsgSend{FromAddress: app.Authority(),
			ToAddress: alice.Address, Amount: sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1))},
			"/cosmos.bank.v1beta1.MsgSend is not among"},
		"no transfers of one coin": {&banktypes.MsgSetSendEnabled{Authority: app.Authority(),
			SendEnabled: []*banktypes.SendEnabled{{Denom: app.Denom}}}, "MsgSetSendEnabled is " +
			"not among"},
		"an old text": {text, "MsgExecLegacyContent is not among"},
		"a permitted message, hidden": {exec(t, app.Authority(), plan(d.height+1000)),
			"MsgExec is not among"},
		"a grant of all powers":  {grant(t, alice.Address), "MsgGrant is not among"},
		"an upgrade at once":     {plan(d.height + 2), "is decided at least 20 blocks ahead"},
		"an upgrade in the past": {plan(1), "plan.height 1 is below"},
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			before := d.balance(alice.Address)
			d.refused(d.sign(alice, lawgiver, d.propose(c.msg)), c.want)
			fee := sdkmath.NewInt(lawgiver.fee).MulRaw(int64(lawgiver.gas))
			if left := d.balance(alice.Address); !before.Sub(left).Equal(fee) {
				t.Errorf("it cost %s, the fee is %s", before.Sub(left), fee)
			}
		})
	}
	d.t = t
	same := d.inForce()
	d.refused(d.sign(alice, lawgiver, d.propose(slices.Repeat(same.messages(), 5)...)),
		"20 messages, at most 16")
	var all govv1.QueryProposalsResponse
	alice.query(t, "/cosmos.gov.v1.Query/Proposals", &govv1.QueryProposalsRequest{}, &all)
	if len(all.Proposals) != 0 {
		t.Errorf("%d proposals are left", len(all.Proposals))
	}
	// The older door leads to the same hook.
	old, err := govv1beta1.NewMsgSubmitProposal(govv1beta1.NewTextProposal("a text",
		"of the old kind"), same.gov.MinDeposit, d.account0())
	must(t, err)
	d.refused(d.sign(alice, lawgiver, old), "MsgExecLegacyContent is not among")
	// A text without messages executes nothing.
	note, err := govv1.NewMsgSubmitProposal(nil, same.gov.MinDeposit, alice.Address,
		"what we think", "a text", "of the new kind", false)
	must(t, err)
	d.must(d.sign(alice, lawgiver, note))
	if p := d.decideLast(); p.Status != govv1.StatusPassed {
		t.Errorf("the text: %s %s", p.Status, p.FailedReason)
	}
}

// account0 is the first participant's account.
func (d *driver) account0() sdk.AccAddress {
	raw, err := app.Addresses().StringToBytes(d.validators[0].Address)
	must(d.t, err)
	return raw
}

// grant gives governance's power over upgrades to somebody.
func grant(t testing.TB, to string) sdk.Msg {
	t.Helper()
	packed, err := codectypes.NewAnyWithValue(
		authz.NewGenericAuthorization(sdk.MsgTypeURL(&upgradetypes.MsgSoftwareUpgrade{})))
	must(t, err)
	return &authz.MsgGrant{Granter: app.Authority(), Grantee: to,
		Grant: authz.Grant{Authorization: packed}}
}

// Time passes between a submission and its execution. What is beyond its bounds by
// then fails, and changes nothing.
// Holds spec P-13.
func TestC13AProposalIsCheckedAgainWhenItRuns(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(1)
	upgrade := &upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(),
		Plan: upgradetypes.Plan{Name: "next", Height: d.height + 1 + 20}}
	if p := d.vote(upgrade); p.Status != govv1.StatusFailed ||
		!strings.Contains(p.FailedReason, "is decided at least 20 blocks ahead") {
		t.Errorf("%s %s", p.Status, p.FailedReason)
	}
	upgrade.Plan.Height = d.height + 30
	d.passes(upgrade)
	d.passes(&upgradetypes.MsgCancelUpgrade{Authority: app.Authority()})
}

// What the SDK lets governance change is known field by field: a release of the SDK
// with a new one does not pass before somebody decided what it may hold.
func TestEveryFieldOfTheSDKsParametersIsDecidedOn(t *testing.T) {
	consensus := leaves(reflect.TypeFor[consensustypes.MsgUpdateParams](), "")
	want := map[string][]string{
		"auth": leaves(reflect.TypeFor[authtypes.Params](), ""),
		"bank": leaves(reflect.TypeFor[banktypes.Params](), ""),
		"gov":  leaves(reflect.TypeFor[govv1.Params](), ""),
		// The signer is the same for all of them.
		"consensus": slices.DeleteFunc(consensus, func(s string) bool { return s == "authority" }),
	}
	if diff := cmp.Diff(want, app.Bounded()); diff != "" {
		t.Errorf("fields of the SDK (-) and fields with a bound (+): %s", diff)
	}
}

// leaves are the fields of a message by their protobuf names, in order. Messages
// within are followed, lists and times are not.
func leaves(of reflect.Type, prefix string) (names []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		_, tag, found := strings.Cut(f.Tag.Get("protobuf"), "name=")
		if !found {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		within := f.Type
		if within.Kind() == reflect.Pointer {
			within = within.Elem()
		}
		if within.Kind() == reflect.Struct {
			names = append(names, leaves(within, prefix+name+".")...)
			continue
		}
		names = append(names, prefix+name)
	}
	return names
}

// A message that governance gets to execute is one of a module's parameters, of every
// module that has any, an upgrade, or the release of what the court holds.
func TestGovernanceKnowsEveryModulesParameters(t *testing.T) {
	a := open(t, t.TempDir())
	var updates []string
	for _, url := range a.Encoding().Registry.ListImplementations(sdk.MsgInterfaceProtoName) {
		if strings.HasSuffix(url, ".MsgUpdateParams") &&
			a.MsgServiceRouter().HandlerByTypeURL(url) != nil {
			updates = append(updates, url)
		}
	}
	want := append(updates, sdk.MsgTypeURL(&upgradetypes.MsgSoftwareUpgrade{}),
		sdk.MsgTypeURL(&upgradetypes.MsgCancelUpgrade{}),
		sdk.MsgTypeURL(&courtv1.MsgReleaseHeld{}))
	got := app.Permitted()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A network cannot start where governance could not take it.
func TestAGenesisBeyondTheBoundsIsRefused(t *testing.T) {
	d := drive(t, "alice")
	for name, c := range map[string]struct {
		differ func(*genutiltypes.AppGenesis)
		want   string
	}{
		"small blocks": {func(g *genutiltypes.AppGenesis) {
			g.Consensus.Params.Block.MaxBytes = 1 << 20
		}, "block.max_bytes"},
		"endless gas": {func(g *genutiltypes.AppGenesis) {
			g.Consensus.Params.Block.MaxGas = -1
		}, "block.max_gas"},
		"no constitution": {replace("A vote takes 30s or longer", "Votes take their time"),
			"constitution"},
		"another spelling": {replace("takes 30s or", "takes 0m30s or"), "one form that is read"},
		"no notice of upgrades": {replace("decided 20 blocks", "decided 0 blocks"),
			"the notice 1 to 1000000"},
		"an expedited vote, longer": {replace("vote 15s or", "vote 31s or"), "the shorter"},
		"more behind it": {replace("ahead or earlier.", "ahead or earlier. Or not."),
			"one form that is read"},
	} {
		t.Run(name, func(t *testing.T) {
			g := *d.genesis
			state, consensus, params := slices.Clone(g.AppState), *g.Consensus, *g.Consensus.Params
			g.AppState, g.Consensus, consensus.Params = state, &consensus, &params
			c.differ(&g)
			if _, err := initChain(open(t, d.validators[0].dir), &g); err == nil ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func replace(old, by string) func(*genutiltypes.AppGenesis) {
	return func(g *genutiltypes.AppGenesis) {
		text := strings.Replace(string(g.AppState), old, by, 1)
		if text == string(g.AppState) {
			panic(fmt.Sprintf("the genesis does not say %q", old))
		}
		g.AppState = []byte(text)
	}
}

// The presets' own words.
// Holds spec P-13.
func TestConstitution(t *testing.T) {
	for name, want := range map[string]app.Constitution{
		"main": {MinVoting: 24 * time.Hour, MinExpedited: 12 * time.Hour, UpgradeNotice: 1000},
		"localnet": {MinVoting: 30 * time.Second, MinExpedited: 15 * time.Second,
			UpgradeNotice: 20},
	} {
		d := driveFrom(t, func(o *genesis.Options) {
			o.Preset = genesis.Presets()[name]
			o.Balances = nil
		}, "alice")
		d.blocks(1)
		var res govv1.QueryConstitutionResponse
		d.validators[0].query(t, "/cosmos.gov.v1.Query/Constitution",
			&govv1.QueryConstitutionRequest{}, &res)
		got, err := app.ParseConstitution(res.Constitution)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		// An export takes it along.
		if g := exported(t, d.validators[0].App, d.genesis); !strings.Contains(string(g.AppState),
			want.String()) {
			t.Errorf("%s: the export has another constitution", name)
		}
	}
}
