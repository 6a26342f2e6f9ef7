// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/privval"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/internal/plain"
)

// ErrIdentity reports a home that has lost a key, or what its key signed last.
var ErrIdentity = errors.New("node: a part of this node's identity is missing")

// identity checks that a node has what it is known by. Only `assay init` makes keys: a
// start that did would follow the chain under another name, and a validator whose
// record of signatures is gone may sign a height twice. A home that only follows, and
// never ran, gets its keys at the first start. Errors wrap ErrIdentity.
func identity(c home.Config) error {
	comet := c.Comet
	if comet.PrivValidatorListenAddr != "" { // another program signs
		return nil
	}
	key, state := comet.PrivValidatorKeyFile(), comet.PrivValidatorStateFile()
	participant := there(filepath.Join(c.Dir, home.Public))
	used := there(filepath.Join(comet.DBDir(), "blockstore.db"))
	if !participant && !used && !there(key) {
		return nil
	}
	backup := "put it back from a backup"
	if participant {
		backup += "; this home is a participant's, and `assay init participant` makes another one in another --home"
	} else {
		backup += "; for a new node choose another --home"
	}
	for _, f := range []struct{ path, what string }{
		{key, "the key that signs its blocks"},
		{comet.NodeKeyFile(), "the key by which peers know it"},
		{filepath.Join(c.Dir, app.VRFKeyFile), "the key that feeds the beacon"},
	} {
		if there(f.path) || f.path == filepath.Join(c.Dir, app.VRFKeyFile) && !participant {
			continue
		}
		return fmt.Errorf("%w: %s, %s, is not there: %s", ErrIdentity, f.path, f.what, backup)
	}
	text, err := plain.Read(state)
	var last privval.FilePVLastSignState
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("it is not there")
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		err = errors.New("it is empty")
	case err == nil:
		err = cmtjson.Unmarshal(text, &last)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s says what this validator signed last, and cannot be used (%w): without it the node could sign a height twice, for which the chain takes its power away. "+
		"Put back the latest one of this key. If there is none, stop every other node with this key, and write {\"height\":\"H\",\"round\":0,\"step\":3} into it, H being a height that the chain has passed since",
		ErrIdentity, state, err)
}

// there: what cannot be looked at is there, and whoever reads it says why not.
func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
