// SPDX-License-Identifier: Apache-2.0

package cpu

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/work"
)

// Engines are the engines that this processor can run, the fastest first. They
// are not self-tested, and none where there is the reference only.
func Engines() []profile.Engine {
	var engines []profile.Engine
	for _, s := range sets() {
		engines = append(engines, newEngine(s))
	}
	return engines
}

// New returns the fastest engine that this processor runs correctly, the
// reference where there is no other. Where an engine fails its self-test, the
// next one is tried, and an error that wraps work.ErrSelfTest tells of it: the
// caller tells somebody and goes on, slower. A context that ends gives its error
// and the reference.
func New(ctx context.Context) (work.Engine, error) { return choose(ctx, Engines()) }

func choose[E work.Engine](ctx context.Context, engines []E) (work.Engine, error) {
	var failed error
	for _, e := range engines {
		err := work.SelfTest(ctx, e)
		switch {
		case err == nil:
			return e, failed
		case errors.Is(err, work.ErrSelfTest):
			failed = errors.Join(failed, fmt.Errorf("cpu: %s is not used, what is used instead "+
				"is slower; memory or the processor may be faulty: %w", e.Name(), err))
		default:
			return work.Reference(),
				errors.Join(failed, fmt.Errorf("cpu: %s could not be tested: %w", e.Name(), err))
		}
	}
	return work.Reference(), failed
}
