// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/localnet"
)

// law is what governance may change of the SDK's modules on a running network.
type law struct {
	auth      authtypes.Params
	gov       govv1.Params
	consensus consensustypes.MsgUpdateParams
}

// law reads it.
func (n *net) law() (l law) {
	n.t.Helper()
	conn, err := n.Conn(0)
	if err != nil {
		n.t.Fatal(err)
	}
	auth, err1 := authtypes.NewQueryClient(conn).Params(n.ctx, &authtypes.QueryParamsRequest{})
	gov, err2 := govv1.NewQueryClient(conn).Params(n.ctx, &govv1.QueryParamsRequest{})
	consensus, err3 := consensustypes.NewQueryClient(conn).Params(n.ctx,
		&consensustypes.QueryParamsRequest{})
	if err := errors.Join(err1, err2, err3); err != nil {
		n.t.Fatal(err)
	}
	p := consensus.Params
	return law{auth.Params, *gov.Params, consensustypes.MsgUpdateParams{Authority: app.Authority(),
		Block: p.Block, Evidence: p.Evidence, Validator: p.Validator}}
}

func (l *law) messages() []sdk.Msg {
	return []sdk.Msg{
		&authtypes.MsgUpdateParams{Authority: app.Authority(), Params: l.auth},
		&govv1.MsgUpdateParams{Authority: app.Authority(), Params: l.gov},
		&l.consensus,
	}
}

// decide has everybody vote for messages and waits for the result.
func (n *net) decide(id uint64, msgs ...sdk.Msg) {
	n.t.Helper()
	bare, err := app.Bare()
	if err != nil {
		n.t.Fatal(err)
	}
	var all []json.RawMessage
	for _, msg := range msgs {
		text, err := bare.Encoding().Codec.MarshalInterfaceJSON(msg)
		if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, text)
	}
	text, err := json.Marshal(map[string]any{
		"messages": all, "deposit": sdk.Coins(n.law().gov.MinDeposit).String(), "title": "extremes",
		"summary": "for a test",
	})
	if err != nil {
		n.t.Fatal(err)
	}
	path := filepath.Join(n.t.TempDir(), "proposal.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		n.t.Fatal(err)
	}
	from := func(i int) []string {
		return []string{"--from", "operator", "--home", n.Members[i].Home, "--gas",
			"20000000", "--yes"}
	}
	n.assay(append([]string{"tx", "gov", "submit-proposal", path}, from(0)...)...)
	n.until(0, "the proposal", heightPassed(n, 3))
	for i := range n.Members {
		n.assay(append([]string{"tx", "gov", "vote", fmt.Sprint(id), "yes"}, from(i)...)...)
	}
	conn, err := n.Conn(0)
	if err != nil {
		n.t.Fatal(err)
	}
	var proposal *govv1.Proposal
	n.until(0, fmt.Sprintf("the end of vote %d", id), func(*sprintv1.QueryCurrentResponse) bool {
		res, err := govv1.NewQueryClient(conn).Proposal(n.ctx,
			&govv1.QueryProposalRequest{ProposalId: id})
		if err != nil {
			n.t.Fatal(err)
		}
		proposal = res.Proposal
		return proposal.Status != govv1.StatusVotingPeriod &&
			proposal.Status != govv1.StatusDepositPeriod
	})
	if proposal.Status != govv1.StatusPassed {
		n.t.Fatalf("vote %d: %s %s", id, proposal.Status, proposal.FailedReason)
	}
}

// C13 and C25 on real nodes: what is most dangerous among governance's bounds is
// voted to both ends while hosts compute, and the network goes on: blocks, payments,
// and epochs in which everybody is credited. Then it votes for an upgrade that no
// release can run, and every node's process ends there, saying so.
func TestSoakExtremes(t *testing.T) {
	if os.Getenv("ASSAY_SOAK") != "1" {
		t.Skip("five votes of half a minute and the epochs between them take seven minutes: " +
			"`make soak`, or ASSAY_SOAK=1")
	}
	n := launch(t, localnet.Options{Cheat: adversary.None}, 15*time.Minute,
		(*localnet.Network).Start)
	p1 := n.Members[0]
	percent := func(p int64) string { return sdkmath.LegacyNewDecWithPrec(p, 2).String() }
	steps := []struct {
		name   string
		change func(*law)
	}{
		{"votes as short and easy as they get", func(l *law) {
			voting, expedited := 30*time.Second, 15*time.Second
			l.gov.VotingPeriod, l.gov.ExpeditedVotingPeriod, l.gov.MaxDepositPeriod = &voting,
				&expedited, &expedited
			l.gov.Quorum, l.gov.Threshold, l.gov.ExpeditedThreshold,
				l.gov.VetoThreshold = percent(20), percent(50), percent(60), percent(25)
			l.gov.MinDeposit = sdk.NewCoins(sdk.NewCoin(app.Denom,
				sdkmath.NewIntWithDecimal(1, app.Decimals)))
		}},
		{"blocks and costs as low as they get", func(l *law) {
			l.consensus.Block.MaxBytes, l.consensus.Block.MaxGas = 4<<20, 400_000_000
			l.consensus.Evidence.MaxAgeNumBlocks, l.consensus.Evidence.MaxAgeDuration,
				l.consensus.Evidence.MaxBytes = 100, time.Minute, 64<<10
			l.auth = authtypes.NewParams(64, 1, 1, 1, 1, 1)
		}},
		{"blocks and costs as high as they get", func(l *law) {
			l.consensus.Block.MaxBytes, l.consensus.Block.MaxGas = 21<<20, 10_000_000_000
			l.consensus.Evidence.MaxAgeNumBlocks, l.consensus.Evidence.MaxAgeDuration,
				l.consensus.Evidence.MaxBytes = 1_000_000, 21*24*time.Hour, 1<<20
			l.auth = authtypes.NewParams(4096, 32, 100, 100_000, 100_000, 100_000)
		}},
		{"votes as hard as they get", func(l *law) {
			l.gov.Quorum, l.gov.Threshold, l.gov.ExpeditedThreshold,
				l.gov.VetoThreshold = percent(67), percent(75), percent(90), percent(50)
			l.gov.MinInitialDepositRatio, l.gov.MinDepositRatio,
				l.gov.ProposalCancelRatio = percent(100), percent(100), percent(100)
		}},
	}
	for i, s := range steps {
		l := n.law()
		s.change(&l)
		n.decide(uint64(i+1), l.messages()...)
		begun, first := time.Now(), n.until(0, "now",
			func(*sprintv1.QueryCurrentResponse) bool { return true })
		n.assay("tx", "bank", "send", "faucet", p1.Address, "1acpc", "--home", p1.Home,
			"--gas", "1000000", "--yes")
		epoch := first.Epoch.Number + 1
		for m := range n.Members {
			n.credited(epoch, m)
		}
		last := n.until(0, "now", func(*sprintv1.QueryCurrentResponse) bool { return true })
		blocks := last.Height - first.Height
		t.Logf("%s: block %d to %d, %s a block, epoch %d credited to all", s.name, first.Height,
			last.Height, (time.Since(begun) / time.Duration(blocks)).Round(time.Millisecond), epoch)
	}

	now := n.until(0, "now", func(*sprintv1.QueryCurrentResponse) bool { return true })
	plan := upgradetypes.Plan{Name: "unheard-of", Height: now.Height + 220}
	n.decide(uint64(len(steps)+1),
		&upgradetypes.MsgSoftwareUpgrade{Authority: app.Authority(), Plan: plan})
	if err := localnet.Until(n.ctx, "a node to end", func() (bool,
		error) {
		return n.Check() != nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("at the upgrade: %v", n.Check())
	n.Stop()
	begun := time.Now()
	for _, m := range n.Members {
		text, err := os.ReadFile(filepath.Join(m.Home, "node.log"))
		if want := fmt.Sprintf("stopped at block %d: upgrade", plan.Height); err != nil ||
			!strings.Contains(string(text), want) {
			t.Errorf("%s: the log does not say %q, %v", m.Name, want, err)
		}
		out, err := exec.Command(os.Args[0], "node", "--home", m.Home).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 6 ||
			!strings.Contains(string(out), "Install the release with this upgrade") {
			t.Errorf("%s: %v, want exit status 6: %s", m.Name, err, out)
		}
	}
	t.Logf("%d starts at the upgrade end after %s each, with exit code 6", len(n.Members),
		(time.Since(begun) / time.Duration(len(n.Members))).Round(time.Millisecond))
}
