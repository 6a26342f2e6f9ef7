// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	backends "github.com/99designs/keyring"

	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/assaynet/assay/internal/durable"
)

// ErrDamaged reports a file of a keyring that does not hold what was written.
var ErrDamaged = errors.New("a file of the keyring is damaged")

// files is a keyring in files. The library writes them in place, and a full disk would leave an
// account cut short, or the one that it takes the place of. So it writes elsewhere, and the file is
// put into its place when it is whole.
type files struct {
	backends.Keyring
	config backends.Config
}

// Get reads an item's file, and names one that is damaged.
func (s files) Get(key string) (backends.Item, error) {
	item, err := s.Keyring.Get(key)
	if err == nil || errors.Is(err, backends.ErrKeyNotFound) || errors.Is(err, ErrPassphrase) {
		return item, err
	}
	return item, fmt.Errorf("%w: %s: %w; put it back from a backup, or move it away and make the "+
		"account again from its words: assay keys add NAME --recover",
		ErrDamaged, filepath.Join(s.config.FileDir, key), err)
}

// Set writes an item's file.
func (s files) Set(item backends.Item) error {
	text, name, err := s.seal(item)
	var at *fs.PathError
	switch {
	case errors.As(err, &at):
		return fmt.Errorf("keyring: %w",
			&fs.PathError{Op: "write to", Path: s.config.FileDir, Err: at.Err})
	case err != nil:
		return err
	}
	if err := durable.MkdirAll(s.config.FileDir, 0o700); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(s.config.FileDir, name), text, 0o600); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	return nil
}

// seal lets the library write an item into a passing folder, and returns the file.
func (s files) seal(item backends.Item) (text []byte, name string, err error) {
	passing, err := os.MkdirTemp("", "assay-account-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(passing)
	config := s.config
	config.FileDir = passing
	ring, err := backends.Open(config)
	if err == nil {
		err = ring.Set(item)
	}
	if err != nil {
		return nil, "", err
	}
	list, err := os.ReadDir(passing)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("keyring: an account makes %d files", len(list))
	}
	if err != nil {
		return nil, "", err
	}
	text, err = os.ReadFile(filepath.Join(passing, list[0].Name()))
	return text, list[0].Name(), err
}

// NewMnemonic makes an account, wholly or not at all: one without its second file would be taken
// for made, and nobody would have its words.
func (r *Ring) NewMnemonic(uid string, language keyring.Language, path, passphrase string,
	algo keyring.SignatureAlgo) (record *keyring.Record, words string, err error) {
	err = r.whole(func() error {
		record, words, err = r.Keyring.NewMnemonic(uid, language, path, passphrase, algo)
		return err
	})
	return record, words, err
}

// NewAccount is NewMnemonic with words that are there.
func (r *Ring) NewAccount(uid, mnemonic, passphrase, path string,
	algo keyring.SignatureAlgo) (record *keyring.Record, err error) {
	err = r.whole(func() error {
		record, err = r.Keyring.NewAccount(uid, mnemonic, passphrase, path, algo)
		return err
	})
	return record, err
}

// whole takes back what a call that fails has added.
func (r *Ring) whole(add func() error) error {
	before, err := r.store.Keys()
	if err != nil {
		return err
	}
	err = add()
	if err == nil {
		return nil
	}
	after, listing := r.store.Keys()
	for _, key := range after {
		if key != hashName && !slices.Contains(before, key) {
			listing = errors.Join(listing, r.store.Remove(key))
		}
	}
	return errors.Join(err, listing)
}
