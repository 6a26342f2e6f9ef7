// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"fmt"
	gonet "net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/adversary"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/cli"
	"github.com/assaynet/assay/localnet"
)

// assay runs a command of the program in this process and returns what it prints.
func (n *net) assay(args ...string) string {
	n.t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Run(n.ctx, args, strings.NewReader(""), &out, &errs); code != 0 {
		n.t.Fatalf("assay %s: exit %d\n%s%s", strings.Join(args, " "), code, out.String(), errs.String())
	}
	return strings.TrimSpace(out.String())
}

// spawn runs a command of the program as a process of its own until the test ends.
func (n *net) spawn(log string, args ...string) {
	n.t.Helper()
	f, err := os.Create(log)
	if err != nil {
		n.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		f.Close()
		if n.t.Failed() {
			n.t.Logf("%s:\n%s", log, localnet.Tail(log, 40))
		}
	})
}

// ports returns free ones; they are held until all are known.
func ports(t *testing.T, count int) []string {
	t.Helper()
	var all []string
	for range count {
		l, err := gonet.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// The README's section on joining, command by command: from empty directories to voting power.
func TestAFifthParticipantJoinsByHand(t *testing.T) {
	n := start(t, localnet.Options{Cheat: adversary.None, Participants: 3})
	p1 := n.Members[0]
	dir := filepath.Join(t.TempDir(), "p5")
	at := ports(t, 4)

	n.assay("init", "participant", "--home", dir, "--chain-id", n.Chain, "--moniker", "p5", "--keyring-backend", "test", "--min-gas-price", "0acpc",
		"--p2p", at[0], "--rpc", at[1], "--grpc", at[2], "--api", at[3])
	n.assay("init", "join", "--home", dir, "--genesis", filepath.Join(p1.Home, "config", "genesis.json"), "--peers", p1.Peer)
	p5, err := home.ReadParticipant(filepath.Join(dir, home.Public))
	if err != nil {
		t.Fatal(err)
	}
	hosts := ports(t, 2)
	edit(t, filepath.Join(dir, "config", "host.toml"), map[string]string{"0.0.0.0:4710": hosts[0], "127.0.0.1:4711": hosts[1]})

	// it waits for the node, the chain and the coins, none of which is there yet
	registered := make(chan string, 1)
	go func() {
		var said bytes.Buffer
		code := cli.Run(n.ctx, []string{"host", "register", "--home", dir, "--moniker", "p5"}, strings.NewReader(""), &said, &said)
		registered <- fmt.Sprintf("exit %d\n%s", code, said.String())
	}()
	n.spawn(filepath.Join(dir, "node.log"), "node", "--home", dir)
	n.assay("tx", "bank", "send", "faucet", n.assay("keys", "show", "operator", "-a", "--home", dir), "10cpc", "--home", p1.Home, "--yes")
	key := n.assay("localnet", "worker", "id", "--home", filepath.Join(dir, "worker"))
	n.assay("host", "allow", lastField(key), "--home", dir)
	settings := filepath.Join(dir, "config", "host.toml")
	edit(t, settings, map[string]string{n.Chain: "another-net"})
	var said bytes.Buffer
	if code := cli.Run(n.ctx, []string{"host", "--home", dir}, strings.NewReader(""), &said, &said); code == 0 || !strings.Contains(said.String(), `follows chain "`+n.Chain) {
		t.Errorf("a host of another chain: exit %d, says %q", code, said.String())
	}
	edit(t, settings, map[string]string{"another-net": n.Chain})
	n.spawn(filepath.Join(dir, "host.log"), "host", "--home", dir)

	conn, err := n.Conn(0)
	if err != nil {
		t.Fatal(err)
	}
	said.Reset()
	said.WriteString(<-registered)
	for _, want := range []string{"exit 0", "waiting for the node", "is registered and takes part"} {
		if !strings.Contains(said.String(), want) {
			t.Fatalf("host register: no %q in: %s", want, said.String())
		}
	}
	n.spawn(filepath.Join(dir, "worker.log"), "localnet", "worker", "start", "--host", n.assay("host", "url", "--home", dir), "--home", filepath.Join(dir, "worker"), "--nice", "19", "--threads", "1")

	registry := registryv1.NewQueryClient(conn)
	if err := localnet.Until(n.ctx, "its node to be bound", func() (bool, error) {
		res, err := registry.Participant(n.ctx, &registryv1.QueryParticipantRequest{Address: p5.Address})
		return err == nil && len(res.Participant.Nodes) == 1, err
	}); err != nil {
		t.Fatal(err)
	}
	joined := n.until(0, "the chain", func(*sprintv1.QueryCurrentResponse) bool { return true }).Epoch.Number + 1
	o, ok := n.outcomes(joined)[p5.Address]
	if !ok || o.Result != sprintv1.ResultCredited {
		t.Fatalf("epoch %d: the newcomer is %v (%s)", joined, o.Result, o.Reason)
	}
	if o.PowerBefore != 0 || o.PowerAfter == 0 {
		t.Errorf("epoch %d: power %d before and %d after its first finalised epoch", joined, o.PowerBefore, o.PowerAfter)
	}
	res, err := creditv1.NewQueryClient(conn).Holding(n.ctx, &creditv1.QueryHoldingRequest{Participant: p5.Address})
	if err != nil || res.Holding.Power != o.PowerAfter {
		t.Errorf("holding %+v, %v; want power %d", res, err, o.PowerAfter)
	}
	// it signs blocks and votes in the epoch after
	if o := n.outcomes(joined + 1)[p5.Address]; o.Result != sprintv1.ResultCredited {
		t.Errorf("epoch %d: %v (%s)", joined+1, o.Result, o.Reason)
	}
}

func lastField(s string) string {
	f := strings.Fields(s)
	return f[len(f)-1]
}

func edit(t *testing.T, path string, replace map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for from, to := range replace {
		if !strings.Contains(text, from) {
			t.Fatalf("%s does not hold %q", path, from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
