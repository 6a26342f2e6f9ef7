// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/google/go-cmp/cmp"

	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/x/registry"
)

// exported is a state as a genesis.
func exported(t testing.TB, a *app.App, from *genutiltypes.AppGenesis) *genutiltypes.AppGenesis {
	t.Helper()
	e, err := a.Export(nil)
	if err != nil {
		t.Fatal(err)
	}
	params := cmttypes.ConsensusParamsFromProto(e.ConsensusParams)
	return &genutiltypes.AppGenesis{
		ChainID: from.ChainID, GenesisTime: from.GenesisTime, InitialHeight: e.Height,
		AppState:  e.AppState,
		Consensus: &genutiltypes.ConsensusGenesis{Params: &params, Validators: e.Validators},
	}
}

// A chain that starts from the exported state of another is that other chain: it
// accepts the same next blocks and ends in the same state.
func TestExportThenImport(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(3)
	alice, bob := d.validators[0], d.validators[1]
	d.must(d.sign(alice, paid, transfer(alice, bob)))
	d.blocks(8) // into the first epoch's Prepare
	g := exported(t, alice.App, d.genesis)
	if g.InitialHeight != d.height+1 || len(g.Consensus.Validators) != 2 {
		t.Fatalf("goes on at %d with %d validators", g.InitialHeight, len(g.Consensus.Validators))
	}
	if diff := cmp.Diff(d.genesis.Consensus.Params, g.Consensus.Params); diff != "" {
		t.Errorf("consensus parameters: %s", diff)
	}
	// The file has to survive being written and read.
	text, err := genesis.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "genesis.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if g, err = genutiltypes.AppGenesisFromFile(path); err != nil {
		t.Fatal(err)
	}
	other := &driver{t: t, now: d.now, interval: d.interval, denom: d.denom}
	for _, v := range d.validators {
		v := *v
		v.App = open(t, v.dir)
		other.validators = append(other.validators, &v)
	}
	other.init(g)
	payment := d.sign(bob, paid, transfer(bob, alice))
	for range 5 {
		txs := append(d.prepare(1<<20), payment)
		if other.proposer().Moniker != d.proposer().Moniker ||
			!other.accepts(other.validators[0], txs) {
			t.Fatalf("the imported chain rejects a block of the other at height %d", d.height+1)
		}
		d.decide(txs)
		other.decide(txs)
		payment = d.sign(bob, paid, transfer(bob, alice))
	}
	var want, got map[string]json.RawMessage
	if err := errors.Join(
		json.Unmarshal(exported(t, alice.App, d.genesis).AppState, &want),
		json.Unmarshal(exported(t, other.validators[0].App, d.genesis).AppState, &got),
	); err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if diff := cmp.Diff(string(want[name]), string(got[name])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What a genesis says about consensus is in force, and in it everybody holds the
// same power.
func TestGenesis(t *testing.T) {
	d := drive(t, "alice", "bob", "carol")
	d.blocks(1)
	v := d.validators[0]
	if diff := cmp.Diff(d.genesis.Consensus.Params.ToProto(),
		v.GetConsensusParams(v.ctx(t))); diff != "" {
		t.Error(diff)
	}
	var total uint64
	for _, v := range d.validators {
		power, all, err := v.Credit.Power(v.ctx(t), v.address)
		if err != nil || all != 1_000_000 || power < 333_333 || power > 333_334 {
			t.Errorf("%s holds %d of %d, %v", v.Moniker, power, all, err)
		}
		total += power
	}
	if total != 1_000_000 {
		t.Errorf("powers sum to %d", total)
	}
}

// The order of the files and who makes it do not change a genesis.
func TestGenesisIsTheSameForEverybody(t *testing.T) {
	d := drive(t, "alice", "bob")
	again, err := genesis.Build(genesis.Options{
		Chain: chainID, Time: d.genesis.GenesisTime, Preset: genesis.Presets()["localnet"],
		Participants: []home.Participant{d.validators[1].Participant, d.validators[0].Participant},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(d.genesis.AppState), string(again.AppState)); diff != "" {
		t.Error(diff)
	}
}

func TestGenesisRefuses(t *testing.T) {
	d := drive(t, "alice", "bob")
	alice, bob := d.validators[0].Participant, d.validators[1].Participant
	for name, c := range map[string]struct {
		chain        string
		participants []home.Participant
	}{
		"nobody":         {chainID, nil},
		"another chain":  {"elsewhere", []home.Participant{alice, bob}},
		"somebody twice": {chainID, []home.Participant{alice, alice}},
		"a shared key": {chainID, []home.Participant{alice,
			func() home.Participant { p := bob; p.HostKey = alice.HostKey; return p }()}},
		"a stolen possession": {chainID, []home.Participant{alice,
			func() home.Participant { p := bob; p.Possession = alice.Possession; return p }()}},
		"no hot account": {chainID, []home.Participant{func() home.Participant {
			p := alice
			p.Hot = ""
			return p
		}()}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := genesis.Build(genesis.Options{Chain: c.chain, Time: d.now,
				Preset: genesis.Presets()["localnet"], Participants: c.participants})
			if err == nil {
				t.Error("made a genesis")
			}
		})
	}
}

// C20: a genesis was taken with one consensus key for two names, with power behind a key that
// nobody has registered, and with records of lengths that stop a later block.
func TestC20AGenesisThatStopsTheChainIsRefused(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(12)
	g := exported(t, d.validators[0].App, d.genesis)
	if _, err := initChain(open(t, d.validators[0].dir), g); err != nil {
		t.Fatalf("as exported: %v", err)
	}
	first := func(state map[string]any, list string) map[string]any {
		return state[list].([]any)[0].(map[string]any)
	}
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for name, c := range map[string]struct {
		module string
		change func(state map[string]any)
		want   string
	}{
		"one key for two": {"credit", func(state map[string]any) {
			first(state, "holdings")["consensus_key"] =
				state["holdings"].([]any)[1].(map[string]any)["consensus_key"]
		}, "have one consensus key"},
		"a key of nobody's": {"credit", func(state map[string]any) {
			key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
			who := first(state, "holdings")
			for _, s := range state["seats"].([]any) {
				if seat := s.(map[string]any); seat["participant"] == who["participant"] {
					seat["consensus_key"] = key
				}
			}
			who["consensus_key"] = key
		}, "is registered by"},
		"a short seed": {"sprint", func(state map[string]any) {
			first(state, "epochs")["seed1"] = short
		}, "seed1 has 31 bytes"},
		"a short host key": {"sprint", func(state map[string]any) {
			first(first(state, "states"), "members")["host_key"] = short
		}, "keys of 31 and 32 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			bad, consensus := *g, *g.Consensus
			// else the set that was exported is compared first
			consensus.Validators, bad.Consensus = nil, &consensus
			(&driver{t: t, genesis: &bad}).edit(c.module, c.change)
			defer func() { // a module that cannot take its genesis panics
				if why := fmt.Sprint(recover()); !strings.Contains(why, c.want) {
					t.Errorf("%s, want %q", why, c.want)
				}
			}()
			if _, err := initChain(open(t, d.validators[0].dir), &bad); err != nil {
				panic(err)
			}
		})
	}
}

// A node whose keys are not those it registered does not start: neither a new
// chain nor one that runs.
func TestIdentity(t *testing.T) {
	d := drive(t, "alice", "bob")
	d.blocks(2)
	alice, bob := d.validators[0], d.validators[1]
	db := dbm.NewMemDB()
	start := func(dir string) error {
		a, err := app.New(log.NewNopLogger(), db, nil, options{"home": dir},
			baseapp.SetChainID(chainID))
		if err != nil {
			return err
		}
		_, err = initChain(a, d.genesis)
		return err
	}
	swap := func(t *testing.T, change func(path string)) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(alice.dir)); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{app.VRFKeyFile, "config/priv_validator_key.json"} {
			if err := os.Chmod(filepath.Join(dir, path), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		change(filepath.Join(dir, app.VRFKeyFile))
		return dir
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		want   string
	}{
		"without a VRF key": {func(t *testing.T,
			path string) {
			must(t, os.Remove(path))
		}, "there is no VRF key"},
		"with another's VRF key": {func(t *testing.T, path string) {
			text, err := os.ReadFile(filepath.Join(bob.dir, app.VRFKeyFile))
			must(t, err)
			must(t, os.WriteFile(path, text, 0o600))
		}, "registered"},
		"with a VRF key that others can read": {func(t *testing.T,
			path string) {
			must(t, os.Chmod(path, 0o644))
		}, "others may read it"},
	} {
		t.Run(name, func(t *testing.T) {
			db = dbm.NewMemDB()
			err := start(swap(t, func(path string) { c.change(t, path) }))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	t.Run("with its own keys", func(t *testing.T) {
		db = dbm.NewMemDB()
		must(t, start(swap(t, func(string) {})))
	})
	t.Run("to follow, without keys", func(t *testing.T) {
		db = dbm.NewMemDB()
		must(t, start(swap(t, func(path string) {
			must(t, os.Remove(path))
			must(t, os.Remove(filepath.Join(filepath.Dir(path), "priv_validator_key.json")))
		})))
	})
	t.Run("on a chain that runs", func(t *testing.T) {
		db = dbm.NewMemDB()
		dir := swap(t, func(string) {})
		a, err := app.New(log.NewNopLogger(), db, nil, options{"home": dir},
			baseapp.SetChainID(chainID))
		must(t, err)
		_, err = initChain(a, d.genesis)
		must(t, err)
		other := &driver{t: t, now: d.genesis.GenesisTime, interval: time.Second,
			validators: []*validator{{App: a, address: alice.address,
				Participant: alice.Participant}}}
		other.blocks(2)
		must(t, os.Remove(filepath.Join(dir, app.VRFKeyFile)))
		if _, err = app.New(log.NewNopLogger(), db, nil, options{"home": dir},
			baseapp.SetChainID(chainID)); !errors.Is(err, app.ErrIdentity) {
			t.Errorf("%v, want %v", err, app.ErrIdentity)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Governance counts compute: one vote per unit of weight, none for others, more
// than a third of the whole has to say yes, and votes are gone once they are
// counted.
// Holds spec P-11.
func TestGovernanceCountsCompute(t *testing.T) {
	for name, c := range map[string]struct {
		votes  map[string]govv1.VoteOption // by validator; mallory holds coins only
		passes bool
		yes    string
		no     string
	}{
		"two of three": {map[string]govv1.VoteOption{"alice": govv1.OptionYes,
			"bob": govv1.OptionYes, "carol": govv1.OptionNo}, true, "2048", "1024"},
		"one of three": {map[string]govv1.VoteOption{"alice": govv1.OptionYes,
			"bob": govv1.OptionNo, "carol": govv1.OptionNo}, false, "1024", "2048"},
		// C4
		"no more than a third": {map[string]govv1.VoteOption{"alice": govv1.OptionYes,
			"bob": govv1.OptionAbstain, "carol": govv1.OptionAbstain}, false, "1024", "0"},
		"one and a lot of coins": {map[string]govv1.VoteOption{"alice": govv1.OptionNo,
			"mallory": govv1.OptionYes}, false, "0", "1024"},
		"only coins": {map[string]govv1.VoteOption{"mallory": govv1.OptionYes}, false, "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, "alice", "bob", "carol")
			d.blocks(1)
			alice := d.validators[0]
			mallory := d.funded(alice, "mallory")
			eight := registry.LocalnetParams()
			eight.MaxNodes = 8
			update, err := govv1.NewMsgSubmitProposal(
				[]sdk.Msg{&registryv1.MsgUpdateParams{Authority: app.Authority(), Params: eight}},
				sdk.NewCoins(sdk.NewCoin(app.Denom, genesis.CPC(10))), alice.Address, "",
				"eight nodes", "fewer nodes each", false)
			must(t, err)
			d.must(d.sign(alice, paid, update))
			for _, v := range d.validators {
				if option, votes := c.votes[v.Moniker]; votes {
					d.must(d.sign(v, paid,
						&govv1.MsgVote{ProposalId: 1, Voter: v.Address, Option: option}))
				}
			}
			if option, votes := c.votes["mallory"]; votes {
				from := paid
				from.from = "mallory"
				d.must(d.sign(alice, from,
					&govv1.MsgVote{ProposalId: 1, Voter: mallory, Option: option}))
			}
			d.interval = time.Minute
			d.blocks(2)
			var proposal govv1.QueryProposalResponse
			alice.query(t, "/cosmos.gov.v1.Query/Proposal",
				&govv1.QueryProposalRequest{ProposalId: 1}, &proposal)
			tally := proposal.Proposal.FinalTallyResult
			if passed := proposal.Proposal.Status == govv1.StatusPassed; passed != c.passes ||
				tally.YesCount != c.yes || tally.NoCount != c.no {
				t.Errorf("%s with %s yes and %s no", proposal.Proposal.Status,
					tally.YesCount, tally.NoCount)
			}
			var params registryv1.QueryParamsResponse
			alice.query(t, "/assay.registry.v1.Query/Params", &registryv1.QueryParamsRequest{},
				&params)
			if waits := params.Pending != nil && params.Pending.MaxNodes == 8; waits != c.passes ||
				params.Params.MaxNodes == 8 {
				t.Errorf("max_nodes %d, from the next epoch on %v", params.Params.MaxNodes,
					params.Pending)
			}
			var votes govv1.QueryVotesResponse
			alice.query(t, "/cosmos.gov.v1.Query/Votes", &govv1.QueryVotesRequest{ProposalId: 1},
				&votes)
			if len(votes.Votes) != 0 {
				t.Errorf("%d votes are left", len(votes.Votes))
			}
		})
	}
}

// participant.json is read strictly and stands for itself: every key proven, for
// this chain and this account.
func TestParticipantFile(t *testing.T) {
	dir, p := participant(t, "alice")
	path := filepath.Join(dir, home.Public)
	read, err := home.ReadParticipant(path)
	must(t, err)
	if diff := cmp.Diff(p, read); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	for name, damage := range map[string]func(string) string{
		"an unknown member": func(s string) string {
			return strings.Replace(s, `"chain"`, `"more": 1, "chain"`, 1)
		},
		"another chain": func(s string) string {
			return strings.Replace(s, chainID, "elsewhere", 1)
		},
		"another account": func(s string) string { return strings.Replace(s, p.Address, p.Hot, 1) },
		"another node id": func(s string) string { return strings.Replace(s, "gpu-0", "gpu-1", 1) },
		"not hex": func(s string) string {
			return strings.Replace(s, `"host_key": "`, `"host_key": "x`, 1)
		},
		"cut short": func(s string) string { return s[:len(s)/2] },
	} {
		damaged := damage(string(text))
		if damaged == string(text) {
			t.Fatalf("%s: nothing changed", name)
		}
		must(t, os.WriteFile(path, []byte(damaged), 0o600))
		if _, err := home.ReadParticipant(path); !errors.Is(err, home.ErrParticipant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
