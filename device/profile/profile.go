// SPDX-License-Identifier: Apache-2.0

// Package profile is what can be told of a device and its engine beyond
// results: what the driver says of it, where the time of a unit goes and what
// it could do at best. It is for benchmarks and operators; nothing is credited
// by it.
//
// Every package of engines offers the same two functions to package device:
//
//	Devices() ([]profile.Device, error)            all there are, in the driver's order
//	Open(ctx, index) (profile.Engine, error)       one of them, not yet self-tested
//
// Devices returns an error where the driver is missing or broken, in words that
// tell its owner what to do; no device at all is no error. An engine that holds
// a device's memory is also an io.Closer.
package profile

import (
	"context"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Device is what a driver says of one device.
type Device struct {
	Name   string // the vendor's
	Driver string // the interface and its version, and the driver's where known
	Memory uint64 // bytes; 0 where nobody says
	Units  int    // cores, multiprocessors or compute units
	PCI    string // its place, like 0000:17:00.0, where known: telemetry finds it by this
}

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
