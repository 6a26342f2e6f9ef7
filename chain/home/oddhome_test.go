// SPDX-License-Identifier: Apache-2.0

package home

import (
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/assaynet/assay/internal/oddhome"
)

// A participant's folder is made, joined to a network and read again whatever it is called.
func TestAnyHome(t *testing.T) {
	oddhome.Each(t, func(t *testing.T, dir string) {
		o := Options{Dir: dir, Chain: "assay-test", Moniker: filepath.Base(dir),
			HostKey: ed25519.NewKeyFromSeed(make([]byte, 32)), KeyringBackend: keyring.BackendTest}
		made, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		peer := strings.Repeat("ab", 20) + "@192.0.2.7:26656"
		for range 2 {
			if err := Join(dir, []byte("{}"), []string{peer}, Settings{}, ""); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if c.Comet.Moniker != o.Moniker || c.Comet.P2P.PersistentPeers != peer ||
			c.Comet.GenesisFile() != filepath.Join(dir, Genesis) {
			t.Errorf("read: moniker %q, peers %q, genesis %q", c.Comet.Moniker,
				c.Comet.P2P.PersistentPeers, c.Comet.GenesisFile())
		}
		if key, err := ConsensusKey(c.Comet.PrivValidatorKeyFile(),
			c.Comet.PrivValidatorStateFile()); err != nil ||
			string(public(key)) != string(made.Participant.ConsensusKey) {
			t.Errorf("its consensus key: %v", err)
		}
		if again, err := Create(o); err != nil ||
			again.Participant.Address != made.Participant.Address || len(again.Mnemonics) > 0 {
			t.Errorf("it is another one: %+v, %v", again, err)
		}
	})
}
