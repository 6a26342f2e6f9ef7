// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

var (
	// ErrCall reports arguments of a method of Engine that do not fit each other.
	ErrCall = errors.New("work: malformed call")
	// ErrSelfTest reports an engine that does not agree with the definition.
	ErrSelfTest = errors.New("work: engine gives wrong results")
)

// Reference returns the engine that is the definition: plain Go on the
// caller's goroutine.
func Reference() Engine { return reference{} }

type reference struct{}

func (reference) Name() string { return "reference" }

// Offer returns nothing: the definition is the kind's own.
func (reference) Offer(context.Context, Job) (Computer, error) { return nil, nil }

func (reference) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := transformer.Build(ctx, class, seed1, progress)
	if err != nil { // a nil *ReferenceModel must not become a Model
		return nil, err
	}
	return m, nil
}

func (reference) Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed,
	shape matmul.Shape, units []uint64) error {
	if len(dst) != len(units) {
		return fmt.Errorf("%w: %d digests for %d units", ErrCall, len(dst), len(units))
	}
	for i, unit := range units {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("work: unit %d of %d: %w", i, len(units), err)
		}
		digest, err := matmul.Unit(challenge, unit, shape)
		if err != nil {
			return err
		}
		dst[i] = digest
	}
	return nil
}

func (reference) Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
	unit uint64) error {
	if err := shape.Valid(); err != nil {
		return err
	}
	if len(dst) != shape.Tiles() {
		return fmt.Errorf("%w: %d digests for %d tiles", ErrCall, len(dst), shape.Tiles())
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("work: tiles of unit %d: %w", unit, err)
	}
	_, err := matmul.AppendTiles(dst[:0], challenge, unit, shape)
	return err
}
