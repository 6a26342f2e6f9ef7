// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/accounts"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/cmd/assay/cli"
)

// tree is a hash of all that lies below a folder: names, modes and contents. Locks hold nothing
// that anybody keeps.
func tree(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".lock") {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode())
		if e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%d %s\n", len(text), text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Whatever is mistyped, mixed up or missing is answered by one sentence that names the next step,
// an exit code other than 0, and a folder in which nothing has changed.
func TestAWrongInputIsOneSentence(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	write := func(name, text string) string {
		t.Helper()
		path := at(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(args ...string) {
		t.Helper()
		var out bytes.Buffer
		if code := cli.Run(t.Context(), args, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("assay %s: exit %d: %s", strings.Join(args, " "), code, out.String())
		}
	}
	public := func(name string) string { return at(name, "participant.json") }
	for name, chain := range map[string]string{"a": "my-net", "b": "my-net", "c": "other-net"} {
		must("init", "participant", "--home", at(name), "--chain-id", chain, "--moniker", name,
			"--keyring-backend", "test", "--rpc", "127.0.0.1:1", "--grpc", "127.0.0.1:1")
	}
	must("init", "genesis", "--chain-id", "my-net", "--time", "2026-12-01T12:00:00Z",
		"--participants", public("a")+","+public("b"), "--output", at("own.json"))
	must("init", "genesis", "--chain-id", "my-net", "--time", "2026-12-02T12:00:00Z",
		"--participants", public("a")+","+public("b"), "--output", at("later.json"))
	must("init", "genesis", "--chain-id", "other-net", "--participants", public("c"),
		"--output", at("other.json"))
	must("init", "join", "--home", at("a"), "--genesis", at("own.json"),
		"--participants", public("b"))
	pass := write("passphrase", "correct horse")
	t.Setenv(accounts.Variable, pass)
	must("init", "participant", "--home", at("locked"), "--chain-id", "my-net",
		"--moniker", "locked")
	t.Setenv(accounts.Variable, "")
	open := write("open", "correct horse")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]struct{ from, to string }{
		"strange": {"[pool]", "[pool]\npay_kee = \"x\""},
		"amount":  {"least = \"0.1cpc\"", "least = \"5eth\""},
		"quiet":   {"127.0.0.1:4711", "127.0.0.1:1"},
	} {
		raw, err := os.ReadFile(at("a", "config", "host.toml"))
		if err != nil || !strings.Contains(string(raw), edit.from) {
			t.Fatalf("%v, %q is not in %s", err, edit.from, raw)
		}
		write(name+"/config/host.toml", strings.Replace(string(raw), edit.from, edit.to, 1))
	}
	write("full/x", "")
	write("broken/localnet.json", "{")
	write("empty.json", "{}")
	write("words.json", "leaf 5 is forged, trust me")
	write("future.json", `{"version":"assay-evidence/9"}`)
	a, none := at("a"), at("none")
	own, err := home.ReadParticipant(public("a"))
	if err != nil {
		t.Fatal(err)
	}
	operator := own.Address
	const id = "0123456789abcdef0123456789abcdef01234567"

	for name, c := range map[string]struct {
		next string // of the sentence
		args []string
		env  string // the passphrase's file
	}{
		"a mistyped command": {next: "perhaps localnet; see assay --help",
			args: []string{"lokalnet"}},
		"a mistyped command below": {next: "perhaps status; see assay host --help",
			args: []string{"host", "statu"}},
		"a command that groups": {next: "perhaps genesis; see assay init --help",
			args: []string{"init", "genesi"}},
		"a mistyped flag": {next: "perhaps --home; see assay node --help",
			args: []string{"node", "--hom", a}},
		"a flag without its value": {next: "see assay localnet --help",
			args: []string{"localnet", "--cheat"}},
		"a flag that is missing": {next: "--moniker is missing; see assay host register " +
			"--help", args: []string{"host", "register", "--home", a}},
		"one argument too many": {next: "see assay node --help", args: []string{"node", a}},
		"an argument of another kind": {next: "argument number \"x\": want a number; see assay " +
			"query", args: []string{"query", "sprint", "epoch", "x", "--home", a}},
		"too few arguments": {next: "the form is assay query bank balances [address]",
			args: []string{"query", "bank", "balances"}},
		"a module without transactions": {next: "see assay tx --help",
			args: []string{"tx", "sprint"}},
		"the worker's old name": {next: "assay-worker --help", args: []string{"worker", "start"}},

		"keys for two chains": {next: "choose another --home",
			args: []string{"init", "participant", "--home", a, "--chain-id", "other-net",
				"--moniker", "a"}},
		"another keyring": {next: "leave --keyring-backend out",
			args: []string{"init", "participant", "--home", a, "--chain-id", "my-net", "--moniker",
				"a", "--keyring-backend", "file"}},
		"a keyring there is not": {next: "choose file, os, or test",
			args: []string{"init", "participant", "--home", none, "--chain-id", "my-net",
				"--moniker", "n", "--keyring-backend", "pass"}},
		"no passphrase": {next: "set " + accounts.Variable,
			args: []string{"init", "participant", "--home", none, "--chain-id",
				"my-net", "--moniker", "n"}},
		"no passphrase for a host": {next: "set " + accounts.Variable,
			args: []string{"host", "--home", at("locked")}},
		"no passphrase for a key": {next: "set " + accounts.Variable,
			args: []string{"keys", "show", "operator", "--home", at("locked")}},
		"a passphrase for all to read": {next: "chmod 600",
			args: []string{"keys", "show", "operator", "--home", at("locked")}, env: open},
		"another passphrase": {next: "is another",
			args: []string{"host", "register", "--moniker", "l", "--home", at("locked")},
			env:  at("words.json")},
		"a gas price without a unit": {next: "such as 1.5cpc",
			args: []string{"init", "participant", "--home", none, "--chain-id", "my-net",
				"--moniker", "n", "--min-gas-price", "5"}},
		"machines without proofs": {next: "want id=key:proof",
			args: []string{"init", "participant", "--home", none, "--chain-id", "my-net",
				"--moniker", "n", "--nodes", "w1=ab"}},

		"a genesis over another file": {next: "choose another --output",
			args: []string{"init", "genesis", "--chain-id", "my-net", "--participants", public("a"),
				"--output", at("own.json")}},
		"a genesis of nobody": {next: "no such file",
			args: []string{"init", "genesis", "--chain-id", "my-net", "--participants",
				at("x.json"), "--output", at("n.json")}},
		"a preset there is not": {next: "choose localnet or main",
			args: []string{"init", "genesis", "--chain-id", "my-net", "--preset", "moon",
				"--participants", public("a"), "--output", at("n.json")}},
		"a time of nowhere": {next: "2026-12-01T12:00:00Z",
			args: []string{"init", "genesis", "--chain-id", "my-net", "--time", "noon",
				"--participants", public("a"), "--output", at("n.json")}},
		"a faucet of another coin": {next: "such as 1.5cpc",
			args: []string{"init", "genesis", "--chain-id", "my-net", "--participants", public("a"),
				"--faucet", operator + ":5eth", "--output", at("n.json")}},
		"a participant as genesis": {next: "assay init genesis",
			args: []string{"init", "join", "--home", a, "--genesis", public("b")}},
		"nothing as genesis": {next: "assay init genesis",
			args: []string{"init", "join", "--home", a, "--genesis", at("empty.json")}},
		"another chain's genesis": {next: "choose another --home",
			args: []string{"init", "join", "--home", a, "--genesis", at("other.json")}},
		"a genesis over another": {next: "choose another --home",
			args: []string{"init", "join", "--home", a, "--genesis", at("later.json")}},
		"a peer that is none": {next: "want id@host:port",
			args: []string{"init", "join", "--home", a, "--genesis",
				at("own.json"), "--peers", id}},
		"a node without a folder": {next: "assay init", args: []string{"node", "--home", none}},
		"a node without a genesis": {next: "assay init join",
			args: []string{"node", "--home", at("b")}},
		"a level there is not": {next: "choose debug",
			args: []string{"node", "--home", a, "--log-level", "loud"}},
		"a host without a folder": {next: "assay init participant",
			args: []string{"host", "--home", none}},
		"a key that host.toml has not": {next: "pool.pay_kee (line ",
			args: []string{"host", "--home", at("strange")}},
		"another coin in host.toml": {next: "such as 1.5cpc",
			args: []string{"host", "--home", at("amount")}},
		"a machine's key that is none": {next: "assay-worker id",
			args: []string{"host", "allow", "abc", "--home", a}},
		"the status of no host": {next: "is assay host running?",
			args: []string{"host", "status", "--home", at("quiet")}},
		"a fee in another coin": {next: "such as 1.5cpc",
			args: []string{"host", "register", "--home", a, "--moniker", "a", "--fees", "5eth"}},
		"a registration without a node": {next: "assay node --home",
			args: []string{"host", "register", "--home", a, "--moniker", "a", "--timeout", "10ms"}},

		"an account there is not": {next: "see assay keys list",
			args: []string{"tx", "bank", "send", "nobody", "nobody", "1cpc", "--home", a}},
		"an amount too fine": {next: "smallest unit",
			args: []string{"tx", "bank", "send", "operator", "hot", "1.0000000000000000001cpc",
				"--home", a}},
		"a key there is not": {next: "see assay keys list",
			args: []string{"keys", "show", "nobody", "--home", a}},
		"keys of another keyring": {next: "leave --keyring-backend out",
			args: []string{"keys", "list", "--home", a, "--keyring-backend", "os"}},
		"a form of output": {next: "choose text or json",
			args: []string{"query", "sprint", "epoch", "1", "--home", a, "--output", "xml"}},
		"a query without a node": {next: "assay node --home",
			args: []string{"query", "sprint", "epoch", "1", "--home", a}},
		"a query without a folder": {next: "name one by --home, or a node by --node",
			args: []string{"query", "sprint", "epoch", "1", "--home", none, "--node",
				"tcp://127.0.0.1:1"}},

		"a cheat there is not": {next: "choose one of",
			args: []string{"localnet", "--home", none, "--cheat", "charm"}},
		"a network of too many": {next: "choose 1 to 16",
			args: []string{"localnet", "--home", none, "--participants", "99"}},
		"a network of other files": {next: "choose another --home",
			args: []string{"localnet", "--home", at("full")}},
		"evidence that is not there": {next: "no such file",
			args: []string{"verify", at("x.json")}},
		"evidence of another version": {next: "future.json",
			args: []string{"verify", at("future.json")}},
		"evidence that is no JSON": {next: "words.json",
			args: []string{"verify", at("words.json")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(accounts.Variable, c.env)
			was := tree(t, dir)
			var out, errs bytes.Buffer
			code := cli.Run(t.Context(), c.args, strings.NewReader(""), &out, &errs)
			text := errs.String()
			// a registration says it first
			if wait, last, _ := strings.Cut(text, "\n"); strings.HasPrefix(wait, "waiting for") {
				text = last
			}
			if code == 0 {
				t.Error("exit 0")
			}
			if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") ||
				!strings.Contains(text, c.next) {
				t.Errorf("says %q; want one sentence that names %q", text, c.next)
			}
			if tree(t, dir) != was {
				t.Error("the folder is not as it was")
			}
		})
	}
}
