// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/assaynet/assay/internal/durable"
)

// ErrInUse reports a home that another worker works with: they would take each
// other's place at the host, and write into each other's files.
var ErrInUse = errors.New("worker: this home is in use")

// LockFile is held by the worker of a home while it runs, and names its process.
const LockFile = "worker.lock"

// lock holds a home until the result is called or the process ends, however it
// does. What an earlier worker left unfinished is removed.
func lock(home string) (unlock func() error, err error) {
	unlock, err = durable.Lock(filepath.Join(home, LockFile))
	if held, ok := errors.AsType[*durable.Held](err); ok {
		return nil, fmt.Errorf("%w: another worker (%s) works with %s; stop it, or give this one "+
			"a --home of its own", ErrInUse, held.Holder(), home)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	for _, dir := range []string{SignedName, ReceiptsName} {
		if err := durable.Sweep(filepath.Join(home, dir)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, errors.Join(err, unlock()))
		}
	}
	return unlock, nil
}
