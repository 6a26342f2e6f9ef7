// SPDX-License-Identifier: Apache-2.0

//go:build unix

package network

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/internal/terminal/terminaltest"
)

// On a terminal `assay host` shows what it does and what it waits for, its log is in a file of its
// home, and q stops it with a word on what is kept. With standard error elsewhere the log goes
// there.
func TestAHostOnATerminal(t *testing.T) {
	home := filepath.Join(t.TempDir(), "a")
	var said bytes.Buffer
	if code := cli.Run(t.Context(), []string{"init", "participant", "--home", home, "--chain-id",
		"screen-1", "--moniker", "a", "--keyring-backend", "test", "--grpc", "127.0.0.1:1"},
		strings.NewReader(""), &said, &said); code != 0 {
		t.Fatal(said.String())
	}
	edit(t, filepath.Join(home, "config", "host.toml"),
		map[string]string{"0.0.0.0:4710": "127.0.0.1:0", "127.0.0.1:4711": "127.0.0.1:0"})
	start := func(line string) *terminaltest.Terminal {
		cmd := exec.Command("/bin/sh", "-c", line, os.Args[0])
		cmd.Env = append(os.Environ(), "TERM=xterm-256color", "HOME="+home)
		return terminaltest.Open(t, cmd, 80, 24)
	}
	log := filepath.Join(home, "data", "host.log")
	elsewhere := filepath.Join(home, "elsewhere.log")
	term := start(`exec "$0" host --home "$HOME"` + " 2>" + elsewhere)
	term.Wait("assay host  cpc1", "chain screen-1", "q stop the host", "none has connected",
		"hot key", "WARN the node does not answer")
	term.Type("\x03")
	term.End()
	if _, err := os.Stat(log); err == nil {
		t.Error("there is a second log beside the one that was asked for")
	}
	term = start(`exec "$0" host --home "$HOME"`)
	term.Wait("assay host  cpc1", "waiting for the node", "WARN the node does not answer")
	term.Type("q")
	term.End()
	text := strings.Join(strings.Fields(term.Text()), " ")
	if !strings.Contains(text, "stopped; leaves, accounts, verdicts and evidence are kept in") ||
		strings.Contains(text, " INFO ") {
		t.Errorf("what stays is\n%s", term.Text())
	}
	for _, path := range []string{log, elsewhere} {
		if raw, err := os.ReadFile(path); err != nil ||
			!strings.Contains(string(raw), "the node does not answer") {
			t.Errorf("%s: %q, %v", path, raw, err)
		}
	}
	table := append(host.Kept(), node.Kept()...)
	table = append(table, kept.Thing{Where: "elsewhere.log"})
	if list, err := kept.Unlisted(home, table); err != nil || len(list) > 0 {
		t.Errorf("in no table: %v, %v", list, err)
	}
	term = start(`exec "$0" host --plain --home "$HOME"`)
	term.Wait("the node does not answer")
	if raw := term.Raw(); strings.Contains(raw, "q stop the host") {
		t.Errorf("--plain shows the screen: %q", raw)
	}
	term.Type("\x03")
	term.End()
}
