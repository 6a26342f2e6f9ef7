// SPDX-License-Identifier: Apache-2.0

package home

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
)

// CometBFT makes a node's keys where they are missing. It writes the one in place, which a full
// disk leaves cut short, and ends the process over the other. So they are made here, whole or not
// at all.

// NodeKey loads the key by which peers know a node, and makes it where there is none. Errors are
// about the file system or the file's content, and name the file.
func NodeKey(path string) (*p2p.NodeKey, error) {
	if _, err := plain.Read(path); !errors.Is(err, fs.ErrNotExist) {
		key, err := p2p.LoadNodeKey(path)
		if err != nil {
			return nil, fmt.Errorf("home: node key %s: %w", path, err)
		}
		return key, nil
	}
	key := &p2p.NodeKey{PrivKey: cmted25519.GenPrivKey()}
	text, err := cmtjson.Marshal(key)
	if err == nil {
		err = durable.Create(path, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("home: node key: %w", err)
	}
	return key, nil
}

// ConsensusKey loads the key that signs a node's blocks. Where there is none it makes it, and
// before it the record that it has signed nothing: a key without one is not used.
func ConsensusKey(path, state string) (ed25519.PrivateKey, error) {
	key, err := app.LoadConsensusKey(path)
	if err != nil || key != nil {
		return key, err
	}
	private := cmted25519.GenPrivKey()
	made := privval.NewFilePV(private, path, state)
	signed, err := cmtjson.MarshalIndent(made.LastSignState, "", "  ")
	if err == nil {
		err = durable.WriteFile(state, signed, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("home: record of signatures: %w", err)
	}
	text, err := cmtjson.MarshalIndent(made.Key, "", "  ")
	if err == nil {
		err = durable.Create(path, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("home: consensus key: %w", err)
	}
	return ed25519.PrivateKey(private), nil
}

// Rotation makes the keys of a rotation that are missing, each whole or not at all. Called again
// after a crash it makes the rest.
func Rotation(g app.Generation) error {
	for _, path := range []string{g.Key, g.State} {
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("home: %w", err)
		}
	}
	if _, err := ConsensusKey(g.Key, g.State); err != nil {
		return err
	}
	if _, err := keyfile.Load(g.VRF); !keyfile.Missing(err) {
		return err
	}
	_, err := keyfile.Create(g.VRF, rand.Reader)
	return err
}
