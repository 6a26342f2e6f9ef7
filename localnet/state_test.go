// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"bytes"
	"context"
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
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/localnet/crew"
)

// made is the folder of a network that has not been started, and what its state file says.
func made(t *testing.T) (folder, says string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "net")
	n, err := New(Options{Home: folder, Participants: 2, Cheat: adversary.Forge})
	if err != nil {
		t.Fatal(err)
	}
	over, stop := context.WithCancel(t.Context())
	err = n.crew.Serve(over, folder)
	stop()
	if err = errors.Join(err, n.unlock()); err != nil {
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

// Whatever bit of a network's own files has flipped, and wherever one ends early: the network is
// resumed as it was, or the file is named. Of a participant's public file, its name for people and
// where its node listens are not proven.
func TestFlipsInANetwork(t *testing.T) {
	whole, want := made(t)
	who, err := home.ReadParticipant(filepath.Join(whole, "p1", home.Public))
	if err != nil {
		t.Fatal(err)
	}
	slim := t.TempDir() // of a folder with a hundred files, those that are damaged
	for _, name := range []string{stateFile, lockFile, crew.ControlFile, "p1/" + home.Public,
		"p1/" + home.Genesis, "p2/" + home.Genesis} {
		text, err := os.ReadFile(filepath.Join(whole, name))
		to := filepath.Join(slim, name)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700),
			os.WriteFile(to, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	flips.Each(t, slim, 1000, 100, nil, func(folder string, d flips.Damage) (flips.Outcome, error) {
		if d.Path == "p1/"+home.Public {
			p, err := home.ReadParticipant(filepath.Join(folder, "p1", home.Public))
			p.Moniker, p.Peer, p.Hot = who.Moniker, who.Peer, who.Hot
			if diff := cmp.Diff(who, p); err == nil && diff != "" {
				return flips.Unchanged, fmt.Errorf("taken silently:\n%s", diff)
			}
			return flips.Unchanged, nil
		}
		n := &Network{Home: folder}
		if err := n.lock(); err != nil { // what stands in its file is for people
			return flips.Unchanged, err
		}
		if err := errors.Join(n.read(), n.unlock()); err != nil {
			if !d.Explains(err, "put it back") {
				return flips.Refused, err
			}
			return flips.Refused, nil
		}
		if d.Path == crew.ControlFile {
			_, err := crew.Ask(t.Context(), folder, "kill", []string{"p1"})
			switch {
			case errors.Is(err, crew.ErrNotRunning) && !d.Space() && !bytes.EqualFold(d.Was, d.Is):
				// The checksum covers the address, and not the case of the names beside it.
				return flips.Unchanged, errors.New("another address is taken silently")
			case errors.Is(err, crew.ErrNotRunning):
				return flips.Unchanged, nil
			case err == nil || !d.Explains(err, "start it again"):
				return flips.Refused, fmt.Errorf("it is not named: %w", err)
			}
			return flips.Refused, nil
		}
		text, err := json.Marshal(n)
		if err == nil && string(text) != want {
			err = errors.New("taken silently: " + string(text))
		}
		return flips.Unchanged, err
	}).Covers(t, "localnet", Kept())
}

// Each kind of file in a network's folder has a bound and a pruner, and is damaged by a test or has
// a reason why not.
func TestKept(t *testing.T) {
	if faults := kept.Faults(Kept()); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	flips.Held(t, "..", Kept())
	folder, _ := made(t)
	if unlisted, err := kept.Unlisted(folder, Kept()); err != nil || len(unlisted) > 0 {
		t.Errorf("not in the table: %q, %v", unlisted, err)
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
	if err := old.read(); err != nil || old.Chain != n.Chain || len(old.Members) != 2 ||
		old.Members[1].Cheat != adversary.Forge {
		t.Fatalf("%+v, %v", old, err)
	}
	genesis, err := os.ReadFile(filepath.Join(folder, "p1", home.Genesis))
	if err != nil {
		t.Fatal(err)
	}
	if err := old.join(genesis); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil ||
		!strings.HasPrefix(string(now), `{"version":"`+stateVersion) || spelled(t, folder) != want {
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
		root.SetArgs(append([]string{cobra.ShellCompRequestCmd, "localnet"},
			strings.Split(line, " ")...))
		if err := root.ExecuteContext(t.Context()); err != nil || out.String() != want {
			t.Errorf("%s: %v, %q; want %q", line, err, out.String(), want)
		}
	}
}
