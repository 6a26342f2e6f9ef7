// SPDX-License-Identifier: Apache-2.0

// Package marker lets the folders of one store know each other. Each holds a small file with the
// store's id. A folder without it, or with another's, is not the one that was there: a disk that is
// not mounted, a folder that was moved away, a backup that was put back in part. That must not be
// taken for a fresh start.
package marker

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaynet/assay/internal/durable"
)

// Name of the file in each folder.
const Name = ".assay-id"

// ErrStranger reports a folder that is not of the store.
var ErrStranger = errors.New("it is not the folder that was there")

// New makes an id.
func New() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// Set marks a folder, durably, whatever it was marked with.
func Set(dir, id string) error {
	return durable.WriteFile(filepath.Join(dir, Name), []byte(id+"\n"), 0o600)
}

// ID returns the id in a folder's mark, none where there is no mark. One that is damaged
// is an error that wraps ErrStranger.
func ID(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(text))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
		return "", fmt.Errorf("%w: the %s of %s is damaged", ErrStranger, Name, dir)
	}
	return id, nil
}

// Check returns an error that wraps ErrStranger where a folder is missing or is not marked with id.
// Other errors are about reading it.
func Check(dir, id string) error {
	text, err := os.ReadFile(filepath.Join(dir, Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is missing", ErrStranger, dir)
		}
		return fmt.Errorf("%w: %s holds no %s", ErrStranger, dir, Name)
	case err != nil:
		return err
	case strings.TrimSpace(string(text)) != id:
		return fmt.Errorf("%w: the %s of %s is another one's", ErrStranger, Name, dir)
	}
	return nil
}
