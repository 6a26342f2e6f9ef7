// SPDX-License-Identifier: Apache-2.0

// Package work is the line between the network and what computes for it.
//
// All work is a pure function of (challenge, index), exact to the bit, and
// defined by plain Go: transformer/1 in package transformer, matmul/1 in
// package matmul. An Engine computes the same functions on some device. Hosts,
// workers and the chain hold an Engine and do not know which.
//
//	Reference()           the definition, one core, runs anywhere
//	device/cpu and others  the same bytes, faster
//
// An engine is believed only as far as it agrees with the definition. SelfTest
// runs published answers through it; whoever starts an engine runs it first,
// runs it again now and then, and stops using a device that fails it. Memory
// rots: one wrong weight bit leaves most digests as they are.
package work

import (
	"context"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Engine computes exact work. All methods are safe for concurrent use, and
// results do not depend on how calls are batched.
type Engine interface {
	// Name says what computes, for logs: "reference", "cpu/avx2", ...
	Name() string

	// Transformer expands an epoch's model. progress, if not nil, is called
	// now and then with bytes of weights; done never falls. A model that
	// holds a device's memory is also an io.Closer.
	Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed, progress func(done, total uint64)) (transformer.Model, error)

	// Matmul writes the digest of unit units[i] of a challenge to dst[i];
	// len(dst) == len(units).
	Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, units []uint64) error

	// Tiles writes the digests of all tiles of one unit to dst in row-major
	// order, len(dst) == shape.Tiles(). A unit's digest is matmul.Root of
	// them, and its openings are made from them.
	Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape, unit uint64) error
}
