// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/assaynet/assay/internal/durable"
)

// ErrKeyFile is wrapped by errors about a key file that exists and is unusable.
var ErrKeyFile = errors.New("link: key file")

// ReadKey is LoadKey where a key has to be there already; that it is not wraps fs.ErrNotExist.
func ReadKey(path string) (ed25519.PrivateKey, error) { return readKey(path) }

// LoadKey reads the Ed25519 key in path, and makes one when there is none. The
// file holds the 32-byte seed in hex and, in a second line, the public key, so that
// a changed digit is not taken for another key; files of earlier programs hold the
// seed alone. It is readable by its owner only; one that others can read is
// refused, since its key must be taken as known to them.
//
// A new file appears whole or not at all, and two processes that start together
// end up with the same key.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	_, key, err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("link: make a key: %w", err)
	}
	dir := filepath.Dir(path)
	_, missing := os.Stat(dir)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("link: key directory: %w", err)
	}
	err = durable.Create(path, fmt.Appendf(nil, "%x\n%x\n", key.Seed(), key[ed25519.SeedSize:]),
		0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster, and may not have synced it yet
		err = durable.SyncDir(dir)
	}
	if err != nil {
		if missing != nil {
			_ = os.Remove(dir) // a folder without a key looks like one that has lost it
		}
		return nil, fmt.Errorf("link: write key: %w", err)
	}
	return readKey(path)
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: %s can be read by others (mode %04o); if nobody did, run: "+
			"chmod 600 %s (if that changes nothing, the file system keeps no modes: mount it "+
			"with umask=077, or move the folder to another one)", ErrKeyFile, path,
			info.Mode().Perm(), path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file; move it away, or restore the key",
			ErrKeyFile, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // an editor's mark
	first, second, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	seed, err := hex.DecodeString(strings.TrimSpace(first))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: %s does not hold a key (64 hex digits); restore it, or move "+
			"it away and a new key is made", ErrKeyFile, path)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if second = strings.TrimSpace(second); second != "" {
		if public, err := hex.DecodeString(second); err != nil ||
			!bytes.Equal(public, key[ed25519.SeedSize:]) {
			return nil, fmt.Errorf("%w: %s is damaged: its second line is not the public key of "+
				"its first; restore it, or move it away and a new key is made", ErrKeyFile, path)
		}
	}
	return key, nil
}
