// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"

	"github.com/assaynet/assay/adversary"
	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/localnet"
)

// said runs a command of the program in this process, which may fail.
func (n *net) said(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = cli.Run(n.ctx, args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// What a person does with a running network, by hand: money in coins, transactions whose fate is
// told, numbers that can be read, and folders that are taken.
func TestCommandsOnARunningNetwork(t *testing.T) {
	n := launch(t, localnet.Options{Cheat: adversary.None, Participants: 1}, 4*time.Minute,
		(*localnet.Network).StartNodes)
	p1 := n.Members[0]

	t.Run("transactions", func(t *testing.T) {
		send := func(amount string, flags ...string) (int, string, string) {
			return n.said(append([]string{"tx", "bank", "send", "faucet", p1.Address, amount,
				"--home", p1.Home, "--yes"}, flags...)...)
		}
		balance := func() string {
			return n.assay("query", "bank", "balance", n.Faucet, "acpc", "--home", p1.Home)
		}
		for _, amount := range []string{"1.5cpc", "1CPC", "3ACPC"} {
			code, out, errs := send(amount)
			if code != 0 || !strings.Contains(out, "block ") || !strings.Contains(out, "fee ") ||
				!strings.Contains(out, "cpc\n") {
				t.Errorf("%s: exit %d, %s%s", amount, code, out, errs)
			}
		}
		code, out, errs := send("1cpc", "--output", "json")
		var sent struct {
			Hash   string `json:"txhash"`
			Height string `json:"height"`
			Code   int    `json:"code"`
		}
		if err := json.Unmarshal([]byte(out), &sent); code != 0 || err != nil || sent.Hash == "" ||
			sent.Height == "0" || sent.Code != 0 {
			t.Errorf("as JSON: exit %d, %v, %s%s", code, err, out, errs)
		}
		if text := balance(); !strings.Contains(text, "balance: 99999") ||
			!strings.HasSuffix(text, "cpc") {
			t.Errorf("a balance is shown as %q", text)
		}
		if text := n.assay("query", "bank", "balance", n.Faucet, "acpc", "--home", p1.Home,
			"--output", "json"); !strings.Contains(text, `"denom": "acpc"`) {
			t.Errorf("a balance in JSON is %q", text)
		}
		for _, c := range []struct {
			want string
			args []string
		}{
			{"insufficient funds", []string{"99000000cpc"}},
			{"insufficient funds", []string{"1eth"}},
			// no simulation finds it, the block does
			{"failed in block", []string{"99000000cpc", "--gas", "200000"}},
			// nor a block: the node refuses it
			{"the node refuses the transaction",
				[]string{"1cpc", "--gas", "1000", "--fees", "1acpc"}},
		} {
			if code, out, errs := send(c.args[0], c.args[1:]...); code != 1 ||
				!strings.Contains(errs, c.want) || strings.Count(errs, "\n") > 1 {
				t.Errorf("%v: exit %d, says %q %q; want %q", c.args, code, out, errs, c.want)
			}
		}
	})

	t.Run("node_info", func(t *testing.T) {
		conn, err := n.Conn(0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := cmtservice.NewServiceClient(conn).GetNodeInfo(n.ctx,
			&cmtservice.GetNodeInfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if v := info.ApplicationVersion; v.Name != "assay" || v.AppName != "assay" ||
			v.Version == "" || v.GitCommit == "" {
			t.Errorf("the node is %q %q %q %q", v.Name, v.AppName, v.Version, v.GitCommit)
		}
	})

	t.Run("a host of another chain", func(t *testing.T) {
		settings := filepath.Join(p1.Home, "config", "host.toml")
		edit(t, settings, map[string]string{n.Chain: "another-net"})
		if code, out, errs := n.said("host", "--home", p1.Home); code == 0 ||
			!strings.Contains(errs, `follows chain "`+n.Chain) {
			t.Errorf("exit %d, says %q %q", code, out, errs)
		}
		edit(t, settings, map[string]string{"another-net": n.Chain})
	})

	t.Run("folders that are taken", func(t *testing.T) {
		state := filepath.Join(n.Home, "localnet.json")
		was, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		for name, args := range map[string][]string{
			"a second network": {"localnet", "--home", n.Home},
			"a second node":    {"node", "--home", p1.Home, "--log-level", "none"},
			"an export":        {"export", "--home", p1.Home},
		} {
			code, out, errs := n.said(args...)
			if code == 0 || !strings.Contains(errs, "process ") ||
				!strings.Contains(errs, n.Home) || strings.Count(errs, "\n") > 1 {
				t.Errorf("%s: exit %d, says %q %q", name, code, out, errs)
			}
		}
		if is, err := os.ReadFile(state); err != nil || !bytes.Equal(was, is) {
			t.Errorf("the second network changed the first's %s: %v", state, err)
		}
		if code, _, errs := n.said("localnet", "--home", n.Home); code == 0 ||
			!strings.Contains(errs, fmt.Sprint(os.Getpid())) {
			t.Errorf("the holder is not named: %s", errs)
		}
	})
}
