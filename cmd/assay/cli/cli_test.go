// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/internal/commands"
)

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestVersion(t *testing.T) {
	code, text, _ := run(t, "version")
	for _, want := range []string{"version ", "commit ", runtime.Version(), "chain     assay",
		"cosmos-sdk "} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("exit %d, no %q in %q", code, want, text)
		}
	}
	var v struct {
		Version, Commit, Go string
		Chain               struct{ App string }
	}
	code, text, _ = run(t, "version", "--json")
	if err := json.Unmarshal([]byte(text), &v); code != 0 || err != nil || v.Version == "" ||
		v.Commit == "" || v.Go == "" || v.Chain.App != "assay" {
		t.Errorf("exit %d, %v, %+v", code, err, v)
	}
}

// Every flag that takes words is in the table of what completes it, also where only its user knows.
func TestEveryFlagCompletes(t *testing.T) {
	_, unnamed := newRoot(io.Discard)
	if len(unnamed) > 0 {
		t.Errorf("cli/complete.go does not name %v", unnamed)
	}
	for line, want := range map[string]string{
		"localnet --cheat ":                       "forge",
		"localnet --home ":                        ":16",
		"init participant --keyring-backend ":     "file\nos\ntest\n:4",
		"init genesis --preset ":                  "localnet\nmain\n:4",
		"node --log-format ":                      "text\njson\n:4",
		"keys list --keyring-backend ":            "file\nos\ntest\n:4",
		"tx bank send --node ":                    "tcp://127.0.0.1:26657",
		"tx bank send --broadcast-mode ":          "sync\nasync\n:4",
		"query bank balances --output ":           "text\njson\n:4",
		"query bal":                               ":",
		"tx ba":                                   "bank",
		"audit explain --shape ":                  "1024",
		"host --pool --log ":                      "debug",
		"keys export --unarmored-hex --keyring-b": "--keyring-backend",
	} {
		code, text, errs := run(t,
			append([]string{cobra.ShellCompRequestCmd}, strings.Split(line, " ")...)...)
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("%s: exit %d, %q, %q; want %q", line, code, text, errs, want)
		}
	}
}

// The manual has a page for every command that people call, those of the chain's trees too, and
// none for the others.
func TestManual(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	if code, _, errs := run(t, "manual", dir); code != 0 {
		t.Fatal(errs)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	root, _ := newRoot(io.Discard)
	commands.Walk(root, func(c *cobra.Command) {
		if name := strings.ReplaceAll(c.CommandPath(), " ",
			"-") + ".1"; c.IsAvailableCommand() != slices.Contains(names, name) {
			t.Errorf("%s: there is a page: %v", c.CommandPath(), slices.Contains(names, name))
		}
	})
	for _, name := range []string{"assay.1", "assay-tx-bank-send.1", "assay-query-sprint-epoch.1",
		"assay-keys-add.1", "assay-comet-status.1"} {
		if !slices.Contains(names, name) {
			t.Errorf("no %s among %d pages", name, len(names))
		}
	}
	for _, name := range []string{"assay-localnet-worker.1", "assay-manual.1",
		"assay-tx-sprint.1"} {
		if slices.Contains(names, name) {
			t.Errorf("%s is for nobody", name)
		}
	}
}
