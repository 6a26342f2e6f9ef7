// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/node"
)

// running is a node that is expected to end by itself.
type running struct {
	*node.Node
	ended chan error
}

// runs starts a node. It may end before it took part.
func runs(t testing.TB, dir string) *running {
	t.Helper()
	set(t, dir, "config.toml", "peer_query_maj23_sleep_duration", `"1h"`) // see start
	ctx, cancel := context.WithCancel(context.Background())
	started, r := make(chan *node.Node, 1), &running{ended: make(chan error, 1)}
	go func() {
		r.ended <- node.Run(ctx, node.Options{Home: dir, Logger: log.NewNopLogger(),
			Started: func(n *node.Node) { started <- n }})
		close(r.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	select {
	case r.Node = <-started:
	case err := <-r.ended:
		r.ended = make(chan error, 1)
		r.ended <- err
		close(r.ended)
	}
	return r
}

// goesOn waits until a node has committed some more blocks.
func (r *running) goesOn(t testing.TB, blocks int64) {
	t.Helper()
	if r.Node == nil {
		t.Fatalf("the node does not start: %v", <-r.ended)
	}
	reach(t, r.Node, r.App.LastBlockHeight()+blocks)
}

// ends waits for a node's end, which has to come soon and for a reason.
func (r *running) ends(t testing.TB, code node.Code, height int64, what string) {
	t.Helper()
	var err error
	select {
	case err = <-r.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the node stays")
	}
	var exit *node.Exit
	if !errors.As(err, &exit) {
		t.Fatalf("the node ends without a reason: %v", err)
	}
	if exit.Code != code || !strings.Contains(exit.Error(), what) || height > 0 &&
		exit.Height != height {
		t.Errorf("code %d at block %d: %v; want code %d at block %d: %s", exit.Code, exit.Height,
			exit, code, height, what)
	}
	t.Log(exit)
}

// set changes a line of a configuration file.
func set(t testing.TB, dir, file, key, value string) {
	t.Helper()
	path := filepath.Join(dir, "config", file)
	text, err := os.ReadFile(path)
	must(t, err)
	line := regexp.MustCompile(`(?m)^` + key + ` *=.*$`)
	if !line.Match(text) {
		text = append([]byte(key+" = \n"), text...)
	}
	must(t, os.WriteFile(path, line.ReplaceAll(text, []byte(key+" = "+value)), 0o600))
}

// alone is a network of one validator in which votes take a second, and one more
// home that follows it.
func alone(t testing.TB) (validator, follower string, p home.Participant) {
	t.Helper()
	validator, p = participant(t, "alice")
	follower, _ = participant(t, "bob")
	preset := genesis.Presets()["localnet"]
	preset.Voting, preset.UpgradeNotice = 2*time.Second, 5
	g, err := genesis.Build(genesis.Options{Chain: chainID, Time: time.Now(), Preset: preset,
		Participants: []home.Participant{p}})
	must(t, err)
	text, err := genesis.Encode(g)
	must(t, err)
	must(t, home.Join(validator, text, nil, home.Settings{}, ""))
	must(t, home.Join(follower, text, []string{p.Peer}, home.Settings{}, ""))
	return validator, follower, p
}

// schedule has the validator decide on an upgrade that no release can run.
func schedule(t testing.TB, n *node.Node, dir string, p home.Participant) (height int64) {
	t.Helper()
	keys, err := home.OpenKeyring(dir, keyring.BackendTest, nil)
	must(t, err)
	v := &validator{App: n.App, Participant: p, dir: dir, keys: keys}
	d := &driver{t: t, denom: app.Denom, validators: []*validator{v}}
	height = n.App.LastBlockHeight() + 70
	submit, err := govv1.NewMsgSubmitProposal(
		[]sdk.Msg{&upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(),
			Plan: upgradetypes.Plan{Name: "unheard-of", Height: height}}},
		sdk.NewCoins(sdk.NewCoin(app.Denom, genesis.CPC(10))), p.Address, "", "an upgrade",
		"that nobody made", false)
	must(t, err)
	vote := &govv1.MsgVote{ProposalId: 1, Voter: p.Address, Option: govv1.OptionYes}
	for i, msg := range []sdk.Msg{submit, vote} {
		res, err := n.Client.BroadcastTxSync(context.Background(),
			d.sign(v, lawgiver.then(uint64(i)), msg))
		must(t, err)
		if res.Code != 0 {
			t.Fatal(res.Log)
		}
	}
	return height
}

// C25: at an upgrade that its release cannot run a node ends, also when it starts
// there, also when it gets there catching up, and goes on if told to.
func TestC25ANodeEndsAtAnUpgradeItCannotRun(t *testing.T) {
	dir, follower, p := alone(t)
	n := runs(t, dir)
	n.goesOn(t, 2)
	height := schedule(t, n.Node, dir, p)
	n.ends(t, node.Upgrade, height, `upgrade "unheard-of" is due`)
	runs(t, dir).ends(t, node.Upgrade, height, `upgrade "unheard-of" is due`)

	set(t, dir, "app.toml", "unsafe-skip-upgrades", fmt.Sprintf("[%d]", height))
	n = runs(t, dir)
	n.goesOn(t, 5)
	runs(t, follower).ends(t, node.Upgrade, height, `upgrade "unheard-of" is due`)
}

// C25: halt-height and halt-time end a node, and the next start goes on.
func TestC25ANodeEndsWhereItIsToldTo(t *testing.T) {
	dir, _, _ := alone(t)
	set(t, dir, "app.toml", "halt-height", "6")
	runs(t, dir).ends(t, node.Halt, 6, "halt-height 6 in app.toml is reached")
	set(t, dir, "app.toml", "halt-height", "0")
	set(t, dir, "app.toml", "halt-time", fmt.Sprint(time.Now().Unix()+2))
	runs(t, dir).ends(t, node.Halt, 0, "halt-time")
	set(t, dir, "app.toml", "halt-time", "0")
	n := runs(t, dir)
	n.goesOn(t, 2)
}

// C25: CometBFT panics and logs it; nothing else notices. Here it cannot write what
// it signed.
func TestC25ANodeEndsWhenConsensusFails(t *testing.T) {
	dir, _, _ := alone(t)
	n := runs(t, dir)
	n.goesOn(t, 3)
	state := n.Config.Comet.PrivValidatorStateFile()
	must(t, os.Remove(state))
	must(t, os.MkdirAll(filepath.Join(state, "in the way"), 0o700))
	n.ends(t, node.Consensus, 0, "cannot go on with the chain (CONSENSUS FAILURE")
}
