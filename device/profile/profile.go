// SPDX-License-Identifier: Apache-2.0

// Package profile is what an engine can tell of itself beyond its results:
// where the time of a unit goes and what its device could do at best. It is for
// benchmarks and operators; nothing is credited by it.
package profile

import (
	"context"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Parts is where the time of one unit of matmul/1 goes when its parts run one
// after the other. Parts that a device fuses are measured apart, by leaving
// the later ones out.
type Parts struct {
	Expand   time.Duration // the prf, and packing
	Product  time.Duration
	Condense time.Duration
	Hash     time.Duration // tile digests and the unit's root
}

// Total is the sum of the parts.
func (p Parts) Total() time.Duration { return p.Expand + p.Product + p.Condense + p.Hash }

// Peak is what a device could do at best.
type Peak struct {
	// Ops is exact int8 operations per second, a multiplication and an addition
	// being two.
	Ops float64
	// How says where Ops comes from, in words for a person: measured by which
	// instructions just now, or taken from which datasheet or driver's figures.
	How string
}

// Engine is an engine that knows this. All engines of package device do; the
// reference does not.
type Engine interface {
	work.Engine
	// Parts measures one unit.
	Parts(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64) (Parts, error)
	// Peak measures or looks up the device's limit.
	Peak(ctx context.Context) (Peak, error)
}
