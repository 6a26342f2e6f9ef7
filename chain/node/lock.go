// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/assaynet/assay/internal/durable"
)

// lockName is the file that keeps a second process off a home's databases, and off its keys, with
// which two nodes would sign two blocks of one height.
const lockName = "data/node.lock"

// lock takes a home until unlock is called or the process ends.
func lock(home string) (unlock func() error, err error) {
	path := filepath.Join(home, lockName)
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	unlock, err = durable.Lock(path)
	if held, ok := errors.AsType[*durable.Held](err); ok {
		return nil, fmt.Errorf("%w: %s uses the node's folder %s already: stop that one first, "+
			"or name another --home", ErrNode, held.Holder(), home)
	} else if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return unlock, nil
}
