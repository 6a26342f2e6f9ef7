// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/cli"
)

// Every mistake is answered by one line that names what to do; nothing is created by a command that fails.
func TestMistakesAreExplained(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(full, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no such command":            {[]string{"lokalnet"}, "unknown command"},
		"unknown cheat":              {[]string{"localnet", "--home", empty, "--cheat", "charm"}, "choose one of"},
		"too many participants":      {[]string{"localnet", "--home", empty, "--participants", "99"}, "1 to 16"},
		"a folder of something else": {[]string{"localnet", "--home", full}, "choose another --home"},
		"host without a home":        {[]string{"host", "--home", empty}, "assay init participant"},
		"host cheat of a worker":     {[]string{"host", "--home", empty, "--cheat", "forge"}, "assay init participant"},
		"status without a host":      {[]string{"host", "status", "--home", empty}, "assay init participant"},
		"node without a home":        {[]string{"node", "--home", empty}, "assay init"},
		"evidence that is not there": {[]string{"verify", filepath.Join(dir, "none.json")}, "no such file"},
		"evidence of another format": {[]string{"verify", file("a.json", `{"version":"assay-evidence/9"}`)}, "a.json"},
		"evidence that is no JSON":   {[]string{"verify", file("b.json", "leaf 5 is forged, trust me")}, "b.json"},
		"genesis without files":      {[]string{"init", "genesis", "--chain-id", "x", "--participants", filepath.Join(dir, "p.json")}, "p.json"},
		"unknown preset":             {[]string{"init", "genesis", "--chain-id", "x", "--preset", "moon", "--participants", "p.json"}, "main"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := cli.Run(context.Background(), c.args, strings.NewReader(""), &out, &errs); code != 1 {
				t.Errorf("exit %d, want 1", code)
			}
			if !strings.Contains(errs.String(), c.want) {
				t.Errorf("says %q; want it to name %q", errs.String(), c.want)
			}
			if _, err := os.Stat(empty); err == nil {
				t.Errorf("%s was created", empty)
			}
		})
	}
}
