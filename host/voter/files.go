// SPDX-License-Identifier: Apache-2.0

package voter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/sealed"
)

// Folder is where verdicts are kept until they are revealed.
type Folder string

// Verdict is what must survive a kill: without its salt a commitment cannot be revealed, and
// without its middle digests those that the beacon draws cannot be opened.
type Verdict struct {
	Epoch   uint64 `json:"epoch"`
	Salt    []byte `json:"salt"`
	Body    []byte `json:"body"`
	Middles []byte `json:"middles"` // 8 bytes for each leaf that was judged, in order
}

// Version is that of a verdict's file.
const Version = "assay-host-verdict/1"

// Path is where the verdict of an epoch is.
func (f Folder) Path(epoch uint64) string {
	return filepath.Join(string(f), fmt.Sprintf("%d.json", epoch))
}

// Save puts a verdict on disk before its commitment is sent.
func (f Folder) Save(v *Verdict) error {
	raw, err := sealed.Marshal(Version, v)
	if err != nil {
		return err
	}
	if err := durable.Replace(f.Path(v.Epoch), raw, 0o600); err != nil {
		return fmt.Errorf("storing a verdict: %w", err)
	}
	return nil
}

// Load returns a stored verdict, nil if there is none.
func (f Folder) Load(epoch uint64) (*Verdict, error) {
	path := f.Path(epoch)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	v, err := Read(raw)
	if err == nil && v.Epoch != epoch {
		err = fmt.Errorf("it is of epoch %d", v.Epoch)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; this host abstains in epoch %d unless the file is put "+
			"back from a copy", path, err, epoch)
	}
	return v, nil
}

// Read reads a verdict's file, or one from before there were checksums, which has a body of its
// own.
func Read(raw []byte) (*Verdict, error) {
	v := &Verdict{}
	var form struct{ Version, SHA256 *string }
	if err := json.Unmarshal(raw, &form); err == nil && form.Version == nil && form.SHA256 == nil {
		if err := json.Unmarshal(raw, v); err != nil {
			return nil, fmt.Errorf("%w (%w)", sealed.ErrDamaged, err)
		}
		return v, nil
	}
	return v, sealed.Unmarshal(raw, Version, v)
}

// Prune deletes the verdicts of all epochs before the given one.
func (f Folder) Prune(before uint64) error {
	list, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range list {
		name, _ := strings.CutSuffix(e.Name(), ".json")
		if epoch, err := strconv.ParseUint(name, 10, 64); err == nil && epoch < before {
			errs = append(errs, os.Remove(filepath.Join(string(f), e.Name())))
		}
	}
	return errors.Join(errs...)
}
