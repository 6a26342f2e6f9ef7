// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/work"
)

// New returns the fastest engine that this processor runs correctly. It is the
// reference where there is none, and also, together with an error that wraps
// work.ErrSelfTest, where the fast one fails its self-test: the caller tells
// somebody and goes on, slower. A context that ends gives its error likewise.
func New(ctx context.Context) (work.Engine, error) {
	return choose(ctx, fast())
}

func choose(ctx context.Context, e work.Engine) (work.Engine, error) {
	if e == nil {
		return work.Reference(), nil
	}
	err := work.SelfTest(ctx, e)
	switch {
	case err == nil:
		return e, nil
	case errors.Is(err, work.ErrSelfTest):
		err = fmt.Errorf("cpu: %s is not used, and the reference is many times slower; memory or the processor may be faulty: %w", e.Name(), err)
	default:
		err = fmt.Errorf("cpu: %s could not be tested: %w", e.Name(), err)
	}
	return work.Reference(), err
}
