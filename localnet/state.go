// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/sealed"
)

// stateVersion is that of the state file.
const stateVersion = "assay-localnet/1"

// read finds the network that is in the folder. State files of earlier programs carry no checksum.
func (n *Network) read() error {
	path := filepath.Join(n.Home, stateFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("localnet: %w", err)
	}
	if err = sealed.Unmarshal(raw, stateVersion, n); errors.Is(err, sealed.ErrUnsealed) {
		err = json.Unmarshal(raw, n)
	}
	if err != nil {
		return fmt.Errorf("localnet: %s: %w; put it back from a copy, or begin a new network "+
			"with another --home", path, err)
	}
	if len(n.Members) == 0 {
		return fmt.Errorf("localnet: %s names no participants: name another --home", path)
	}
	for _, m := range n.Members {
		m.Home = filepath.Join(n.Home, m.Name)
		if err := n.sameGenesis(m); err != nil {
			return err
		}
	}
	return nil
}

// sameGenesis checks that a member starts from what the network was made with.
func (n *Network) sameGenesis(m *Member) error {
	if n.Genesis == "" {
		return nil
	}
	path := filepath.Join(m.Home, home.Genesis)
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("localnet: %s: %w", m.Name, err)
	}
	if sumOf(raw) != n.Genesis {
		return fmt.Errorf("localnet: %s is not what this network was made with: put it back from "+
			"a copy, such as another participant's %s", path, home.Genesis)
	}
	return nil
}

// sumOf is what Network.Genesis says of a file's content.
func sumOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// save writes the state file, which makes the folder a network.
func (n *Network) save() error {
	raw, err := sealed.Marshal(stateVersion, n)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(n.Home, stateFile), raw, 0o644)
}
