// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/cmd/assay/cli"
)

// A folder joins the network that its keys are for, with a genesis that a node can start from and
// peers that can be dialled. Whatever else is given is refused with what it is, and leaves the
// folder as it was.
func TestAHomeJoinsItsOwnNetwork(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	run := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := cli.Run(t.Context(), args, strings.NewReader(""), &out, &errs)
		return code, out.String() + errs.String()
	}
	must := func(args ...string) {
		t.Helper()
		if code, said := run(args...); code != 0 {
			t.Fatalf("assay %s: exit %d: %s", strings.Join(args, " "), code, said)
		}
	}
	read := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write := func(path, text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, chain := range map[string]string{"a": "my-net", "b": "my-net", "c": "other-net"} {
		must("init", "participant", "--home", at(name), "--chain-id", chain, "--moniker", name,
			"--keyring-backend", "test")
	}
	public := func(name string) string { return at(name, "participant.json") }
	own, later, other := at("own.json"), at("later.json"), at("other.json")
	must("init", "genesis", "--chain-id", "my-net", "--time", "2026-12-01T12:00:00Z",
		"--participants", public("a")+","+public("b"), "--output", own)
	must("init", "genesis", "--chain-id", "my-net", "--time", "2026-12-02T12:00:00Z",
		"--participants", public("a")+","+public("b"), "--output", later)
	must("init", "genesis", "--chain-id", "other-net", "--participants", public("c"),
		"--output", other)
	var less map[string]any
	if err := json.Unmarshal([]byte(read(own)), &less); err != nil {
		t.Fatal(err)
	}
	delete(less["app_state"].(map[string]any), "registry")
	lacking, err := json.Marshal(less)
	if err != nil {
		t.Fatal(err)
	}
	const id = "0123456789abcdef0123456789abcdef01234567"
	refused := func(name, want, kept string, args ...string) {
		t.Helper()
		was, _ := os.ReadFile(kept)
		code, said := run(args...)
		if code == 0 || !strings.Contains(said, want) ||
			strings.Count(strings.TrimSpace(said), "\n") > 1 {
			t.Errorf("%s: exit %d, says %q; want it to name %q", name, code, said, want)
		}
		if is, _ := os.ReadFile(kept); !bytes.Equal(was, is) {
			t.Errorf("%s: %s is not what it was", name, kept)
		}
	}
	genesis := at("a", "config", "genesis.json")
	for name, c := range map[string]struct {
		want string
		args []string
	}{
		"a participant's file": {"participant's public file", []string{"--genesis", public("b")}},
		"an empty object": {"no chain_id",
			[]string{"--genesis", write(at("empty.json"), "{}")}},
		"no JSON": {"assay init genesis",
			[]string{"--genesis", write(at("text.json"), "genesis, trust me")}},
		"a state without our modules": {"no state of module registry",
			[]string{"--genesis", write(at("less.json"), string(lacking))}},
		"no file":                   {"--genesis", []string{"--genesis", at("none.json")}},
		"another chain's":           {"of chain other-net", []string{"--genesis", other}},
		"a peer without an address": {"id@host:port", []string{"--genesis", own, "--peers", id}},
		"a peer without a port": {"id@host:port",
			[]string{"--genesis", own, "--peers", id + "@10.0.0.1"}},
		"a peer with a short id": {"id@host:port",
			[]string{"--genesis", own, "--peers", "abc@10.0.0.1:26656"}},
		"a participant of another chain": {"of chain other-net",
			[]string{"--genesis", own, "--participants", public("c")}},
	} {
		refused(name, c.want, genesis,
			append([]string{"init", "join", "--home", at("a")}, c.args...)...)
	}
	for range 2 { // the same again changes nothing
		must("init", "join", "--home", at("a"), "--genesis", own, "--participants",
			public("a")+","+public("b"))
	}
	refused("a genesis over another", "another genesis already", genesis, "init", "join", "--home",
		at("a"), "--genesis", later)
	refused("a file over another", "is another file", own, "init", "genesis", "--chain-id",
		"my-net", "--participants", public("a"), "--output", own)
	refused("keys for two chains", "of chain my-net", public("a"), "init", "participant", "--home",
		at("a"), "--chain-id", "other-net", "--moniker", "a", "--keyring-backend", "test")
	write(genesis, read(other))
	refused("a node on another chain's genesis", "participant \"a\"'s of chain my-net", genesis,
		"node", "--home", at("a"))
}
