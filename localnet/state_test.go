// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/assaynet/assay/adversary"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/internal/flips"
)

// made is the folder of a network that has not been started, and what its state file says.
func made(t *testing.T) (folder, says string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "net")
	n, err := New(Options{Home: folder, Participants: 2, Cheat: adversary.Forge})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.unlock(); err != nil {
		t.Fatal(err)
	}
	return folder, spelled(t, folder)
}

func spelled(t *testing.T, folder string) string {
	t.Helper()
	n := &Network{Home: folder}
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Whatever bit of a network's own files has flipped, and wherever one ends early: the network is resumed as it was, or the
// file is named. Of a participant's public file, its name for people and where its node listens are not proven.
func TestFlipsInANetwork(t *testing.T) {
	whole, want := made(t)
	who, err := home.ReadParticipant(filepath.Join(whole, "p1", home.Public))
	if err != nil {
		t.Fatal(err)
	}
	slim := t.TempDir() // of a folder with a hundred files, those that are damaged
	for _, name := range []string{stateFile, "p1/" + home.Public, "p1/" + home.Genesis, "p2/" + home.Genesis} {
		text, err := os.ReadFile(filepath.Join(whole, name))
		to := filepath.Join(slim, name)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	many, cuts := flips.Rounds(2000, 200)
	refused := 0
	flips.Each(t, slim, many, cuts, nil, func(folder string, d flips.Damage) error {
		if d.Path == "p1/"+home.Public {
			p, err := home.ReadParticipant(filepath.Join(folder, "p1", home.Public))
			p.Moniker, p.Peer, p.Hot = who.Moniker, who.Peer, who.Hot
			if diff := cmp.Diff(who, p); err == nil && diff != "" {
				return fmt.Errorf("taken silently:\n%s", diff)
			}
			return nil
		}
		n := &Network{Home: folder}
		if err := n.read(); err != nil {
			if refused++; !d.Explains(err, "put it back") {
				return err
			}
			return nil
		}
		text, err := json.Marshal(n)
		if err == nil && string(text) != want {
			err = errors.New("taken silently: " + string(text))
		}
		return err
	})
	if refused == 0 {
		t.Error("nothing was refused, so this test sees nothing")
	}
}

// A state file from before there were checksums is read, and written with one.
func TestAStateFileOfOldForm(t *testing.T) {
	folder, want := made(t)
	path := filepath.Join(folder, stateFile)
	n := &Network{Home: folder}
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	n.Genesis = ""
	text, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	old := &Network{Home: folder}
	if err := old.read(); err != nil || old.Chain != n.Chain || len(old.Members) != 2 || old.Members[1].Cheat != adversary.Forge {
		t.Fatalf("%+v, %v", old, err)
	}
	genesis, err := os.ReadFile(filepath.Join(folder, "p1", home.Genesis))
	if err != nil {
		t.Fatal(err)
	}
	if err := old.join(genesis); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(now), `{"version":"`+stateVersion) || spelled(t, folder) != want {
		t.Errorf("it is now %.80s, %v", now, err)
	}
}

// The shell completes whom kill and heal are about, and the kind of process: no files.
func TestKillAndHealComplete(t *testing.T) {
	folder, _ := made(t)
	for line, want := range map[string]string{
		"kill --home " + folder + " ":             "p1\np2\n:4\n",
		"kill --home " + folder + " p2 ":          "node\nhost\nworker\n:4\n",
		"kill --home " + folder + " p2 node ":     ":4\n",
		"heal --home " + folder + " ":             "p1\np2\n:4\n",
		"heal --home " + folder + " p1 ":          "node\nhost\nworker\n:4\n",
		"kill --home " + t.TempDir() + " ":        ":4\n",
		"kill --home " + folder + "/nonexistent ": ":4\n",
	} {
		root := &cobra.Command{Use: "assay"}
		root.AddCommand(Command())
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append([]string{cobra.ShellCompRequestCmd, "localnet"}, strings.Split(line, " ")...))
		if err := root.ExecuteContext(t.Context()); err != nil || out.String() != want {
			t.Errorf("%s: %v, %q; want %q", line, err, out.String(), want)
		}
	}
}
