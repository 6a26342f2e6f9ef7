// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/marker"
	"github.com/assaynet/assay/internal/sealed"
)

// ErrLost reports a home of which a part is missing or damaged, which is no fresh start.
var ErrLost = errors.New("worker: a part of this home is lost")

const (
	// HomeFile names the parts of a home, so that a missing one is noticed.
	HomeFile    = "home.json"
	homeVersion = "assay-worker-home/1"
	devicesName = "devices"
)

// parts is a home: its key, and the folders that were made in it.
type parts struct {
	ID      string   `json:"id"`  // each folder is marked with it
	Key     string   `json:"key"` // the worker's, in hexadecimal digits
	Folders []string `json:"folders"`
}

// home is an open home.
type home struct {
	dir    string
	accept bool // losses

	mu sync.Mutex // over parts and its file
	parts
}

// openHome checks that a home is whole, whose lock is held, and marks one that is new or of an
// earlier program. A part that is missing is refused with ErrLost unless the loss is accepted.
func openHome(dir string, key ed25519.PrivateKey, accept bool) (*home, error) {
	h := &home{dir: dir, accept: accept}
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	known, err := h.read(public)
	if err != nil {
		return nil, err
	}
	if !known {
		h.ID, h.Folders = marker.New(), nil
	}
	if h.Key != public {
		h.Key = public
		if err := h.save(); err != nil {
			return nil, err
		}
	}
	for _, folder := range []string{SignedName, ReceiptsName, devicesName} {
		if err := h.folder(folder); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Whole reports, as an error that wraps ErrLost, what a home has lost. It changes nothing.
func Whole(dir string, key ed25519.PrivateKey) error {
	_, err := (&home{dir: dir}).read(hex.EncodeToString(key.Public().(ed25519.PublicKey)))
	return err
}

// read reads the parts of a home and checks that they are there; known is false where none were
// named.
func (h *home) read(public string) (known bool, err error) {
	path := filepath.Join(h.dir, HomeFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err = sealed.Unmarshal(text, homeVersion, &h.parts); err != nil {
		if h.accept {
			return false, nil
		}
		return false, fmt.Errorf("%w: %s, which names its parts, is %w; put it back, or start "+
			"with --accept-loss to make it again", ErrLost, path, err)
	}
	if h.Key != public && !h.accept {
		return false, fmt.Errorf("%w: this home was the machine %.16s, and its %s is now that of "+
			"%.16s; put the old one back, or start with --accept-loss to be the new one, to "+
			"which what the old one has earned is not paid",
			ErrLost, h.Key, KeyFile, public)
	}
	for _, folder := range slices.Clone(h.Folders) {
		if err := h.check(folder); err != nil {
			return false, err
		}
	}
	return true, nil
}

// check refuses a folder that is not the one that was there.
func (h *home) check(folder string) error {
	err := marker.Check(filepath.Join(h.dir, filepath.FromSlash(folder)), h.ID)
	if err == nil {
		return nil
	}
	if !errors.Is(err, marker.ErrStranger) {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if !h.accept {
		return fmt.Errorf("%w: %w, and with it %s; is a disk not mounted? Put it back, or start "+
			"with --accept-loss to go on without", ErrLost, err, held(folder))
	}
	h.Folders = slices.DeleteFunc(h.Folders, func(f string) bool { return f == folder })
	return nil
}

// held says what a folder holds.
func held(folder string) string {
	switch {
	case folder == SignedName:
		return "what this machine has signed, without which it might sign the same leaf twice"
	case folder == ReceiptsName:
		return "the host's receipts for leaves"
	case folder == devicesName:
		return "the keys and receipts of its devices"
	}
	return "the key, receipts and earnings of device " + strings.TrimPrefix(folder, devicesName+"/")
}

// folder makes a folder of the home, if it is new, and remembers it.
func (h *home) folder(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.Folders, name) {
		return nil
	}
	path := filepath.Join(h.dir, filepath.FromSlash(name))
	err := durable.MkdirAll(path, 0o700)
	if err == nil {
		err = marker.Set(path, h.ID)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	before := h.Folders
	h.Folders = append(slices.Clone(before), name)
	if err := h.save(); err != nil {
		h.Folders = before // it is not remembered, so the next call does it
		return err
	}
	return nil
}

// save writes the file that names the parts. The caller holds mu.
func (h *home) save() error {
	text, err := sealed.Marshal(homeVersion, h.parts)
	if err == nil {
		err = durable.WriteFile(filepath.Join(h.dir, HomeFile), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// lostKey refuses to make a key where one must have been: beside what only its machine can have.
func lostKey(dir, name string, beside ...string) error {
	if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or reading it says why not
	}
	for _, part := range beside {
		if _, err := os.Stat(filepath.Join(dir, part)); err == nil {
			return fmt.Errorf("%w: %s holds %s and no %s, the machine's key, to which what it "+
				"has earned is paid; put the key back from a backup, or start with --accept-loss "+
				"to be a new machine",
				ErrLost, dir, part, name)
		}
	}
	return nil
}
