// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	backends "github.com/99designs/keyring"
	"github.com/pelletier/go-toml/v2"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"

	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/internal/plain"
)

// Folder is the keyring's, below a home.
const Folder = "keyring"

// Default is the backend of a new home for which none is chosen.
const Default = keyring.BackendFile

// service is what the operating system's keyring knows the accounts by.
const service = "assay"

var (
	// ErrBackend reports a backend that does not exist, or is not the home's.
	ErrBackend = errors.New("keyring backend")
	// ErrPassphrase reports a passphrase that is missing or does not open the keyring.
	ErrPassphrase = errors.New("passphrase of the keyring")
)

// Backends lists the names that Open takes.
func Backends() []string {
	return []string{keyring.BackendFile, keyring.BackendOS, keyring.BackendTest}
}

// Ring is a home's keyring.
type Ring struct {
	keyring.Keyring
	store   backends.Keyring
	backend string
	lock    *lock
}

// Backend is the backend's name.
func (r *Ring) Backend() string { return r.backend }

// Failure is why the keyring did not open when it was last asked for an account, nil if it did.
// Callers that take any error for an account that is not there would hide it.
func (r *Ring) Failure() error { return r.lock.failure }

// Unlock asks for the passphrase of a keyring in files now, where nothing was written yet that a
// wrong one would leave half done.
func (r *Ring) Unlock() error {
	if r.backend != keyring.BackendFile {
		return nil
	}
	_, err := r.lock.open("")
	return err
}

// Open opens the keyring of a home with one of Backends. Nothing is asked for until an account is
// needed. Errors wrap ErrBackend; those of the keyring's methods wrap ErrPassphrase where it does
// not open.
func Open(home, backend string, stdin io.Reader, cdc codec.Codec) (*Ring, error) {
	folder := filepath.Join(home, Folder)
	config := backends.Config{ServiceName: service, FileDir: folder,
		AllowedBackends: []backends.BackendType{backends.FileBackend}}
	switch backend {
	case keyring.BackendFile, keyring.BackendTest:
		config.FileDir = filepath.Join(folder, "keyring-"+backend)
	case keyring.BackendOS:
		config.AllowedBackends, config.KeychainTrustApplication = nil, true
	default:
		return nil, fmt.Errorf("%w %q: choose file, os, or test (which protects nothing)",
			ErrBackend, backend)
	}
	l := newLock(home, config.FileDir, stdin)
	config.FilePasswordFunc = l.open
	if backend == keyring.BackendTest {
		config.FilePasswordFunc = backends.FixedStringPrompt("test")
	}
	store, err := backends.Open(config)
	if err != nil {
		return nil, fmt.Errorf("keyring (%s) of %s: %w", backend, home, err)
	}
	if backend != keyring.BackendOS {
		store = files{store, config}
	}
	return &Ring{Keyring: keyring.NewInMemoryWithKeyring(store, cdc), store: store,
		backend: backend, lock: l}, nil
}

// Backend is the backend that a home was made with, empty if it has no accounts yet.
func Backend(home string) string {
	var file struct {
		Backend string `toml:"keyring_backend"`
	}
	if text, err := plain.Read(filepath.Join(home, "config", "host.toml")); err == nil &&
		toml.Unmarshal(text, &file) == nil && file.Backend != "" {
		return file.Backend
	}
	for _, backend := range []string{keyring.BackendFile, keyring.BackendTest} {
		list, err := os.ReadDir(filepath.Join(home, Folder, "keyring-"+backend))
		if err == nil && len(list) > 0 {
			return backend
		}
	}
	return ""
}

// Choose is the backend for a home: its own, else the wish, else Default. An error wraps
// ErrBackend: there is no such backend, or the home has another.
func Choose(home, wish string) (string, error) {
	own := Backend(home)
	switch {
	case wish != "" && own != "" && wish != own:
		return "", fmt.Errorf("%w %q: the accounts of %s are in its %q keyring; leave "+
			"--keyring-backend out, or name another --home", ErrBackend, wish, home, own)
	case own != "":
		return own, nil
	case wish != "":
		return wish, nil
	}
	return Default, nil
}

// Kept is what a keyring keeps below its home.
func Kept() []kept.Thing {
	return []kept.Thing{
		{What: "accounts' keys, by the system's keyring", Where: Folder + "/*", Record: 1 << 10,
			Most: 100, Per: "home", Pruner: "the owner", Damaged: "none: of the form of those " +
				"that the backend file has"},
		{What: "accounts' keys, by their backend", Where: Folder + "/keyring-*/*", Record: 1 << 10,
			Most: 100, Per: "home", Pruner: "the owner", Sealed: "encryption that notices it",
			Damaged: "accounts.TestFlipsInAKeyring"},
	}
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
