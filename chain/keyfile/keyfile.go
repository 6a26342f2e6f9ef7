// SPDX-License-Identifier: Apache-2.0

// Package keyfile keeps one Ed25519 private key in one small file.
//
// A participant has three keys of this kind beside CometBFT's own: its VRF key
// and, with its host, the host key. The file is JSON so that people recognise
// it, holds the public key so that they can see whose it is, and is readable
// by its owner only. Create never overwrites: a key that was registered cannot
// be made again.
package keyfile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
)

// ErrFile reports a file that does not hold a key in the form Create writes.
var ErrFile = errors.New("keyfile: malformed key file")

// form is the file's content.
type form struct {
	// Type names what the bytes are; always "ed25519".
	Type string `json:"type"`
	// Public is the public key in hex, 32 bytes.
	Public string `json:"public"`
	// Seed is the RFC 8032 private key in hex, 32 bytes.
	Seed string `json:"seed"`
}

// Create makes a key from 32 bytes of random and writes it to path, with mode
// 0600, in folders it makes as needed. It fails with fs.ErrExist when path
// exists.
func Create(path string, random io.Reader) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("keyfile: reading randomness: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	text, err := json.MarshalIndent(form{
		Type:   "ed25519",
		Public: hex.EncodeToString(key[ed25519.SeedSize:]),
		Seed:   hex.EncodeToString(seed),
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	if err := durable.Create(path, append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	return key, nil
}

// Load reads the key at path. It refuses a file that others may read, and one
// whose public key is not that of its seed. Errors wrap ErrFile or come from
// the file system (fs.ErrNotExist).
func Load(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %o, others may read it; run chmod 600 on it, and "+
			"consider the key known if the machine is shared", ErrFile, path, mode)
	}
	text, err := plain.Read(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	key, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; put it back from a backup: a key that was registered "+
			"cannot be made again", ErrFile, path, err)
	}
	return key, nil
}

// parse reads a file's content.
func parse(text []byte) (ed25519.PrivateKey, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var f form
	if err := decoder.Decode(&f); err != nil {
		return nil, err
	}
	if f.Type != "ed25519" {
		return nil, fmt.Errorf("type %q, want \"ed25519\"", f.Type)
	}
	seed, err := hex.DecodeString(f.Seed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the seed is not %d bytes of hex", ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if hex.EncodeToString(key[ed25519.SeedSize:]) != f.Public {
		return nil, errors.New("the public key does not belong to the seed")
	}
	return key, nil
}

// Missing reports whether an error of Load means that there is no such file.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
