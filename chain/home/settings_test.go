// SPDX-License-Identifier: Apache-2.0

package home

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// settled makes a folder with settings, and returns how one of its files is edited.
func settled(t *testing.T, moniker string) (dir string, edit func(name, from, to string)) {
	t.Helper()
	dir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (Settings{BlockTime: 2 * time.Second}).write(dir, moniker, "cpc1x"); err != nil {
		t.Fatal(err)
	}
	return dir, func(name, from, to string) {
		t.Helper()
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("%s has no %q, %v", name, from, err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A moniker is written so that it is read again, whatever is in it, also when the
// file is written once more.
func TestAnyMonikerIsReadAgain(t *testing.T) {
	for _, moniker := range []string{"plain", `the "best" node`, `C:\node`, `"`, `\`,
		"two\nlines\tand more", "größer", `"""`} {
		dir, _ := settled(t, moniker)
		for range 2 {
			c, err := Load(dir)
			if err != nil || c.Comet.Moniker != moniker ||
				c.Comet.Consensus.TimeoutCommit != 2*time.Second {
				t.Fatalf("%q is read otherwise, %v", moniker, err)
			}
			if err := writeComet(filepath.Join(dir, cometConfig), c.Comet); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A new node keeps 1,000 states and 150,000 blocks, and makes snapshots.
func TestHowMuchOfThePastANodeKeeps(t *testing.T) {
	dir, _ := settled(t, "plain")
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.App; a.Pruning != "custom" || a.PruningKeepRecent != "1000" ||
		a.PruningInterval != "10" || a.MinRetainBlocks != 150_000 ||
		a.StateSync.SnapshotInterval != 1_000 {
		t.Errorf("pruning %s of %s every %s, %d blocks, snapshots every %d", a.Pruning,
			a.PruningKeepRecent, a.PruningInterval, a.MinRetainBlocks,
			a.StateSync.SnapshotInterval)
	}
}

// A key that nothing reads is refused by its name, with the one that was meant; those
// of the templates, and those that the SDK reads beside them, are not.
func TestUnknownSettingsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, from, to, want string }{
		"mistyped": {cometConfig, "addr_book_strict =", "addr_book_strit =",
			"p2p.addr_book_strit (perhaps p2p.addr_book_strict)"},
		"in another section": {cometConfig, "[p2p]", "[p2p]\ntimeout_commit = \"1s\"",
			"p2p.timeout_commit (perhaps consensus.timeout_commit)"},
		"of the other file": {appConfig, "[grpc]", "[grpc]\nladdr = \"tcp://0.0.0.0:1\"",
			"grpc.laddr"},
		"of nobody":                {appConfig, "[assay]", "[zebra]\nx = 1\n[assay]", "zebra.x"},
		"with a mark of an editor": {cometConfig, "# This", "\ufeff# This", ""},
		"which the SDK reads": {appConfig, "[assay]", "[streaming.other]\nplugin = " +
			"\"x\"\n[assay]", ""},
		"at the top, from upgrades": {appConfig, "halt-height = 0", "halt-height = " +
			"0\nunsafe-skip-upgrades = [7]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, edit := settled(t, "m")
			if _, err := Load(dir); err != nil {
				t.Fatal(err)
			}
			edit(c.file, c.from, c.to)
			_, err := Load(dir)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (!errors.Is(err, ErrHome) ||
				!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file)):
				t.Errorf("got %v, want it to name %s", err, c.want)
			}
		})
	}
}

// A folder in a file's place is named.
func TestAFolderIsNoSettings(t *testing.T) {
	dir, _ := settled(t, "m")
	path := filepath.Join(dir, appConfig)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrHome) ||
		!strings.Contains(err.Error(), path+" is a folder") {
		t.Errorf("got %v", err)
	}
}
