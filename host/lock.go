// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/assaynet/assay/internal/durable"
)

// lockName is the file that keeps a second host off a home. Two would sign for one participant and
// write the same files.
const lockName = "data/host.lock"

// lock takes a home until unlock is called or the process ends.
func lock(home string) (unlock func() error, err error) {
	path := filepath.Join(home, lockName)
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	unlock, err = durable.Lock(path)
	if held, ok := errors.AsType[*durable.Held](err); ok {
		return nil, fmt.Errorf("host: %s runs a host for %s already: stop that one first, or "+
			"name another --home", held.Holder(), home)
	} else if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return unlock, nil
}
