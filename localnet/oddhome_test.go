// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/internal/oddhome"
)

// A network is made, and resumed as it was, whatever its folder is called.
func TestAnyHome(t *testing.T) {
	oddhome.Each(t, func(t *testing.T, folder string) {
		first, err := New(Options{Home: folder, Participants: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := first.unlock(); err != nil {
			t.Fatal(err)
		}
		again, err := New(Options{Home: folder})
		if err != nil {
			t.Fatal(err)
		}
		defer again.unlock()
		if again.Chain != first.Chain || again.Genesis != first.Genesis || len(again.Members) != 2 {
			t.Errorf("resumed as %+v", again)
		}
		for _, m := range again.Members {
			c, err := home.Load(m.Home)
			if err != nil || c.Comet.GenesisFile() != filepath.Join(folder, m.Name, home.Genesis) ||
				c.Comet.P2P.PersistentPeers == "" {
				t.Errorf("%s: its node's settings: %v", m.Name, err)
			}
			if c, err := host.Load(m.Home); err != nil || c.Chain != first.Chain {
				t.Errorf("%s: its host's settings: %+v, %v", m.Name, c, err)
			}
		}
		if list, err := kept.Unlisted(folder, Kept()); err != nil || len(list) > 0 {
			t.Errorf("not in the table: %v, %v", list, err)
		}
	})
}
