// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/chain/home"
)

// participant makes a home that is ready to start; its genesis is none.
func participant(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	_, err := home.Create(home.Options{Dir: dir, Chain: "c", Moniker: "m",
		HostKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), KeyringBackend: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A node whose key, or record of signatures, is gone makes no other one: it says what
// is missing, what that could cost and what to do.
func TestNoIdentityIsMadeAtStart(t *testing.T) {
	const (
		key   = "config/priv_validator_key.json"
		state = "data/priv_validator_state.json"
	)
	for name, c := range map[string]struct {
		file string
		text []byte // instead of it; nil removes it
		want string
	}{
		"no key that signs":      {key, nil, "put it back from a backup"},
		"no key for its peers":   {"config/node_key.json", nil, "peers know it"},
		"no key for the beacon":  {"config/vrf_key.json", nil, "feeds the beacon"},
		"no record of what":      {state, nil, "sign a height twice"},
		"an empty record":        {state, []byte("\n"), "it is empty"},
		"a record that is none":  {state, []byte(`{"height":`), "sign a height twice"},
		"a record of other data": {state, []byte(`{"height":"a"}`), "sign a height twice"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := participant(t)
			path := filepath.Join(dir, c.file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if c.text != nil {
				if err := os.WriteFile(path, c.text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			config, err := home.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			err = identity(config)
			if !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), path) {
				t.Fatalf("got %v", err)
			}
			if after, err := os.ReadFile(path); !bytes.Equal(after, c.text) ||
				c.text == nil && err == nil {
				t.Errorf("the file is %q now", after)
			}
		})
	}
	// The way out of a lost record is one.
	dir := participant(t)
	if err := os.WriteFile(filepath.Join(dir, state), []byte(`{"height":"12","round":0,"step":3}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	config, err := home.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity(config); err != nil {
		t.Error(err)
	}
}

// A home that only follows gets its keys at its first start, and never again.
func TestAFollowersIdentityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	if err := home.Join(dir, []byte("{}"), nil, home.Settings{}, "m"); err != nil {
		t.Fatal(err)
	}
	config, err := home.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity(config); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "data/blockstore.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := identity(config); !errors.Is(err, ErrIdentity) ||
		!strings.Contains(err.Error(), "choose another --home") {
		t.Errorf("after it has run: %v", err)
	}
}
