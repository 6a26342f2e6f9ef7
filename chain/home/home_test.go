// SPDX-License-Identifier: Apache-2.0

package home

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A participant's folder that has lost a key, or has another's, gets none in its place: what it is
// stands in its public file, which stays as it was. One that is whole is the same participant once
// more.
func TestAParticipantsKeysAreMadeOnce(t *testing.T) {
	options := func(dir string) Options {
		return Options{Dir: dir, Chain: "c", Moniker: "m",
			HostKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), KeyringBackend: "test"}
	}
	whole := t.TempDir()
	made, err := Create(options(whole))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Create(options(whole)); err != nil ||
		again.Participant.Address != made.Participant.Address || len(again.Mnemonics) > 0 {
		t.Fatalf("once more: %+v, %v", again, err)
	}
	for name, lose := range map[string]func(o *Options) error{
		nodeKey: func(o *Options) error { return os.Remove(filepath.Join(o.Dir, nodeKey)) },
		privKey: func(o *Options) error { return os.Remove(filepath.Join(o.Dir, privKey)) },
		"vrf_key.json": func(o *Options) error {
			return os.Remove(filepath.Join(o.Dir, "config", "vrf_key.json"))
		},
		"the host's key": func(o *Options) error {
			o.HostKey = ed25519.NewKeyFromSeed(make([]byte, 32))
			return nil
		},
		"account operator in its keyring": func(o *Options) error {
			return os.RemoveAll(filepath.Join(o.Dir, Keyring))
		},
	} {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			o := options(t.TempDir())
			if err := os.CopyFS(o.Dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{privKey, "config/vrf_key.json"} { // CopyFS adds modes
				if err := os.Chmod(filepath.Join(o.Dir, path), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := lose(&o); err != nil {
				t.Fatal(err)
			}
			was, err := os.ReadFile(filepath.Join(o.Dir, Public))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Create(o)
			if !errors.Is(err, ErrHome) || !strings.Contains(err.Error(), name) ||
				!strings.Contains(err.Error(), "put it back from a backup") {
				t.Errorf("%v", err)
			}
			if now, err := os.ReadFile(filepath.Join(o.Dir, Public)); err != nil ||
				!bytes.Equal(was, now) {
				t.Errorf("the public file is another one, %v", err)
			}
			if _, err := os.Stat(filepath.Join(o.Dir, name)); err == nil {
				t.Error("another key was made")
			}
		})
	}
}
