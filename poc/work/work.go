// SPDX-License-Identifier: Apache-2.0

// Package work is the line between the network and what computes for it.
//
// All work is a pure function of seeds and an index, exact to the bit, and
// defined by plain Go: transformer/1 in package transformer, matmul/1 in
// package matmul. A kind of work is a value (Kind) in a table (Kinds): its name,
// the spelling of its sizes, its reference, how it is checked and what it counts.
// An Engine computes the same functions on some device. Hosts, workers and the
// chain hold an Engine and do not know which.
//
//	Reference()           the definition, one core, runs anywhere
//	device/cpu and others  the same bytes, faster
//
// # Adding a kind
//
// Write a type with the methods of Kind, in files of its own, and add its line to
// Kinds. Engines, their wrappers and their tests do not change: an engine that has
// something for the kind returns it from Offer, for others the definition computes.
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
//
// The two kinds that every device of the network is asked for have typed methods,
// by which callers batch, pipeline and open single tiles. Everything else goes by
// Offer, so that an engine is not touched by a kind that it has nothing for.
type Engine interface {
	// Name says what computes, for logs: "reference", "cpu/avx2", ...
	Name() string

	// Transformer expands an epoch's model. progress, if not nil, is called
	// now and then with bytes of weights; done never falls. A model that
	// holds a device's memory is also an io.Closer.
	Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
		progress func(done, total uint64)) (transformer.Model, error)

	// Matmul writes the digest of unit units[i] of a challenge to dst[i];
	// len(dst) == len(units).
	Matmul(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
		units []uint64) error

	// Tiles writes the digests of all tiles of one unit to dst in row-major
	// order, len(dst) == shape.Tiles(). A unit's digest is matmul.Root of
	// them, and its openings are made from them.
	Tiles(ctx context.Context, dst [][32]byte, challenge seed.Seed, shape matmul.Shape,
		unit uint64) error

	// Offer returns what the engine has for a job of another kind, and nil where it
	// has nothing. Callers go by On.
	Offer(ctx context.Context, job Job) (Computer, error)
}
